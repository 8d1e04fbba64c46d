//! Counts of what the synthesis did, for `pycfs status`.

use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::absent::Absent;
use crate::compiler::Refusal;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Running counts since the mount.
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[$doc])* pub $name: AtomicU64,)* }

        /// The counts at one moment.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Snapshot { $($(#[$doc])* pub $name: u64,)* }

        impl Counters {
            /// The counts now.
            pub fn snapshot(&self) -> Snapshot {
                Snapshot { $($name: self.$name.load(Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Look-ups of entries.
    lookups,
    /// Answered from code held in memory.
    memory_hits,
    /// Answered from the store.
    store_hits,
    /// Code that no cache held, so that a compile was needed (waiters of one compile count each).
    misses,
    /// Looked up after a listing, and not compiled for it.
    unmade,
    /// Compiles that were run.
    compiles,
    /// Compiles that gave code.
    compiled,
    /// Of the compiles, those that were run before a reader asked.
    compiled_ahead,
    /// Sources read and hashed.
    hashed,
    /// Absent: no source of that name.
    absent_no_source,
    /// Absent: the source changed while it was read.
    absent_unsettled,
    /// Absent: the source is too large.
    absent_too_large,
    /// Absent: no compiler for the version.
    absent_no_compiler,
    /// Absent: the interpreter rejects the source.
    absent_rejected,
    /// Absent: no compiler knows what CPython makes of the source.
    absent_unsure,
    /// Absent: the compile took too long.
    absent_timed_out,
    /// Absent: the compiler died or failed.
    absent_failed,
    /// Absent: no answer within the deadline.
    absent_deadline,
    /// Absent: too many requests were waiting.
    absent_busy,
}

impl Counters {
    /// Adds one.
    pub fn add(counter: &AtomicU64) {
        counter.fetch_add(1, Relaxed);
    }

    /// Counts an absent entry by its reason.
    pub fn absent(&self, reason: &Absent) {
        Counters::add(match reason {
            Absent::NoSource(_) => &self.absent_no_source,
            Absent::Unsettled => &self.absent_unsettled,
            Absent::TooLarge => &self.absent_too_large,
            Absent::NoCompiler | Absent::Refused(Refusal::NotCovered(_)) => {
                &self.absent_no_compiler
            }
            Absent::Refused(Refusal::Rejected(_)) => &self.absent_rejected,
            Absent::Refused(Refusal::Unsure(_)) => &self.absent_unsure,
            Absent::Refused(Refusal::TimedOut(_)) => &self.absent_timed_out,
            Absent::Refused(Refusal::Died(_) | Refusal::Failed(_)) => &self.absent_failed,
            Absent::Deadline => &self.absent_deadline,
            Absent::Busy => &self.absent_busy,
        });
    }
}
