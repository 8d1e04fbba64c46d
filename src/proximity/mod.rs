//! Where the threads that answer run: on the processor of a reader that is alone.
//!
//! A reader sleeps while it is answered. A thread that is woken on another processor has to wake
//! that processor first, and then the reader's again: on a virtual machine, where a processor that
//! sleeps is given back to the host, each of the two takes longer than the answer. On the reader's
//! own processor both are a switch between two threads.
//!
//! Two things bring that about. The threads are bound, all together, to the processor where the
//! reader ran last. And while it gives its answer, a thread is one that runs after all others
//! (SCHED_IDLE): a processor with no other work counts as idle then, so the scheduler leaves the
//! reader there, where it would else take it to a processor that sleeps. It stays one until it
//! has to read or compile a source: to change that twice a request takes longer than short answers.
//!
//! Invariant: threads that are bound are free again, and run as usual, after two [`TICK`]s in which
//! nobody asked, whatever else the processor has to do: no answer waits for it longer than that.

mod processors;
mod recent;

use parking_lot::{Condvar, Mutex};
use rustix::thread::{CpuSet, Pid, gettid};
use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::time::{Duration, Instant};

pub use processors::anywhere;
use processors::{Seen, Watched};
use recent::Recent;

use crate::sys::priority::{self, Urgency};

/// How often it is looked whether somebody still asks.
const TICK: Duration = Duration::from_millis(10);
/// After so many requests at most it is looked again where the reader runs: at every one when it
/// has just gone elsewhere, then after twice as many each time.
const SOON: u32 = 4;
/// The same, when binding has been of no use: the scheduler keeps the reader away from here.
const LATE: u32 = 16 * 1024;
/// So many more requests may come from elsewhere than from here until that is so.
const CREDIT: u32 = 256;

/// How long no answer is given after all other threads, when others have held one up; twice as long
/// each time it happens, up to [`WARIEST`].
const WARY: Duration = Duration::from_secs(10);
/// See [`WARY`].
const WARIEST: Duration = Duration::from_secs(900);

/// The threads that answer the readers of one mount.
#[derive(Debug)]
pub struct Proximity {
    recent: AtomicU64,
    /// Requests until it is looked where the reader runs.
    wait: AtomicU32,
    /// Which time it is that answers are given after all other threads; 0: they are not.
    yields: AtomicU32,
    threads: Mutex<Threads>,
    changed: Condvar,
}

#[derive(Debug)]
struct Threads {
    /// How often answers have begun to be given after all others.
    times: u32,
    /// Whether a thread that went after all others may run as usual again.
    returns: bool,
    /// No answer is given after all others before.
    not_before: Option<Instant>,
    /// For how long, when one is held up again.
    wary: Duration,
    counts: Counts,
    /// Where they may run when they are free; `None`: nowhere else, so nothing is done.
    permitted: Option<CpuSet>,
    all: Vec<Pid>,
    bound: Option<Binding>,
    reader: Option<Watched>,
    /// One that is to be bound later, by another one: it would have to go elsewhere while its
    /// reader waits, and that wakes the processor it leaves, where the reader then is put.
    left: Option<Pid>,
    ended: bool,
}

/// What came of it so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// How often the threads were bound to a reader's processor.
    bound: u64,
    /// How often they went to another one with it.
    followed: u64,
    /// How often an answer that was given after all other threads was held up by them.
    held_up: u64,
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
    /// Whether requests come to this thread. Then it is one of [`Threads::all`].
    static SERVES: Cell<bool> = const { Cell::new(false) };
    /// The time in which this thread began to run after all others, which it still does if that
    /// time lasts (see [`Proximity::yields`]); 0: it runs as usual.
    static LAST: Cell<u32> = const { Cell::new(0) };
}

impl Proximity {
    /// Without threads. What may be woken by it waits in [`Proximity::watch`]. `wanted`: else all
    /// threads run anywhere, as usual.
    pub fn new(wanted: bool) -> Arc<Proximity> {
        Arc::new(Proximity {
            recent: AtomicU64::default(),
            wait: AtomicU32::default(),
            yields: AtomicU32::default(),
            threads: Mutex::new(Threads {
                times: 0,
                returns: wanted && may_return(),
                not_before: None,
                wary: WARY,
                counts: Counts::default(),
                permitted: processors::permitted().filter(|_| wanted),
                all: Vec::new(),
                bound: None,
                reader: None,
                left: None,
                ended: false,
            }),
            changed: Condvar::new(),
        })
    }

