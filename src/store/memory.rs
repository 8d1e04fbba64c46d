//! Blobs held in memory while they cannot be on disk.
//!
//! Invariant: the blobs held take at most [`LIMIT`] bytes together; least recently used ones go
//! first.

use hashlink::LinkedHashMap;
use parking_lot::Mutex;
use std::sync::Arc;

use super::key::Key;

/// Most bytes of blobs that are held.
const LIMIT: usize = 16 << 20;

/// Blobs by their keys, least recently used first.
#[derive(Default)]
pub(super) struct Memory(Mutex<Held>);

#[derive(Default)]
struct Held {
    blobs: LinkedHashMap<Key, Arc<[u8]>>,
    bytes: usize,
}

impl Memory {
    /// The blob of `key`.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<[u8]>> {
        let mut held = self.0.lock();
        let blob = Arc::clone(held.blobs.get(key)?);
        held.blobs.to_back(key);
        Some(blob)
    }

    /// Holds a blob, unless it is larger than all that may be held.
    pub(super) fn put(&self, key: Key, blob: Vec<u8>) {
        if blob.len() > LIMIT {
            return;
        }
        let mut held = self.0.lock();
        held.bytes += blob.len();
        if let Some(old) = held.blobs.insert(key, blob.into()) {
            held.bytes -= old.len();
        }
        while held.bytes > LIMIT {
            let Some((_, oldest)) = held.blobs.pop_front() else {
                break;
            };
            held.bytes -= oldest.len();
        }
    }

    /// Number of blobs and of their bytes.
    pub(super) fn totals(&self) -> (usize, usize) {
        let held = self.0.lock();
        (held.blobs.len(), held.bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::key_of;

    #[test]
    fn the_least_recently_used_blobs_make_room() {
        let memory = Memory::default();
        let quarter = LIMIT / 4;
        for number in 0..4 {
            memory.put(key_of(number), vec![0; quarter]);
        }
        assert!(memory.get(&key_of(0)).is_some());
        memory.put(key_of(4), vec![0; quarter]);
        assert!(memory.get(&key_of(0)).is_some());
        assert!(memory.get(&key_of(1)).is_none());
        assert_eq!(memory.totals(), (4, LIMIT));
    }

    #[test]
    fn a_blob_put_twice_counts_once_and_a_huge_one_not_at_all() {
        let memory = Memory::default();
        memory.put(key_of(0), vec![0; 10]);
        memory.put(key_of(0), vec![0; 7]);
        memory.put(key_of(1), vec![0; LIMIT + 1]);
        assert_eq!(memory.totals(), (1, 7));
    }
}
