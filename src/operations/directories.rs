//! Directories: their entries, with `__pycache__` put in and the real one masked.

use hashlink::LruCache;
use parking_lot::Mutex;
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::handles::Handle;
use super::{CACHE_DIRECTORY, Operations};
use crate::inode::{Body, Inode, number};
use crate::pyc::CacheName;
use crate::tree::{self, Error, Kind};

/// One entry of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The inode number shown.
    pub number: u64,
    /// The kind of file.
    pub kind: Kind,
    /// The name.
    pub name: OsString,
}

/// Listings that are being read, where the kernel asks by inode: one that began with a version of
/// a directory goes on with it. The upper half of an offset says which.
pub(super) struct Listings {
    listings: Mutex<LruCache<u32, Arc<Vec<Listed>>>>,
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

/// A part of a listing.
pub struct Part {
    /// The whole listing.
    pub entries: Arc<Vec<Listed>>,
    /// The entries before it.
    pub skipped: usize,
    /// The offset of the entry with this index is `base + index`.
    pub base: u64,
}

impl Listings {
    /// An offset has 63 bits.
    const NUMBERS: u32 = 0x7fff_ffff;
    const SHIFT: u32 = 32;

    fn begin(&self, entries: Arc<Vec<Listed>>) -> Part {
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
        let entries = Arc::new(self.list(number)?);
        let mut part = self.listings.begin(entries);
        // One that was dropped meanwhile goes on at the same place of a new one.
        part.skipped = usize::try_from(offset & u64::from(u32::MAX)).unwrap_or(usize::MAX);
        Ok(part)
    }

    /// Opens a directory for listing.
    pub fn open_directory(&self, number: u64) -> Result<u64, Error> {
        let inode = self.inode(number)?;
        let root = self.root.current();
        match &inode.body {
            Body::Real(_) => self.directory(&root, &inode)?,
            Body::CacheDirectory(of) => self.directory(&root, of)?,
            Body::Pyc(_) => return Err(Error::new("open directory", Errno::NOTDIR)),
        };
        Ok(self.handles.add(Handle::Directory(Mutex::new(None))))
    }

    /// The entries of an open directory. They are read anew when `rewind` is set (offset 0), else
    /// they are those of the last time.
    pub fn entries(
        &self,
        number: u64,
        handle: u64,
        rewind: bool,
    ) -> Result<Arc<Vec<Listed>>, Error> {
        let handle = self
            .handles
            .get(handle)
            .ok_or(Error::new("list", Errno::BADF))?;
        let Handle::Directory(held) = handle.as_ref() else {
            return Err(Error::new("list", Errno::NOTDIR));
        };
        if let Some(entries) = held.lock().as_ref().filter(|_| !rewind) {
            return Ok(Arc::clone(entries));
        }
        let entries = Arc::new(self.list(number)?);
        *held.lock() = Some(Arc::clone(&entries));
        Ok(entries)
    }

    fn list(&self, number: u64) -> Result<Vec<Listed>, Error> {
        let inode = self.inode(number)?;
        match &inode.body {
            Body::Real(_) => self.list_real(&inode),
            Body::CacheDirectory(of) => self.list_cache(number, of),
            Body::Pyc(_) => Err(Error::new("list", Errno::NOTDIR)),
        }
    }

    fn list_real(&self, inode: &Arc<Inode>) -> Result<Vec<Listed>, Error> {
        let root = self.root.current();
        let (dir, path) = self.directory(&root, inode)?;
        let found = tree::list(&dir)?;
        let mut listed = Vec::with_capacity(found.len() + 3);
        let parent = match inode.real().and_then(|real| real.lock().place.clone()) {
            Some(place) => place.parent.number,
            None => inode.number,
        };
        listed.push(directory(inode.number, "."));
        listed.push(directory(parent, ".."));
        let mut sources = false;
        let home = dir.attr().identity.dev == root.attr().identity.dev
            && dir.attr().mount == root.attr().mount;
        for entry in found {
            sources |= tree::is_source(&entry);
            if entry.name == CACHE_DIRECTORY || self.is_own(&path, &entry.name) {
                continue;
            }
            let kind = match entry.kind {
                Some(kind) => kind,
                None => match dir.stat(&entry.name) {
                    Ok(attr) => attr.kind,
                    Err(_) => continue,
                },
            };
            listed.push(Listed {
                number: number::listed(entry.ino, home, dir.attr()),
                kind,
                name: entry.name,
            });
        }
        if sources {
            listed.push(directory(
                number::of_cache_directory(inode.number),
                CACHE_DIRECTORY,
            ));
        }
        Ok(listed)
    }

    /// The entries of a `__pycache__`: one for each source and each target in use. Nothing is
    /// read or compiled for it.
    fn list_cache(&self, number: u64, of: &Arc<Inode>) -> Result<Vec<Listed>, Error> {
        let root = self.root.current();
        let (dir, _) = self.directory(&root, of)?;
        let in_use = self.synthesis.in_use();
        let mut listed = vec![directory(number, "."), directory(of.number, "..")];
        for entry in tree::list(&dir)?
            .iter()
            .filter(|entry| tree::is_source(entry))
        {
            let Some(stem) = entry.name.as_bytes().strip_suffix(b".py") else {
                continue;
            };
            for (target, level) in &in_use {
                let name = CacheName {
                    stem: stem.to_vec(),
                    target: *target,
                    level: *level,
                };
                let name = name.file_name();
                listed.push(Listed {
                    number: number::of_listed_pyc(number, &name),
                    kind: Kind::File,
                    name: OsString::from_vec(name),
                });
            }
        }
        Ok(listed)
    }
}

fn directory(number: u64, name: impl AsRef<OsStr>) -> Listed {
    Listed {
        number,
        kind: Kind::Directory,
        name: name.as_ref().to_owned(),
    }
}
