//! What an event says.

use std::ffi::OsString;

/// A change of the source, in terms of inode numbers of the mount.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// The content or the attributes of what has this name changed.
    Content {
        /// The directory.
        directory: u64,
        /// The name in it.
        name: OsString,
        /// The file's own inode number, if the event told.
        number: Option<u64>,
    },
    /// The name came, went, or leads to something else.
    Name {
        /// The directory.
        directory: u64,
        /// The name in it.
        name: OsString,
        /// Whether a directory was moved from or to it: everything below has another path.
        subtree: bool,
    },
    /// The content or the attributes of this very file or directory changed.
    Inode(u64),
    /// The number of names of this file changed: it may be edited by another from now on.
    Links(u64),
    /// Entries of another version are asked for from now on: each `__pycache__` lists more.
    Listings,
    /// The way to the source changed: it may have been replaced.
    Way,
    /// Anything may have changed.
    Everything,
}

impl Change {
    /// Whether the source itself may be another directory now.
    pub fn may_replace_the_source(&self) -> bool {
        match self {
            Change::Way | Change::Everything => true,
            Change::Content { .. }
            | Change::Name { .. }
            | Change::Inode(_)
            | Change::Links(_)
            | Change::Listings => false,
        }
    }
}