    /// Makes the calling thread one of those that answer: once, and not by one that calls
    /// [`Proximity::before_answer`]. What it starts begins with [`anywhere`].
    pub fn join(&self) {
        let this = gettid();
        let mut threads = self.threads.lock();
        threads.all.push(this);
        if let Some(bound) = threads.bound {
            threads.bind(bound.processor, |thread| thread == this);
        }
    }

    /// Called by a thread before it answers `reader`, a thread's number or 0 if unknown.
    pub fn before_answer(&self, reader: u32) {
        if LAST.get() != self.yields.load(SeqCst) {
            may_take_long();
        }
        if reader == 0 {
            return;
        }
        if !SERVES.replace(true) {
            self.join();
        }
        let recent = Recent::unpack(self.recent.load(Relaxed)).and(reader);
        self.recent.store(recent.pack(), Relaxed);
        if !recent.is_alone() {
            if let Some(mut threads) = self.threads.try_lock() {
                self.free(&mut threads);
            }
            return;
        }
        let wait = self.wait.load(Relaxed);
        if wait > 0 {
            self.wait.store(wait - 1, Relaxed);
        } else if let Some(mut threads) = self.threads.try_lock() {
            let free = threads.bound.is_none();
            let wait = threads.approach(reader);
            self.wait.store(wait.unwrap_or(LATE), Relaxed);
            if wait.is_none() {
                self.free(&mut threads);
            } else if free {
                self.yields.store(threads.time_to_yield(), SeqCst);
                self.changed.notify_one();
            }
        }
    }

    /// Gives an answer: `reply` wakes the reader.
    pub fn answer(&self, reply: impl FnOnce()) {
        let time = self.yields.load(SeqCst);
        if time == 0 || LAST.get() == time {
            return reply();
        }
        if priority::set(None, Urgency::Idle).is_err() {
            return reply();
        }
        // Who frees the threads first says so: this one is then not left as it is.
        let serves = SERVES.get() && self.yields.load(SeqCst) == time;
        reply();
        match serves {
            // Asleep, too, it is no work that its processor has.
            true => LAST.set(time),
            false => {
                LAST.set(0);
                as_usual();
            }
        }
    }

    /// First nobody yields any more, then all run as usual: a thread that begins to yield meanwhile
    /// sees that.
    fn free(&self, threads: &mut Threads) {
        self.yields.store(0, SeqCst);
        threads.free();
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
                if self.yields.load(SeqCst) != 0 {
                    threads.look_for_delay(Recent::unpack(before).reader());
                }
                self.free(&mut threads);
            }
        }
        self.free(&mut threads);
    }

    /// What came of it so far.
    pub fn counts(&self) -> Counts {
        self.threads.lock().counts
    }

    /// Ends [`Proximity::watch`].
    pub fn end(&self) {
        self.threads.lock().ended = true;
        self.changed.notify_all();
    }
}

impl Threads {
    /// Binds all threads to the processor where the reader ran last. The requests until it is worth
    /// to look again; `None` when the threads are to be freed.
    fn approach(&mut self, reader: u32) -> Option<u32> {
        if self.permitted.is_none() || self.ended {
            return None;
        }
        let seen = self.look_at(reader)?;
        let next = match self.bound {
            None => Binding::to(seen.processor),
            Some(bound) => bound.next(seen.processor)?,
        };
        let (before, left) = (self.bound.replace(next), self.left.take());
        let this = gettid();
        let bound = if before.is_none_or(|before| before.processor != next.processor) {
            match before {
                None => self.counts.bound += 1,
                Some(_) => self.counts.followed += 1,
            }
            self.left = Some(this);
            self.bind(next.processor, |thread| thread != this)
        } else {
            left.is_none_or(|left| self.bind(next.processor, |thread| thread == left))
        };
        bound.then_some(next.wait)
    }

    fn look_at(&mut self, reader: u32) -> Option<Seen> {
        self.reader = Watched::open(self.reader.take(), reader);
        let seen = self.reader.as_ref().and_then(Watched::look);
        if seen.is_none() {
            // It may have been another thread of that number.
            self.reader = None;
        }
        seen
    }

    /// Has threads run on a processor. Says whether each may.
    fn bind(&self, processor: usize, which: impl Fn(Pid) -> bool) -> bool {
        let there = processors::only(processor);
        self.permitted.is_some_and(|all| all.is_set(processor))
            && (self.all.iter())
                .filter(|thread| which(**thread))
                .all(|thread| processors::allow(Some(*thread), &there))
    }

