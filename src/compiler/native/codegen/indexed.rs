//! Values numbered in the order in which they are met.

use std::hash::Hash;

use rustc_hash::FxHashMap;

/// Below this size a search is faster than a table.
const SMALL: usize = 16;

/// A list without duplicates.
#[derive(Clone, Debug)]
pub(super) struct Indexed<K> {
    keys: Vec<K>,
    places: FxHashMap<K, u32>,
}

impl<K> Default for Indexed<K> {
    fn default() -> Self {
        Indexed {
            keys: Vec::new(),
            places: FxHashMap::default(),
        }
    }
}

impl<K: Copy + Eq + Hash> Indexed<K> {
    pub(super) fn from_keys(keys: impl IntoIterator<Item = K>) -> Self {
        let mut all = Indexed::default();
        for key in keys {
            all.add(key);
        }
        all
    }

    /// The number of a key.
    pub(super) fn find(&self, key: K) -> Option<u32> {
        if self.keys.len() <= SMALL {
            let at = self.keys.iter().position(|&other| other == key)?;
            return Some(at as u32);
        }
        self.places.get(&key).copied()
    }

    /// The number of a key, a new one if it is new.
    pub(super) fn add(&mut self, key: K) -> u32 {
        if let Some(at) = self.find(key) {
            return at;
        }
        let at = self.keys.len() as u32;
        self.keys.push(key);
        if self.keys.len() == SMALL + 1 {
            self.places.extend(self.keys.iter().copied().zip(0..));
        } else if self.keys.len() > SMALL {
            self.places.insert(key, at);
        }
        at
    }

    /// The keys in order, leaving none.
    pub(super) fn take_keys(&mut self) -> Vec<K> {
        self.places.clear();
        std::mem::take(&mut self.keys)
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn keys(&self) -> &[K] {
        &self.keys
    }
}
