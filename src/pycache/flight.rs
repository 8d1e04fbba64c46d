//! Single-flight: all requests that wait for one piece of code share one compile.
//!
//! Invariant: for each key there is at most one compile queued or running; whoever joins before it
//! ends gets its result.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::store::Key;

/// The requests that wait, by the key of the code they wait for.
pub struct Flights<W> {
    waiting: Mutex<HashMap<Key, Vec<W>>>,
}

impl<W> Default for Flights<W> {
    fn default() -> Flights<W> {
        Flights {
            waiting: Mutex::new(HashMap::new()),
        }
    }
}

impl<W> Flights<W> {
    /// Adds a waiter. True if there was no such flight: the caller starts the compile, and must
    /// end the flight with [`Flights::land`] whatever happens.
    pub fn join(&self, key: Key, waiter: W) -> bool {
        match self.waiting.lock().entry(key) {
            Entry::Occupied(mut flight) => {
                flight.get_mut().push(waiter);
                false
            }
            Entry::Vacant(place) => {
                place.insert(vec![waiter]);
                true
            }
        }
    }

    /// Starts a flight that nobody waits for yet, as [`Flights::join`] does; false if there is one.
    pub fn begin(&self, key: Key) -> bool {
        match self.waiting.lock().entry(key) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                place.insert(Vec::new());
                true
            }
        }
    }

    /// Ends a flight and gives all who waited.
    pub fn land(&self, key: &Key) -> Vec<W> {
        self.waiting.lock().remove(key).unwrap_or_default()
    }

    /// How many compiles are queued or running.
    pub fn len(&self) -> usize {
        self.waiting.lock().len()
    }
}
