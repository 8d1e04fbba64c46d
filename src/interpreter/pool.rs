//! The workers of one target: who may compile now, when a worker starts, when it goes.
//!
//! Invariants: no lock is held while a process is waited for; every wait has a deadline; of a
//! broken interpreter at most one start is under way, with growing pauses between starts; a job
//! that ends its worker is tried again, because an earlier job may have hurt that worker; once a
//! fresh one has ended as well, or the third, the job is given up.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::protocol::{Head, Hello, Reply};
use super::spawner::{Running, Spawner};
use super::worker::{Kind, Recipe, Trouble, Worker};
use crate::compiler::Refusal;
use crate::pyc::Target;

/// Starts of a confirmed interpreter that fail in a row until the next candidate is tried.
const FAILURES_TO_MOVE_ON: u32 = 3;
/// The first pause after failed starts; it doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// The longest pause after failed starts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A worker's memory is looked at after so many jobs, and after each large source.
const JOBS_BETWEEN_LOOKS: u32 = 32;
/// From this size in bytes on a source counts as large.
const LARGE_SOURCE: usize = 1 << 20;

/// How a pool treats its workers.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Most workers at a time.
    pub workers: usize,
    /// How long an interpreter may take until it is ready.
    pub start_time: Duration,
    /// An idle worker beside another one ends after this time.
    pub spare_time: Duration,
    /// The last idle worker ends after this time.
    pub idle_time: Duration,
    /// A worker is replaced after so many jobs.
    pub jobs: u32,
    /// A worker is replaced when its resident memory exceeds this, in bytes.
    pub resident: u64,
    /// User and group of the workers; `None` stays.
    pub user: Option<(u32, u32)>,
    /// RLIMIT_AS of a worker, in bytes.
    pub memory: u64,
    /// Whether the root code object's record carries FLAG_REF.
    pub root_flag: bool,
    /// Whether workers get a mount namespace of their own.
    pub own_mounts: bool,
}

impl Rules {
    fn recipe(&self, program: Arc<Path>, kind: Kind, hidden: &[PathBuf]) -> Recipe {
        Recipe {
            program,
            kind,
            user: self.user,
            root_flag: self.root_flag,
            memory: self.memory,
            hide: self.own_mounts.then(|| hidden.to_vec()),
        }
    }
}

/// What has happened in a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Workers that were started.
    pub starts: u64,
    /// Starts that brought no working interpreter.
    pub failed_starts: u64,
    /// Workers that ended in the middle of a job.
    pub deaths: u64,
    /// Jobs that took too long, whose worker was killed.
    pub timeouts: u64,
    /// Jobs that were given to workers.
    pub jobs: u64,
    /// Workers with a job, now.
    pub busy: usize,
    /// Workers without a job, now.
    pub idle: usize,
}

#[derive(Default)]
struct Tally {
    starts: AtomicU64,
    failed_starts: AtomicU64,
    deaths: AtomicU64,
    timeouts: AtomicU64,
    jobs: AtomicU64,
}

/// The workers of one kind.
#[derive(Default)]
struct Crew {
    /// Most recently used last.
    idle: Vec<Worker>,
    busy: usize,
    starting: usize,
    waiting: usize,
    /// Starts that failed since the last that did not.
    failures: u32,
    /// No start before.
    pause_until: Option<Instant>,
    /// What the last failed start said.
    error: String,
}

struct State {
    /// Best first.
    candidates: Vec<Arc<Path>>,
    /// The candidate in use.
    current: usize,
    /// What the candidate in use says it is, once it has run.
    identity: Option<Arc<Hello>>,
    /// Workers of another generation are replaced.
    generation: u64,
    hidden: Vec<PathBuf>,
    plain: Crew,
    teller: Crew,
    closed: bool,
}

impl State {
    fn crew(&mut self, kind: Kind) -> &mut Crew {
        match kind {
            Kind::Plain => &mut self.plain,
            Kind::Teller => &mut self.teller,
        }
    }

    fn program(&self) -> Option<&Arc<Path>> {
        self.candidates.get(self.current)
    }

    /// Whether a worker belongs to the interpreter and settings in use.
    fn is_ours(&self, worker: &Worker) -> bool {
        worker.generation == self.generation && self.program() == Some(&worker.program)
    }
}

