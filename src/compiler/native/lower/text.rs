//! The text of string literals, decoded again from the source.
//!
//! Ruff replaces lone surrogates and splits f-strings in other places, so its values are not used
//! where there is an escape. The result is generalized UTF-8: a surrogate is its three bytes.

use super::{Lowering, unicode};
use crate::compiler::native::ast::Sym;
use crate::compiler::native::error::{Pass, Stop};
use crate::pyc::Target;
use ruff_python_ast::{self as ruff, StringFlags};
use ruff_text_size::TextRange;

impl Lowering<'_, '_> {
    /// Whether the literal begins with a small `u`, which CPython notes in the tree.
    pub(super) fn has_u_prefix(&self, literal: &ruff::StringLiteral) -> bool {
        self.text(literal.range).starts_with('u')
    }

    /// The value of one string literal.
    pub(super) fn literal_sym(&mut self, literal: &ruff::StringLiteral) -> Pass<Sym> {
        let content = self.content(literal);
        if literal.flags.prefix().is_raw() || memchr::memchr(b'\\', content.as_bytes()).is_none() {
            let (start, len) = (self.content_start(literal), content.len());
            let content = self.source.get(start..start + len).unwrap_or_default();
            return Ok(self.pool.sym(content));
        }
        let mut text = Vec::with_capacity(content.len());
        unescape(content, self.target, &mut text)?;
        Ok(self.pool.sym_bytes(&text))
    }

    /// Appends the value of one string literal.
    pub(super) fn literal_text(
        &self,
        literal: &ruff::StringLiteral,
        text: &mut Vec<u8>,
    ) -> Pass<()> {
        let content = self.content(literal);
        if literal.flags.prefix().is_raw() {
            text.extend_from_slice(content.as_bytes());
            return Ok(());
        }
        unescape(content, self.target, text)
    }

    fn content_start(&self, literal: &ruff::StringLiteral) -> usize {
        usize::from(literal.range.start()) + usize::from(literal.flags.opener_len())
    }

    fn content(&self, literal: &ruff::StringLiteral) -> &str {
        self.text(TextRange::new(
            literal.range.start() + literal.flags.opener_len(),
            literal.range.end() - literal.flags.closer_len(),
        ))
    }
}

/// Appends a code point, a surrogate as its three bytes.
fn push_code_point(code: u32, text: &mut Vec<u8>) -> Pass<()> {
    match char::from_u32(code) {
        Some(c) => {
            let mut buffer = [0; 4];
            text.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
            Ok(())
        }
        None if (0xD800..0xE000).contains(&code) => {
            let low_six = |shift: u32| 0x80 | u8::try_from((code >> shift) & 0x3F).unwrap_or(0);
            text.extend_from_slice(&[0xED, low_six(6), low_six(0)]);
            Ok(())
        }
        None => Err(Stop::unsure("an escape past the last code point")),
    }
}

/// Appends the value of a string's content with its escapes resolved.
pub(super) fn unescape(content: &str, target: Target, text: &mut Vec<u8>) -> Pass<()> {
    let mut rest = content;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        let (before, tail) = rest.split_at(at);
        text.extend_from_slice(before.as_bytes());
        // Without the backslash.
        let tail = tail.get(1..).unwrap_or_default();
        rest = escape(tail, target, text)?;
    }
    text.extend_from_slice(rest.as_bytes());
    Ok(())
}

/// Resolves one escape; `tail` begins behind the backslash. Returns what follows the escape.
fn escape<'t>(tail: &'t str, target: Target, text: &mut Vec<u8>) -> Pass<&'t str> {
    let Some(first) = tail.chars().next() else {
        // A lone backslash: the end of an f-string's part before a brace.
        text.push(b'\\');
        return Ok(tail);
    };
    let behind = tail.get(first.len_utf8()..).unwrap_or_default();
    let simple = match first {
        '\n' => return Ok(behind),
        '\\' => b'\\',
        '\'' => b'\'',
        '"' => b'"',
        'a' => 0x07,
        'b' => 0x08,
        'f' => 0x0C,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 0x0B,
        '0'..='7' => {
            let digits = tail
                .bytes()
                .take(3)
                .take_while(|byte| (b'0'..=b'7').contains(byte))
                .count();
            let (digits, behind) = tail.split_at(digits);
            let code = u32::from_str_radix(digits, 8).unwrap_or(0);
            push_code_point(code, text)?;
            return Ok(behind);
        }
        'x' => return hexadecimal(behind, 2, text),
        'u' => return hexadecimal(behind, 4, text),
        'U' => return hexadecimal(behind, 8, text),
        'N' => return named(behind, target, text),
        _ => {
            // An unknown escape stays as it is.
            text.push(b'\\');
            return Ok(tail);
        }
    };
    text.push(simple);
    Ok(behind)
}

fn hexadecimal<'t>(tail: &'t str, len: usize, text: &mut Vec<u8>) -> Pass<&'t str> {
    let code = tail
        .get(..len)
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .ok_or_else(|| Stop::unsure("a truncated escape"))?;
    push_code_point(code, text)?;
    Ok(tail.get(len..).unwrap_or_default())
}

fn named<'t>(tail: &'t str, target: Target, text: &mut Vec<u8>) -> Pass<&'t str> {
    let unknown = || Stop::unsure("the name of a character");
    let inner = tail.strip_prefix('{').ok_or_else(unknown)?;
    let (name, behind) = inner.split_once('}').ok_or_else(unknown)?;
    let c = unicode_names2::character(name).ok_or_else(unknown)?;
    // The crate also finds names that differ in spaces and hyphens; CPython only in case.
    let same = unicode_names2::name(c)
        .is_some_and(|known| known.to_string().eq_ignore_ascii_case(name))
        || unicode::is_alias(name, c);
    if !same || unicode::is_newer_than(c, target) {
        return Err(unknown());
    }
    push_code_point(u32::from(c), text)?;
    Ok(behind)
}
