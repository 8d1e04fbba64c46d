//! From a change of the source to what the kernel must no longer keep, in two steps.
//!
//! [`first`] is what readers would see old answers without, and takes no lock of a directory: all
//! names at once, and the pages of files that are known by number. [`rest`] may have to wait for
//! whoever works in a directory, of the source or of the mount. Both are pure: they ask a [`View`]
//! what the kernel may hold. Names go before pages, so that whoever asks again is answered from
//! the new state.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;
use std::time::Duration;

use super::{CACHE_DIRECTORY, Operations};
use crate::inode::{Body, Inode, ROOT};
use crate::pyc::CacheName;
use crate::watch::{Change, is_source_name};

/// The kernel's caches of the mount. Never called with a lock held.
pub trait Kernel: Send + Sync {
    /// Drops every name, known and absent, also those whose look-up is under way. False if this
    /// kernel cannot.
    fn drop_names(&self) -> bool;
    /// Drops one name in a directory.
    fn drop_name(&self, parent: u64, name: &OsStr);
    /// Drops the attributes and pages of an inode.
    fn drop_inode(&self, number: u64);
    /// Forgets these inodes, as far as nobody uses them. False if this kernel cannot.
    fn forget(&self, numbers: &[u64]) -> bool;
}

/// What the kernel may hold.
pub trait View {
    /// The number of what has a name in a directory now.
    fn child(&self, directory: u64, name: &OsStr) -> Option<u64>;
    /// The number of a directory's `__pycache__`.
    fn cache_directory(&self, directory: u64) -> Option<u64>;
    /// The number of every `__pycache__`.
    fn cache_directories(&self) -> Vec<u64>;
    /// Whether an inode may be a source, by whatever name.
    fn concerns_entries(&self, number: u64) -> bool;
}

/// One thing that the kernel is to drop.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Every page and all attributes.
    Pages,
    /// Every name.
    Names,
    /// What a directory's source is compiled to, and the name itself.
    Source {
        /// The directory.
        directory: u64,
        /// The source's name.
        name: OsString,
    },
    /// One name.
    Name {
        /// The directory.
        directory: u64,
        /// The name.
        name: OsString,
    },
    /// An inode's attributes and pages.
    Inode(u64),
}

/// What must go at once, each effect once.
pub fn first(changes: &[Change], view: &impl View) -> Vec<Effect> {
    if changes.contains(&Change::Everything) {
        return vec![Effect::Names];
    }
    let mut names = Once::default();
    let mut inodes = Once::default();
    for change in changes {
        match change {
            Change::Content {
                directory,
                name,
                number,
            } => {
                if is_source_name(name) {
                    names.add(source(*directory, name));
                }
                inodes.extend(number.map(Effect::Inode));
            }
            Change::Name {
                directory,
                name,
                subtree,
            } => match (subtree, is_source_name(name)) {
                (true, _) => names.add(Effect::Names),
                (false, true) => names.add(source(*directory, name)),
                (false, false) => {}
            },
            Change::Inode(number) => {
                if view.concerns_entries(*number) {
                    names.add(Effect::Names);
                }
                // The root may have to wait, see `drop_root`.
                if *number != ROOT {
                    inodes.add(Effect::Inode(*number));
                }
            }
            // Whether the source was replaced is found by looking; if so, that is everything.
            Change::Links(_) | Change::Listings | Change::Way | Change::Everything => {}
        }
    }
    names.then(inodes)
}

/// What must go besides, each effect once.
pub fn rest(changes: &[Change], view: &impl View) -> Vec<Effect> {
    if changes.contains(&Change::Everything) {
        return vec![Effect::Pages];
    }
    let mut names = Once::default();
    let mut inodes = Once::default();
    for change in changes {
        match change {
            Change::Content {
                directory, name, ..
            } => {
                // The name goes too: its first look-up may be under way with old attributes, and
                // the kernel has no inode yet that could be told.
                if !is_source_name(name) {
                    names.add(only_name(*directory, name));
                }
                inodes.extend(view.child(*directory, name).map(Effect::Inode));
            }
            Change::Name {
                directory,
                name,
                subtree,
            } => {
                if !subtree && !is_source_name(name) {
                    names.add(only_name(*directory, name));
                }
                inodes.extend(view.child(*directory, name).map(Effect::Inode));
                inodes.add(Effect::Inode(*directory));
                inodes.extend(view.cache_directory(*directory).map(Effect::Inode));
            }
            Change::Inode(number) => {
                if *number == ROOT {
                    inodes.add(Effect::Inode(ROOT));
                }
                inodes.extend(view.cache_directory(*number).map(Effect::Inode));
            }
            Change::Links(number) => {
                if view.concerns_entries(*number) {
                    names.add(Effect::Names);
                }
                inodes.add(Effect::Inode(*number));
            }
            Change::Listings => {
                inodes.extend(view.cache_directories().into_iter().map(Effect::Inode))
            }
            Change::Way | Change::Everything => {}
        }
    }
    names.then(inodes)
}

