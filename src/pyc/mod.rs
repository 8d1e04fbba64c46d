//! The pyc format: cache tags, file names, magic numbers, headers, marshal.
//!
//! Knows CPython 3.6 to 3.15. Pure functions over bytes: no file is read or written here.

pub mod diff;
mod header;
pub mod lines;
mod magic;
pub mod marshal;
mod name;
pub mod normalise;
mod source_hash;
mod target;
mod template;

pub use header::{Header, HeaderError, InvalidationMode, UnknownMode, Validation, mtime_field};
pub use magic::{magic_bytes, magic_of};
pub use name::CacheName;
pub use source_hash::source_hash;
pub use target::{Level, Target, UnknownTarget};
pub use template::{BadParts, CutError, Parts, Template};
