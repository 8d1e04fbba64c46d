//! How the workers of a target are treated: numbers, limits, times.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::worker::{Kind, Recipe};

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
    /// How to start a worker of `program` under these rules.
    pub fn recipe(&self, program: Arc<Path>, kind: Kind, hidden: &[PathBuf]) -> Recipe {
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

/// The moment `time` from now, or one far off when that cannot be said.
pub fn after(time: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(time)
        .unwrap_or_else(|| now + Duration::from_secs(86_400))
}
