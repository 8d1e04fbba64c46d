//! The daemon and the commands around it: mounting, unmounting, fstab, status, gc, verify.

// A test ends by panicking.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../common/mod.rs"]
mod common;

mod background;
mod crash;
mod fstab;
mod maintenance;
mod ordinary_user;
mod status;
mod unmounting;
