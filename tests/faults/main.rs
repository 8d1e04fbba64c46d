//! Faults under load: workers and interpreters that die or hang, stores that vanish or fill,
//! sources that change all the time. No reader ever gets an error, a wrong entry, or no answer.

// A test ends by panicking.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../common/mod.rs"]
mod common;

mod readers;

mod compilers;
mod edits;
mod healing;
mod hostile;
mod limits;
mod stores;
