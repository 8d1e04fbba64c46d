//! Directories: their entries, with `__pycache__` put in and the real one masked.

use hashlink::LruCache;
use parking_lot::Mutex;
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::handles::{Handle, OpenDirectory};
use super::{CACHE_DIRECTORY, Operations};
use crate::inode::{Body, Inode, number};
use crate::pyc::CacheName;
use crate::tree::{self, Attr, Dir, Error, Kind};

/// One entry of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    /// The inode number shown.
    pub number: u64,
    /// The kind of file.
    pub kind: Kind,
    /// The name.
    pub name: &'a OsStr,
}

/// The entries of a directory, in order; their names lie one after the other.
#[derive(Debug, Default)]
pub struct Listing {
    names: Vec<u8>,
    /// Number, kind, and where the name ends.
    entries: Vec<(u64, Kind, usize)>,
}

impl Listing {
    /// Room for what most directories hold.
    fn with_room() -> Listing {
        const NAMES: usize = 2048;
        const ENTRIES: usize = 128;
        Listing {
            names: Vec::with_capacity(NAMES),
            entries: Vec::with_capacity(ENTRIES),
        }
    }

    fn push(&mut self, number: u64, kind: Kind, name: impl AsRef<OsStr>) {
        self.names.extend_from_slice(name.as_ref().as_bytes());
        self.entries.push((number, kind, self.names.len()));
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = Listed<'_>> {
        self.iter_from(0)
    }

    /// The entries but the first `skipped` ones.
    pub fn iter_from(&self, skipped: usize) -> impl Iterator<Item = Listed<'_>> {
        let before = skipped
            .checked_sub(1)
            .and_then(|last| self.entries.get(last));
        let mut start = before.map_or(0, |(_, _, end)| *end);
        let rest = self.entries.get(skipped..).unwrap_or_default();
        rest.iter().map(move |&(number, kind, end)| {
            let name = self.names.get(start..end).unwrap_or_default();
            start = end;
            let name = OsStr::from_bytes(name);
            Listed { number, kind, name }
        })
    }
}

/// Listings that are being read, where the kernel asks by inode: one that began with a version of
/// a directory goes on with it. The upper half of an offset says which.
pub(super) struct Listings {
    listings: Mutex<LruCache<u32, Arc<Listing>>>,
    last: AtomicU32,
}

impl Default for Listings {
    fn default() -> Listings {
        const READ_AT_ONCE: usize = 32;
        Listings {
            listings: Mutex::new(LruCache::new(READ_AT_ONCE)),
            last: AtomicU32::new(0),
        }
    }
}

/// Directories that were listed last: who lists a whole tree asks for what is in a `__pycache__`
/// soon after. Valid while the directory's version is the same.
pub(super) struct LastListed {
    listings: Mutex<LruCache<u64, Known>>,
}

/// The listing of one version of a directory.
struct Known {
    version: Box<Attr>,
    listing: Arc<Listing>,
}

impl Default for LastListed {
    fn default() -> LastListed {
        const KEPT: usize = 16;
        LastListed {
            listings: Mutex::new(LruCache::new(KEPT)),
        }
    }
}

impl LastListed {
    /// What is larger is read again.
    const LARGEST: usize = 4096;

    /// Keeps the listing of a directory that had these attributes when `now` was taken, before it
    /// was read.
    fn keep(&self, number: u64, attr: &Attr, now: tree::Time, listing: &Arc<Listing>) {
        if listing.len() <= LastListed::LARGEST && !attr.is_recent(now) {
            let known = Known {
                version: Box::new(*attr),
                listing: Arc::clone(listing),
            };
            self.listings.lock().insert(number, known);
        }
    }

    /// The listing of a directory that has these attributes now.
    fn get(&self, number: u64, attr: &Attr) -> Option<Arc<Listing>> {
        let mut listings = self.listings.lock();
        let known = listings.get(&number)?;
        (known.version.same_version(attr)).then(|| Arc::clone(&known.listing))
    }
}

/// A directory that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenedDirectory {
    /// The handle for reading its entries.
    pub handle: u64,
    /// Whether the kernel may keep the entries: it was changed so long ago that another change is
    /// certain to show in its times, which the kernel compares.
    pub may_cache: bool,
    /// Whether what the kernel has of them is still what there is.
    pub keep_cache: bool,
}

