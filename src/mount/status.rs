//! What `pycfs status` shows of one mount.

use rustix::process::getpid;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::follow::Barrier;
use super::options::Options;
use crate::coherence::Coherence;
use crate::compiler::Compiler;
use crate::fuse::Counts;
use crate::operations::Operations;
use crate::proximity::Proximity;
use crate::store::Store;

/// Everything that a status is made of.
pub struct Sources {
    /// The source directory.
    pub source: PathBuf,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Whether a replaced source directory is followed.
    pub follows: bool,
    /// How it was mounted.
    pub options: Options,
    /// How it stays fresh.
    pub coherence: Coherence,
    /// Where changes of the source are waited for.
    pub barrier: Barrier,
    /// The compiler backend.
    pub compiler: Arc<dyn Compiler>,
    /// The store.
    pub store: Arc<Store>,
    /// The view.
    pub operations: Arc<Operations>,
    /// Requests by operation.
    pub counts: Arc<Counts>,
    /// Where the threads that answer run.
    pub proximity: Arc<Proximity>,
    /// When the mount began to answer.
    pub since: Instant,
}

impl Sources {
    /// The status as a JSON object. Counts are since the mount; sizes are in bytes.
    pub fn status(&self) -> Value {
        let requests: Map<String, Value> = self
            .counts
            .all()
            .map(|(name, count)| (name.to_owned(), json!(count)))
            .collect();
        let interpreters: Map<String, Value> = self
            .compiler
            .describe()
            .into_iter()
            .map(|(target, line)| (target.to_string(), json!(line)))
            .collect();
        let synthesis = self.operations.synthesis();
        let in_use: Vec<String> = synthesis
            .in_use()
            .iter()
            .map(|(target, level)| format!("{target}-O{}", level.number()))
            .collect();
        json!({
            "pid": getpid().as_raw_nonzero(),
            "version": env!("CARGO_PKG_VERSION"),
            "source": self.source.to_string_lossy(),
            "mount_point": self.mount_point.to_string_lossy(),
            "uptime_seconds": self.since.elapsed().as_secs(),
            "invalidation_mode": self.options.mode.as_str(),
            "coherence": {
                "mode": self.coherence.mode.as_str(),
                "reason": self.coherence.reason,
                "lease_ms": u64::try_from(self.coherence.lease.as_millis()).unwrap_or(u64::MAX),
            },
            "followed": self.barrier.followed(),
            "follows_replaced_source": self.follows,
            "allow_other": self.options.allow_other,
            "supervised": self.options.supervise,
            "root_descriptor": self.operations.root().descriptor(),
            "deadline_ms": u64::try_from(self.options.deadline.as_millis()).unwrap_or(u64::MAX),
            "backend": self.compiler.name(),
            "interpreters": interpreters,
            "in_use": in_use,
            "synthesis": synthesis.counters.snapshot(),
            "compiling": synthesis.compiling(),
            "requests": requests,
            "near": self.proximity.counts(),
            "inodes": self.operations.inodes(),
            "open_handles": self.operations.open_handles(),
            "resident_bytes": resident_bytes(),
            "store": self.store.status(),
        })
    }
}

/// The daemon's resident memory; zero when it cannot be read.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm
        .split(' ')
        .nth(1)
        .and_then(|field| field.parse().ok())
        .unwrap_or(0);
    pages * rustix::param::page_size() as u64
}
