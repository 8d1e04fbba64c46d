//! The `-x` filter: a Python regular expression searched for in a path.
//!
//! Patterns are translated from the syntax of Python's `re` to that of the regex crate.
//! Invariant: a pattern either means what it means in Python or is refused; lookaround,
//! backreferences, conditional, atomic and possessive groups and the `a` and `L` flags are
//! refused.

use regex::Regex;

use super::pytext;

/// A compiled `-x` pattern.
#[derive(Clone, Debug)]
pub struct Exclude {
    regex: Regex,
}

/// The pattern cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BadPattern {
    /// It is no pattern, or it uses what a finite automaton cannot do.
    #[error("{0} (lookaround, backreferences and atomic groups are not supported)")]
    Unsupported(#[from] regex::Error),
    /// A quantifier that never gives back (`*+`, CPython 3.11).
    #[error("possessive quantifiers are not supported")]
    Possessive,
}

impl Exclude {
    /// Compiles a pattern in the syntax of Python's `re`.
    pub fn new(pattern: &str) -> Result<Exclude, BadPattern> {
        let regex = Regex::new(&translate(pattern)?)?;
        Ok(Exclude { regex })
    }

    /// Whether the pattern is found anywhere in the path. A byte that is no UTF-8 counts as one
    /// character that only `.` and negated classes match.
    pub fn is_match(&self, path: &[u8]) -> bool {
        match std::str::from_utf8(path) {
            Ok(text) => self.regex.is_match(text),
            Err(_) => self.regex.is_match(&pytext::lossy(path)),
        }
    }
}

/// Rewrites what the two syntaxes spell differently.
fn translate(pattern: &str) -> Result<String, BadPattern> {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern;
    let mut after_quantifier = false;
    while let Some(character) = rest.chars().next() {
        let tail = rest.get(character.len_utf8()..).unwrap_or_default();
        let was_quantifier = std::mem::replace(&mut after_quantifier, false);
        rest = match character {
            '\\' => escape(tail, &mut out),
            '[' => class(tail, &mut out),
            '(' if tail.starts_with("?#") => {
                let end = tail.find(')').map_or(tail.len(), |at| at + 1);
                tail.get(end..).unwrap_or_default()
            }
            '{' => match quantifier_length(rest) {
                Some(length) => {
                    after_quantifier = true;
                    out.push_str(rest.get(..length).unwrap_or_default());
                    rest.get(length..).unwrap_or_default()
                }
                // Python takes a brace that starts no quantifier literally.
                None => {
                    out.push_str("\\{");
                    tail
                }
            },
            '+' if was_quantifier => return Err(BadPattern::Possessive),
            '(' => {
                out.push(character);
                // The mark of a group extension is no quantifier.
                match tail.strip_prefix('?') {
                    Some(extension) => {
                        out.push('?');
                        extension
                    }
                    None => tail,
                }
            }
            '*' | '+' | '?' => {
                // `*?` is lazy; a `+` after that is an error in Python, too.
                after_quantifier = true;
                out.push(character);
                tail
            }
            other => {
                out.push(other);
                tail
            }
        };
    }
    Ok(out)
}

/// Copies the escape whose backslash was just read; gives what follows it.
fn escape<'a>(tail: &'a str, out: &mut String) -> &'a str {
    out.push('\\');
    let Some(escaped) = tail.chars().next() else {
        return tail;
    };
    // Python's \Z is the very end, which the regex crate spells \z.
    out.push(if escaped == 'Z' { 'z' } else { escaped });
    tail.get(escaped.len_utf8()..).unwrap_or_default()
}

/// Copies the character class whose bracket was just read, with the regex crate's set operators
/// and nested classes made literal, as they are in Python; gives what follows it.
fn class<'a>(tail: &'a str, out: &mut String) -> &'a str {
    out.push('[');
    let mut rest = tail;
    if let Some(negated) = rest.strip_prefix('^') {
        out.push('^');
        rest = negated;
    }
    if let Some(bracket) = rest.strip_prefix(']') {
        out.push_str("\\]");
        rest = bracket;
    }
    let mut after_dash = false;
    while let Some(character) = rest.chars().next() {
        let next = rest.get(character.len_utf8()..).unwrap_or_default();
        let was_dash = std::mem::replace(&mut after_dash, character == '-');
        match character {
            ']' => {
                out.push(']');
                return next;
            }
            '\\' => {
                rest = escape(next, out);
                continue;
            }
            '[' | '&' | '~' => {
                out.push('\\');
                out.push(character);
            }
            '-' if was_dash => out.push_str("\\-"),
            other => out.push(other),
        }
        rest = next;
    }
    rest
}

/// The length in bytes of the `{m}`, `{m,}`, `{,n}` or `{m,n}` that `text` starts with.
fn quantifier_length(text: &str) -> Option<usize> {
    let end = text.find('}')?;
    let inside = text.get(1..end)?;
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let valid = match inside.split_once(',') {
        Some((least, most)) => is_number(least) && is_number(most),
        None => !inside.is_empty() && is_number(inside),
    };
    valid.then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_they_mean_in_python() {
        for (pattern, path, found) in [
            (r"/tests?/|bad_coding", "a/test/x.py", true),
            (r"/tests?/|bad_coding", "a/best/x.py", false),
            (r"\.py\Z", "a.py", true),
            (r"\.py\Z", "a.pyc", false),
            (r"a{b}", "a{b}", true),
            (r"a{2}b", "aab", true),
            (r"[[x]y", "[y", true),
            (r"[a&&b]y", "&y", true),
            (r"[]x]y", "]y", true),
            (r"[^]x]y", "zy", true),
            (r"(?#note)ab", "ab", true),
            (r"(?i)AB", "ab", true),
            (r"(?P<n>a)b", "ab", true),
            (r"(?:a|b)+?c", "abc", true),
            (r"[+--]y", ",y", true),
        ] {
            let exclude = Exclude::new(pattern).unwrap();
            assert_eq!(exclude.is_match(path.as_bytes()), found, "{pattern} {path}");
        }
        assert!(Exclude::new("^.y$").unwrap().is_match(b"\xffy"));
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for pattern in ["(?=a)", "(?<!a)b", r"(a)\1", "a++", "a{1,2}+", "(", "(?>a)"] {
            assert!(Exclude::new(pattern).is_err(), "{pattern}");
        }
    }
}
