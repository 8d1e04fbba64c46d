//! The store: content-addressed, checksummed code templates on disk.
//!
//! Each entry is a blob file named by its key; an index beside them serves eviction and counting.
//! Invariants: a get is a checked read, so that any damage is a miss; the folder may be damaged,
//! filled, removed or taken over at any moment without an error for the user; no reply waits for
//! a write, for the index or for another process. Only this folder names sled.

mod account;
mod blob;
mod clock;
mod core;
mod direct;
mod eviction;
mod index;
mod keeper;
mod key;
mod ledger;
mod memory;
mod place;
mod quarantine;
mod status;
mod sweep;
#[cfg(test)]
mod testing;
mod verify;
mod writer;

use crossbeam_channel::{Receiver, Sender, bounded};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use crate::pyc::{Level, Target, Template};

use self::core::{Core, Event};
pub use blob::Corrupt;
pub use direct::Direct;
pub use key::{Digest, Key};
pub use status::{Agreement, Counts, GcReport, NotOwner, State, StoreStatus};
pub use verify::{BadBlob, VerifyReport};

/// Events that wait for the keeper.
const EVENTS: usize = 1024;
/// How long [`Store::open`] waits for the folder to be opened.
const OPEN_PATIENCE: Duration = Duration::from_millis(250);
/// How long each thread is waited for when the store is dropped.
const CLOSE_PATIENCE: Duration = Duration::from_secs(3);
/// How long a collection may take.
const GC_PATIENCE: Duration = Duration::from_secs(600);

/// The default limit, in bytes: 5 GiB.
pub const DEFAULT_LIMIT: u64 = 5 << 30;

/// Code as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The interpreter version the code is for.
    pub target: Target,
    /// The optimization level the code is for.
    pub level: Level,
    /// The first two bytes of the pyc, little endian.
    pub magic: u16,
    /// The marshalled code object without its file name.
    pub template: Template,
}

/// Where the store is and how much it keeps.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder. It is made, with mode 0700, if it does not exist.
    pub dir: PathBuf,
    /// Most bytes of blobs that are kept, as the sum of file lengths.
    pub limit: u64,
    /// Intervals and deadlines.
    pub pace: Pace,
}

impl Options {
    /// The folder `dir` with the default limit.
    pub fn new(dir: impl Into<PathBuf>) -> Options {
        Options {
            dir: dir.into(),
            limit: DEFAULT_LIMIT,
            pace: Pace::default(),
        }
    }
}

/// The store's intervals and deadlines.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Deadline of opening the index and of each call of it; past it the index is thrown away.
    pub index_patience: Duration,
    /// A use is recorded if the last recorded one is at least this old.
    pub touch: Duration,
    /// Interval at which the folder is looked at and what failed is tried again.
    pub retry: Duration,
    /// Interval at which the index is compared with the folder.
    pub sweep: Duration,
    /// How long after the index was opened that is done first: a mount's first readers come first.
    pub first_sweep: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            index_patience: Duration::from_secs(10),
            touch: Duration::from_secs(60),
            retry: Duration::from_secs(30),
            sweep: Duration::from_secs(600),
            first_sweep: Duration::from_secs(10),
        }
    }
}

/// `/var/cache/pycfs` for root, else `$XDG_CACHE_HOME/pycfs` or `~/.cache/pycfs`; `None` for a
/// user without either variable.
pub fn default_dir() -> Option<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Some(PathBuf::from("/var/cache/pycfs"));
    }
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("pycfs"))
}

/// The answer to a get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The entry.
    Hit(Arc<Entry>),
    /// There is none, or none that can be used.
    Miss(Miss),
}

/// Why there is no entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Miss {
    /// It is not in the store.
    #[error("not in the store")]
    Absent,
    /// It was damaged, and has been removed where that was possible.
    #[error("damaged: {0}")]
    Corrupt(Corrupt),
    /// It could not be read.
    #[error("unreadable: {0}")]
    Io(io::ErrorKind),
}

