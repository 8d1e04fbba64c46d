//! A mount that another one is to replace without a gap: the new one goes beneath it, then it is
//! taken off. At each moment a path to the mount point leads to one of the two.
//!
//! Invariant: what is taken off is the very mount that was found, whatever lies at its place by
//! then; those who use it keep it.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, UnmountFlags};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use super::error::Error;
use super::mountinfo::{self, Entry};
use crate::control::{self, Request};

/// Puts a mount between the one at the target and what that lies on (Linux 6.5).
const BENEATH: MoveMountFlags = MoveMountFlags::from_bits_retain(0x200);

/// How long a daemon may take to learn that it is replaced.
const PATIENCE: Duration = Duration::from_secs(5);

/// The topmost mount at a place, to be replaced.
#[derive(Debug)]
pub struct Predecessor {
    entry: Entry,
    /// Its root. Opening it and keeping it open asks its daemon nothing.
    root: OwnedFd,
}

impl Predecessor {
    /// Takes hold of a mount. Fails if it is not on top at its place any more.
    pub fn open(entry: Entry) -> Result<Predecessor, Error> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = rustix::fs::open(&entry.mount_point, flags, Mode::empty()).map_err(|errno| {
            Error::MountPoint {
                path: entry.mount_point.clone(),
                cause: errno.into(),
            }
        })?;
        let id = mountinfo::id_of(&root).map_err(Error::system("read the mount's id"))?;
        if id != entry.id {
            return Err(Error::Covered(entry.mount_point));
        }
        Ok(Predecessor { entry, root })
    }

    /// Moves a mount that has no place beneath this one.
    pub fn put_beneath(&self, mount: impl AsFd) -> Result<(), Error> {
        let flags = BENEATH
            | MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH
            | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(mount, c"", &self.root, c"", flags).map_err(|errno| {
            let hint = match errno {
                Errno::INVAL => "; replacing a mount needs Linux 6.5 or later",
                _ => "",
            };
            Error::Mount {
                path: self.entry.mount_point.clone(),
                cause: format!("{}{hint}", io::Error::from(errno)),
            }
        })
    }

    /// Takes the mount off from above its successor. Its daemon, if it lives, learns first that
    /// it is replaced: from then on it unmounts nothing.
    pub fn take_off(self) -> Result<(), Error> {
        if let Err(failure) = control::ask(&self.entry.socket(), Request::Retire, PATIENCE) {
            log::debug!("the replaced mount: {failure}");
        }
        // By the descriptor, since a path may lead to another mount by now.
        let path = format!("/proc/self/fd/{}", self.root.as_raw_fd());
        match rustix::mount::unmount(path, UnmountFlags::DETACH) {
            // Somebody else took it off in between.
            Ok(()) | Err(Errno::INVAL) => Ok(()),
            Err(errno) => Err(Error::Mount {
                path: self.entry.mount_point,
                cause: io::Error::from(errno).to_string(),
            }),
        }
    }
}
