//! A marshalled code object with the file name left out.
//!
//! Invariant: the bytes are one whole marshal value from which exactly one record, the root's
//! `co_filename`, was cut. Every nested code object refers back to that record, so putting one
//! record in makes the value whole for any file name (the same source in 20 trees is one entry).

/// Marshalled code with one hole where the `co_filename` record belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The marshal value without the file name's record.
    bytes: Vec<u8>,
    /// Byte offset in `bytes` at which the record is put in.
    hole: usize,
    /// Whether the record carries FLAG_REF (it does whenever something refers back to it).
    flag_ref: bool,
}
