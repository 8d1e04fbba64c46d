//! The keeper's daily work: changes, uses, the limit, sweeps, room on a full disk.
//!
//! Invariant: each step needs an account and a folder and does nothing without; trouble with the
//! index ends the step and the index.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::Keeper;
use crate::store::account::Account;
use crate::store::clock;
use crate::store::core::Event;
use crate::store::eviction::evict;
use crate::store::index::Trouble;
use crate::store::key::Name;
use crate::store::quarantine;
use crate::store::status::{Agreement, GcReport, NotOwner};
use crate::store::sweep::{record, sweep_shard};

/// Most changes that are taken together.
const BATCH: usize = 256;
/// Age at which a file of `tmp/` has lost its writer.
const ABANDONED: Duration = Duration::from_secs(600);
/// Smallest number of bytes that a full disk is relieved by.
const ROOM: u64 = 64 << 10;
/// A sweep in the background works for this long before it lets others in.
const SWEEP_TURN: Duration = Duration::from_millis(2);

/// A sweep under way.
pub(super) struct Sweep {
    next: u16,
    /// Also shards whose folder did not change since the last sweep.
    everything: bool,
}

#[cfg(test)]
impl Sweep {
    /// The same with one shard left.
    pub(super) fn near_its_end(self) -> Sweep {
        Sweep { next: 255, ..self }
    }
}

impl Keeper {
    /// Makes the records of this blob, and of others that were told of, agree with the files.
    pub(super) fn note_changes(&mut self, first: Name) {
        let mut names = vec![first];
        let mut other = None;
        while names.len() < BATCH {
            match self.inbox.try_recv() {
                Ok(Event::Changed(name)) => names.push(name),
                Ok(event) => {
                    other = Some(event);
                    break;
                }
                Err(_) => break,
            }
        }
        names.sort_unstable();
        names.dedup();
        if let (Some(account), Some(place)) = (&mut self.account, &self.place) {
            let noted = account.update(&names, |name, old| match place.stat(name) {
                Ok(Some(stat)) => record(name, stat, old),
                Ok(None) => None,
                Err(_) => old,
            });
            match noted {
                Ok(()) => self.keep_limit(),
                Err(trouble) => self.lose_index(trouble),
            }
        }
        if let Some(event) = other {
            self.handle(event);
        }
    }

    /// Records which blobs were used, in the index and in the files' times.
    pub(super) fn record_uses(&mut self) {
        self.record_uses = None;
        let touched: Vec<Name> = self.core.take_touched().into_iter().collect();
        let Some(place) = self.place.as_ref().filter(|place| place.is_writable()) else {
            return;
        };
        let now = clock::now();
        let outdated = now.saturating_sub(clock::millis(self.core.options.pace.touch));
        let Some(account) = &mut self.account else {
            for name in touched {
                let stat = place.stat(&name).ok().flatten();
                if stat.is_some_and(|stat| stat.used <= outdated) {
                    let _ = place.set_used(&name, now);
                }
            }
            return;
        };
        for batch in touched.chunks(BATCH) {
            let recorded = account.update(batch, |name, old| {
                let mut record = old?;
                if record.used <= outdated {
                    record.used = now;
                    let _ = place.set_used(name, now);
                }
                Some(record)
            });
            if let Err(trouble) = recorded {
                return self.lose_index(trouble);
            }
        }
    }

    /// Evicts when there is more than the limit, a tenth below it, so that it is seldom needed.
    fn keep_limit(&mut self) {
        let limit = self.core.options.limit;
        let over = |account: &Account| account.bytes() > limit;
        if !self.rebuilding && self.account.as_ref().is_some_and(over) {
            self.evict_to(limit - limit / 10);
        }
    }

    /// Evicts to that many bytes; how many bytes went.
    fn evict_to(&mut self, target: u64) -> u64 {
        self.record_uses();
        let (Some(account), Some(place)) = (&mut self.account, &self.place) else {
            return 0;
        };
        match evict(account, place, target) {
            Ok(evicted) => {
                let counters = &self.core.counters;
                counters.evicted.fetch_add(evicted.entries, Relaxed);
                counters.evicted_bytes.fetch_add(evicted.bytes, Relaxed);
                evicted.bytes
            }
            Err(trouble) => {
                self.lose_index(trouble);
                0
            }
        }
    }

