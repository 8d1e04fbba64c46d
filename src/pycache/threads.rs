//! The threads behind a synthesis.
//!
//! Invariant: all of them have ended when [`Threads`] is dropped.

use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::Arc;
use std::thread::JoinHandle;

use super::compile::{self, Work};
use super::counters::Counters;
use super::deadline::Pending;
use super::synthesis::{Ask, Synthesis};
use crate::proximity::Proximity;

/// Threads that read sources and the store.
const READERS: usize = 4;

/// The threads behind a [`Synthesis`]; ended and joined when this is dropped.
pub struct Threads {
    synthesis: Arc<Synthesis>,
    stop: Sender<()>,
    joins: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Those that serve two queues, requests and compiles, and those that need none.
    pub(super) fn start(
        synthesis: &Arc<Synthesis>,
        ask_queue: &Receiver<(Ask, Arc<Pending>)>,
        work_queue: &Receiver<Work>,
        proximity: &Arc<Proximity>,
    ) -> std::io::Result<Threads> {
        let (stop, stopped) = bounded::<()>(0);
        let mut threads = Threads {
            synthesis: Arc::clone(synthesis),
            stop,
            joins: Vec::new(),
        };
        let clock = Arc::clone(synthesis);
        threads.spawn("deadlines", move || {
            clock
                .clock
                .run(|| Counters::add(&clock.counters.absent_deadline));
        })?;
        let ahead = Arc::clone(synthesis);
        threads.spawn("ahead", move || {
            ahead.ahead.run(|ask| {
                // A reader that asks for it is told.
                let _ = ahead.prepare(&ask);
            });
        })?;
        for _ in 0..READERS {
            let (synthesis, queue, stopped) =
                (Arc::clone(synthesis), ask_queue.clone(), stopped.clone());
            threads.spawn_near(proximity, "synthesis", move || {
                synthesis.serve(&queue, &stopped);
            })?;
        }
        for _ in 0..synthesis.options.compile_threads.max(1) {
            let (synthesis, queue) = (Arc::clone(synthesis), work_queue.clone());
            threads.spawn_near(proximity, "compile", move || {
                compile::serve(&synthesis, &queue);
            })?;
        }
        Ok(threads)
    }

    /// One of those that answer.
    fn spawn_near(
        &mut self,
        proximity: &Arc<Proximity>,
        name: &str,
        body: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<()> {
        let proximity = Arc::clone(proximity);
        self.spawn(name, move || {
            proximity.join();
            body();
        })
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(body)?;
        self.joins.push(thread);
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.synthesis.clock.stop();
        self.synthesis.ahead.stop();
        self.synthesis.work.lock().take();
        let (closed, _) = bounded(0);
        drop(std::mem::replace(&mut self.stop, closed));
        for thread in self.joins.drain(..) {
            if thread.join().is_err() {
                log::error!("a thread of the synthesis panicked");
            }
        }
    }
}
