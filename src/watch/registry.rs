//! Which directories are covered: by what events name them, and by the mount's numbers.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::hash::Hash;

/// What names a directory, or a file with several names, in events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The number of the filesystem and the handle of the file (fanotify).
    Handle(Box<[u8]>),
    /// A watch (inotify).
    Watch(i32),
}

/// The covered directories. `K` is what events name them by.
#[derive(Debug)]
pub(super) struct Registry<K> {
    numbers: HashMap<K, u64>,
    keys: HashMap<u64, K>,
    way: Vec<(K, OsString)>,
}

impl<K> Default for Registry<K> {
    fn default() -> Registry<K> {
        Registry {
            numbers: HashMap::new(),
            keys: HashMap::new(),
            way: Vec::new(),
        }
    }
}

impl<K: Hash + Eq + Clone> Registry<K> {
    /// Covers a directory; gives the key it had before, if that was another one.
    pub fn cover(&mut self, number: u64, key: K) -> Option<K> {
        self.numbers.insert(key.clone(), number);
        let before = self.keys.insert(number, key.clone())?;
        if before == key {
            return Some(before);
        }
        if self.numbers.get(&before) == Some(&number) {
            self.numbers.remove(&before);
        }
        Some(before)
    }

    /// Ends that; gives the key it had.
    pub fn uncover(&mut self, number: u64) -> Option<K> {
        let key = self.keys.remove(&number)?;
        if self.numbers.get(&key) == Some(&number) {
            self.numbers.remove(&key);
        }
        if self.keys.len() * 4 < self.keys.capacity() && self.keys.capacity() > 4096 {
            self.keys.shrink_to_fit();
            self.numbers.shrink_to_fit();
        }
        Some(key)
    }

    /// The number of a covered directory.
    pub fn number<Q>(&self, key: &Q) -> Option<u64>
    where
        K: std::borrow::Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.numbers.get(key).copied()
    }

    /// Replaces the names on the way to the source; gives the keys of those before.
    pub fn set_way(&mut self, way: Vec<(K, OsString)>) -> Vec<K> {
        let before = std::mem::replace(&mut self.way, way);
        before.into_iter().map(|(key, _)| key).collect()
    }

    /// Whether a name in a directory is on the way to the source.
    pub fn is_on_way<Q>(&self, key: &Q, name: &OsStr) -> bool
    where
        K: std::borrow::Borrow<Q>,
        Q: Eq + ?Sized,
    {
        self.way
            .iter()
            .any(|(on_way, its)| on_way.borrow() == key && its == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_was_given_to_another_directory_keeps_that_one() {
        let mut registry = Registry::default();
        registry.cover(7, "old");
        registry.cover(7, "new");
        assert_eq!(registry.number("old"), None);
        assert_eq!(registry.number("new"), Some(7));
        registry.cover(8, "new");
        registry.uncover(7);
        assert_eq!(registry.number("new"), Some(8), "the newer one stays");
    }
}
