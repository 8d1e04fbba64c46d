//! `pycfs gc`: by the daemon that owns the store, else on the store itself.

use std::path::PathBuf;
use std::process::ExitCode;

use super::fail;
use super::store_owner::{self, Owner};
use crate::control::Request;
use crate::mount;
use crate::store;

/// The arguments of `pycfs gc`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The store's directory.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Evict down to this size, for example 500M (default: 5G). A running daemon uses its own limit.
    #[arg(long, value_name = "SIZE")]
    store_size: Option<String>,
}

/// Collects and prints what was done as JSON.
pub fn run(args: &Args) -> ExitCode {
    let limit = match args
        .store_size
        .as_deref()
        .map(mount::parse_size)
        .transpose()
    {
        Ok(limit) => limit.unwrap_or(store::DEFAULT_LIMIT),
        Err(error) => return fail(error),
    };
    match store_owner::find(args.store.clone(), Request::Collect) {
        Ok(Owner::Daemon(report)) => store_owner::print(&report),
        Ok(Owner::Nobody(store)) => match store.gc(limit) {
            Ok(report) => store_owner::print(&report),
            Err(error) => fail(error),
        },
        Err(error) => fail(error),
    }
}
