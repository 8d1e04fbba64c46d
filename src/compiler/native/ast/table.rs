//! A hash table of numbers: the values themselves are in a vector of their owner.
//!
//! Half the size of a table of values, and a search that misses looks at no value.

use rustc_hash::FxHasher;
use std::hash::{Hash, Hasher};

/// The hash of a value.
pub fn hash_of<T: Hash + ?Sized>(value: &T) -> u64 {
    let mut hasher = FxHasher::default();
    value.hash(&mut hasher);
    hasher.finish()
}

/// A place of a [`Table`].
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// The hash.
    hash: u32,
    /// One more than the number of the value; 0 when the slot is free.
    value: u32,
}

/// Up to so many slots are kept by a table that is cleared.
const FEW: usize = 64;

/// Numbers of values by their hash. A value is in the first free slot from the one of its hash on.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// A power of two, of which at least a quarter is free; or none.
    slots: Vec<Slot>,
    count: usize,
}

impl Table {
    /// A table with room for so many values.
    pub fn with_capacity(count: usize) -> Table {
        let mut table = Table::default();
        table.resize((count + count / 3 + 1).next_power_of_two());
        table
    }

    /// The number of the value with this hash for which `is_same` holds.
    pub fn find(&self, hash: u32, is_same: impl Fn(usize) -> bool) -> Option<usize> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = hash as usize & mask;
        while let Some(slot) = self.slots.get(at)
            && slot.value != 0
        {
            let value = slot.value as usize - 1;
            if slot.hash == hash && is_same(value) {
                return Some(value);
            }
            at = (at + 1) & mask;
        }
        None
    }

    /// Adds a value that is not there. Numbers above what fits are forgotten.
    pub fn insert(&mut self, hash: u32, value: usize) {
        if 4 * (self.count + 1) > 3 * self.slots.len() {
            self.resize((2 * self.slots.len()).max(8));
        }
        let value = u32::try_from(value).ok().and_then(|at| at.checked_add(1));
        if let Some(value) = value {
            self.put(Slot { hash, value });
            self.count += 1;
        }
    }

    /// Forgets all values. The memory of a few is kept.
    pub fn clear(&mut self) {
        if self.slots.len() > FEW {
            *self = Table::default();
        } else {
            self.slots.fill(Slot::default());
            self.count = 0;
        }
    }

    fn put(&mut self, new: Slot) {
        let mask = self.slots.len().wrapping_sub(1);
        let mut at = new.hash as usize & mask;
        while let Some(slot) = self.slots.get_mut(at) {
            if slot.value == 0 {
                *slot = new;
                return;
            }
            at = (at + 1) & mask;
        }
    }

    fn resize(&mut self, size: usize) {
        let slots = std::mem::replace(&mut self.slots, vec![Slot::default(); size]);
        for slot in slots {
            if slot.value != 0 {
                self.put(slot);
            }
        }
    }
}
