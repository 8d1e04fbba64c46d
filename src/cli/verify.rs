//! `pycfs verify`: by the daemon that owns the store, else on the store itself.

use std::path::PathBuf;
use std::process::ExitCode;

use super::fail;
use super::store_owner::{self, Owner};
use crate::control::Request;

/// The arguments of `pycfs verify`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The store's directory.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
}

/// Checks every blob, drops bad ones, and prints the report as JSON. Fails if there was a bad one.
pub fn run(args: &Args) -> ExitCode {
    let report = match store_owner::find(args.store.clone(), Request::Verify) {
        Ok(Owner::Daemon(report)) => report,
        Ok(Owner::Nobody(store)) => match serde_json::to_value(store.verify()) {
            Ok(report) => report,
            Err(error) => return fail(error),
        },
        Err(error) => return fail(error),
    };
    let bad = report
        .get("bad")
        .and_then(|bad| bad.as_array())
        .map_or(0, Vec::len);
    let printed = store_owner::print(&report);
    if bad == 0 {
        return printed;
    }
    fail(format!(
        "{bad} bad entries were dropped; they are compiled again when they are asked for"
    ))
}
