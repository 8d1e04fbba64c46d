//! Versions of sources and the digests of their content.
//!
//! A digest may be remembered for a version only when no later version can have equal attributes:
//! the change time is at least 2 s in the past (clocks are coarse), and not in the future.
//! The memory ends with the process: numbers of devices and inodes mean nothing across mounts
//! (two images of one layout can agree in all of them and differ in content).

use hashlink::LruCache;
use parking_lot::Mutex;
use std::sync::Arc;

use crate::store::Digest;
use crate::tree::{Attr, Identity, Time};

/// How many versions are remembered; about 150 bytes each.
const REMEMBERED: usize = 32_768;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Version {
    identity: Identity,
    mount: u64,
    size: u64,
    mtime: Time,
    ctime: Time,
}

/// What is known of one version of a source.
#[derive(Clone)]
pub struct Known {
    /// The digest of its content.
    pub digest: Digest,
    /// Its access ACL as the extended attribute holds it, if it has one.
    pub acl: Option<Arc<[u8]>>,
}

/// The remembered versions, least recently used ones dropped first.
pub struct Versions {
    known: Mutex<LruCache<Version, Known>>,
}

impl Default for Versions {
    fn default() -> Versions {
        Versions {
            known: Mutex::new(LruCache::new(REMEMBERED)),
        }
    }
}

impl Versions {
    /// What is known of the version with these attributes, if they can be trusted at `now`.
    pub fn get(&self, attr: &Attr, now: Time) -> Option<Known> {
        if attr.is_recent(now) {
            return None;
        }
        self.known.lock().get(&version(attr)).cloned()
    }

    /// Remembers a version that was read and found unchanged at `now`.
    pub fn put(&self, attr: &Attr, now: Time, known: Known) {
        if !attr.is_recent(now) {
            self.known.lock().insert(version(attr), known);
        }
    }
}

fn version(attr: &Attr) -> Version {
    Version {
        identity: attr.identity,
        mount: attr.mount,
        size: attr.size,
        mtime: attr.mtime,
        ctime: attr.ctime,
    }
}
