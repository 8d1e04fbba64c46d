//! Eviction: the least recently used blobs go until the store is small enough.
//!
//! Invariant: a record leaves the index before its blob is unlinked, so that a crash in between
//! leaves an orphan, which the next sweep adopts, and never a record without a blob.

use std::collections::BinaryHeap;

use super::account::Account;
use super::index::Trouble;
use super::key::Name;
use super::place::Place;

/// Most victims that are chosen in one pass over the records; bounds memory to about 1 MB.
const ROUND: usize = 16_384;
/// Records that are removed in one write of the index.
const BATCH: usize = 256;

/// What an eviction removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Evicted {
    pub(super) entries: u64,
    pub(super) bytes: u64,
}

/// A candidate; the order puts the most recently used one on top of the heap.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Victim {
    used: u64,
    name: Name,
    size: u32,
}

/// Evicts until at most `target` bytes are left. Stops early when blobs cannot be removed.
pub(super) fn evict(account: &mut Account, place: &Place, target: u64) -> Result<Evicted, Trouble> {
    let mut evicted = Evicted::default();
    while account.bytes() > target {
        let victims = oldest(account, account.bytes() - target)?;
        if victims.is_empty() {
            break;
        }
        for batch in victims.chunks(BATCH) {
            let names: Vec<Name> = batch.iter().map(|victim| victim.name).collect();
            account.update(&names, |_, _| None)?;
            for victim in batch {
                match place.remove(&victim.name) {
                    Ok(_) => {
                        evicted.entries += 1;
                        evicted.bytes += u64::from(victim.size);
                    }
                    Err(error) => {
                        log::warn!("store: cannot remove a blob: {error}");
                        return Ok(evicted);
                    }
                }
            }
        }
    }
    Ok(evicted)
}

/// The least recently used blobs that together have at least `need` bytes, oldest first.
fn oldest(account: &mut Account, need: u64) -> Result<Vec<Victim>, Trouble> {
    let mut heap = BinaryHeap::new();
    let mut bytes = 0;
    for shard in 0..=u8::MAX {
        for record in account.shard(shard)? {
            bytes += u64::from(record.size);
            heap.push(Victim {
                used: record.used,
                name: record.name,
                size: record.size,
            });
            while let Some(youngest) = heap.peek() {
                let rest = bytes - u64::from(youngest.size);
                if rest < need && heap.len() <= ROUND {
                    break;
                }
                bytes = rest;
                heap.pop();
            }
        }
    }
    Ok(heap.into_sorted_vec())
}
