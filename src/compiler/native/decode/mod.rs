//! Decoding: the bytes of a file to the text that CPython's tokenizer sees.
//!
//! As `compile(bytes)`: no NUL byte; `\r\n` and `\r` become `\n`; a UTF-8 byte order mark is
//! dropped; a cookie (PEP 263) in a comment of the first two lines names the character set, else it
//! is UTF-8. Columns count the bytes of the result, in UTF-8.
//!
//! Invariant: text comes out only if CPython's codec gives the same; a character set that is not
//! known here is [`Stop::Unsure`].

mod charmap;

use crate::compiler::native::error::{Pass, Stop, SyntaxError};
use crate::compiler::native::parse::are_in_comments;
use crate::pyc::Target;
use std::borrow::Cow;

/// The largest source that is compiled: what a compile needs is a multiple of it.
const MAX_LEN: usize = 64 * 1024 * 1024;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// Decodes a source file.
pub fn decode(source: &[u8], target: Target) -> Pass<Cow<'_, str>> {
    if source.len() > MAX_LEN {
        return Err(Stop::unsure("a source of more than 64 MiB"));
    }
    if memchr::memchr(0, source).is_some() {
        return Err(rejected("source code string cannot contain null bytes"));
    }
    let bytes = with_newlines(source);
    let bom = bytes.starts_with(BOM);
    let skipped = if bom { BOM.len() } else { 0 };
    let cookie = cookie(bytes.get(skipped..).unwrap_or_default())?;
    match cookie.as_deref() {
        None | Some("utf-8") => {}
        Some(name) if bom => {
            return Err(rejected(format!("encoding problem: {name} with BOM")));
        }
        Some("iso-8859-1") => return Ok(Cow::Owned(latin_1(&bytes))),
        Some(name) => {
            let known = normalized(name);
            return match known.as_str() {
                "utf_8" | "u8" | "utf" | "utf8" | "utf8_ucs2" | "utf8_ucs4" | "cp65001" => {
                    strict_utf_8(bytes)
                }
                "latin_1" | "8859" | "cp819" | "csisolatin1" | "ibm819" | "iso8859"
                | "iso8859_1" | "iso_8859_1" | "iso_8859_1_1987" | "iso_ir_100" | "l1"
                | "latin" | "latin1" => Ok(Cow::Owned(latin_1(&bytes))),
                _ => single_byte(&known, &bytes),
            };
        }
    }
    utf_8(bytes, skipped, target)
}

fn rejected(message: impl Into<String>) -> Stop {
    Stop::Rejected(Box::new(SyntaxError {
        kind: "SyntaxError",
        message: message.into(),
        loc: None,
        exact: true,
    }))
}

/// The source with `\n` as its only newline.
fn with_newlines(source: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\r', source).is_none() {
        return Cow::Borrowed(source);
    }
    let mut bytes = Vec::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = memchr::memchr(b'\r', rest) {
        let (line, tail) = rest.split_at(at);
        bytes.extend_from_slice(line);
        bytes.push(b'\n');
        rest = match tail {
            [b'\r', b'\n', rest @ ..] | [b'\r', rest @ ..] => rest,
            rest => rest,
        };
    }
    bytes.extend_from_slice(rest);
    Cow::Owned(bytes)
}

/// UTF-8 by way of the codec, as a cookie such as `utf8` asks for it.
fn strict_utf_8(bytes: Cow<'_, [u8]>) -> Pass<Cow<'_, str>> {
    let text = match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed),
        Cow::Owned(bytes) => String::from_utf8(bytes)
            .map(Cow::Owned)
            .map_err(|error| error.utf8_error()),
    };
    text.map_err(|_| rejected("'utf-8' codec can't decode the source"))
}

/// UTF-8 from `skipped` on. Up to 3.13 nobody looks at the bytes of comments.
fn utf_8(bytes: Cow<'_, [u8]>, skipped: usize, target: Target) -> Pass<Cow<'_, str>> {
    let bytes = match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(skipped..).unwrap_or_default()),
        Cow::Owned(mut bytes) => {
            bytes.drain(..skipped.min(bytes.len()));
            Cow::Owned(bytes)
        }
    };
    let (error, bytes) = match bytes {
        Cow::Borrowed(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => return Ok(Cow::Borrowed(text)),
            Err(error) => (error, Cow::Borrowed(bytes)),
        },
        Cow::Owned(bytes) => match String::from_utf8(bytes) {
            Ok(text) => return Ok(Cow::Owned(text)),
            Err(error) => (error.utf8_error(), Cow::Owned(error.into_bytes())),
        },
    };
    let at = error.valid_up_to();
    if target.minor() < 14 {
        let (text, replaced) = with_placeholders(&bytes);
        if are_in_comments(&text, &replaced) {
            return Ok(Cow::Owned(text));
        }
    }
    let line = 1 + bytes.iter().take(at).filter(|&&byte| byte == b'\n').count();
    let byte = bytes.get(at).copied().unwrap_or_default();
    Err(rejected(format!(
        "Non-UTF-8 code starting with '\\x{byte:02x}' on line {line}, but no encoding declared; \
         see https://peps.python.org/pep-0263/ for details"
    )))
}

/// The text with a question mark for each byte that is not UTF-8, and where these are.
fn with_placeholders(bytes: &[u8]) -> (String, Vec<usize>) {
    let mut text = String::with_capacity(bytes.len());
    let mut replaced = Vec::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for _ in chunk.invalid() {
            replaced.push(text.len());
            text.push('?');
        }
    }
    (text, replaced)
}

fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn single_byte<'t>(name: &str, bytes: &[u8]) -> Pass<Cow<'t, str>> {
    let map = charmap::CHARMAPS
        .iter()
        .find(|map| map.names.contains(&name))
        .ok_or_else(|| Stop::unsure(format!("the character set {name}")))?;
    let upper: Vec<char> = map.upper.chars().collect();
    let mut text = String::with_capacity(bytes.len() + bytes.len() / 4);
    for &byte in bytes {
        if byte.is_ascii() {
            text.push(char::from(byte));
            continue;
        }
        match upper.get(usize::from(byte & 0x7F)) {
            None | Some('\u{FFFD}') => {
                return Err(rejected(format!(
                    "'{name}' codec can't decode byte 0x{byte:02x}"
                )));
            }
            Some(&c) => text.push(c),
        }
    }
    Ok(Cow::Owned(text))
}

/// A codec's name as it is looked up: runs of punctuation become one underscore.
fn normalized(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut gap = false;
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || c == '.' {
            if gap && !out.is_empty() {
                out.push('_');
            }
            out.push(if c == '.' {
                '_'
            } else {
                c.to_ascii_lowercase()
            });
            gap = false;
        } else {
            gap = true;
        }
    }
    out
}

/// The character set that a comment in the first two lines names.
fn cookie(bytes: &[u8]) -> Pass<Option<String>> {
    let mut lines = bytes.split(|&byte| byte == b'\n');
    let first = lines.next().unwrap_or_default();
    if let Some(name) = cookie_of_line(first) {
        return Ok(Some(name));
    }
    if !is_blank_or_comment(first) {
        return Ok(None);
    }
    // The second line counts only with its newline, which CPython adds to the last line.
    Ok(lines.next().and_then(cookie_of_line))
}

fn is_blank_or_comment(line: &[u8]) -> bool {
    let first = line
        .iter()
        .find(|byte| !matches!(byte, b' ' | b'\t' | b'\x0c'));
    matches!(first, None | Some(b'#'))
}

fn cookie_of_line(line: &[u8]) -> Option<String> {
    let comment = line
        .iter()
        .position(|byte| !matches!(byte, b' ' | b'\t' | b'\x0c'))?;
    let mut rest = line.get(comment..)?;
    if !rest.starts_with(b"#") {
        return None;
    }
    while let Some(at) = memchr::memmem::find(rest, b"coding") {
        rest = rest.get(at + b"coding".len()..)?;
        let [b':' | b'=', value @ ..] = rest else {
            continue;
        };
        let blanks = value
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        let value = value.get(blanks..)?;
        let len = value
            .iter()
            .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
            .count();
        if len > 0 {
            let name = String::from_utf8_lossy(value.get(..len)?).into_owned();
            return Some(usual_name(name));
        }
    }
    None
}

/// Folds the spellings of UTF-8 and Latin-1 that the tokenizer itself knows.
fn usual_name(name: String) -> String {
    let start: String = name
        .chars()
        .take(12)
        .map(|c| {
            if c == '_' {
                '-'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect();
    let is = |wanted: &str| {
        start == wanted
            || start
                .strip_prefix(wanted)
                .is_some_and(|rest| rest.starts_with('-'))
    };
    if is("utf-8") {
        "utf-8".to_owned()
    } else if is("latin-1") || is("iso-8859-1") || is("iso-latin-1") {
        "iso-8859-1".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(minor: u8) -> Target {
        Target::from_minor(minor).unwrap()
    }

    fn text(source: &[u8]) -> String {
        decode(source, target(13)).unwrap().into_owned()
    }

    #[test]
    fn newlines_marks_and_cookies_are_resolved() {
        assert_eq!(text(b"a\r\nb\rc\n"), "a\nb\nc\n");
        assert_eq!(text(b"\xef\xbb\xbfa\r"), "a\n");
        assert_eq!(
            text(b"# coding: latin-1\n\xe9"),
            "# coding: latin-1\n\u{e9}"
        );
        assert_eq!(
            text(b"\n#vim: fileencoding=cp1252\n\x80"),
            "\n#vim: fileencoding=cp1252\n\u{20ac}"
        );
        assert_eq!(
            text(b"#coding: utf-8-unix\n\xc3\xa9"),
            "#coding: utf-8-unix\n\u{e9}"
        );
    }

    #[test]
    fn what_cpython_rejects_is_rejected_and_unknown_sets_are_unsure() {
        for source in [
            &b"a\0"[..],
            b"\xef\xbb\xbf#coding: utf8\n",
            b"#coding: ascii\n\xe9",
            b"#coding: utf8\n\xe9",
        ] {
            assert!(
                matches!(decode(source, target(13)), Err(Stop::Rejected(_))),
                "{source:?}"
            );
        }
        let unknown = b"#coding: euc_jp\n";
        assert!(matches!(decode(unknown, target(13)), Err(Stop::Unsure(_))));
    }

    #[test]
    fn bytes_that_are_not_utf_8_pass_only_in_comments_of_3_13() {
        assert_eq!(text(b"x # \xe9\xff\n#\x80"), "x # ??\n#?");
        for (source, minor) in [
            (&b"'\xe9'"[..], 13),
            (b"x\xe9", 13),
            (b"# \xe9\n'\xe9'", 13),
            (b"# \xe9", 14),
        ] {
            let result = decode(source, target(minor));
            assert!(matches!(result, Err(Stop::Rejected(_))), "{source:?}");
        }
    }

    #[test]
    fn a_cookie_behind_code_or_on_the_third_line_is_none() {
        assert_eq!(cookie(b"x # coding: latin-1\n").unwrap(), None);
        assert_eq!(cookie(b"x\n# coding: latin-1\n").unwrap(), None);
        assert_eq!(cookie(b"\n\n# coding: latin-1\n").unwrap(), None);
    }
}
