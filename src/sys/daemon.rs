//! Going into the background: `fork`, and closing what the caller left open.

use std::io;
use std::os::fd::RawFd;

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

/// Closes what the caller of this program left open beyond the three streams: a lock or a pipe
/// would stay open as long as a daemon lives.
pub fn close_inherited() -> io::Result<()> {
    const FIRST: RawFd = 3;
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|number| *number >= FIRST)
        .collect();
    for number in open {
        // SAFETY: asks for a flag, which no owner of a descriptor can notice.
        let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
        if flags >= 0 && flags & libc::FD_CLOEXEC == 0 {
            // SAFETY: all that this program opens is closed on exec (the standard library and
            // rustix as it is used here see to it). What is not came with the exec that started
            // this program, so nothing here owns it.
            unsafe { libc::close(number) };
        }
    }
    Ok(())
}
