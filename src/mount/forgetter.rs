//! The thread that has the kernel forget what it holds of too many files.
//!
//! Invariant: it holds no lock while it tells the kernel.

use crossbeam_channel::Receiver;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::operations::{Kernel, Operations};

/// Has the kernel forget until it is dropped.
pub struct Forgetter {
    operations: Arc<Operations>,
    thread: Option<JoinHandle<()>>,
}

impl Forgetter {
    /// Starts the thread; it sleeps as long as the kernel holds few inodes.
    pub fn start(operations: Arc<Operations>, kernel: Arc<dyn Kernel>) -> io::Result<Forgetter> {
        let crowds = operations.crowds();
        let theirs = Arc::clone(&operations);
        let thread = std::thread::Builder::new()
            .name("forget".to_owned())
            .spawn(move || run(&theirs, kernel.as_ref(), &crowds))?;
        Ok(Forgetter {
            operations,
            thread: Some(thread),
        })
    }
}

fn run(operations: &Operations, kernel: &dyn Kernel, crowds: &Receiver<()>) {
    for () in crowds {
        let spare = operations.spare();
        log::debug!("asking the kernel to forget {} inodes", spare.len());
        if !kernel.forget(&spare) {
            // One that cannot is not asked again.
            return;
        }
    }
}

impl Drop for Forgetter {
    fn drop(&mut self) {
        self.operations.end_crowds();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            log::error!("the thread that has the kernel forget panicked");
        }
    }
}