/// The store. Dropping it writes what waits to be written, for a few seconds at most.
pub struct Store {
    core: Arc<Core>,
    /// Disconnected when the writer has ended.
    writer: Receiver<()>,
    /// Disconnected when the keeper has ended.
    keeper: Receiver<()>,
}

impl Store {
    /// Opens the store. Always succeeds, within about 0.3 s: whatever goes wrong is a state that
    /// [`Store::status`] tells of, and is tried again in the background.
    pub fn open(mut options: Options) -> Arc<Store> {
        // The daemon changes its working directory later.
        if let Ok(dir) = std::path::absolute(&options.dir) {
            options.dir = dir;
        }
        let (events, inbox) = bounded(EVENTS);
        let core = Arc::new(Core::new(options, events));
        let (opened, wait_opened) = bounded::<()>(0);
        let keeper = spawn("store-keeper", &core, move |core| {
            keeper::Keeper::new(core, inbox, opened).run();
        });
        let writer = spawn("store-writer", &core, |core| writer::run(&core));
        if !writer.started {
            core.queue.close();
        }
        let _ = wait_opened.recv_timeout(OPEN_PATIENCE);
        Arc::new(Store {
            core,
            writer: writer.ended,
            keeper: keeper.ended,
        })
    }

    /// The entry of `key`, read from disk and checked. Takes a few dozen microseconds; does not
    /// wait for writers, the index or other processes.
    pub fn get(&self, key: &Key) -> Lookup {
        self.core.get(key)
    }

    /// Hands in an entry to be written in the background; it is found from now on. Dropped and
    /// counted when too many are waiting.
    pub fn put(&self, key: &Key, entry: &Arc<Entry>) {
        self.core.counters.puts.fetch_add(1, Relaxed);
        if !self.core.queue.push(key, entry) {
            self.core.counters.dropped_queue.fetch_add(1, Relaxed);
        }
    }

    /// Waits until what was put is on disk (or has been given up) and in the index; whether that
    /// was within `timeout`.
    pub fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        self.core.queue.wait_empty(deadline)
            && self
                .core
                .ask(
                    Event::Sync,
                    deadline.saturating_duration_since(Instant::now()),
                )
                .is_some()
    }

    /// How the store works and what it did.
    pub fn status(&self) -> StoreStatus {
        self.core.status()
    }

    /// Compares index and folder, removes abandoned temporary files and what is in quarantine,
    /// and evicts the least recently used blobs until at most `limit` bytes are left. Waits for
    /// the result, which may take minutes.
    pub fn gc(&self, limit: u64) -> Result<GcReport, NotOwner> {
        self.core
            .ask(|answer| Event::Collect(limit, answer), GC_PATIENCE)
            .unwrap_or_else(|| Err(NotOwner("the index did not answer".to_owned())))
    }

    /// Reads and checks every blob, removes bad ones, and compares the index with the folder.
    pub fn verify(&self) -> VerifyReport {
        verify::verify(&self.core)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.core.queue.close();
        let _ = self.writer.recv_timeout(CLOSE_PATIENCE);
        self.core.stop();
        let _ = self.keeper.recv_timeout(CLOSE_PATIENCE);
    }
}

struct Spawned {
    started: bool,
    ended: Receiver<()>,
}

fn spawn(name: &str, core: &Arc<Core>, run: impl FnOnce(Arc<Core>) + Send + 'static) -> Spawned {
    let (ends, ended): (Sender<()>, _) = bounded(0);
    let shared = Arc::clone(core);
    let thread = thread::Builder::new().name(name.to_owned()).spawn(move || {
        run(shared);
        drop(ends);
    });
    if let Err(error) = &thread {
        log::error!("store: cannot start a thread: {error}");
        let mut condition = core.condition.lock();
        condition.state = State::MemoryOnly;
        condition.reason = Some(format!("no thread could be started: {error}"));
    }
    Spawned {
        started: thread.is_ok(),
        ended,
    }
}
