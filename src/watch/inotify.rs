//! Events of single directories, by inotify(7): for those who may not watch filesystems.
//!
//! Each covered directory takes one watch of the user's limit. Where that is reached, further
//! directories are not covered, and what is in them is asked for at each use.
//! Lock: the registry's, held across the calls that add and remove watches, so that a watch which
//! is just being removed is not taken for a new directory's.

use parking_lot::Mutex;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::change::Change;
use super::registry::{Mark, Registry};
use super::way::steps;
use crate::sys::fanotify::path_of;
use crate::tree::{Attr, Kind};

/// Bytes of events that one read takes.
const BUFFER: usize = 64 * 1024;

/// A set of watched directories.
pub struct Inotify {
    fd: OwnedFd,
    watches: Mutex<Watches>,
    buffer: Mutex<Vec<MaybeUninit<u8>>>,
    refused: AtomicU64,
}

#[derive(Default)]
struct Watches {
    registry: Registry<i32>,
    /// For how many purposes each watch is needed.
    uses: HashMap<i32, usize>,
}

fn wanted() -> WatchFlags {
    WatchFlags::MODIFY
        | WatchFlags::ATTRIB
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVED_FROM
        | WatchFlags::MOVED_TO
        | WatchFlags::ONLYDIR
}

impl Inotify {
    pub(super) fn open() -> io::Result<Inotify> {
        Ok(Inotify {
            fd: inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?,
            watches: Mutex::default(),
            buffer: Mutex::new(vec![MaybeUninit::uninit(); BUFFER]),
            refused: AtomicU64::new(0),
        })
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    fn add(&self, watches: &mut Watches, directory: impl AsFd) -> Option<i32> {
        let path = path_of(directory.as_fd());
        match inotify::add_watch(&self.fd, path, wanted()) {
            Ok(watch) => {
                *watches.uses.entry(watch).or_default() += 1;
                Some(watch)
            }
            Err(errno) => {
                if self.refused.fetch_add(1, Relaxed) == 0 {
                    let limit = match errno {
                        Errno::NOSPC => "; raise the limit: sysctl fs.inotify.max_user_watches",
                        _ => "",
                    };
                    log::warn!(
                        "a directory cannot be watched ({errno}); files in it and in others like \
                         it are asked for at each use{limit}"
                    );
                }
                None
            }
        }
    }

    fn release(&self, watches: &mut Watches, watch: i32) {
        let Some(uses) = watches.uses.get_mut(&watch) else {
            return;
        };
        *uses -= 1;
        if *uses == 0 {
            watches.uses.remove(&watch);
            if let Err(errno) = inotify::remove_watch(&self.fd, watch) {
                log::debug!("removing a watch: {errno}");
            }
        }
    }

    pub(super) fn follow_way(&self, way: &Path) {
        let mut watches = self.watches.lock();
        let mut on_way: Vec<(i32, OsString)> = Vec::new();
        for step in steps(way) {
            if let Some(watch) = self.add(&mut watches, &step.directory) {
                on_way.push((watch, step.name));
            }
        }
        for before in watches.registry.set_way(on_way) {
            self.release(&mut watches, before);
        }
    }

    pub(super) fn mark(&self, file: impl AsFd, attr: &Attr) -> Option<Mark> {
        if attr.kind != Kind::Directory {
            return None;
        }
        let mut watches = self.watches.lock();
        self.add(&mut watches, file).map(Mark::Watch)
    }

    pub(super) fn cover(&self, number: u64, mark: Mark) {
        let Mark::Watch(watch) = mark else { return };
        let mut watches = self.watches.lock();
        if let Some(before) = watches.registry.cover(number, watch) {
            self.release(&mut watches, before);
        }
    }

    pub(super) fn discard(&self, mark: Mark) {
        let Mark::Watch(watch) = mark else { return };
        let mut watches = self.watches.lock();
        self.release(&mut watches, watch);
    }

    pub(super) fn uncover(&self, number: u64) {
        let mut watches = self.watches.lock();
        if let Some(watch) = watches.registry.uncover(number) {
            self.release(&mut watches, watch);
        }
    }

    pub(super) fn read(&self, changes: &mut Vec<Change>) -> usize {
        let mut buffer = self.buffer.lock();
        let mut reader = Reader::new(&self.fd, &mut buffer);
        let mut taken = 0;
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event
                        .file_name()
                        .map(|name| OsStr::from_bytes(name.to_bytes()));
                    taken += size_of_event(name);
                    self.translate(event.wd(), event.events(), name, changes);
                    if reader.is_buffer_empty() {
                        return taken;
                    }
                }
                Err(Errno::AGAIN) => return taken,
                Err(Errno::INTR) => {}
                Err(errno) => {
                    log::warn!("reading events: {errno}");
                    changes.push(Change::Everything);
                    return 0;
                }
            }
        }
    }

    fn translate(
        &self,
        watch: i32,
        mask: ReadFlags,
        name: Option<&OsStr>,
        changes: &mut Vec<Change>,
    ) {
        if mask.contains(ReadFlags::QUEUE_OVERFLOW) {
            changes.push(Change::Everything);
            return;
        }
        if mask.contains(ReadFlags::UNMOUNT) {
            changes.push(Change::Way);
        }
        let watches = self.watches.lock();
        if let Some(name) = name
            && watches.registry.is_on_way(&watch, name)
        {
            changes.push(Change::Way);
        }
        let Some(directory) = watches.registry.number(&watch) else {
            return;
        };
        let Some(name) = name else {
            // An ignored watch's directory is gone, and with it all that was in it.
            if !mask.contains(ReadFlags::IGNORED) {
                changes.push(Change::Inode(directory));
            }
            return;
        };
        let name = name.to_owned();
        let moved = ReadFlags::MOVED_FROM | ReadFlags::MOVED_TO;
        if mask.intersects(moved | ReadFlags::CREATE | ReadFlags::DELETE) {
            changes.push(Change::Name {
                directory,
                name,
                subtree: mask.intersects(moved) && mask.contains(ReadFlags::ISDIR),
            });
        } else {
            changes.push(Change::Content {
                directory,
                name,
                number: None,
            });
        }
    }
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
/// The bytes of an event in the queue: a header, and a name that is filled up with NULs.
fn size_of_event(name: Option<&OsStr>) -> usize {
    const HEADER: usize = 16;
    HEADER + name.map_or(0, |name| (name.len() + 1).next_multiple_of(HEADER))
}
