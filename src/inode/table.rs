//! The table of live inodes: from the number the kernel uses to what it stands for.
//!
//! Invariant: an inode stays in the table as long as the kernel holds a reference that a reply gave
//! it (each successful lookup counts one, FORGET takes them back), so memory follows the kernel's.
//! Lock order: the table's lock, then one inode's; neither is held across a system call.

use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use super::number::{self, ROOT};
use crate::pycache::Pyc;
use crate::tree::{Attr, Identity, Kind, Time};
use crate::watch::{Events, Mark};

/// Where an inode is: the directory and the name it was last looked up by.
#[derive(Clone, Debug)]
pub struct Place {
    /// The directory.
    pub parent: Arc<Inode>,
    /// The name in it.
    pub name: OsString,
}

/// What is remembered of a file or directory of the real tree.
#[derive(Debug)]
pub struct Real {
    /// Which file the number stands for now.
    pub identity: Identity,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Whether events tell of each change in it (of a directory), or of it by whatever name (of a
    /// file with several names).
    pub covered: bool,
    /// Where it was last found; `None` for the root only.
    pub place: Option<Place>,
    /// The version that was last opened, of a directory: listed for the kernel to keep. Its pages
    /// may be kept when it is opened again.
    pub opened: Option<Box<Attr>>,
    /// Of a directory: whether it holds sources, for these attributes of it.
    pub sources: Option<(Box<Attr>, bool)>,
}

/// What an inode stands for.
#[derive(Debug)]
pub enum Body {
    /// A file or directory of the real tree.
    Real(Mutex<Real>),
    /// The synthesized `__pycache__` of a directory.
    CacheDirectory(Arc<Inode>),
    /// A synthesized pyc. The bytes never change; owner and permission follow the source.
    Pyc(RwLock<Arc<Pyc>>),
}

/// One inode.
#[derive(Debug)]
pub struct Inode {
    /// The number by which the kernel knows it.
    pub number: u64,
    /// Which version of a file alone it stands for; 0: for all that it stands for, whatever that
    /// holds.
    version: u64,
    /// What it stands for.
    pub body: Body,
    /// Whether the kernel may hold pages of it: content, entries, or a symlink's target.
    pages: AtomicBool,
}

impl Inode {
    /// Notes that the kernel is about to be given pages. Called before what they hold is read.
    pub fn note_pages(&self) {
        self.pages.store(true, Relaxed);
    }

    /// Whether the kernel may hold pages of it.
    pub fn has_pages(&self) -> bool {
        self.pages.load(Relaxed)
    }

    /// Whether a file may have been read; `None` for directories.
    fn was_read(&self) -> Option<bool> {
        match &self.body {
            Body::Real(real) => {
                let real = real.lock();
                // Directories are what others are found in.
                let is_directory = real.is_directory;
                (!is_directory).then(|| self.has_pages() || real.opened.is_some())
            }
            Body::CacheDirectory(_) => None,
            Body::Pyc(pyc) => Some(self.has_pages() || pyc.read().size.is_some()),
        }
    }

    /// Whether it stands for one version of a file only.
    pub fn is_versioned(&self) -> bool {
        self.version != 0
    }

    /// Whether events tell of each change in this directory.
    pub fn is_covered(&self) -> bool {
        self.real().is_some_and(|real| real.lock().covered)
    }

    /// The path relative to the root, `None` for what is not of the real tree.
    pub fn path(&self) -> Option<OsString> {
        let mut names = Vec::new();
        let mut length = 0;
        let Body::Real(real) = &self.body else {
            return None;
        };
        let mut place = real.lock().place.clone();
        while let Some(Place { parent, name }) = place {
            length += name.len() + 1;
            names.push(name);
            let Body::Real(real) = &parent.body else {
                return None;
            };
            place = real.lock().place.clone();
        }
        let mut path = OsString::with_capacity(length);
        for name in names.iter().rev() {
            if !path.is_empty() {
                path.push("/");
            }
            path.push(name);
        }
        Some(path)
    }

