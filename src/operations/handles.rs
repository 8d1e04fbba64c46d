//! Open files and directories, by the handle the kernel uses for them.

use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

use super::directories::Listing;
use crate::pycache::Pyc;
use crate::tree::{Attr, Dir, Error, SourceFile};

/// What is open.
pub(super) enum Handle {
    /// A file of the real tree: reads go to this descriptor, so an open file never changes
    /// underneath its reader but by writes to that very file.
    File(Arc<SourceFile>),
    /// A pyc, and its bytes once they were read. The kernel keeps the pages of a pyc as long as it
    /// can, so most opens of one never read.
    Pyc(Arc<Pyc>, OnceLock<Vec<u8>>),
    /// A directory.
    Directory(Mutex<OpenDirectory>),
}

/// What is known of an open directory.
pub(super) struct OpenDirectory {
    /// The real one, until it is listed first.
    pub opened: Option<Dir>,
    /// Whether the kernel keeps what it is given.
    pub may_cache: bool,
    /// The entries as they were when reading began.
    pub listing: Option<Arc<Listing>>,
}

/// All open handles.
#[derive(Default)]
pub(super) struct Handles {
    open: RwLock<HashMap<u64, Arc<Handle>>>,
    last: AtomicU64,
}

impl Handles {
    /// Keeps a handle open; its number is not used again.
    pub(super) fn add(&self, handle: Handle) -> u64 {
        let number = self.last.fetch_add(1, Relaxed) + 1;
        self.open.write().insert(number, Arc::new(handle));
        number
    }

    pub(super) fn get(&self, number: u64) -> Option<Arc<Handle>> {
        self.open.read().get(&number).map(Arc::clone)
    }

    pub(super) fn close(&self, number: u64) {
        let closed = self.open.write().remove(&number);
        drop(closed);
    }

    pub(super) fn len(&self) -> usize {
        self.open.read().len()
    }

    /// The attributes of an open file of the real tree.
    pub(super) fn stat(&self, number: u64) -> Option<Result<Attr, Error>> {
        match self.get(number)?.as_ref() {
            Handle::File(file) => Some(file.stat()),
            Handle::Pyc(..) | Handle::Directory(_) => None,
        }
    }
}
