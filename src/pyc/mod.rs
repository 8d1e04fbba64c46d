//! The pyc format: cache tags, file names, magic numbers, headers, marshal.
//!
//! Knows CPython 3.6 to 3.15. Pure functions over bytes: no file is read or written here.

mod target;
mod template;

pub use target::{Level, Target, UnknownTarget};
pub use template::Template;
