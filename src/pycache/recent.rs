//! Templates served lately, held in memory up to a number of bytes.

use hashlink::LinkedHashMap;
use parking_lot::Mutex;
use std::sync::Arc;

use crate::store::{Entry, Key};

/// Recently used entries, least recently used ones dropped first.
pub struct Recent {
    limit: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    bytes: usize,
    entries: LinkedHashMap<Key, Arc<Entry>>,
}

impl Recent {
    /// Holds templates of up to `limit` bytes together.
    pub fn new(limit: usize) -> Recent {
        Recent {
            limit,
            held: Mutex::new(Held::default()),
        }
    }

    /// The entry, if it is held.
    pub fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        let mut held = self.held.lock();
        let entry = held.entries.get(key).map(Arc::clone)?;
        held.entries.to_back(key);
        Some(entry)
    }

    /// Holds an entry, dropping others to make room. One larger than the limit is
    /// held alone: its readers are about to ask for it, and the store may not take it.
    pub fn put(&self, key: Key, entry: Arc<Entry>) {
        let size = weight(&entry);
        let mut held = self.held.lock();
        if let Some(old) = held.entries.insert(key, entry) {
            held.bytes = held.bytes.saturating_sub(weight(&old));
        }
        held.bytes += size;
        while held.bytes > self.limit && held.entries.len() > 1 {
            let Some((_, dropped)) = held.entries.pop_front() else {
                break;
            };
            held.bytes = held.bytes.saturating_sub(weight(&dropped));
        }
    }
}

/// Bytes of memory an entry takes: its template and about 200 bytes around it.
fn weight(entry: &Entry) -> usize {
    entry.template.filled_len(b"") + 200
}
