//! Puts: a bounded queue and the thread that writes blobs.
//!
//! Invariants: handing in an entry never waits; at most [`ENTRIES`] entries and about [`BYTES`]
//! bytes wait, what is more is dropped and counted; an entry is found from the moment it was
//! accepted.

use hashlink::LinkedHashMap;
use parking_lot::{Condvar, Mutex};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::Entry;
use super::blob::Encoder;
use super::clock;
use super::core::Core;
use super::index::panic_text;
use super::key::Key;
use super::place::{is_full, is_gone, is_read_only};

/// Most entries that wait.
const ENTRIES: usize = 512;
/// Most bytes of templates that wait, unless a single one is larger.
const BYTES: usize = 8 << 20;
/// How long an entry waits for others to be written with it: whoever asked for it asks for more,
/// and the writer would take turns with the compiler.
const TOGETHER: Duration = Duration::from_millis(200);
/// How many entries, or bytes of them, do not wait for others.
const ENOUGH: (usize, usize) = (ENTRIES / 4, BYTES / 4);
/// So many written blobs are told to the keeper at once.
const TOLD: usize = 64;
/// How long the writer waits for the folder to be made again, or for room.
const PATIENCE: Duration = Duration::from_secs(5);

/// Entries that wait to be written, oldest first. The one being written is among them.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    /// Signalled when there is something to write, or no more to come.
    filled: Condvar,
    /// Signalled when everything is written.
    emptied: Condvar,
}

#[derive(Default)]
struct Waiting {
    entries: LinkedHashMap<Key, Arc<Entry>>,
    bytes: usize,
    closed: bool,
    /// How many wait until nothing waits.
    flushes: usize,
}

impl Queue {
    /// Takes an entry unless the queue is full or closed; whether it is in the queue now.
    pub(super) fn push(&self, key: &Key, entry: &Arc<Entry>) -> bool {
        let size = size_of(entry);
        let mut waiting = self.waiting.lock();
        if waiting.entries.contains_key(key) {
            return true;
        }
        let fits = waiting.entries.len() < ENTRIES
            && (waiting.bytes + size <= BYTES || waiting.entries.is_empty());
        if !fits || waiting.closed {
            return false;
        }
        waiting.bytes += size;
        waiting.entries.insert(*key, Arc::clone(entry));
        let wake = waiting.entries.len() == 1 || waiting.is_urgent();
        drop(waiting);
        if wake {
            self.filled.notify_one();
        }
        true
    }

    /// An entry that waits.
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        let waiting = self.waiting.lock();
        waiting.entries.get(key).map(Arc::clone)
    }

    /// Number of entries that wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.lock().entries.len()
    }

    /// No more entries are taken; the writer ends when those that wait are written.
    pub(super) fn close(&self) {
        self.waiting.lock().closed = true;
        self.filled.notify_all();
    }

    /// Waits until nothing waits; whether that was before the deadline.
    pub(super) fn wait_empty(&self, deadline: Instant) -> bool {
        let mut waiting = self.waiting.lock();
        waiting.flushes += 1;
        self.filled.notify_all();
        while !waiting.entries.is_empty() {
            if self.emptied.wait_until(&mut waiting, deadline).timed_out() {
                break;
            }
        }
        waiting.flushes -= 1;
        waiting.entries.is_empty()
    }

    /// The entry to write next, if there is one now.
    fn try_next(&self) -> Option<(Key, Arc<Entry>)> {
        let waiting = self.waiting.lock();
        let (key, entry) = waiting.entries.front()?;
        Some((*key, Arc::clone(entry)))
    }

    /// Waits for entries, a while for more than one; `false` when none will come.
    fn wait_filled(&self) -> bool {
        let mut waiting = self.waiting.lock();
        while waiting.entries.is_empty() {
            if waiting.closed {
                return false;
            }
            self.filled.wait(&mut waiting);
        }
        let end = Instant::now() + TOGETHER;
        while !waiting.is_urgent() {
            if self.filled.wait_until(&mut waiting, end).timed_out() {
                break;
            }
        }
        true
    }

    /// The entry is written or given up.
    fn done(&self, key: &Key) {
        let mut waiting = self.waiting.lock();
        if let Some(entry) = waiting.entries.remove(key) {
            waiting.bytes -= size_of(&entry);
        }
        if waiting.entries.is_empty() {
            self.emptied.notify_all();
        }
    }
}

