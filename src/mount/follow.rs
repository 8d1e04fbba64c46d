//! The thread that follows the source: events in, invalidations out.
//!
//! Invariants: it holds no lock while it tells the kernel, and tells only what waits for nobody; the
//! rest is the settling thread's. A barrier is passed when what was waiting as it was asked for
//! has been read, and the kernel was told of all.

use parking_lot::Mutex;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::settle::Settler;
use super::urgency::Balance;
use crate::operations::{Kernel, Operations};
use crate::watch::{Change, Events};

/// How often the source's path is looked at when no event asks for it.
const LOOK: Duration = Duration::from_secs(1);
/// How long events are collected after some came: the kernel joins many of a busy writer to one, and
/// this thread, which runs before others, is bounded to some thousand turns a second. An event that
/// comes after a pause is told of at once.
const COLLECT: Duration = Duration::from_micros(200);

/// What the thread shares with those who ask it.
struct Shared {
    operations: Arc<Operations>,
    kernel: Arc<dyn Kernel>,
    wake: OwnedFd,
    barriers: Mutex<Vec<Sender<()>>>,
    stopped: AtomicBool,
    /// Whether another version is asked for since the last turn.
    listings: AtomicBool,
    changes: AtomicU64,
    losses: AtomicU64,
}

/// Follows the source until it is dropped.
pub struct Follower {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What was followed so far.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Followed {
    /// Changes that were told of.
    pub changes: u64,
    /// Times that events were lost, or that everything changed.
    pub everything: u64,
    /// Directories without a watch, as the limit was reached.
    pub unwatched: u64,
}

impl Follower {
    /// Starts following, if there are events.
    pub fn start(operations: Arc<Operations>, kernel: Arc<dyn Kernel>) -> io::Result<Follower> {
        let events = operations.events();
        let shared = Arc::new(Shared {
            operations,
            kernel,
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            barriers: Mutex::default(),
            stopped: AtomicBool::new(false),
            listings: AtomicBool::new(false),
            changes: AtomicU64::new(0),
            losses: AtomicU64::new(0),
        });
        let thread = match events {
            Some(events) => {
                let of_synthesis = Arc::downgrade(&shared);
                shared.operations.synthesis().on_first_use(move || {
                    if let Some(shared) = of_synthesis.upgrade() {
                        shared.listings.store(true, Ordering::SeqCst);
                        shared.wake();
                    }
                });
                let mounts = File::open("/proc/self/mountinfo")?;
                let shared = Arc::clone(&shared);
                let settler =
                    Settler::start(Arc::clone(&shared.operations), Arc::clone(&shared.kernel))?;
                Some(
                    std::thread::Builder::new()
                        .name("follow".to_owned())
                        .spawn(move || shared.run(&events, mounts, &settler))?,
                )
            }
            None => None,
        };
        Ok(Follower { shared, thread })
    }

    /// The part that answers questions.
    pub fn barrier(&self) -> Barrier {
        Barrier {
            shared: Arc::clone(&self.shared),
            followed: self.thread.is_some(),
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.shared.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the thread that follows the source panicked");
        }
    }
}

/// Waits for changes to be visible.
#[derive(Clone)]
pub struct Barrier {
    shared: Arc<Shared>,
    followed: bool,
}

impl Barrier {
    /// Returns when every change of the source that was made before is visible through the mount;
    /// an error if that takes longer than `patience`.
    pub fn pass(&self, patience: Duration) -> Result<(), String> {
        if !self.followed {
            // Nothing is known of changes: everything is dropped.
            let all = [Change::Everything];
            let kernel = self.shared.kernel.as_ref();
            let names_dropped = self.shared.tell_first(&all);
            self.shared
                .operations
                .apply_rest(&all, names_dropped, kernel);
            return Ok(());
        }
        let (sender, receiver) = channel();
        self.shared.barriers.lock().push(sender);
        self.shared.wake();
        receiver
            .recv_timeout(patience)
            .map_err(|_| "the source's events could not be read to their end in time".to_owned())
    }

    /// What was followed so far.
    pub fn followed(&self) -> Followed {
        Followed {
            changes: self.shared.changes.load(Ordering::Relaxed),
            everything: self.shared.losses.load(Ordering::Relaxed),
            unwatched: self
                .shared
                .operations
                .events()
                .map_or(0, |events| events.refused()),
        }
    }
}

impl Shared {
    fn wake(&self) {
        if let Err(errno) = rustix::io::write(&self.wake, &1_u64.to_ne_bytes()) {
            log::debug!("waking the follower: {errno}");
        }
    }

