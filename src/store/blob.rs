//! The blob: one entry as a self-describing, checksummed run of bytes.
//!
//! ```text
//! offset  bytes  field (integers little endian)
//!      0      8  "pycfsblb"
//!      8      2  format version
//!     10      1  minor version of the target
//!     11      1  optimization level
//!     12      2  magic number of the pyc
//!     14      1  flags of the file name's record: 1 FLAG_REF, 2 interned
//!     15      1  encoding of the payload: 0 as it is, 1 zstd
//!     16      8  time of creation, seconds since 1970
//!     24      8  offset of the hole in the template
//!     32      8  length of the template
//!     40      8  length of the payload
//!     48     32  key
//!     80      …  payload
//!    end-32  32  BLAKE3 of everything before
//! ```
//! Invariant: bytes decode to the entry that was encoded under that key, or to an error.

use std::cell::RefCell;
use std::io;
use zstd::bulk::{Compressor, Decompressor};

use super::Entry;
use super::key::Key;
use crate::pyc::{Level, Target, Template};

/// The version of what is stored. Part of each key, so that versions never meet.
pub(super) const FORMAT: u16 = 1;
/// Bytes of the header.
pub(super) const HEADER_LEN: usize = 80;
/// Longest template that is stored, in bytes.
pub(super) const MAX_TEMPLATE: usize = 256 << 20;
/// Longest blob that is read, in bytes.
pub(super) const MAX_BLOB: usize = MAX_TEMPLATE + HEADER_LEN + CHECKSUM_LEN;

const SIGNATURE: [u8; 8] = *b"pycfsblb";
const CHECKSUM_LEN: usize = 32;
const FLAG_REF: u8 = 1;
const FLAG_INTERNED: u8 = 2;
const STORED: u8 = 0;
const ZSTD: u8 = 1;

/// What is wrong with a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Corrupt {
    /// It does not start with a blob's header.
    #[error("it has no blob header")]
    NoHeader,
    /// Another format version.
    #[error("its format version is {0}")]
    Format(u16),
    /// A field of the header has a value that is never written.
    #[error("the header's field '{0}' is out of range")]
    Field(&'static str),
    /// The file is shorter or longer than its header says.
    #[error("its length is not what its header says")]
    Length,
    /// The checksum does not fit.
    #[error("its checksum does not fit")]
    Checksum,
    /// It is the blob of another key.
    #[error("it belongs to another key")]
    OtherKey,
    /// The payload does not decompress to the template's length.
    #[error("its payload does not decompress")]
    Payload,
    /// The template's hole is not within it.
    #[error("its hole lies outside of its code")]
    Hole,
}

/// The header of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) target: Target,
    pub(super) level: Level,
    pub(super) magic: u16,
    pub(super) flag_ref: bool,
    pub(super) interned: bool,
    compressed: bool,
    /// Seconds since 1970.
    pub(super) created: u64,
    hole: u64,
    template_len: u64,
    payload_len: u64,
    pub(super) key: Key,
}

impl Header {
    /// Reads the header that `bytes` start with. `blob_len` is the length of the whole blob.
    pub(super) fn parse(bytes: &[u8], blob_len: u64) -> Result<Header, Corrupt> {
        let mut fields = Fields(bytes);
        if fields.take()? != SIGNATURE {
            return Err(Corrupt::NoHeader);
        }
        let format = u16::from_le_bytes(fields.take()?);
        if format != FORMAT {
            return Err(Corrupt::Format(format));
        }
        let [minor, level] = fields.take()?;
        let magic = u16::from_le_bytes(fields.take()?);
        let [flags, encoding] = fields.take()?;
        let header = Header {
            target: Target::from_minor(minor).ok_or(Corrupt::Field("target"))?,
            level: Level::from_number(level).ok_or(Corrupt::Field("level"))?,
            magic,
            flag_ref: flags & FLAG_REF != 0,
            interned: flags & FLAG_INTERNED != 0,
            compressed: match encoding {
                STORED => false,
                ZSTD => true,
                _ => return Err(Corrupt::Field("encoding")),
            },
            created: u64::from_le_bytes(fields.take()?),
            hole: u64::from_le_bytes(fields.take()?),
            template_len: u64::from_le_bytes(fields.take()?),
            payload_len: u64::from_le_bytes(fields.take()?),
            key: Key::from_bytes(fields.take()?),
        };
        if flags & !(FLAG_REF | FLAG_INTERNED) != 0 {
            return Err(Corrupt::Field("flags"));
        }
        if header.template_len > MAX_TEMPLATE as u64 {
            return Err(Corrupt::Field("template length"));
        }
        let around = (HEADER_LEN + CHECKSUM_LEN) as u64;
        if header.payload_len.checked_add(around) != Some(blob_len) {
            return Err(Corrupt::Length);
        }
        Ok(header)
    }

