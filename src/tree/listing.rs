//! Listings of directories of the real tree.

use rustix::fs::RawDir;
use std::cell::Cell;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use super::attr::Kind;
use super::error::{Doing, Error};
use super::open::Dir;

/// Bytes of directory entries that one system call returns at most.
const BUFFER: usize = 32 * 1024;

thread_local! {
    /// The buffer of the last listing of this thread.
    static LAST_BUFFER: Cell<Vec<MaybeUninit<u8>>> = const { Cell::new(Vec::new()) };
}

/// One name in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The name: any bytes but `/` and NUL.
    pub name: &'a OsStr,
    /// The inode number in the real tree.
    pub ino: u64,
    /// The kind, where the filesystem tells it in listings.
    pub kind: Option<Kind>,
}

impl Entry<'_> {
    /// See [`source_stem`].
    pub fn source_stem(&self) -> Option<&[u8]> {
        source_stem(self.name, self.kind)
    }
}

/// The name without suffix, if what has it may be a Python source: `NAME.py`, a regular file or a
/// symlink.
pub fn source_stem(name: &OsStr, kind: Option<Kind>) -> Option<&[u8]> {
    let stem = name.as_bytes().strip_suffix(b".py")?;
    let may_be = matches!(kind, Some(Kind::File | Kind::Symlink) | None);
    (may_be && !stem.is_empty()).then_some(stem)
}

/// Whether a directory holds at least one name that ends in `.py` and may be a source (a regular
/// file or a symlink).
pub fn has_source(dir: &Dir) -> Result<bool, Error> {
    let mut found = false;
    list(dir, |entry| {
        found = entry.source_stem().is_some();
        !found
    })?;
    Ok(found)
}

/// Calls `visit` with each name in a directory but `.` and `..`, in the order the filesystem gives
/// them, until it answers false.
pub fn list(dir: &Dir, mut visit: impl FnMut(Entry<'_>) -> bool) -> Result<(), Error> {
    let fd = dir.reopen_for_listing()?;
    let mut buffer = LAST_BUFFER.take();
    buffer.resize(BUFFER, MaybeUninit::uninit());
    let outcome = list_through(fd, &mut buffer, &mut visit);
    LAST_BUFFER.set(buffer);
    outcome
}

fn list_through(
    fd: OwnedFd,
    buffer: &mut [MaybeUninit<u8>],
    visit: &mut impl FnMut(Entry<'_>) -> bool,
) -> Result<(), Error> {
    let mut raw = RawDir::new(fd, buffer);
    while let Some(entry) = raw.next() {
        let entry = entry.doing("list directory")?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let entry = Entry {
            name,
            ino: entry.ino(),
            kind: Kind::of_file_type(entry.file_type()),
        };
        if !visit(entry) {
            break;
        }
    }
    Ok(())
}