    fn run(&self, events: &Events, mut mounts: File, settler: &Settler) {
        let mut balance = Balance::begin();
        let mut looked = Instant::now();
        let mut changes = Vec::new();
        while !self.stopped.load(Ordering::SeqCst) {
            let turn = || self.turn(events, &mut mounts, settler, &mut changes, &mut looked);
            if catch_unwind(AssertUnwindSafe(turn)).is_err() {
                // Who asked for a barrier is told by its end that it was not passed.
                log::error!("following the source panicked: everything is dropped");
                changes.clear();
                changes.push(Change::Everything);
                std::thread::sleep(Duration::from_millis(10));
            }
            balance.turn();
        }
    }

    fn turn(
        &self,
        events: &Events,
        mounts: &mut File,
        settler: &Settler,
        changes: &mut Vec<Change>,
        looked: &mut Instant,
    ) {
        if changes.is_empty() {
            self.wait(events, mounts, changes);
        }
        if self.listings.swap(false, Ordering::SeqCst) {
            changes.push(Change::Listings);
        }
        // Those who ask from here on wait for the next turn.
        let mut barriers = std::mem::take(&mut *self.barriers.lock());
        if !barriers.is_empty() {
            // What was mounted since the wait, and before they asked.
            look_at_mounts(mounts, changes);
        }
        let mut look = !barriers.is_empty() || looked.elapsed() >= LOOK;
        let mut due = match barriers.is_empty() {
            true => 0,
            // Not until none are left: on a busy filesystem there always are.
            false => events.waiting().unwrap_or(u64::MAX),
        };
        loop {
            let taken = events.read(changes);
            if look || changes.iter().any(Change::may_replace_the_source) {
                self.operations.look_at_root(changes);
                *looked = Instant::now();
                look = false;
            }
            let names_dropped = self.tell_first(changes);
            due = due.saturating_sub(taken as u64);
            let done = taken == 0 || due == 0 || self.stopped.load(Ordering::SeqCst);
            match done {
                true => settler.put(changes, names_dropped, &mut barriers),
                false => settler.put(changes, names_dropped, &mut Vec::new()),
            }
            if done {
                if taken > 0 {
                    std::thread::sleep(COLLECT);
                }
                break;
            }
        }
    }

    /// Waits for an event, a change of the mount table, a question, or the time to look.
    fn wait(&self, events: &Events, mounts: &mut File, changes: &mut Vec<Change>) {
        let mut waiting = [
            events.readable(),
            PollFd::new(&self.wake, PollFlags::IN),
            PollFd::new(mounts, PollFlags::PRI),
        ];
        let longest = Timespec::try_from(LOOK).ok();
        if let Err(errno) = poll(&mut waiting, longest.as_ref()) {
            log::debug!("waiting for events: {errno}");
        }
        let mounted = waiting
            .get(2)
            .is_some_and(|waited| !waited.revents().is_empty());
        let asked = waiting
            .get(1)
            .is_some_and(|waited| !waited.revents().is_empty());
        if asked {
            let _ = rustix::io::read(&self.wake, &mut [0; 8]);
        }
        if mounted {
            mounts_changed(mounts, changes);
        }
    }

    /// Gives whether every name was dropped.
    fn tell_first(&self, changes: &[Change]) -> bool {
        if changes.is_empty() {
            return false;
        }
        self.changes
            .fetch_add(changes.len() as u64, Ordering::Relaxed);
        if changes.contains(&Change::Everything) {
            self.losses.fetch_add(1, Ordering::Relaxed);
        }
        self.operations.apply_first(changes, self.kernel.as_ref())
    }
}

/// Notes a change of the mount table, if there was one since it was looked at last.
fn look_at_mounts(mounts: &mut File, changes: &mut Vec<Change>) {
    let mut waiting = [PollFd::new(&*mounts, PollFlags::PRI)];
    let at_once = Timespec::try_from(Duration::ZERO).ok();
    match poll(&mut waiting, at_once.as_ref()) {
        Ok(0) => {}
        Ok(_) => mounts_changed(mounts, changes),
        Err(errno) => log::debug!("the mount table: {errno}"),
    }
}

/// The mount table has changed.
fn mounts_changed(mounts: &mut File, changes: &mut Vec<Change>) {
    // Read to the end, or the next change would not be told of.
    let mut table = Vec::new();
    let read = mounts
        .rewind()
        .and_then(|()| mounts.read_to_end(&mut table));
    if let Err(error) = read {
        log::debug!("the mount table: {error}");
    }
    changes.extend([Change::Way, Change::Everything]);
}