    /// What is remembered, if this is of the real tree.
    pub fn real(&self) -> Option<&Mutex<Real>> {
        match &self.body {
            Body::Real(real) => Some(real),
            Body::CacheDirectory(_) | Body::Pyc(_) => None,
        }
    }
}

#[derive(Debug)]
struct Held {
    inode: Arc<Inode>,
    lookups: u64,
}

/// All inodes that the kernel may ask about.
pub struct Table {
    held: Mutex<HashMap<u64, Held>>,
    /// Look-ups that needed an inode of their own.
    alone: AtomicU64,
    events: Option<Arc<Events>>,
}

/// How changes of a file that was found are noticed.
#[derive(Debug, Default)]
pub struct Noticed {
    /// Prepared for it, if events can tell of its changes.
    pub mark: Option<Mark>,
    /// What of it an inode stands for.
    pub stands_for: StandsFor,
}

/// What of a file of the real tree one inode stands for. Whatever has no content stands for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StandsFor {
    /// The file, whatever it holds: somebody tells when that changes, or opening it asks.
    #[default]
    File,
    /// One version of it, told from others by its times and size.
    Version,
    /// What one look-up found: the file changed so recently that its times tell nothing.
    LookUp,
}

/// The generation the kernel is told: when a filesystem reuses a number for a new file, the
/// kernel must not take it for the old one.
fn generation(birth: Time) -> u64 {
    (birth.sec as u64)
        .wrapping_mul(1_000_000_000)
        .wrapping_add(u64::from(birth.nsec))
}

impl Table {
    /// A table that holds the root only. Directories of which events tell are covered as long as
    /// the kernel holds them.
    pub fn new(root: Identity, events: Option<Arc<Events>>) -> Table {
        let inode = Arc::new(Inode {
            number: ROOT,
            version: 0,
            pages: AtomicBool::new(false),
            body: Body::Real(Mutex::new(Real {
                identity: root,
                is_directory: true,
                covered: false,
                place: None,
                opened: None,
                sources: None,
            })),
        });
        let held = Mutex::new(HashMap::from([(ROOT, Held { inode, lookups: 1 })]));
        Table {
            held,
            alone: AtomicU64::new(0),
            events,
        }
    }

    /// The inode of a number the kernel holds.
    pub fn get(&self, number: u64) -> Option<Arc<Inode>> {
        self.held
            .lock()
            .get(&number)
            .map(|held| Arc::clone(&held.inode))
    }

    /// How many inodes the kernel holds.
    pub fn len(&self) -> usize {
        self.held.lock().len()
    }

    /// Whether it holds none. The root is always held.
    pub fn is_empty(&self) -> bool {
        self.held.lock().is_empty()
    }

    /// The inode for a name found in the real tree, counted as looked up once, and its generation.
    pub fn found(
        &self,
        parent: &Arc<Inode>,
        name: &OsStr,
        attr: &Attr,
        root: &Attr,
        noticed: Noticed,
    ) -> (Arc<Inode>, u64) {
        let place = Place {
            parent: Arc::clone(parent),
            name: name.to_owned(),
        };
        let stands_for = match attr.kind {
            Kind::File => noticed.stands_for,
            Kind::Directory
            | Kind::Symlink
            | Kind::Fifo
            | Kind::Socket
            | Kind::CharDevice
            | Kind::BlockDevice => StandsFor::File,
        };
        let source = number::of_source(attr, root);
        // The number to begin with, the one to try if that is taken, and the version.
        let (mut number, mut other, version) = match stands_for {
            StandsFor::File => (source, None, 0),
            StandsFor::Version => {
                let version = number::of_version(attr);
                (source, Some(version), version)
            }
            StandsFor::LookUp => {
                let alone = number::of_look_up(attr, self.alone.fetch_add(1, Relaxed));
                (alone, None, alone)
            }
        };
        if number == ROOT {
            // The root itself, reached again through a loop of mounts.
            number = number::foreign(attr, true);
        }
        let mut table = self.held.lock();
        while let Some(held) = table.get_mut(&number) {
            if held.inode.version == version
                && let Body::Real(real) = &held.inode.body
            {
                let mut real = real.lock();
                // One that has another birth time was deleted, and the filesystem has used its
                // number again; those who have it open still read it under that number.
                if real.identity == attr.identity {
                    real.place = Some(place);
                    self.cover(number, &mut real, noticed.mark);
                    drop(real);
                    held.lookups += 1;
                    return (Arc::clone(&held.inode), generation(attr.identity.birth));
                }
            }
            number = other.take().unwrap_or_else(|| number::next(number));
        }
        let mut real = Real {
            identity: attr.identity,
            is_directory: attr.kind == Kind::Directory,
            covered: false,
            place: Some(place),
            opened: None,
            sources: None,
        };
        self.cover(number, &mut real, noticed.mark);
        let inode = insert(&mut table, number, version, Body::Real(Mutex::new(real)));
        (inode, generation(attr.identity.birth))
    }

    /// Covers a file that the table holds, under the table's lock: the kernel's forgetting must
    /// not come in between.
    fn cover(&self, number: u64, real: &mut Real, mark: Option<Mark>) {
        let Some(events) = &self.events else { return };
        match mark {
            Some(mark) if real.covered => events.discard(mark),
            Some(mark) => {
                events.cover(number, mark);
                real.covered = true;
            }
            None => {}
        }
    }

