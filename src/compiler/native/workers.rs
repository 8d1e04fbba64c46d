//! Threads that compiles run on, one compile at a time each.
//!
//! A compile that panics ends with an answer that says so; one that takes too long is left behind,
//! with its thread. A thread that is done waits a while for the next compile, since a new thread
//! costs a small module a good part of its time.
//!
//! Invariant: a thread whose sender is among the idle ones waits for a task, or will before it
//! does anything else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::time::Duration;

use parking_lot::Mutex;

/// How many threads wait at most.
const MAX_IDLE: usize = 4;
/// How long a thread waits for the next task.
const PATIENCE: Duration = Duration::from_secs(10);

type Task = Box<dyn FnOnce() + Send>;

struct Worker {
    number: u64,
    /// The process that the thread is of: a forked one has none of the threads.
    process: u32,
    tasks: Sender<Task>,
}

struct Idle {
    workers: Vec<Worker>,
    next_number: u64,
}

static IDLE: Mutex<Idle> = Mutex::new(Idle {
    workers: Vec::new(),
    next_number: 0,
});

/// Why a task has no answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// It did not end in time.
    TimedOut,
    /// It panicked.
    Panicked,
    /// No thread could be made.
    NoThread(String),
}

/// Runs a task on a thread of its own, for at most `timeout`.
pub(super) fn run<T: Send + 'static>(
    timeout: Duration,
    task: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unanswered> {
    let (send, receive) = sync_channel(1);
    let task = move || {
        let answer = catch_unwind(AssertUnwindSafe(task)).ok();
        // Nobody listens any more after the timeout.
        let _ = send.send(answer);
    };
    hand_over(Box::new(task))?;
    match receive.recv_timeout(timeout) {
        Ok(Some(answer)) => Ok(answer),
        Ok(None) | Err(RecvTimeoutError::Disconnected) => Err(Unanswered::Panicked),
        Err(RecvTimeoutError::Timeout) => Err(Unanswered::TimedOut),
    }
}

/// Gives a task to an idle thread, else to a new one.
fn hand_over(mut task: Task) -> Result<(), Unanswered> {
    let process = std::process::id();
    let number = loop {
        let mut idle = IDLE.lock();
        let Some(worker) = idle.workers.pop() else {
            idle.next_number += 1;
            break idle.next_number;
        };
        drop(idle);
        if worker.process != process {
            continue;
        }
        match worker.tasks.send(task) {
            Ok(()) => return Ok(()),
            Err(refused) => task = refused.0,
        }
    };
    std::thread::Builder::new()
        .name("native compile".to_owned())
        .spawn(move || work(number, process, task))
        .map(drop)
        .map_err(|error| Unanswered::NoThread(error.to_string()))
}

/// What a thread does: a task, then what comes while it is idle.
fn work(number: u64, process: u32, task: Task) {
    crate::proximity::anywhere();
    task();
    let (tasks, receive) = channel();
    loop {
        {
            let mut idle = IDLE.lock();
            if idle.workers.len() >= MAX_IDLE {
                return;
            }
            idle.workers.push(Worker {
                number,
                process,
                tasks: tasks.clone(),
            });
        }
        match next_task(number, &receive) {
            Some(task) => task(),
            None => return,
        }
    }
}

/// Waits for a task; `None` when none came, and none will.
fn next_task(number: u64, receive: &Receiver<Task>) -> Option<Task> {
    if let Ok(task) = receive.recv_timeout(PATIENCE) {
        return Some(task);
    }
    let mut idle = IDLE.lock();
    match idle
        .workers
        .iter()
        .position(|worker| worker.number == number)
    {
        Some(at) => {
            idle.workers.remove(at);
            None
        }
        // Somebody took this thread just now.
        None => {
            drop(idle);
            receive.recv_timeout(PATIENCE).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn a_panic_and_a_timeout_are_told_and_the_next_task_runs() {
        for _ in 0..3 {
            let panicking = || -> u32 { panic!("on purpose") };
            assert_eq!(run(LONG, panicking), Err(Unanswered::Panicked));
            let slow = || std::thread::sleep(Duration::from_millis(300));
            let soon = Duration::from_millis(1);
            assert_eq!(run(soon, slow), Err(Unanswered::TimedOut));
            assert_eq!(run(LONG, || 7), Ok(7));
        }
    }

    #[test]
    fn tasks_from_many_threads_each_get_their_own_answer() {
        std::thread::scope(|scope| {
            for thread in 0..16u32 {
                scope.spawn(move || {
                    for turn in 0..200u32 {
                        let answer = run(LONG, move || (thread, turn));
                        assert_eq!(answer, Ok((thread, turn)));
                    }
                });
            }
        });
        assert!(IDLE.lock().workers.len() <= MAX_IDLE);
    }
}
