//! Content that the kernel is given before it asks for it.
//!
//! CPython up to 3.13 asks of each pyc that it has opened whether it is a terminal, and reads it then. With the answer
//! to the question the kernel is given the code, so the read is no request: one less of five for a module that was
//! not read before.
//!
//! The kernel locks the pages that it is given. Whoever else is reading the same pyc may have them locked, until a
//! thread of ours has answered that. Invariant: one thread at a time gives, and only where there are others.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::notifier::Notifier;
use crate::operations::Operations;

/// The way to the kernel's pages.
pub(super) struct Pages {
    notifier: Notifier,
    giving: Mutex<()>,
    taken: AtomicBool,
}

impl Pages {
    /// By way of a notifier. The mount must have more than one thread that answers.
    pub fn new(notifier: Notifier) -> Pages {
        Pages {
            notifier,
            giving: Mutex::new(()),
            taken: AtomicBool::new(true),
        }
    }

    /// Gives the kernel the content of a pyc that is about to be read, if it has none of it. What takes several requests, as
    /// few do, is left to them.
    pub fn give(&self, operations: &Operations, number: u64) {
        if !self.taken.load(Relaxed) {
            return;
        }
        let Some(_alone) = self.giving.try_lock() else {
            return;
        };
        if let Some(content) = operations.unread_pyc(number)
            && !self.notifier.give(number, &content)
        {
            self.taken.store(false, Relaxed);
        }
    }
}
