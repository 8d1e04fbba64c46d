//! Attributes of a file of the real tree, as one `statx` call gives them.

use rustix::fs::{AtFlags, Statx, StatxFlags};
use std::os::fd::AsFd;

use super::error::{Doing, Error, patiently};

/// A point in time: whole seconds since 1970 (may be negative) and nanoseconds (0 to 999,999,999).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time {
    /// Seconds since the epoch, rounded down.
    pub sec: i64,
    /// Nanoseconds within the second.
    pub nsec: u32,
}

impl Time {
    /// The time of the wall clock.
    pub fn now() -> Time {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        Time {
            sec: now.tv_sec,
            nsec: u32::try_from(now.tv_nsec).unwrap_or(0),
        }
    }

    /// Nanoseconds since the epoch, saturated.
    pub fn nanos(self) -> i128 {
        i128::from(self.sec) * 1_000_000_000 + i128::from(self.nsec)
    }
}

/// What kind of file this is (the format bits of `st_mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

impl Kind {
    /// The kind that the format bits of a mode name. Unknown bits read as a regular file.
    pub fn of_mode(mode: u32) -> Kind {
        use rustix::fs::FileType;
        Kind::of_file_type(FileType::from_raw_mode(mode)).unwrap_or(Kind::File)
    }

    /// The kind for a directory entry's type; `None` when the filesystem does not tell.
    pub fn of_file_type(file_type: rustix::fs::FileType) -> Option<Kind> {
        use rustix::fs::FileType;
        match file_type {
            FileType::RegularFile => Some(Kind::File),
            FileType::Directory => Some(Kind::Directory),
            FileType::Symlink => Some(Kind::Symlink),
            FileType::Fifo => Some(Kind::Fifo),
            FileType::Socket => Some(Kind::Socket),
            FileType::CharacterDevice => Some(Kind::CharDevice),
            FileType::BlockDevice => Some(Kind::BlockDevice),
            FileType::Unknown => None,
        }
    }
}

/// Which file it is, whatever its name. Two files never share one, not even when the filesystem
/// reuses an inode number: the birth time differs then (where the filesystem keeps one).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// `st_dev`, major in the upper 32 bits.
    pub dev: u64,
    /// `st_ino`.
    pub ino: u64,
    /// When the inode was created; zero where the filesystem does not say.
    pub birth: Time,
}

/// The attributes of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attr {
    /// Which file this is.
    pub identity: Identity,
    /// The id of the mount it was reached through (tells bind mounts apart).
    pub mount: u64,
    /// The kind of file.
    pub kind: Kind,
    /// Permission bits with set-id and sticky bits (0o7777).
    pub perm: u16,
    /// Number of hard links.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// Allocated 512-byte blocks.
    pub blocks: u64,
    /// Preferred block size for I/O, in bytes.
    pub block_size: u32,
    /// Device number of a device file: (major, minor).
    pub rdev: (u32, u32),
    /// Last access.
    pub atime: Time,
    /// Last change of the content.
    pub mtime: Time,
    /// Last change of content or attributes; cannot be set by a user.
    pub ctime: Time,
}

impl Attr {
    /// The attributes of an open file.
    pub fn of_fd(fd: impl AsFd) -> Result<Attr, Error> {
        let stat = patiently(|| rustix::fs::statx(&fd, c"", AtFlags::EMPTY_PATH, wanted()))
            .doing("stat")?;
        Ok(Attr::from_statx(&stat))
    }

    /// The attributes of one name in a directory; a symlink is not followed.
    pub fn of_name(dir: impl AsFd, name: &std::ffi::OsStr) -> Result<Attr, Error> {
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
        let stat = patiently(|| rustix::fs::statx(&dir, name, flags, wanted())).doing("stat")?;
        Ok(Attr::from_statx(&stat))
    }

    /// The attributes of what a path leads to, symlinks followed.
    pub(super) fn of_followed(base: impl AsFd, path: &std::path::Path) -> Result<Attr, Error> {
        let flags = AtFlags::NO_AUTOMOUNT;
        let stat = patiently(|| rustix::fs::statx(&base, path, flags, wanted())).doing("stat")?;
        Ok(Attr::from_statx(&stat))
    }

    fn from_statx(stat: &Statx) -> Attr {
        let time = |t: rustix::fs::StatxTimestamp| Time {
            sec: t.tv_sec,
            nsec: t.tv_nsec,
        };
        let has_birth = stat.stx_mask & StatxFlags::BTIME.bits() != 0;
        let mode = u32::from(stat.stx_mode);
        Attr {
            identity: Identity {
                dev: u64::from(stat.stx_dev_major) << 32 | u64::from(stat.stx_dev_minor),
                ino: stat.stx_ino,
                birth: if has_birth {
                    time(stat.stx_btime)
                } else {
                    Time::default()
                },
            },
            mount: stat.stx_mnt_id,
            kind: Kind::of_mode(mode),
            perm: stat.stx_mode & 0o7777,
            nlink: stat.stx_nlink,
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            size: stat.stx_size,
            blocks: stat.stx_blocks,
            block_size: stat.stx_blksize,
            rdev: (stat.stx_rdev_major, stat.stx_rdev_minor),
            atime: time(stat.stx_atime),
            mtime: time(stat.stx_mtime),
            ctime: time(stat.stx_ctime),
        }
    }

    /// Whether everything that tells one version of a file's content from the next is equal.
    pub fn same_version(&self, other: &Attr) -> bool {
        self.identity == other.identity
            && self.mount == other.mount
            && self.size == other.size
            && self.mtime == other.mtime
            && self.ctime == other.ctime
    }

    /// Whether the file changed so recently that a further change may leave the times equal
    /// (coarse clocks), or its times are ahead of the clock: nothing may be concluded from them.
    pub fn is_recent(&self, now: Time) -> bool {
        const SETTLED_NANOS: i128 = 2_000_000_000;
        now.nanos() - self.ctime.nanos() < SETTLED_NANOS
    }
}

/// The mask of what [`Attr`] needs. `MNT_ID_UNIQUE` is never reused, unlike `MNT_ID`.
fn wanted() -> StatxFlags {
    StatxFlags::BASIC_STATS | StatxFlags::BTIME | StatxFlags::from_bits_retain(0x4000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_concluded_from_times_that_are_new_or_ahead_of_a_clock_that_was_set_back() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let attr = Attr::of_fd(file.as_file()).unwrap();
        let after = |seconds: i64| Time {
            sec: attr.ctime.sec + seconds,
            nsec: attr.ctime.nsec,
        };
        assert!(attr.is_recent(after(0)));
        assert!(attr.is_recent(after(1)));
        assert!(!attr.is_recent(after(2)));
        // The clock was set back by an hour.
        assert!(attr.is_recent(after(-3600)));
    }
}
