//! What the index holds: a record for each blob, kept together in buckets.
//!
//! Invariant: a record stands in the bucket of its name, and at most once. Buckets keep the index
//! small: sled takes about 300 bytes of memory for each of its entries, a record is 26 bytes, and
//! with 16,384 buckets a value stays below 1 KB up to 600,000 blobs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::index::Trouble;
use super::key::Name;

/// Records with the same first 14 bits of their name.
pub(super) type Bucket = u16;

/// Buckets that make up one shard (one folder of `blobs/`).
const BUCKETS_OF_SHARD: u16 = 64;

/// The buckets of a shard, first and last.
pub(super) fn buckets_of(shard: u8) -> std::ops::RangeInclusive<Bucket> {
    let first = u16::from(shard) * BUCKETS_OF_SHARD;
    first..=first + (BUCKETS_OF_SHARD - 1)
}

/// What is known of one blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) name: Name,
    /// Length of the blob file in bytes.
    pub(super) size: u32,
    /// Time of last use, milliseconds since 1970.
    pub(super) used: u64,
}

impl Record {
    const LEN: usize = Name::LEN + 4 + 6;

    /// The value of a bucket.
    pub(super) fn write_all(records: &[Record]) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(records.len() * Record::LEN);
        for record in records {
            bytes.extend_from_slice(record.name.as_bytes());
            bytes.extend_from_slice(&record.size.to_le_bytes());
            // 48 bits of milliseconds last for 8,900 years.
            bytes.extend(record.used.to_le_bytes().iter().take(6));
        }
        bytes
    }

    /// The records of a bucket's value; `None` when it cannot be one.
    pub(super) fn read_all(bucket: Bucket, mut bytes: &[u8]) -> Option<Vec<Record>> {
        let mut records = Vec::with_capacity(bytes.len() / Record::LEN);
        while !bytes.is_empty() {
            let (name, rest) = bytes.split_first_chunk::<{ Name::LEN }>()?;
            let (size, rest) = rest.split_first_chunk::<4>()?;
            let (&[a, b, c, d, e, f], rest) = rest.split_first_chunk::<6>()?;
            bytes = rest;
            let record = Record {
                name: Name::from_bytes(*name),
                size: u32::from_le_bytes(*size),
                used: u64::from_le_bytes([a, b, c, d, e, f, 0, 0]),
            };
            if record.name.bucket() != bucket {
                return None;
            }
            records.push(record);
        }
        Some(records)
    }
}

/// Where buckets are kept. Any trouble means that the ledger is lost: it is thrown away and
/// rebuilt from the blobs.
pub(super) trait Ledger: Send {
    /// The records of each of the buckets, in their order.
    fn read(&mut self, buckets: Vec<Bucket>) -> Result<Vec<Vec<Record>>, Trouble>;
    /// Replaces buckets, all or none of them.
    fn write(&mut self, buckets: Vec<(Bucket, Vec<Record>)>) -> Result<(), Trouble>;
    /// Makes what was written last beyond the end of the process.
    fn flush(&mut self) -> Result<(), Trouble>;
    /// Ends the ledger, waiting no longer than `patience` for it.
    fn close(self: Box<Self>, patience: Duration);
}

/// A ledger in memory, for when no index can be opened. About 60 bytes a blob.
#[derive(Default)]
pub(super) struct MemoryLedger(BTreeMap<Bucket, Vec<Record>>);

impl Ledger for MemoryLedger {
    fn read(&mut self, buckets: Vec<Bucket>) -> Result<Vec<Vec<Record>>, Trouble> {
        Ok(buckets
            .iter()
            .map(|bucket| self.0.get(bucket).cloned().unwrap_or_default())
            .collect())
    }

    fn write(&mut self, buckets: Vec<(Bucket, Vec<Record>)>) -> Result<(), Trouble> {
        for (bucket, records) in buckets {
            if records.is_empty() {
                self.0.remove(&bucket);
            } else {
                self.0.insert(bucket, records);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Trouble> {
        Ok(())
    }

    fn close(self: Box<Self>, _patience: Duration) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::key_of;

    #[test]
    fn records_come_back_as_they_were() {
        let name = key_of(5).name();
        let record = Record {
            name,
            size: u32::MAX,
            used: (1 << 48) - 1,
        };
        let bytes = Record::write_all(&[record, record]);
        assert_eq!(
            Record::read_all(name.bucket(), &bytes),
            Some(vec![record, record])
        );
        assert_eq!(
            Record::read_all(name.bucket(), &bytes[..bytes.len() - 1]),
            None
        );
        assert_eq!(Record::read_all(name.bucket() ^ 1, &bytes), None);
    }

    #[test]
    fn shards_cover_every_bucket_once() {
        let all: Vec<Bucket> = (0..=255).flat_map(buckets_of).collect();
        assert_eq!(all, (0..1 << 14).collect::<Vec<_>>());
    }
}
