//! The records that fanotify(7) writes, read without trust in their lengths.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::change::Change;
use crate::sys::fanotify::HANDLE_HEADER;

/// Content was written.
pub(super) const MODIFY: u64 = 0x2;
/// Attributes changed.
pub(super) const ATTRIB: u64 = 0x4;
/// A file that was open for writing was closed.
pub(super) const CLOSE_WRITE: u64 = 0x8;
/// A name went by a rename.
pub(super) const MOVED_FROM: u64 = 0x40;
/// A name came by a rename.
pub(super) const MOVED_TO: u64 = 0x80;
/// A name came.
pub(super) const CREATE: u64 = 0x100;
/// A name went.
pub(super) const DELETE: u64 = 0x200;
/// Events were lost.
pub(super) const OVERFLOW: u64 = 0x4000;
/// The event is about a directory.
pub(super) const ON_DIRECTORY: u64 = 0x4000_0000;

/// Everything that changes what the mount shows.
pub(super) const MASK: u64 = NAMES | CONTENT | ON_DIRECTORY;
const NAMES: u64 = MOVED_FROM | MOVED_TO | CREATE | DELETE;
const CONTENT: u64 = MODIFY | ATTRIB | CLOSE_WRITE;

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event<'a> {
    /// What happened, as bits.
    pub mask: u64,
    /// The directory (filesystem number and handle) and the name in it.
    pub named: Option<(&'a [u8], &'a OsStr)>,
    /// The file itself.
    pub object: Option<&'a [u8]>,
}

/// The events in what one read gave. What cannot be understood ends them with an overflow.
pub(super) fn parse(mut buffer: &[u8]) -> Vec<Event<'_>> {
    let mut events = Vec::new();
    while !buffer.is_empty() {
        match next(&mut buffer) {
            Some(event) => events.push(event),
            None => {
                events.push(Event {
                    mask: OVERFLOW,
                    named: None,
                    object: None,
                });
                break;
            }
        }
    }
    events
}

fn next<'a>(buffer: &mut &'a [u8]) -> Option<Event<'a>> {
    const VERSION: u8 = 3;
    let length = word(buffer, 0)? as usize;
    if *buffer.get(4)? != VERSION {
        return None;
    }
    let header = usize::from(u16::from_ne_bytes(field(buffer, 6)?));
    let mask = u64::from_ne_bytes(field(buffer, 8)?);
    let mut records = buffer.get(header..length)?;
    *buffer = buffer.get(length..)?;
    let mut event = Event {
        mask,
        named: None,
        object: None,
    };
    while !records.is_empty() {
        let kind = *records.first()?;
        let length = usize::from(u16::from_ne_bytes(field(records, 2)?));
        let record = records.get(..length).filter(|_| length >= 4)?;
        records = records.get(length..)?;
        record_of(kind, record, &mut event);
    }
    Some(event)
}

fn record_of<'a>(kind: u8, record: &'a [u8], event: &mut Event<'a>) {
    const FID: u8 = 1;
    const DFID_NAME: u8 = 2;
    const DFID: u8 = 3;
    const START: usize = 4;
    const FILESYSTEM: usize = 8;
    let handle = word(record, START + FILESYSTEM).and_then(|length| {
        let end = START + FILESYSTEM + HANDLE_HEADER + length as usize;
        Some((record.get(START..end)?, record.get(end..)?))
    });
    let Some((key, rest)) = handle else {
        return;
    };
    match kind {
        FID => event.object = Some(key),
        DFID => event.named = Some((key, OsStr::new("."))),
        DFID_NAME => {
            let end = rest
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(rest.len());
            let name = rest.get(..end).unwrap_or_default();
            event.named = Some((key, OsStr::from_bytes(name)));
        }
        // A kind that we did not ask for.
        _ => {}
    }
}

fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at + N)?.try_into().ok()
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(field(bytes, at)?))
}

impl Event<'_> {
    /// What happened to the name in the covered directory with this number; `number` is that of
    /// the file itself, if it is known.
    pub fn changes(
        &self,
        directory: u64,
        name: &OsStr,
        number: Option<u64>,
        changes: &mut Vec<Change>,
    ) {
        if name == "." {
            changes.push(Change::Inode(directory));
            return;
        }
        let content = self.mask & CONTENT != 0;
        if self.mask & NAMES != 0 {
            let moved = self.mask & (MOVED_FROM | MOVED_TO) != 0;
            changes.push(Change::Name {
                directory,
                name: name.to_owned(),
                subtree: moved && self.mask & ON_DIRECTORY != 0,
            });
        }
        // Of a name that came, went or moved, the content matters only if it is known whose it is.
        if content && (self.mask & NAMES == 0 || number.is_some()) {
            changes.push(Change::Content {
                directory,
                name: name.to_owned(),
                number,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(mask: u64, records: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend((24 + records.len() as u32).to_ne_bytes());
        bytes.extend([3, 0]);
        bytes.extend(24_u16.to_ne_bytes());
        bytes.extend(mask.to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(records);
        bytes
    }

    fn record(kind: u8, handle: &[u8], name: &[u8]) -> Vec<u8> {
        let mut body = vec![9; 8];
        body.extend((handle.len() as u32).to_ne_bytes());
        body.extend(1_i32.to_ne_bytes());
        body.extend(handle);
        body.extend(name);
        body.resize(body.len().next_multiple_of(4), 0);
        let mut bytes = vec![kind, 0];
        bytes.extend((4 + body.len() as u16).to_ne_bytes());
        bytes.extend(body);
        bytes
    }

    #[test]
    fn an_event_names_its_directory_its_name_and_its_file() {
        let mut records = record(2, b"directory", b"m.py\0");
        records.extend(record(1, b"file", b""));
        let bytes = [event(MODIFY, &records), event(OVERFLOW, &[])].concat();
        let events = parse(&bytes);
        let (key, name) = events[0].named.unwrap();
        assert_eq!(&key[16..], b"directory");
        assert_eq!(name, "m.py");
        assert_eq!(&events[0].object.unwrap()[16..], b"file");
        assert_eq!(events[1].mask, OVERFLOW);
    }

    #[test]
    fn what_cannot_be_understood_counts_as_lost_events() {
        let whole = event(CREATE, &record(2, b"directory", b"m.py\0"));
        for end in 1..whole.len() {
            let events = parse(&whole[..end]);
            assert_eq!(events.last().unwrap().mask, OVERFLOW, "{end} bytes");
        }
        assert_eq!(parse(&[0xff; 64]).last().unwrap().mask, OVERFLOW);
    }

    #[test]
    fn a_name_event_wins_over_a_content_event_that_was_merged_with_it() {
        let merged = Event {
            mask: CREATE | MODIFY | CLOSE_WRITE,
            named: None,
            object: None,
        };
        let mut changes = Vec::new();
        merged.changes(5, OsStr::new("m.py"), None, &mut changes);
        let expected = Change::Name {
            directory: 5,
            name: "m.py".into(),
            subtree: false,
        };
        assert_eq!(changes, [expected]);
    }
}
