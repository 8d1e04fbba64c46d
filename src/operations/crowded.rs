//! How many inodes the kernel may hold before it is asked to forget some.
//!
//! The kernel forgets when it needs memory of its own, which may be never: one that has looked at a
//! million files holds a million inodes, and each costs the daemon some 250 bytes.

use crossbeam_channel::{Receiver, Sender, bounded};

use super::Operations;

/// From so many on the kernel is asked.
const MANY: usize = 300_000;
/// Files that somebody has read stay, in a first round.
const ENOUGH: usize = MANY / 4;

impl Operations {
    /// Where it is told that the kernel holds many inodes: [`Operations::spare`] says which may go.
    pub fn crowds(&self) -> Receiver<()> {
        let (sender, receiver): (Sender<()>, _) = bounded(1);
        *self.crowded.write() = Some(sender);
        receiver
    }

    /// Ends what [`Operations::crowds`] gave.
    pub fn end_crowds(&self) {
        self.crowded.write().take();
    }

    /// Called now and then when inodes are found.
    pub(super) fn look_for_crowd(&self) {
        if self.inodes.len() > MANY
            && let Some(crowded) = self.crowded.read().as_ref()
        {
            // One that was not heard yet will do.
            let _ = crowded.try_send(());
        }
    }

    /// Files that the kernel may forget, so that it holds half as many as are many. Those first
    /// that nobody has read: a look at each file of a tree must not cost others theirs.
    pub fn spare(&self) -> Vec<u64> {
        let excess = self.inodes.len().saturating_sub(MANY / 2);
        match excess {
            0 => Vec::new(),
            _ => self.inodes.spare(excess, ENOUGH),
        }
    }
}
