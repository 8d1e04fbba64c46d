//! The synthesis of `__pycache__` entries: from a name in a directory to the bytes to serve.
//!
//! A request names a source and a target; the answer is a [`Pyc`] or the reason why the entry is
//! absent. Invariants: the code was compiled from the very bytes that the source held when the
//! request was served; every request is answered once and by its deadline; N requests for code
//! that is not there cause one compile; nothing about time or failure is remembered except that
//! certain bytes do not compile.

mod absent;
mod ahead;
mod answers;
mod compile;
mod counters;
mod deadline;
mod entry;
mod flight;
mod imports;
mod recent;
mod siblings;
mod source;
mod synthesis;
mod threads;
mod version;

pub use absent::Absent;
pub use counters::{Counters, Snapshot};
pub use entry::Pyc;
pub use synthesis::{Answer, Ask, Options, Synthesis, Want};
pub use threads::Threads;