    fn write(&self, blob: &mut Vec<u8>) {
        let flags = u8::from(self.flag_ref) * FLAG_REF + u8::from(self.interned) * FLAG_INTERNED;
        let encoding = if self.compressed { ZSTD } else { STORED };
        blob.extend_from_slice(&SIGNATURE);
        blob.extend_from_slice(&FORMAT.to_le_bytes());
        blob.extend_from_slice(&[self.target.minor(), self.level.number()]);
        blob.extend_from_slice(&self.magic.to_le_bytes());
        blob.extend_from_slice(&[flags, encoding]);
        for number in [self.created, self.hole, self.template_len, self.payload_len] {
            blob.extend_from_slice(&number.to_le_bytes());
        }
        blob.extend_from_slice(self.key.as_bytes());
    }
}

/// Reads a header field by field.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Corrupt> {
        let (field, rest) = self.0.split_first_chunk().ok_or(Corrupt::NoHeader)?;
        self.0 = rest;
        Ok(*field)
    }
}

/// Makes blobs. Holds a compression context of about 0.5 MB, so it is made when there is work.
pub(super) struct Encoder(Compressor<'static>);

impl Encoder {
    pub(super) fn new() -> io::Result<Encoder> {
        Ok(Encoder(Compressor::new(1)?))
    }

    /// The blob of `entry`; `None` when the template is too long to be stored.
    pub(super) fn encode(&mut self, key: &Key, entry: &Entry, created: u64) -> Option<Vec<u8>> {
        let parts = entry.template.to_parts();
        if parts.bytes.len() > MAX_TEMPLATE {
            return None;
        }
        let packed = self
            .0
            .compress(parts.bytes)
            .ok()
            .filter(|packed| packed.len() < parts.bytes.len());
        let payload = packed.as_deref().unwrap_or(parts.bytes);
        let header = Header {
            target: entry.target,
            level: entry.level,
            magic: entry.magic,
            flag_ref: parts.flag_ref,
            interned: parts.interned,
            compressed: packed.is_some(),
            created,
            hole: u64::try_from(parts.hole).ok()?,
            template_len: u64::try_from(parts.bytes.len()).ok()?,
            payload_len: u64::try_from(payload.len()).ok()?,
            key: *key,
        };
        let mut blob = Vec::with_capacity(HEADER_LEN + payload.len() + CHECKSUM_LEN);
        header.write(&mut blob);
        blob.extend_from_slice(payload);
        let checksum = blake3::hash(&blob);
        blob.extend_from_slice(checksum.as_bytes());
        Some(blob)
    }
}

/// Checks a blob and takes the header and the payload out of it.
fn open(blob: &[u8]) -> Result<(Header, &[u8]), Corrupt> {
    let header = Header::parse(blob, u64::try_from(blob.len()).unwrap_or(u64::MAX))?;
    let (body, checksum) = blob
        .split_last_chunk::<CHECKSUM_LEN>()
        .ok_or(Corrupt::Length)?;
    if blake3::hash(body) != *checksum {
        return Err(Corrupt::Checksum);
    }
    let payload = body.get(HEADER_LEN..).ok_or(Corrupt::Length)?;
    Ok((header, payload))
}

/// The entry that the blob of `key` holds.
pub(super) fn decode(key: &Key, blob: &[u8]) -> Result<Entry, Corrupt> {
    let (header, payload) = open(blob)?;
    if header.key != *key {
        return Err(Corrupt::OtherKey);
    }
    entry(&header, payload)
}

/// The entry of a blob and the key it was stored under.
pub(super) fn decode_any(blob: &[u8]) -> Result<(Key, Entry), Corrupt> {
    let (header, payload) = open(blob)?;
    Ok((header.key, entry(&header, payload)?))
}

fn entry(header: &Header, payload: &[u8]) -> Result<Entry, Corrupt> {
    let template_len = usize::try_from(header.template_len).map_err(|_| Corrupt::Payload)?;
    let bytes = if header.compressed {
        decompress(payload, template_len)?
    } else {
        payload.to_vec()
    };
    if bytes.len() != template_len {
        return Err(Corrupt::Payload);
    }
    let hole = usize::try_from(header.hole).map_err(|_| Corrupt::Hole)?;
    let template = Template::from_parts(bytes, hole, header.flag_ref, header.interned)
        .map_err(|_| Corrupt::Hole)?;
    Ok(Entry {
        target: header.target,
        level: header.level,
        magic: header.magic,
        template,
    })
}

fn decompress(payload: &[u8], length: usize) -> Result<Vec<u8>, Corrupt> {
    thread_local! {
        // About 160 KB for each thread that reads; making one anew costs more than a read.
        static CONTEXT: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
    }
    CONTEXT.with_borrow_mut(|context| {
        if context.is_none() {
            *context = Decompressor::new().ok();
        }
        context
            .as_mut()
            .ok_or(Corrupt::Payload)?
            .decompress(payload, length)
            .map_err(|_| Corrupt::Payload)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{entry_of, key_of};

    fn blob(number: u64, length: usize) -> (Key, Entry, Vec<u8>) {
        let (key, entry) = (key_of(number), entry_of(number, length));
        let blob = Encoder::new().unwrap().encode(&key, &entry, 1).unwrap();
        (key, entry, blob)
    }

    #[test]
    fn an_entry_comes_back_as_it_was() {
        for length in [0, 1, 31, 20_000, 3_000_000] {
            let (key, entry, blob) = blob(7, length);
            assert_eq!(decode(&key, &blob), Ok(entry.clone()));
            assert_eq!(decode_any(&blob), Ok((key, entry)));
        }
    }

    #[test]
    fn code_is_compressed() {
        let (_, entry, blob) = blob(7, 20_000);
        assert!(blob.len() < entry.template.to_parts().bytes.len());
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        let (key, _, blob) = blob(3, 700);
        for at in 0..blob.len() {
            for flip in [1, 0x80, 0xff] {
                let mut bad = blob.clone();
                bad[at] ^= flip;
                assert!(decode(&key, &bad).is_err(), "byte {at} ^ {flip}");
            }
        }
    }

    #[test]
    fn every_truncation_and_extension_is_noticed() {
        let (key, _, blob) = blob(3, 700);
        for length in 0..blob.len() {
            assert!(decode(&key, &blob[..length]).is_err(), "length {length}");
        }
        let mut longer = blob;
        longer.push(0);
        assert_eq!(decode(&key, &longer), Err(Corrupt::Length));
    }

    #[test]
    fn another_keys_blob_is_no_answer() {
        let (_, _, blob) = blob(3, 700);
        assert_eq!(decode(&key_of(4), &blob), Err(Corrupt::OtherKey));
    }

    #[test]
    fn a_valid_checksum_does_not_excuse_wild_fields() {
        let (key, _, blob) = blob(3, 700);
        for (at, field) in [(10, 99), (11, 3), (14, 4), (15, 2), (31, 1), (36, 0xff)] {
            let mut bad = blob[..blob.len() - CHECKSUM_LEN].to_vec();
            bad[at] = field;
            let checksum = blake3::hash(&bad);
            bad.extend_from_slice(checksum.as_bytes());
            assert!(decode(&key, &bad).is_err(), "byte {at}");
        }
    }
}
