//! The thread that has the kernel forget: what it holds of too many files, and files that nobody
//! has used for a while where nobody tells that they were deleted.
//!
//! Invariant: it holds no lock while it tells the kernel.

use crossbeam_channel::{Receiver, RecvTimeoutError};
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
    /// Starts the thread; it sleeps as long as there is nothing to forget.
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
    loop {
        let told = match operations.look_for_unused_in() {
            Some(time) => crowds.recv_timeout(time),
            None => crowds.recv().map_err(RecvTimeoutError::from),
        };
        match told {
            Ok(()) => {
                let spare = operations.spare();
                if !spare.is_empty() {
                    log::debug!("asking the kernel to forget {} inodes", spare.len());
                    kernel.forget(&spare);
                }
            }
            Err(RecvTimeoutError::Timeout) => operations.let_unused_go(kernel),
            Err(RecvTimeoutError::Disconnected) => return,
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