/// The workers of one target.
pub struct Pool {
    target: Target,
    rules: Rules,
    spawner: Arc<Spawner>,
    state: Mutex<State>,
    plain_free: Condvar,
    teller_free: Condvar,
    tally: Tally,
}

/// A worker on loan. Dropped without being given back, the worker is gone.
struct Loan<'a> {
    pool: &'a Pool,
    kind: Kind,
    worker: Option<Worker>,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        // First the process: whoever is told that there is room may look at the pids.
        self.worker = None;
        self.pool.state.lock().crew(self.kind).busy -= 1;
        self.pool.free(self.kind).notify_one();
    }
}

impl Pool {
    /// A pool without workers.
    pub fn new(target: Target, rules: Rules, spawner: Arc<Spawner>) -> Pool {
        Pool {
            target,
            rules,
            spawner,
            state: Mutex::new(State {
                candidates: Vec::new(),
                current: 0,
                identity: None,
                generation: 0,
                hidden: Vec::new(),
                plain: Crew::default(),
                teller: Crew::default(),
                closed: false,
            }),
            plain_free: Condvar::new(),
            teller_free: Condvar::new(),
            tally: Tally::default(),
        }
    }

    /// The target.
    pub fn target(&self) -> Target {
        self.target
    }

    /// Adds an interpreter, before (`preferred`) or after those that are known.
    pub fn add(&self, program: PathBuf, preferred: bool) {
        let mut state = self.state.lock();
        let program: Arc<Path> = program.into();
        if preferred {
            state.candidates.insert(0, program);
            state.current = 0;
            state.identity = None;
        } else {
            state.candidates.push(program);
        }
    }

    /// Whether there is any interpreter to try.
    pub fn has_candidates(&self) -> bool {
        !self.state.lock().candidates.is_empty()
    }

    /// Hides mount points from workers that start from now on; the others go when they are free.
    pub fn hide(&self, hidden: Vec<PathBuf>) {
        {
            let mut state = self.state.lock();
            state.hidden = hidden;
            state.generation += 1;
        }
        self.release();
    }

    /// What the interpreter in use is; starts a worker if that is not known yet.
    pub fn identity(self: &Arc<Self>) -> Option<Arc<Hello>> {
        if let Some(identity) = &self.state.lock().identity {
            return Some(Arc::clone(identity));
        }
        let deadline = after(self.rules.start_time);
        let mut loan = self.borrow(Kind::Plain, deadline).ok()??;
        let hello = loan.worker.as_mut()?.greet(deadline).ok();
        self.give_back(loan, 0);
        hello
    }

    /// Has a worker compile `source`.
    ///
    /// # Errors
    /// [`Refusal::TimedOut`] with the job's time, [`Refusal::Died`], [`Refusal::Failed`] or
    /// [`Refusal::NotCovered`], never [`Refusal::Rejected`].
    pub fn run(
        self: &Arc<Self>,
        kind: Kind,
        head: Head<'_>,
        source: &[u8],
        deadline: Instant,
    ) -> Result<(Arc<Hello>, Reply), Refusal> {
        let mut last = String::new();
        for attempt in 1..=3 {
            let Some(mut loan) = self.borrow(kind, deadline)? else {
                return Err(Refusal::TimedOut(head.time));
            };
            let Some(worker) = loan.worker.as_mut() else {
                break;
            };
            let hello = match worker.greet(deadline) {
                Ok(hello) => hello,
                Err(_) => return Err(Refusal::Failed("a worker lost its hello".to_owned())),
            };
            self.tally.jobs.fetch_add(1, Ordering::Relaxed);
            match worker.run(head, source, deadline) {
                Ok(reply) => {
                    self.give_back(loan, source.len());
                    return Ok((hello, reply));
                }
                Err(Trouble::Late) => {
                    self.tally.timeouts.fetch_add(1, Ordering::Relaxed);
                    return Err(Refusal::TimedOut(head.time));
                }
                Err(Trouble::Garbage(what)) => return Err(Refusal::Failed(what)),
                Err(Trouble::Died(how)) => {
                    self.tally.deaths.fetch_add(1, Ordering::Relaxed);
                    last = how;
                    if attempt >= 2 && worker.jobs == 1 {
                        break;
                    }
                }
            }
        }
        Err(Refusal::Died(last))
    }

