//! From a change of the source to what the kernel must no longer keep.
//!
//! [`effects`] is pure: it asks a [`View`] what the kernel may hold. The order of what it gives
//! matters: names go first, so that whoever asks again is answered from the new state.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::sync::Arc;

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
}

/// What the kernel may hold.
pub trait View {
    /// The number of what has a name in a directory now.
    fn child(&self, directory: u64, name: &OsStr) -> Option<u64>;
    /// The number of a directory's `__pycache__`.
    fn cache_directory(&self, directory: u64) -> Option<u64>;
    /// Whether an inode may be a source, by whatever name.
    fn concerns_entries(&self, number: u64) -> bool;
}

/// One thing that the kernel is to drop.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Every name, every page, all attributes.
    Everything,
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

/// What changes mean for the kernel's caches, each effect once.
pub fn effects(changes: &[Change], view: &impl View) -> Vec<Effect> {
    if changes.contains(&Change::Everything) {
        return vec![Effect::Everything];
    }
    let mut names = Vec::new();
    let mut inodes = Vec::new();
    let mut seen = HashSet::new();
    for change in changes.iter().filter(|change| seen.insert(*change)) {
        match change {
            Change::Content { directory, name } => {
                // The name goes too: its first look-up may be under way with old attributes, and
                // the kernel has no inode yet that could be told.
                names.push(match is_source_name(name) {
                    true => source(*directory, name),
                    false => only_name(*directory, name),
                });
                inodes.extend(view.child(*directory, name));
            }
            Change::Name {
                directory,
                name,
                subtree,
            } => {
                names.push(match (subtree, is_source_name(name)) {
                    (true, _) => Effect::Names,
                    (false, true) => source(*directory, name),
                    (false, false) => only_name(*directory, name),
                });
                inodes.extend(view.child(*directory, name));
                inodes.push(*directory);
                inodes.extend(view.cache_directory(*directory));
            }
            Change::Inode(number) => {
                if view.concerns_entries(*number) {
                    names.push(Effect::Names);
                }
                inodes.push(*number);
                inodes.extend(view.cache_directory(*number));
            }
            // Whether the source was replaced is found by looking; if so, that is everything.
            Change::Way | Change::Everything => {}
        }
    }
    let mut seen = HashSet::new();
    names.retain(|effect| seen.insert(effect.clone()));
    let mut seen = HashSet::new();
    inodes.retain(|number| seen.insert(*number));
    names.extend(inodes.into_iter().map(Effect::Inode));
    names
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

    fn concerns_entries(&self, number: u64) -> bool {
        let Ok(inode) = self.inode(number) else {
            return false;
        };
        match &inode.body {
            // One that is named by itself may be a source by another of its names, if it has any.
            Body::Real(_) => !self.pinned.has_no_name(number),
            Body::CacheDirectory(_) | Body::Pyc(_) => false,
        }
    }
}

impl Operations {
    /// Has the kernel drop what these changes made wrong.
    pub fn apply(&self, changes: &[Change], kernel: &dyn Kernel) {
        // All names go at most once for all of them, and before anything is looked at, which may
        // take its time: until they have gone readers see what was.
        let mut all_dropped = changes
            .iter()
            .any(Change::concerns_paths)
            .then(|| kernel.drop_names());
        let effects = effects(changes, self);
        let mut drop_all = || *all_dropped.get_or_insert_with(|| kernel.drop_names());
        for effect in &effects {
            match effect {
                Effect::Everything => self.drop_everything(kernel, drop_all()),
                Effect::Names => {
                    if !drop_all() {
                        self.drop_known_names(kernel);
                    }
                }
                Effect::Source { directory, name } => {
                    if !drop_all() {
                        self.drop_source(kernel, *directory, name);
                    }
                }
                Effect::Name { directory, name } => {
                    if all_names(&effects) && drop_all() {
                        continue;
                    }
                    kernel.drop_name(*directory, name);
                }
                Effect::Inode(number) => kernel.drop_inode(*number),
            }
        }
    }

    fn drop_everything(&self, kernel: &dyn Kernel, names_dropped: bool) {
        if !names_dropped {
            self.drop_known_names(kernel);
        }
        kernel.drop_inode(ROOT);
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

fn all_names(effects: &[Effect]) -> bool {
    effects
        .iter()
        .any(|effect| matches!(effect, Effect::Names | Effect::Source { .. }))
}

/// The directory and the name that an inode was last looked up by.
fn name_of(inode: &Arc<Inode>) -> Option<(u64, OsString)> {
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
        fn concerns_entries(&self, number: u64) -> bool {
            number == 11
        }
    }

    fn content(name: &str) -> Change {
        Change::Content {
            directory: 10,
            name: name.into(),
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
        assert_eq!(
            effects(&[content("m.py")], &Tree),
            [of_source("m.py"), Effect::Inode(11)]
        );
    }

    #[test]
    fn an_edit_of_another_file_drops_that_file_only() {
        let name = only_name(10, OsStr::new("data"));
        assert_eq!(
            effects(&[content("data")], &Tree),
            [name, Effect::Inode(12)]
        );
    }

    #[test]
    fn a_name_that_comes_or_goes_drops_the_name_and_both_listings() {
        let dropped = Effect::Name {
            directory: 10,
            name: "data".into(),
        };
        assert_eq!(
            effects(&[name("data", false)], &Tree),
            [
                dropped,
                Effect::Inode(12),
                Effect::Inode(10),
                Effect::Inode(99)
            ]
        );
        assert_eq!(
            effects(&[name("gone.py", false)], &Tree),
            [of_source("gone.py"), Effect::Inode(10), Effect::Inode(99)]
        );
    }

    #[test]
    fn a_moved_directory_drops_every_name_since_code_holds_its_path() {
        let effects = effects(&[name("pkg", true)], &Tree);
        assert_eq!(effects.first(), Some(&Effect::Names));
    }

    #[test]
    fn a_source_with_several_names_drops_every_name() {
        assert_eq!(
            effects(&[Change::Inode(11)], &Tree),
            [Effect::Names, Effect::Inode(11)]
        );
        assert_eq!(effects(&[Change::Inode(12)], &Tree), [Effect::Inode(12)]);
    }

    #[test]
    fn lost_events_drop_everything_and_a_burst_drops_each_thing_once() {
        assert_eq!(
            effects(&[content("m.py"), Change::Everything], &Tree),
            [Effect::Everything]
        );
        let burst = vec![content("m.py"); 1000];
        assert_eq!(effects(&burst, &Tree).len(), 2);
    }
}
