//! Entries to test with.

use super::{Digest, Entry, Key};
use crate::compiler::BuildId;
use crate::pyc::{Level, Target, Template};

/// A key that differs for each number.
pub(super) fn key_of(number: u64) -> Key {
    let build = BuildId("test".to_owned());
    let source = Digest::of(&number.to_le_bytes());
    Key::new(Target::NEWEST, Level::O0, &build, &source)
}

/// An entry with `length` bytes of code that compress about as well as code does.
pub(super) fn entry_of(number: u64, length: usize) -> Entry {
    let mut bytes = Vec::with_capacity(length + 64);
    let mut state = number | 1;
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
        bytes.extend_from_slice(b"\xa9\x00\x00\x00\x00\x00\x00\x00z\x08");
    }
    bytes.truncate(length);
    Entry {
        target: Target::NEWEST,
        level: Level::O2,
        magic: 3571,
        template: Template::from_parts(bytes, length / 3, true, false).unwrap(),
    }
}
