//! The sweep: makes the index agree with the blob files, one shard after the other.
//!
//! Invariant: the folder is right and the index follows it. Blobs of other processes and of runs
//! that ended early are adopted, records without a blob are dropped.

use std::collections::HashMap;
use std::io;

use super::account::Account;
use super::blob::Header;
use super::clock;
use super::index::Trouble;
use super::key::Name;
use super::ledger::Record;
use super::place::{BlobStat, Place};
use super::status::Agreement;

/// Records that are changed in one write of the index.
const BATCH: usize = 256;

/// The record of a blob with that stat; `None` for a size that no blob has.
pub(super) fn record(name: &Name, stat: BlobStat, old: Option<Record>) -> Option<Record> {
    Some(Record {
        name: *name,
        size: u32::try_from(stat.size).ok()?,
        // A clock that was ahead must not protect a blob for ever.
        used: old
            .map_or(stat.used, |old| old.used.max(stat.used))
            .min(clock::now()),
    })
}

/// Compares the records of one shard with its folder.
pub(super) fn sweep_shard(
    account: &mut Account,
    place: &Place,
    shard: u8,
) -> Result<Agreement, Trouble> {
    let mut found = Agreement::default();
    // The folder first: what is recorded after it was listed cannot be taken for vanished, as
    // records are made by this thread alone.
    let mut files = match list(place, shard, &mut found) {
        Ok(files) => files,
        Err(error) => {
            log::warn!("store: cannot list shard {shard:02x}: {error}");
            return Ok(found);
        }
    };
    let mut changes = HashMap::<Name, Option<BlobStat>>::new();
    for old in account.shard(shard)? {
        match files.remove(&old.name) {
            Some(stat) => {
                if record(&old.name, stat, Some(old)) != Some(old) {
                    found.resized += u64::from(stat.size != u64::from(old.size));
                    changes.insert(old.name, Some(stat));
                }
            }
            None => {
                if matches!(place.stat(&old.name), Ok(None)) {
                    found.vanished += 1;
                    changes.insert(old.name, None);
                }
            }
        }
    }
    for (name, stat) in files {
        if has_header(place, &name) {
            found.orphans += 1;
            changes.insert(name, Some(stat));
        } else if place.remove(&name).unwrap_or(false) {
            found.damaged += 1;
        }
    }
    let names: Vec<Name> = changes.keys().copied().collect();
    for batch in names.chunks(BATCH) {
        account.update(batch, |name, old| {
            let stat = changes.get(name).copied().flatten()?;
            record(name, stat, old)
        })?;
    }
    Ok(found)
}

/// The blobs in the folder of a shard; removes what is none.
fn list(place: &Place, shard: u8, found: &mut Agreement) -> io::Result<HashMap<Name, BlobStat>> {
    let mut blobs = HashMap::new();
    for listed in place.list(shard)? {
        match (Name::parse(shard, &listed.file), listed.stat) {
            (Some(name), Some(stat)) => {
                blobs.insert(name, stat);
            }
            _ => {
                if place.remove_stray(shard, &listed.file).unwrap_or(false) {
                    found.strays += 1;
                }
            }
        }
    }
    Ok(blobs)
}

/// Whether the file starts like the blob of that name and has the right length. The checksum is
/// for the reader.
fn has_header(place: &Place, name: &Name) -> bool {
    match place.read_header(name) {
        Ok((bytes, stat)) => {
            u32::try_from(stat.size).is_ok()
                && Header::parse(&bytes, stat.size).is_ok_and(|header| header.key.name() == *name)
        }
        // Unreadable for now is not damaged.
        Err(_) => true,
    }
}
