//! Single-flight: all requests that wait for one piece of code share one compile.
//!
//! Invariant: for each key there is at most one compile queued or running; whoever joins before it
//! ends gets its result.

use parking_lot::Mutex;
use std::collections::HashMap;

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
    /// Adds a waiter. True for the first one: the caller starts the compile, and must end the
    /// flight with [`Flights::land`] whatever happens.
    pub fn join(&self, key: Key, waiter: W) -> bool {
        let mut waiting = self.waiting.lock();
        let waiters = waiting.entry(key).or_default();
        waiters.push(waiter);
        waiters.len() == 1
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
