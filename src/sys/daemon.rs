//! Going into the background: `fork`, and nothing else.

use std::io;

/// Which side of a fork this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fork {
    /// The process that called, with the child's process id.
    Parent(i32),
    /// The new process.
    Child,
}

/// Splits the process in two. Refused once there is a second thread: only the calling thread
/// lives on in the child, with the locks of the others taken for ever.
pub fn fork() -> io::Result<Fork> {
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        return Err(io::Error::other(format!(
            "cannot fork with {threads} threads"
        )));
    }
    // SAFETY: the process has one thread (checked above, and only this thread could start
    // another), so the child's copy of memory and locks is consistent.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Fork::Child),
        child => Ok(Fork::Parent(child)),
    }
}
