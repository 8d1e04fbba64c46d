//! `pycfs mount`: options to [`mount::Options`](crate::mount::Options), then into the background.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::backend;
use crate::complaint::complain;
use crate::mount::{self, Options};

/// The arguments of `pycfs mount`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Stay in the foreground and log to standard error.
    #[arg(short = 'f', long)]
    foreground: bool,
    /// Replace a pycfs mount that is there already, without a gap for those who use it.
    #[arg(long)]
    replace: bool,
    /// Start the daemon again whenever it dies; its users wait meanwhile.
    #[arg(long)]
    supervise: bool,
    /// Mount options, comma-separated (docs/OPERATION.md).
    #[arg(short = 'o', long = "options", value_name = "OPTS")]
    options: Vec<OsString>,
    /// The store's directory.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// The store's size limit, for example 500M or 5G.
    #[arg(long, value_name = "SIZE")]
    store_size: Option<String>,
    /// How long a reader waits for an entry at most, for example 5s.
    #[arg(long, value_name = "TIME")]
    deadline: Option<String>,
    /// timestamp, checked-hash or unchecked-hash.
    #[arg(long, value_name = "MODE")]
    invalidation_mode: Option<String>,
    /// Who compiles: auto (natively where possible), native or interpreter.
    #[arg(long, value_name = "NAME")]
    backend: Option<backend::Choice>,
    /// A Python interpreter to compile with (may be repeated); others are found by themselves.
    #[arg(long = "interpreter", value_name = "PATH")]
    interpreters: Vec<PathBuf>,
    /// Log to this file instead of syslog.
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// The directory to mirror.
    source: PathBuf,
    /// Where to mount it; may be the source itself.
    mount_point: PathBuf,
}

/// Mounts; the exit code is mount(8)'s.
pub fn run(args: Args) -> u8 {
    match options(&args) {
        Ok(options) => mount::mount(
            &args.source,
            &args.mount_point,
            options,
            args.foreground,
            args.replace,
        ),
        Err(error) => {
            complain(format_args!("pycfs: {error}"));
            error.exit_code()
        }
    }
}

fn options(args: &Args) -> Result<Options, mount::Error> {
    let mut options = Options::new(rustix::process::geteuid().is_root());
    for list in &args.options {
        options.apply(list)?;
    }
    if let Some(text) = &args.store_size {
        options.store_size = Some(mount::parse_size(text).map_err(mount::Error::Usage)?);
    }
    if let Some(text) = &args.deadline {
        options.deadline = mount::parse_duration(text).map_err(mount::Error::Usage)?;
    }
    if let Some(text) = &args.invalidation_mode {
        options.mode = text
            .parse()
            .map_err(|error| mount::Error::Usage(format!("{error}")))?;
    }
    options.backend = args.backend.unwrap_or(options.backend);
    options.supervise |= args.supervise;
    options.store = args.store.clone().or(options.store);
    options.log = args.log.clone().or(options.log);
    options
        .interpreters
        .splice(0..0, args.interpreters.iter().cloned());
    Ok(options)
}
