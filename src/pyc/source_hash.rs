//! The hash of a source in hash-based pycs (PEP 552).

use std::hash::Hasher;

use siphasher::sip::{SipHasher13, SipHasher24};

use super::magic::magic_bytes;
use super::target::Target;

/// `importlib.util.source_hash(source)` of an interpreter with this magic number.
///
/// SipHash keyed with the four magic bytes: 2-4 rounds up to 3.10, 1-3 rounds from 3.11 (CPython's
/// default hash algorithm changed then). The source is hashed as it is on disk. 3.6 has no
/// hash-based pycs; the answer for it has no reader.
pub fn source_hash(target: Target, magic: u16, source: &[u8]) -> [u8; 8] {
    let key = u64::from(u32::from_le_bytes(magic_bytes(magic)));
    let hash = if target.minor() >= 11 {
        let mut hasher = SipHasher13::new_with_keys(key, 0);
        hasher.write(source);
        hasher.finish()
    } else {
        let mut hasher = SipHasher24::new_with_keys(key, 0);
        hasher.write(source);
        hasher.finish()
    };
    hash.to_le_bytes()
}
