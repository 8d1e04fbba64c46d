//! Processors: where threads may run, and where one ran last.

use rustix::thread::{CpuSet, Pid, sched_getaffinity, sched_setaffinity};
use std::fs::File;
use std::os::unix::fs::FileExt;
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

/// How many threads of the whole machine run or could run now, this one included. `None` when that
/// cannot be known.
pub fn runnable() -> Option<u32> {
    let load = std::fs::read("/proc/loadavg").ok()?;
    let text = std::str::from_utf8(&load).ok()?;
    let (runnable, _) = text.split_ascii_whitespace().nth(3)?.split_once('/')?;
    runnable.parse().ok()
}

/// A thread as it can be seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The number of the processor where it ran last.
    pub processor: usize,
    /// Whether it runs or could run.
    pub runs: bool,
    /// Whether it comes after all others.
    pub last: bool,
}

/// One thread's entry of `/proc`, kept open: looking again costs a third.
#[derive(Debug)]
pub struct Watched {
    thread: u32,
    stat: File,
}

impl Watched {
    /// Opens the entry, or goes on with `before` if that is the thread's.
    pub fn open(before: Option<Watched>, thread: u32) -> Option<Watched> {
        match before {
            Some(watched) if watched.thread == thread => Some(watched),
            Some(_) | None => {
                let stat = File::open(format!("/proc/{thread}/stat")).ok()?;
                Some(Watched { thread, stat })
            }
        }
    }

    /// Looks at the thread. `None` when it has ended.
    pub fn look(&self) -> Option<Seen> {
        /// Fields between the state and the processor (proc_pid_stat(5): the 3rd and the 39th).
        const BETWEEN: usize = 35;
        /// The policy, which is the 41st field.
        const IDLE: &str = "5";
        let mut buffer = [0; 1024];
        let length = self.stat.read_at(&mut buffer, 0).ok()?;
        let line = buffer.get(..length)?;
        // The name before the state may hold blanks and parentheses, what follows it may not.
        let name = memchr::memrchr(b')', line)?;
        let rest = std::str::from_utf8(line.get(name + 1..)?).ok()?;
        let mut fields = rest.split_ascii_whitespace();
        let runs = fields.next()? == "R";
        let processor = fields.nth(BETWEEN)?.parse().ok()?;
        let last = fields.nth(1)? == IDLE;
        Some(Seen {
            processor,
            runs,
            last,
        })
    }
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
            let seen = Seen {
                processor: here,
                runs: true,
                last: false,
            };
            assert_eq!(Watched::open(None, thread).unwrap().look(), Some(seen));
        };
        let name = ") S (1 2".to_owned();
        let thread = std::thread::Builder::new().name(name).spawn(body).unwrap();
        thread.join().unwrap();
        assert!(Watched::open(None, 0).is_none());
        assert!(runnable().unwrap() >= 1);
    }
}
