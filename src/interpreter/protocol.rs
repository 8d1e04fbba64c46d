//! The frames between the daemon and a worker, and what a worker says of itself.
//!
//! Numbers are little endian. A request is `u32 length of the rest, u32 job number, u8 level,
//! u8 explain (0 or 1), u16 seconds until the kernel ends the worker, u32 length of the name, name,
//! source`. A reply is `u32 length of the rest, u32 job number, u8 status, body`. The first reply,
//! unasked and with number 0, is the hello. Pure functions over bytes.

use std::time::Duration;

use crate::pyc::{Level, Target};

/// Part of every build id: a change of worker.py that can change bytes raises it.
pub const VERSION: u32 = 1;
/// The file name that sources are compiled with, cut out of the result afterwards.
pub const PLACEHOLDER: &str = "<pycfs source>";
/// Bytes of a reply before its body.
pub const REPLY_HEAD: usize = 9;
/// Longest hello in bytes.
pub const HELLO_MOST: usize = 1 << 16;
/// Longest source in bytes.
pub const SOURCE_MOST: usize = 256 << 20;
/// Longest reply in bytes.
const REPLY_MOST: usize = 256 << 20;
/// How long a worker may outlive its job's time when nobody ends it, in seconds.
const GRACE_SECONDS: u64 = 3;

/// A request without its source.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// Comes back in the reply.
    pub number: u32,
    /// The optimization level.
    pub level: Level,
    /// The file name to show in the full text of an error.
    pub explain: Option<&'a [u8]>,
    /// How long the job may take.
    pub time: Duration,
    /// Length of the source that follows, in bytes.
    pub source: usize,
}

impl Head<'_> {
    /// All that goes before the source; `None` when a length does not fit.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let name = self.explain.unwrap_or_default();
        let rest = name.len().checked_add(self.source)?.checked_add(12)?;
        let seconds = self.time.as_secs().saturating_add(GRACE_SECONDS);
        let seconds = u16::try_from(seconds).unwrap_or(u16::MAX);
        let mut head = Vec::with_capacity(16 + name.len());
        head.extend_from_slice(&u32::try_from(rest).ok()?.to_le_bytes());
        head.extend_from_slice(&self.number.to_le_bytes());
        head.push(self.level.number());
        head.push(u8::from(self.explain.is_some()));
        head.extend_from_slice(&seconds.to_le_bytes());
        head.extend_from_slice(&u32::try_from(name.len()).ok()?.to_le_bytes());
        head.extend_from_slice(name);
        Some(head)
    }
}

/// Longest reply, in bytes, that a source of that many bytes may have. Folded constants make code
/// larger than its source, up to some point.
pub fn reply_most(source: usize) -> usize {
    source
        .saturating_mul(64)
        .saturating_add(16 << 20)
        .min(REPLY_MOST)
}

/// The length of the whole reply that starts with these bytes, once that can be said.
pub fn reply_length(start: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(start.get(..4)?.try_into().ok()?);
    usize::try_from(length).ok()?.checked_add(4)
}

/// A worker's answer to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The marshalled code object, with the placeholder as its file name.
    Code(Vec<u8>),
    /// The interpreter rejects the source: the error's text.
    Rejected(String),
    /// As rejected, but a codec was asked for that this worker has no access to.
    UnknownCodec(String),
    /// MemoryError: the memory limit, or a source that old parsers have no stack for.
    NoMemory(String),
}

/// Reads a whole reply to the job `number`; the error says what is wrong with it.
pub fn reply(mut whole: Vec<u8>, number: u32) -> Result<Reply, String> {
    let status = status_of(&whole, number)?;
    let body = whole.split_off(REPLY_HEAD.min(whole.len()));
    let text = |body: Vec<u8>| String::from_utf8_lossy(&body).into_owned();
    match status {
        b'C' => Ok(Reply::Code(body)),
        b'E' => Ok(Reply::Rejected(text(body))),
        b'U' => Ok(Reply::UnknownCodec(text(body))),
        b'M' => Ok(Reply::NoMemory(text(body))),
        other => Err(format!("status {other} in a reply")),
    }
}

fn status_of(whole: &[u8], number: u32) -> Result<u8, String> {
    let (Some(answered), Some(status)) = (whole.get(4..8), whole.get(8)) else {
        return Err(format!("a reply of {} bytes", whole.len()));
    };
    if answered != number.to_le_bytes() {
        return Err("a reply to another job".to_owned());
    }
    Ok(*status)
}