    /// A new time in which answers are given after all others; 0: they may not be, as far as that
    /// can be known beforehand.
    fn time_to_yield(&mut self) -> u32 {
        let may = self.returns
            && self.not_before.is_none_or(|from| Instant::now() >= from)
            && processors::runnable().is_some_and(|all| all.saturating_sub(1) <= self.few());
        match may {
            true => {
                self.times = self.times.checked_add(1).unwrap_or(1);
                self.times
            }
            false => 0,
        }
    }

    /// How many others may be running for the reader's processor to have no other work, most
    /// likely: what is new is put where nothing runs. One that has just gone to sleep may be counted.
    fn few(&self) -> u32 {
        self.permitted.map_or(0, |all| (all.count() / 4).max(1))
    }

    /// Whether the reader sleeps while one of the threads could run and does not, since it comes
    /// after all others.
    fn look_for_delay(&mut self, reader: u32) {
        let held_up = self.look_at(reader).is_some_and(|reader| !reader.runs)
            && self.all.iter().any(|thread| {
                let number = thread.as_raw_pid().unsigned_abs();
                let seen = Watched::open(None, number).and_then(|thread| thread.look());
                seen.is_some_and(|seen| seen.runs && seen.last)
            });
        if held_up {
            self.counts.held_up += 1;
            log::debug!("an answer was held up: no more of that for {:?}", self.wary);
            self.not_before = Some(Instant::now() + self.wary);
            self.wary = (self.wary * 2).min(WARIEST);
        }
    }

    /// Lets each thread run as usual, wherever it might before it was bound.
    fn free(&mut self) {
        self.left = None;
        self.reader = None;
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
            if self.returns
                && let Err(error) = priority::set(Some(*thread), Urgency::Usual)
            {
                log::debug!("the turn of a thread: {error}");
            }
        }
    }
}

/// Called by a thread before it does what may take long: it runs as usual until its next answer.
pub fn may_take_long() {
    if LAST.replace(0) != 0 {
        as_usual();
    }
}

/// Has the calling thread run as usual.
fn as_usual() {
    if let Err(error) = priority::set(None, Urgency::Usual) {
        log::warn!("a thread runs after all others: {error}");
    }
}

