//! pycfs: a FUSE mirror of a Python source tree that synthesizes `__pycache__` on demand.
//!
//! Layers point one way: `cli → mount → fuse → tree/pycache → compiler, store, pyc`.
//! Only `fuse` names the fuser crate, only `sys` holds `unsafe`, only `store` names sled, only `vm` RustPython.

pub mod backend;
pub mod cli;
pub mod coherence;
pub mod compileall;
pub mod compiler;
pub mod complaint;
pub mod control;
pub mod fuse;
pub mod inode;
pub mod interpreter;
pub mod mount;
pub mod operations;
pub mod proximity;
pub mod pyc;
pub mod pycache;
pub mod store;
pub mod sys;
pub mod tree;
#[cfg(feature = "vm")]
pub mod vm;
pub mod watch;

/// The system's allocator, with regions for compiles.
#[global_allocator]
static ALLOCATOR: sys::region::Regions = sys::region::Regions;
