//! The compile threads: take a queued source, ask the backend, hand the result to all waiters.
//!
//! Invariant: every flight that was queued is landed, also when the backend panics.

use crossbeam_channel::Receiver;
use hashlink::LruCache;
use parking_lot::Mutex;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::absent::Absent;
use super::counters::Counters;
use super::synthesis::Synthesis;
use crate::compiler::{Job, Refusal};
use crate::store::{Entry, Key};

/// How many sources that do not compile are remembered.
const REFUSED: usize = 4096;

/// One compile to do.
pub struct Work {
    /// The key of the code.
    pub key: Key,
    /// What to compile.
    pub job: Job,
}

/// Bytes that were found not to compile: a property of the bytes and the compiler, so it may be
/// remembered; the key holds both.
pub struct Refused {
    keys: Mutex<LruCache<Key, Refusal>>,
}

impl Default for Refused {
    fn default() -> Refused {
        Refused {
            keys: Mutex::new(LruCache::new(REFUSED)),
        }
    }
}

impl Refused {
    /// The refusal for this code, if it is known.
    pub fn get(&self, key: &Key) -> Option<Refusal> {
        self.keys.lock().get(key).cloned()
    }

    fn put(&self, key: Key, refusal: &Refusal) {
        if refusal.is_about_source() {
            self.keys.lock().insert(key, refusal.clone());
        }
    }
}

/// Serves the queue until it is closed.
pub fn serve(synthesis: &Synthesis, queue: &Receiver<Work>) {
    for work in queue {
        compile_and_land(synthesis, &work);
        let size = work.job.source.len() as u64;
        drop(work);
        give_back(synthesis, size);
    }
}

/// A compile takes many times the size of its source: when much was done, and nobody waits for
/// more, the allocator gives back what it keeps of that.
pub fn give_back(synthesis: &Synthesis, size: u64) {
    const WORTH_IT: u64 = 1 << 20;
    let done = synthesis.compiled_bytes.fetch_add(size, Relaxed) + size;
    if done >= WORTH_IT && synthesis.compiling() == 0 {
        synthesis.compiled_bytes.store(0, Relaxed);
        crate::sys::memory::give_back();
    }
}

/// Compiles, and answers all who wait for it.
pub fn compile_and_land(synthesis: &Synthesis, work: &Work) {
    let outcome = outcome(synthesis, work);
    synthesis.land(&work.key, outcome);
}

/// Compiles: what all who wait for it are to be told.
pub fn outcome(synthesis: &Synthesis, work: &Work) -> Result<Arc<Entry>, Absent> {
    catch_unwind(AssertUnwindSafe(|| compile(synthesis, work)))
        .unwrap_or_else(|_| Err(Refusal::Failed("the compiler panicked".to_owned())))
        .map_err(Absent::from)
}

fn compile(synthesis: &Synthesis, work: &Work) -> Result<Arc<Entry>, Refusal> {
    // Between a reader's miss and its joining a flight, another flight may have landed.
    if let Some(entry) = synthesis.recent.get(&work.key) {
        return Ok(entry);
    }
    if let Some(refusal) = synthesis.refused.get(&work.key) {
        return Err(refusal);
    }
    Counters::add(&synthesis.counters.compiles);
    match synthesis.compiler.compile(&work.job) {
        Ok(code) => {
            Counters::add(&synthesis.counters.compiled);
            let entry = Arc::new(Entry {
                target: work.job.target,
                level: work.job.level,
                magic: code.magic,
                template: code.template,
            });
            synthesis.recent.put(work.key, Arc::clone(&entry));
            synthesis.store.put(&work.key, &entry);
            Ok(entry)
        }
        Err(refusal) => {
            log::debug!("no code for CPython {}: {refusal}", work.job.target);
            synthesis.refused.put(work.key, &refusal);
            Err(refusal)
        }
    }
}
