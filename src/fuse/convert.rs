//! Conversions between our types and the fuser crate's.

use fuser::{Errno, FileAttr, FileType, INodeNo};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::operations::Attributes;
use crate::tree::{Error, Kind, Time};

/// The errno of an error, logged at its level.
pub fn errno(error: &Error) -> Errno {
    log::log!(error.level(), "{error}");
    Errno::from_i32(error.errno.raw_os_error())
}

/// The protocol's file type.
pub fn file_type(kind: Kind) -> FileType {
    match kind {
        Kind::File => FileType::RegularFile,
        Kind::Directory => FileType::Directory,
        Kind::Symlink => FileType::Symlink,
        Kind::Fifo => FileType::NamedPipe,
        Kind::Socket => FileType::Socket,
        Kind::CharDevice => FileType::CharDevice,
        Kind::BlockDevice => FileType::BlockDevice,
    }
}

/// The protocol's attributes.
pub fn attributes(attributes: &Attributes) -> FileAttr {
    let attr = &attributes.attr;
    FileAttr {
        ino: INodeNo(attributes.number),
        size: attr.size,
        blocks: attr.blocks,
        atime: system_time(attr.atime),
        mtime: system_time(attr.mtime),
        ctime: system_time(attr.ctime),
        crtime: UNIX_EPOCH,
        kind: file_type(attr.kind),
        perm: attr.perm,
        nlink: attr.nlink,
        uid: attr.uid,
        gid: attr.gid,
        rdev: device(attr.rdev),
        blksize: attr.block_size,
        flags: 0,
    }
}

fn system_time(time: Time) -> SystemTime {
    let within = Duration::new(0, time.nsec);
    let seconds = Duration::from_secs(time.sec.unsigned_abs());
    let whole = if time.sec >= 0 {
        UNIX_EPOCH.checked_add(seconds)
    } else {
        UNIX_EPOCH.checked_sub(seconds)
    };
    whole
        .and_then(|whole| whole.checked_add(within))
        .unwrap_or(UNIX_EPOCH)
}

/// A device number as the kernel's 32-bit encoding has it: 12 bits major, 20 bits minor.
fn device((major, minor): (u32, u32)) -> u32 {
    (minor & 0xff) | (major & 0xfff) << 8 | (minor & !0xff) << 12
}
