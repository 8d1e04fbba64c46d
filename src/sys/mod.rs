//! Every unsafe block and raw system call that no safe crate wraps.
//!
//! Each file wraps one concern in a safe interface; the reason why a block is sound is beside it.
//! Invariant: what is exported is safe to call with any argument.
#![allow(unsafe_code)]

#[cfg(feature = "vm")]
pub mod blocks;
pub mod daemon;
pub mod fanotify;
pub mod memory;
pub mod priority;
pub mod region;
pub mod spawn;
