//! Answers given lately, by the version of the source: what makes a warm request cheap.
//!
//! Invariant: an answer is found only for attributes that no later version of the source can have
//! (see [`Version`]'s module), so it is the answer that reading the source again would give.

use hashlink::LruCache;
use parking_lot::Mutex;
use std::sync::Arc;

use super::entry::Pyc;
use super::synthesis::Ask;
use super::version::Version;
use crate::pyc::{Level, Target};
use crate::tree::{Attr, Time};

/// How many answers are remembered; about 500 bytes each.
const REMEMBERED: usize = 16_384;

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Question {
    version: Version,
    target: Target,
    level: Level,
    directory: u64,
}

/// The answers, least recently used ones dropped first.
pub struct Answers {
    given: Mutex<LruCache<Question, Arc<Pyc>>>,
}

impl Default for Answers {
    fn default() -> Answers {
        Answers {
            given: Mutex::new(LruCache::new(REMEMBERED)),
        }
    }
}

impl Answers {
    /// The answer to this request when the source has these attributes at `now`.
    pub fn get(&self, ask: &Ask, source: &Attr, now: Time) -> Option<Arc<Pyc>> {
        if source.is_recent(now) {
            return None;
        }
        self.given.lock().get(&question(ask, source)).cloned()
    }

    /// Remembers an answer to this request that was made from attributes seen at `now`.
    pub fn put(&self, ask: &Ask, pyc: &Arc<Pyc>, now: Time) {
        if !pyc.source.is_recent(now) {
            let question = question(ask, &pyc.source);
            self.given.lock().insert(question, Arc::clone(pyc));
        }
    }
}

fn question(ask: &Ask, source: &Attr) -> Question {
    Question {
        version: Version::of(source),
        target: ask.name.target,
        level: ask.name.level,
        directory: ask.directory,
    }
}
