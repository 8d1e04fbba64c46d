//! The interpreter backend: sources compiled by long-lived worker processes of the real CPython.
//!
//! Owns the choice of interpreters and the workers' lives. Keeps the compiler's contract: what a
//! worker answers is checked to be a code object of its target before anybody sees it, whatever
//! happens to a worker is a refusal within the job's time, and nothing of a source is executed.
//!
//! `discovery` finds candidates, `pool` has the workers of a target, `worker` speaks to one process
//! with the frames of `protocol`, `spawner` starts and reaps processes, and `worker.py` is what
//! runs in them.

mod discovery;
mod pool;
mod protocol;
mod spawner;
mod worker;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

pub use discovery::{Found, Search};
pub use pool::Counters;

use crate::compiler::{BuildId, Code, Compiler, Job, Refusal};
use crate::pyc::{Target, Template};
use pool::{Pool, Rules, after};
use protocol::{Head, Hello, PLACEHOLDER, Reply};
use spawner::Spawner;
use worker::Kind;

/// Which of CPython's own bytes to make. They differ for 3.15 only, in the root object's FLAG_REF
/// and so in every reference after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// What `py_compile` and `compileall` write.
    #[default]
    PyCompile,
    /// What an import writes.
    Import,
}

impl Form {
    /// Whether the root code object's record carries FLAG_REF.
    fn root_flag(self, target: Target) -> bool {
        match self {
            Form::PyCompile => target.minor() < 15,
            Form::Import => true,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Form::PyCompile => "py_compile",
            Form::Import => "import",
        }
    }
}

/// How the backend finds and treats interpreters.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where interpreters are looked for, once, when the backend is opened.
    pub search: Search,
    /// Most workers of one target at a time.
    pub workers: usize,
    /// Which bytes to make.
    pub form: Form,
    /// User and group ids of the workers; `None` leaves them those of this process. Only root can
    /// give others.
    pub user: Option<(u32, u32)>,
    /// Most address space of a worker, in bytes.
    pub memory: u64,
    /// How long an interpreter may take until it is ready for jobs.
    pub start_time: Duration,
    /// How long a worker beside another one stays without a job.
    pub spare_time: Duration,
    /// How long the last worker of a target stays without a job.
    pub idle_time: Duration,
    /// After how many jobs a worker is replaced.
    pub jobs_per_worker: u32,
    /// At which resident memory a worker is replaced, in bytes.
    pub resident: u64,
}

impl Default for Options {
    fn default() -> Options {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let is_root = rustix::process::geteuid().is_root();
        Options {
            search: Search::of_process(Vec::new()),
            workers: cores.min(4),
            form: Form::default(),
            user: is_root.then_some((65534, 65534)),
            memory: 4 << 30,
            start_time: Duration::from_secs(10),
            spare_time: Duration::from_secs(30),
            idle_time: Duration::from_secs(300),
            jobs_per_worker: 5000,
            resident: 384 << 20,
        }
    }
}

/// The backend. Dropped, it ends its workers.
pub struct Interpreter {
    pools: BTreeMap<Target, Arc<Pool>>,
    spawner: Arc<Spawner>,
    rules: Rules,
    form: Form,
    hidden: Mutex<Vec<PathBuf>>,
    unknown: Mutex<Unknown>,
    resolved: Condvar,
}

/// Candidates whose version shows only when they run.
#[derive(Default)]
struct Unknown {
    explicit: Vec<PathBuf>,
    generic: Vec<PathBuf>,
    /// Somebody is running them.
    busy: bool,
}

impl fmt::Debug for Interpreter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interpreter").finish_non_exhaustive()
    }
}

