//! Directories: their entries, with `__pycache__` put in and the real one masked.

use parking_lot::Mutex;
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::sync::Arc;

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

impl Operations {
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
