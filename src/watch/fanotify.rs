//! Events of whole filesystems, by fanotify(7): one mark covers the source and the way to it.
//!
//! Files are named by handle. Directories that are covered, and files with several names, are
//! registered by theirs; an event that names neither is about something the kernel does not keep.

use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags, fstatvfs};
use rustix::io::{Errno, retry_on_intr};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use super::change::Change;
use super::event::{self, ATTRIB, Event, OVERFLOW};
use super::registry::{Mark, Registry};
use super::way::steps;
use crate::sys::fanotify::{HANDLE_HEADER, group, handle_of, mark_filesystem, open_handle};
use crate::tree::{Attr, Kind, RootDir};

/// Bytes of events that one read takes.
const BUFFER: usize = 64 * 1024;
/// What an event counts in [`Events::waiting`](super::Events::waiting): Linux counts the fixed part of
/// each, whatever else a read then gives (as of 6.18). One that counts more has a barrier wait longer.
const COUNTED: usize = 24;
/// The bytes of a filesystem's number before a handle.
const FILESYSTEM: usize = 8;

/// A group with marks on filesystems.
pub struct Fanotify {
    group: OwnedFd,
    registry: Mutex<Registry<Box<[u8]>>>,
    marked: Mutex<Vec<[u8; FILESYSTEM]>>,
    buffer: Mutex<Vec<u8>>,
    home: Mutex<Home>,
}

/// The filesystem of the source: files in it are found by handle.
struct Home {
    filesystem: [u8; FILESYSTEM],
    directory: OwnedFd,
    /// Whether its handles hold the number of the inode where [`number_in`] looks for it.
    numbered: bool,
}

impl Fanotify {
    /// Marks the filesystem that the source is on.
    pub(super) fn open(root: &RootDir) -> io::Result<Fanotify> {
        let home = Home::of(root)?;
        handle_of(root)?;
        let this = Fanotify {
            group: group()?,
            registry: Mutex::default(),
            marked: Mutex::default(),
            buffer: Mutex::new(vec![0; BUFFER]),
            home: Mutex::new(home),
        };
        if !this.is_marked(root)? {
            return Err(io::Error::other("the filesystem cannot be marked"));
        }
        Ok(this)
    }

    /// Whether the filesystem that a file is on is marked, now if not before.
    fn is_marked(&self, file: impl AsFd) -> io::Result<bool> {
        let filesystem = number_of(&file)?;
        let mut marked = self.marked.lock();
        if marked.contains(&filesystem) {
            return Ok(true);
        }
        if filesystem == [0; FILESYSTEM] {
            return Ok(false);
        }
        mark_filesystem(&self.group, event::MASK, file)?;
        marked.push(filesystem);
        Ok(true)
    }

    pub(super) fn follow_way(&self, way: &Path) {
        let mut keys: Vec<(Box<[u8]>, OsString)> = Vec::new();
        for step in steps(way) {
            match self.is_marked(&step.directory) {
                Ok(true) => {
                    if let Ok(key) = key_of(&step.directory) {
                        keys.push((key, step.name));
                    }
                }
                // A change there is noticed when the source is next looked at.
                Ok(false) => {}
                Err(error) => log::debug!("no events of a filesystem on the way: {error}"),
            }
        }
        self.registry.lock().set_way(keys);
    }

    pub(super) fn mark(&self, file: impl AsFd, attr: &Attr) -> Option<Mark> {
        let wanted = match attr.kind {
            Kind::Directory => true,
            Kind::File => attr.nlink > 1,
            Kind::Symlink | Kind::Fifo | Kind::Socket | Kind::CharDevice | Kind::BlockDevice => {
                false
            }
        };
        if !wanted {
            return None;
        }
        match self.is_marked(&file).and_then(|marked| match marked {
            true => key_of(&file).map(Some),
            false => Ok(None),
        }) {
            Ok(key) => key.map(Mark::Handle),
            Err(error) => {
                log::debug!("no events of a directory: {error}");
                None
            }
        }
    }

    pub(super) fn cover(&self, number: u64, mark: Mark) {
        match mark {
            Mark::Handle(key) => {
                self.registry.lock().cover(number, key);
            }
            Mark::Watch(_) => {}
        }
    }

