//! What a target version does differently: a value that the passes consult.

use super::opcode::{self, OpcodeTable};
use crate::pyc::Target;

/// A target: minor version, patch level, tables.
#[derive(Debug)]
pub struct Profile {
    /// The `Y` of `3.Y`.
    pub minor: u8,
    /// The patch release whose bytes are made. One magic number covers several that differ.
    pub patch: u8,
    /// The first two bytes of the pyc, little endian.
    pub magic: u16,
    /// Opcode numbers and cache sizes.
    pub opcodes: &'static OpcodeTable,
    /// The strings that are interned before the compile begins, sorted, one a line.
    startup_names: &'static str,
    /// The qualified names of nested classes among them, which dots keep out of the words.
    startup_classes: &'static str,
    /// Whether its bytes are known to be CPython's: only then users get them.
    pub is_released: bool,
    /// 3.13.1 and later 3.13: a comprehension gets the iterator of each source twice (gh-125038).
    pub repeats_get_iter: bool,
}

const BASE_3_13: Profile = Profile {
    minor: 13,
    patch: 0,
    magic: 3571,
    opcodes: &opcode::V313,
    startup_names: include_str!("startup_313.txt"),
    startup_classes: include_str!("startup_classes_313.txt"),
    is_released: true,
    repeats_get_iter: false,
};

static V3_13_0: Profile = BASE_3_13;

static V3_13: Profile = Profile {
    patch: 18,
    repeats_get_iter: true,
    ..BASE_3_13
};

static V3_14: Profile = Profile {
    minor: 14,
    patch: 10,
    magic: 3627,
    opcodes: &opcode::V314,
    startup_names: include_str!("startup_314.txt"),
    startup_classes: include_str!("startup_classes_314.txt"),
    is_released: true,
    repeats_get_iter: false,
};

impl Profile {
    /// Whether the target is `3.minor` or newer.
    pub fn since(&self, minor: u8) -> bool {
        self.minor >= minor
    }

    /// Whether a qualified name with dots is that of a class which a fresh process has loaded.
    pub fn is_startup_class(&self, name: &[u8]) -> bool {
        has_line(self.startup_classes.as_bytes(), name)
    }

    /// Whether a string is interned in a fresh process that is about to compile.
    pub fn is_startup_name(&self, name: &[u8]) -> bool {
        has_line(self.startup_names.as_bytes(), name)
    }

    /// The profile of a version's patch release; the newest for `None`. `None` when this compiler
    /// does not cover the version. It may be one that is not released yet.
    pub fn of(target: Target, patch: Option<u8>) -> Option<&'static Profile> {
        match (target.minor(), patch) {
            (13, Some(0)) => Some(&V3_13_0),
            (13, _) => Some(&V3_13),
            (14, _) => Some(&V3_14),
            _ => None,
        }
    }
}

/// Whether a text of sorted lines has a line.
fn has_line(mut text: &[u8], line: &[u8]) -> bool {
    while !text.is_empty() {
        let middle = text.len() / 2;
        let (before, after) = text.split_at(middle);
        let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        let end = memchr::memchr(b'\n', after).map_or(text.len(), |newline| middle + newline);
        match line.cmp(text.get(start..end).unwrap_or(&[])) {
            std::cmp::Ordering::Less => text = text.get(..start).unwrap_or(&[]),
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Greater => text = text.get(end + 1..).unwrap_or(&[]),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_startup_names_are_found_and_nothing_else_is() {
        for profile in [&V3_13, &V3_14] {
            for lines in [profile.startup_names, profile.startup_classes] {
                let bytes = lines.as_bytes();
                assert!(lines.lines().is_sorted_by_key(str::as_bytes));
                for line in lines.lines() {
                    assert!(has_line(bytes, line.as_bytes()), "{line}");
                    let longer = format!("{line}\u{1}");
                    assert!(!has_line(bytes, longer.as_bytes()), "{line}");
                }
                assert!(!has_line(bytes, b"\x01"));
                assert!(!has_line(bytes, b"\xff"));
            }
        }
        assert!(!has_line(b"", b"name"));
    }
}
