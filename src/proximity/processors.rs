//! Processors: where threads may run, and where one ran last.

use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};
use std::sync::OnceLock;

/// Where the process might run before any of its threads was bound.
static PERMITTED: OnceLock<CpuSet> = OnceLock::new();

/// Remembers where the process may run; called before the first thread is bound. `None` where
/// there is only one such processor, or where that cannot be known.
pub fn permitted() -> Option<CpuSet> {
    if PERMITTED.get().is_none() {
        match sched_getaffinity(None) {
            Ok(all) => {
                let _ = PERMITTED.set(all);
            }
            Err(errno) => log::debug!("processors of the process: {errno}"),
        }
    }
    PERMITTED.get().filter(|all| all.count() > 1).copied()
}

/// Lets the calling thread run wherever the process may. A new thread begins with this: it starts
/// out where the thread that made it is bound.
pub fn anywhere() {
    if let Some(all) = PERMITTED.get() {
        allow(None, all);
    }
}

/// Lets a thread (`None`: this one) run on all processors of a set. Says whether it may.
pub fn allow(thread: Option<Pid>, processors: &CpuSet) -> bool {
    match sched_setaffinity(thread, processors) {
        Ok(()) => true,
        Err(errno) => {
            log::debug!("processors of a thread: {errno}");
            false
        }
    }
}

/// The set of one processor.
pub fn only(processor: usize) -> CpuSet {
    let mut set = CpuSet::new();
    set.set(processor);
    set
}

/// Every processor that a set can name: the kernel takes those that are permitted.
pub fn every() -> CpuSet {
    let mut set = CpuSet::new();
    (0..CpuSet::MAX_CPU).for_each(|processor| set.set(processor));
    set
}

/// The number of the processor where a thread ran last. `None` when it cannot be seen.
pub fn last_of(thread: u32) -> Option<usize> {
    /// Fields between the end of the name and the one that says it (proc_pid_stat(5): the 39th).
    const BEFORE: usize = 36;
    let stat = std::fs::read(format!("/proc/{thread}/stat")).ok()?;
    // The name may hold blanks and parentheses, what follows it may not.
    let name = memchr::memrchr(b')', &stat)?;
    let rest = std::str::from_utf8(stat.get(name + 1..)?).ok()?;
    rest.split_ascii_whitespace().nth(BEFORE)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::thread::{gettid, sched_getcpu};

    #[test]
    fn a_thread_is_seen_where_it_runs_whatever_its_name_is() {
        let body = || {
            let here = sched_getcpu();
            assert!(allow(None, &only(here)), "bound where it is");
            let thread = u32::try_from(gettid().as_raw_pid()).unwrap();
            assert_eq!(last_of(thread), Some(here));
        };
        let name = ") S (1 2".to_owned();
        let thread = std::thread::Builder::new().name(name).spawn(body).unwrap();
        thread.join().unwrap();
        assert_eq!(last_of(0), None);
    }
}
