//! Files of the source that are kept at hand while the kernel reads by inode, not by open file.
//!
//! A pinned file stays what it was when its name gets another one or none, and its number is not
//! used again by the filesystem meanwhile. Bounded: the least recently used go first, and are
//! found again by name. Where opening is asked, they are those that were found but now.
//!
//! Where nobody tells that a file was deleted, its space would not be given back as long as the
//! kernel keeps what it found. So those that were not looked up for a while are [`Pinned::idle`]:
//! the kernel is asked to forget them, and does so unless somebody has them open.

use hashlink::LruCache;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::tree::{Error, Found, SourceFile};

/// How many at most, whatever the limit of descriptors.
const MOST: usize = 16_384;

/// One file.
#[derive(Clone)]
pub(super) enum Pin {
    /// Found, and not read yet.
    Found(Arc<Found>),
    /// Open for reading.
    Open(Arc<SourceFile>),
}

/// How long a file is kept at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// Until the kernel forgets it: it is told when the file goes.
    UntilForgotten,
    /// Until it was not looked up for a while, the last time then.
    WhileUsed(Instant),
}

#[derive(Clone)]
struct File {
    pin: Pin,
    kept: Kept,
}

/// What is left of a file that was kept.
pub(super) struct Taken {
    _pin: Pin,
    /// The list, if that was its last file: it has the room of each one it had, a little in each of
    /// many pages.
    _emptied: Option<LruCache<u64, File>>,
}

/// The files at hand, by inode number.
pub(super) struct Pinned {
    files: Mutex<LruCache<u64, File>>,
}

impl Pinned {
    /// Room for `descriptors` files, or less.
    pub fn new(descriptors: u64) -> Pinned {
        let most = usize::try_from(descriptors).unwrap_or(MOST).clamp(16, MOST);
        Pinned {
            files: Mutex::new(LruCache::new(most)),
        }
    }

    /// Keeps a file that was looked up.
    pub fn keep(&self, number: u64, found: Found, kept: Kept) {
        let mut files = self.files.lock();
        if touch(&mut files, number, kept) {
            return;
        }
        let pin = Pin::Found(Arc::new(found));
        let dropped = files.insert(number, File { pin, kept });
        drop(files);
        drop(dropped);
    }

    /// Notes that a file was looked up, if it is at hand. Says whether it is.
    pub fn touch(&self, number: u64, kept: Kept) -> bool {
        touch(&mut self.files.lock(), number, kept)
    }

    /// The file open for reading, if it is at hand.
    pub fn open(&self, number: u64) -> Option<Result<Arc<SourceFile>, Error>> {
        let File { pin, kept } = self.files.lock().get(&number).cloned()?;
        let found = match pin {
            Pin::Open(file) => return Some(Ok(file)),
            Pin::Found(found) => found,
        };
        Some(found.open().map(|file| {
            let file = Arc::new(file);
            self.put(number, Arc::clone(&file), kept);
            file
        }))
    }

    /// Keeps an open file.
    pub fn put(&self, number: u64, file: Arc<SourceFile>, kept: Kept) {
        let pin = Pin::Open(file);
        let dropped = self.files.lock().insert(number, File { pin, kept });
        drop(dropped);
    }

    /// Files that were not looked up for `time`, and whether there will be others.
    pub fn idle(&self, time: Duration) -> (Vec<u64>, bool) {
        let (mut idle, mut others) = (Vec::new(), false);
        for (number, file) in self.files.lock().iter() {
            match file.kept {
                Kept::WhileUsed(last) if last.elapsed() >= time => idle.push(*number),
                Kept::WhileUsed(_) => others = true,
                Kept::UntilForgotten => {}
            }
        }
        (idle, others)
    }

    /// The attributes of the file now, if it is at hand.
    pub fn stat(&self, number: u64) -> Option<Result<crate::tree::Attr, Error>> {
        let pin = self.files.lock().get(&number)?.pin.clone();
        Some(match pin {
            Pin::Open(file) => file.stat(),
            Pin::Found(found) => found.stat(),
        })
    }

    /// How many names the file has now, if it is at hand.
    pub fn names(&self, number: u64) -> Option<u32> {
        Some(self.stat(number)?.ok()?.nlink)
    }

    /// The kernel has forgotten the inode: what was kept of it, to be dropped without a lock.
    #[must_use]
    pub fn take(&self, number: u64) -> Option<Taken> {
        let mut files = self.files.lock();
        let file = files.remove(&number)?;
        let emptied = files.is_empty().then(|| {
            let empty = LruCache::new(files.capacity());
            std::mem::replace(&mut *files, empty)
        });
        Some(Taken {
            _pin: file.pin,
            _emptied: emptied,
        })
    }

    /// Lets the older half go: their descriptors are needed.
    pub fn shed(&self) {
        let mut files = self.files.lock();
        let dropped: Vec<_> = (0..files.len().div_ceil(2))
            .filter_map(|_| files.remove_lru())
            .collect();
        drop(files);
        log::warn!("descriptors ran short: {} files are closed", dropped.len());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.files.lock().len()
    }
}

fn touch(files: &mut LruCache<u64, File>, number: u64, kept: Kept) -> bool {
    let file = files.get_mut(&number);
    file.map(|file| file.kept = kept).is_some()
}
