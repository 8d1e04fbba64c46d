//! Who works on a store: only one process has its index, so a running daemon is asked first.

use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::{fail, show};
use crate::control::{Request, ask};
use crate::mount;
use crate::store::{self, Store};

/// Who does the work.
pub enum Owner {
    /// A daemon did it; this is its answer.
    Daemon(Value),
    /// No daemon uses the store: it is opened here.
    Nobody(Arc<Store>),
}

/// Finds who owns the store at `dir` (the default one without it) and has it do `request`.
pub fn find(dir: Option<PathBuf>, request: Request) -> Result<Owner, String> {
    const PATIENCE: Duration = Duration::from_secs(600);
    let dir = dir
        .or_else(store::default_dir)
        .ok_or("no place for the store: set HOME or XDG_CACHE_HOME, or use --store DIR")?;
    let dir = std::path::absolute(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    for entry in mount::ours().map_err(|error| format!("cannot read the mount table: {error}"))? {
        if owns(&entry.socket(), &dir) {
            let report =
                ask(&entry.socket(), request, PATIENCE).map_err(|error| error.to_string())?;
            return match report.get("error").and_then(Value::as_str) {
                Some(error) => Err(error.to_owned()),
                None => Ok(Owner::Daemon(report)),
            };
        }
    }
    if !dir.is_dir() {
        return Err(format!("there is no store at {}", dir.display()));
    }
    let mut options = store::Options::new(dir);
    // Opening it is no reason to evict: its daemons may have a higher limit than the default.
    options.limit = u64::MAX;
    Ok(Owner::Nobody(Store::open(options)))
}

/// Whether the daemon that listens on `socket` has the index of the store at `dir`.
fn owns(socket: &Path, dir: &Path) -> bool {
    const PATIENCE: Duration = Duration::from_secs(5);
    let Ok(status) = ask(socket, Request::Status, PATIENCE) else {
        return false;
    };
    let store = status.get("store");
    let text = |name: &str| {
        store
            .and_then(|store| store.get(name))
            .and_then(Value::as_str)
    };
    text("dir").is_some_and(|found| Path::new(found) == dir) && text("state") != Some("shared")
}

/// Prints a report as JSON.
pub fn print(report: &impl Serialize) -> ExitCode {
    match serde_json::to_string_pretty(report) {
        Ok(text) => show(text + "\n"),
        Err(error) => fail(error),
    }
}
