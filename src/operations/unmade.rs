//! Entries that are looked up because they were listed: nothing is compiled for them until they are
//! used.
//!
//! `ls -l`, `find`, `du` and `rsync` list a `__pycache__` and then look each name up; an importer
//! looks a name up without listing. So for a while after a listing a look-up in it is answered
//! without code: with the entry's attributes, and size 0 if no cache holds the code. Its code is
//! made when it is opened. Invariant: the kernel keeps nothing of such an answer, so that whoever
//! reads finds the size that the code has. It may not be told apart who asks: an importer that
//! looks a name up after such a listing gets the same code, a request later.

use hashlink::LruCache;
use parking_lot::Mutex;
use rustix::io::Errno;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Operations;
use crate::coherence::Leases;
use crate::inode::{Body, Inode, number};
use crate::pycache::{Pyc, Want};
use crate::tree::Error;

/// How long after a listing, or the last look-up that followed it, a look-up belongs to it.
const FOLLOWS: Duration = Duration::from_secs(10);
/// How many listed directories, and how many look-ups, are remembered.
const REMEMBERED: usize = 4096;

/// What is done with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Use {
    /// It is opened.
    Open,
    /// Its attributes are asked for by path or descriptor.
    Attributes,
    /// Its attributes are asked for by the kernel on behalf of a read.
    AttributesForRead,
}

/// Listings, and the look-ups that followed them.
pub(super) struct Unmade {
    listed: Mutex<LruCache<u64, Instant>>,
    /// Entries that were looked up: the next question about their attributes belongs to that.
    looked_up: Mutex<LruCache<u64, ()>>,
}

impl Default for Unmade {
    fn default() -> Unmade {
        Unmade {
            listed: Mutex::new(LruCache::new(REMEMBERED)),
            looked_up: Mutex::new(LruCache::new(REMEMBERED)),
        }
    }
}

impl Unmade {
    /// A `__pycache__` is being listed.
    pub fn note_listing(&self, directory: u64) {
        self.listed.lock().insert(directory, Instant::now());
    }

    fn follows_listing(&self, directory: u64) -> bool {
        let mut listed = self.listed.lock();
        let Some(last) = listed.get_mut(&directory) else {
            return false;
        };
        let follows = last.elapsed() < FOLLOWS;
        match follows {
            true => *last = Instant::now(),
            false => {
                listed.remove(&directory);
            }
        }
        follows
    }
}

impl Operations {
    /// What a look-up in this `__pycache__` is for.
    pub(super) fn wanted(&self, directory: &Inode) -> Want {
        // Where the kernel keeps listings, whoever asks may have read that one.
        let kept = self.coherence.lists_unasked() && directory.has_pages();
        match self.unmade.follows_listing(directory.number) || kept {
            true => Want::Held,
            false => Want::Code,
        }
    }

    /// Notes the look-up of an entry without code; nothing of it may be kept.
    pub(super) fn found_unmade(&self, number: u64) -> Leases {
        if self.coherence.opens_unasked() {
            self.unmade.looked_up.lock().insert(number, ());
        }
        Leases {
            name: Duration::ZERO,
            attributes: Duration::ZERO,
        }
    }

    /// Calls `then` at once, but for an entry that is about to be used and whose code is not made:
    /// then when it is. An error says that it cannot be had.
    pub fn when_made(
        self: &Arc<Self>,
        asker: u32,
        number: u64,
        used: Use,
        then: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) {
        match self
            .unmade(number)
            .filter(|_| self.needs_code(number, used))
        {
            None => then(Ok(())),
            Some(pyc) => self.make(asker, number, &pyc, move |outcome| {
                then(match (used, outcome) {
                    // Shown as it is: without a size.
                    (Use::Attributes, Err(_)) => Ok(()),
                    // The name was found before, so what is said of it now is that it is not it.
                    (Use::AttributesForRead, Err(_)) => Err(Error::stale()),
                    (_, outcome) => outcome,
                });
            }),
        }
    }

    /// The pyc of this number, if its code is not made.
    fn unmade(&self, number: u64) -> Option<Arc<Pyc>> {
        if !number::is_pyc(number) {
            return None;
        }
        match &self.inodes.get(number)?.body {
            Body::Pyc(pyc) => Some(Arc::clone(&pyc.read())).filter(|pyc| pyc.size.is_none()),
            Body::Real(_) | Body::CacheDirectory(_) => None,
        }
    }

    fn needs_code(&self, number: u64, used: Use) -> bool {
        match used {
            Use::Open | Use::AttributesForRead => true,
            // Where the kernel opens unasked: the first question is `stat`'s, or the check of
            // permission that comes before an open; the second one is by an open descriptor.
            Use::Attributes => {
                self.coherence.opens_unasked()
                    && self.unmade.looked_up.lock().remove(&number).is_none()
            }
        }
    }

    /// Has the code of an entry made.
    fn make(
        self: &Arc<Self>,
        asker: u32,
        number: u64,
        pyc: &Pyc,
        done: impl FnOnce(Result<(), Error>) + Send + 'static,
    ) {
        let asked = self.inode(pyc.directory).and_then(|directory| {
            let (Body::CacheDirectory(of), Some(name)) = (&directory.body, pyc.name()) else {
                return Err(Error::stale());
            };
            let name = OsString::from_vec(name.file_name());
            let (ask, _) = self.ask(asker, pyc.directory, of, &name, Want::Code)?;
            Ok((ask, name))
        });
        let (ask, name) = match asked {
            Ok(asked) => asked,
            Err(error) => return done(Err(super::lookup::unservable(error))),
        };
        let this = Arc::clone(self);
        self.synthesis.request(ask, move |answer| {
            done(match answer {
                Ok(pyc) => this.made(number, pyc),
                Err(absent) => Err(this.absent(&name, &absent)),
            });
        });
    }

    /// Gives an inode the size that the code has. Its source may have changed since it was looked
    /// up; then it is another entry.
    fn made(&self, number: u64, pyc: Arc<Pyc>) -> Result<(), Error> {
        let inode = self.inode(number)?;
        let Body::Pyc(current) = &inode.body else {
            return Err(Error::new("open file", Errno::STALE));
        };
        let mut current = current.write();
        if current.identity() != pyc.identity() {
            return Err(Error::stale());
        }
        *current = pyc;
        Ok(())
    }
}
