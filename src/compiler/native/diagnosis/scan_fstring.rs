//! The tokenizer: the text of f-strings and t-strings.

use super::scan::{Format, Scanner};
use super::token::{Fault, Kind, Place, Token};

/// CPython's limit of strings in each other.
const MAX_STRINGS: usize = 150;
/// And of replacement fields in each other within one string.
const MAX_FIELDS: i64 = 3;

impl Scanner<'_> {
    /// The reader stands at the quote.
    pub(super) fn format_start(
        &mut self,
        from: usize,
        start: Place,
        letter: char,
        raw: bool,
    ) -> Result<Token, Fault> {
        let quote = self.peek().ok_or(Fault::Unknown)?;
        let size = if self.ahead(1) == Some(quote) && self.ahead(2) == Some(quote) {
            3
        } else {
            1
        };
        self.at += size;
        if self.formats.len() + 1 >= MAX_STRINGS {
            return Err(Fault::Unknown);
        }
        self.formats.push(Format {
            quote,
            size,
            raw,
            letter,
            start: from,
            line: self.line,
            line_start: self.line_start,
            depth: 0,
            field: -1,
            in_text: true,
            in_spec: false,
        });
        Ok(self.format_token(Kind::FormatStart, from, start, letter))
    }

    fn format_token(&self, kind: Kind, from: usize, start: Place, letter: char) -> Token {
        Token {
            template: letter == 't',
            ..self.token(kind, from, start)
        }
    }

    /// The next token of a string's text: a stretch of it, the end, or the brace of a field.
    pub(super) fn format_text(&mut self) -> Result<Token, Fault> {
        let from = self.at;
        let start = self.place(from);
        let Some(format) = self.formats.last_mut() else {
            return Err(Fault::Unknown);
        };
        let (quote, size, raw, letter) = (format.quote, format.size, format.raw, format.letter);
        let open_field = format.field >= 0;
        let in_spec = format.in_spec && open_field;
        let rest = self.bytes.get(from..).unwrap_or_default();
        if rest.first() == Some(&b'{') && (rest.get(1) != Some(&b'{') || in_spec) {
            self.open_field()?;
            return self.code();
        }
        if rest.len() >= size && rest.iter().take(size).all(|&byte| byte == quote) {
            self.at += size;
            self.broken |= open_field;
            self.formats.pop();
            return Ok(self.format_token(Kind::FormatEnd, from, start, letter));
        }
        let mut run = 0;
        let mut in_name = false;
        loop {
            let byte = self.peek();
            if byte.is_none() || size == 1 && byte == Some(b'\n') {
                return self.format_ends(byte, in_spec);
            }
            if byte == Some(quote) {
                run += 1;
                if run == size {
                    // The quotes are the next token.
                    self.at -= size - 1;
                    return Ok(self.format_token(Kind::FormatMiddle, from, start, letter));
                }
                self.at += 1;
                continue;
            }
            run = 0;
            match byte {
                Some(b'{') => {
                    if self.ahead(1) == Some(b'{') && !in_spec {
                        self.at += 1;
                        let token = self.format_token(Kind::FormatMiddle, from, start, letter);
                        self.at += 1;
                        return Ok(token);
                    }
                    let token = self.format_token(Kind::FormatMiddle, from, start, letter);
                    self.open_field()?;
                    return Ok(token);
                }
                Some(b'}') => {
                    if in_name {
                        self.at += 1;
                        return Ok(self.format_token(Kind::FormatMiddle, from, start, letter));
                    }
                    let depth = self.formats.last().map_or(0, |format| format.depth);
                    if self.ahead(1) == Some(b'}') && !in_spec && depth == 0 {
                        self.at += 1;
                        let token = self.format_token(Kind::FormatMiddle, from, start, letter);
                        self.at += 1;
                        return Ok(token);
                    }
                    if let Some(format) = self.formats.last_mut() {
                        format.in_text = false;
                    }
                    return Ok(self.format_token(Kind::FormatMiddle, from, start, letter));
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.peek() {
                        None | Some(b'{' | b'}') => {}
                        Some(b'N') if !raw => {
                            self.at += 1;
                            if self.peek() == Some(b'{') {
                                self.at += 1;
                                in_name = true;
                            }
                        }
                        Some(_) => drop(self.take()),
                    }
                }
                _ => drop(self.take()),
            }
        }
    }

    /// The text ends without its quote.
    fn format_ends(&mut self, byte: Option<u8>, in_spec: bool) -> Result<Token, Fault> {
        let Some(format) = self.formats.last_mut() else {
            return Err(Fault::Unknown);
        };
        let letter = format.letter;
        if in_spec && byte == Some(b'\n') {
            self.at += 1;
            return Err(self.error(format!(
                "{letter}-string: newlines are not allowed in format specifiers for single quoted \
                 {letter}-strings"
            )));
        }
        let (line, line_start, begin) = (format.line, format.line_start, format.start);
        let what = if format.size == 3 {
            "unterminated triple-quoted "
        } else {
            "unterminated "
        };
        let message = format!(
            "{what}{letter}-string literal (detected at line {})",
            self.line
        );
        let before = self.text.get(line_start..begin).unwrap_or_default();
        let offset = before.chars().count() as i64 + 1;
        Err(self.error_at(message, line, offset, offset))
    }

    fn open_field(&mut self) -> Result<(), Fault> {
        let Some(format) = self.formats.last_mut() else {
            return Err(Fault::Unknown);
        };
        format.field += 1;
        format.in_text = false;
        if format.field >= MAX_FIELDS {
            let letter = format.letter;
            return Err(self.error(format!("{letter}-string: expressions nested too deeply")));
        }
        Ok(())
    }
}
