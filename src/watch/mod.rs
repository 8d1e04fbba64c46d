//! What happens to the source: events of the kernel, turned into changes of what the mount shows.
//!
//! [`Events`] knows directories by the mount's inode numbers and reports changes in those that were
//! covered. Invariants: a directory is covered before anything in it is answered with a lease;
//! when events were lost, that is a change itself. Nothing here knows what the kernel keeps: that
//! is [`operations`](crate::operations)' part.

mod change;
mod event;
mod fanotify;
mod inotify;
mod registry;
mod way;

pub use change::Change;
pub use registry::Mark;

use rustix::event::{PollFd, PollFlags};
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use crate::tree::{Attr, RootDir};
use fanotify::Fanotify;
use inotify::Inotify;

/// The source's events, from where the system and our privileges give them.
pub enum Events {
    /// Of whole filesystems.
    Fanotify(Fanotify),
    /// Of single directories.
    Inotify(Inotify),
}

/// Why there are no events.
#[derive(Debug, thiserror::Error)]
pub enum Unavailable {
    /// Neither kind can be had.
    #[error("fanotify: {fanotify}; inotify: {inotify}")]
    Neither {
        /// What was said to fanotify.
        fanotify: io::Error,
        /// What was said to inotify.
        inotify: io::Error,
    },
}

impl Events {
    /// The events of the source: those of its filesystem unless `directories` only are wanted or we
    /// may not, else inotify's.
    /// `way` is the source's path, if a source that is replaced has to be noticed.
    pub fn open(
        root: &RootDir,
        way: Option<&Path>,
        directories: bool,
    ) -> Result<Events, Unavailable> {
        let filesystem = match directories {
            true => Err(io::Error::other("not wanted")),
            false => Fanotify::open(root),
        };
        let events = match filesystem {
            Ok(fanotify) => Events::Fanotify(fanotify),
            Err(refused) => match Inotify::open() {
                Ok(inotify) => {
                    log::info!("events of directories only, since fanotify: {refused}");
                    Events::Inotify(inotify)
                }
                Err(inotify) => {
                    return Err(Unavailable::Neither {
                        fanotify: refused,
                        inotify,
                    });
                }
            },
        };
        if let Some(way) = way {
            events.follow_way(way);
        }
        Ok(events)
    }

    /// The kind of events, for people.
    pub fn name(&self) -> &'static str {
        match self {
            Events::Fanotify(_) => "fanotify",
            Events::Inotify(_) => "inotify",
        }
    }

    /// Has changes on the way to the source reported from now on, instead of those on another way.
    pub fn follow_way(&self, way: &Path) {
        match self {
            Events::Fanotify(fanotify) => fanotify.follow_way(way),
            Events::Inotify(inotify) => inotify.follow_way(way),
        }
    }

    /// The source is another directory now.
    pub fn set_home(&self, root: &RootDir) {
        match self {
            Events::Fanotify(fanotify) => fanotify.set_home(root),
            Events::Inotify(_) => {}
        }
    }

    /// Prepares the covering of a directory, or of a file with several names. `None` if its
    /// changes cannot be followed.
    pub fn mark(&self, file: impl AsFd, attr: &Attr, root: &RootDir) -> Option<Mark> {
        let home = attr.mount == root.attr().mount && attr.identity.dev == root.attr().identity.dev;
        if !home {
            return None;
        }
        match self {
            Events::Fanotify(fanotify) => fanotify.mark(file, attr),
            Events::Inotify(inotify) => inotify.mark(file, attr),
        }
    }

    /// From now on changes in what was marked are reported as this number's.
    pub fn cover(&self, number: u64, mark: Mark) {
        match self {
            Events::Fanotify(fanotify) => fanotify.cover(number, mark),
            Events::Inotify(inotify) => inotify.cover(number, mark),
        }
    }

    /// A mark is not used after all.
    pub fn discard(&self, mark: Mark) {
        match self {
            Events::Fanotify(_) => {}
            Events::Inotify(inotify) => inotify.discard(mark),
        }
    }

    /// Changes are no longer reported as this number's.
    pub fn uncover(&self, number: u64) {
        match self {
            Events::Fanotify(fanotify) => fanotify.uncover(number),
            Events::Inotify(inotify) => inotify.uncover(number),
        }
    }

    /// Reads a part of the events that are waiting and appends what they mean. Gives what they
    /// counted in [`Events::waiting`]; when it gives 0, everything that happened before the call was
    /// reported.
    pub fn read(&self, changes: &mut Vec<Change>) -> usize {
        match self {
            Events::Fanotify(fanotify) => fanotify.read(changes),
            Events::Inotify(inotify) => inotify.read(changes),
        }
    }

    /// How much is waiting, in bytes as the system counts events. When as many have been read,
    /// everything that happened before the call was reported.
    pub fn waiting(&self) -> io::Result<u64> {
        Ok(rustix::io::ioctl_fionread(self)?)
    }

    /// Directories that could not be covered for want of watches.
    pub fn refused(&self) -> u64 {
        match self {
            Events::Fanotify(_) => 0,
            Events::Inotify(inotify) => inotify.refused(),
        }
    }

    /// What to wait for.
    pub fn readable(&self) -> PollFd<'_> {
        PollFd::from_borrowed_fd(self.as_fd(), PollFlags::IN)
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Events::Fanotify(fanotify) => fanotify.as_fd(),
            Events::Inotify(inotify) => inotify.as_fd(),
        }
    }
}

/// Whether a name may be a Python source's.
pub fn is_source_name(name: &OsStr) -> bool {
    use std::os::unix::ffi::OsStrExt;
    name.as_bytes().ends_with(b".py")
}
