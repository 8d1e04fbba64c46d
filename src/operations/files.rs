//! Files: open, read, seek, symlink targets.

use parking_lot::Mutex;
use rustix::fs::SeekFrom;
use rustix::io::Errno;
use std::sync::{Arc, OnceLock};

use super::Operations;
use super::handles::Handle;
use crate::inode::{Body, Inode};
use crate::pycache::Pyc;
use crate::tree::{Attr, Error, SourceFile, Time};

/// An opened file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The handle for reads.
    pub handle: u64,
    /// Whether the pages the kernel has of it are still its content.
    pub keep_cache: bool,
    /// Whether reads are to pass by the kernel's pages and what it believes of the size: of two
    /// answers that cross on their way to the kernel it may keep the older.
    pub direct: bool,
}

/// So many bytes of a file the kernel asks for at once.
const ONE_REQUEST: u64 = 128 * 1024;

/// The bytes of the pyc that was read last, where the kernel asks by inode.
#[derive(Default)]
pub(super) struct LastPyc {
    held: Mutex<Option<(u64, Arc<Vec<u8>>)>>,
}

impl Operations {
    /// Opens a file for reading. Writing is refused by the kernel (the mount is read-only).
    pub fn open(&self, number: u64) -> Result<Opened, Error> {
        let inode = self.inode(number)?;
        match &inode.body {
            Body::Pyc(pyc) => {
                let pyc = pyc.read().clone();
                Ok(Opened {
                    handle: self.handles.add(Handle::Pyc(pyc, OnceLock::new())),
                    keep_cache: true,
                    direct: false,
                })
            }
            Body::Real(_) => match self.open_real(&inode) {
                Err(error) if error.errno == Errno::STALE => self.open_replaced(number, error),
                opened => opened,
            },
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
            handle: self.handles.add(Handle::File(Arc::new(file))),
            keep_cache,
            direct: !settled,
        })
    }

    /// Opens a file that lost its name between look-up and open, if it was found but now: the
    /// kernel walks again only once, and a busy writer may be faster twice.
    fn open_replaced(&self, number: u64, error: Error) -> Result<Opened, Error> {
        let file = self.pinned.open(number).ok_or(error)??;
        Ok(Opened {
            handle: self.handles.add(Handle::File(file)),
            keep_cache: false,
            direct: true,
        })
    }

    /// Reads up to `size` bytes at `offset` of an inode into `buffer`, which is cleared first: for
    /// kernels that open without asking.
    pub fn read_inode(
        &self,
        number: u64,
        offset: u64,
        size: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Error> {
        buffer.clear();
        let inode = self.inode(number)?;
        inode.note_pages();
        match &inode.body {
            Body::Real(_) => {
                let file = self.at_hand(&inode)?;
                buffer.resize(size as usize, 0);
                let count = file.read_at(buffer, offset)?;
                buffer.truncate(count);
                Ok(())
            }
            Body::Pyc(pyc) => {
                let pyc = pyc.read().clone();
                let bytes = self.last_pyc(number, &pyc)?;
                let start = usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                let end = start.saturating_add(size as usize).min(bytes.len());
                buffer.extend_from_slice(bytes.get(start..end).unwrap_or_default());
                Ok(())
            }
            Body::CacheDirectory(_) => Err(Error::new("read", Errno::ISDIR)),
        }
    }

    /// The whole content of a pyc that one request takes, if the kernel was given none of it before.
    /// It counts as given then.
    pub fn unread_pyc(&self, number: u64) -> Option<Arc<Vec<u8>>> {
        let inode = self.inode(number).ok()?;
        let Body::Pyc(pyc) = &inode.body else {
            return None;
        };
        if inode.has_pages() {
            return None;
        }
        let pyc = pyc.read().clone();
        if pyc.size? > ONE_REQUEST {
            return None;
        }
        inode.note_pages();
        self.last_pyc(number, &pyc).ok()
    }

    /// The file behind an inode: the very one that was looked up, if it is at hand still.
    fn at_hand(&self, inode: &Inode) -> Result<Arc<SourceFile>, Error> {
        if let Some(file) = self.pinned.open(inode.number) {
            return file;
        }
        let root = self.root.held();
        let Some((dir, name)) = self.place(&root, inode)? else {
            return Err(Error::new("read", Errno::ISDIR));
        };
        let file = dir.open_file(&name)?;
        let known = inode.real().ok_or_else(Error::stale)?.lock().identity;
        if file.attr().identity != known {
            return Err(Error::stale());
        }
        let file = Arc::new(file);
        let kept = self.kept(inode);
        self.pinned.put(inode.number, Arc::clone(&file), kept);
        Ok(file)
    }

    fn last_pyc(&self, number: u64, pyc: &Pyc) -> Result<Arc<Vec<u8>>, Error> {
        let held = self.last_pyc.held.lock().clone();
        if let Some((_, bytes)) = held.filter(|(last, _)| *last == number) {
            return Ok(bytes);
        }
        let bytes = Arc::new(self.synthesis.bytes(pyc).ok_or_else(Error::stale)?);
        // One that one request takes whole is not asked for again: the kernel keeps its pages.
        if bytes.len() as u64 > ONE_REQUEST {
            *self.last_pyc.held.lock() = Some((number, Arc::clone(&bytes)));
        }
        Ok(bytes)
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
            Handle::Pyc(pyc, bytes) => {
                let bytes = self.pyc_bytes(pyc, bytes)?;
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

    /// The bytes of an open pyc. When no cache holds the code any more, `ESTALE`: a reader that
    /// opens it again has it compiled again, and an interpreter compiles for itself.
    fn pyc_bytes<'a>(&self, pyc: &Pyc, bytes: &'a OnceLock<Vec<u8>>) -> Result<&'a [u8], Error> {
        if let Some(bytes) = bytes.get() {
            return Ok(bytes);
        }
        let found = self.synthesis.bytes(pyc).ok_or_else(Error::stale)?;
        Ok(bytes.get_or_init(|| found))
    }

    /// Finds data or a hole in a file (`SEEK_DATA`, `SEEK_HOLE`); other positions are the kernel's.
    pub fn seek(&self, handle: u64, offset: i64, hole: bool) -> Result<i64, Error> {
        let handle = self
            .handles
            .get(handle)
            .ok_or(Error::new("seek", Errno::BADF))?;
        seek(&handle, offset, hole)
    }

    /// As [`Operations::seek`], of an inode.
    pub fn seek_inode(&self, number: u64, offset: i64, hole: bool) -> Result<i64, Error> {
        let inode = self.inode(number)?;
        let handle = match &inode.body {
            Body::Real(_) => Handle::File(self.at_hand(&inode)?),
            Body::Pyc(pyc) => Handle::Pyc(pyc.read().clone(), OnceLock::new()),
            Body::CacheDirectory(_) => return Err(Error::new("seek", Errno::INVAL)),
        };
        seek(&handle, offset, hole)
    }

    /// Closes a file or directory.
    pub fn release(&self, handle: u64) {
        self.handles.close(handle);
    }

    /// The target of a symlink, unchanged.
    pub fn readlink(&self, number: u64) -> Result<Vec<u8>, Error> {
        let inode = self.inode(number)?;
        inode.note_pages();
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

/// Finds data or a hole.
fn seek(handle: &Handle, offset: i64, hole: bool) -> Result<i64, Error> {
    let fail = |errno| Error::new("seek", errno);
    let from = u64::try_from(offset).map_err(|_| fail(Errno::NXIO))?;
    let found = match handle {
        Handle::File(file) => {
            let position = if hole {
                SeekFrom::Hole(from)
            } else {
                SeekFrom::Data(from)
            };
            rustix::fs::seek(file, position).map_err(fail)?
        }
        Handle::Pyc(pyc, _) => {
            let end = pyc.size.unwrap_or(0);
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
