//! Attributes as the mount shows them.

use std::time::{Duration, Instant};

use super::{Cached, Operations};
use crate::coherence::Subject;
use crate::inode::{Body, Inode, ROOT, number};
use crate::pycache::Pyc;
use crate::tree::{Attr, Error, Kind};

/// Attributes with the number the mount shows.
#[derive(Clone, Copy, Debug)]
pub struct Attributes {
    /// The inode number.
    pub number: u64,
    /// Everything else. For what is synthesized: derived from the source or its directory.
    pub attr: Attr,
}

/// Read permission for all.
const READ: u16 = 0o444;
/// Read and search permission for all.
const READ_SEARCH: u16 = 0o555;

impl Attributes {
    /// A file of the real tree, shown as it is.
    pub(super) fn real(number: u64, attr: Attr) -> Attributes {
        Attributes { number, attr }
    }

    /// The `__pycache__` of a directory: its owner, never writable.
    pub(super) fn cache_directory(number: u64, of: &Attr) -> Attributes {
        let attr = Attr {
            perm: of.perm & READ_SEARCH,
            nlink: 2,
            ..*of
        };
        Attributes { number, attr }
    }

    /// A pyc: the source's owner, never more readable than it.
    pub(super) fn pyc(number: u64, pyc: &Pyc) -> Attributes {
        const BLOCK: u64 = 512;
        // One whose code is not made is shown as files are whose size is not known before they are
        // read, as in /proc.
        let size = pyc.size.unwrap_or(0);
        let attr = Attr {
            kind: Kind::File,
            perm: pyc.source.perm & READ,
            nlink: 1,
            size,
            blocks: size.div_ceil(BLOCK),
            ..pyc.source
        };
        Attributes { number, attr }
    }

    /// What they are about, for their lease.
    pub(super) fn subject(&self, body: &Body) -> Subject {
        match body {
            Body::Pyc(_) => Subject::Pyc,
            Body::CacheDirectory(_) => Subject::Directory,
            Body::Real(_) if self.attr.kind == Kind::Directory => Subject::Directory,
            Body::Real(_) => Subject::File,
        }
    }
}

impl Operations {
    /// The attributes of an inode; of the open file if a handle is given.
    pub fn attributes(
        &self,
        number: u64,
        handle: Option<u64>,
    ) -> Result<Cached<Attributes>, Error> {
        let inode = self.inode(number)?;
        if number == ROOT {
            self.root_asked.get_or_init(Instant::now);
        }
        let handle = handle.filter(|_| !self.coherence.opens_unasked());
        let covered = self.covers_attributes(&inode);
        let mut unmade = false;
        let value = match &inode.body {
            Body::Pyc(pyc) => {
                let pyc = pyc.read();
                unmade = pyc.size.is_none();
                Attributes::pyc(number, &pyc)
            }
            Body::CacheDirectory(of) => {
                Attributes::cache_directory(number, &self.real_attr(of, None)?)
            }
            Body::Real(_) => {
                let attr = self.real_attr(&inode, handle)?;
                Attributes::real(self.shown_number(&inode, &attr), attr)
            }
        };
        let ttl = match unmade {
            true => Duration::ZERO,
            false => {
                let subject = value.subject(&inode.body);
                self.coherence.leases(subject, covered).attributes
            }
        };
        Ok(Cached { ttl, value })
    }

    /// The number that is shown for an inode with these attributes: that of the file, if the inode
    /// stands for one version of it.
    pub(super) fn shown_number(&self, inode: &Inode, attr: &Attr) -> u64 {
        match inode.is_versioned() {
            true => number::of_source(attr, self.root.held().attr()),
            false => inode.number,
        }
    }

    /// Whether events tell of each change of an inode's attributes.
    fn covers_attributes(&self, inode: &Inode) -> bool {
        if !self.coherence.watches() {
            return false;
        }
        let root = self.root.held();
        match &inode.body {
            Body::Pyc(_) => false,
            Body::CacheDirectory(of) => self.covers(&root, of),
            Body::Real(real) => {
                let (covered, place) = {
                    let real = real.lock();
                    (real.covered, real.place.clone())
                };
                match place {
                    None => self.covers(&root, inode),
                    Some(place) => {
                        let by_name = self.covers(&root, &place.parent);
                        by_name && (covered || self.pinned.names(inode.number) == Some(1))
                    }
                }
            }
        }
    }

    fn real_attr(&self, inode: &Inode, handle: Option<u64>) -> Result<Attr, Error> {
        if let Some(attr) = handle.and_then(|handle| self.handles.stat(handle)) {
            return attr;
        }
        if let Some(attr) = self.pinned.stat(inode.number) {
            return attr;
        }
        let known = inode.real().ok_or_else(Error::stale)?.lock().identity;
        if let Some(path) = inode.path().filter(|path| !path.is_empty())
            && let Some(attr) = self.root.look_at(&path)
            && attr.identity == known
        {
            return Ok(attr);
        }
        let root = self.root.current();
        let Some((dir, name)) = self.place(&root, inode)? else {
            return Attr::of_fd(&*root);
        };
        let attr = dir.stat(&name).map_err(|_| Error::stale())?;
        if attr.identity == known {
            Ok(attr)
        } else {
            Err(Error::stale())
        }
    }
}
