//! Parsing: the decoded text to ruff's syntax tree, within the limits of CPython's parser.
//!
//! Ruff nests without limit where CPython does not. What CPython surely refuses is refused here;
//! what is so deep that its verdict depends on its grammar's inner workings is unsure.

use crate::compiler::native::error::{Pass, Stop, SyntaxError};
use crate::pyc::Target;
use ruff_python_ast::token::{TokenKind, Tokens};
use ruff_python_ast::{self as ruff, PythonVersion};
use ruff_python_parser::{Mode, ParseOptions, lexer, parse_unchecked};
use ruff_text_size::Ranged;

/// CPython's limit of open brackets (`MAXLEVEL`).
const MAX_BRACKETS: u32 = 200;
/// Up to here its parser's stack is surely large enough, whatever is between the brackets.
const SURE_BRACKETS: u32 = 100;
/// The first number of indents that is too many (`MAXINDENT`).
const TOO_MANY_INDENTS: u32 = 100;
/// The first number of f-strings in each other that is too many (`MAXFSTRINGLEVEL`).
const TOO_MANY_FSTRINGS: u32 = 150;
/// The nesting of a source up to this size is bounded by its size.
const SMALL_SOURCE: usize = 128 * 1024;
/// How many tokens may lie between the outermost and the innermost open part of a statement. The
/// parser's recursion, and that of freeing its tree, is within it.
const MAX_OPEN_TOKENS: usize = 128 * 1024;
/// The stack that freeing one level of ruff's tree may need.
const FREE_LEVEL: usize = 512;

/// How many statements are freed together.
pub const FREED_TOGETHER: usize = 4096;

/// A parsed module. Freeing it needs stack in proportion to its nesting, which is provided.
pub struct Module {
    statements: Option<<ruff::Suite as IntoIterator>::IntoIter>,
    /// A bound of the nesting.
    nesting: usize,
}

impl Module {
    /// Takes the next statement of the module out; its end is in [`Discarded`].
    pub fn next_statement(&mut self) -> Option<ruff::Stmt> {
        self.statements.as_mut()?.next()
    }

    /// A place for statements of this module that were done with.
    pub fn discarded(&self) -> Discarded {
        Discarded {
            statements: Vec::new(),
            nesting: self.nesting,
        }
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        free(self.statements.take(), self.nesting);
    }
}

/// Statements that were done with. They are freed many at once, with the stack that this needs.
pub struct Discarded {
    statements: Vec<ruff::Stmt>,
    nesting: usize,
}

impl Discarded {
    /// Adds a statement.
    pub fn push(&mut self, statement: ruff::Stmt) {
        self.statements.push(statement);
        if self.statements.len() >= FREED_TOGETHER {
            free(std::mem::take(&mut self.statements), self.nesting);
        }
    }
}

impl Drop for Discarded {
    fn drop(&mut self) {
        free(std::mem::take(&mut self.statements), self.nesting);
    }
}

fn free<T>(tree: T, nesting: usize) {
    let stack = nesting * FREE_LEVEL + 64 * 1024;
    stacker::maybe_grow(stack, stack, || drop(tree));
}

/// Parses a module; any error of the parser's ends the compile.
pub fn parse(source: &str, target: Target) -> Pass<Module> {
    let nesting = nesting(source);
    if nesting > MAX_OPEN_TOKENS {
        return Err(Stop::unsure("a statement of too many tokens"));
    }
    let version = PythonVersion {
        major: 3,
        minor: target.minor(),
    };
    let options = ParseOptions::from(Mode::Module).with_target_version(version);
    let parsed = parse_unchecked(source, options);
    let message = match (parsed.errors(), parsed.unsupported_syntax_errors()) {
        ([], []) => None,
        ([first, ..], _) => Some(first.error.to_string()),
        ([], [first, ..]) => Some(first.to_string()),
    };
    if let Some(message) = message {
        free(parsed, nesting);
        // Under this future feature `<>` is an operator and `!=` is none.
        if memchr::memmem::find(source.as_bytes(), b"barry_as_FLUFL").is_some() {
            return Err(Stop::unsure("barry_as_FLUFL"));
        }
        return Err(rejected("SyntaxError", message));
    }
    let limits = check_limits(parsed.tokens());
    let parsed = parsed
        .try_into_module()
        .ok_or_else(|| Stop::unsure("the source is no module"))?;
    let module = Module {
        statements: Some(parsed.into_syntax().body.into_iter()),
        nesting,
    };
    limits.map(|()| module)
}