/// Effects in the order of their first mention.
#[derive(Default)]
struct Once {
    effects: Vec<Effect>,
    seen: HashSet<Effect>,
}

impl Once {
    fn add(&mut self, effect: Effect) {
        if self.seen.insert(effect.clone()) {
            self.effects.push(effect);
        }
    }

    fn extend(&mut self, effects: impl IntoIterator<Item = Effect>) {
        effects.into_iter().for_each(|effect| self.add(effect));
    }

    fn then(mut self, others: Once) -> Vec<Effect> {
        self.effects.extend(others.effects);
        self.effects
    }
}

fn source(directory: u64, name: &OsStr) -> Effect {
    Effect::Source {
        directory,
        name: name.to_owned(),
    }
}

fn only_name(directory: u64, name: &OsStr) -> Effect {
    Effect::Name {
        directory,
        name: name.to_owned(),
    }
}

impl View for Operations {
    fn child(&self, directory: u64, name: &OsStr) -> Option<u64> {
        let inode = self.inode(directory).ok()?;
        let root = self.root.held();
        let (dir, _) = self.directory(&root, &inode).ok()?;
        let attr = dir.stat(name).ok()?;
        Some(self.inodes.known(&attr, root.attr())?.number)
    }

    fn cache_directory(&self, directory: u64) -> Option<u64> {
        self.inodes.known_cache_directory(directory)
    }

    fn cache_directories(&self) -> Vec<u64> {
        let all = self.inodes.all().into_iter();
        all.filter(|inode| matches!(inode.body, Body::CacheDirectory(_)))
            .map(|inode| inode.number)
            .collect()
    }

    fn concerns_entries(&self, number: u64) -> bool {
        let Ok(inode) = self.inode(number) else {
            return false;
        };
        match &inode.body {
            // One that is named by itself may be a source by another of its names, if it has any.
            Body::Real(_) => self.pinned.names(number) != Some(0),
            Body::CacheDirectory(_) | Body::Pyc(_) => false,
        }
    }
}

impl Operations {
    /// Has the kernel drop what cannot wait. Gives whether it dropped every name.
    pub fn apply_first(&self, changes: &[Change], kernel: &dyn Kernel) -> bool {
        let dropped = self.apply(&first(changes, self), false, kernel);
        // Directories that went away need not be held.
        self.held.clear();
        dropped
    }

    /// Has the kernel drop the rest; `names_dropped` is what the first step gave.
    pub fn apply_rest(&self, changes: &[Change], names_dropped: bool, kernel: &dyn Kernel) {
        self.apply(&rest(changes, self), names_dropped, kernel);
    }

    /// All names go at most once for all of the effects.
    fn apply(&self, effects: &[Effect], names_dropped: bool, kernel: &dyn Kernel) -> bool {
        let mut all_dropped = names_dropped.then_some(true);
        for effect in effects {
            match effect {
                Effect::Pages => self.drop_pages(kernel),
                Effect::Names => {
                    if !*all_dropped.get_or_insert_with(|| kernel.drop_names()) {
                        self.drop_known_names(kernel);
                    }
                }
                Effect::Source { directory, name } => {
                    if !*all_dropped.get_or_insert_with(|| kernel.drop_names()) {
                        self.drop_source(kernel, *directory, name);
                    }
                }
                Effect::Name { directory, name } => {
                    if all_dropped != Some(true) {
                        kernel.drop_name(*directory, name);
                    }
                }
                Effect::Inode(ROOT) => self.drop_root(kernel),
                Effect::Inode(number) => kernel.drop_inode(*number),
            }
        }
        all_dropped == Some(true)
    }

    /// The kernel throws an answer away that crosses with the word to drop what it is about. It
    /// begins with a root that nobody may enter, so the first answer about that has to arrive.
    fn drop_root(&self, kernel: &dyn Kernel) {
        const ARRIVAL: Duration = Duration::from_millis(50);
        let Some(asked) = self.root_asked.get() else {
            // It has nothing to drop.
            return;
        };
        std::thread::sleep(ARRIVAL.saturating_sub(asked.elapsed()));
        kernel.drop_inode(ROOT);
    }

    fn drop_pages(&self, kernel: &dyn Kernel) {
        self.drop_root(kernel);
        for number in self.inodes.take_pages() {
            kernel.drop_inode(number);
        }
    }

    /// For kernels that cannot drop all names at once: those of all inodes. Absent names go with
    /// the directory they are in.
    fn drop_known_names(&self, kernel: &dyn Kernel) {
        for inode in self.inodes.all() {
            if let Some((parent, name)) = name_of(&inode) {
                kernel.drop_name(parent, &name);
            }
        }
    }

    fn drop_source(&self, kernel: &dyn Kernel, directory: u64, name: &OsStr) {
        use std::os::unix::ffi::{OsStrExt, OsStringExt};
        kernel.drop_name(directory, name);
        kernel.drop_name(directory, OsStr::new(CACHE_DIRECTORY));
        let Some(cache) = self.inodes.known_cache_directory(directory) else {
            return;
        };
        let Some(stem) = name.as_bytes().strip_suffix(b".py") else {
            return;
        };
        for (target, level) in self.synthesis.in_use() {
            let name = CacheName {
                stem: stem.to_vec(),
                target,
                level,
            };
            kernel.drop_name(cache, &OsString::from_vec(name.file_name()));
        }
    }
}