/// A part of a listing.
pub struct Part {
    /// The whole listing.
    pub entries: Arc<Listing>,
    /// The entries before it.
    pub skipped: usize,
    /// The offset of the entry with this index is `base + index`.
    pub base: u64,
}

impl Listings {
    /// An offset has 63 bits.
    const NUMBERS: u32 = 0x7fff_ffff;
    const SHIFT: u32 = 32;

    fn begin(&self, entries: Arc<Listing>) -> Part {
        let number = self.last.fetch_add(1, Relaxed) % Listings::NUMBERS + 1;
        self.listings.lock().insert(number, Arc::clone(&entries));
        Part {
            entries,
            skipped: 0,
            base: u64::from(number) << Listings::SHIFT,
        }
    }

    /// The rest of a listing; it is dropped when its end was reached.
    fn resume(&self, offset: u64) -> Option<Part> {
        let number = u32::try_from(offset >> Listings::SHIFT).ok()?;
        let skipped = usize::try_from(offset & u64::from(u32::MAX)).ok()?;
        let mut listings = self.listings.lock();
        let entries = listings.get(&number).map(Arc::clone)?;
        if skipped >= entries.len() {
            listings.remove(&number);
        }
        Some(Part {
            entries,
            skipped,
            base: u64::from(number) << Listings::SHIFT,
        })
    }
}

impl Operations {
    /// The entries of a directory from an offset on: for kernels that open without asking.
    pub fn entries_from(&self, number: u64, offset: u64) -> Result<Part, Error> {
        if offset != 0
            && let Some(part) = self.listings.resume(offset)
        {
            return Ok(part);
        }
        self.inode(number)?.note_pages();
        let entries = self.list(number, None)?;
        let mut part = self.listings.begin(entries);
        // One that was dropped meanwhile goes on at the same place of a new one.
        part.skipped = usize::try_from(offset & u64::from(u32::MAX)).unwrap_or(usize::MAX);
        Ok(part)
    }

    /// Opens a directory for listing.
    pub fn open_directory(&self, number: u64) -> Result<OpenedDirectory, Error> {
        let inode = self.inode(number)?;
        let now = tree::Time::now();
        let (opened, of_source) = match &inode.body {
            Body::Real(_) => (self.directory_now(&inode)?.1, true),
            Body::CacheDirectory(of) => (self.directory_now(of)?.1, false),
            Body::Pyc(_) => return Err(Error::new("open directory", Errno::NOTDIR)),
        };
        // What a `__pycache__` lists depends on the versions in use, too.
        let may_cache = of_source && !opened.attr().is_recent(now);
        let keep_cache = may_cache
            && inode.real().is_some_and(|real| {
                let real = real.lock();
                let listed = real.opened.as_ref();
                listed.is_some_and(|listed| listed.same_version(opened.attr()))
            });
        let directory = OpenDirectory {
            opened: Some(opened),
            may_cache,
            listing: None,
        };
        Ok(OpenedDirectory {
            handle: self.handles.add(Handle::Directory(Mutex::new(directory))),
            may_cache,
            keep_cache,
        })
    }

    /// The entries of an open directory. They are read anew when `rewind` is set (offset 0), else
    /// they are those of the last time.
    pub fn entries(&self, number: u64, handle: u64, rewind: bool) -> Result<Arc<Listing>, Error> {
        let handle = self
            .handles
            .get(handle)
            .ok_or(Error::new("list", Errno::BADF))?;
        let Handle::Directory(held) = handle.as_ref() else {
            return Err(Error::new("list", Errno::NOTDIR));
        };
        let (opened, may_cache) = {
            let mut held = held.lock();
            if let Some(listing) = held.listing.as_ref().filter(|_| !rewind) {
                return Ok(Arc::clone(listing));
            }
            (held.opened.take(), held.may_cache)
        };
        // Before it is read: a change meanwhile makes it another version.
        let version = opened.as_ref().map(|opened| *opened.attr());
        let listing = self.list(number, opened)?;
        if may_cache && let Some(real) = self.inode(number)?.real() {
            // One that is read again with the same handle is of a version that nobody has looked at.
            real.lock().opened = version.map(Box::new);
        }
        held.lock().listing = Some(Arc::clone(&listing));
        Ok(listing)
    }