    /// The root is this directory from now on.
    pub fn set_root(&self, root: Identity, mark: Option<Mark>) {
        let table = self.held.lock();
        let Some(Body::Real(real)) = table.get(&ROOT).map(|held| &held.inode.body) else {
            return;
        };
        let mut real = real.lock();
        real.identity = root;
        real.sources = None;
        real.covered = false;
        if let Some(events) = &self.events {
            events.uncover(ROOT);
        }
        self.cover(ROOT, &mut real, mark);
    }

    /// The inode that stands for a file of the real tree, if the kernel holds it.
    pub fn known(&self, attr: &Attr, root: &Attr) -> Option<Arc<Inode>> {
        let mut number = number::of_source(attr, root);
        let table = self.held.lock();
        while let Some(held) = table.get(&number) {
            if held.inode.version == 0
                && let Body::Real(real) = &held.inode.body
                && real.lock().identity == attr.identity
            {
                return Some(Arc::clone(&held.inode));
            }
            number = number::next(number);
        }
        None
    }

    /// The number of a directory's `__pycache__`, if the kernel holds it.
    pub fn known_cache_directory(&self, of: u64) -> Option<u64> {
        let mut number = number::of_cache_directory(of);
        let table = self.held.lock();
        while let Some(held) = table.get(&number) {
            if let Body::CacheDirectory(parent) = &held.inode.body
                && parent.number == of
            {
                return Some(number);
            }
            number = number::next(number);
        }
        None
    }

    /// The numbers of all inodes of which the kernel may hold pages. They count as having none
    /// from now on.
    pub fn take_pages(&self) -> Vec<u64> {
        let table = self.held.lock();
        let with_pages = |held: &&Held| held.inode.pages.swap(false, Relaxed);
        let held = table.values().filter(with_pages);
        held.map(|held| held.inode.number).collect()
    }

    /// The numbers of up to `most` files, of those that were not read if they are `enough`.
    pub fn spare(&self, most: usize, enough: usize) -> Vec<u64> {
        let table = self.held.lock();
        let mut unread = Vec::new();
        let mut read = Vec::new();
        for held in table.values() {
            match held.inode.was_read() {
                None => {}
                Some(false) => unread.push(held.inode.number),
                Some(true) => read.push(held.inode.number),
            }
            if unread.len() >= most {
                break;
            }
        }
        drop(table);
        if unread.len() < enough {
            let more = most.saturating_sub(unread.len());
            unread.extend(read.into_iter().take(more));
        }
        unread
    }

    /// All inodes that the kernel holds.
    pub fn all(&self) -> Vec<Arc<Inode>> {
        let table = self.held.lock();
        table.values().map(|held| Arc::clone(&held.inode)).collect()
    }

    /// The inode for the `__pycache__` of a directory, counted as looked up once.
    pub fn cache_directory(&self, of: &Arc<Inode>) -> Arc<Inode> {
        let mut number = number::of_cache_directory(of.number);
        let mut table = self.held.lock();
        while let Some(held) = table.get_mut(&number) {
            if let Body::CacheDirectory(parent) = &held.inode.body
                && Arc::ptr_eq(parent, of)
            {
                held.lookups += 1;
                return Arc::clone(&held.inode);
            }
            number = number::next(number);
        }
        insert(&mut table, number, 0, Body::CacheDirectory(Arc::clone(of)))
    }

    /// The inode for a pyc, counted as looked up once. The same bytes at the same place have the
    /// same inode; owner and permission are those of the newest look-up.
    pub fn pyc(&self, pyc: Arc<Pyc>) -> Arc<Inode> {
        let mut number = number::of_pyc(&pyc.identity());
        let mut table = self.held.lock();
        while let Some(held) = table.get_mut(&number) {
            if let Body::Pyc(current) = &held.inode.body
                && current.read().identity() == pyc.identity()
            {
                *current.write() = pyc;
                held.lookups += 1;
                return Arc::clone(&held.inode);
            }
            number = number::next(number);
        }
        insert(&mut table, number, 0, Body::Pyc(RwLock::new(pyc)))
    }

    /// Whether the kernel holds this pyc with its size.
    pub fn has_made(&self, pyc: &Pyc) -> bool {
        let mut number = number::of_pyc(&pyc.identity());
        let table = self.held.lock();
        while let Some(held) = table.get(&number) {
            if let Body::Pyc(current) = &held.inode.body {
                let current = current.read();
                if current.identity() == pyc.identity() {
                    return current.size.is_some();
                }
            }
            number = number::next(number);
        }
        false
    }

