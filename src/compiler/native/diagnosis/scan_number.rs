//! The tokenizer: numbers.

use super::scan::{Scanner, in_name};
use super::token::Fault;

impl Scanner<'_> {
    fn digits(&mut self, is_digit: fn(u8) -> bool) {
        while self.peek().is_some_and(is_digit) {
            self.at += 1;
        }
    }

    /// Digits with single underscores between them.
    fn decimal_tail(&mut self) -> Result<(), Fault> {
        loop {
            self.digits(|byte| byte.is_ascii_digit());
            if self.peek() != Some(b'_') {
                return Ok(());
            }
            self.at += 1;
            if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                return Err(self.error("invalid decimal literal"));
            }
        }
    }

    /// What follows a number must not look like a part of it, save for some keywords.
    fn number_ends(&mut self, kind: &str) -> Result<(), Fault> {
        let Some(byte) = self.peek() else {
            return Ok(());
        };
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let keyword = match byte {
            b'i' => matches!(rest.get(1), Some(b'f' | b'n' | b's')),
            b'a' => rest.starts_with(b"and"),
            b'e' => rest.starts_with(b"else"),
            b'f' => rest.starts_with(b"for"),
            b'o' => rest.starts_with(b"or"),
            b'n' => rest.starts_with(b"not"),
            _ => false,
        };
        if !keyword && byte < 0x80 && in_name(byte) {
            return Err(self.error(format!("invalid {kind} literal")));
        }
        Ok(())
    }

    fn radix(&mut self, kind: &str, is_digit: fn(u8) -> bool) -> Result<(), Fault> {
        self.at += 2;
        loop {
            if self.peek() == Some(b'_') {
                self.at += 1;
            }
            match self.peek() {
                Some(byte) if is_digit(byte) => {}
                Some(byte) if byte.is_ascii_digit() => return Err(self.wrong_digit(kind, byte)),
                _ => return Err(self.error(format!("invalid {kind} literal"))),
            }
            self.digits(is_digit);
            if self.peek() != Some(b'_') {
                break;
            }
        }
        match self.peek() {
            Some(byte) if byte.is_ascii_digit() => Err(self.wrong_digit(kind, byte)),
            _ => self.number_ends(kind),
        }
    }

    fn wrong_digit(&mut self, kind: &str, byte: u8) -> Fault {
        self.at += 1;
        self.error(format!(
            "invalid digit '{}' in {kind} literal",
            char::from(byte)
        ))
    }

    /// A number; the reader stands at its first digit or dot.
    pub(super) fn number(&mut self) -> Result<(), Fault> {
        let from = self.at;
        let mut old_octal = None;
        if self.peek() == Some(b'0') {
            match self.ahead(1) {
                Some(b'x' | b'X') => {
                    return self.radix("hexadecimal", |byte| byte.is_ascii_hexdigit());
                }
                Some(b'o' | b'O') => {
                    return self.radix("octal", |byte| matches!(byte, b'0'..=b'7'));
                }
                Some(b'b' | b'B') => {
                    return self.radix("binary", |byte| matches!(byte, b'0' | b'1'));
                }
                _ => {}
            }
            self.at += 1;
            loop {
                if self.peek() == Some(b'_') {
                    self.at += 1;
                    if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                        return Err(self.error("invalid decimal literal"));
                    }
                }
                if self.peek() != Some(b'0') {
                    break;
                }
                self.at += 1;
            }
            if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                old_octal = Some(self.at);
                self.decimal_tail()?;
            }
        } else if self.peek() != Some(b'.') {
            self.decimal_tail()?;
        }
        match self.peek() {
            Some(b'.') => {
                self.at += 1;
                if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                    self.decimal_tail()?;
                }
            }
            Some(b'e' | b'E' | b'j' | b'J') => {}
            _ => {
                if let Some(zeros) = old_octal {
                    let message = "leading zeros in decimal integer literals are not permitted; \
                                   use an 0o prefix for octal integers";
                    let start = self.chars(self.line_start, from) + 1;
                    let end = self.chars(self.line_start, zeros) + 1;
                    return Err(self.error_at(message, self.line, start, end));
                }
                return self.number_ends("decimal");
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            let signed = matches!(self.ahead(1), Some(b'+' | b'-'));
            let digit = self.ahead(if signed { 2 } else { 1 });
            if digit.is_some_and(|byte| byte.is_ascii_digit()) {
                self.at += if signed { 2 } else { 1 };
                self.decimal_tail()?;
            } else if signed {
                self.at += 2;
                return Err(self.error("invalid decimal literal"));
            } else {
                return self.number_ends("decimal");
            }
        }
        if matches!(self.peek(), Some(b'j' | b'J')) {
            self.at += 1;
            return self.number_ends("imaginary");
        }
        self.number_ends("decimal")
    }
}