impl Interpreter {
    /// Looks for interpreters. Starts no process and no thread, so that the caller may still fork.
    pub fn open(options: Options) -> Interpreter {
        let Found {
            explicit,
            named,
            generic,
        } = options.search.run();
        let tick = options.spare_time.min(options.idle_time) / 4;
        let tick = tick.clamp(Duration::from_millis(20), Duration::from_secs(5));
        // The tick needs the pools, which need the spawner: it gets them when they are there.
        let trimmed: Arc<Mutex<Vec<std::sync::Weak<Pool>>>> = Arc::default();
        let pools_of_tick = Arc::clone(&trimmed);
        let spawner = Arc::new(Spawner::new(
            tick,
            Box::new(move || {
                let pools: Vec<Arc<Pool>> = pools_of_tick
                    .lock()
                    .iter()
                    .filter_map(std::sync::Weak::upgrade)
                    .collect();
                for pool in pools {
                    pool.trim();
                }
            }),
        ));
        let rules = Rules {
            workers: options.workers,
            start_time: options.start_time,
            spare_time: options.spare_time,
            idle_time: options.idle_time,
            jobs: options.jobs_per_worker.max(1),
            resident: options.resident,
            user: options
                .user
                .filter(|_| rustix::process::geteuid().is_root()),
            memory: options.memory,
            root_flag: true,
            own_mounts: rustix::process::geteuid().is_root(),
        };
        let pools: BTreeMap<Target, Arc<Pool>> = Target::all()
            .map(|target| {
                let rules = Rules {
                    root_flag: options.form.root_flag(target),
                    ..rules.clone()
                };
                let pool = Arc::new(Pool::new(target, rules, Arc::clone(&spawner)));
                (target, pool)
            })
            .collect();
        trimmed.lock().extend(pools.values().map(Arc::downgrade));
        for (target, path) in named {
            if let Some(pool) = pools.get(&target) {
                pool.add(path, false);
            }
        }
        Interpreter {
            pools,
            spawner,
            rules,
            form: options.form,
            hidden: Mutex::default(),
            unknown: Mutex::new(Unknown {
                explicit,
                generic,
                busy: false,
            }),
            resolved: Condvar::new(),
        }
    }

    /// Detaches these mount points in the workers' own mount namespaces (as root; otherwise
    /// workers share the daemon's). To be called with absolute, resolved paths once the mounts are
    /// there: workers that were started before are replaced.
    pub fn set_hidden(&self, mount_points: Vec<PathBuf>) {
        for pool in self.pools.values() {
            pool.hide(mount_points.clone());
        }
        *self.hidden.lock() = mount_points;
    }

    /// The process ids of all workers, ascending. Each is the leader of its own session.
    pub fn pids(&self) -> Vec<u32> {
        self.spawner.pids()
    }

    /// What has happened, for each target that has candidates.
    pub fn counters(&self) -> Vec<(Target, Counters)> {
        self.covered()
            .map(|pool| (pool.target(), pool.counters()))
            .collect()
    }

    /// Runs an interpreter of each target, so that [`Compiler::describe`] tells what they are.
    /// Returns after at most the start time.
    pub fn probe_all(&self) {
        self.resolve(true, after(self.rules.start_time));
        std::thread::scope(|scope| {
            for pool in self.covered() {
                scope.spawn(move || {
                    // Nobody needs these workers otherwise.
                    let unused = pool.counters().jobs == 0;
                    pool.identity();
                    if unused {
                        pool.release();
                    }
                });
            }
        });
    }

    fn covered(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.pools.values().filter(|pool| pool.has_candidates())
    }

    /// The pool of a target, once it is known which interpreters it has.
    fn pool(&self, target: Target, deadline: Instant) -> Option<&Arc<Pool>> {
        let pool = self.pools.get(&target)?;
        // Those that the user named go before all others.
        self.resolve(false, deadline);
        if !pool.has_candidates() {
            self.resolve(true, deadline);
        }
        pool.has_candidates().then_some(pool)
    }

    /// Runs the candidates of unknown version, once in a lifetime: those that the user named,
    /// and on demand `python3` and `python`.
    fn resolve(&self, generic: bool, deadline: Instant) {
        let mut unknown = self.unknown.lock();
        while unknown.busy {
            if self.resolved.wait_until(&mut unknown, deadline).timed_out() {
                return;
            }
        }
        let explicit = std::mem::take(&mut unknown.explicit);
        let generic = if generic {
            std::mem::take(&mut unknown.generic)
        } else {
            Vec::new()
        };
        if explicit.is_empty() && generic.is_empty() {
            return;
        }
        unknown.busy = true;
        drop(unknown);
        let known_explicit = self.run_all(explicit);
        // The last to be added in front is the first.
        for (path, hello) in known_explicit.into_iter().rev() {
            self.adopt(path, &hello, true);
        }
        for (path, hello) in self.run_all(generic) {
            self.adopt(path, &hello, false);
        }
        self.unknown.lock().busy = false;
        self.resolved.notify_all();
    }

    fn adopt(&self, path: PathBuf, hello: &Hello, preferred: bool) {
        if let Some(pool) = self.pools.get(&hello.target) {
            pool.add(path, preferred);
        }
    }

