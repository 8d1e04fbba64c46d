//! The deadline of each waiting request.
//!
//! Invariant: a [`Pending`] is answered exactly once, by whoever comes first: the work, or the
//! clock's thread when the deadline has passed. The clock holds no lock while it answers.

use parking_lot::{Condvar, Mutex};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Instant;

use super::absent::Absent;
use super::entry::Pyc;

/// What is called with the answer.
pub type Done = Box<dyn FnOnce(Result<Arc<Pyc>, Absent>) + Send>;

/// A request that was not answered yet.
pub struct Pending {
    done: Mutex<Option<Done>>,
}

impl Pending {
    /// A request to be answered through `done`.
    pub fn new(done: Done) -> Arc<Pending> {
        Arc::new(Pending {
            done: Mutex::new(Some(done)),
        })
    }

    /// Answers, unless that happened already. `first` is called before the answer is given: whoever
    /// has the answer finds what it did done. Says whether this call was the one.
    pub fn answer(&self, result: Result<Arc<Pyc>, Absent>, first: impl FnOnce()) -> bool {
        let done = self.done.lock().take();
        match done {
            Some(done) => {
                first();
                done(result);
                true
            }
            None => false,
        }
    }

    /// Whether the answer was given.
    pub fn is_answered(&self) -> bool {
        self.done.lock().is_none()
    }
}

struct Alarm {
    at: Instant,
    number: u64,
    pending: Arc<Pending>,
}

impl PartialEq for Alarm {
    fn eq(&self, other: &Alarm) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}
impl Eq for Alarm {}
impl PartialOrd for Alarm {
    fn partial_cmp(&self, other: &Alarm) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Alarm {
    fn cmp(&self, other: &Alarm) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

#[derive(Default)]
struct Alarms {
    heap: BinaryHeap<Reverse<Alarm>>,
    next: u64,
    stopped: bool,
}

/// The clock: answers requests whose deadline has passed.
#[derive(Default)]
pub struct Clock {
    alarms: Mutex<Alarms>,
    changed: Condvar,
}

impl Clock {
    /// Has `pending` answered with [`Absent::Deadline`] at `at` if nobody did before.
    pub fn watch(&self, at: Instant, pending: Arc<Pending>) {
        let mut alarms = self.alarms.lock();
        alarms.next += 1;
        let number = alarms.next;
        alarms.heap.push(Reverse(Alarm {
            at,
            number,
            pending,
        }));
        let first = alarms
            .heap
            .peek()
            .is_some_and(|Reverse(alarm)| alarm.number == number);
        drop(alarms);
        if first {
            self.changed.notify_one();
        }
    }

    /// Serves deadlines until [`Clock::stop`]; `missed` is called for each that is missed.
    pub fn run(&self, missed: impl Fn()) {
        let mut alarms = self.alarms.lock();
        loop {
            while let Some(Reverse(alarm)) = alarms.heap.peek() {
                if !alarm.pending.is_answered() && alarm.at > Instant::now() {
                    break;
                }
                let Some(Reverse(alarm)) = alarms.heap.pop() else {
                    break;
                };
                parking_lot::MutexGuard::unlocked(&mut alarms, || {
                    alarm.pending.answer(Err(Absent::Deadline), &missed);
                });
            }
            if alarms.stopped {
                return;
            }
            match alarms.heap.peek().map(|Reverse(alarm)| alarm.at) {
                Some(at) => {
                    self.changed.wait_until(&mut alarms, at);
                }
                None => self.changed.wait(&mut alarms),
            }
        }
    }

    /// Ends [`Clock::run`].
    pub fn stop(&self) {
        self.alarms.lock().stopped = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_request_without_an_answer_is_absent_at_its_deadline() {
        let clock = Arc::new(Clock::default());
        let (sender, receiver) = std::sync::mpsc::channel();
        let pending = Pending::new(Box::new(move |result| {
            let _ = sender.send(result.map(|_| ()));
        }));
        clock.watch(
            Instant::now() + Duration::from_millis(30),
            Arc::clone(&pending),
        );
        let runner = Arc::clone(&clock);
        let thread = std::thread::spawn(move || runner.run(|| ()));
        let answer = receiver.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(answer, Err(Absent::Deadline));
        assert!(
            !pending.answer(Err(Absent::Busy), || ()),
            "a second answer is not given"
        );
        clock.stop();
        thread.join().unwrap();
    }
}
