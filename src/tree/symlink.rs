//! Sources that are symlinks: followed beneath the root, and only where anybody may follow.
//!
//! A compiled entry is reached through the directory of the link, not through the directories of
//! its target. Invariant: no entry is made for a target whose directories are not searchable by
//! everyone, since it would then be readable by users who cannot reach the source.

use rustix::fs::{OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use super::attr::Kind;
use super::error::{Doing, Error};
use super::open::{Dir, SourceFile};
use super::root::RootDir;

/// Search permission for others.
const OTHERS_SEARCH: u16 = 0o001;

impl SourceFile {
    /// Opens the source `name` in `dir`, following a symlink that stays beneath the root.
    /// `path` is the directory's path relative to the root.
    pub fn open_followed(
        root: &RootDir,
        path: &OsStr,
        dir: &Dir,
        name: &OsStr,
    ) -> Result<SourceFile, Error> {
        match dir.open_file(name) {
            Err(error) if error.errno == Errno::LOOP => {}
            result => return result,
        }
        // The kernel follows the chain of links to its end; that is then opened by its own path.
        let end = end_of_chain(root, &join(path, name))?;
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
        let mut file = SourceFile::open(root.as_fd(), &end, resolve)?;
        file.followed = true;
        searchable_by_all(root, &path_beneath(root, &file)?)?;
        Ok(file)
    }
}

/// The relative path at which a chain of symlinks ends. One that leaves the root, or names an
/// absolute path, is refused by the kernel with `EXDEV`.
fn end_of_chain(root: &RootDir, path: &OsStr) -> Result<OsString, Error> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let end = super::open::open_one(root.as_fd(), path, OFlags::PATH, resolve)?;
    path_beneath(root, &end)
}

/// The path of an open file relative to the root, as the kernel knows it now.
fn path_beneath(root: &RootDir, file: &impl AsFd) -> Result<OsString, Error> {
    let base = path_of(root.as_fd())?;
    let path = path_of(file.as_fd())?;
    path.strip_prefix(&base)
        .map(|relative| relative.as_os_str().to_owned())
        .map_err(|_| Error::new("follow symlink", Errno::XDEV))
}

fn path_of(fd: impl AsFd) -> Result<PathBuf, Error> {
    let link = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    let path = rustix::fs::readlink(link, Vec::new()).doing("follow symlink")?;
    Ok(PathBuf::from(OsString::from_vec(path.into_bytes())))
}

/// `EACCES` unless each directory on the way to `path` is searchable by others.
fn searchable_by_all(root: &RootDir, path: &OsStr) -> Result<(), Error> {
    let bytes = path.as_bytes();
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    for (end, _) in ends {
        let Some(directory) = bytes.get(..end) else {
            continue;
        };
        let attr = *Dir::open(root, OsStr::from_bytes(directory))?.attr();
        if attr.kind != Kind::Directory || attr.perm & OTHERS_SEARCH == 0 {
            return Err(Error::new("follow symlink", Errno::ACCESS));
        }
    }
    Ok(())
}

/// `path/name`, or `name` in the root.
pub(crate) fn join(path: &OsStr, name: &OsStr) -> OsString {
    let mut full = OsString::with_capacity(path.len() + 1 + name.len());
    full.push(path);
    if !path.is_empty() {
        full.push("/");
    }
    full.push(name);
    full
}

/// A path's directory (empty for the root) and its last component.
pub(crate) fn split(path: &OsStr) -> (&OsStr, &OsStr) {
    let bytes = path.as_bytes();
    match bytes.iter().rposition(|byte| *byte == b'/') {
        Some(at) => {
            let (parent, name) = bytes.split_at(at);
            (
                OsStr::from_bytes(parent),
                OsStr::from_bytes(name.get(1..).unwrap_or_default()),
            )
        }
        None => (OsStr::new(""), path),
    }
}
