//! Directories of the source that were used last, held open: who walks a tree asks several times
//! for each, and a walk to it costs more than what is asked.
//!
//! Invariant: only directories on the source's own filesystem. What is held is the very directory
//! that the inode stands for, wherever it is moved to. Where events cover its names, the kernel is
//! told to ask for its name again when that changes, as for all names that it keeps; where there
//! are no events, the directory must be found at its place at each use.

use hashlink::LruCache;
use parking_lot::Mutex;

use crate::tree::{Attr, Dir, Identity};

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

    /// The directory with the attributes that `look` finds now, if it is at hand and `look` found
    /// that very one.
    pub fn get(
        &self,
        number: u64,
        identity: &Identity,
        look: impl FnOnce(&Dir) -> Option<Attr>,
    ) -> Option<Dir> {
        let held = self.directories.lock().get(&number).cloned()?;
        let known = *held.attr();
        if known.identity != *identity {
            return None;
        }
        let now = look(&held)?;
        (now.identity == known.identity && now.mount == known.mount).then(|| held.with(now))
    }

    /// Lets all go.
    pub fn clear(&self) {
        let dropped: Vec<_> = self.directories.lock().drain().collect();
        drop(dropped);
    }
}