/// A bound of the nesting, the exact one only where a rough one is too large.
fn nesting(source: &str) -> usize {
    if source.len() <= SMALL_SOURCE {
        return source.len();
    }
    let tokens = most_tokens(source.as_bytes());
    if tokens <= MAX_OPEN_TOKENS {
        return tokens;
    }
    open_tokens(source)
}

/// At least the number of tokens: the words, the letters behind digits, and the bytes that are
/// neither in a word nor blank.
fn most_tokens(source: &[u8]) -> usize {
    let behind = source.get(1..).unwrap_or_default();
    // In short rows, which are counted many bytes at once.
    let rows = source.chunks(128).zip(behind.chunks(128));
    let count = |(befores, bytes): (&[u8], &[u8])| {
        let pairs = befores.iter().zip(bytes);
        let starts = pairs.map(|(&before, &byte)| u8::from(starts_token(before, byte)));
        usize::from(starts.fold(0, u8::wrapping_add))
    };
    1 + rows.map(count).sum::<usize>()
}

/// Without branches.
fn starts_token(before: u8, byte: u8) -> bool {
    let is_digit = |byte: u8| byte.wrapping_sub(b'0') < 10;
    let is_letter =
        |byte: u8| ((byte | 0x20).wrapping_sub(b'a') < 26) | (byte == b'_') | (byte >= 0x80);
    let in_word = |byte: u8| is_letter(byte) | is_digit(byte);
    let starts_word = in_word(byte) & !in_word(before);
    let leaves_number = is_letter(byte) & is_digit(before);
    starts_word | leaves_number | (!in_word(byte) & (byte > b' '))
}

fn rejected(kind: &'static str, message: impl Into<String>) -> Stop {
    Stop::Rejected(Box::new(SyntaxError {
        kind,
        message: message.into(),
        loc: None,
        exact: false,
    }))
}

/// The largest number of tokens since the last comma or newline at each level of open brackets,
/// summed over the levels.
fn open_tokens(source: &str) -> usize {
    let mut lexer = lexer::lex(source, Mode::Module);
    // Of the levels around the innermost, and in the innermost.
    let mut outer: Vec<usize> = Vec::new();
    let mut sum = 0;
    let mut here: usize = 0;
    let mut most = 0;
    loop {
        match lexer.next_token() {
            TokenKind::EndOfFile => return most,
            TokenKind::Lpar
            | TokenKind::Lsqb
            | TokenKind::Lbrace
            | TokenKind::FStringStart
            | TokenKind::TStringStart => {
                outer.push(here + 1);
                sum += here + 1;
                here = 0;
            }
            TokenKind::Rpar
            | TokenKind::Rsqb
            | TokenKind::Rbrace
            | TokenKind::FStringEnd
            | TokenKind::TStringEnd => {
                here = outer.pop().unwrap_or(0);
                sum -= here;
            }
            TokenKind::Comma => here = 0,
            TokenKind::Newline if outer.is_empty() => here = 0,
            TokenKind::Comment | TokenKind::NonLogicalNewline => {}
            _ => here += 1,
        }
        most = most.max(sum + here);
    }
}

/// Where the number of open indents begins in a [`Nesting`], and that of open f-strings; that of open
/// brackets is at 0.
const INDENTS: u32 = 20;
const FSTRINGS: u32 = 40;
/// The bits that are never set as long as all limits are far: fewer than 64 brackets, 64 indents and 32
/// f-strings.
const FAR: u64 = !(63 | 63 << INDENTS | 31 << FSTRINGS);

/// By how much each kind of token changes three numbers in one word: what is open.
static NESTING: [u64; 256] = {
    #[allow(clippy::indexing_slicing)] // Only while the program is built.
    const fn mark(mut table: [u64; 256], kinds: &[TokenKind], by: u64) -> [u64; 256] {
        let mut at = 0;
        while at < kinds.len() {
            table[kinds[at] as u8 as usize] = by;
            at += 1;
        }
        table
    }
    use TokenKind as Kind;
    let table = mark([0; 256], &[Kind::Lpar, Kind::Lsqb, Kind::Lbrace], 1);
    let closing = [Kind::Rpar, Kind::Rsqb, Kind::Rbrace];
    let table = mark(table, &closing, 1u64.wrapping_neg());
    let table = mark(table, &[Kind::Indent], 1 << INDENTS);
    let table = mark(table, &[Kind::Dedent], (1u64 << INDENTS).wrapping_neg());
    let opening = [Kind::FStringStart, Kind::TStringStart];
    let table = mark(table, &opening, 1 << FSTRINGS);
    let closing = [Kind::FStringEnd, Kind::TStringEnd];
    mark(table, &closing, (1u64 << FSTRINGS).wrapping_neg())
};

