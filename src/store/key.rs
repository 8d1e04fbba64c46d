//! Names of entries: the digest of a source, and the key of the code made from it.
//!
//! Invariant: a key covers everything that decides the code (stored format, target, level,
//! compiler build, source bytes), so equal keys mean equal code and no entry is ever outdated.

use std::fmt;

use super::blob::FORMAT;
use crate::compiler::BuildId;
use crate::pyc::{Level, Target};

/// BLAKE3 of a source's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of the whole source as it is on disk.
    pub fn of(source: &[u8]) -> Digest {
        Digest(*blake3::hash(source).as_bytes())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({})", hex(&self.0))
    }
}

/// The key of an entry: BLAKE3(format ‖ target ‖ level ‖ build ‖ source digest).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key([u8; 32]);

impl Key {
    /// The key of the code that `build` makes of the source for `target` and `level`.
    pub fn new(target: Target, level: Level, build: &BuildId, source: &Digest) -> Key {
        let mut hasher = blake3::Hasher::new_derive_key("pycfs 2026 store key");
        hasher.update(&FORMAT.to_le_bytes());
        hasher.update(&[target.minor(), level.number()]);
        let build = build.0.as_bytes();
        hasher.update(&u64::try_from(build.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(build);
        hasher.update(&source.0);
        Key(*hasher.finalize().as_bytes())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A key from its bytes, as a blob's header holds them.
    pub(super) fn from_bytes(bytes: [u8; 32]) -> Key {
        Key(bytes)
    }

    /// The blob's name.
    pub(super) fn name(&self) -> Name {
        let mut name = [0; Name::LEN];
        for (to, from) in name.iter_mut().zip(self.0) {
            *to = from;
        }
        Name(name)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", hex(&self.0))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// The first 16 bytes of a key: the name of its blob file and of its record in the index.
///
/// Half a key keeps the index small. Should two keys ever share it, the header's full key makes
/// the lookup of the other one a miss.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Name([u8; Name::LEN]);

impl Name {
    /// Bytes in a name.
    pub(super) const LEN: usize = 16;

    pub(super) fn from_bytes(bytes: [u8; Name::LEN]) -> Name {
        Name(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8; Name::LEN] {
        &self.0
    }

    /// The folder of `blobs/` that holds the blob.
    pub(super) fn shard(&self) -> u8 {
        let [first, ..] = self.0;
        first
    }

    /// The first 14 bits: the index keeps records together by them.
    pub(super) fn bucket(&self) -> u16 {
        let [first, second, ..] = self.0;
        u16::from_be_bytes([first, second]) >> 2
    }

    /// The path beneath `blobs/`: `ab/cdef…`.
    pub(super) fn path(&self) -> String {
        let mut path = hex(&self.0);
        path.insert(2, '/');
        path
    }

    /// The name whose blob is `file` in the folder of `shard`.
    pub(super) fn parse(shard: u8, file: &[u8]) -> Option<Name> {
        let mut bytes = [0; Name::LEN];
        let (first, rest) = bytes.split_first_mut()?;
        *first = shard;
        if file.len() != 2 * rest.len() {
            return None;
        }
        for (byte, digits) in rest.iter_mut().zip(file.chunks_exact(2)) {
            let &[high, low] = digits else { return None };
            *byte = digit(high)? << 4 | digit(low)?;
        }
        Some(Name(bytes))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}

/// The value of a lower-case hexadecimal digit.
fn digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len() + 1);
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(minor: u8, level: Level, build: &str, source: &[u8]) -> Key {
        Key::new(
            Target::from_minor(minor).unwrap(),
            level,
            &BuildId(build.to_owned()),
            &Digest::of(source),
        )
    }

    #[test]
    fn each_part_of_the_identity_changes_the_key() {
        let base = key(12, Level::O0, "a", b"x");
        assert_eq!(base, key(12, Level::O0, "a", b"x"));
        for other in [
            key(13, Level::O0, "a", b"x"),
            key(12, Level::O1, "a", b"x"),
            key(12, Level::O0, "b", b"x"),
            key(12, Level::O0, "a", b"y"),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn a_name_is_found_again_from_its_path() {
        let name = key(9, Level::O2, "b", b"z").name();
        let path = name.path();
        let (shard, file) = path.split_once('/').unwrap();
        assert_eq!(u8::from_str_radix(shard, 16).unwrap(), name.shard());
        assert_eq!(Name::parse(name.shard(), file.as_bytes()), Some(name));
        assert_eq!(Name::parse(0, file.to_uppercase().as_bytes()), None);
        assert_eq!(Name::parse(0, b"abc"), None);
        assert_eq!(name.bucket() >> 6, u16::from(name.shard()));
    }
}