    pub(super) fn uncover(&self, number: u64) {
        self.registry.lock().uncover(number);
    }

    /// The source is another directory now, perhaps on another filesystem.
    pub(super) fn set_home(&self, root: &RootDir) {
        match Home::of(root) {
            Ok(home) => *self.home.lock() = home,
            Err(error) => log::debug!("the new source's filesystem: {error}"),
        }
    }

    pub(super) fn read(&self, changes: &mut Vec<Change>) -> usize {
        let mut buffer = self.buffer.lock();
        match retry_on_intr(|| rustix::io::read(&self.group, buffer.as_mut_slice())) {
            Err(Errno::AGAIN) => 0,
            Err(errno) => {
                // What was in the queue is unknown.
                log::warn!("reading events: {errno}");
                changes.push(Change::Everything);
                0
            }
            Ok(count) => {
                let events = event::parse(buffer.get(..count).unwrap_or_default());
                for event in &events {
                    self.translate(event, changes);
                }
                events.len() * COUNTED
            }
        }
    }

    fn translate(&self, event: &Event<'_>, changes: &mut Vec<Change>) {
        if event.mask & OVERFLOW != 0 {
            changes.push(Change::Everything);
            return;
        }
        let registry = self.registry.lock();
        if let Some((key, name)) = event.named {
            if registry.is_on_way(key, name) {
                changes.push(Change::Way);
            }
            if let Some(directory) = registry.number(key) {
                let number = event.object.and_then(|object| self.number_of(object));
                event.changes(directory, name, number, changes);
            }
        }
        let Some(object) = event.object else { return };
        if let Some(number) = registry.number(object) {
            changes.push(Change::Inode(number));
        } else if event.named.is_none() && event.mask & ATTRIB != 0 {
            drop(registry);
            // The number of names changed: of a file that had one, which is not registered.
            changes.extend(self.find(object).map(Change::Links));
        }
    }

    /// The inode number of a file of the source's filesystem, as far as its handle tells.
    fn number_of(&self, object: &[u8]) -> Option<u64> {
        let home = self.home.lock();
        home.handle(object)
            .filter(|_| home.numbered)
            .and_then(number_in)
    }

    /// The inode number of a file of the source's filesystem. None if it is known to have lost its
    /// last name.
    fn find(&self, object: &[u8]) -> Option<u64> {
        // Opening a file that is just being deleted waits for the end of that.
        if let Some(number) = self.number_of(object) {
            return Some(number);
        }
        let home = self.home.lock();
        let file = open_handle(&home.directory, home.handle(object)?).ok()?;
        let attr = Attr::of_fd(file).ok()?;
        // The end of a file's last name is told of with the name.
        (attr.nlink > 0).then_some(attr.identity.ino)
    }
}

impl Home {
    fn of(root: &RootDir) -> io::Result<Home> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = handle_of(root)?;
        Ok(Home {
            filesystem: number_of(root)?,
            directory: rustix::fs::openat(root, c".", flags, Mode::empty())?,
            numbered: number_in(&handle) == Some(root.attr().identity.ino),
        })
    }

    /// The handle in what an event names a file by, if the file is on this filesystem.
    fn handle<'a>(&self, object: &'a [u8]) -> Option<&'a [u8]> {
        let (filesystem, handle) = object.split_at_checked(FILESYSTEM)?;
        (self.filesystem == filesystem).then_some(handle)
    }
}

impl AsFd for Fanotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.group.as_fd()
    }
}

/// The number of a file's filesystem, as events carry it.
fn number_of(file: impl AsFd) -> io::Result<[u8; FILESYSTEM]> {
    // The two halves as the kernel has them, joined by the call.
    let joined = fstatvfs(file)?.f_fsid;
    let (first, second) = (joined as u32, (joined >> 32) as u32);
    let mut number = [0; FILESYSTEM];
    let bytes = first.to_ne_bytes().into_iter().chain(second.to_ne_bytes());
    for (to, from) in number.iter_mut().zip(bytes) {
        *to = from;
    }
    Ok(number)
}