/// Whether the nesting surely is far below the limits, found out without a branch for each token. A number
/// that falls below zero sets bits of the others.
#[allow(clippy::indexing_slicing)] // A kind is one byte.
fn is_far_from_limits(tokens: &Tokens) -> bool {
    let (mut open, mut seen) = (0u64, 0);
    for token in tokens {
        open = open.wrapping_add(NESTING[token.kind() as u8 as usize]);
        seen |= open;
    }
    seen & FAR == 0
}

/// Checks the nesting limits of CPython's tokenizer.
fn check_limits(tokens: &Tokens) -> Pass<()> {
    if is_far_from_limits(tokens) {
        return Ok(());
    }
    let (mut brackets, mut most_brackets) = (0u32, 0);
    let (mut indents, mut most_indents) = (0u32, 0);
    let (mut fstrings, mut most_fstrings) = (0u32, 0);
    for token in tokens {
        match token.kind() {
            TokenKind::Lpar | TokenKind::Lsqb | TokenKind::Lbrace => {
                brackets += 1;
                most_brackets = most_brackets.max(brackets);
            }
            TokenKind::Rpar | TokenKind::Rsqb | TokenKind::Rbrace => {
                brackets = brackets.saturating_sub(1);
            }
            TokenKind::Indent => {
                indents += 1;
                most_indents = most_indents.max(indents);
            }
            TokenKind::Dedent => indents = indents.saturating_sub(1),
            TokenKind::FStringStart | TokenKind::TStringStart => {
                fstrings += 1;
                most_fstrings = most_fstrings.max(fstrings);
            }
            TokenKind::FStringEnd | TokenKind::TStringEnd => fstrings = fstrings.saturating_sub(1),
            _ => {}
        }
    }
    if most_indents >= TOO_MANY_INDENTS {
        return Err(rejected(
            "IndentationError",
            "too many levels of indentation",
        ));
    }
    if most_brackets > MAX_BRACKETS {
        return Err(rejected("SyntaxError", "too many nested parentheses"));
    }
    if most_fstrings >= TOO_MANY_FSTRINGS {
        return Err(rejected("SyntaxError", "too many nested f-strings"));
    }
    if most_brackets + most_fstrings > SURE_BRACKETS {
        return Err(Stop::unsure("brackets nest too deeply to be sure"));
    }
    Ok(())
}

/// Whether all of these offsets, in ascending order, lie in comments.
pub(super) fn are_in_comments(source: &str, offsets: &[usize]) -> bool {
    if open_tokens(source) > MAX_OPEN_TOKENS {
        return false;
    }
    let options = ParseOptions::from(Mode::Module);
    let parsed = parse_unchecked(source, options);
    let mut offsets = offsets.iter().copied().peekable();
    for token in parsed.tokens() {
        if token.kind() == TokenKind::Comment {
            let (start, end) = (token.start().to_usize(), token.end().to_usize());
            while offsets.next_if(|&at| start <= at && at < end).is_some() {}
        }
    }
    let all = offsets.peek().is_none();
    free(parsed, source.len().min(MAX_OPEN_TOKENS));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_source_has_more_tokens_than_the_rough_bound_says() {
        let mut texts = vec![
            "1if 1else 0x1for\tx\n".repeat(40),
            "f(a, *b)[1:2].c = {**d, 'e': f'{g!r:>{h}}'}\n".repeat(40),
            "\u{e9}\u{e8} = -~+not_ ** lambda: (yield)\n".repeat(40),
        ];
        let every_byte: String = (0..0x80u8).map(char::from).collect();
        texts.push(every_byte.repeat(10));
        for text in texts {
            let mut lexer = lexer::lex(&text, Mode::Module);
            let mut tokens = 0;
            loop {
                match lexer.next_token() {
                    TokenKind::EndOfFile => break,
                    TokenKind::Newline | TokenKind::NonLogicalNewline => {}
                    _ => tokens += 1,
                }
            }
            let most = most_tokens(text.as_bytes());
            assert!(tokens <= most, "{tokens} {most} {text}");
        }
    }
}
