//! The store for a process that lives a moment: no index, no threads, no lock.
//!
//! It reads and writes blobs where a daemon's store does, by the same rules; the process that owns
//! the index adopts what was written here at its next sweep. Invariant: the folder may be damaged,
//! full, read-only or missing; then there is nothing in it and nothing goes into it.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::blob::{self, Encoder};
use super::clock;
use super::key::{Key, Name};
use super::place::Place;
use super::{Entry, Lookup, Miss};

/// A use is recorded if the last recorded one is at least this old, in milliseconds.
const TOUCH: u64 = 3_600_000;

/// An open store folder.
#[derive(Debug)]
pub struct Direct {
    place: Place,
}

impl Direct {
    /// Opens the folder `dir`, making what is missing of it. The error says why it is not used:
    /// it belongs to somebody else, others can write it, or it cannot be made.
    pub fn open(dir: &Path) -> io::Result<Direct> {
        match Place::open(dir) {
            Ok(place) => Ok(Direct { place }),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// The entry of `key`, read from disk and checked.
    pub fn get(&self, key: &Key) -> Lookup {
        let name = key.name();
        let bytes = match self.place.read(&name) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Lookup::Miss(Miss::Absent);
            }
            Err(error) => return Lookup::Miss(Miss::Io(error.kind())),
        };
        match blob::decode(key, &bytes) {
            Ok(entry) => {
                self.touch(&name);
                Lookup::Hit(Arc::new(entry))
            }
            Err(corrupt) => {
                if corrupt != blob::Corrupt::OtherKey && self.place.is_writable() {
                    // Otherwise a put would leave the damaged one in place.
                    let _ = self.place.remove(&name);
                }
                Lookup::Miss(Miss::Corrupt(corrupt))
            }
        }
    }

    /// Writes an entry; whether it is on disk now.
    pub fn put(&self, key: &Key, entry: &Entry) -> bool {
        let name = key.name();
        if matches!(self.place.stat(&name), Ok(Some(_))) {
            return true;
        }
        let Ok(mut encoder) = Encoder::new() else {
            return false;
        };
        self.place.is_writable()
            && encoder
                .encode(key, entry, clock::now() / 1000)
                .is_some_and(|blob| self.place.write(&name, &blob).is_ok())
    }

    /// Records the use, for eviction goes by it.
    fn touch(&self, name: &Name) {
        let now = clock::now();
        let Ok(Some(stat)) = self.place.stat(name) else {
            return;
        };
        if self.place.is_writable() && stat.used.saturating_add(TOUCH) <= now {
            // Without it the entry is evicted earlier.
            let _ = self.place.set_used(name, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{entry_of, key_of};
    use crate::store::{Options, Store};
    use std::time::Duration;

    #[test]
    fn it_shares_blobs_with_a_store_that_owns_the_index() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(Options::new(dir.path()));
        let direct = Direct::open(dir.path()).unwrap();
        let (ours, theirs) = (entry_of(1, 5000), entry_of(2, 5000));
        assert!(direct.put(&key_of(1), &ours));
        store.put(&key_of(2), &Arc::new(theirs.clone()));
        assert!(store.flush(Duration::from_secs(60)));
        assert_eq!(store.get(&key_of(1)), Lookup::Hit(Arc::new(ours)));
        assert_eq!(direct.get(&key_of(2)), Lookup::Hit(Arc::new(theirs)));
        assert_eq!(direct.get(&key_of(3)), Lookup::Miss(Miss::Absent));
    }

    #[test]
    fn a_damaged_blob_is_a_miss_and_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let direct = Direct::open(dir.path()).unwrap();
        let entry = entry_of(1, 5000);
        assert!(direct.put(&key_of(1), &entry));
        let path = dir.path().join("v1/blobs").join(key_of(1).name().path());
        let mut blob = std::fs::read(&path).unwrap();
        let middle = blob.len() / 2;
        blob[middle] ^= 1;
        std::fs::write(&path, blob).unwrap();
        assert!(matches!(
            direct.get(&key_of(1)),
            Lookup::Miss(Miss::Corrupt(_))
        ));
        assert!(direct.put(&key_of(1), &entry));
        assert_eq!(direct.get(&key_of(1)), Lookup::Hit(Arc::new(entry)));
    }
}
