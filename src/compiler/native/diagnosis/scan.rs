//! The tokenizer: lines, indentation, names, strings, brackets and operators.

use super::Diagnosis;
use super::token::{Fault, Kind, Place, Token};

/// CPython's limit of open brackets.
const MAX_LEVEL: usize = 200;
/// And of indents.
const MAX_INDENT: usize = 100;

/// One open bracket.
pub(super) struct Bracket {
    pub(super) byte: u8,
    pub(super) place: Place,
}

/// An f-string or t-string that is being read.
pub(super) struct Format {
    pub(super) quote: u8,
    pub(super) size: usize,
    pub(super) raw: bool,
    pub(super) letter: char,
    pub(super) start: usize,
    pub(super) line: usize,
    pub(super) line_start: usize,
    /// Open brackets within, those of replacement fields included.
    pub(super) depth: i64,
    /// The depth at which each open replacement field began; -1 with none.
    pub(super) field: i64,
    pub(super) in_text: bool,
    pub(super) in_spec: bool,
}

/// Reads tokens of a source.
pub(super) struct Scanner<'a> {
    pub(super) text: &'a str,
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) line: usize,
    pub(super) line_start: usize,
    pub(super) minor: u8,
    /// The last newline is not the source's own, and has no width.
    implied: bool,
    pub(super) brackets: Vec<Bracket>,
    pub(super) formats: Vec<Format>,
    /// A string ended within a replacement field: CPython's count of brackets is off from here on.
    pub(super) broken: bool,
    indents: Vec<(usize, usize)>,
    pending: i64,
    at_line_start: bool,
    /// Where CPython's buffer begins: at the last line that no token and no backslash reached into.
    buffer_start: usize,
}

