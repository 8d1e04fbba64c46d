//! pycfs: a FUSE mirror of a Python source tree that synthesizes `__pycache__` on demand.
//!
//! Layers point one way: `cli → mount → fuse → tree/pycache → compiler, store, pyc`.
//! Only `fuse` names the fuser crate, only `sys` holds `unsafe`, only `store` names sled.

pub mod compiler;
pub mod interpreter;
pub mod pyc;
pub mod store;
pub mod sys;
