//! The header of a pyc: magic number and what ties the code to its source.
//!
//! 12 bytes for 3.6 (magic, mtime, size), 16 bytes from 3.7 (PEP 552: magic, flags, then mtime and
//! size or the source's hash).

use std::fmt;
use std::str::FromStr;

use super::magic::magic_bytes;
use super::target::Target;

/// How a reader finds out whether a pyc still fits its source (`py_compile.PycInvalidationMode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum InvalidationMode {
    /// The source's mtime and size stand in the header.
    Timestamp,
    /// The source's hash stands in the header and the reader hashes the source to compare.
    CheckedHash,
    /// The source's hash stands in the header and the reader trusts it.
    UncheckedHash,
}

/// The text names no invalidation mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not one of timestamp, checked-hash, unchecked-hash")]
pub struct UnknownMode(pub String);

impl InvalidationMode {
    /// Every mode, in the order in which compileall lists them.
    pub const ALL: [InvalidationMode; 3] = [
        InvalidationMode::Timestamp,
        InvalidationMode::CheckedHash,
        InvalidationMode::UncheckedHash,
    ];

    /// The mode as `compileall --invalidation-mode` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            InvalidationMode::Timestamp => "timestamp",
            InvalidationMode::CheckedHash => "checked-hash",
            InvalidationMode::UncheckedHash => "unchecked-hash",
        }
    }
}

impl fmt::Display for InvalidationMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for InvalidationMode {
    type Err = UnknownMode;

    fn from_str(text: &str) -> Result<InvalidationMode, UnknownMode> {
        InvalidationMode::ALL
            .into_iter()
            .find(|mode| mode.as_str() == text)
            .ok_or_else(|| UnknownMode(text.to_owned()))
    }
}

/// The part of a header that a reader compares with the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Validation {
    /// The low 32 bits of the source's mtime in seconds ([`mtime_field`]) and of its size in bytes.
    Timestamp {
        /// The mtime, whole seconds.
        mtime: u32,
        /// The size in bytes.
        size: u32,
    },
    /// The source's hash ([`source_hash`](super::source_hash)).
    Hash {
        /// The eight bytes as they stand in the file.
        hash: [u8; 8],
        /// Whether the reader hashes the source to compare.
        checked: bool,
    },
}

/// The header of a pyc of one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Header {
    target: Target,
    magic: u16,
    validation: Validation,
}

/// Bytes that are no header of the target, or a header that the target cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The bytes end within the header.
    #[error("a pyc of {0} bytes has no whole header")]
    Short(usize),
    /// Bytes 2 and 3 are not `\r\n`.
    #[error("no pyc: the magic number does not end in \\r\\n")]
    NotAPyc,
    /// A flag that PEP 552 does not define, or a checked-source flag without a hash.
    #[error("unknown flags {0:#x}")]
    Flags(u32),
    /// CPython 3.6 has no hash-based pycs.
    #[error("CPython {0} has no hash-based pycs")]
    NoHashes(Target),
}

/// Flag bit: eight bytes of hash follow instead of mtime and size.
const HASH_BASED: u32 = 0b01;
/// Flag bit: the reader compares the hash with the source's.
const CHECK_SOURCE: u32 = 0b10;

impl Header {
    /// A timestamp header. `mtime` is [`mtime_field`]'s answer, `size` the size in bytes (its low
    /// 32 bits are kept).
    pub fn timestamp(target: Target, magic: u16, mtime: u32, size: u64) -> Header {
        let [a, b, c, d, ..] = size.to_le_bytes();
        Header {
            target,
            magic,
            validation: Validation::Timestamp {
                mtime,
                size: u32::from_le_bytes([a, b, c, d]),
            },
        }
    }

    /// A hash-based header; [`HeaderError::NoHashes`] for 3.6.
    pub fn hash(
        target: Target,
        magic: u16,
        hash: [u8; 8],
        checked: bool,
    ) -> Result<Header, HeaderError> {
        if !has_flags(target) {
            return Err(HeaderError::NoHashes(target));
        }
        Ok(Header {
            target,
            magic,
            validation: Validation::Hash { hash, checked },
        })
    }

    /// The bytes of a header of `target`: 12 or 16. The marshalled code starts there.
    pub fn size(target: Target) -> usize {
        if has_flags(target) { 16 } else { 12 }
    }

    /// The magic number.
    pub fn magic(&self) -> u16 {
        self.magic
    }

    /// What a reader compares with the source.
    pub fn validation(&self) -> Validation {
        self.validation
    }

