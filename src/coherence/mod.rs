//! How the mount stays fresh: one of three modes, chosen once, and what each lets the kernel keep.
//!
//! This is the one place that consults the mode. Invariant: the kernel is never told that it may
//! keep an answer for longer than the mode can take it back, or than the lease says.

mod choice;
mod lease;

pub use choice::{Choice, Trust, choose, trust};
pub use lease::{Leases, Subject};

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How the mount learns of changes in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// The source's events take back what the kernel keeps. Warm reads cost no request.
    Watch,
    /// The last name of each path is asked for at each use.
    Strict,
    /// Answers are used for a fixed time: for sources where asking is dear and events are none.
    Ttl,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Mode; 3] = [Mode::Watch, Mode::Strict, Mode::Ttl];

    /// The name in `-o coherence=` and in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Watch => "watch",
            Mode::Strict => "strict",
            Mode::Ttl => "ttl",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Not the name of a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("coherence is one of auto, watch, strict and ttl")]
pub struct UnknownMode;

impl FromStr for Mode {
    type Err = UnknownMode;
    fn from_str(text: &str) -> Result<Mode, UnknownMode> {
        Mode::ALL
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or(UnknownMode)
    }
}

/// The mode of one mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coherence {
    /// The mode.
    pub mode: Mode,
    /// Why it is this one, for people.
    pub reason: String,
    /// How long an answer may be used that no event takes back.
    pub lease: Duration,
}

impl Coherence {
    /// The mode with its own lease, unless one was asked for.
    pub fn new(mode: Mode, reason: String, lease: Option<Duration>) -> Coherence {
        let own = match mode {
            Mode::Watch => lease::WATCH,
            Mode::Strict => Duration::ZERO,
            Mode::Ttl => lease::TTL,
        };
        Coherence {
            mode,
            reason,
            lease: lease.unwrap_or(own),
        }
    }

    /// Whether the kernel opens files without asking. It then asks for the pages of an inode, not
    /// of an open file, so each version of a file of which nobody tells needs an inode of its own,
    /// and a name's look-up must say which.
    pub fn opens_unasked(&self) -> bool {
        match self.mode {
            Mode::Watch | Mode::Strict => true,
            Mode::Ttl => false,
        }
    }

    /// Whether the kernel opens directories without asking, and keeps what they list and where
    /// symlinks lead until it is told.
    pub fn lists_unasked(&self) -> bool {
        self.watches()
    }

    /// Whether the source's events are followed.
    pub fn watches(&self) -> bool {
        match self.mode {
            Mode::Watch => true,
            Mode::Strict | Mode::Ttl => false,
        }
    }
}
