//! `pycfs sync`: the barrier for scripts that change a source and then use its mount.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::fail;
use crate::control::{Request, ask};
use crate::mount;

/// How long a daemon may take; it gives up before.
const PATIENCE: Duration = Duration::from_secs(40);

/// The arguments of `pycfs sync`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where it is mounted.
    mount_point: PathBuf,
}

/// Returns when every change of the source that was made before is visible through the mount.
pub fn run(args: &Args) -> ExitCode {
    let entry = match mount::find(&args.mount_point) {
        Ok(Some(entry)) => entry,
        Ok(None) => return fail(mount::Error::NotMounted(args.mount_point.clone())),
        Err(error) => return fail(format!("cannot read the mount table: {error}")),
    };
    match ask(&entry.socket(), Request::Sync, PATIENCE) {
        Ok(answer) => match answer.get("error") {
            None => ExitCode::SUCCESS,
            Some(error) => fail(error),
        },
        Err(error) => fail(format!("{}: {error}", entry.mount_point.display())),
    }
}
