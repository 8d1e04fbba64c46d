//! How soon the scheduler lets the calling thread run.
//!
//! Invariant: only the calling thread is changed, and what it starts later begins as usual.

use std::io;

/// How soon a thread runs when it has something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Urgency {
    /// Before every thread of the usual kind, also those of other sessions and groups. Needs
    /// CAP_SYS_NICE or a limit (RLIMIT_RTPRIO).
    Immediate,
    /// In turn with the others.
    Usual,
}

/// Sets the calling thread's urgency. Fails with EPERM where that is not permitted.
pub fn set(urgency: Urgency) -> io::Result<()> {
    let (policy, priority) = match urgency {
        // The lowest of the real-time priorities: what else is real-time comes before us.
        Urgency::Immediate => (libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, 1),
        Urgency::Usual => (libc::SCHED_OTHER, 0),
    };
    // SAFETY: the type is plain integers; 0 is a value of each.
    let mut parameter: libc::sched_param = unsafe { std::mem::zeroed() };
    parameter.sched_priority = priority;
    // SAFETY: 0 names the calling thread; the structure lives until the call returns.
    match unsafe { libc::sched_setscheduler(0, policy, &raw const parameter) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