    /// What each of these programs says it is, in their order; those that are none of ours are
    /// left out, with a warning.
    fn run_all(&self, paths: Vec<PathBuf>) -> Vec<(PathBuf, Arc<Hello>)> {
        let deadline = after(self.rules.start_time);
        let hidden = self.hidden.lock().clone();
        let probes: Vec<_> = paths
            .into_iter()
            .map(|path| {
                let probe =
                    pool::Probe::start(&path, &self.rules, &hidden, &self.spawner, deadline);
                (path, probe)
            })
            .collect();
        probes
            .into_iter()
            .filter_map(|(path, probe)| match probe.finish(deadline) {
                Ok(hello) => Some((path, hello)),
                Err(error) => {
                    log::warn!("{} is not used: {error}", path.display());
                    None
                }
            })
            .collect()
    }

    fn code(&self, job: &Job, hello: &Hello, marshal: &[u8]) -> Result<Code, Refusal> {
        let template = Template::cut(job.target, marshal, PLACEHOLDER.as_bytes())
            .map_err(|error| Refusal::Failed(format!("the worker's code: {error}")))?;
        Ok(Code {
            magic: hello.magic,
            template,
        })
    }

    /// Asks the teller, which knows every codec and words errors as `py_compile` does.
    fn second_opinion(
        &self,
        pool: &Arc<Pool>,
        job: &Job,
        deadline: Instant,
    ) -> Result<(Arc<Hello>, Reply), Refusal> {
        pool.run(Kind::Teller, head(job), &job.source, deadline)
    }
}

fn head(job: &Job) -> Head<'_> {
    Head {
        number: 0,
        level: job.level,
        explain: job.explain.as_deref(),
        time: job.timeout,
        source: job.source.len(),
    }
}

impl Compiler for Interpreter {
    fn name(&self) -> &'static str {
        "interpreter"
    }

    /// Interpreters named by the user are run for this, once.
    fn targets(&self) -> Vec<Target> {
        self.resolve(false, after(self.rules.start_time));
        self.covered().map(|pool| pool.target()).collect()
    }

    /// Starts a worker if the target's interpreter has not run yet, or has failed since.
    fn build(&self, target: Target) -> Option<BuildId> {
        let pool = self.pool(target, after(self.rules.start_time))?;
        let hello = pool.identity()?;
        Some(BuildId(format!(
            "cpython {} magic {} worker {} form {}",
            hello.version,
            hello.magic,
            protocol::VERSION,
            self.form.name()
        )))
    }

    fn compile(&self, job: &Job) -> Result<Code, Refusal> {
        let deadline = after(job.timeout);
        if job.source.len() > protocol::SOURCE_MOST {
            let length = job.source.len();
            return Err(Refusal::Failed(format!("a source of {length} bytes")));
        }
        let pool = self
            .pool(job.target, deadline)
            .ok_or(Refusal::NotCovered(job.target))?;
        let (hello, reply) = pool.run(Kind::Plain, head(job), &job.source, deadline)?;
        match reply {
            Reply::Code(marshal) => self.code(job, &hello, &marshal),
            Reply::Rejected(short) => {
                let told = job
                    .explain
                    .as_ref()
                    .and_then(|_| self.second_opinion(pool, job, deadline).ok());
                match told {
                    Some((_, Reply::Rejected(text))) => Err(Refusal::Rejected(text)),
                    _ => Err(Refusal::Rejected(short)),
                }
            }
            Reply::UnknownCodec(_) => match self.second_opinion(pool, job, deadline)? {
                (hello, Reply::Code(marshal)) => self.code(job, &hello, &marshal),
                (_, Reply::Rejected(text) | Reply::UnknownCodec(text)) => {
                    Err(Refusal::Rejected(text))
                }
                (_, Reply::NoMemory(text)) => Err(no_memory(&text)),
            },
            Reply::NoMemory(_) => {
                let told = job
                    .explain
                    .as_ref()
                    .and_then(|_| self.second_opinion(pool, job, deadline).ok());
                match told {
                    Some((_, Reply::NoMemory(text))) => Err(no_memory(&text)),
                    _ => Err(no_memory("")),
                }
            }
        }
    }

    fn describe(&self) -> Vec<(Target, String)> {
        self.covered()
            .map(|pool| (pool.target(), pool.describe()))
            .collect()
    }
}

fn no_memory(text: &str) -> Refusal {
    let text = if text.is_empty() {
        "out of memory"
    } else {
        text
    };
    Refusal::Died(text.to_owned())
}

impl Drop for Interpreter {
    fn drop(&mut self) {
        for pool in self.pools.values() {
            pool.close();
        }
        self.spawner.stop();
    }
}
