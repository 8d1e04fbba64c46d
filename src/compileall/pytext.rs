//! How CPython shows and orders file names: surrogate escapes (PEP 383), `repr`, `OSError`.
//!
//! Owns no file access. Names are bytes as the kernel gives them; text is what a CPython whose
//! stdout is UTF-8 prints. Invariant: every byte string has a text, whatever its encoding.

use std::cmp::Ordering;
use std::fmt::{self, Write};
use std::sync::LazyLock;

use regex::Regex;
use rustix::io::Errno;

/// The code points that `os.fsdecode` gives: each byte that is no UTF-8 becomes U+DC00 + byte.
fn code_points(name: &[u8]) -> impl Iterator<Item = u32> + '_ {
    name.utf8_chunks().flat_map(|chunk| {
        let escaped = chunk.invalid().iter().map(|byte| 0xDC00 + u32::from(*byte));
        chunk.valid().chars().map(u32::from).chain(escaped)
    })
}

/// The order in which `list.sort()` puts decoded file names: by code point.
pub fn order(left: &[u8], right: &[u8]) -> Ordering {
    // For valid UTF-8 the order of the bytes is the order of the code points.
    if std::str::from_utf8(left).is_ok() && std::str::from_utf8(right).is_ok() {
        return left.cmp(right);
    }
    code_points(left).cmp(code_points(right))
}

/// `str.isprintable` for one character above ASCII. The Unicode version is that of the regex
/// crate, so a character that a given CPython does not know yet may be shown where that CPython
/// escapes it.
fn is_printable(character: char) -> bool {
    static UNPRINTABLE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"^[\p{C}\p{Z}]$").ok());
    UNPRINTABLE
        .as_ref()
        .is_some_and(|regex| !regex.is_match(character.encode_utf8(&mut [0; 4])))
}

/// `repr()` of the decoded file name, with its quotes.
pub fn repr(name: &[u8]) -> String {
    let quote = if name.contains(&b'\'') && !name.contains(&b'"') {
        '"'
    } else {
        '\''
    };
    let mut text = String::with_capacity(name.len() + 2);
    text.push(quote);
    for point in code_points(name) {
        let shown = char::from_u32(point);
        match shown {
            Some('\\') => text.push_str("\\\\"),
            Some('\n') => text.push_str("\\n"),
            Some('\r') => text.push_str("\\r"),
            Some('\t') => text.push_str("\\t"),
            Some(character) if character == quote => {
                text.push('\\');
                text.push(character);
            }
            Some(character @ ' '..='~') => text.push(character),
            Some(character) if !character.is_ascii() && is_printable(character) => {
                text.push(character);
            }
            // Writing to a String cannot fail.
            Some(_) | None => {
                let _ = match point {
                    0..=0xFF => write!(text, "\\x{point:02x}"),
                    0x100..=0xFFFF => write!(text, "\\u{point:04x}"),
                    _ => write!(text, "\\U{point:08x}"),
                };
            }
        }
    }
    text.push(quote);
    text
}

/// The name as text with U+FFFD for each byte that is no UTF-8, for searching in it.
pub fn lossy(name: &[u8]) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// A failed system call as Python's `OSError` carries it.
///
/// Displays as `{class}: [Errno {n}] {strerror}: {names}`, the way compileall prints it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct OsError {
    /// The kernel's error number.
    pub errno: Errno,
    /// `OSError.filename`.
    pub name: Option<Vec<u8>>,
    /// `OSError.filename2`: the second name of a rename or a link.
    pub second: Option<Vec<u8>>,
}

impl OsError {
    /// An error that names one file.
    pub fn on(name: &[u8], errno: Errno) -> OsError {
        OsError {
            errno,
            name: Some(name.to_vec()),
            second: None,
        }
    }

    /// An error that names no file, as those of `read` and `write`.
    pub fn bare(errno: Errno) -> OsError {
        OsError {
            errno,
            name: None,
            second: None,
        }
    }
}

/// The subclass of `OSError` that PEP 3151 assigns to an errno.
fn class(errno: Errno) -> &'static str {
    match errno {
        // EWOULDBLOCK is EAGAIN on Linux.
        Errno::AGAIN | Errno::ALREADY | Errno::INPROGRESS => "BlockingIOError",
        Errno::PIPE | Errno::SHUTDOWN => "BrokenPipeError",
        Errno::CHILD => "ChildProcessError",
        Errno::CONNABORTED => "ConnectionAbortedError",
        Errno::CONNREFUSED => "ConnectionRefusedError",
        Errno::CONNRESET => "ConnectionResetError",
        Errno::EXIST => "FileExistsError",
        Errno::NOENT => "FileNotFoundError",
        Errno::INTR => "InterruptedError",
        Errno::ISDIR => "IsADirectoryError",
        Errno::NOTDIR => "NotADirectoryError",
        Errno::ACCESS | Errno::PERM => "PermissionError",
        Errno::SRCH => "ProcessLookupError",
        Errno::TIMEDOUT => "TimeoutError",
        _ => "OSError",
    }
}

impl fmt::Display for OsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.errno.raw_os_error();
        let text = std::io::Error::from(self.errno).to_string();
        let text = text
            .strip_suffix(&format!(" (os error {number})"))
            .unwrap_or(&text);
        write!(f, "{}: [Errno {number}] {text}", class(self.errno))?;
        if let Some(name) = &self.name {
            write!(f, ": {}", repr(name))?;
        }
        if let Some(second) = &self.second {
            write!(f, " -> {}", repr(second))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_and_escaped_as_python_does() {
        let cases: [(&[u8], &str); 9] = [
            (b"a/b.py", "'a/b.py'"),
            (b"it's.py", "\"it's.py\""),
            (b"it's \"x\".py", "'it\\'s \"x\".py'"),
            (b"a\\b\n\r\t\x00\x7f", "'a\\\\b\\n\\r\\t\\x00\\x7f'"),
            (b"\xff\xfe.py", "'\\udcff\\udcfe.py'"),
            ("é中😀".as_bytes(), "'é中😀'"),
            ("\u{a0}\u{ad}".as_bytes(), "'\\xa0\\xad'"),
            (
                "\u{200b}\u{2028}\u{e000}".as_bytes(),
                "'\\u200b\\u2028\\ue000'",
            ),
            ("\u{e0001}".as_bytes(), "'\\U000e0001'"),
        ];
        for (name, expected) in cases {
            assert_eq!(repr(name), expected);
        }
    }

    #[test]
    fn undecodable_bytes_sort_between_the_planes() {
        let mut names: Vec<&[u8]> = vec![
            "\u{ff21}".as_bytes(),
            b"\xff",
            "é".as_bytes(),
            "😀".as_bytes(),
            b"a",
            b"\x80",
        ];
        names.sort_by(|left, right| order(left, right));
        let expected: Vec<&[u8]> = vec![
            b"a",
            "é".as_bytes(),
            b"\x80",
            b"\xff",
            "\u{ff21}".as_bytes(),
            "😀".as_bytes(),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn errors_read_as_python_prints_them() {
        assert_eq!(
            OsError::on(b"x.py", Errno::ACCESS).to_string(),
            "PermissionError: [Errno 13] Permission denied: 'x.py'"
        );
        let link = OsError {
            errno: Errno::XDEV,
            name: Some(b"a".to_vec()),
            second: Some(b"b".to_vec()),
        };
        assert_eq!(
            link.to_string(),
            "OSError: [Errno 18] Invalid cross-device link: 'a' -> 'b'"
        );
        assert_eq!(
            OsError::bare(Errno::NOSPC).to_string(),
            "OSError: [Errno 28] No space left on device"
        );
    }
}
