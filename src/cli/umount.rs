//! `pycfs umount`.

use std::path::PathBuf;

use crate::complaint::complain;
use crate::mount;

/// The arguments of `pycfs umount`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Detach at once even if the mount is in use; its users keep it until they are done.
    #[arg(short = 'l', long)]
    lazy: bool,
    /// Where it is mounted.
    mount_point: PathBuf,
}

/// Unmounts; the exit code is mount(8)'s.
pub fn run(args: &Args) -> u8 {
    match mount::unmount(&args.mount_point, args.lazy) {
        Ok(()) => 0,
        Err(error) => {
            complain(format_args!("pycfs: {error}"));
            error.exit_code()
        }
    }
}
