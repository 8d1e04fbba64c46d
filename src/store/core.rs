//! What the store's threads share: the open folder, the queue, the counters, the condition.
//!
//! Invariant: a reader waits for nothing but its own system calls; what it has to tell the keeper
//! is dropped when the keeper is busy, and a sweep finds it again.

use crossbeam_channel::{Sender, bounded};
use parking_lot::{Mutex, RwLock};
use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use super::account::Totals;
use super::key::{Key, Name};
use super::memory::Memory;
use super::place::Place;
use super::status::{Agreement, Counters, GcReport, NotOwner, State, StoreStatus};
use super::writer::Queue;
use super::{Lookup, Miss, Options, blob, quarantine};

/// Most uses that wait to be recorded; more are forgotten.
const TOUCHED: usize = 4096;
/// How long the writer waits for a keeper that lags behind. Bounds how far puts can exceed the
/// limit before they are evicted.
const LAG: Duration = Duration::from_millis(200);

/// What the keeper is told or asked. Questions carry the channel for the answer.
pub(super) enum Event {
    /// A blob was written or removed.
    Changed(Name),
    /// The first of a number of uses was noted.
    Touched,
    /// The folder may be gone or read-only. Answered when it was looked at.
    Check(Sender<()>),
    /// The disk is full and that many bytes are wanted. Whether some were freed.
    MakeRoom(u64, Sender<bool>),
    /// Sweep, and evict to that many bytes.
    Collect(u64, Sender<Result<GcReport, NotOwner>>),
    /// Sweep everything.
    Audit(Sender<Result<Agreement, NotOwner>>),
    /// Answered when what was told before is in the index.
    Sync(Sender<()>),
    /// Wakes the keeper, which sees that it has to end.
    Stop,
}

/// The state as the keeper sees it.
#[derive(Clone, Debug)]
pub(super) struct Condition {
    pub(super) state: State,
    pub(super) reason: Option<String>,
    pub(super) counting: bool,
}

/// The disk was full: when, until when writing is not tried again, and what was said.
struct Full {
    until: Instant,
    pause: Duration,
    reason: String,
}

/// The state shared by the store's users, its keeper and its writer.
pub(super) struct Core {
    pub(super) options: Options,
    pub(super) counters: Counters,
    pub(super) totals: Arc<Totals>,
    pub(super) memory: Memory,
    pub(super) queue: Queue,
    pub(super) stopping: AtomicBool,
    pub(super) condition: Mutex<Condition>,
    /// Set when the keeper missed a change, so that it sweeps.
    pub(super) missed: AtomicBool,
    place: RwLock<Option<Arc<Place>>>,
    full: Mutex<Option<Full>>,
    touched: Mutex<HashSet<Name>>,
    keeper: Sender<Event>,
}

impl Core {
    pub(super) fn new(options: Options, keeper: Sender<Event>) -> Core {
        Core {
            options,
            counters: Counters::default(),
            totals: Arc::default(),
            memory: Memory::default(),
            queue: Queue::default(),
            stopping: AtomicBool::new(false),
            condition: Mutex::new(Condition {
                state: State::Opening,
                reason: None,
                counting: true,
            }),
            missed: AtomicBool::new(false),
            place: RwLock::new(None),
            full: Mutex::new(None),
            touched: Mutex::default(),
            keeper,
        }
    }

    /// The open folder.
    pub(super) fn place(&self) -> Option<Arc<Place>> {
        self.place.read().as_ref().map(Arc::clone)
    }

    pub(super) fn set_place(&self, place: Option<Arc<Place>>) {
        *self.place.write() = place;
    }

    /// Looks an entry up: what waits to be written, then the disk, then memory.
    pub(super) fn get(&self, key: &Key) -> Lookup {
        if let Some(entry) = self.queue.get(key) {
            self.counters.hits.fetch_add(1, Relaxed);
            return Lookup::Hit(entry);
        }
        let lookup = match self.read(key) {
            Lookup::Hit(entry) => Lookup::Hit(entry),
            Lookup::Miss(miss) => self
                .memory
                .get(key)
                .and_then(|blob| blob::decode(key, &blob).ok())
                .map_or(Lookup::Miss(miss), |entry| Lookup::Hit(Arc::new(entry))),
        };
        let counter = match &lookup {
            Lookup::Hit(_) => &self.counters.hits,
            Lookup::Miss(Miss::Absent) => &self.counters.misses_absent,
            Lookup::Miss(Miss::Corrupt(_)) => &self.counters.misses_corrupt,
            Lookup::Miss(Miss::Io(_)) => &self.counters.misses_io,
        };
        counter.fetch_add(1, Relaxed);
        lookup
    }

