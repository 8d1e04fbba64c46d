//! The text of an error as `py_compile` words it: message, source line and carets.
//!
//! `None` wherever CPython's own words or places are not known for sure.

use super::decode::decode;
use super::diagnosis::{Diagnosis, diagnose};
use super::error::SyntaxError;
use crate::pyc::Target;

/// CPython shows at most 999 bytes of a line, by other rules than a shorter one's.
const LONGEST_LINE: usize = 900;
/// From here on CPython guesses at misspelt keywords where it has no better message.
const GUESSES_SINCE: u8 = 14;

/// Kind, message and place of a rejection.
pub fn locate(error: &SyntaxError, source: &[u8], target: Target) -> Option<Diagnosis> {
    if !error.exact {
        return diagnose(&decode(source, target).ok()?, target.minor());
    }
    let loc = error.loc.filter(|loc| loc.line > 0)?;
    Some(Diagnosis {
        kind: error.kind,
        message: error.message.clone(),
        line: usize::try_from(loc.line).ok()?,
        offset: i64::from(loc.col) + 1,
        end_line: usize::try_from(loc.end_line).ok()?,
        end_offset: i64::from(loc.end_col) + 1,
    })
}

/// What `py_compile.PyCompileError` says of a rejected source named `name`.
pub fn explain(error: &SyntaxError, source: &[u8], target: Target, name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    if error.exact && error.loc.is_none() {
        // Its place is that of no token; only this one has none at all.
        let without_place = error.message == "source code string cannot contain null bytes";
        return without_place.then(|| format!("{}: {}\n", error.kind, error.message));
    }
    let found = locate(error, source, target)?;
    if found.kind != "SyntaxError" {
        let base = name.rsplit('/').next().unwrap_or(name);
        return Some(format!(
            "Sorry: {}: {} ({base}, line {})",
            found.kind, found.message, found.line
        ));
    }
    let guesses = found.message == "invalid syntax" || found.message.contains("forgot a comma");
    if target.minor() >= GUESSES_SINCE && guesses {
        return None;
    }
    // Bytes that are no text in a comment have no place in the decoded line.
    if std::str::from_utf8(source).is_err() && !source.windows(6).any(|word| word == b"coding") {
        return None;
    }
    let text = decode(source, target).ok()?;
    let line = text.split('\n').nth(found.line.checked_sub(1)?)?;
    if line.len() > LONGEST_LINE {
        return None;
    }
    let (line, carets) = underlined(line, &found);
    let carets = carets.map_or(String::new(), |carets| format!("    {carets}\n"));
    Some(format!(
        "  File \"{name}\", line {}\n    {line}\n{carets}SyntaxError: {}\n",
        found.line, found.message
    ))
}

/// A source line without its margin, and the line of carets below it, if there is one.
fn underlined(line: &str, found: &Diagnosis) -> (String, Option<String>) {
    let shown = line.trim_start_matches([' ', '\n', '\x0c']);
    let length = line.chars().count() as i64;
    let margin = length - shown.chars().count() as i64;
    // What CPython holds is the line with its newline.
    let held = length + 1;
    let mut from = found.offset;
    let mut to = if found.line != found.end_line {
        length + 1
    } else if found.end_offset == 0 {
        from
    } else {
        found.end_offset
    };
    if from > held {
        from = length + 1;
    }
    if to > held {
        to = length + 1;
    }
    if from >= to || to < 0 {
        to = from + 1;
    }
    let (first, last) = (from - 1 - margin, to - 1 - margin);
    let Ok(skipped) = usize::try_from(first) else {
        return (shown.to_owned(), None);
    };
    // Tabs stay, so that the carets stand where they should.
    let blank = |letter: char| if letter.is_whitespace() { letter } else { ' ' };
    let mut carets: String = shown.chars().take(skipped).map(blank).collect();
    carets.extend((first..last).map(|_| '^'));
    (shown.to_owned(), Some(carets))
}
