//! Opening directories and files beneath the root.
//!
//! Invariant: a path is resolved with `openat2` beneath the root's descriptor, without symlinks
//! and magic links; a [`Dir`] or [`SourceFile`] can only come from such a walk.

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::attr::{Attr, Identity, Kind};
use super::error::{Doing, Error, patiently};

/// The kernel takes paths of up to 4,095 bytes in one call; deeper trees are walked in pieces.
const MAX_WALK: usize = 4000;

const BENEATH: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_SYMLINKS);

/// A directory of the real tree, open for walking (`O_PATH`).
#[derive(Clone, Debug)]
pub struct Dir {
    fd: Arc<OwnedFd>,
    attr: Attr,
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Dir {
    /// Opens the directory at `path` (relative, `/`-separated, empty for the root itself).
    pub fn open(root: impl AsFd, path: &OsStr) -> Result<Dir, Error> {
        let fd = walk(root.as_fd(), path, OFlags::PATH | OFlags::DIRECTORY)?;
        let attr = Attr::of_fd(&fd)?;
        let fd = Arc::new(fd);
        Ok(Dir { fd, attr })
    }

    /// As [`Dir::open`], and [`Error::stale`] unless what is there is the expected directory.
    pub fn open_known(root: impl AsFd, path: &OsStr, known: &Identity) -> Result<Dir, Error> {
        let dir = Dir::open(root, path).map_err(|error| match error.errno {
            // The way there is gone, was replaced by a symlink or file, or became one of those.
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV => Error::stale(),
            _ => error,
        })?;
        if dir.attr.identity == *known {
            Ok(dir)
        } else {
            Err(Error::stale())
        }
    }

    /// The directory's attributes at the time it was opened, or those that [`Dir::with`] was given.
    pub fn attr(&self) -> &Attr {
        &self.attr
    }

    /// The same directory with attributes that were found elsewhere: they must be its own.
    pub fn with(self, attr: Attr) -> Dir {
        Dir { attr, ..self }
    }

    /// The attributes of one name in it, symlinks not followed.
    pub fn stat(&self, name: &OsStr) -> Result<Attr, Error> {
        Attr::of_name(&self.fd, name)
    }

    /// Finds one name in it, symlinks not followed: what was found can be opened or stat-ed later,
    /// whatever becomes of the name.
    pub fn find(&self, name: &OsStr) -> Result<Found, Error> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let fd = open_one(self.as_fd(), name, flags, ResolveFlags::empty())?;
        let attr = Attr::of_fd(&fd)?;
        Ok(Found { fd, attr })
    }

    /// The target of a symlink, unchanged.
    pub fn readlink(&self, name: &OsStr) -> Result<Vec<u8>, Error> {
        let target =
            patiently(|| rustix::fs::readlinkat(&self.fd, name, Vec::new())).doing("readlink")?;
        Ok(target.into_bytes())
    }

    /// Opens this directory for reading its entries.
    pub fn reopen_for_listing(&self) -> Result<OwnedFd, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        patiently(|| rustix::fs::openat(&self.fd, c".", flags, Mode::empty()))
            .doing("open directory")
    }

    /// Opens a regular file in it for reading, symlinks not followed. A file of another kind is
    /// refused before it is opened (opening a FIFO or device has effects).
    pub fn open_file(&self, name: &OsStr) -> Result<SourceFile, Error> {
        SourceFile::open(self.as_fd(), name, BENEATH)
    }
}

/// A file of the real tree of any kind, found and not opened (`O_PATH`).
#[derive(Debug)]
pub struct Found {
    fd: OwnedFd,
    attr: Attr,
}

impl AsFd for Found {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Found {
    /// What was found, if it is a directory.
    pub fn into_directory(self) -> Option<Dir> {
        let Found { fd, attr } = self;
        let fd = (attr.kind == Kind::Directory).then(|| Arc::new(fd))?;
        Some(Dir { fd, attr })
    }

    /// The attributes when it was found.
    pub fn attr(&self) -> &Attr {
        &self.attr
    }

    /// The attributes now.
    pub fn stat(&self) -> Result<Attr, Error> {
        Attr::of_fd(&self.fd)
    }

    /// Opens it for reading, if it is a regular file.
    pub fn open(&self) -> Result<SourceFile, Error> {
        if self.attr.kind != Kind::File {
            return Err(Error::new("open file", Errno::INVAL));
        }
        let path = crate::sys::fanotify::path_of(self.fd.as_fd());
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).doing("open file")?;
        let attr = Attr::of_fd(&fd)?;
        Ok(SourceFile {
            fd,
            attr,
            followed: false,
        })
    }
}

