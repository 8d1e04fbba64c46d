//! The synthesis itself: a request becomes a read source, a key, an entry, an answer.
//!
//! Warm requests (source unchanged, code in memory) are answered on the caller's thread with one
//! `statx`. Of all others one at a time is read, and compiled, on the caller's thread, which spares
//! a lone reader the waking of others, and the rest by bounded pools: a slow disk or compiler never
//! holds more than one thread that the mount needs. Their answers come from there or from the clock.

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use parking_lot::{Mutex, MutexGuard};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::absent::Absent;
use super::ahead::Ahead;
use super::answers::Answers;
use super::compile::{self, Refused, Work};
use super::counters::Counters;
use super::deadline::{Clock, Pending};
use super::entry::Pyc;
use super::flight::Flights;
use super::recent::Recent;
use super::source::{Seen, Sources};
use super::threads::Threads;
use crate::compiler::{Compiler, Job, QUICK};
use crate::proximity::Proximity;
use crate::pyc::{CacheName, Header, InvalidationMode, Level, Target, mtime_field, source_hash};
use crate::store::{Digest, Entry, Key, Lookup, Store};
use crate::tree::{Dir, Kind, RootDir, Time};

/// Requests that may wait for a pool thread; more are absent at once.
const QUEUE: usize = 4096;
/// Bytes of templates held in memory.
const RECENT_BYTES: usize = 8 << 20;

/// How the synthesis behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// How readers validate: the kind of header.
    pub mode: InvalidationMode,
    /// How long a reader waits at most.
    pub deadline: Duration,
    /// How long a compile may take; it goes on after the reader's deadline.
    pub compile_timeout: Duration,
    /// The largest source that is compiled, in bytes.
    pub largest_source: u64,
    /// Compiles that run at once.
    pub compile_threads: usize,
    /// Whether what a module imports is read or compiled before anybody asks for it.
    pub ahead: bool,
    /// Targets shown in listings from the start.
    pub listed: Vec<Target>,
    /// Whether a thread that brings a request may be held by a slow disk, since there are others.
    pub spare_callers: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            mode: InvalidationMode::Timestamp,
            deadline: Duration::from_secs(5),
            compile_timeout: Duration::from_secs(60),
            largest_source: 64 << 20,
            compile_threads: std::thread::available_parallelism()
                .map_or(2, usize::from)
                .clamp(2, 8),
            ahead: true,
            listed: Vec::new(),
            spare_callers: true,
        }
    }
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// The entry with its code, which is compiled if no cache holds it.
    Code,
    /// The entry as far as it is there: nothing is compiled for it, and without code it has no
    /// size.
    Held,
}

/// One request for an entry.
pub struct Ask {
    /// The root the request is served from.
    pub root: Arc<RootDir>,
    /// The directory that holds the source.
    pub dir: Dir,
    /// Its path relative to the root.
    pub path: OsString,
    /// The mount's number of the `__pycache__` that was asked.
    pub directory: u64,
    /// What was asked for.
    pub name: CacheName,
    /// What it is asked for.
    pub want: Want,
}

/// The answer to a request.
pub type Answer = Result<Arc<Pyc>, Absent>;

struct Waiter {
    ask: Ask,
    seen: Seen,
    hash: Option<[u8; 8]>,
    pending: Arc<Pending>,
}

/// What a request leads to.
enum Found {
    /// Its answer.
    Entry(Arc<Pyc>),
    /// Code to be compiled by whoever gets this; it waits as a flight's first waiter.
    Missing(Box<Work>),
    /// A compile that is under way: it answers.
    UnderWay,
}