    /// Frees a fifth of the store on a full disk, at most every few seconds.
    pub(super) fn make_room(&mut self, wanted: u64) -> bool {
        let Some(place) = &self.place else {
            return false;
        };
        if self.lock.is_none() || Instant::now() < self.next_room {
            return false;
        }
        self.next_room = Instant::now() + Duration::from_secs(2).min(self.core.options.pace.retry);
        quarantine::purge(place.root());
        // The index itself may fail for want of room; the account in memory that follows does not.
        for _ in 0..2 {
            if self.rebuilding {
                self.sweep_all();
            }
            let bytes = self.account.as_ref().map_or(0, Account::bytes);
            let room = (bytes / 5).max(ROOM).max(wanted.saturating_mul(2));
            if self.evict_to(bytes.saturating_sub(room)) > 0 {
                return true;
            }
        }
        false
    }

    pub(super) fn start_sweep(&mut self) {
        self.next_sweep = Instant::now() + self.core.options.pace.sweep;
        self.sweep = Some(Sweep {
            next: 0,
            everything: self.rebuilding,
        });
        if let Some(place) = &self.place
            && let Err(error) = place.sweep_tmp(clock::millis(ABANDONED))
        {
            log::warn!("store: cannot sweep temporary files: {error}");
        }
        self.say_again();
    }

    /// Goes on with the sweep for a short while.
    pub(super) fn sweep_on(&mut self) {
        let Some(Sweep { next, everything }) = self.sweep else {
            return;
        };
        let end = Instant::now() + SWEEP_TURN;
        for number in next..256 {
            let shard = u8::try_from(number).unwrap_or(u8::MAX);
            if everything || !self.is_unchanged(shard) {
                if let Err(trouble) = self.sweep_one(shard) {
                    return self.lose_index(trouble);
                }
                if Instant::now() >= end {
                    self.sweep = Some(Sweep {
                        next: number + 1,
                        everything,
                    });
                    return;
                }
            }
        }
        self.end_sweep();
        self.keep_limit();
    }

    fn end_sweep(&mut self) {
        self.sweep = None;
        self.rebuilding = false;
        self.say_again();
    }

    /// Sweeps every shard now.
    fn sweep_all(&mut self) -> Agreement {
        let mut found = Agreement::default();
        for shard in 0..=u8::MAX {
            match self.sweep_one(shard) {
                Ok(agreement) => found += agreement,
                Err(trouble) => {
                    self.lose_index(trouble);
                    return found;
                }
            }
        }
        self.end_sweep();
        found
    }

    fn sweep_one(&mut self, shard: u8) -> Result<Agreement, Trouble> {
        let (Some(account), Some(place)) = (&mut self.account, &self.place) else {
            return Ok(Agreement::default());
        };
        let version = place.shard_version(shard);
        let found = sweep_shard(account, place, shard)?;
        let counters = &self.core.counters;
        counters.adopted.fetch_add(found.orphans, Relaxed);
        counters.corrupt.fetch_add(found.damaged, Relaxed);
        // A folder changed a moment ago can change again without another time.
        let settled = i64::try_from(clock::now() / 1000).unwrap_or(i64::MAX) - 2;
        if let Some(known) = self.versions.get_mut(usize::from(shard)) {
            *known = version.filter(|(seconds, _)| *seconds < settled);
        }
        Ok(found)
    }

    fn is_unchanged(&self, shard: u8) -> bool {
        let version = self
            .place
            .as_ref()
            .and_then(|place| place.shard_version(shard));
        let known = self.versions.get(usize::from(shard)).copied().flatten();
        known.is_some() && known == version
    }

    /// Repeats the state after `rebuilding` changed.
    fn say_again(&self) {
        self.core.condition.lock().counting = self.rebuilding;
    }

    fn not_owner(&self) -> NotOwner {
        let condition = self.core.condition.lock();
        NotOwner(
            condition
                .reason
                .clone()
                .unwrap_or_else(|| "the store is being opened".to_owned()),
        )
    }

    pub(super) fn audit(&mut self) -> Result<Agreement, NotOwner> {
        if self.account.is_none() {
            return Err(self.not_owner());
        }
        Ok(self.sweep_all())
    }

    pub(super) fn collect(&mut self, limit: u64) -> Result<GcReport, NotOwner> {
        let before = self.core.counters.counts();
        let agreement = self.audit()?;
        let place = self.place.as_ref();
        let temporary = place.and_then(|place| {
            quarantine::purge(place.root());
            place.sweep_tmp(clock::millis(ABANDONED)).ok()
        });
        self.evict_to(limit);
        let after = self.core.counters.counts();
        Ok(GcReport {
            evicted: after.evicted - before.evicted,
            evicted_bytes: after.evicted_bytes - before.evicted_bytes,
            entries: self.core.totals.entries.load(Relaxed),
            bytes: self.core.totals.bytes.load(Relaxed),
            temporary: temporary.unwrap_or(0),
            agreement,
        })
    }
}
