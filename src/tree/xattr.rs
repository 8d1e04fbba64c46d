//! Extended attributes, passed through from the real tree.
//!
//! They are asked for by `/proc/self/fd/DIR/NAME` without following NAME: an `O_PATH` descriptor
//! takes no extended-attribute call itself, and symlinks can carry them too.

use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;

use super::error::{Doing, Error};
use super::open::{Dir, SourceFile};

/// The largest value or list the kernel passes, in bytes.
const LARGEST: usize = 65_536;

/// The value of one attribute of `name` in `dir` (`None` for the directory itself).
pub fn get(dir: &Dir, name: Option<&OsStr>, attribute: &OsStr) -> Result<Vec<u8>, Error> {
    let path = path_to(dir, name);
    read_sized(|buffer| rustix::fs::lgetxattr(&path, attribute, buffer))
        .map_err(|errno| match errno {
            // To the kernel that is a failed access check; that there is no ACL is what it means.
            Errno::OPNOTSUPP if attribute.as_bytes().starts_with(ACLS) => Errno::NODATA,
            other => other,
        })
        .doing("getxattr")
}

/// The names of all attributes of `name` in `dir`, each followed by a NUL byte.
pub fn list(dir: &Dir, name: Option<&OsStr>) -> Result<Vec<u8>, Error> {
    let path = path_to(dir, name);
    read_sized(|buffer| rustix::fs::llistxattr(&path, buffer)).doing("listxattr")
}

fn path_to(dir: &Dir, name: Option<&OsStr>) -> OsString {
    let mut path = OsString::from(format!("/proc/self/fd/{}/", dir.as_fd().as_raw_fd()));
    // With "." the descriptor itself is followed to, then taken as it is.
    path.push(name.unwrap_or(OsStr::new(".")));
    path
}

fn read_sized(
    mut call: impl FnMut(&mut [u8]) -> rustix::io::Result<usize>,
) -> rustix::io::Result<Vec<u8>> {
    let mut buffer = vec![0; 256];
    loop {
        match call(&mut buffer) {
            Ok(count) => {
                buffer.truncate(count);
                return Ok(buffer);
            }
            Err(Errno::RANGE) if buffer.len() < LARGEST => buffer.resize(LARGEST, 0),
            Err(errno) => return Err(errno),
        }
    }
}

/// What the names of ACLs begin with.
const ACLS: &[u8] = b"system.posix_acl_";
/// The name under which an access ACL is read.
const ACL: &str = "system.posix_acl_access";

/// The access ACL of an open source as a compiled entry may carry it: without write and execute
/// permission. `None` when it has none.
pub fn read_acl(file: &SourceFile) -> Option<Vec<u8>> {
    let mut acl = read_sized(|buffer| rustix::fs::fgetxattr(file, ACL, buffer)).ok()?;
    const HEADER: usize = 4;
    const ENTRY: usize = 8;
    const READ: u8 = 4;
    let (_, entries) = acl.split_at_mut_checked(HEADER)?;
    // An entry is tag, permission (both 16-bit little endian) and id (32-bit).
    for entry in entries.chunks_exact_mut(ENTRY) {
        if let [_, _, low, high, ..] = entry {
            *low &= READ;
            *high = 0;
        }
    }
    Some(acl)
}
