//! The mirror's view of the real tree: walking, attributes, listings, extended attributes.
//!
//! Everything is reached from one root descriptor with `openat2`, one relative path at a time and
//! never through a symlink or out of the root. Nothing here is cached: each answer is the real
//! tree's at the moment of the call. Inode numbers and names of the mount are not known here.

mod attr;
mod error;
mod listing;
mod open;
mod root;
pub(crate) mod symlink;
pub mod xattr;

pub use attr::{Attr, Identity, Kind, Time};
pub use error::{Error, ran_short_of_descriptors};
pub use listing::{Entry, has_source, list, source_stem};
pub use open::{Dir, Found, SourceFile};
pub use root::{Root, RootDir, asks_itself};