pub(super) fn starts_name(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

pub(super) fn in_name(byte: u8) -> bool {
    starts_name(byte) || byte.is_ascii_digit()
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str, minor: u8, implied: bool) -> Scanner<'a> {
        Scanner {
            text,
            bytes: text.as_bytes(),
            at: 0,
            line: 1,
            line_start: 0,
            minor,
            implied,
            brackets: Vec::new(),
            formats: Vec::new(),
            broken: false,
            indents: vec![(0, 0)],
            pending: 0,
            at_line_start: true,
            buffer_start: 0,
        }
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn ahead(&self, count: usize) -> Option<u8> {
        self.bytes.get(self.at + count).copied()
    }

    /// Takes a byte that is within a line.
    pub(super) fn take(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        if byte == b'\n' {
            self.next_line();
        }
        Some(byte)
    }

    /// The reader stands behind a newline. CPython moves on only when it needs the next line.
    fn next_line(&mut self) {
        if self.at < self.bytes.len() {
            self.line += 1;
            self.line_start = self.at;
        }
    }

    /// The column of an offset in the current line.
    pub(super) fn place(&self, at: usize) -> Place {
        Place {
            line: self.line,
            col: self.column(at),
        }
    }

    fn column(&self, at: usize) -> i64 {
        at as i64 - self.line_start as i64
    }

    pub(super) fn chars(&self, from: usize, to: usize) -> i64 {
        self.bytes.get(from..to).map_or(0, |bytes| {
            bytes.iter().filter(|&&byte| byte & 0xc0 != 0x80).count() as i64
        })
    }

    /// An error whose column is that of the last byte that was read.
    pub(super) fn error(&self, message: impl Into<String>) -> Fault {
        let offset = self.chars(self.line_start, self.at);
        self.error_at(message, self.line, offset, offset)
    }

    pub(super) fn error_at(
        &self,
        message: impl Into<String>,
        line: usize,
        offset: i64,
        end_offset: i64,
    ) -> Fault {
        Fault::Error(Diagnosis {
            kind: "SyntaxError",
            message: message.into(),
            line,
            offset,
            end_line: line,
            end_offset,
        })
    }

    /// An error of the indentation: the column is none of the token's.
    fn indentation(&self, kind: &'static str, message: &str, offset: i64, end: i64) -> Fault {
        Fault::Mild(Diagnosis {
            kind,
            message: message.to_owned(),
            line: self.line,
            offset,
            end_line: self.line,
            end_offset: end,
        })
    }

    fn line_end(&self) -> usize {
        let rest = self.bytes.get(self.line_start..).unwrap_or_default();
        self.line_start
            + rest
                .iter()
                .position(|&byte| byte == b'\n')
                .unwrap_or(rest.len())
    }

    pub(super) fn token(&self, kind: Kind, from: usize, start: Place) -> Token {
        Token {
            kind,
            from,
            to: self.at,
            start,
            end: self.place(self.at),
            level: self.brackets.len(),
            template: false,
        }
    }

    fn mark(&self, kind: Kind) -> Token {
        let none = Place {
            line: self.line,
            col: -1,
        };
        Token {
            kind,
            from: self.at,
            to: self.at,
            start: none,
            end: none,
            level: self.brackets.len(),
            template: false,
        }
    }

    /// The next token.
    pub(super) fn next(&mut self) -> Result<Token, Fault> {
        if self.formats.last().is_some_and(|format| format.in_text) {
            return self.format_text();
        }
        self.code()
    }

    pub(super) fn code(&mut self) -> Result<Token, Fault> {
        loop {
            let mut blank_line = false;
            if self.at_line_start {
                self.at_line_start = false;
                blank_line = self.indent()?;
            }
            if self.pending != 0 {
                let kind = if self.pending < 0 {
                    Kind::Dedent
                } else {
                    Kind::Indent
                };
                self.pending -= self.pending.signum();
                return Ok(self.mark(kind));
            }
            let mut from;
            loop {
                while matches!(self.peek(), Some(b' ' | b'\t' | 0x0c)) {
                    self.at += 1;
                }
                // A comment belongs to the newline behind it.
                from = self.at;
                if self.peek() == Some(b'#') {
                    while self.peek().is_some_and(|byte| byte != b'\n') {
                        self.at += 1;
                    }
                }
                if self.peek() != Some(b'\\') {
                    break;
                }
                self.at += 1;
                self.continuation()?;
            }
            let Some(byte) = self.peek() else {
                if !self.brackets.is_empty() || !self.formats.is_empty() {
                    return Err(Fault::Eof);
                }
                return Ok(self.mark(Kind::End));
            };
            if byte == b'\n' {
                let start = self.place(from);
                self.at += 1;
                let mut token = self.token(Kind::Newline, from, start);
                if self.implied && self.at == self.bytes.len() {
                    token.end = start;
                }
                self.at_line_start = true;
                if blank_line || !self.brackets.is_empty() {
                    self.next_line();
                    self.buffer_start = self.line_start;
                    continue;
                }
                // The next line is read with the next token.
                return Ok(token);
            }
            return self.solid(byte);
        }
    }

    /// Behind a backslash: only a newline may follow, and then something.
    fn continuation(&mut self) -> Result<(), Fault> {
        if self.peek() != Some(b'\n') {
            // The byte behind the backslash was read. CPython takes its offset in the buffer for one in
            // the line, or for the line's end.
            let end = self.line_start + (self.at - self.buffer_start);
            let offset = if end <= self.line_end() {
                self.chars(self.line_start, end) + 1
            } else {
                self.whole_line() + 1
            };
            let message = "unexpected character after line continuation character";
            return Err(mild(self.error_at(message, self.line, offset, 0)));
        }
        self.at += 1;
        if self.peek().is_none() {
            if !self.brackets.is_empty() {
                return Err(Fault::Eof);
            }
            let message = "unexpected EOF while parsing";
            return Err(mild(self.error_at(
                message,
                self.line,
                self.whole_line(),
                -1,
            )));
        }
        self.next_line();
        Ok(())
    }

    /// Measures a line's indentation; says whether the line is blank.
    fn indent(&mut self) -> Result<bool, Fault> {
        self.move_to_line();
        let (mut col, mut alternative) = (0, 0);
        let mut first: Option<usize> = None;
        loop {
            match self.peek() {
                Some(b' ') => {
                    col += 1;
                    alternative += 1;
                }
                Some(b'\t') => {
                    col = (col / 8 + 1) * 8;
                    alternative += 1;
                }
                Some(0x0c) => (col, alternative) = (0, 0),
                Some(b'\\') => {
                    if first.is_none_or(|col| col == 0) {
                        first = Some(col);
                    }
                    self.at += 1;
                    self.continuation()?;
                    self.buffer_start = self.line_start;
                    continue;
                }
                _ => break,
            }
            self.at += 1;
        }
        if matches!(self.peek(), Some(b'#' | b'\n')) {
            return Ok(true);
        }
        if !self.brackets.is_empty() {
            return Ok(false);
        }
        if let Some(first) = first.filter(|&col| col != 0) {
            (col, alternative) = (first, first);
        }
        let tabs = |scanner: &Self| {
            let message = "inconsistent use of tabs and spaces in indentation";
            scanner.indentation("TabError", message, 1, 0)
        };
        let (known, known_alternative) = self.indents.last().copied().unwrap_or_default();
        if col == known {
            if alternative != known_alternative {
                return Err(tabs(self));
            }
        } else if col > known {
            if self.indents.len() >= MAX_INDENT {
                let message = "too many levels of indentation";
                return Err(self.indentation("IndentationError", message, 1, 0));
            }
            if alternative <= known_alternative {
                return Err(tabs(self));
            }
            self.pending += 1;
            self.indents.push((col, alternative));
        } else {
            while self.indents.len() > 1 && self.indents.last().is_some_and(|&(of, _)| col < of) {
                self.indents.pop();
                self.pending -= 1;
            }
            let (known, known_alternative) = self.indents.last().copied().unwrap_or_default();
            if col != known {
                let message = "unindent does not match any outer indentation level";
                return Err(self.indentation("IndentationError", message, self.whole_line(), -1));
            }
            if alternative != known_alternative {
                return Err(tabs(self));
            }
        }
        Ok(false)
    }

    fn whole_line(&self) -> i64 {
        self.chars(self.line_start, self.line_end()) + 1
    }

    fn move_to_line(&mut self) {
        if self.at > 0 && self.bytes.get(self.at - 1) == Some(&b'\n') && self.line_start != self.at
        {
            self.next_line();
        }
        self.buffer_start = self.line_start;
    }

    /// A token that is no white space.
    fn solid(&mut self, byte: u8) -> Result<Token, Fault> {
        let from = self.at;
        let start = self.place(from);
        if starts_name(byte) {
            return self.name_or_prefix();
        }
        if byte.is_ascii_digit()
            || byte == b'.' && self.ahead(1).is_some_and(|next| next.is_ascii_digit())
        {
            self.number()?;
            return Ok(self.token(Kind::Number, from, start));
        }
        if byte == b'"' || byte == b'\'' {
            return self.string(from, start);
        }
        self.operator(byte)
    }

    /// A string that is no f-string; the reader stands at its quote.
    pub(super) fn string(&mut self, from: usize, start: Place) -> Result<Token, Fault> {
        let quote = self.peek().ok_or(Fault::Unknown)?;
        let (line, line_start) = (self.line, self.line_start);
        let size = if self.ahead(1) == Some(quote) && self.ahead(2) == Some(quote) {
            3
        } else {
            1
        };
        self.at += size;
        let (mut run, mut escaped_quote) = (0, false);
        loop {
            let byte = self.peek();
            if byte.is_none() || size == 1 && byte == Some(b'\n') {
                break;
            }
            let byte = self.take();
            if byte == Some(quote) {
                run += 1;
                if run == size {
                    let mut token = self.token(Kind::String, from, start);
                    token.start.line = line;
                    return Ok(token);
                }
                continue;
            }
            run = 0;
            if byte == Some(b'\\') && self.take() == Some(quote) {
                escaped_quote = true;
            }
        }
        let detected = self.line;
        let offset = self.chars(line_start, from) + 1;
        if let Some(format) = self.formats.last()
            && (format.quote, format.size) == (quote, size)
        {
            let letter = format.letter;
            self.at = from + 1;
            return Err(self.error_at(
                format!("{letter}-string: expecting '}}'"),
                line,
                offset,
                offset,
            ));
        }
        let what = if size == 3 {
            "unterminated triple-quoted string literal"
        } else {
            "unterminated string literal"
        };
        let hint = if size == 1 && escaped_quote {
            "; perhaps you escaped the end quote?"
        } else {
            ""
        };
        let message = format!("{what} (detected at line {detected}){hint}");
        Err(self.error_at(message, line, offset, offset))
    }

    fn operator(&mut self, byte: u8) -> Result<Token, Fault> {
        const LONG: [&str; 25] = [
            "**=", "//=", "<<=", ">>=", "...", "!=", "->", ":=", "**", "//", "<<", ">>", "<=",
            ">=", "==", "<>", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "@=",
        ];
        let from = self.at;
        let start = self.place(from);
        if let Some(format) = self.formats.last_mut()
            && format.field >= 0
            && byte == b':'
            && format.depth == format.field + 1
        {
            format.in_text = true;
            format.in_spec = true;
            self.at += 1;
            return Ok(self.token(Kind::Operator, from, start));
        }
        let rest = self.bytes.get(from..).unwrap_or_default();
        if let Some(long) = LONG.iter().find(|long| rest.starts_with(long.as_bytes())) {
            self.at += long.len();
            return Ok(self.token(Kind::Operator, from, start));
        }
        self.at += 1;
        match byte {
            b'(' | b'[' | b'{' => {
                if self.brackets.len() >= MAX_LEVEL {
                    return Err(self.error("too many nested parentheses"));
                }
                self.brackets.push(Bracket { byte, place: start });
                if let Some(format) = self.formats.last_mut() {
                    format.depth += 1;
                }
            }
            b')' | b']' | b'}' => self.close(byte)?,
            _ if byte < 0x20 || byte == 0x7f => {
                return Err(self.error(format!("invalid non-printable character U+{byte:04X}")));
            }
            _ => {}
        }
        Ok(self.token(Kind::Operator, from, start))
    }

    fn close(&mut self, byte: u8) -> Result<(), Fault> {
        let closing = char::from(byte);
        if let Some(format) = self.formats.last()
            && format.depth == 0
            && byte == b'}'
        {
            let letter = format.letter;
            return Err(self.error(format!("{letter}-string: single '}}' is not allowed")));
        }
        let Some(bracket) = self.brackets.pop() else {
            return Err(self.error(format!("unmatched '{closing}'")));
        };
        let opening = char::from(bracket.byte);
        if !matches!((opening, closing), ('(', ')') | ('[', ']') | ('{', '}')) {
            if let Some(format) = self.formats.last()
                && opening == '{'
                && format.depth - 1 == format.field
            {
                let letter = format.letter;
                return Err(self.error(format!("{letter}-string: unmatched '{closing}'")));
            }
            let mut message = format!(
                "closing parenthesis '{closing}' does not match opening parenthesis '{opening}'"
            );
            if bracket.place.line != self.line {
                message = format!("{message} on line {}", bracket.place.line);
            }
            return Err(self.error(message));
        }
        let mut unmatched = None;
        if let Some(format) = self.formats.last_mut() {
            format.depth -= 1;
            if format.depth < 0 {
                unmatched = Some(format.letter);
            } else if byte == b'}' && format.depth == format.field {
                format.field -= 1;
                format.in_text = true;
                format.in_spec = false;
            }
        }
        match unmatched {
            Some(letter) => Err(self.error(format!("{letter}-string: unmatched '{closing}'"))),
            None => Ok(()),
        }
    }
}

fn mild(fault: Fault) -> Fault {
    match fault {
        Fault::Error(error) => Fault::Mild(error),
        other => other,
    }
}