/// The synthesis for one mount.
pub struct Synthesis {
    pub(super) compiler: Arc<dyn Compiler>,
    pub(super) store: Arc<Store>,
    pub(super) recent: Recent,
    pub(super) refused: Refused,
    /// Bytes of sources that were compiled since memory was last given back.
    pub(super) compiled_bytes: AtomicU64,
    /// What was done so far.
    pub counters: Counters,
    /// Where the tree is mounted: what the file names in the code begin with.
    mount_point: OsString,
    pub(super) options: Options,
    sources: Sources,
    answers: Answers,
    flights: Flights<Waiter>,
    pub(super) ahead: Ahead,
    pub(super) clock: Clock,
    asks: Sender<(Ask, Arc<Pending>)>,
    /// Held by the caller's thread that reads.
    reading: Mutex<()>,
    pub(super) work: Mutex<Option<Sender<Work>>>,
    in_use: AtomicU64,
    /// Told when a pair comes into use.
    used_first: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Synthesis {
    /// A synthesis for the tree mounted at `mount_point`, and its threads.
    pub fn start(
        compiler: Arc<dyn Compiler>,
        store: Arc<Store>,
        mount_point: &OsStr,
        options: Options,
        proximity: &Arc<Proximity>,
    ) -> std::io::Result<(Arc<Synthesis>, Threads)> {
        let (asks, ask_queue) = bounded(QUEUE);
        let (work, work_queue) = bounded(QUEUE);
        let synthesis = Arc::new(Synthesis {
            compiler,
            store,
            recent: Recent::new(RECENT_BYTES),
            refused: Refused::default(),
            compiled_bytes: AtomicU64::new(0),
            counters: Counters::default(),
            mount_point: mount_point.to_owned(),
            in_use: AtomicU64::new(0),
            used_first: OnceLock::new(),
            sources: Sources::new(options.largest_source),
            options,
            answers: Answers::default(),
            flights: Flights::default(),
            ahead: Ahead::default(),
            clock: Clock::default(),
            asks,
            reading: Mutex::new(()),
            work: Mutex::new(Some(work)),
        });
        for target in &synthesis.options.listed {
            synthesis.note_use(*target, Level::O0);
        }
        let threads = Threads::start(&synthesis, &ask_queue, &work_queue, proximity)?;
        Ok((synthesis, threads))
    }

    /// Answers a request through `done`, at once or later, always once and by the deadline.
    pub fn request(&self, ask: Ask, done: impl FnOnce(Answer) + Send + 'static) {
        Counters::add(&self.counters.lookups);
        if let Some(pyc) = self.warm(&ask) {
            Counters::add(&self.counters.memory_hits);
            done(Ok(pyc));
            return;
        }
        let pending = Pending::new(Box::new(done));
        self.clock
            .watch(Instant::now() + self.options.deadline, Arc::clone(&pending));
        if self.options.spare_callers
            && let Some(one) = self.reading.try_lock()
        {
            return self.read_and_answer(ask, &pending, Some(one));
        }
        match self.asks.try_send((ask, pending)) {
            Ok(()) => {}
            Err(TrySendError::Full((_, pending)) | TrySendError::Disconnected((_, pending))) => {
                self.answer(&pending, Err(Absent::Busy));
            }
        }
    }

    /// The bytes of a pyc that was looked up before. `None` when no cache holds the code any more:
    /// the reader has to look it up again.
    pub fn bytes(&self, pyc: &Pyc) -> Option<Vec<u8>> {
        let (entry, _) = self.cached(&pyc.key)?;
        let bytes = pyc.bytes(&entry);
        let length = bytes.len() as u64;
        pyc.size.is_none_or(|size| size == length).then_some(bytes)
    }

    /// The (target, level) pairs that listings show: those given at the start, and those that
    /// readers asked for since.
    pub fn in_use(&self) -> Vec<(Target, Level)> {
        let bits = self.in_use.load(Relaxed);
        Target::all()
            .flat_map(|target| Level::ALL.map(|level| (target, level)))
            .filter(|(target, level)| bits & use_bit(*target, *level) != 0)
            .collect()
    }

    /// Has `told` called whenever another pair comes into use, from the thread of a request. Once.
    pub fn on_first_use(&self, told: impl Fn() + Send + Sync + 'static) {
        if self.used_first.set(Box::new(told)).is_err() {
            log::error!("somebody else is told of first uses");
        }
    }

    /// Compiles that are queued or running.
    pub fn compiling(&self) -> usize {
        self.flights.len()
    }

    /// The code from memory or the store, with the counter of hits there.
    fn cached(&self, key: &Key) -> Option<(Arc<Entry>, &AtomicU64)> {
        if let Some(entry) = self.recent.get(key) {
            return Some((entry, &self.counters.memory_hits));
        }
        match self.store.get(key) {
            Lookup::Hit(entry) => {
                self.recent.put(*key, Arc::clone(&entry));
                Some((entry, &self.counters.store_hits))
            }
            Lookup::Miss(_) => None,
        }
    }

    fn note_use(&self, target: Target, level: Level) {
        let bit = use_bit(target, level);
        if self.in_use.load(Relaxed) & bit == 0
            && self.in_use.fetch_or(bit, Relaxed) & bit == 0
            && let Some(told) = self.used_first.get()
        {
            told();
        }
    }

    /// The answer when it was given before and the source has not changed since.
    fn warm(&self, ask: &Ask) -> Option<Arc<Pyc>> {
        let source = ask
            .dir
            .stat(OsStr::from_bytes(&ask.name.source_name()))
            .ok()?;
        if source.kind != Kind::File {
            return None;
        }
        let pyc = self.answers.get(ask, &source, Time::now())?;
        // The directory may have been renamed since.
        (*pyc.file_name == *self.file_name(ask)).then_some(pyc)
    }

    /// The file name in the code: the source's path as a reader has it.
    fn file_name(&self, ask: &Ask) -> OsString {
        let mut name = self.mount_point.clone().into_vec();
        for part in [ask.path.as_bytes(), &ask.name.source_name()] {
            if !part.is_empty() {
                if name.last() != Some(&b'/') {
                    name.push(b'/');
                }
                name.extend_from_slice(part);
            }
        }
        OsString::from_vec(name)
    }

    pub(super) fn serve(&self, queue: &Receiver<(Ask, Arc<Pending>)>, stopped: &Receiver<()>) {
        loop {
            crossbeam_channel::select! {
                recv(queue) -> request => {
                    let Ok((ask, pending)) = request else { return };
                    if !pending.is_answered() {
                        self.read_and_answer(ask, &pending, None);
                    }
                }
                recv(stopped) -> _ => return,
            }
        }
    }

    /// A panic drops the request; the clock answers it. `one`: this is the one caller's thread that
    /// may be held up, so it compiles, too, what does not take long. It is done with that before
    /// the answer: the reader may ask again before this thread runs on.
    fn read_and_answer(&self, ask: Ask, pending: &Arc<Pending>, one: Option<MutexGuard<'_, ()>>) {
        crate::proximity::may_take_long();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.read(ask, pending)));
        if let Ok(Ok(Found::Missing(work))) = &outcome
            && one.is_some()
            && work.job.source.len() <= QUICK
        {
            let landed = compile::outcome(self, work);
            drop(one);
            self.land(&work.key, landed);
            return compile::give_back(self, work.job.source.len() as u64);
        }
        drop(one);
        match outcome {
            Ok(Ok(Found::Entry(pyc))) => self.answer(pending, Ok(pyc)),
            Ok(Ok(Found::Missing(work))) => self.order(*work),
            Ok(Ok(Found::UnderWay)) => {}
            Ok(Err(absent)) => self.answer(pending, Err(absent)),
            Err(_) => log::error!("a request for a cache entry panicked"),
        }
    }

    /// Reads the source and finds its entry, or who is to compile it: then there is no answer yet.
    fn read(&self, ask: Ask, pending: &Arc<Pending>) -> Result<Found, Absent> {
        let (seen, mut bytes) = self.sources.now(&ask, &self.counters)?;
        let key = self
            .key(&ask.name, &seen.known.digest)
            .ok_or(Absent::NoCompiler)?;
        self.note_use(ask.name.target, ask.name.level);
        let ahead = Some(&self.ahead).filter(|_| self.options.ahead && ask.want == Want::Code);
        if let Some(ahead) = ahead {
            ahead.asked(&ask);
        }
        let mut hash = None;
        if self.options.mode != InvalidationMode::Timestamp && ask.name.target != Target::OLDEST {
            let content = match bytes.take() {
                Some(content) => content,
                None => self.sources.again(&ask, &seen.known.digest)?,
            };
            let magic = crate::pyc::magic_of(ask.name.target);
            hash = Some(source_hash(ask.name.target, magic, &content));
            bytes = Some(content);
        }
        if let Some((entry, hits)) = self.cached(&key) {
            Counters::add(hits);
            if let (Some(ahead), Some(content)) = (ahead, bytes) {
                ahead.note(&ask, &content);
            }
            let pyc = self.pyc(&ask, &key, Some(&entry), &seen, hash);
            return Ok(Found::Entry(pyc));
        }
        if ask.want == Want::Held {
            Counters::add(&self.counters.unmade);
            return Ok(Found::Entry(self.pyc(&ask, &key, None, &seen, hash)));
        }
        Counters::add(&self.counters.misses);
        if let Some(refusal) = self.refused.get(&key) {
            return Err(Absent::Refused(refusal));
        }
        let content = match bytes {
            Some(content) => content,
            None => self.sources.again(&ask, &seen.known.digest)?,
        };
        if let Some(ahead) = ahead {
            ahead.note(&ask, &content);
        }
        let job = self.job(&ask, content);
        let pending = Arc::clone(pending);
        let waiter = Waiter {
            ask,
            seen,
            hash,
            pending,
        };
        Ok(match self.flights.join(key, waiter) {
            true => Found::Missing(Box::new(Work { key, job })),
            false => Found::UnderWay,
        })
    }

    /// Reads or compiles what a reader will ask for, unless it is there or on its way.
    pub(super) fn prepare(&self, ask: &Ask) -> Result<(), Absent> {
        let (seen, bytes) = self.sources.now(ask, &self.counters)?;
        let key = self
            .key(&ask.name, &seen.known.digest)
            .ok_or(Absent::NoCompiler)?;
        if self.refused.get(&key).is_some() {
            return Ok(());
        }
        if self.cached(&key).is_some() {
            if let Some(content) = bytes {
                self.ahead.note(ask, &content);
            }
            return Ok(());
        }
        let content = match bytes {
            Some(content) => content,
            None => self.sources.again(ask, &seen.known.digest)?,
        };
        self.ahead.note(ask, &content);
        if self.flights.begin(key) {
            Counters::add(&self.counters.compiled_ahead);
            let job = self.job(ask, content);
            compile::compile_and_land(self, &Work { key, job });
        }
        Ok(())
    }

    fn job(&self, ask: &Ask, content: Vec<u8>) -> Job {
        Job {
            source: content.into(),
            target: ask.name.target,
            level: ask.name.level,
            timeout: self.options.compile_timeout,
            explain: None,
        }
    }

    fn order(&self, work: Work) {
        let queue = self.work.lock().clone();
        let key = work.key;
        let sent = queue.is_some_and(|queue| queue.try_send(work).is_ok());
        if !sent {
            self.land(&key, Err(Absent::Busy));
        }
    }

    /// Answers everybody who waited for a compile.
    pub(super) fn land(&self, key: &Key, outcome: Result<Arc<Entry>, Absent>) {
        for waiter in self.flights.land(key) {
            let Waiter {
                ask,
                seen,
                hash,
                pending,
            } = waiter;
            let answer = match &outcome {
                Ok(entry) => Ok(self.pyc(&ask, key, Some(entry), &seen, hash)),
                Err(absent) => Err(absent.clone()),
            };
            self.answer(&pending, answer);
        }
    }

    fn answer(&self, pending: &Pending, answer: Answer) {
        let reason = answer.as_ref().err().cloned();
        pending.answer(answer, || {
            if let Some(reason) = reason {
                self.counters.absent(&reason);
            }
        });
    }

    fn key(&self, name: &CacheName, digest: &Digest) -> Option<Key> {
        let build = self.compiler.build(name.target)?;
        Some(Key::new(name.target, name.level, &build, digest))
    }

    fn pyc(
        &self,
        ask: &Ask,
        key: &Key,
        entry: Option<&Entry>,
        seen: &Seen,
        hash: Option<[u8; 8]>,
    ) -> Arc<Pyc> {
        let source = seen.source;
        let target = ask.name.target;
        let magic = entry.map_or_else(|| crate::pyc::magic_of(target), |entry| entry.magic);
        let checked = self.options.mode == InvalidationMode::CheckedHash;
        // CPython 3.6 knows no hash header: it gets a timestamp in every mode.
        let header = hash
            .and_then(|hash| Header::hash(target, magic, hash, checked).ok())
            .unwrap_or_else(|| {
                let mtime = mtime_field(source.mtime.sec, source.mtime.nsec);
                Header::timestamp(target, magic, mtime, source.size)
            })
            .to_bytes();
        let file_name = self.file_name(ask);
        let size = entry
            .map(|entry| (header.len() + entry.template.filled_len(file_name.as_bytes())) as u64);
        let pyc = Arc::new(Pyc {
            key: *key,
            header,
            file_name: file_name.into(),
            target,
            level: ask.name.level,
            size,
            source,
            acl: seen.known.acl.clone(),
            followed: seen.followed,
            directory: ask.directory,
        });
        if size.is_some() {
            self.answers.put(ask, &pyc, seen.at);
        }
        pyc
    }
}

/// The bit of [`Synthesis::in_use`] for a pair: three for each of the ten targets.
fn use_bit(target: Target, level: Level) -> u64 {
    let index = u32::from(target.minor() - Target::OLDEST.minor()) * 3 + u32::from(level.number());
    1 << index
}
