//! The check of every blob, for `pycfs verify`.
//!
//! Invariant: after a check of a store that can be written, each blob on disk decodes to a
//! template that is a code object of its target, and the index knows exactly these blobs.

use serde::Serialize;
use std::io;
use std::time::Duration;

use super::blob;
use super::core::{Core, Event};
use super::key::Name;
use super::place::{Listed, Place};
use super::status::Agreement;

/// Most bad blobs that are listed; all are counted.
const LISTED: usize = 1000;
/// How long the index may take to be compared with the folder.
const PATIENCE: Duration = Duration::from_secs(600);

/// What a check of the whole store found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// Blobs that were read.
    pub checked: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs and other files that are bad.
    pub bad: u64,
    /// Of these, how many were removed.
    pub removed: u64,
    /// Blobs and folders that could not be read. They are left alone.
    pub unreadable: u64,
    /// The bad and unreadable files with the reason, the first 1,000.
    pub list: Vec<BadBlob>,
    /// How the index agreed with the folder; `None` when the index is not ours.
    pub agreement: Option<Agreement>,
    /// Why nothing, or not the index, was checked.
    pub reason: Option<String>,
}

/// A bad blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BadBlob {
    /// Path beneath `DIR/v1/blobs`.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
}

impl VerifyReport {
    fn list(&mut self, path: String, reason: String) {
        if self.list.len() < LISTED {
            self.list.push(BadBlob { path, reason });
        }
    }
}

/// Checks every blob, then has the index compared with them.
pub(super) fn verify(core: &Core) -> VerifyReport {
    let mut report = VerifyReport::default();
    let Some(place) = core.place() else {
        report.reason = core.condition.lock().reason.clone();
        return report;
    };
    for shard in 0..=u8::MAX {
        match place.list(shard) {
            Ok(files) => {
                for file in files {
                    check(core, &place, shard, &file, &mut report);
                }
            }
            Err(error) => {
                report.unreadable += 1;
                report.list(format!("{shard:02x}"), error.to_string());
            }
        }
    }
    match core.ask(Event::Audit, PATIENCE) {
        Some(Ok(agreement)) => report.agreement = Some(agreement),
        Some(Err(not_owner)) => report.reason = Some(not_owner.to_string()),
        None => report.reason = Some("the index did not answer".to_owned()),
    }
    report
}

fn check(core: &Core, place: &Place, shard: u8, file: &Listed, report: &mut VerifyReport) {
    let path = || format!("{shard:02x}/{}", String::from_utf8_lossy(&file.file));
    let Some(name) = Name::parse(shard, &file.file).filter(|_| file.stat.is_some()) else {
        report.bad += 1;
        report.list(path(), "it is no blob".to_owned());
        let writable = place.is_writable();
        if writable && place.remove_stray(shard, &file.file).unwrap_or(false) {
            report.removed += 1;
        }
        return;
    };
    match place.read(&name) {
        Ok(bytes) => {
            report.checked += 1;
            report.bytes += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            if let Err(reason) = judge(&name, &bytes) {
                report.bad += 1;
                report.list(path(), reason);
                report.removed += u64::from(core.discard(place, name));
            }
        }
        // Evicted since it was listed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            report.unreadable += 1;
            report.list(path(), error.to_string());
        }
    }
}

/// Whether a blob holds what its name and header say.
fn judge(name: &Name, bytes: &[u8]) -> Result<(), String> {
    let (key, entry) = blob::decode_any(bytes).map_err(|corrupt| corrupt.to_string())?;
    if key.name() != *name {
        return Err(blob::Corrupt::OtherKey.to_string());
    }
    entry
        .template
        .verify(entry.target)
        .map_err(|error| error.to_string())
}
