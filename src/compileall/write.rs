//! How CPython reads sources and puts pycs on disk.
//!
//! Owns the file access of one compile. Invariant: a pyc appears whole or not at all (temporary
//! file and rename, as importlib's `_write_atomic`), with the mode importlib gives it.

use std::fs::File;
use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::pyc::mtime_field;

use super::paths::dir_name;
use super::pytext::OsError;

/// A source as it was read at one moment.
#[derive(Clone, Debug)]
pub struct Source {
    /// The whole file.
    pub bytes: Arc<[u8]>,
    /// The mtime as pyc headers have it.
    pub mtime: u32,
    /// The file type and permission bits (`st_mode`).
    pub mode: u32,
}

/// Why a source could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A system call failed.
    #[error(transparent)]
    Os(#[from] OsError),
    /// The file was different before and after each of several reads.
    #[error("the file keeps changing while it is read")]
    Changing,
}

/// The error number behind an error of std; EIO for one that has none.
fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// The mtime of a pyc header for a file with this stat.
pub fn header_mtime(stat: &Stat) -> u32 {
    mtime_field(
        stat.st_mtime,
        u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
    )
}

/// What tells two states of one file apart.
fn version(stat: &Stat) -> impl PartialEq {
    (
        stat.st_size,
        (stat.st_mtime, stat.st_mtime_nsec),
        (stat.st_ctime, stat.st_ctime_nsec),
    )
}

/// Reads a source; the times are those of the bytes, because a file that changes while it is read
/// is read again.
pub fn read_source(path: &[u8]) -> Result<Source, ReadError> {
    const ATTEMPTS: usize = 5;
    for _ in 0..ATTEMPTS {
        let fd = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|errno| OsError::on(path, errno))?;
        let mut file = File::from(fd);
        let before = rustix::fs::fstat(&file).map_err(OsError::bare)?;
        let mut bytes = Vec::with_capacity(usize::try_from(before.st_size).unwrap_or(0) + 1);
        file.read_to_end(&mut bytes)
            .map_err(|error| OsError::bare(errno(&error)))?;
        let after = rustix::fs::fstat(&file).map_err(OsError::bare)?;
        if version(&before) == version(&after) {
            return Ok(Source {
                bytes: bytes.into(),
                mtime: header_mtime(&after),
                mode: after.st_mode,
            });
        }
    }
    Err(ReadError::Changing)
}

/// The first bytes of a file, at most `length`; `None` when it cannot be read.
pub fn read_start(path: &[u8], length: usize) -> Option<Vec<u8>> {
    // Not blocking: the name may be that of a FIFO.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let fd = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    let mut start = Vec::with_capacity(length);
    let limit = u64::try_from(length).ok()?;
    File::from(fd).take(limit).read_to_end(&mut start).ok()?;
    Some(start)
}

/// What stands where a pyc is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occupant {
    /// Nothing, or a regular file: it may be replaced.
    Replaceable,
    /// A symbolic link, which a rename would turn into a file.
    Symlink,
    /// A directory or a special file.
    Other,
}

/// What stands at a path.
pub fn occupant(path: &[u8]) -> Occupant {
    match rustix::fs::lstat(path) {
        Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Occupant::Replaceable,
            FileType::Symlink => Occupant::Symlink,
            _ => Occupant::Other,
        },
        Err(_) => Occupant::Replaceable,
    }
}

/// `os.makedirs(dir)` where an existing name is no error.
pub fn make_dirs(dir: &[u8]) -> Result<(), OsError> {
    if dir.is_empty() {
        return Ok(());
    }
    match rustix::fs::mkdir(dir, Mode::RWXU | Mode::RWXG | Mode::RWXO) {
        Ok(()) | Err(Errno::EXIST) => Ok(()),
        Err(Errno::NOENT) if dir_name(dir).len() < dir.len() => {
            make_dirs(dir_name(dir))?;
            match rustix::fs::mkdir(dir, Mode::RWXU | Mode::RWXG | Mode::RWXO) {
                Ok(()) | Err(Errno::EXIST) => Ok(()),
                Err(errno) => Err(OsError::on(dir, errno)),
            }
        }
        Err(errno) => Err(OsError::on(dir, errno)),
    }
}

