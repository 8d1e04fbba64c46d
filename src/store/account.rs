//! The account of the store: records of every blob and their exact sum.
//!
//! Invariant: `entries` and `bytes` are always the number of records in the ledger and the sum of
//! their sizes. A size is the length of the blob file, not the disk blocks it takes: lengths are
//! the same on every filesystem and at every moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::index::Trouble;
use super::key::Name;
use super::ledger::{Bucket, Ledger, Record, buckets_of};

/// Number of blobs and the sum of their file lengths, for anyone to read.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) entries: AtomicU64,
    pub(super) bytes: AtomicU64,
}

/// A ledger and what it adds up to.
pub(super) struct Account {
    ledger: Box<dyn Ledger>,
    totals: Arc<Totals>,
    entries: u64,
    bytes: u64,
}

impl Account {
    /// Takes over a ledger, adding up what it holds.
    pub(super) fn open(ledger: Box<dyn Ledger>, totals: Arc<Totals>) -> Result<Account, Trouble> {
        let mut account = Account {
            ledger,
            totals,
            entries: 0,
            bytes: 0,
        };
        for shard in 0..=u8::MAX {
            for record in account.shard(shard)? {
                account.entries += 1;
                account.bytes += u64::from(record.size);
            }
        }
        account.publish();
        Ok(account)
    }

    /// Sum of the blobs' file lengths.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The records of a shard.
    pub(super) fn shard(&mut self, shard: u8) -> Result<Vec<Record>, Trouble> {
        let buckets = self.ledger.read(buckets_of(shard).collect())?;
        Ok(buckets.into_iter().flatten().collect())
    }

    /// Changes the records of `names`: `change` gets what is recorded and gives what is to be.
    pub(super) fn update(
        &mut self,
        names: &[Name],
        mut change: impl FnMut(&Name, Option<Record>) -> Option<Record>,
    ) -> Result<(), Trouble> {
        let mut by_bucket = BTreeMap::<Bucket, Vec<Name>>::new();
        for name in names {
            by_bucket.entry(name.bucket()).or_default().push(*name);
        }
        let before = self.ledger.read(by_bucket.keys().copied().collect())?;
        let (mut entries, mut bytes) = (self.entries, self.bytes);
        let mut changed = Vec::new();
        for ((bucket, names), mut records) in by_bucket.into_iter().zip(before) {
            let mut differs = false;
            for name in names {
                let at = records.iter().position(|record| record.name == name);
                let old = at.map(|at| records.swap_remove(at));
                let new = change(&name, old);
                differs |= new != old;
                if let Some(old) = old {
                    entries = entries.saturating_sub(1);
                    bytes = bytes.saturating_sub(u64::from(old.size));
                }
                if let Some(new) = new {
                    entries += 1;
                    bytes += u64::from(new.size);
                    records.push(new);
                }
            }
            if differs {
                changed.push((bucket, records));
            }
        }
        if !changed.is_empty() {
            self.ledger.write(changed)?;
        }
        (self.entries, self.bytes) = (entries, bytes);
        self.publish();
        Ok(())
    }

    /// Makes the records last beyond the end of the process.
    pub(super) fn flush(&mut self) -> Result<(), Trouble> {
        self.ledger.flush()
    }

    /// Ends the ledger, waiting no longer than `patience`.
    pub(super) fn close(self, patience: Duration) {
        self.ledger.close(patience);
    }

    fn publish(&self) {
        self.totals.entries.store(self.entries, Relaxed);
        self.totals.bytes.store(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::ledger::MemoryLedger;
    use crate::store::testing::key_of;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn the_sum_follows_any_run_of_changes(
            steps in proptest::collection::vec(
                proptest::collection::vec((0u64..40, proptest::option::of(0u32..1000)), 1..8),
                1..40,
            )
        ) {
            let totals = Arc::new(Totals::default());
            let mut account =
                Account::open(Box::<MemoryLedger>::default(), Arc::clone(&totals)).unwrap();
            let mut model = HashMap::new();
            for step in steps {
                let step: HashMap<Name, Option<u32>> = step
                    .into_iter()
                    .map(|(number, size)| (key_of(number).name(), size))
                    .collect();
                let names: Vec<Name> = step.keys().copied().collect();
                account
                    .update(&names, |name, old| {
                        assert_eq!(old.map(|old| old.size), model.get(name).copied());
                        step[name].map(|size| Record { name: *name, size, used: 1 })
                    })
                    .unwrap();
                for (name, size) in step {
                    match size {
                        Some(size) => model.insert(name, size),
                        None => model.remove(&name),
                    };
                }
                let sum: u64 = model.values().map(|size| u64::from(*size)).sum();
                prop_assert_eq!(totals.bytes.load(Relaxed), sum);
                prop_assert_eq!(totals.entries.load(Relaxed), model.len() as u64);
            }
        }
    }
}
