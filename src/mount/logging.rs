//! Where the log goes: standard error in the foreground, else a file or syslog.
//!
//! `PYCFS_LOG` sets the level and may name modules, as env_logger reads it (default `info`).

use env_logger::{Builder, Env, Target};
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use syslog::{BasicLogger, Facility, Formatter3164};

use super::error::Error;

/// Starts logging. Fails only if the log file that was asked for cannot be opened; without
/// syslog, a daemon logs nothing.
pub fn start(foreground: bool, file: Option<&Path>) -> Result<(), Error> {
    let mut builder = Builder::from_env(Env::new().filter_or("PYCFS_LOG", "info"));
    if let Some(path) = file {
        let opened = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path);
        let log = opened.map_err(|error| {
            Error::Usage(format!("cannot open the log {}: {error}", path.display()))
        })?;
        builder.target(Target::Pipe(Box::new(log)));
    } else if !foreground {
        return Ok(to_syslog(&mut builder));
    }
    install(&mut builder);
    Ok(())
}

fn install(builder: &mut Builder) {
    // A second mount in one process (tests) keeps the first one's log.
    let _ = builder.try_init();
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        log::error!("{panic}");
        print(panic);
    }));
}

fn to_syslog(builder: &mut Builder) {
    let formatter = Formatter3164 {
        facility: Facility::LOG_DAEMON,
        hostname: None,
        process: "pycfs".to_owned(),
        pid: std::process::id(),
    };
    let level = builder.build().filter();
    let started = syslog::unix(formatter)
        .is_ok_and(|logger| log::set_boxed_logger(Box::new(BasicLogger::new(logger))).is_ok());
    if started {
        log::set_max_level(level);
        std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
    }
}