/// Whether a thread of this process may run after all others and then as usual again: without
/// privilege that depends on a limit (RLIMIT_NICE). Not where somebody chose another kind for us.
fn may_return() -> bool {
    let tried = std::thread::Builder::new().spawn(|| {
        priority::is_usual()
            && priority::set(None, Urgency::Idle).is_ok()
            && priority::set(None, Urgency::Usual).is_ok()
    });
    match tried.map(std::thread::JoinHandle::join) {
        Ok(Ok(may)) => may,
        Ok(Err(_)) | Err(_) => false,
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
                credit: (self.credit + self.wait + 1).min(CREDIT),
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

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::thread::sched_getaffinity;
    use std::sync::atomic::AtomicBool;

    /// Two processors, or says that the test is skipped.
    fn two_processors() -> Option<CpuSet> {
        let all = processors::permitted();
        if all.is_none() {
            eprintln!("SKIPPED: one processor only");
        }
        all
    }

    fn number(thread: Pid) -> u32 {
        u32::try_from(thread.as_raw_pid()).unwrap()
    }

    /// Runs `body` in a thread that serves a reader which sleeps on the processor it is given.
    fn beside(processor: usize, body: impl FnOnce(u32) + Send) {
        std::thread::scope(|scope| {
            let (tell, told) = crossbeam_channel::bounded(1);
            let (end, ended) = crossbeam_channel::bounded::<()>(0);
            scope.spawn(move || {
                assert!(processors::allow(None, &processors::only(processor)));
                tell.send(number(gettid())).unwrap();
                let _ = ended.recv();
            });
            let reader = told.recv().unwrap();
            scope.spawn(move || {
                body(reader);
                drop(end);
            });
        });
    }

    fn here(set: CpuSet) -> Vec<usize> {
        (0..CpuSet::MAX_CPU).filter(|at| set.is_set(*at)).collect()
    }

    /// Where a thread (`None`: this one) may run.
    fn of(thread: Option<Pid>) -> Vec<usize> {
        here(sched_getaffinity(thread).unwrap())
    }

    /// Ends the watch also when the test fails, or nobody would hear of it.
    struct Ended<'a>(&'a Proximity);

    impl Drop for Ended<'_> {
        fn drop(&mut self) {
            self.0.end();
        }
    }

    /// Repeats a step until something holds: the watch frees whoever is too slow.
    fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        while !holds() {
            assert!(Instant::now() < end, "never: {what}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn threads_go_to_the_processor_of_a_reader_that_is_alone_and_are_free_again_after_it() {
        let Some(all) = two_processors() else { return };
        let last = here(all).pop().unwrap();
        let proximity = Proximity::new(true);
        std::thread::scope(|scope| {
            let _ended = Ended(&proximity);
            scope.spawn(|| proximity.watch());
            beside(last, |reader| {
                let (tell, told) = crossbeam_channel::bounded(1);
                let (end, ended) = crossbeam_channel::bounded::<()>(0);
                std::thread::scope(|scope| {
                    let other = &proximity;
                    scope.spawn(move || {
                        other.join();
                        tell.send(gettid()).unwrap();
                        let _ = ended.recv();
                    });
                    let companion = told.recv().unwrap();
                    until("both are bound", || {
                        proximity.before_answer(reader);
                        of(None) == [last] && of(Some(companion)) == [last]
                    });
                    until("both are free, since nobody asks", || {
                        of(None) == here(all) && of(Some(companion)) == here(all)
                    });
                    drop(end);
                });
            });
        });
    }

    #[test]
    fn nobody_is_bound_where_that_is_not_wanted() {
        let Some(all) = two_processors() else { return };
        let proximity = Proximity::new(false);
        beside(here(all)[0], |reader| {
            for _ in 0..2 {
                proximity.before_answer(reader);
                assert_eq!(of(None), here(all));
                proximity.answer(|| assert!(priority::is_usual()));
            }
            assert_eq!(proximity.counts(), Counts::default());
        });
    }

    #[test]
    fn readers_that_take_turns_bind_nobody() {
        let Some(all) = two_processors() else { return };
        let last = here(all).pop().unwrap();
        let proximity = Proximity::new(true);
        beside(last, |reader| {
            for _ in 0..2 {
                proximity.before_answer(reader);
            }
            assert_eq!(of(None), [last]);
            assert_eq!(proximity.counts().bound, 1);
            for other in 1..10 {
                proximity.before_answer(reader);
                proximity.before_answer(reader ^ other);
            }
            assert_eq!(of(None), here(all));
        });
    }

    #[test]
    fn a_thread_runs_as_usual_before_what_may_take_long_and_when_it_is_free() {
        let Some(all) = two_processors() else { return };
        let proximity = Proximity::new(true);
        beside(here(all)[0], |reader| {
            proximity.before_answer(reader);
            let returns = proximity.threads.lock().returns;
            // Not by itself, where other tests run.
            let time = u32::from(returns);
            proximity.yields.store(time, SeqCst);
            proximity.answer(|| assert_eq!(priority::is_usual(), !returns));
            assert_eq!(priority::is_usual(), !returns);
            proximity.before_answer(reader);
            assert_eq!(priority::is_usual(), !returns);
            may_take_long();
            assert!(priority::is_usual());
            proximity.answer(|| ());
            proximity.end();
            proximity.watch();
            assert!(priority::is_usual());
            proximity.answer(|| assert!(priority::is_usual()));
        });
    }

    #[test]
    fn an_answer_that_others_hold_up_is_noticed() {
        let Some(all) = two_processors() else { return };
        let last = here(all).pop().unwrap();
        let proximity = Proximity::new(true);
        if !proximity.threads.lock().returns {
            return eprintln!("SKIPPED: no thread may go after all others and return");
        }
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _ended = Ended(&proximity);
            scope.spawn(|| proximity.watch());
            beside(last, |reader| {
                std::thread::scope(|scope| {
                    scope.spawn(|| {
                        assert!(processors::allow(None, &processors::only(last)));
                        while !stop.load(Relaxed) {
                            std::hint::spin_loop();
                        }
                    });
                    let noticed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                        until("the delay is noticed", || {
                            proximity.before_answer(reader);
                            proximity.yields.store(u32::MAX, SeqCst);
                            proximity.answer(|| std::thread::sleep(Duration::from_millis(1)));
                            proximity.threads.lock().not_before.is_some()
                        });
                    }));
                    stop.store(true, Relaxed);
                    assert!(noticed.is_ok());
                });
            });
            assert_eq!(proximity.threads.lock().time_to_yield(), 0);
        });
    }

    #[test]
    fn a_reader_that_never_stays_is_let_go() {
        let mut binding = Binding::to(0);
        for request in 1..=CREDIT {
            binding = binding.next(request as usize).unwrap();
        }
        assert_eq!(binding.next(0), None);
        binding = binding.next(binding.processor).unwrap();
        assert_eq!(binding.wait, 1);
        assert!(binding.next(0).is_some());
    }
}
