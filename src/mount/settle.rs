//! The thread that tells the kernel what may wait, behind the one that follows the source.
//!
//! It may have to wait for whoever works in a directory; the thread of the events never does.
//! Invariants: it holds no lock while it tells the kernel; what was put before a barrier has been
//! told when the barrier is answered; what waits is bounded, beyond that it is everything.

use parking_lot::{Condvar, Mutex};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::operations::{Kernel, Operations};
use crate::watch::Change;

/// Changes that wait at most, one by one.
const MOST: usize = 1 << 16;

/// What waits.
#[derive(Default)]
struct Queue {
    /// Changes after which every name was dropped.
    named: Vec<Change>,
    /// Changes whose names have not been dropped, later than those.
    unnamed: Vec<Change>,
    barriers: Vec<Sender<()>>,
    stopped: bool,
}

impl Queue {
    fn add(&mut self, changes: &mut Vec<Change>, names_dropped: bool) {
        self.unnamed.append(changes);
        if names_dropped {
            self.named.append(&mut self.unnamed);
        }
        if self.named.len() + self.unnamed.len() > MOST {
            self.named.clear();
            self.unnamed.clear();
            self.unnamed.push(Change::Everything);
        }
    }

    fn is_empty(&self) -> bool {
        self.named.is_empty() && self.unnamed.is_empty() && self.barriers.is_empty()
    }
}

struct Shared {
    operations: Arc<Operations>,
    kernel: Arc<dyn Kernel>,
    queue: Mutex<Queue>,
    filled: Condvar,
}

/// Tells until it is dropped.
pub(super) struct Settler {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Settler {
    /// Starts the thread.
    pub fn start(operations: Arc<Operations>, kernel: Arc<dyn Kernel>) -> io::Result<Settler> {
        let shared = Arc::new(Shared {
            operations,
            kernel,
            queue: Mutex::default(),
            filled: Condvar::new(),
        });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("settle".to_owned())
            .spawn(move || of_thread.run())?;
        Ok(Settler {
            shared,
            thread: Some(thread),
        })
    }

    /// Leaves `changes` empty: they are told soon. `names_dropped` says whether the kernel dropped
    /// every name after them. The barriers are answered after all that.
    pub fn put(
        &self,
        changes: &mut Vec<Change>,
        names_dropped: bool,
        barriers: &mut Vec<Sender<()>>,
    ) {
        if changes.is_empty() && barriers.is_empty() {
            return;
        }
        let mut queue = self.shared.queue.lock();
        queue.add(changes, names_dropped);
        queue.barriers.append(barriers);
        drop(queue);
        self.shared.filled.notify_one();
    }
}

impl Drop for Settler {
    fn drop(&mut self) {
        self.shared.queue.lock().stopped = true;
        self.shared.filled.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the thread that settles changes panicked");
        }
    }
}

impl Shared {
    fn run(&self) {
        while let Some(queue) = self.next() {
            let told = catch_unwind(AssertUnwindSafe(|| self.tell(&queue)));
            if told.is_err() {
                // Who asked for a barrier is told by its end that it was not passed.
                log::error!("telling the kernel panicked: everything is dropped");
                let mut all = vec![Change::Everything];
                self.queue.lock().add(&mut all, false);
                std::thread::sleep(Duration::from_millis(10));
                continue;
            }
            for barrier in queue.barriers {
                let _ = barrier.send(());
            }
        }
    }

    /// What has come, once something has; none at the end.
    fn next(&self) -> Option<Queue> {
        let mut queue = self.queue.lock();
        while queue.is_empty() && !queue.stopped {
            self.filled.wait(&mut queue);
        }
        match queue.stopped {
            true => None,
            false => Some(std::mem::take(&mut *queue)),
        }
    }

    fn tell(&self, queue: &Queue) {
        let kernel = self.kernel.as_ref();
        self.operations.apply_rest(&queue.named, true, kernel);
        // Too much came at once: then the names have to go here.
        let names_dropped = queue.unnamed.contains(&Change::Everything)
            && self.operations.apply_first(&queue.unnamed, kernel);
        self.operations
            .apply_rest(&queue.unnamed, names_dropped, kernel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_were_dropped_later_are_dropped_for_what_came_before() {
        let mut queue = Queue::default();
        queue.add(&mut vec![Change::Inode(1)], false);
        queue.add(&mut vec![Change::Inode(2)], true);
        queue.add(&mut vec![Change::Inode(3)], false);
        assert_eq!(queue.named, [Change::Inode(1), Change::Inode(2)]);
        assert_eq!(queue.unnamed, [Change::Inode(3)]);
    }

    #[test]
    fn what_waits_is_bounded_and_then_everything() {
        let mut queue = Queue::default();
        for number in 0..=MOST as u64 {
            queue.add(&mut vec![Change::Inode(number)], number % 2 == 0);
        }
        assert!(queue.named.is_empty());
        assert_eq!(queue.unnamed, [Change::Everything]);
    }
}
