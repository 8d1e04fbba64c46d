//! Raw system calls: the only folder with `unsafe`.
//!
//! Each file wraps one concern in a safe interface; the reason why a block is sound is beside it.
#![allow(unsafe_code)]

pub mod spawn;
