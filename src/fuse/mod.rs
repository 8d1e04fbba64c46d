//! The protocol adapter: FUSE requests to [`Operations`](crate::operations::Operations) and back.
//!
//! The only place that names the fuser crate. Invariants: every request gets exactly one answer;
//! a panic in a handler costs that request only; `ioctl` is answered before anything else is done.

mod convert;
mod counts;
mod filesystem;
mod notifier;
mod pages;
mod session;
mod turn_away;

pub use counts::{Counts, Operation};
pub use notifier::Notifier;
pub use session::Session;
pub use turn_away::turn_away;
