//! Strings and numbers: what CPython finds wrong when it makes their values.

use super::node::{Shape, Tree};
use super::parser::{At, Halt, Memo, Parser, Rule, either, want};
use super::token::Kind;

impl Parser<'_> {
    pub(super) fn strings(&mut self) -> Rule {
        self.remembered(Memo::Strings, |p| {
            let first = p.mark;
            if p.minor >= 14 && p.mistakes {
                either!(p, Self::mixed_strings);
            }
            if let Some(parts) = p.maybe(|p| p.some(Self::string_or_fstring))? {
                p.check_strings(&parts)?;
                let format = parts
                    .iter()
                    .any(|part| part.shape == Shape::FormattedString);
                let shape = if format {
                    Shape::FormattedString
                } else {
                    Shape::Literal
                };
                return Ok(Some(p.node(shape, first, Vec::new())));
            }
            if p.minor >= 14 {
                want!(p.some(Self::tstring));
                return Ok(Some(p.node(Shape::TemplateString, first, Vec::new())));
            }
            Ok(None)
        })
    }

    fn string_or_fstring(&mut self) -> Rule {
        either!(self, Self::fstring);
        self.kind(Kind::String)
    }

    fn mixed_strings(&mut self) -> Rule {
        let message = "cannot mix t-string literals with string or bytes literals";
        either!(self, |p: &mut Self| {
            let before = want!(p.some(Self::string_or_fstring));
            let template = want!(p.tstring());
            let last = before.last().ok_or(Halt::Unknown)?;
            p.raise(At::Range(last, &template), message)
        });
        let before = want!(self.some(Self::tstring));
        let string = want!(self.string_or_fstring());
        let last = before.last().ok_or(Halt::Unknown)?;
        self.raise(At::Range(last, &string), message)
    }

    fn check_strings(&mut self, parts: &[Tree]) -> Result<(), Halt> {
        let mut bytes = 0;
        for part in parts {
            if part.shape == Shape::FormattedString {
                continue;
            }
            let text = self.text(part.text.0, part.text.1);
            let quote = text.find(['"', '\'']).unwrap_or(0);
            let (prefix, body) = text.split_at(quote);
            let prefix = prefix.to_ascii_lowercase();
            if prefix.contains('b') {
                bytes += 1;
                if !body.is_ascii() {
                    let message = "bytes can only contain ASCII literal characters";
                    return self.raise::<()>(At::Node(part), message).map(|_| ());
                }
            }
            if !prefix.contains('r') {
                let size = if body.len() >= 6
                    && body.as_bytes().get(..3) == body.as_bytes().get(body.len() - 3..)
                    && body.as_bytes().first() == body.as_bytes().get(1)
                {
                    3
                } else {
                    1
                };
                let inner = body.get(size..body.len() - size).unwrap_or_default();
                let wrong = if prefix.contains('b') {
                    bad_bytes_escape(inner)
                } else {
                    bad_text_escape(inner)?
                };
                if let Some(message) = wrong {
                    return self.raise::<()>(At::Node(part), message).map(|_| ());
                }
            }
        }
        if bytes > 0 && bytes < parts.len() {
            let message = "cannot mix bytes and nonbytes literals";
            return self.raise::<()>(At::Here, message).map(|_| ());
        }
        Ok(())
    }

    pub(super) fn number(&mut self) -> Rule {
        let number = want!(self.kind(Kind::Number));
        // Thousands of digits are refused, as a matter of how many.
        if number.text.1 - number.text.0 > 4000 {
            return Err(Halt::Unknown);
        }
        Ok(Some(self.node_of(
            Shape::Literal,
            &number,
            &number,
            Vec::new(),
            number.text,
        )))
    }
}

/// What is wrong with the escapes of a bytes literal.
fn bad_bytes_escape(body: &str) -> Option<String> {
    let bytes = body.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte != b'\\' {
            at += 1;
            continue;
        }
        let is_hex = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_hexdigit);
        if bytes.get(at + 1) == Some(&b'x') && !(is_hex(at + 2) && is_hex(at + 3)) {
            return Some(format!("(value error) invalid \\x escape at position {at}"));
        }
        at += 2;
    }
    None
}

/// What is wrong with the escapes of a string. Places count the bytes of what CPython decodes, where a
/// character beyond ASCII is an escape of ten.
fn bad_text_escape(body: &str) -> Result<Option<String>, Halt> {
    let mut place = 0;
    let mut rest = body.chars();
    while let Some(letter) = rest.next() {
        let start = place;
        place += if letter.is_ascii() { 1 } else { 10 };
        if letter != '\\' {
            continue;
        }
        let Some(kind) = rest.next() else {
            return Err(Halt::Unknown);
        };
        place += if kind.is_ascii() { 1 } else { 10 };
        let (digits, form) = match kind {
            'x' => (2, "\\xXX"),
            'u' => (4, "\\uXXXX"),
            'U' => (8, "\\UXXXXXXXX"),
            // The names are those of a Unicode version.
            'N' => return Err(Halt::Unknown),
            _ => continue,
        };
        let tail = rest.as_str();
        let found = tail
            .bytes()
            .take(digits)
            .take_while(u8::is_ascii_hexdigit)
            .count();
        let end = start + 1 + found;
        let value = u32::from_str_radix(tail.get(..found).unwrap_or_default(), 16).unwrap_or(0);
        let why = if found < digits {
            format!("truncated {form} escape")
        } else if value > 0x10_ffff {
            "illegal Unicode character".to_owned()
        } else {
            continue;
        };
        return Ok(Some(format!(
            "(unicode error) 'unicodeescape' codec can't decode bytes in position {start}-{end}: {why}"
        )));
    }
    Ok(None)
}
