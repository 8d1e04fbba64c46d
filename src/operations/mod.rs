//! What each request on the mount means, without the protocol that carries it.
//!
//! Combines the mirror ([`tree`](crate::tree)), the synthesis ([`pycache`](crate::pycache)) and
//! the inode table. Invariants: nothing is written; a real `__pycache__` is masked; what a reply
//! lets the kernel cache is what [`Coherence`](crate::coherence::Coherence) allows.

mod attributes;
mod crowded;
mod directories;
mod files;
mod handles;
mod held;
mod invalidate;
mod lookup;
mod pinned;
mod unmade;
mod unused;
mod watching;
mod xattrs;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

pub use attributes::Attributes;
pub use directories::{Listed, Listing, OpenedDirectory, Part};
pub use files::Opened;
pub use invalidate::{Effect, Kernel, View, first, rest};
pub use lookup::{Found, Looked};
pub use unmade::Use;

use crate::coherence::Coherence;
use crate::inode::{Inode, Table};
use crate::pycache::Synthesis;
use crate::tree::{Dir, Error, Root, RootDir};
use crate::watch::Events;
use crossbeam_channel::Sender;
use directories::{LastListed, Listings};
use files::LastPyc;
use handles::Handles;
use held::Held;
use parking_lot::RwLock;
use pinned::Pinned;
use unmade::Unmade;
use watching::Covered;

/// The name of the directory that is synthesized.
pub const CACHE_DIRECTORY: &str = "__pycache__";

/// So many forgotten inodes are some 100 KB, and keep more pages than that from being given back.
const LEAST_TO_GIVE_BACK: usize = 1024;

/// The mounted view of one source tree.
pub struct Operations {
    root: Root,
    inodes: Table,
    handles: Handles,
    pinned: Pinned,
    held: Held,
    listings: Listings,
    last_listed: LastListed,
    unmade: Unmade,
    last_pyc: LastPyc,
    /// When the kernel first asked for the root's attributes.
    root_asked: OnceLock<Instant>,
    events: Option<Arc<Events>>,
    /// The root whose events are followed.
    covered: RwLock<Option<Covered>>,
    synthesis: Arc<Synthesis>,
    coherence: Coherence,
    looked_up: AtomicU64,
    /// Told when the kernel holds many, or files are at hand that are to be let go.
    crowded: RwLock<Option<Sender<()>>>,
    /// Whether that was told of files at hand.
    any_kept: AtomicBool,
    /// Inodes that were forgotten since memory was last given back.
    forgotten: AtomicUsize,
    /// Where the mount itself lies beneath the source, relative to it: not entered.
    own: Option<OsString>,
    /// Processes that must never wait for the synthesis: the compiler's own workers.
    workers: Box<dyn Fn(u32) -> bool + Send + Sync>,
}

/// An answer with how long the kernel may use it without asking.
#[derive(Clone, Copy, Debug)]
pub struct Cached<T> {
    /// The answer.
    pub value: T,
    /// How long it may be used.
    pub ttl: Duration,
}

/// How many files that were found but now are kept until they are opened, where opening is asked.
const BUT_NOW: u64 = 64;

impl Operations {
    /// The view of `root`. `own` is the mount's own place beneath the source, if it has one;
    /// `workers` tells the compiler's processes by their thread ids.
    pub fn new(
        root: Root,
        synthesis: Arc<Synthesis>,
        coherence: Coherence,
        events: Option<Arc<Events>>,
        own: Option<OsString>,
        workers: impl Fn(u32) -> bool + Send + Sync + 'static,
    ) -> Operations {
        let inodes = Table::new(root.held().attr().identity, events.clone());
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let operations = Operations {
            root,
            inodes,
            handles: Handles::default(),
            pinned: Pinned::new(match coherence.opens_unasked() {
                // Half of the descriptors stay for everything else.
                true => limit.unwrap_or(u64::MAX) / 2,
                false => BUT_NOW,
            }),
            held: Held::default(),
            listings: Listings::default(),
            last_listed: LastListed::default(),
            unmade: Unmade::default(),
            last_pyc: LastPyc::default(),
            root_asked: OnceLock::new(),
            events,
            covered: RwLock::default(),
            synthesis,
            coherence,
            looked_up: AtomicU64::new(1),
            crowded: RwLock::default(),
            any_kept: AtomicBool::new(false),
            forgotten: AtomicUsize::new(0),
            own,
            workers: Box::new(workers),
        };
        operations.cover_root(&operations.root.held());
        operations
    }

    /// The synthesis behind this view.
    pub fn synthesis(&self) -> &Arc<Synthesis> {
        &self.synthesis
    }

    /// The real tree's root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Inodes that the kernel holds.
    pub fn inodes(&self) -> usize {
        self.inodes.len()
    }

    /// Open files and directories; where the kernel opens without asking, files held at hand.
    pub fn open_handles(&self) -> usize {
        let pinned = match self.coherence.opens_unasked() {
            true => self.pinned.len(),
            false => 0,
        };
        self.handles.len() + pinned
    }

    /// How the mount stays fresh.
    pub fn coherence(&self) -> &Coherence {
        &self.coherence
    }

    /// The kernel dropped `count` references to an inode.
    pub fn forget(&self, inode: u64, count: u64) {
        let mut pin = None;
        // At once: the number may be found again, and its file be kept, as soon as it is free.
        let take = || pin = self.pinned.take(inode);
        if !self.inodes.forget(inode, count, take) {
            return;
        }
        drop(pin);
        // When so many are gone that it is worth looking for what they leave.
        let forgotten = self.forgotten.fetch_add(1, Relaxed) + 1;
        if forgotten >= LEAST_TO_GIVE_BACK.max(self.inodes.len() / 2) {
            self.forgotten.store(0, Relaxed);
            crate::sys::memory::give_back();
        }
    }

    fn inode(&self, number: u64) -> Result<Arc<Inode>, Error> {
        self.inodes.get(number).ok_or_else(Error::stale)
    }

    /// The real directory behind an inode, if it still is at its place.
    fn directory(&self, root: &RootDir, inode: &Inode) -> Result<(Dir, OsString), Error> {
        let real = inode.real().ok_or_else(Error::stale)?;
        let path = inode.path().ok_or_else(Error::stale)?;
        if path.is_empty() {
            return Ok((Dir::open(root, &path)?, path));
        }
        let identity = real.lock().identity;
        Ok((Dir::open_known(root, &path, &identity)?, path))
    }

    /// The real directory that holds an inode, and the inode's name in it. `None` for the root.
    fn place(&self, root: &RootDir, inode: &Inode) -> Result<Option<(Dir, OsString)>, Error> {
        let real = inode.real().ok_or_else(Error::stale)?;
        let Some(place) = real.lock().place.clone() else {
            return Ok(None);
        };
        let (dir, _) = self.directory(root, &place.parent)?;
        Ok(Some((dir, place.name)))
    }

    /// Whether this is the mount's own place beneath the source.
    fn is_own(&self, path: &OsStr, name: &OsStr) -> bool {
        self.own.as_ref().is_some_and(|own| {
            own.as_bytes().ends_with(name.as_bytes())
                && *own == crate::tree::symlink::join(path, name)
        })
    }
}
