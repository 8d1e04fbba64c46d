//! What a command says on its standard error.
//!
//! Invariant: that nobody reads it, as with `2>&1 | head`, or that it cannot be written, neither ends
//! the command nor changes its exit code.

use std::fmt::Display;
use std::io::Write;

/// Writes one line.
pub fn complain(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