    /// Takes back `count` lookups; the last one removes the inode. Says whether it did, and then calls
    /// `removed` before anybody can find the number again.
    pub fn forget(&self, number: u64, count: u64, removed: impl FnOnce()) -> bool {
        if number == ROOT {
            return false;
        }
        let inode = {
            let mut table = self.held.lock();
            let Some(held) = table.get_mut(&number) else {
                return false;
            };
            held.lookups = held.lookups.saturating_sub(count);
            if held.lookups > 0 {
                return false;
            }
            let inode = table.remove(&number);
            if let (Some(events), Some(held)) = (&self.events, &inode)
                && held.inode.is_covered()
            {
                events.uncover(number);
            }
            if table.len() * 4 < table.capacity() && table.capacity() > 4096 {
                table.shrink_to_fit();
            }
            removed();
            inode
        };
        // Dropping may free a chain of parents: not under the lock.
        drop(inode);
        true
    }
}

fn insert(table: &mut HashMap<u64, Held>, number: u64, version: u64, body: Body) -> Arc<Inode> {
    let inode = Arc::new(Inode {
        number,
        version,
        body,
        pages: AtomicBool::new(false),
    });
    let held = Held {
        inode: Arc::clone(&inode),
        lookups: 1,
    };
    table.insert(number, held);
    inode
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Dir, Root};

    #[test]
    fn what_nobody_has_read_is_spared_first_and_directories_never() {
        let dir = tempfile::tempdir().unwrap();
        let opened = Root::open(dir.path(), false).unwrap().held();
        let root = *opened.attr();
        let names_in = Dir::open(&*opened, OsStr::new("")).unwrap();
        let table = Table::new(root.identity, None);
        let top = table.get(ROOT).unwrap();
        let find = |name: &str| {
            let name = OsStr::new(name);
            let found = names_in.stat(name).unwrap();
            table.found(&top, name, &found, &root, Noticed::default()).0
        };
        std::fs::create_dir(dir.path().join("sub")).unwrap();
        find("sub");
        let names = ["read", "seen", "also seen"];
        for name in names {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let [read, seen, also] = names.map(find);
        read.note_pages();
        let mut spared = table.spare(10, 2);
        spared.sort_unstable();
        let mut unread = [seen.number, also.number];
        unread.sort_unstable();
        assert_eq!(spared, unread, "those are enough");
        assert_eq!(table.spare(10, 3).len(), 3, "then the read one goes too");
        assert_eq!(table.spare(1, 3).len(), 1);
    }

    #[test]
    fn each_version_of_a_file_is_an_inode_of_its_own_where_nobody_tells_of_changes() {
        let dir = tempfile::tempdir().unwrap();
        let opened = Root::open(dir.path(), false).unwrap().held();
        let root = *opened.attr();
        let table = Table::new(root.identity, None);
        let top = table.get(ROOT).unwrap();
        std::fs::write(dir.path().join("f"), "text").unwrap();
        let name = OsStr::new("f");
        let first = Dir::open(&*opened, OsStr::new(""))
            .unwrap()
            .stat(name)
            .unwrap();
        let second = Attr { size: 5, ..first };
        let find = |attr: &Attr, stands_for| {
            let noticed = Noticed {
                mark: None,
                stands_for,
            };
            table.found(&top, name, attr, &root, noticed).0.number
        };
        let known = find(&first, StandsFor::Version);
        assert_eq!(known, first.identity.ino);
        assert_eq!(find(&first, StandsFor::Version), known);
        let other = find(&second, StandsFor::Version);
        assert_ne!(other, known);
        assert_eq!(find(&second, StandsFor::Version), other);
        // Nothing can be known of these.
        let alone = [(); 3].map(|()| find(&second, StandsFor::LookUp));
        assert!(alone.iter().all(|number| ![known, other].contains(number)));
        assert!(alone[0] != alone[1] && alone[1] != alone[2] && alone[0] != alone[2]);
        // The source's number is the next one's to have.
        assert!(!table.forget(known, 1, || ()) && table.forget(known, 1, || ()));
        let third = Attr { size: 6, ..first };
        assert_eq!(find(&third, StandsFor::Version), known);
        // A directory is one, whatever it lists.
        let directory = Attr {
            kind: Kind::Directory,
            ..first
        };
        let longer = Attr {
            size: 4096,
            ..directory
        };
        table.forget(known, 1, || ());
        let number = find(&directory, StandsFor::Version);
        assert_eq!(find(&longer, StandsFor::LookUp), number);
    }
}
