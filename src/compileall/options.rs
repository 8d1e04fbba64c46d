//! What a run of `pycfs compile` is asked to do.

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::pyc::{InvalidationMode, Level, Target};

use super::exclude::Exclude;
use super::paths::{Layout, Renaming};

/// The options of one run for one target.
#[derive(Clone, Debug)]
pub struct Options {
    /// The interpreter version to compile for.
    pub target: Target,
    /// The levels to compile each file for: sorted, without repeats, not empty.
    pub levels: Vec<Level>,
    /// How readers check the pycs. Ignored for 3.6, which knows timestamps only.
    pub mode: InvalidationMode,
    /// How many directories deep to go below each directory given; below 1: not at all.
    pub max_levels: i64,
    /// Compile although the pyc is up to date.
    pub force: bool,
    /// 0: all messages, 1: errors only, 2 or more: nothing.
    pub quiet: u8,
    /// Where the pycs go.
    pub layout: Layout,
    /// What file name is embedded.
    pub renaming: Renaming,
    /// Files to leave out.
    pub exclude: Option<Exclude>,
    /// Leave out symbolic links that point out of this directory.
    pub limit_links: Option<Vec<u8>>,
    /// Make pycs of neighbouring levels one file when their bytes are equal.
    pub hardlink_dupes: bool,
    /// Files compiled at a time.
    pub workers: NonZeroUsize,
    /// How long one compile may take.
    pub timeout: Duration,
}