    /// A worker whose hello has come and fits; `None` when the deadline comes first.
    fn borrow(
        self: &Arc<Self>,
        kind: Kind,
        deadline: Instant,
    ) -> Result<Option<Loan<'_>>, Refusal> {
        loop {
            let Some(mut loan) = self.take(kind, deadline)? else {
                return Ok(None);
            };
            let Some(worker) = loan.worker.as_mut() else {
                return Ok(None);
            };
            let fresh = !worker.has_greeted();
            let program = Arc::clone(&worker.program);
            match worker.greet(deadline) {
                Ok(_) if !fresh => return Ok(Some(loan)),
                Ok(hello) if hello.target == self.target => {
                    self.confirm(kind, &program, &hello)?;
                    return Ok(Some(loan));
                }
                Ok(hello) => {
                    let error = format!("{} is CPython {}", program.display(), hello.target);
                    drop(loan);
                    self.start_failed(kind, &program, error);
                }
                // It may still come: the next job goes on waiting.
                Err(Trouble::Late) => {
                    self.give_back(loan, 0);
                    return Ok(None);
                }
                Err(Trouble::Died(what) | Trouble::Garbage(what)) => {
                    drop(loan);
                    self.start_failed(kind, &program, format!("{}: {what}", program.display()));
                }
            }
        }
    }

    /// A worker from the idle ones, started if there is room, else the first to be free.
    fn take(self: &Arc<Self>, kind: Kind, deadline: Instant) -> Result<Option<Loan<'_>>, Refusal> {
        let mut state = self.state.lock();
        loop {
            if state.closed {
                return Err(Refusal::Failed("the backend has ended".to_owned()));
            }
            if state.candidates.is_empty() {
                return Err(Refusal::NotCovered(self.target));
            }
            let idle = &mut state.crew(kind).idle;
            let next = idle.iter().rposition(Worker::has_greeted);
            if let Some(at) = next.or(idle.len().checked_sub(1)) {
                let worker = idle.remove(at);
                if state.is_ours(&worker) && worker.is_quiet() {
                    state.crew(kind).busy += 1;
                    return Ok(Some(Loan {
                        pool: self,
                        kind,
                        worker: Some(worker),
                    }));
                }
                MutexGuard::unlocked(&mut state, || drop(worker));
                continue;
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(None);
            }
            let most = match kind {
                // An interpreter that has not shown what it is gets one try at a time.
                Kind::Plain if state.identity.is_none() => 1,
                Kind::Plain => self.rules.workers.max(1),
                Kind::Teller => 1,
            };
            let crew = state.crew(kind);
            let all = crew.busy + crew.starting;
            let paused = crew.pause_until.is_some_and(|until| now < until);
            if paused && all == 0 {
                return Err(Refusal::Failed(crew.error.clone()));
            }
            if !paused && all < most && crew.starting <= crew.waiting {
                crew.starting += 1;
                self.start(&mut state, kind);
                continue;
            }
            crew.waiting += 1;
            self.free(kind).wait_until(&mut state, deadline);
            state.crew(kind).waiting -= 1;
        }
    }

    fn free(&self, kind: Kind) -> &Condvar {
        match kind {
            Kind::Plain => &self.plain_free,
            Kind::Teller => &self.teller_free,
        }
    }

    /// Has a worker started; the lock is not held meanwhile, and not waited for either.
    fn start(self: &Arc<Self>, state: &mut MutexGuard<'_, State>, kind: Kind) {
        let Some(program) = state.program().cloned() else {
            state.crew(kind).starting -= 1;
            return;
        };
        let generation = state.generation;
        let recipe = self.rules.recipe(Arc::clone(&program), kind, &state.hidden);
        let greet_by = after(self.rules.start_time);
        let pool: Weak<Pool> = Arc::downgrade(self);
        self.tally.starts.fetch_add(1, Ordering::Relaxed);
        MutexGuard::unlocked(state, || {
            let (launch, socket) = match recipe.launch() {
                Ok(made) => made,
                Err(error) => {
                    self.started(kind, &program, Err(error));
                    return;
                }
            };
            let started = move |process: std::io::Result<Running>| {
                let Some(pool) = pool.upgrade() else { return };
                let made = process.map(|process| {
                    Worker::new(process, socket, Arc::clone(&program), generation, greet_by)
                });
                pool.started(kind, &program, made);
            };
            self.spawner.start(launch, Box::new(started));
        });
    }

    /// Takes what a start has brought.
    fn started(&self, kind: Kind, program: &Arc<Path>, made: std::io::Result<Worker>) {
        let (failed, unwanted) = {
            let mut state = self.state.lock();
            let closed = state.closed;
            let crew = state.crew(kind);
            crew.starting -= 1;
            match made {
                Ok(worker) if closed => (None, Some(worker)),
                Ok(worker) => {
                    crew.idle.push(worker);
                    self.free(kind).notify_one();
                    (None, None)
                }
                Err(error) => (Some(format!("{}: {error}", program.display())), None),
            }
        };
        drop(unwanted);
        if let Some(error) = failed {
            self.start_failed(kind, program, error);
        }
    }

    /// A fresh worker has shown what it is.
    fn confirm(&self, kind: Kind, program: &Arc<Path>, hello: &Arc<Hello>) -> Result<(), Refusal> {
        let mut state = self.state.lock();
        let crew = state.crew(kind);
        crew.failures = 0;
        crew.pause_until = None;
        if state.program() != Some(program) {
            return Ok(());
        }
        match &state.identity {
            Some(known) if known != hello => {
                // An upgrade in place. What this job's caller knows of the build does not hold.
                log::info!("{} is now {}", program.display(), hello.version);
                state.identity = Some(Arc::clone(hello));
                state.generation += 1;
                return Err(Refusal::Failed("the interpreter has changed".to_owned()));
            }
            Some(_) => {}
            None => state.identity = Some(Arc::clone(hello)),
        }
        drop(state);
        // While it was not known there was room for one worker only.
        self.free(kind).notify_all();
        Ok(())
    }

    fn start_failed(&self, kind: Kind, program: &Arc<Path>, error: String) {
        self.tally.failed_starts.fetch_add(1, Ordering::Relaxed);
        log::warn!("no worker for CPython {}: {error}", self.target);
        let mut state = self.state.lock();
        let confirmed = state.identity.is_some();
        let in_use = state.program() == Some(program);
        let last = state.current + 1 >= state.candidates.len();
        let crew = state.crew(kind);
        crew.failures = crew.failures.saturating_add(1);
        crew.error = error;
        let doublings = crew.failures.saturating_sub(1).min(16);
        let pause = FIRST_PAUSE
            .saturating_mul(1 << doublings)
            .min(LONGEST_PAUSE);
        let move_on =
            kind == Kind::Plain && in_use && (!confirmed || crew.failures >= FAILURES_TO_MOVE_ON);
        let pauses = !move_on || last;
        crew.pause_until = pauses.then(|| after(pause));
        if move_on {
            state.identity = None;
            state.current = if last { 0 } else { state.current + 1 };
        }
        drop(state);
        self.free(kind).notify_all();
    }

    /// Makes a worker idle, or ends it when it has done enough.
    fn give_back(&self, mut loan: Loan<'_>, source: usize) {
        let Some(mut worker) = loan.worker.take() else {
            return;
        };
        let look = source >= LARGE_SOURCE || worker.jobs.is_multiple_of(JOBS_BETWEEN_LOOKS);
        let worn = worker.jobs >= self.rules.jobs
            || (worker.jobs > 0 && look && worker.resident() > self.rules.resident);
        if worn {
            loan.worker = Some(worker);
            return;
        }
        worker.idle_since = Instant::now();
        let mut state = self.state.lock();
        if state.closed || !state.is_ours(&worker) {
            drop(state);
            loan.worker = Some(worker);
            return;
        }
        state.crew(loan.kind).idle.push(worker);
        // The loan's end, after the lock's, counts and notifies.
    }

    /// Ends workers that had nothing to do for long, died while idle, or never said hello.
    pub fn trim(&self) {
        let now = Instant::now();
        let (gone, mute) = {
            let mut state = self.state.lock();
            let mut gone = Vec::new();
            let mut mute = Vec::new();
            for kind in [Kind::Plain, Kind::Teller] {
                let idle = std::mem::take(&mut state.crew(kind).idle);
                let spares = idle.len().saturating_sub(1);
                let mut kept = Vec::with_capacity(idle.len());
                for (at, worker) in idle.into_iter().enumerate() {
                    let limit = match kind {
                        Kind::Plain if at >= spares => self.rules.idle_time,
                        Kind::Plain | Kind::Teller => self.rules.spare_time,
                    };
                    let unused = now.saturating_duration_since(worker.idle_since) >= limit;
                    if worker.is_mute(now) {
                        mute.push((kind, worker));
                    } else if unused || !worker.is_quiet() || !state.is_ours(&worker) {
                        gone.push(worker);
                    } else {
                        kept.push(worker);
                    }
                }
                state.crew(kind).idle = kept;
            }
            (gone, mute)
        };
        drop(gone);
        for (kind, worker) in mute {
            let error = format!("{}: no hello in time", worker.program.display());
            self.start_failed(kind, &Arc::clone(&worker.program), error);
        }
    }

    /// Ends the idle workers.
    pub fn release(&self) {
        let idle = {
            let mut state = self.state.lock();
            let mut idle = std::mem::take(&mut state.plain.idle);
            idle.append(&mut state.teller.idle);
            idle
        };
        drop(idle);
    }

    /// Ends the idle workers; no worker starts any more.
    pub fn close(&self) {
        self.state.lock().closed = true;
        self.release();
        self.plain_free.notify_all();
        self.teller_free.notify_all();
    }

    /// What has happened until now.
    pub fn counters(&self) -> Counters {
        let state = self.state.lock();
        Counters {
            starts: self.tally.starts.load(Ordering::Relaxed),
            failed_starts: self.tally.failed_starts.load(Ordering::Relaxed),
            deaths: self.tally.deaths.load(Ordering::Relaxed),
            timeouts: self.tally.timeouts.load(Ordering::Relaxed),
            jobs: self.tally.jobs.load(Ordering::Relaxed),
            busy: state.plain.busy + state.teller.busy,
            idle: state.plain.idle.len() + state.teller.idle.len(),
        }
    }

    /// One line about the interpreter and its workers.
    pub fn describe(&self) -> String {
        let (program, known, error) = {
            let state = self.state.lock();
            let program = state
                .program()
                .map_or_else(String::new, |path| path.display().to_string());
            let failing = state.plain.failures > 0;
            let error = failing.then(|| state.plain.error.clone());
            (program, state.identity.clone(), error)
        };
        let what = match (known, error) {
            (_, Some(error)) => format!("failing: {error}"),
            (Some(hello), None) => format!("{program}, {}", hello.version),
            (None, None) => format!("{program}, not started yet"),
        };
        let count = self.counters();
        format!(
            "{what}; workers: {} busy, {} idle; {} jobs, {} starts, {} failed starts, {} deaths, \
             {} timeouts",
            count.busy,
            count.idle,
            count.jobs,
            count.starts,
            count.failed_starts,
            count.deaths,
            count.timeouts
        )
    }
}

