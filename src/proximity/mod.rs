//! Where the threads that answer run: on the processor of a reader that is alone.
//!
//! A reader sleeps while it is answered. A thread that is woken on another processor has to wake
//! that processor first, and then the reader's again: on a virtual machine, where a processor that
//! sleeps is given back to the host, each of the two takes longer than the answer. On the reader's
//! own processor both are a switch between two threads. All are bound together and stay: a reader
//! that is answered now here, now there is moved to and fro by the scheduler.
//!
//! Invariant: threads that are bound are free again after two [`TICK`]s in which nobody asked,
//! whatever else the processor has to do, so no answer waits for the processor longer than that.

mod processors;
mod recent;

use parking_lot::{Condvar, Mutex};
use rustix::thread::{CpuSet, Pid, gettid};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

pub use processors::anywhere;
use recent::Recent;

/// How often it is looked whether somebody still asks.
const TICK: Duration = Duration::from_millis(50);
/// After so many requests at most it is looked again where the reader runs: at every one when it
/// has just gone elsewhere, then after twice as many each time.
const SOON: u32 = 16;
/// The same, when binding has been of no use: the scheduler keeps the reader away from here.
const LATE: u32 = 16 * 1024;
/// How many more times a reader may be elsewhere than here until that is so.
const CREDIT: u32 = 64;

/// The threads that answer the readers of one mount.
#[derive(Debug)]
pub struct Proximity {
    recent: AtomicU64,
    /// Requests until it is looked where the reader runs.
    wait: AtomicU32,
    threads: Mutex<Threads>,
    changed: Condvar,
}

#[derive(Debug)]
struct Threads {
    /// Where they may run when they are free; `None`: nowhere else, so nothing is done.
    permitted: Option<CpuSet>,
    all: Vec<Pid>,
    bound: Option<Binding>,
    /// One that is to be bound later, by another one: it would have to go elsewhere while its
    /// reader waits, and that wakes the processor it leaves, where the reader then is put.
    left: Option<Pid>,
    ended: bool,
}

/// All threads are bound to one processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Binding {
    processor: usize,
    /// Requests until the next look.
    wait: u32,
    /// See [`CREDIT`].
    credit: u32,
}

thread_local! {
    /// Whether this thread is one of [`Threads::all`].
    static JOINED: Cell<bool> = const { Cell::new(false) };
}

impl Proximity {
    /// Without threads. What may be woken by it waits in [`Proximity::watch`].
    pub fn new() -> Arc<Proximity> {
        Arc::new(Proximity {
            recent: AtomicU64::default(),
            wait: AtomicU32::default(),
            threads: Mutex::new(Threads {
                permitted: processors::permitted(),
                all: Vec::new(),
                bound: None,
                left: None,
                ended: false,
            }),
            changed: Condvar::new(),
        })
    }

    /// Makes the calling thread one of those that answer. What it starts begins with [`anywhere`].
    pub fn join(&self) {
        if JOINED.replace(true) {
            return;
        }
        let this = gettid();
        let mut threads = self.threads.lock();
        threads.all.push(this);
        if let Some(bound) = threads.bound {
            threads.bind(bound.processor, |thread| thread == this);
        }
    }

    /// Called by a thread before it answers `reader`, a thread's number or 0 if unknown.
    pub fn before_answer(&self, reader: u32) {
        if reader == 0 || std::env::var_os("NOPROX").is_some() {
            return;
        }
        self.join();
        let recent = Recent::unpack(self.recent.load(Relaxed)).and(reader);
        self.recent.store(recent.pack(), Relaxed);
        if !recent.is_alone() {
            if let Some(mut threads) = self.threads.try_lock() {
                threads.free();
            }
            return;
        }
        let wait = self.wait.load(Relaxed);
        if wait > 0 {
            self.wait.store(wait - 1, Relaxed);
        } else if let Some(mut threads) = self.threads.try_lock() {
            let free = threads.bound.is_none();
            self.wait.store(threads.approach(reader), Relaxed);
            if free && threads.bound.is_some() {
                self.changed.notify_one();
            }
        }
    }

    /// Frees bound threads when nobody asks any more; returns after [`Proximity::end`].
    pub fn watch(&self) {
        let mut threads = self.threads.lock();
        while !threads.ended {
            if threads.bound.is_none() {
                self.changed.wait(&mut threads);
                continue;
            }
            let before = self.recent.load(Relaxed);
            self.changed.wait_for(&mut threads, TICK);
            if before == self.recent.load(Relaxed) {
                threads.free();
            }
        }
        threads.free();
    }

    /// Ends [`Proximity::watch`].
    pub fn end(&self) {
        self.threads.lock().ended = true;
        self.changed.notify_all();
    }
}

impl Threads {
    /// Binds all threads to the processor where the reader ran last, or lets them be. The requests
    /// until it is worth to look again.
    fn approach(&mut self, reader: u32) -> u32 {
        if self.permitted.is_none() || self.ended {
            return LATE;
        }
        let next = processors::last_of(reader).and_then(|processor| match self.bound {
            None => Some(Binding::to(processor)),
            Some(bound) => bound.next(processor),
        });
        let Some(next) = next else {
            self.free();
            return LATE;
        };
        let (before, left) = (self.bound.replace(next), self.left.take());
        let this = gettid();
        let bound = if before.is_none_or(|before| before.processor != next.processor) {
            self.left = Some(this);
            self.bind(next.processor, |thread| thread != this)
        } else {
            left.is_none_or(|left| self.bind(next.processor, |thread| thread == left))
        };
        if !bound {
            self.free();
            return LATE;
        }
        next.wait
    }

    /// Has threads run on a processor. Says whether each may.
    fn bind(&self, processor: usize, which: impl Fn(Pid) -> bool) -> bool {
        let there = processors::only(processor);
        self.permitted.is_some_and(|all| all.is_set(processor))
            && (self.all.iter())
                .filter(|thread| which(**thread))
                .all(|thread| processors::allow(Some(*thread), &there))
    }

    /// Lets each thread run wherever it might before it was bound.
    fn free(&mut self) {
        self.left = None;
        if self.bound.take().is_none() {
            return;
        }
        let Some(permitted) = self.permitted else {
            return;
        };
        for thread in &self.all {
            // It fails when what is permitted has changed since.
            if !processors::allow(Some(*thread), &permitted) {
                processors::allow(Some(*thread), &processors::every());
            }
        }
    }
}

impl Binding {
    fn to(processor: usize) -> Binding {
        Binding {
            processor,
            wait: 0,
            credit: CREDIT,
        }
    }

    /// What to do when the reader is seen on `processor`; `None`: nothing is of use.
    fn next(self, processor: usize) -> Option<Binding> {
        if processor == self.processor {
            return Some(Binding {
                wait: (self.wait * 2 + 1).min(SOON),
                credit: (self.credit + 1).min(CREDIT),
                ..self
            });
        }
        self.credit.checked_sub(1).map(|credit| Binding {
            processor,
            wait: 0,
            credit,
        })
    }
}
