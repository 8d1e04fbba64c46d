//! Mounting: options, the mount itself, the daemon around it, and taking it away again.
//!
//! Invariants: the source is opened before anything is mounted; what is unmounted is this
//! process's own mount and never what lies beneath or a successor; the parent of a daemon reports
//! the real result.

mod attach;
mod background;
mod detach;
mod error;
mod follow;
mod forgetter;
mod logging;
mod mountinfo;
mod notify;
mod options;
mod place;
mod predecessor;
mod serve;
mod settle;
mod status;
mod supervise;
mod urgency;

pub use background::mount;
pub use detach::unmount;
pub use error::Error;
pub use mountinfo::{Entry, FILESYSTEM_TYPE, find, ours};
pub use options::{Options, parse_duration, parse_size};
