//! Files: open, read, seek, symlink targets.

use rustix::fs::SeekFrom;
use rustix::io::Errno;

use super::Operations;
use super::handles::Handle;
use crate::inode::{Body, Inode};
use crate::tree::{Attr, Error, Time};

/// An opened file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The handle for reads.
    pub handle: u64,
    /// Whether the pages the kernel has of it are still its content.
    pub keep_cache: bool,
}

impl Operations {
    /// Opens a file for reading. Writing is refused by the kernel (the mount is read-only).
    pub fn open(&self, number: u64) -> Result<Opened, Error> {
        let inode = self.inode(number)?;
        match &inode.body {
            Body::Pyc(pyc) => {
                let pyc = pyc.read().clone();
                // Without the bytes the reader walks again and finds the entry made or absent.
                let bytes = self.synthesis.bytes(&pyc).ok_or_else(Error::stale)?;
                Ok(Opened {
                    handle: self.handles.add(Handle::Pyc(bytes)),
                    keep_cache: true,
                })
            }
            Body::Real(_) => self.open_real(&inode),
            Body::CacheDirectory(_) => Err(Error::new("open file", Errno::ISDIR)),
        }
    }

    fn open_real(&self, inode: &Inode) -> Result<Opened, Error> {
        let root = self.root.current();
        let Some((dir, name)) = self.place(&root, inode)? else {
            return Err(Error::new("open file", Errno::ISDIR));
        };
        let now = Time::now();
        let file = dir.open_file(&name).map_err(|error| match error.errno {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP => Error::stale(),
            _ => error,
        })?;
        let real = inode.real().ok_or_else(Error::stale)?;
        let mut real = real.lock();
        if file.attr().identity != real.identity {
            return Err(Error::stale());
        }
        let keep_cache = real
            .opened
            .as_ref()
            .is_some_and(|attr| attr.same_version(file.attr()));
        let settled = !file.attr().is_recent(now);
        real.opened = settled.then(|| Box::<Attr>::new(*file.attr()));
        drop(real);
        Ok(Opened {
            handle: self.handles.add(Handle::File(file)),
            keep_cache,
        })
    }

    /// Reads up to `size` bytes at `offset` into `buffer`, which is cleared first.
    pub fn read(
        &self,
        handle: u64,
        offset: u64,
        size: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Error> {
        buffer.clear();
        let handle = self
            .handles
            .get(handle)
            .ok_or(Error::new("read", Errno::BADF))?;
        let size = size as usize;
        match handle.as_ref() {
            Handle::File(file) => {
                buffer.resize(size, 0);
                let count = file.read_at(buffer, offset)?;
                buffer.truncate(count);
                Ok(())
            }
            Handle::Pyc(bytes) => {
                let start = usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                let end = start.saturating_add(size).min(bytes.len());
                buffer.extend_from_slice(bytes.get(start..end).unwrap_or_default());
                Ok(())
            }
            Handle::Directory(_) => Err(Error::new("read", Errno::ISDIR)),
        }
    }

    /// Finds data or a hole in a file (`SEEK_DATA`, `SEEK_HOLE`); other positions are the kernel's.
    pub fn seek(&self, handle: u64, offset: i64, hole: bool) -> Result<i64, Error> {
        let fail = |errno| Error::new("seek", errno);
        let handle = self.handles.get(handle).ok_or(fail(Errno::BADF))?;
        let from = u64::try_from(offset).map_err(|_| fail(Errno::NXIO))?;
        let found = match handle.as_ref() {
            Handle::File(file) => {
                let position = if hole {
                    SeekFrom::Hole(from)
                } else {
                    SeekFrom::Data(from)
                };
                rustix::fs::seek(file, position).map_err(fail)?
            }
            Handle::Pyc(bytes) => {
                let end = bytes.len() as u64;
                match (from < end, hole) {
                    (false, _) => return Err(fail(Errno::NXIO)),
                    (true, true) => end,
                    (true, false) => from,
                }
            }
            Handle::Directory(_) => return Err(fail(Errno::INVAL)),
        };
        i64::try_from(found).map_err(|_| fail(Errno::OVERFLOW))
    }

    /// Closes a file or directory.
    pub fn release(&self, handle: u64) {
        self.handles.close(handle);
    }

    /// The target of a symlink, unchanged.
    pub fn readlink(&self, number: u64) -> Result<Vec<u8>, Error> {
        let inode = self.inode(number)?;
        let root = self.root.current();
        let Some((dir, name)) = self.place(&root, &inode)? else {
            return Err(Error::new("readlink", Errno::INVAL));
        };
        dir.readlink(&name).map_err(|error| match error.errno {
            // No longer a symlink, or gone: what is there now is found by walking again.
            Errno::INVAL | Errno::NOENT | Errno::NOTDIR => Error::stale(),
            _ => error,
        })
    }

    /// The figures of the source's filesystem.
    pub fn statfs(&self) -> Result<rustix::fs::StatVfs, Error> {
        let root = self.root.current();
        rustix::fs::fstatvfs(&*root).map_err(|errno| Error::new("statfs", errno))
    }
}
