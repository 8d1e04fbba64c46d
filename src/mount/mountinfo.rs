//! The mount table, `/proc/self/mountinfo` (proc(5)).

use rustix::io::Errno;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::control;

/// The filesystem type that the mount table shows.
pub const FILESYSTEM_TYPE: &str = "fuse.pycfs";

/// One line of the mount table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The mount's id: unique among the mounts of the moment.
    pub id: u64,
    /// The device number, `MAJOR:MINOR`: one for each filesystem instance.
    pub device: String,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// The filesystem type.
    pub kind: String,
    /// What is mounted: for pycfs, the source directory.
    pub source: OsString,
    /// The user that mounted it, as FUSE filesystems tell; else 0.
    pub owner: u32,
}

impl Entry {
    /// Whether its daemon has died. Asks the mount only if no other one lies over it.
    pub fn is_dead(&self) -> bool {
        presence(self).is_ok_and(|presence| presence == Presence::OnTop)
            && is_dead(&self.mount_point)
    }

    /// The control socket of its daemon.
    pub fn socket(&self) -> PathBuf {
        control::socket_of(&self.device, self.owner)
    }
}

/// The whole mount table, lowest first where several lie on one place.
pub fn read() -> io::Result<Vec<Entry>> {
    Ok(parse(&std::fs::read("/proc/self/mountinfo")?))
}

/// All pycfs mounts.
pub fn ours() -> io::Result<Vec<Entry>> {
    let mut entries = read()?;
    entries.retain(|entry| entry.kind == FILESYSTEM_TYPE);
    Ok(entries)
}

/// The pycfs mount that `path` leads to. `None` if it leads to none, or only into one.
pub fn find(path: &Path) -> io::Result<Option<Entry>> {
    let path = absolute(path).unwrap_or_else(|_| path.to_owned());
    Ok(topmost(&path)?.filter(|entry| entry.kind == FILESYSTEM_TYPE))
}

/// What is mounted on top at `path`, of whatever type.
pub fn topmost(path: &Path) -> io::Result<Option<Entry>> {
    Ok(read()?
        .into_iter()
        .rev()
        .find(|entry| entry.mount_point == path))
}

/// The mount with this id.
pub fn by_id(id: u64) -> io::Result<Option<Entry>> {
    Ok(read()?.into_iter().find(|entry| entry.id == id))
}

/// The id of the mount that an open file lies in. Asks the filesystem nothing.
pub fn id_of(file: impl AsFd) -> io::Result<u64> {
    let path = format!("/proc/self/fdinfo/{}", file.as_fd().as_raw_fd());
    std::fs::read_to_string(path)?
        .lines()
        .find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok())
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// What has become of a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is what a path to its mount point leads to.
    OnTop,
    /// Another one was mounted over it.
    Covered,
    /// It was taken away, though those who use it may have it still.
    Gone,
}

/// What has become of this very mount.
pub fn presence(entry: &Entry) -> io::Result<Presence> {
    let is_it = |other: &Entry| other.id == entry.id && other.device == entry.device;
    if topmost(&entry.mount_point)?.as_ref().is_some_and(is_it) {
        return Ok(Presence::OnTop);
    }
    Ok(match read()?.iter().any(is_it) {
        true => Presence::Covered,
        false => Presence::Gone,
    })
}

/// Whether the daemon of the mount at `path` has died. Its figures are asked for, because no
/// answer to that is ever cached.
pub fn is_dead(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_err_and(means_dead)
}

/// Whether an error means that the daemon of a mount has died, or dies at this moment.
fn means_dead(errno: Errno) -> bool {
    matches!(errno, Errno::NOTCONN | Errno::CONNABORTED)
}

fn parse(table: &[u8]) -> Vec<Entry> {
    table
        .split(|byte| *byte == b'\n')
        .filter_map(parse_line)
        .collect()
}

fn parse_line(line: &[u8]) -> Option<Entry> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let _parent = fields.next()?;
    let device = String::from_utf8(fields.next()?.to_vec()).ok()?;
    let _root = fields.next()?;
    let mount_point = PathBuf::from(unescape(fields.next()?));
    // Options, then any number of optional fields up to a lone hyphen.
    let mut rest = fields.skip_while(|field| *field != b"-");
    let _hyphen = rest.next()?;
    let kind = String::from_utf8(rest.next()?.to_vec()).ok()?;
    let source = unescape(rest.next()?);
    let owner = rest.next().unwrap_or_default();
    let owner = owner
        .split(|byte| *byte == b',')
        .find_map(|option| option.strip_prefix(b"user_id="))
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    Some(Entry {
        id,
        device,
        mount_point,
        kind,
        source,
        owner: owner.unwrap_or(0),
    })
}

/// Undoes the kernel's octal escapes of space, tab, newline, `#` and backslash.
fn unescape(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..3).filter(|_| *first == b'\\').and_then(octal);
        match code {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    OsString::from_vec(bytes)
}

fn octal(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

/// The path as the mount table has it: absolute, symlinks followed. Works for a dead mount too.
pub fn absolute(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Ok(real) => Ok(real),
        // A dead mount, or another user's: resolve what leads there.
        Err(error)
            if Errno::from_io_error(&error).is_some_and(means_dead)
                || error.kind() == io::ErrorKind::PermissionDenied =>
        {
            let full = std::path::absolute(path)?;
            match (full.parent(), full.file_name()) {
                (Some(parent), Some(name)) => Ok(parent.canonicalize()?.join(name)),
                _ => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

/// Whether `inner` lies in `outer` or is it.
pub fn lies_in(inner: &Path, outer: &Path) -> bool {
    inner.starts_with(outer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_with_escapes_and_optional_fields_is_read() {
        let line = br"36 35 0:51 / /mnt/a\040b rw,relatime shared:1 master:2 - fuse.pycfs /srv/s\134x ro,user_id=1000,group_id=7";
        let entries = parse(line);
        let expected = Entry {
            id: 36,
            device: "0:51".to_owned(),
            mount_point: PathBuf::from("/mnt/a b"),
            kind: "fuse.pycfs".to_owned(),
            source: OsString::from(r"/srv/s\x"),
            owner: 1000,
        };
        assert_eq!(entries, [expected]);
    }

    #[test]
    fn lines_that_are_no_mounts_are_passed_over() {
        assert_eq!(parse(b"\nx\n1 2 3\n1 2 0:1 / /a opts no hyphen\n"), []);
    }
}