/// A name beside `path` that no other thread or process uses now. As long as CPython's
/// (`path.140234567890123`), so that names near the length limit fare alike.
fn temporary(path: &[u8]) -> Vec<u8> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed) % 10_000_000;
    let process = u64::from(std::process::id()) % 10_000_000;
    let suffix = format!(".{}{process:07}{count:07}", 1);
    [path, suffix.as_bytes()].concat()
}

/// Makes a new file at a temporary name with `make`, which is called again while the name is taken.
fn at_temporary<T>(
    path: &[u8],
    mut make: impl FnMut(&[u8]) -> rustix::io::Result<T>,
) -> Result<(Vec<u8>, T), OsError> {
    const ATTEMPTS: usize = 100;
    let mut name = temporary(path);
    for _ in 0..ATTEMPTS {
        match make(&name) {
            Ok(made) => return Ok((name, made)),
            Err(Errno::EXIST) => name = temporary(path),
            Err(errno) => return Err(OsError::on(&name, errno)),
        }
    }
    Err(OsError::on(&name, Errno::EXIST))
}

/// Renames a finished temporary file into place; removes it when that fails.
fn put_in_place(name: &[u8], path: &[u8]) -> Result<(), OsError> {
    rustix::fs::rename(name, path).map_err(|errno| {
        // The rename's error is the one to report.
        let _ = rustix::fs::unlink(name);
        OsError {
            errno,
            name: Some(name.to_vec()),
            second: Some(path.to_vec()),
        }
    })
}

/// Writes a pyc as importlib does: the source's permission bits, writable for the owner, not
/// executable, less the umask.
pub fn write_atomic(path: &[u8], bytes: &[u8], source_mode: u32) -> Result<(), OsError> {
    let mode = Mode::from_raw_mode((source_mode | 0o200) & 0o666);
    let flags = OFlags::EXCL | OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
    let (name, fd) = at_temporary(path, |name| rustix::fs::open(name, flags, mode))?;
    if let Err(error) = File::from(fd).write_all(bytes) {
        // The failed write is the error to report.
        let _ = rustix::fs::unlink(&name);
        return Err(OsError::bare(errno(&error)));
    }
    put_in_place(&name, path)
}

/// Makes `path` a hard link to `original`, replacing what is there.
pub fn link_over(original: &[u8], path: &[u8]) -> Result<(), OsError> {
    let (name, ()) = at_temporary(path, |name| rustix::fs::link(original, name))?;
    put_in_place(&name, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn bytes(path: &std::path::Path) -> &[u8] {
        path.as_os_str().as_bytes()
    }

    #[test]
    fn pycs_get_the_permission_bits_of_the_source_and_the_owner_may_write() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.pyc");
        for (source, expected) in [(0o100555, 0o644), (0o100400, 0o600), (0o100644, 0o644)] {
            write_atomic(bytes(&path), b"new", source).unwrap();
            let mode = std::fs::metadata(&path).unwrap().mode();
            // The umask of the test process takes away what it takes away.
            assert_eq!(mode & 0o777 & !expected, 0, "{source:o}");
            assert_eq!(mode & 0o600, 0o600, "{source:o}");
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        std::fs::create_dir(&path).unwrap();
        let error = write_atomic(bytes(&path), b"new", 0o644).unwrap_err();
        assert_eq!(error.errno, Errno::ISDIR);
        assert_eq!(error.second.as_deref(), Some(bytes(&path)));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_replaces_the_file_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("1"), dir.path().join("2"));
        std::fs::write(&first, "a").unwrap();
        std::fs::write(&second, "b").unwrap();
        link_over(bytes(&first), bytes(&second)).unwrap();
        assert_eq!(std::fs::read(&second).unwrap(), b"a");
        assert_eq!(std::fs::metadata(&first).unwrap().nlink(), 2);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn only_regular_files_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        symlink("nowhere", &link).unwrap();
        assert_eq!(occupant(bytes(&link)), Occupant::Symlink);
        assert_eq!(occupant(bytes(dir.path())), Occupant::Other);
        assert_eq!(occupant(b"/no/such/file"), Occupant::Replaceable);
        assert_eq!(occupant(b"/dev/null"), Occupant::Other);
    }

    #[test]
    fn missing_parents_are_made() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/c");
        make_dirs(bytes(&deep)).unwrap();
        make_dirs(bytes(&deep)).unwrap();
        assert!(deep.is_dir());
    }
}
