//! Counts of requests by operation, for `pycfs status`.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! operations {
    ($($variant:ident => $name:literal),* $(,)?) => {
        /// The operations that are counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Operation {
            $(#[doc = concat!("FUSE's `", $name, "`.")] $variant),*
        }

        impl Operation {
            /// Every operation.
            pub const ALL: &[Operation] = &[$(Operation::$variant),*];

            /// The name as `status` shows it.
            pub fn name(self) -> &'static str {
                match self { $(Operation::$variant => $name),* }
            }
        }
    };
}

operations! {
    Lookup => "lookup",
    Forget => "forget",
    Getattr => "getattr",
    Readlink => "readlink",
    Open => "open",
    Read => "read",
    Release => "release",
    Opendir => "opendir",
    Readdir => "readdir",
    Releasedir => "releasedir",
    Statfs => "statfs",
    Getxattr => "getxattr",
    Listxattr => "listxattr",
    Lseek => "lseek",
    Ioctl => "ioctl",
    Other => "other",
}

/// Requests since the mount, by operation.
#[derive(Debug, Default)]
pub struct Counts {
    counts: [AtomicU64; Operation::ALL.len()],
}

impl Counts {
    /// Counts one request.
    pub fn add(&self, operation: Operation) {
        if let Some(count) = self.counts.get(operation as usize) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// All counts, by name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.counts.iter().map(|count| count.load(Relaxed));
        Operation::ALL
            .iter()
            .map(|operation| operation.name())
            .zip(counts)
    }
}