/// What events name a file by.
fn key_of(file: impl AsFd) -> io::Result<Box<[u8]>> {
    let mut key = number_of(&file)?.to_vec();
    key.extend_from_slice(&handle_of(file)?);
    Ok(key.into())
}

/// The number of the inode in a handle (with its header), for the kinds of handles whose form is
/// known. The forms are those of the kernel's ext4 and f2fs (number, generation), tmpfs (generation,
/// number), xfs with 64-bit numbers and btrfs (number first).
fn number_in(handle: &[u8]) -> Option<u64> {
    const GENERIC: u32 = 1;
    const XFS: u32 = 0x81;
    const BTRFS: u32 = 0x4d;
    let word = |at: usize| {
        let bytes = handle.get(HANDLE_HEADER + at..)?.first_chunk()?;
        Some(u32::from_ne_bytes(*bytes))
    };
    let long = |at: usize| {
        let bytes = handle.get(HANDLE_HEADER + at..)?.first_chunk()?;
        Some(u64::from_ne_bytes(*bytes))
    };
    let kind = u32::from_ne_bytes(*handle.get(4..)?.first_chunk()?);
    match (kind, handle.len().checked_sub(HANDLE_HEADER)?) {
        (GENERIC, 8) => word(0).map(u64::from),
        (GENERIC, 12) => Some(u64::from(word(4)?) | u64::from(word(8)?) << 32),
        (XFS, 12) | (BTRFS, 20) => long(0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_number_in_a_handle_is_the_file_s_own_where_the_form_is_known() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("file");
        std::fs::write(&path, b"").unwrap();
        for path in [place.path(), &path, Path::new("/dev/shm")] {
            let Ok(file) = std::fs::File::open(path) else {
                eprintln!("SKIPPED {}: it cannot be opened", path.display());
                continue;
            };
            let Ok(handle) = handle_of(&file) else {
                eprintln!("SKIPPED {}: its filesystem has no handles", path.display());
                continue;
            };
            if let Some(number) = number_in(&handle) {
                assert_eq!(number, file.metadata().unwrap().ino(), "{}", path.display());
            }
        }
    }

    #[test]
    fn what_waits_is_counted_as_it_is_read_so_that_a_long_queue_is_read_to_its_end() {
        use crate::tree::Root;
        use crate::watch::Events;

        // Several buffers full, and fewer than a queue holds.
        const FILES: usize = 4000;
        const NUMBER: u64 = 7;
        let place = tempfile::tempdir().unwrap();
        let root = Root::open(place.path(), false).unwrap().held();
        let fanotify = match Fanotify::open(&root) {
            Ok(fanotify) => fanotify,
            Err(error) => {
                eprintln!("SKIPPED: no events of filesystems here: {error}");
                return;
            }
        };
        let events = Events::Fanotify(fanotify);
        let mark = events.mark(&root, root.attr(), &root).unwrap();
        events.cover(NUMBER, mark);
        for number in 0..FILES {
            std::fs::write(place.path().join(number.to_string()), b"").unwrap();
        }
        std::fs::write(place.path().join("last"), b"").unwrap();
        let mut due = events.waiting().unwrap();
        let mut changes = Vec::new();
        let mut reads = 0;
        while due > 0 {
            let taken = events.read(&mut changes);
            assert!(taken > 0, "{due} more were said to wait");
            due = due.saturating_sub(taken as u64);
            reads += 1;
        }
        assert!(reads > 1, "one read took all");
        let lost = changes.contains(&Change::Everything);
        let told = changes.iter().any(|change| match change {
            Change::Name {
                directory, name, ..
            } => *directory == NUMBER && name == "last",
            _ => false,
        });
        assert!(
            lost || told,
            "the last of {} changes is missing",
            changes.len()
        );
    }

    #[test]
    fn a_handle_of_another_form_has_no_number() {
        assert_eq!(number_in(&[]), None);
        assert_eq!(
            number_in(&[8, 0, 0, 0, 99, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]),
            None
        );
        assert_eq!(number_in(&[4, 0, 0, 0, 1, 0, 0, 0, 1, 2, 3, 4]), None);
    }
}
