//! The store's folder on disk: layout, ownership, and every access to blob files.
//!
//! ```text
//! DIR/v1/LOCK            held with flock by the process that owns the index
//! DIR/v1/index/NAME/     the index
//! DIR/v1/blobs/ab/cdef…  blobs, named by the first 16 bytes of their key
//! DIR/v1/tmp/            blobs being written
//! DIR/v1/quarantine/     what was set aside
//! ```
//! Invariants: all of it belongs to this process's user and nobody else can write it, otherwise it
//! is not used; a blob appears under its name only as a whole, by rename. Everything but the index
//! goes through descriptors of the folders, so that a folder swapped underneath is never mixed up.

use rustix::fs::{self, Access, AtFlags, FileType, Mode, OFlags, Stat, Timespec, Timestamps};
use rustix::io::Errno;
use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::blob::{HEADER_LEN, MAX_BLOB};
use super::clock;
use super::key::Name;

const FOLDER: Mode = Mode::RWXU;
const FILE: Mode = Mode::RUSR.union(Mode::WUSR);
const OPEN_FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

/// Why a folder is not used as the store.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlaceError {
    #[error(
        "{path} belongs to user {owner}, not to user {us}; use another --store or change its owner"
    )]
    ForeignOwner { path: PathBuf, owner: u32, us: u32 },
    #[error("{path} can be written by others (mode {mode:03o}); run chmod go-w on it")]
    WritableByOthers { path: PathBuf, mode: u32 },
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

impl PlaceError {
    fn io(path: &Path) -> impl Fn(Errno) -> PlaceError {
        move |errno| PlaceError::Io {
            path: path.to_owned(),
            source: errno.into(),
        }
    }
}

/// What the directory says of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlobStat {
    /// Length of the file in bytes.
    pub(super) size: u64,
    /// Time of modification, which is the time of last use; milliseconds since 1970.
    pub(super) used: u64,
}

/// A file in a folder of `blobs/`.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) file: Vec<u8>,
    /// `None` for what is no regular file.
    pub(super) stat: Option<BlobStat>,
}

/// The right to own the index; given up when dropped.
#[derive(Debug)]
pub(super) struct Lock {
    held: OwnedFd,
}

impl Lock {
    /// Whether the lock file is still the one that others would lock.
    pub(super) fn is_current(&self, place: &Place) -> bool {
        let now = fs::statat(&place.v1, "LOCK", AtFlags::SYMLINK_NOFOLLOW);
        match (fs::fstat(&self.held), now) {
            (Ok(held), Ok(now)) => held.st_dev == now.st_dev && held.st_ino == now.st_ino,
            _ => false,
        }
    }
}

/// An open store folder.
#[derive(Debug)]
pub(super) struct Place {
    root: PathBuf,
    v1: OwnedFd,
    blobs: OwnedFd,
    tmp: OwnedFd,
    writable: bool,
    written: AtomicU64,
}

