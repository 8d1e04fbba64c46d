//! Files that are kept at hand and were not used for a while: the kernel is asked to forget them.
//!
//! Where nobody tells that a file was deleted, the descriptor by which it is kept would hold its
//! space for as long as the kernel knows it, and that may be for ever. Invariant: a file that
//! somebody has open stays at hand, as the kernel does not forget it before it is closed.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use super::invalidate::name_of;
use super::pinned::Kept;
use super::{Kernel, Operations};
use crate::inode::Inode;

/// A file that was not looked up for so long is let go.
const UNUSED: Duration = Duration::from_secs(10);

impl Operations {
    /// How long the file of an inode is kept at hand, looked up now.
    pub(super) fn kept(&self, inode: &Inode) -> Kept {
        if self.coherence.opens_unasked() && !inode.is_versioned() {
            return Kept::UntilForgotten;
        }
        if !self.any_kept.swap(true, SeqCst)
            && let Some(crowded) = self.crowded.read().as_ref()
        {
            let _ = crowded.try_send(());
        }
        Kept::WhileUsed(Instant::now())
    }

    /// When [`Operations::let_unused_go`] is to be called; `None`: when it is told.
    pub fn look_for_unused_in(&self) -> Option<Duration> {
        self.any_kept.load(SeqCst).then_some(UNUSED)
    }

    /// Has the kernel forget the files at hand that nobody has looked up for a while. Those that
    /// somebody has open stay, and are named again the next time.
    pub fn let_unused_go(&self, kernel: &dyn Kernel) {
        // Before they are counted: one that comes later says so again.
        self.any_kept.store(false, SeqCst);
        let (idle, others) = self.pinned.idle(UNUSED);
        if others || !idle.is_empty() {
            self.any_kept.store(true, SeqCst);
        }
        if idle.is_empty() || kernel.forget(&idle) {
            return;
        }
        // A kernel that cannot be told drops names, also of what is open, whose path would be a
        // deleted file's for its user. So only where that is true.
        for number in idle {
            if self.pinned.names(number) == Some(0)
                && let Ok(inode) = self.inode(number)
                && let Some((parent, name)) = name_of(&inode)
            {
                kernel.drop_name(parent, &name);
            }
        }
    }
}
