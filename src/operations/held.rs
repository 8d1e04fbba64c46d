//! Directories of the source that were used last, held open: who walks a tree asks several times
//! for each, and a walk to it costs more than what is asked.
//!
//! Invariant: only directories whose names events cover, on the source's own filesystem. What is
//! held is the very directory that the inode stands for, wherever it is moved to; when its name
//! changes, an event has the kernel ask for the name again, as for all names that it keeps.

use hashlink::LruCache;
use parking_lot::Mutex;

use crate::tree::{Dir, Identity};

/// The directories at hand, by inode number.
pub(super) struct Held {
    directories: Mutex<LruCache<u64, Dir>>,
}

impl Default for Held {
    fn default() -> Held {
        const MOST: usize = 16;
        Held {
            directories: Mutex::new(LruCache::new(MOST)),
        }
    }
}

impl Held {
    /// Keeps a directory.
    pub fn keep(&self, number: u64, dir: Dir) {
        let dropped = self.directories.lock().insert(number, dir);
        drop(dropped);
    }

    /// The directory with its attributes now, if it is at hand, has this identity and still has a
    /// name.
    pub fn get(&self, number: u64, identity: &Identity) -> Option<Dir> {
        let held = self.directories.lock().get(&number).cloned()?;
        let dir = held.now().ok()?;
        (dir.attr().identity == *identity && dir.attr().nlink > 0).then_some(dir)
    }

    /// Lets all go.
    pub fn clear(&self) {
        let dropped: Vec<_> = self.directories.lock().drain().collect();
        drop(dropped);
    }
}
