//! Every unsafe block and raw system call that no safe crate wraps.
//!
//! Invariant: what is exported is safe to call with any argument.
#![allow(unsafe_code)]

pub mod daemon;
