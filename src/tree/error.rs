//! The error of a request on the tree: the errno the client gets, decided where it is born.

use log::Level;
use rustix::io::Errno;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Why a request on the tree has no result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{doing}: {errno}")]
pub struct Error {
    /// What the client is answered.
    pub errno: Errno,
    /// What was being done, for the log.
    pub doing: &'static str,
}

impl Error {
    /// An error of the real tree, passed on as it is.
    pub fn new(doing: &'static str, errno: Errno) -> Error {
        Error { errno, doing }
    }

    /// The directory behind an inode is no longer at its path: the kernel walks the path again
    /// from the root, asking for each component, when it reads this errno.
    pub fn stale() -> Error {
        Error::new("revalidate directory", Errno::STALE)
    }

    /// The level this error is logged at: what clients cause all day is not worth a line.
    pub fn level(&self) -> Level {
        match self.errno {
            Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::IO | Errno::NOTCONN => Level::Warn,
            _ => Level::Debug,
        }
    }
}

/// Set when there was no descriptor left, of this process or of the system.
static SHORT_OF_DESCRIPTORS: AtomicBool = AtomicBool::new(false);

/// Whether descriptors have run out since this was last asked: those that are only kept to be at
/// hand should go then.
pub fn ran_short_of_descriptors() -> bool {
    SHORT_OF_DESCRIPTORS.load(Ordering::Relaxed)
        && SHORT_OF_DESCRIPTORS.swap(false, Ordering::Relaxed)
}

/// Makes a system call again that failed for a reason of the moment: a signal, or a lack of memory or
/// descriptors that others may end. After a few times the error stands.
pub(crate) fn patiently<T>(
    mut call: impl FnMut() -> rustix::io::Result<T>,
) -> rustix::io::Result<T> {
    const TRIES: u32 = 4;
    const PAUSE: Duration = Duration::from_millis(1);
    for tried in 0..TRIES {
        match call() {
            Err(Errno::INTR) => {}
            Err(errno @ (Errno::AGAIN | Errno::NOMEM | Errno::MFILE | Errno::NFILE)) => {
                if matches!(errno, Errno::MFILE | Errno::NFILE) {
                    SHORT_OF_DESCRIPTORS.store(true, Ordering::Relaxed);
                }
                std::thread::sleep(PAUSE * tried);
            }
            result => return result,
        }
    }
    call()
}

/// Turns a rustix result into one of this module's, naming what was being done.
pub(crate) trait Doing<T> {
    /// Names the operation for the log.
    fn doing(self, doing: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for rustix::io::Result<T> {
    fn doing(self, doing: &'static str) -> Result<T, Error> {
        self.map_err(|errno| Error::new(doing, errno))
    }
}
