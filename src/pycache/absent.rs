//! Why an entry is absent. The reader is never told: it sees `ENOENT` and compiles for itself.

use crate::compiler::Refusal;
use crate::tree;

/// The reason for an absent entry, as counted and logged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Absent {
    /// There is no such source, or it is no regular file.
    #[error("no source: {0}")]
    NoSource(tree::Error),
    /// The source kept changing while it was read.
    #[error("the source changes while it is read")]
    Unsettled,
    /// The source is larger than what is compiled.
    #[error("the source is too large")]
    TooLarge,
    /// No backend compiles for this target.
    #[error("no compiler for this version")]
    NoCompiler,
    /// The compiler gave no code.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// There was no answer by the deadline. The compile goes on for the next reader.
    #[error("no answer within the deadline")]
    Deadline,
    /// Too much is waiting already.
    #[error("too many requests are waiting")]
    Busy,
}