    /// Lists a directory; `opened` is the real one if it is open already.
    fn list(&self, number: u64, opened: Option<Dir>) -> Result<Arc<Listing>, Error> {
        let inode = self.inode(number)?;
        match &inode.body {
            Body::Real(_) => self.list_real(&inode, opened),
            Body::CacheDirectory(of) => self.list_cache(number, of, opened).map(Arc::new),
            Body::Pyc(_) => Err(Error::new("list", Errno::NOTDIR)),
        }
    }

    fn list_real(&self, inode: &Arc<Inode>, opened: Option<Dir>) -> Result<Arc<Listing>, Error> {
        let root = self.root.current();
        let now = tree::Time::now();
        let (dir, path) = match opened {
            Some(dir) => (dir, inode.path().unwrap_or_default()),
            None => {
                let (dir, path, _) = self.covered_directory(&root, inode)?;
                (dir, path)
            }
        };
        let parent = match inode.real().and_then(|real| real.lock().place.clone()) {
            Some(place) => place.parent.number,
            None => inode.number,
        };
        let mut listing = Listing::with_room();
        listing.push(inode.number, Kind::Directory, ".");
        listing.push(parent, Kind::Directory, "..");
        let mut sources = false;
        let home = dir.attr().identity.dev == root.attr().identity.dev
            && dir.attr().mount == root.attr().mount;
        tree::list(&dir, |entry| {
            sources |= entry.source_stem().is_some();
            let masked = entry.name == CACHE_DIRECTORY || self.is_own(&path, entry.name);
            let kind = match entry.kind {
                _ if masked => None,
                Some(kind) => Some(kind),
                None => dir.stat(entry.name).ok().map(|attr| attr.kind),
            };
            if let Some(kind) = kind {
                let number = number::listed(entry.ino, home, dir.attr());
                listing.push(number, kind, entry.name);
            }
            true
        })?;
        self.note_sources(inode, &dir, now, sources);
        if sources {
            let number = number::of_cache_directory(inode.number);
            listing.push(number, Kind::Directory, CACHE_DIRECTORY);
        }
        let listing = Arc::new(listing);
        if sources {
            self.last_listed
                .keep(inode.number, dir.attr(), now, &listing);
        }
        Ok(listing)
    }

    /// The entries of a `__pycache__`: one for each source and each target in use. Nothing is
    /// read or compiled for it.
    fn list_cache(
        &self,
        number: u64,
        of: &Arc<Inode>,
        opened: Option<Dir>,
    ) -> Result<Listing, Error> {
        self.unmade.note_listing(number);
        let dir = match opened {
            Some(dir) => dir,
            None => self.covered_directory(&self.root.current(), of)?.0,
        };
        let suffix = |(target, level)| CacheName {
            stem: Vec::new(),
            target,
            level,
        };
        let in_use = self.synthesis.in_use().into_iter();
        let suffixes: Vec<Vec<u8>> = in_use.map(|pair| suffix(pair).file_name()).collect();
        let mut name = Vec::new();
        let mut listing = Listing::with_room();
        listing.push(number, Kind::Directory, ".");
        listing.push(of.number, Kind::Directory, "..");
        let mut push = |stem: Option<&[u8]>| {
            for (stem, suffix) in stem
                .iter()
                .flat_map(|stem| suffixes.iter().map(|suffix| (*stem, suffix)))
            {
                name.clear();
                name.extend_from_slice(stem);
                name.extend_from_slice(suffix);
                let number = number::of_listed_pyc(number, &name);
                listing.push(number, Kind::File, OsStr::from_bytes(&name));
            }
        };
        match self.last_listed.get(of.number, dir.attr()) {
            Some(listed) => (listed.iter())
                .for_each(|entry| push(tree::source_stem(entry.name, Some(entry.kind)))),
            None => tree::list(&dir, |entry| {
                push(entry.source_stem());
                true
            })?,
        }
        Ok(listing)
    }
}