    /// The invalidation mode.
    pub fn mode(&self) -> InvalidationMode {
        match self.validation {
            Validation::Timestamp { .. } => InvalidationMode::Timestamp,
            Validation::Hash { checked: true, .. } => InvalidationMode::CheckedHash,
            Validation::Hash { checked: false, .. } => InvalidationMode::UncheckedHash,
        }
    }

    /// The header's bytes, [`Header::size`] of them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = magic_bytes(self.magic).to_vec();
        if has_flags(self.target) {
            let flags = match self.validation {
                Validation::Timestamp { .. } => 0,
                Validation::Hash { checked: false, .. } => HASH_BASED,
                Validation::Hash { checked: true, .. } => HASH_BASED | CHECK_SOURCE,
            };
            bytes.extend_from_slice(&flags.to_le_bytes());
        }
        match self.validation {
            Validation::Timestamp { mtime, size } => {
                bytes.extend_from_slice(&mtime.to_le_bytes());
                bytes.extend_from_slice(&size.to_le_bytes());
            }
            Validation::Hash { hash, .. } => bytes.extend_from_slice(&hash),
        }
        bytes
    }

    /// Reads the header at the start of a pyc of `target`; bytes after it are left alone. The
    /// magic number is not compared with the target's.
    pub fn read(target: Target, pyc: &[u8]) -> Result<Header, HeaderError> {
        let short = || HeaderError::Short(pyc.len());
        let (magic, rest) = pyc.split_first_chunk::<4>().ok_or_else(short)?;
        let [low, high, b'\r', b'\n'] = *magic else {
            return Err(HeaderError::NotAPyc);
        };
        let magic = u16::from_le_bytes([low, high]);
        let (flags, rest) = if has_flags(target) {
            let (flags, rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
            (u32::from_le_bytes(*flags), rest)
        } else {
            (0, rest)
        };
        let hash = *rest.first_chunk::<8>().ok_or_else(short)?;
        let [a, b, c, d, e, f, g, h] = hash;
        let validation = match flags {
            0 => Validation::Timestamp {
                mtime: u32::from_le_bytes([a, b, c, d]),
                size: u32::from_le_bytes([e, f, g, h]),
            },
            HASH_BASED => Validation::Hash {
                hash,
                checked: false,
            },
            flags if flags == HASH_BASED | CHECK_SOURCE => Validation::Hash {
                hash,
                checked: true,
            },
            flags => return Err(HeaderError::Flags(flags)),
        };
        Ok(Header {
            target,
            magic,
            validation,
        })
    }
}

/// Whether the header has PEP 552's flags.
fn has_flags(target: Target) -> bool {
    target.minor() >= 7
}

/// The mtime field for a source with this mtime, `int(os.stat(source).st_mtime) & 0xFFFFFFFF`.
///
/// `st_mtime` is a double made of seconds and nanoseconds, so the last nanoseconds before a full
/// second round up to it, and times before 1970 are cut toward zero.
pub fn mtime_field(seconds: i64, nanoseconds: u32) -> u32 {
    let st_mtime = seconds as f64 + 1e-9 * f64::from(nanoseconds);
    let [a, b, c, d, ..] = (st_mtime as i64).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(minor: u8) -> Target {
        Target::from_minor(minor).unwrap()
    }

    #[test]
    fn headers_round_trip() {
        for target in Target::all() {
            let mut headers = vec![Header::timestamp(target, 3571, 5, 1 << 33 | 7)];
            for checked in [true, false] {
                headers.extend(Header::hash(target, 3571, *b"12345678", checked));
            }
            assert_eq!(headers.len(), if target.minor() == 6 { 1 } else { 3 });
            for header in headers {
                let bytes = header.to_bytes();
                assert_eq!(bytes.len(), Header::size(target));
                assert_eq!(Header::read(target, &bytes), Ok(header));
                for length in 0..bytes.len() {
                    let error = Header::read(target, &bytes[..length]).unwrap_err();
                    assert_eq!(error, HeaderError::Short(length));
                }
            }
        }
    }

    #[test]
    fn undefined_flags_are_refused() {
        for flags in [0b10u8, 0b100, 0b111] {
            let mut bytes = Header::timestamp(target(13), 3571, 5, 7).to_bytes();
            bytes[4] = flags;
            let error = Header::read(target(13), &bytes).unwrap_err();
            assert_eq!(error, HeaderError::Flags(flags.into()));
        }
    }

    #[test]
    fn modes_are_spelled_as_compileall_does() {
        for mode in InvalidationMode::ALL {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert!("CheckedHash".parse::<InvalidationMode>().is_err());
    }
}
