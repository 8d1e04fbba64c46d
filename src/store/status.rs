//! What the store tells of itself: counters since it was opened, and its state.

use serde::Serialize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counts since the store was opened.
        #[derive(Debug, Default)]
        pub(super) struct Counters { $(pub(super) $name: AtomicU64,)* }

        /// Counts since the store was opened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Counts { $($(#[$doc])* pub $name: u64,)* }

        impl Counters {
            pub(super) fn counts(&self) -> Counts {
                Counts { $($name: self.$name.load(Relaxed),)* }
            }
        }
    };
}

counters! {
    /// Gets that found their entry.
    hits,
    /// Gets of what is not in the store.
    misses_absent,
    /// Gets of what was stored but is damaged.
    misses_corrupt,
    /// Gets that failed to read.
    misses_io,
    /// Entries handed in.
    puts,
    /// Blobs written to disk.
    written,
    /// Puts that found their blob on disk already.
    already_there,
    /// Puts dropped because too many were waiting.
    dropped_queue,
    /// Puts not on disk because it is full.
    dropped_full,
    /// Puts not on disk because the entry is larger than the limit.
    dropped_large,
    /// Puts not on disk because the folder cannot be written or is not there.
    dropped_unwritable,
    /// Puts not on disk because writing failed in another way.
    dropped_error,
    /// Blobs evicted.
    evicted,
    /// Bytes of the blobs evicted.
    evicted_bytes,
    /// Damaged blobs removed.
    corrupt,
    /// Blobs found on disk that the index did not know.
    adopted,
    /// Times that an index was set aside and rebuilt.
    index_lost,
}

/// How the store works now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The index is not open yet; blobs are already found.
    Opening,
    /// Everything works.
    Ready,
    /// Another process owns the index and does the eviction; blobs are read and written.
    Shared,
    /// No index can be opened; the account of the blobs is kept in memory.
    Unindexed,
    /// The folder cannot be written; blobs are read.
    ReadOnly,
    /// The disk is full; blobs are read, and written again when there is room.
    Full,
    /// The folder has vanished and cannot be made again yet; entries are held in memory.
    Lost,
    /// The folder cannot be used; entries are held in memory.
    MemoryOnly,
}

/// The store's state for `pycfs status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreStatus {
    /// How it works now.
    pub state: State,
    /// Why it is in a state that is not `ready`.
    pub reason: Option<String>,
    /// The folder.
    pub dir: PathBuf,
    /// Most bytes of blobs that are kept.
    pub limit: u64,
    /// Number of blobs; known only to the process that owns the index.
    pub entries: Option<u64>,
    /// Sum of the blobs' file lengths in bytes; known only to the process that owns the index.
    pub bytes: Option<u64>,
    /// Whether blobs are still being counted, so that `entries` and `bytes` are too low.
    pub counting: bool,
    /// Puts that wait to be written.
    pub queued: usize,
    /// Entries held in memory because they are not on disk.
    pub memory_entries: usize,
    /// Bytes of these entries.
    pub memory_bytes: usize,
    /// Indexes set aside that are still in quarantine.
    pub quarantined: u64,
    /// Counts since the store was opened.
    #[serde(flatten)]
    pub counts: Counts,
}

/// What a collection did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GcReport {
    /// Blobs that were evicted.
    pub evicted: u64,
    /// Their bytes.
    pub evicted_bytes: u64,
    /// Blobs that are left.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Temporary files of writers that had ended.
    pub temporary: u64,
    /// What the comparison of index and folder found.
    #[serde(flatten)]
    pub agreement: Agreement,
}

/// Where the index and the folder disagreed; both agree afterwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// Blobs that the index did not know: adopted.
    pub orphans: u64,
    /// Records without a blob: dropped.
    pub vanished: u64,
    /// Records with another size than the blob's: corrected.
    pub resized: u64,
    /// Files that are no blobs: removed.
    pub strays: u64,
    /// Unknown blobs with a damaged header: removed.
    pub damaged: u64,
}

impl std::ops::AddAssign for Agreement {
    fn add_assign(&mut self, other: Agreement) {
        self.orphans += other.orphans;
        self.vanished += other.vanished;
        self.resized += other.resized;
        self.strays += other.strays;
        self.damaged += other.damaged;
    }
}

/// The index is another process's, or there is none, so that it cannot be worked on here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store's index is not ours: {0}")]
pub struct NotOwner(pub String);
