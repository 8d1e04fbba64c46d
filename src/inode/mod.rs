//! The inodes that the kernel knows: their numbers, what each stands for, and where it is.
//!
//! Numbers: 1 is the root; a file of the root's own filesystem keeps its number; files of other
//! filesystems below the root, and everything synthesized, have numbers in high ranges that are
//! derived from what they stand for, so they are the same after a remount.
//! Invariant: a pyc's number stands for one content for ever; another content has another number.

pub mod number;
mod table;

pub use number::ROOT;
pub use table::{Body, Inode, Noticed, Place, Real, StandsFor, Table};
