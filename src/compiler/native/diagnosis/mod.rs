//! Which error CPython raises for a source that its parser rejects: kind, message and place.
//!
//! Ruff's parser decides whether a program is accepted, and recovers where CPython stops, so that its
//! words and places are its own. Only when it rejects one is the source read again here, as CPython's
//! tokenizer and parser go about it: a first pass that knows valid programs only and
//! remembers how far it got, then a second one that also tries the known mistakes, in their order.
//! Nothing is built but what messages need: kinds and places of expressions.
//!
//! An answer is right or absent: where the two readings disagree, or a limit is met, there is none.

mod call;
mod compound;
mod comprehension;
mod expression;
mod fstring;
mod literal;
mod node;
mod parameters;
mod parser;
mod pattern;
mod scan;
mod scan_fstring;
mod scan_name;
mod scan_number;
mod simple;
mod target;
mod token;

use parser::Parser;

/// An error with its place as a `SyntaxError` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// `SyntaxError`, `IndentationError` or `TabError`.
    pub kind: &'static str,
    /// CPython's message.
    pub message: String,
    /// `lineno`, 1-based.
    pub line: usize,
    /// `offset`, 1-based, in characters.
    pub offset: i64,
    /// `end_lineno`.
    pub end_line: usize,
    /// `end_offset`; -1 and 0 mean that there is none.
    pub end_offset: i64,
}

/// The error of CPython 3.`minor`'s parser for a decoded source; `None` if it has none or is not known.
pub fn diagnose(source: &str, minor: u8) -> Option<Diagnosis> {
    if source.ends_with('\n') || source.is_empty() {
        return Parser::new(source, minor, false).diagnose();
    }
    Parser::new(&format!("{source}\n"), minor, true).diagnose()
}
