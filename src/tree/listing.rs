//! Listings of directories of the real tree.

use rustix::fs::RawDir;
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt;

use super::attr::Kind;
use super::error::{Doing, Error};
use super::open::Dir;

/// Bytes of directory entries that one system call returns at most.
const BUFFER: usize = 32 * 1024;

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name: any bytes but `/` and NUL.
    pub name: OsString,
    /// The inode number in the real tree.
    pub ino: u64,
    /// The kind, where the filesystem tells it in listings.
    pub kind: Option<Kind>,
}

/// All names in a directory but `.` and `..`, in the order the filesystem gives them.
pub fn list(dir: &Dir) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    each(dir, |entry| {
        entries.push(entry);
        true
    })?;
    Ok(entries)
}

/// Whether a directory holds at least one name that ends in `.py` and may be a source (a regular
/// file or a symlink).
pub fn has_source(dir: &Dir) -> Result<bool, Error> {
    let mut found = false;
    each(dir, |entry| {
        found = is_source(&entry);
        !found
    })?;
    Ok(found)
}

/// Whether an entry may be a Python source: `NAME.py`, a regular file or a symlink.
pub(crate) fn is_source(entry: &Entry) -> bool {
    let named = entry
        .name
        .as_bytes()
        .strip_suffix(b".py")
        .is_some_and(|stem| !stem.is_empty());
    named && matches!(entry.kind, Some(Kind::File | Kind::Symlink) | None)
}

/// Calls `visit` with each entry until it answers false.
fn each(dir: &Dir, mut visit: impl FnMut(Entry) -> bool) -> Result<(), Error> {
    let fd = dir.reopen_for_listing()?;
    let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
    let mut raw = RawDir::new(fd, &mut buffer);
    while let Some(entry) = raw.next() {
        let entry = entry.doing("list directory")?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let entry = Entry {
            name: name.to_owned(),
            ino: entry.ino(),
            kind: Kind::of_file_type(entry.file_type()),
        };
        if !visit(entry) {
            break;
        }
    }
    Ok(())
}
