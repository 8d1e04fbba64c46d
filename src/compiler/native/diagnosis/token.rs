//! Tokens as CPython's tokenizer cuts them.

/// A place: 1-based line and 0-based byte column; column -1 where CPython gives none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub col: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Name,
    Number,
    String,
    FormatStart,
    FormatMiddle,
    FormatEnd,
    Newline,
    Indent,
    Dedent,
    End,
    Operator,
}

#[derive(Clone, Debug)]
pub struct Token {
    pub kind: Kind,
    /// Byte range in the source.
    pub from: usize,
    pub to: usize,
    pub start: Place,
    pub end: Place,
    /// Open brackets behind it.
    pub level: usize,
    /// Whether it is part of a t-string.
    pub template: bool,
}

/// Hard keywords: no name may be one.
pub const KEYWORDS: [&str; 35] = [
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import",
    "in", "is", "lambda", "nonlocal", "not", "or", "pass", "raise", "return", "try", "while",
    "with", "yield",
];

/// Why no more tokens come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An error with its whole text.
    Error(super::Diagnosis),
    /// The same, but of those that CPython words only when the parser asks for the token.
    Mild(super::Diagnosis),
    /// The source ends within brackets or behind a backslash.
    Eof,
    /// Not known what CPython says.
    Unknown,
}
