//! The store: content-addressed, checksummed code templates on disk.
