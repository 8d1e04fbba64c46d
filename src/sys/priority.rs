//! How soon the scheduler lets a thread run.
//!
//! Invariant: only that thread is changed, and what it starts while it goes first begins as usual.

use rustix::thread::Pid;
use std::io;

/// How soon a thread runs when it has something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Before every thread of the usual kind, also those of other sessions and groups. Needs
    /// CAP_SYS_NICE or a limit (RLIMIT_RTPRIO).
    Immediate,
    /// In turn with the others.
    Usual,
    /// After all others.
    Idle,
}

/// Whether the calling thread is one of the usual kind.
pub fn is_usual() -> bool {
    // SAFETY: 0 names the calling thread; nothing is written.
    unsafe { libc::sched_getscheduler(0) == libc::SCHED_OTHER }
}

/// Sets a thread's urgency (`None`: the calling one's). Fails with EPERM where that is not
/// permitted, and with ESRCH when the thread has ended.
pub fn set(thread: Option<Pid>, urgency: Urgency) -> io::Result<()> {
    let thread = thread.map_or(0, Pid::as_raw_pid);
    let (policy, priority) = match urgency {
        // The lowest of the real-time priorities: what else is real-time comes before us.
        Urgency::Immediate => (libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, 1),
        Urgency::Usual => (libc::SCHED_OTHER, 0),
        Urgency::Idle => (libc::SCHED_IDLE, 0),
    };
    // SAFETY: the type is plain integers; 0 is a value of each.
    let mut parameter: libc::sched_param = unsafe { std::mem::zeroed() };
    parameter.sched_priority = priority;
    // SAFETY: a thread is named by its number; the structure lives until the call returns.
    match unsafe { libc::sched_setscheduler(thread, policy, &raw const parameter) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