    fn read(&self, key: &Key) -> Lookup {
        let Some(place) = self.place() else {
            return Lookup::Miss(Miss::Absent);
        };
        let name = key.name();
        let bytes = match place.read(&name) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Lookup::Miss(Miss::Absent);
            }
            Err(error) => return Lookup::Miss(Miss::Io(error.kind())),
        };
        match blob::decode(key, &bytes) {
            Ok(entry) => {
                self.touch(name);
                Lookup::Hit(Arc::new(entry))
            }
            Err(corrupt) => {
                log::warn!("store: blob {key} is damaged: {corrupt}");
                if corrupt != blob::Corrupt::OtherKey {
                    self.discard(&place, name);
                }
                Lookup::Miss(Miss::Corrupt(corrupt))
            }
        }
    }

    /// Removes a damaged blob, as far as that can be done.
    pub(super) fn discard(&self, place: &Place, name: Name) -> bool {
        let removed = place.is_writable() && place.remove(&name).unwrap_or(false);
        if removed {
            self.counters.corrupt.fetch_add(1, Relaxed);
            if self.keeper.try_send(Event::Changed(name)).is_err() {
                self.missed.store(true, Relaxed);
            }
        }
        removed
    }

    /// Notes that a blob was used.
    fn touch(&self, name: Name) {
        let mut touched = self.touched.lock();
        if touched.len() >= TOUCHED {
            return;
        }
        let first = touched.is_empty();
        touched.insert(name);
        drop(touched);
        if first {
            let _ = self.keeper.try_send(Event::Touched);
        }
    }

    /// The uses that were noted since the last call.
    pub(super) fn take_touched(&self) -> HashSet<Name> {
        std::mem::take(&mut *self.touched.lock())
    }

    /// Tells the keeper of a blob that was written. Not for readers: it may wait a moment.
    pub(super) fn changed(&self, name: Name) {
        if self.keeper.send_timeout(Event::Changed(name), LAG).is_err() {
            self.missed.store(true, Relaxed);
        }
    }

    /// Asks the keeper and waits for its answer.
    pub(super) fn ask<T>(
        &self,
        question: impl FnOnce(Sender<T>) -> Event,
        patience: Duration,
    ) -> Option<T> {
        let deadline = Instant::now() + patience;
        let (answer, wait) = bounded(1);
        self.keeper.send_deadline(question(answer), deadline).ok()?;
        wait.recv_deadline(deadline).ok()
    }

    /// Has the keeper look at the folder, and waits for it.
    pub(super) fn check_place(&self, patience: Duration) {
        let _ = self.ask(Event::Check, patience);
    }

    /// Has the keeper free some of a full disk; whether it freed any.
    pub(super) fn make_room(&self, bytes: u64, patience: Duration) -> bool {
        self.ask(|answer| Event::MakeRoom(bytes, answer), patience)
            .unwrap_or(false)
    }

    /// Whether the disk was full a short while ago, so that writing is not tried.
    pub(super) fn is_full(&self) -> bool {
        let full = self.full.lock();
        full.as_ref()
            .is_some_and(|full| Instant::now() < full.until)
    }

    /// The disk is full: writing pauses, longer each time.
    pub(super) fn set_full(&self, error: &io::Error) {
        let mut full = self.full.lock();
        let longest = self.options.pace.retry;
        let pause = match full.as_ref() {
            Some(full) => (full.pause * 2).min(longest),
            None => Duration::from_secs(1).min(longest),
        };
        *full = Some(Full {
            until: Instant::now() + pause,
            pause,
            reason: error.to_string(),
        });
    }

    /// Writing worked.
    pub(super) fn clear_full(&self) {
        *self.full.lock() = None;
    }

    /// Makes the keeper end soon.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Relaxed);
        let _ = self.keeper.send_timeout(Event::Stop, LAG);
    }

    pub(super) fn status(&self) -> StoreStatus {
        let Condition {
            state,
            reason,
            counting,
        } = self.condition.lock().clone();
        let full = self.full.lock().as_ref().map(|full| full.reason.clone());
        let (state, reason) = match (state, full) {
            (State::Ready | State::Shared | State::Unindexed, Some(full)) => {
                (State::Full, Some(full))
            }
            _ => (state, reason),
        };
        let (memory_entries, memory_bytes) = self.memory.totals();
        let place = self.place();
        let ours = |total: &std::sync::atomic::AtomicU64| match state {
            State::Ready | State::Unindexed | State::Full => Some(total.load(Relaxed)),
            State::Opening | State::Shared | State::ReadOnly | State::Lost | State::MemoryOnly => {
                None
            }
        };
        StoreStatus {
            state,
            reason,
            dir: self.options.dir.clone(),
            limit: self.options.limit,
            entries: ours(&self.totals.entries),
            bytes: ours(&self.totals.bytes),
            counting,
            queued: self.queue.len(),
            memory_entries,
            memory_bytes,
            quarantined: place.map_or(0, |place| quarantine::count(place.root())),
            counts: self.counters.counts(),
        }
    }
}