/// A worker that is started only to hear what its interpreter is.
pub struct Probe {
    started: Receiver<std::io::Result<Worker>>,
}

impl Probe {
    /// Has `program` started.
    pub fn start(
        program: &Path,
        rules: &Rules,
        hidden: &[PathBuf],
        spawner: &Spawner,
        greet_by: Instant,
    ) -> Probe {
        let (sender, started) = bounded(1);
        let program: Arc<Path> = program.into();
        let recipe = rules.recipe(Arc::clone(&program), Kind::Plain, hidden);
        match recipe.launch() {
            Ok((launch, socket)) => {
                let started = move |process: std::io::Result<Running>| {
                    let made =
                        process.map(|process| Worker::new(process, socket, program, 0, greet_by));
                    let _ = sender.send(made);
                };
                spawner.start(launch, Box::new(started));
            }
            Err(error) => {
                let _ = sender.send(Err(error));
            }
        }
        Probe { started }
    }

    /// Waits for the hello. The error says why the program is none of ours.
    pub fn finish(self, deadline: Instant) -> Result<Arc<Hello>, String> {
        let mut worker = self
            .started
            .recv_deadline(deadline)
            .map_err(|_| "it does not start".to_owned())?
            .map_err(|error| error.to_string())?;
        worker.greet(deadline).map_err(|trouble| match trouble {
            Trouble::Late => "no hello in time".to_owned(),
            Trouble::Died(how) => format!("it ended: {how}"),
            Trouble::Garbage(what) => what,
        })
    }
}

/// The moment `time` from now, or one far off when that cannot be said.
pub fn after(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time)
        .unwrap_or_else(|| now + Duration::from_secs(86_400))
}
