//! The sled index: a ledger on a thread of its own that can be abandoned.
//!
//! Invariant: whatever sled does (error, panic, endless wait, even ending the process while it
//! opens) costs this index and nothing else. Each call has a deadline; a call that fails or is
//! late makes the caller throw the index away. Only this file names sled.

use crossbeam_channel::{Receiver, Sender, bounded};
use std::any::Any;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::clock;
use super::ledger::{Bucket, Ledger, Record};

/// sled's page cache in bytes. It takes up to three times as much.
const CACHE: u64 = 16 << 20;
/// sled writes and cleans its log at this interval, in milliseconds.
const FLUSH_EVERY: u64 = 500;
/// How long the lock of a database that was just closed is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// A flush waits for the disk, which may be slow without being broken.
const FLUSH_PATIENCE: Duration = Duration::from_secs(60);

/// Why the index is lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    #[error("sled: {0}")]
    Sled(String),
    #[error("the disk is full: {0}")]
    Full(String),
    #[error("sled panicked: {0}")]
    Panicked(String),
    #[error("sled did not answer within {0:?}")]
    TimedOut(Duration),
    #[error("bucket {0} of the index holds no records")]
    Malformed(Bucket),
    #[error("the last process ended while it opened the index")]
    Interrupted,
    #[error("{0}")]
    Io(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Trouble {
        if super::place::is_full(&error) {
            Trouble::Full(error.to_string())
        } else {
            Trouble::Io(error.to_string())
        }
    }
}

impl From<sled::Error> for Trouble {
    fn from(error: sled::Error) -> Trouble {
        match error {
            sled::Error::Io(error) if super::place::is_full(&error) => {
                Trouble::Full(error.to_string())
            }
            other => Trouble::Sled(other.to_string()),
        }
    }
}

/// Opens a database. The lock of one that was just closed lives on for a moment in each child process
/// that is between its fork and its exec: it is waited for.
fn open_unlocked(config: &sled::Config, patience: Duration) -> Result<sled::Db, Trouble> {
    const PAUSE: Duration = Duration::from_millis(25);
    let end = Instant::now() + patience;
    loop {
        match config.open() {
            Err(sled::Error::Io(error)) if is_locked(&error) && Instant::now() < end => {
                thread::sleep(PAUSE);
            }
            result => return Ok(result?),
        }
    }
}

/// Whether sled could not get its lock. It says so in words only.
fn is_locked(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

type Job = Box<dyn FnOnce(&sled::Db) + Send>;

/// A ledger in a sled database.
pub(super) struct SledLedger {
    jobs: Sender<Job>,
    closed: Receiver<()>,
    patience: Duration,
}

impl SledLedger {
    /// Opens the index in `folder` (`DIR/v1/index`), or starts an empty one if there is none.
    /// `patience` is the deadline of the opening and of each later call.
    pub(super) fn open(folder: &Path, patience: Duration) -> Result<SledLedger, Trouble> {
        let generation = match generation(folder)? {
            Some(generation) => generation,
            None => {
                // Each index has its own name: one that was abandoned may still write by path.
                let name = format!("{:x}-{:x}", clock::now(), clock::salt());
                let path = folder.join(name);
                DirBuilder::new().mode(0o700).create(&path)?;
                path
            }
        };
        let marker = generation.with_extension("opening");
        if marker.exists() {
            return Err(Trouble::Interrupted);
        }
        fs::write(&marker, b"")?;
        let opened = SledLedger::start(generation, patience);
        let unmarked = fs::remove_file(&marker);
        let ledger = opened?;
        unmarked?;
        Ok(ledger)
    }

    fn start(path: PathBuf, patience: Duration) -> Result<SledLedger, Trouble> {
        let (jobs, work) = bounded::<Job>(1);
        let (opened, wait) = bounded(1);
        let (end, closed) = bounded(1);
        thread::Builder::new()
            .name("store-index".to_owned())
            .spawn(move || {
                let config = sled::Config::new()
                    .path(path)
                    .cache_capacity(CACHE)
                    .flush_every_ms(Some(FLUSH_EVERY));
                match guarded(|| open_unlocked(&config, LOCK_PATIENCE)) {
                    Ok(db) => {
                        let _ = opened.send(Ok(()));
                        for job in work {
                            job(&db);
                        }
                        let _ = guarded(move || {
                            drop(db);
                            Ok(())
                        });
                    }
                    Err(trouble) => {
                        let _ = opened.send(Err(trouble));
                    }
                }
                let _ = end.send(());
            })?;
        wait.recv_timeout(patience)
            .map_err(|_| Trouble::TimedOut(patience))??;
        Ok(SledLedger {
            jobs,
            closed,
            patience,
        })
    }

    fn call<T: Send + 'static>(
        &self,
        patience: Duration,
        work: impl FnOnce(&sled::Db) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Trouble> {
        let (answer, wait) = bounded(1);
        let job: Job = Box::new(move |db| {
            let _ = answer.send(guarded(|| work(db)));
        });
        self.jobs
            .send_timeout(job, patience)
            .map_err(|_| Trouble::TimedOut(patience))?;
        wait.recv_timeout(patience)
            .map_err(|_| Trouble::TimedOut(patience))?
    }
}

impl Ledger for SledLedger {
    fn read(&mut self, buckets: Vec<Bucket>) -> Result<Vec<Vec<Record>>, Trouble> {
        self.call(self.patience, move |db| {
            let read = |bucket: &Bucket| match db.get(bucket.to_be_bytes())? {
                Some(value) => Record::read_all(*bucket, &value).ok_or(Trouble::Malformed(*bucket)),
                None => Ok(Vec::new()),
            };
            buckets.iter().map(read).collect()
        })
    }

    fn write(&mut self, buckets: Vec<(Bucket, Vec<Record>)>) -> Result<(), Trouble> {
        self.call(self.patience, move |db| {
            let mut batch = sled::Batch::default();
            for (bucket, records) in &buckets {
                let key = &bucket.to_be_bytes()[..];
                if records.is_empty() {
                    batch.remove(key);
                } else {
                    batch.insert(key, Record::write_all(records));
                }
            }
            Ok(db.apply_batch(batch)?)
        })
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        self.call(FLUSH_PATIENCE, |db| Ok(db.flush().map(|_| ())?))
    }

    fn close(self: Box<Self>, patience: Duration) {
        drop(self.jobs);
        let _ = self.closed.recv_timeout(patience);
    }
}

/// The folder of the index within `folder`, the youngest should there be several.
fn generation(folder: &Path) -> io::Result<Option<PathBuf>> {
    let mut generations = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            generations.push(entry.path());
        }
    }
    Ok(generations.into_iter().max())
}

