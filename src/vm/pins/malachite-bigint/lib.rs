//! malachite-bigint 0.12.0 under the version number that pymath's range ends up at.
pub use of_rustpython::*;
