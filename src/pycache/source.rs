//! Sources as a request finds them: one version, its digest, its bytes.
//!
//! Invariant: what is said of a version was read from that version, or is remembered of one that
//! no later version can be taken for (see [`Versions`]).

use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::absent::Absent;
use super::counters::Counters;
use super::synthesis::Ask;
use super::version::{Known, Versions};
use crate::store::Digest;
use crate::tree::{self, Attr, SourceFile, Time};

/// How often a source that changes while it is read is read again.
const READS: usize = 4;

/// A version of a source as it was seen.
pub(super) struct Seen {
    pub source: Attr,
    pub followed: bool,
    pub known: Known,
    /// When: before anything of it was read.
    pub at: Time,
}

/// The sources of one mount.
pub(super) struct Sources {
    versions: Versions,
    /// The largest that is read, in bytes.
    largest: u64,
}

impl Sources {
    /// Reads sources of up to `largest` bytes.
    pub fn new(largest: u64) -> Sources {
        Sources {
            versions: Versions::default(),
            largest,
        }
    }

    /// The source's version now, what is known of it, and its bytes if they had to be read.
    pub fn now(&self, ask: &Ask, counters: &Counters) -> Result<(Seen, Option<Vec<u8>>), Absent> {
        for _ in 0..READS {
            let file = match open(ask) {
                Err(error) if error.errno == Errno::STALE => continue,
                file => file.map_err(Absent::NoSource)?,
            };
            let source = *file.attr();
            if source.size > self.largest {
                return Err(Absent::TooLarge);
            }
            // The clock is read before the source: what changes later is recent by this time.
            let at = Time::now();
            if let Some(known) = self.versions.get(&source, at) {
                let followed = file.followed();
                let seen = Seen {
                    source,
                    followed,
                    known,
                    at,
                };
                return Ok((seen, None));
            }
            let bytes = match file.read_whole(self.largest) {
                Err(error) if error.errno == Errno::AGAIN => continue,
                bytes => bytes.map_err(Absent::NoSource)?,
            };
            Counters::add(&counters.hashed);
            let known = Known {
                digest: Digest::of(&bytes),
                acl: tree::xattr::read_acl(&file).map(Arc::from),
            };
            self.versions.put(&source, at, known.clone());
            let seen = Seen {
                source,
                followed: file.followed(),
                known,
                at,
            };
            return Ok((seen, Some(bytes)));
        }
        Err(Absent::Unsettled)
    }

    /// The content with this digest, read once more.
    pub fn again(&self, ask: &Ask, digest: &Digest) -> Result<Vec<u8>, Absent> {
        let file = open(ask).map_err(Absent::NoSource)?;
        let bytes = file.read_whole(self.largest).map_err(Absent::NoSource)?;
        if Digest::of(&bytes) == *digest {
            Ok(bytes)
        } else {
            Err(Absent::Unsettled)
        }
    }
}

fn open(ask: &Ask) -> Result<SourceFile, tree::Error> {
    let name = ask.name.source_name();
    SourceFile::open_followed(&ask.root, &ask.path, &ask.dir, OsStr::from_bytes(&name))
}