/// A regular file of the real tree, open for reading.
#[derive(Debug)]
pub struct SourceFile {
    fd: OwnedFd,
    attr: Attr,
    pub(super) followed: bool,
}

impl AsFd for SourceFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl SourceFile {
    pub(super) fn open(
        base: BorrowedFd<'_>,
        path: &OsStr,
        resolve: ResolveFlags,
    ) -> Result<SourceFile, Error> {
        let found = open_one(base, path, OFlags::PATH | OFlags::NOFOLLOW, resolve)?;
        let attr = Attr::of_fd(&found)?;
        match attr.kind {
            Kind::File => {}
            Kind::Directory => return Err(Error::new("open file", Errno::ISDIR)),
            Kind::Symlink => return Err(Error::new("open file", Errno::LOOP)),
            Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice => {
                return Err(Error::new("open file", Errno::NXIO));
            }
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = open_one(base, path, flags, resolve)?;
        let opened = Attr::of_fd(&fd)?;
        if opened.identity != attr.identity {
            // Replaced between the two calls: whoever asks again sees the new one.
            return Err(Error::stale());
        }
        Ok(SourceFile {
            fd,
            attr: opened,
            followed: false,
        })
    }

    /// The attributes at the time it was opened.
    pub fn attr(&self) -> &Attr {
        &self.attr
    }

    /// Whether its name was a symlink's: what it holds may change without its directory.
    pub fn followed(&self) -> bool {
        self.followed
    }

    /// The attributes now.
    pub fn stat(&self) -> Result<Attr, Error> {
        Attr::of_fd(&self.fd)
    }

    /// Reads up to `buffer.len()` bytes at `offset`, fewer only at the end of the file.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Error> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let at = offset.saturating_add(done as u64);
            match patiently(|| rustix::io::pread(&self.fd, &mut *rest, at)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(Errno::INTR) => {}
                Err(errno) if done == 0 => return Err(Error::new("read", errno)),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Reads the whole file, which must stay one version while it is read and be at most `limit`
    /// bytes (`EFBIG` otherwise, `EAGAIN` when it changed under the read).
    pub fn read_whole(&self, limit: u64) -> Result<Vec<u8>, Error> {
        if self.attr.size > limit {
            return Err(Error::new("read source", Errno::FBIG));
        }
        // One byte more than the size: a file that grew is noticed.
        let expected = usize::try_from(self.attr.size).unwrap_or(usize::MAX);
        let mut bytes = vec![0; expected.saturating_add(1)];
        let count = self.read_at(&mut bytes, 0)?;
        if count != expected || !self.stat()?.same_version(&self.attr) {
            return Err(Error::new("read source", Errno::AGAIN));
        }
        bytes.truncate(count);
        Ok(bytes)
    }
}

/// Walks a relative path in pieces that the kernel takes.
fn walk(root: BorrowedFd<'_>, path: &OsStr, flags: OFlags) -> Result<OwnedFd, Error> {
    let mut base: Option<OwnedFd> = None;
    let mut rest = path.as_bytes();
    while rest.len() > MAX_WALK {
        let window = rest.get(..MAX_WALK).unwrap_or(rest);
        let Some(cut) = window.iter().rposition(|byte| *byte == b'/') else {
            return Err(Error::new("walk", Errno::NAMETOOLONG));
        };
        let (piece, tail) = rest.split_at(cut);
        let from = base.as_ref().map_or(root, AsFd::as_fd);
        base = Some(open_one(
            from,
            OsStr::from_bytes(piece),
            OFlags::PATH | OFlags::DIRECTORY,
            BENEATH,
        )?);
        rest = tail.get(1..).unwrap_or_default();
    }
    let last = if rest.is_empty() {
        b".".as_slice()
    } else {
        rest
    };
    open_one(
        base.as_ref().map_or(root, AsFd::as_fd),
        OsStr::from_bytes(last),
        flags,
        BENEATH,
    )
}

pub(super) fn open_one(
    base: BorrowedFd<'_>,
    path: &OsStr,
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd, Error> {
    const TRIES: usize = 16;
    for _ in 0..TRIES {
        let flags = flags | OFlags::CLOEXEC;
        match patiently(|| rustix::fs::openat2(base, path, flags, Mode::empty(), resolve)) {
            // A rename elsewhere raced with the walk: the kernel asks to try again.
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result.doing("open"),
        }
    }
    Err(Error::new("open", Errno::AGAIN))
}