/// What a worker says of its interpreter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The minor version.
    pub target: Target,
    /// The first two bytes of its pycs, little endian.
    pub magic: u16,
    /// `sys.version` in one line.
    pub version: String,
    /// `sys.executable`.
    pub executable: String,
}

impl Hello {
    /// Reads the first reply; the error says why this interpreter is none of ours.
    pub fn parse(whole: &[u8]) -> Result<Hello, String> {
        let status = status_of(whole, 0)?;
        let body = String::from_utf8_lossy(whole.get(REPLY_HEAD..).unwrap_or_default());
        if status == b'F' {
            return Err(format!("the worker gave up: {body}"));
        }
        let fields: Vec<&str> = body.split('\0').collect();
        let (b'H', [name, minor, magic, tag, flags, version, executable]) =
            (status, fields.as_slice())
        else {
            return Err("no hello from the worker".to_owned());
        };
        if *name != "cpython" {
            return Err(format!("the implementation is {name}, not CPython"));
        }
        let target: Target = minor
            .parse()
            .map_err(|error: crate::pyc::UnknownTarget| error.to_string())?;
        if flags.contains('t') {
            return Err("a free-threaded build makes other bytes".to_owned());
        }
        if flags.contains('d') {
            return Err("a debug build".to_owned());
        }
        if *tag != target.cache_tag() {
            return Err(format!("the cache tag '{tag}' is not CPython {minor}'s"));
        }
        let magic = magic
            .parse()
            .map_err(|_| format!("'{magic}' is no magic number"))?;
        Ok(Hello {
            target,
            magic,
            version: version.split_whitespace().collect::<Vec<_>>().join(" "),
            executable: (*executable).to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(number: u32, status: u8, body: &[u8]) -> Vec<u8> {
        let mut frame = u32::try_from(body.len() + 5)
            .unwrap()
            .to_le_bytes()
            .to_vec();
        frame.extend_from_slice(&number.to_le_bytes());
        frame.push(status);
        frame.extend_from_slice(body);
        frame
    }

    #[test]
    fn a_head_has_the_lengths_of_what_follows() {
        let head = Head {
            number: 7,
            level: Level::O2,
            explain: Some(b"/a.py"),
            time: Duration::from_secs(5),
            source: 100,
        };
        let bytes = head.encode().unwrap();
        assert_eq!(bytes.len(), 16 + 5);
        assert_eq!(bytes[..4], 117u32.to_le_bytes());
        assert_eq!(bytes[8..12], [2, 1, 8, 0]);
        assert_eq!(&bytes[16..], b"/a.py");
        let endless = Head {
            source: usize::MAX,
            ..head
        };
        assert!(endless.encode().is_none());
    }

    #[test]
    fn replies_to_other_jobs_and_unknown_statuses_are_refused() {
        assert_eq!(
            reply(frame(3, b'C', b"code"), 3),
            Ok(Reply::Code(b"code".to_vec()))
        );
        assert!(reply(frame(3, b'C', b"code"), 4).is_err());
        assert!(reply(frame(3, b'?', b"code"), 3).is_err());
        assert!(reply(vec![1, 0, 0, 0], 0).is_err());
        assert!(reply(Vec::new(), 0).is_err());
    }

    #[test]
    fn only_release_builds_of_cpython_are_welcome() {
        let hello = |fields: [&str; 7]| Hello::parse(&frame(0, b'H', fields.join("\0").as_bytes()));
        let good = [
            "cpython",
            "3.13",
            "3571",
            "cpython-313",
            "",
            "3.13.5 (x)\n[GCC]",
            "/p",
        ];
        assert_eq!(hello(good).unwrap().version, "3.13.5 (x) [GCC]");
        for (at, text) in [
            (0, "pypy"),
            (1, "3.16"),
            (2, "99999"),
            (3, "cpython-312"),
            (4, "t"),
            (4, "d"),
        ] {
            let mut fields = good;
            fields[at] = text;
            assert!(hello(fields).is_err(), "{text}");
        }
        assert!(Hello::parse(&frame(0, b'F', b"no")).is_err());
        assert!(Hello::parse(b"#!/bin/sh garbage").is_err());
    }
}
