//! How long the kernel may use an answer without asking: the seam for other coherence modes.
//!
//! Why these are safe without any event from the source:
//! - A file's name (source, pyc, symlink) is asked for at each use, so the last step of each path
//!   is always fresh, and with it the attributes that the reply carries.
//! - A directory's name may be used for long, because each question about a name *in* it checks
//!   that the directory still is where the kernel found it; if not, the answer is `ESTALE`, upon
//!   which the kernel walks the whole path again and asks for every step.
//! - Attributes of a file live for one tick, just long enough for the `stat` that follows a
//!   look-up. Those of a directory live for a moment: its modes and times may lag by that.

use std::time::Duration;

/// The name of a file.
pub const FILE_NAME: Duration = Duration::ZERO;
/// The name of a directory.
pub const DIRECTORY_NAME: Duration = Duration::from_secs(300);
/// The attributes of a file of the source.
pub const FILE_ATTRIBUTES: Duration = Duration::from_micros(1);
/// The attributes of a directory.
pub const DIRECTORY_ATTRIBUTES: Duration = Duration::from_millis(100);
/// The attributes of a pyc: replaced by each look-up, and its bytes never change.
pub const PYC_ATTRIBUTES: Duration = Duration::from_secs(300);