impl Place {
    /// Opens the store folder `dir`, making what is missing of it.
    pub(super) fn open(dir: &Path) -> Result<Place, PlaceError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        let top = match fs::open(dir, OPEN_FOLDER, Mode::empty()) {
            Ok(top) => top,
            Err(errno) => {
                return Err(PlaceError::Io {
                    path: dir.to_owned(),
                    // What kept it from being made tells more than that it is not there.
                    source: made.err().unwrap_or_else(|| errno.into()),
                });
            }
        };
        check(top.as_fd(), dir)?;
        let root = dir.join("v1");
        let v1 = folder(top.as_fd(), "v1", &root)?;
        let blobs = folder(v1.as_fd(), "blobs", &root.join("blobs"))?;
        let tmp = folder(v1.as_fd(), "tmp", &root.join("tmp"))?;
        for name in ["index", "quarantine"] {
            match folder(v1.as_fd(), name, &root.join(name)) {
                Ok(_) => {}
                Err(PlaceError::Io { source, .. }) if is_read_only(&source) => {}
                Err(other) => return Err(other),
            }
        }
        let writable = [&v1, &blobs, &tmp]
            .iter()
            .all(|fd| fs::accessat(fd, ".", Access::WRITE_OK, AtFlags::EACCESS).is_ok());
        Ok(Place {
            root,
            v1,
            blobs,
            tmp,
            writable,
            written: AtomicU64::new(0),
        })
    }

    /// `DIR/v1`.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether blobs can be written, as far as could be seen when it was opened.
    pub(super) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Whether the paths still lead to the open folders: false once they were removed or replaced.
    pub(super) fn is_current(&self) -> bool {
        let same = |fd: BorrowedFd<'_>, path: &Path| match (fs::fstat(fd), fs::stat(path)) {
            (Ok(held), Ok(now)) => held.st_dev == now.st_dev && held.st_ino == now.st_ino,
            _ => false,
        };
        same(self.v1.as_fd(), &self.root)
            && same(self.blobs.as_fd(), &self.root.join("blobs"))
            && same(self.tmp.as_fd(), &self.root.join("tmp"))
    }

    /// The lock, or `None` while another process holds it.
    pub(super) fn try_lock(&self) -> io::Result<Option<Lock>> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = fs::openat(&self.v1, "LOCK", flags, FILE)?;
        match fs::flock(&file, fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock { held: file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The whole blob file.
    pub(super) fn read(&self, name: &Name) -> io::Result<Vec<u8>> {
        let (file, stat) = self.open_blob(name)?;
        let size = usize::try_from(stat.size).unwrap_or(usize::MAX);
        if size > MAX_BLOB {
            return Err(Errno::FBIG.into());
        }
        read_up_to(&file, size)
    }

    /// The first bytes of a blob file, enough for its header, and its stat.
    pub(super) fn read_header(&self, name: &Name) -> io::Result<(Vec<u8>, BlobStat)> {
        let (file, stat) = self.open_blob(name)?;
        Ok((read_up_to(&file, HEADER_LEN)?, stat))
    }

    fn open_blob(&self, name: &Name) -> io::Result<(OwnedFd, BlobStat)> {
        // NONBLOCK: a fifo in the store must not stop a reader.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = fs::openat(&self.blobs, name.path(), flags, Mode::empty())?;
        match blob_stat(&fs::fstat(&file)?) {
            Some(stat) => Ok((file, stat)),
            None => Err(Errno::INVAL.into()),
        }
    }

    /// What is known of a blob without opening it; `None` when there is no such file.
    pub(super) fn stat(&self, name: &Name) -> io::Result<Option<BlobStat>> {
        match fs::statat(&self.blobs, name.path(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(blob_stat(&stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Puts a blob in its place, over any that is there. No fsync: a torn blob is a miss.
    pub(super) fn write(&self, name: &Name, blob: &[u8]) -> io::Result<()> {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        // The process id alone is not unique: stores are shared between containers.
        let temporary = format!("{}-{:x}-{number}", std::process::id(), clock::salt());
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = fs::openat(&self.tmp, &temporary, flags, FILE)?;
        let moved = write_all(&file, blob).and_then(|()| self.publish(&temporary, name));
        if moved.is_err() {
            // Best effort: the sweep removes what stays behind.
            let _ = fs::unlinkat(&self.tmp, &temporary, AtFlags::empty());
        }
        moved
    }

    fn publish(&self, temporary: &str, name: &Name) -> io::Result<()> {
        let path = name.path();
        match fs::renameat(&self.tmp, temporary, &self.blobs, &path) {
            Err(Errno::NOENT) => {}
            other => return Ok(other?),
        }
        let shard = shard_name(name.shard());
        match fs::mkdirat(&self.blobs, &shard, FOLDER) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(fs::renameat(&self.tmp, temporary, &self.blobs, &path)?)
    }

    /// Removes a blob; whether there was one.
    pub(super) fn remove(&self, name: &Name) -> io::Result<bool> {
        self.remove_path(name.path())
    }

    /// Removes whatever file stands in the folder of a shard under a name that is no blob's.
    pub(super) fn remove_stray(&self, shard: u8, file: &[u8]) -> io::Result<bool> {
        let mut path = shard_name(shard).into_bytes();
        path.push(b'/');
        path.extend_from_slice(file);
        self.remove_path(path.as_slice())
    }

    fn remove_path(&self, path: impl rustix::path::Arg) -> io::Result<bool> {
        match fs::unlinkat(&self.blobs, path, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Records in the file itself when a blob was last used (milliseconds since 1970).
    pub(super) fn set_used(&self, name: &Name, used: u64) -> io::Result<()> {
        let time = Timespec {
            tv_sec: i64::try_from(used / 1000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(used % 1000 * 1_000_000).unwrap_or(0),
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        Ok(fs::utimensat(
            &self.blobs,
            name.path(),
            &times,
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    /// The time at which files were last added to or removed from the folder of a shard, as an
    /// opaque value to compare; `None` when there is no such folder.
    pub(super) fn shard_version(&self, shard: u8) -> Option<(i64, u64)> {
        let stat = fs::statat(&self.blobs, shard_name(shard), AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some((stat.st_mtime, stat.st_mtime_nsec))
    }

    /// Every file in the folder of a shard.
    pub(super) fn list(&self, shard: u8) -> io::Result<Vec<Listed>> {
        let flags = OPEN_FOLDER | OFlags::NOFOLLOW;
        let folder = match fs::openat(&self.blobs, shard_name(shard), flags, Mode::empty()) {
            Ok(folder) => folder,
            Err(Errno::NOENT) => return Ok(Vec::new()),
            Err(errno) => return Err(errno.into()),
        };
        let mut files = Vec::new();
        for_each_file(&folder, |name| {
            match fs::statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => files.push(Listed {
                    file: name.to_bytes().to_vec(),
                    stat: blob_stat(&stat),
                }),
                // Gone since it was listed.
                Err(Errno::NOENT) => {}
                Err(errno) => return Err(errno),
            }
            Ok(())
        })?;
        Ok(files)
    }

    /// Removes files of `tmp/` that are older than `age` milliseconds; how many.
    pub(super) fn sweep_tmp(&self, age: u64) -> io::Result<u64> {
        let now = clock::now();
        let mut removed = 0;
        for_each_file(&self.tmp, |name| {
            let Ok(stat) = fs::statat(&self.tmp, name, AtFlags::SYMLINK_NOFOLLOW) else {
                return Ok(());
            };
            let written = blob_stat(&stat).map_or(0, |stat| stat.used);
            if written.saturating_add(age) <= now
                && fs::unlinkat(&self.tmp, name, AtFlags::empty()).is_ok()
            {
                removed += 1;
            }
            Ok(())
        })?;
        Ok(removed)
    }
}

/// Whether the error says that nothing can be written there at all.
pub(super) fn is_read_only(error: &io::Error) -> bool {
    let codes = [Errno::ROFS, Errno::ACCESS, Errno::PERM];
    Errno::from_io_error(error).is_some_and(|errno| codes.contains(&errno))
}

/// Whether the error says that the disk or the quota is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    let codes = [Errno::NOSPC, Errno::DQUOT];
    Errno::from_io_error(error).is_some_and(|errno| codes.contains(&errno))
}

/// Whether the error says that the store's folder was removed.
pub(super) fn is_gone(error: &io::Error) -> bool {
    let codes = [Errno::NOENT, Errno::NOTDIR, Errno::STALE, Errno::NODEV];
    Errno::from_io_error(error).is_some_and(|errno| codes.contains(&errno))
}

/// Makes a folder unless it is there, opens it and checks whose it is.
fn folder(parent: BorrowedFd<'_>, name: &str, path: &Path) -> Result<OwnedFd, PlaceError> {
    let failed = PlaceError::io(path);
    let made = fs::mkdirat(parent, name, FOLDER);
    let flags = OPEN_FOLDER | OFlags::NOFOLLOW;
    let folder = match (fs::openat(parent, name, flags, Mode::empty()), made) {
        (Ok(folder), _) => folder,
        (Err(_), Err(errno)) if errno != Errno::EXIST => return Err(failed(errno)),
        (Err(errno), _) => return Err(failed(errno)),
    };
    check(folder.as_fd(), path)?;
    Ok(folder)
}

/// Refuses a folder that another user owns or can write.
fn check(folder: BorrowedFd<'_>, path: &Path) -> Result<(), PlaceError> {
    let stat = fs::fstat(folder).map_err(PlaceError::io(path))?;
    let us = rustix::process::geteuid().as_raw();
    if stat.st_uid != us {
        return Err(PlaceError::ForeignOwner {
            path: path.to_owned(),
            owner: stat.st_uid,
            us,
        });
    }
    if stat.st_mode & 0o022 != 0 {
        return Err(PlaceError::WritableByOthers {
            path: path.to_owned(),
            mode: stat.st_mode & 0o777,
        });
    }
    Ok(())
}

fn shard_name(shard: u8) -> String {
    format!("{shard:02x}")
}

fn blob_stat(stat: &Stat) -> Option<BlobStat> {
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return None;
    }
    let seconds = u64::try_from(stat.st_mtime).unwrap_or(0);
    Some(BlobStat {
        size: u64::try_from(stat.st_size).unwrap_or(0),
        used: seconds
            .saturating_mul(1000)
            .saturating_add(stat.st_mtime_nsec / 1_000_000),
    })
}

fn for_each_file(
    folder: &OwnedFd,
    mut each: impl FnMut(&std::ffi::CStr) -> Result<(), Errno>,
) -> io::Result<()> {
    for entry in fs::Dir::read_from(folder)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            each(entry.file_name())?;
        }
    }
    Ok(())
}

fn write_all(file: &OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(0) => return Err(Errno::NOSPC.into()),
            Ok(written) => bytes = bytes.get(written..).unwrap_or(&[]),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// The first `size` bytes, or fewer when the file ends before.
fn read_up_to(file: &OwnedFd, size: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; size];
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match rustix::io::read(file, rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
