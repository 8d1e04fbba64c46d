//! Inode numbers: which range a file's number comes from, and how it is derived.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;

use crate::tree::{Attr, Identity};

/// The number of the root of the mount, as the FUSE protocol has it.
pub const ROOT: u64 = 1;

/// Numbers from here on are not taken over from the source.
const RESERVED: u64 = 1 << 62;
/// Files of another filesystem (or another mount of the same one) below the root.
const FOREIGN: u64 = RESERVED;
/// Synthesized `__pycache__` directories.
const CACHE_DIRECTORY: u64 = RESERVED | 1 << 60;
/// Synthesized pycs.
const PYC: u64 = RESERVED | 2 << 60;
/// The bits below the range.
const WITHIN: u64 = (1 << 60) - 1;

/// The number for a file of the source. `root` is the root's own attributes.
pub fn of_source(attr: &Attr, root: &Attr) -> u64 {
    let Identity { dev, ino, .. } = attr.identity;
    if attr.identity == root.identity && attr.mount == root.mount {
        return ROOT;
    }
    let home = dev == root.identity.dev && attr.mount == root.mount;
    if home && ino > ROOT && ino < RESERVED {
        return ino;
    }
    foreign(attr, dev == root.identity.dev)
}

/// The number for a file that cannot have its own. A bind mount of the root's filesystem is told
/// apart by its mount, or a directory would be at two places.
pub fn foreign(attr: &Attr, same_filesystem: bool) -> u64 {
    let mount = if same_filesystem { attr.mount } else { 0 };
    let Identity { dev, ino, .. } = attr.identity;
    FOREIGN | derive(&[mount.to_le_bytes(), dev.to_le_bytes(), ino.to_le_bytes()])
}

/// The number for what one look-up found, the `count`-th: no other look-up has it.
pub fn of_look_up(attr: &Attr, count: u64) -> u64 {
    let Identity { dev, ino, .. } = attr.identity;
    FOREIGN | derive(&[dev, ino, count].map(u64::to_le_bytes))
}

/// The number for one version of a file whose changes nobody tells of, where the source's own is
/// taken. Never 0.
pub fn of_version(attr: &Attr) -> u64 {
    let Identity { dev, ino, birth } = attr.identity;
    let [mount, dev, ino, size] = [attr.mount, dev, ino, attr.size].map(i128::from);
    let [birth, mtime, ctime] = [birth, attr.mtime, attr.ctime].map(|time| time.nanos());
    let parts = [mount, dev, ino, size, birth, mtime, ctime];
    FOREIGN | derive(&parts.map(i128::to_le_bytes))
}

/// The number for the `__pycache__` of the directory with number `parent`.
pub fn of_cache_directory(parent: u64) -> u64 {
    CACHE_DIRECTORY | derive(&[parent.to_le_bytes()])
}

/// The number for a pyc, from everything that decides its bytes and place.
pub fn of_pyc(parts: &[Vec<u8>]) -> u64 {
    PYC | derive(parts)
}

/// Whether this is a pyc's number.
pub fn is_pyc(number: u64) -> bool {
    number & !WITHIN == PYC
}

/// The number a listing shows for a pyc that was not looked up: stable, and never a real one's.
pub fn of_listed_pyc(directory: u64, name: &[u8]) -> u64 {
    // Shown only, so that it need not be unique: a quick hash will do for listings of any length.
    let mut hasher = SipHasher13::new_with_keys(directory, u64::from_le_bytes(*b"listed\0\0"));
    hasher.write(name);
    PYC | hasher.finish() & WITHIN
}

/// The number a listing of the real directory `dir` shows for the entry with inode number `ino`:
/// what a look-up will give, unless something is mounted on the entry.
pub fn listed(ino: u64, home: bool, dir: &Attr) -> u64 {
    if home && ino > ROOT && ino < RESERVED {
        return ino;
    }
    let identity = Identity {
        ino,
        ..dir.identity
    };
    foreign(&Attr { identity, ..*dir }, false)
}

/// The next number to try when one is taken by something else.
pub fn next(number: u64) -> u64 {
    let range = if number < RESERVED {
        FOREIGN
    } else {
        number & !WITHIN
    };
    range | (number.wrapping_add(1) & WITHIN)
}

fn derive<T: AsRef<[u8]>>(parts: &[T]) -> u64 {
    // Each part is preceded by its length: no two lists of parts run together.
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        let part = part.as_ref();
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    u64::from_le_bytes(first) & WITHIN
}
