//! `pycfs verify`: by the daemon that owns the store, else on the store itself.

use serde_json::Value;
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
    let number = |name: &str| report.get(name).and_then(Value::as_u64).unwrap_or(0);
    let (bad, unreadable) = (number("bad"), number("unreadable"));
    let printed = store_owner::print(&report);
    if bad > 0 {
        return fail(format!(
            "{bad} bad files were found, {} of them dropped; their code is compiled again when it is asked for",
            number("removed")
        ));
    }
    if unreadable > 0 {
        return fail(format!(
            "{unreadable} files could not be read; the report names them"
        ));
    }
    match report.get("reason").and_then(Value::as_str) {
        Some(reason) if number("checked") == 0 => fail(format!("nothing was checked: {reason}")),
        _ => printed,
    }
}