/// The directory and the name that an inode was last looked up by.
pub(super) fn name_of(inode: &Arc<Inode>) -> Option<(u64, OsString)> {
    match &inode.body {
        Body::Real(real) => {
            let place = real.lock().place.clone()?;
            Some((place.parent.number, place.name))
        }
        Body::CacheDirectory(of) => Some((of.number, OsString::from(CACHE_DIRECTORY))),
        // Gone with their directory.
        Body::Pyc(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Directory 10 holds m.py (11), data (12) and pkg (13), and has a `__pycache__` (99).
    struct Tree;

    impl View for Tree {
        fn child(&self, directory: u64, name: &OsStr) -> Option<u64> {
            match (directory, name.to_str()?) {
                (10, "m.py") => Some(11),
                (10, "data") => Some(12),
                (10, "pkg") => Some(13),
                _ => None,
            }
        }
        fn cache_directory(&self, directory: u64) -> Option<u64> {
            (directory == 10).then_some(99)
        }
        fn cache_directories(&self) -> Vec<u64> {
            vec![99]
        }
        fn concerns_entries(&self, number: u64) -> bool {
            number == 11
        }
    }

    fn content(name: &str, number: Option<u64>) -> Change {
        Change::Content {
            directory: 10,
            name: name.into(),
            number,
        }
    }

    fn name(name: &str, subtree: bool) -> Change {
        Change::Name {
            directory: 10,
            name: name.into(),
            subtree,
        }
    }

    fn of_source(name: &str) -> Effect {
        source(10, OsStr::new(name))
    }

    #[test]
    fn an_edit_of_a_source_drops_its_entries_before_its_pages() {
        let edit = [content("m.py", Some(11))];
        assert_eq!(first(&edit, &Tree), [of_source("m.py"), Effect::Inode(11)]);
        let edit = [content("m.py", None)];
        assert_eq!(first(&edit, &Tree), [of_source("m.py")]);
        assert_eq!(rest(&edit, &Tree), [Effect::Inode(11)]);
    }

    #[test]
    fn an_edit_of_another_file_drops_that_file_only() {
        let edit = [content("data", Some(12))];
        let name = only_name(10, OsStr::new("data"));
        assert_eq!(first(&edit, &Tree), [Effect::Inode(12)]);
        assert_eq!(rest(&edit, &Tree), [name, Effect::Inode(12)]);
    }

    #[test]
    fn a_name_that_comes_or_goes_drops_the_name_and_both_listings() {
        let dropped = only_name(10, OsStr::new("data"));
        let change = [name("data", false)];
        assert_eq!(first(&change, &Tree), []);
        assert_eq!(
            rest(&change, &Tree),
            [
                dropped,
                Effect::Inode(12),
                Effect::Inode(10),
                Effect::Inode(99)
            ]
        );
        let change = [name("gone.py", false)];
        assert_eq!(first(&change, &Tree), [of_source("gone.py")]);
        assert_eq!(rest(&change, &Tree), [Effect::Inode(10), Effect::Inode(99)]);
    }

    #[test]
    fn a_moved_directory_drops_every_name_since_code_holds_its_path() {
        assert_eq!(first(&[name("pkg", true)], &Tree), [Effect::Names]);
    }

    #[test]
    fn a_source_with_several_names_drops_every_name() {
        assert_eq!(
            first(&[Change::Inode(11)], &Tree),
            [Effect::Names, Effect::Inode(11)]
        );
        assert_eq!(first(&[Change::Inode(12)], &Tree), [Effect::Inode(12)]);
        let linked = [Change::Links(11)];
        assert_eq!(first(&linked, &Tree), []);
        assert_eq!(rest(&linked, &Tree), [Effect::Names, Effect::Inode(11)]);
    }

    #[test]
    fn the_root_is_dropped_by_those_who_may_wait() {
        let change = [Change::Inode(ROOT)];
        assert_eq!(first(&change, &Tree), []);
        assert_eq!(rest(&change, &Tree), [Effect::Inode(ROOT)]);
    }

    #[test]
    fn another_version_in_use_drops_the_listings_of_entries() {
        assert_eq!(first(&[Change::Listings], &Tree), []);
        assert_eq!(rest(&[Change::Listings], &Tree), [Effect::Inode(99)]);
    }

    #[test]
    fn lost_events_drop_everything_and_a_burst_drops_each_thing_once() {
        let lost = [content("m.py", None), Change::Everything];
        assert_eq!(first(&lost, &Tree), [Effect::Names]);
        assert_eq!(rest(&lost, &Tree), [Effect::Pages]);
        let burst = vec![content("m.py", Some(11)); 1000];
        assert_eq!(first(&burst, &Tree).len(), 2);
        assert_eq!(rest(&burst, &Tree).len(), 1);
    }
}