impl Waiting {
    fn is_urgent(&self) -> bool {
        let (entries, bytes) = ENOUGH;
        self.closed || self.flushes > 0 || self.entries.len() >= entries || self.bytes >= bytes
    }
}

fn size_of(entry: &Entry) -> usize {
    entry.template.to_parts().bytes.len()
}

/// The writer thread: returns when the queue is closed and empty.
pub(super) fn run(core: &Core) {
    // Readers and the compiler come first.
    const NICE: i32 = 10;
    let this = rustix::thread::gettid();
    if let Err(errno) = rustix::process::setpriority_process(Some(this), NICE) {
        log::debug!("store: priority of the writer: {errno}");
    }
    let mut written = Vec::new();
    while core.queue.wait_filled() {
        // One encoder for each run of work: it takes memory that an idle daemon has no use for.
        let Ok(mut encoder) = Encoder::new() else {
            if let Some((key, _)) = core.queue.try_next() {
                core.counters.dropped_error.fetch_add(1, Relaxed);
                core.queue.done(&key);
            }
            continue;
        };
        while let Some((key, entry)) = core.queue.try_next() {
            let stored = catch_unwind(AssertUnwindSafe(|| store(core, &mut encoder, &key, &entry)));
            match stored {
                Ok(Stored::Written) => written.push(key.name()),
                Ok(Stored::Not) => {}
                Err(panic) => {
                    core.counters.dropped_error.fetch_add(1, Relaxed);
                    log::error!("store: writing panicked: {}", panic_text(panic.as_ref()));
                }
            }
            // Who waits for the last one finds all of them in the index.
            if written.len() >= TOLD || core.queue.len() <= 1 {
                written.drain(..).for_each(|name| core.changed(name));
            }
            core.queue.done(&key);
        }
    }
}

/// What became of an entry.
enum Stored {
    /// There is a new blob.
    Written,
    /// It was there already, is held in memory or was dropped.
    Not,
}

/// Writes one entry to disk, or holds it in memory where that is not possible.
fn store(core: &Core, encoder: &mut Encoder, key: &Key, entry: &Entry) -> Stored {
    let name = key.name();
    let counters = &core.counters;
    let mut place = core.wait_place(PATIENCE);
    if place
        .as_ref()
        .is_some_and(|place| matches!(place.stat(&name), Ok(Some(_))))
    {
        counters.already_there.fetch_add(1, Relaxed);
        return Stored::Not;
    }
    let Some(blob) = encoder.encode(key, entry, clock::now() / 1000) else {
        counters.dropped_large.fetch_add(1, Relaxed);
        return Stored::Not;
    };
    let length = u64::try_from(blob.len()).unwrap_or(u64::MAX);
    let reason = 'kept: {
        if length > core.options.limit {
            break 'kept &counters.dropped_large;
        }
        if core.is_full() {
            break 'kept &counters.dropped_full;
        }
        for attempt in 0..2 {
            let Some(open) = place.as_ref().filter(|place| place.is_writable()) else {
                break 'kept &counters.dropped_unwritable;
            };
            match open.write(&name, &blob) {
                Ok(()) => {
                    counters.written.fetch_add(1, Relaxed);
                    core.clear_full();
                    return Stored::Written;
                }
                Err(error) if is_full(&error) => {
                    if attempt == 1 || !core.make_room(length, PATIENCE) {
                        core.set_full(&error);
                        break 'kept &counters.dropped_full;
                    }
                }
                Err(error) if is_gone(&error) => {
                    core.check_place(PATIENCE);
                    place = core.place();
                }
                Err(error) if is_read_only(&error) => {
                    core.check_place(PATIENCE);
                    break 'kept &counters.dropped_unwritable;
                }
                Err(error) => {
                    log::warn!("store: cannot write a blob: {error}");
                    break 'kept &counters.dropped_error;
                }
            }
        }
        &counters.dropped_unwritable
    };
    reason.fetch_add(1, Relaxed);
    core.memory.put(*key, blob);
    Stored::Not
}
