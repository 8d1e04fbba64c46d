//! Setting aside an index that cannot be used.
//!
//! Invariant: after [`set_aside`] the index folder is empty, whatever was in it; at most one index
//! is kept in quarantine, and it is not counted towards the store's limit.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::clock;

/// Moves everything in `DIR/v1/index` to `DIR/v1/quarantine`, or removes it if that fails, and
/// drops what had been there. `root` is `DIR/v1`.
pub(super) fn set_aside(root: &Path) -> io::Result<()> {
    purge(root);
    let quarantine = root.join("quarantine");
    for entry in fs::read_dir(root.join("index"))? {
        let entry = entry?;
        let mut name = std::ffi::OsString::from(format!("{:x}-", clock::now()));
        name.push(entry.file_name());
        if fs::rename(entry.path(), quarantine.join(name)).is_err() {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes what is in quarantine. Best effort: what resists is tried again the next time.
pub(super) fn purge(root: &Path) {
    let Ok(entries) = fs::read_dir(root.join("quarantine")) else {
        return;
    };
    for entry in entries.flatten() {
        if let Err(error) = remove(&entry.path()) {
            log::warn!("store: cannot remove {}: {error}", entry.path().display());
        }
    }
}

/// What is in quarantine, for `status`.
pub(super) fn count(root: &Path) -> u64 {
    let entries = fs::read_dir(root.join("quarantine")).map(|entries| {
        entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .count()
    });
    entries
        .ok()
        .and_then(|count| u64::try_from(count).ok())
        .unwrap_or(0)
}

fn remove(path: &PathBuf) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}