/// Whether `folder` (`DIR/v1/index`) holds an index.
pub(super) fn is_present(folder: &Path) -> bool {
    matches!(generation(folder), Ok(Some(_)))
}

/// Runs something that may panic.
fn guarded<T>(work: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(Trouble::Panicked(panic_text(panic.as_ref()))))
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::key_of;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn records(count: u64) -> Vec<(Bucket, Vec<Record>)> {
        let record = |number| {
            let name = key_of(number).name();
            let record = Record {
                name,
                size: u32::try_from(number).unwrap(),
                used: number,
            };
            (name.bucket(), vec![record])
        };
        let all: std::collections::BTreeMap<_, _> = (0..count).map(record).collect();
        all.into_iter().collect()
    }

    #[test]
    fn buckets_are_kept_across_runs() {
        let folder = tempfile::tempdir().unwrap();
        let written = records(500);
        let mut ledger = Box::new(SledLedger::open(folder.path(), PATIENCE).unwrap());
        ledger.write(written.clone()).unwrap();
        ledger.close(PATIENCE);

        let mut ledger = Box::new(SledLedger::open(folder.path(), PATIENCE).unwrap());
        let (buckets, contents): (Vec<_>, Vec<_>) = written.into_iter().unzip();
        assert_eq!(ledger.read(buckets.clone()).unwrap(), contents);
        let none = buckets.iter().map(|bucket| (*bucket, Vec::new())).collect();
        ledger.write(none).unwrap();
        assert!(ledger.read(buckets).unwrap().iter().all(Vec::is_empty));
        ledger.close(PATIENCE);
    }

    #[test]
    fn a_lock_that_is_let_go_soon_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db");
        let held = sled::Config::new().path(&path).open().unwrap();
        let until_free = thread::spawn(move || {
            thread::sleep(Duration::from_millis(200));
            drop(held);
        });
        open_unlocked(&sled::Config::new().path(&path), PATIENCE).unwrap();
        until_free.join().unwrap();
    }

    #[test]
    fn a_panic_or_a_late_answer_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Box::new(SledLedger::open(folder.path(), PATIENCE).unwrap());
        let panicked: Result<(), _> = ledger.call(PATIENCE, |_| panic!("on purpose"));
        assert_eq!(panicked, Err(Trouble::Panicked("on purpose".to_owned())));
        let short = Duration::from_millis(20);
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let late = ledger.call(short, move |_| {
            let _ = ended.recv();
            Ok(())
        });
        assert_eq!(late, Err(Trouble::TimedOut(short)));
        drop(end);
        ledger.close(PATIENCE);
    }

    #[test]
    fn an_opening_that_ended_the_process_is_not_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        Box::new(SledLedger::open(folder.path(), PATIENCE).unwrap()).close(PATIENCE);
        let generation = generation(folder.path()).unwrap().unwrap();
        fs::write(generation.with_extension("opening"), b"").unwrap();
        let again = SledLedger::open(folder.path(), PATIENCE);
        assert_eq!(again.err(), Some(Trouble::Interrupted));
    }
}
