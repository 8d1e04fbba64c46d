//! Values numbered in the order in which they are met.

use std::hash::Hash;

use crate::compiler::native::ast::{Table, hash_of};

/// Below this size a search is faster than a table.
const SMALL: usize = 16;

/// The room of a list that is not empty.
const FIRST: usize = 8;

/// A list without duplicates.
#[derive(Clone, Debug)]
pub(super) struct Indexed<K> {
    keys: Vec<K>,
    places: Table,
}

impl<K> Default for Indexed<K> {
    fn default() -> Self {
        Indexed {
            keys: Vec::new(),
            places: Table::default(),
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
        let is_same = |at: usize| self.keys.get(at) == Some(&key);
        self.places
            .find(hash_of(&key) as u32, is_same)
            .map(|at| at as u32)
    }

    /// The number of a key, a new one if it is new.
    pub(super) fn add(&mut self, key: K) -> u32 {
        match self.find(key) {
            Some(at) => at,
            None => self.push(key),
        }
    }

    /// The number of a key that is new.
    pub(super) fn push(&mut self, key: K) -> u32 {
        debug_assert!(self.find(key).is_none(), "a key that is not new");
        let at = self.keys.len() as u32;
        if at == 0 {
            self.keys.reserve(FIRST);
        }
        self.keys.push(key);
        if self.keys.len() == SMALL + 1 {
            for (at, key) in self.keys.iter().enumerate() {
                self.places.insert(hash_of(key) as u32, at);
            }
        } else if self.keys.len() > SMALL {
            self.places.insert(hash_of(&key) as u32, at as usize);
        }
        at
    }

    /// An empty list in the memory of another one.
    pub(super) fn with_memory_of(mut keys: Vec<K>) -> Self {
        keys.clear();
        Indexed {
            keys,
            places: Table::default(),
        }
    }

    /// Removes all keys.
    pub(super) fn clear(&mut self) {
        if self.keys.len() > SMALL {
            self.places.clear();
        }
        self.keys.clear();
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
