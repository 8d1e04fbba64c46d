//! Docstrings, dedented as 3.13 and later store them.

use std::borrow::Cow;

use super::Compiler;
use crate::compiler::native::ast::{Constant, ExprKind, StmtKind, StmtList, Sym};
use crate::compiler::native::error::{Loc, Pass, Stop};

/// `str.expandtabs()`: to columns that are multiples of 8.
fn expand_tabs(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut column = 0;
    for &byte in text {
        match byte {
            b'\t' => {
                let count = 8 - column % 8;
                out.extend(std::iter::repeat_n(b' ', count));
                column += count;
            }
            b'\n' | b'\r' => {
                out.push(byte);
                column = 0;
            }
            _ => {
                out.push(byte);
                // Columns count characters, not bytes.
                column += usize::from(byte & 0xc0 != 0x80);
            }
        }
    }
    out
}

fn indent_of(line: &[u8]) -> usize {
    line.iter().take_while(|&&byte| byte == b' ').count()
}

/// Removes the indentation of the first line, and the smallest one of the others from each.
fn dedent(text: &[u8]) -> Vec<u8> {
    let text = match memchr::memchr(b'\t', text) {
        Some(_) => Cow::Owned(expand_tabs(text)),
        None => Cow::Borrowed(text),
    };
    let (first, others) = cut_line(&text);
    let mut margin = usize::MAX;
    let mut rest = others;
    while !rest.is_empty() {
        let (line, behind) = cut_line(rest);
        let indent = indent_of(line);
        if !matches!(line.get(indent), None | Some(b'\n')) {
            margin = margin.min(indent);
        }
        rest = behind;
    }
    if margin == usize::MAX {
        margin = 0;
    }
    let mut out = Vec::with_capacity(text.len());
    out.extend_from_slice(first.get(indent_of(first)..).unwrap_or(&[]));
    let mut rest = others;
    while !rest.is_empty() {
        let (line, behind) = cut_line(rest);
        let cut = indent_of(line.get(..margin).unwrap_or(line));
        out.extend_from_slice(line.get(cut..).unwrap_or(&[]));
        rest = behind;
    }
    out
}

/// The first line with its newline, and what follows.
fn cut_line(text: &[u8]) -> (&[u8], &[u8]) {
    let end = memchr::memchr(b'\n', text).map_or(text.len(), |at| at + 1);
    text.split_at_checked(end).unwrap_or((text, &[]))
}

impl Compiler<'_> {
    /// The docstring that a body begins with, and where it is.
    pub(super) fn docstring(&self, list: StmtList) -> Option<(Sym, Loc)> {
        let &first = self.ast.slice(list).first()?;
        let StmtKind::Expr { value } = self.ast.stmt(first).kind else {
            return None;
        };
        let expr = self.ast.expr(value);
        match expr.kind {
            ExprKind::Constant {
                value: Constant::Str(text),
                ..
            } => Some((text, expr.loc)),
            _ => None,
        }
    }

    pub(super) fn clean_docstring(&mut self, text: Sym) -> Pass<Sym> {
        if self.pool.str(text).is_none() {
            return Err(Stop::unsure("a docstring with a lone surrogate"));
        }
        let clean = dedent(self.pool.text(text));
        Ok(self.pool.sym_bytes(&clean))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indentation_goes_and_blank_lines_stay() {
        assert_eq!(dedent(b"  a\n    b\n   \n      c\n  "), b"a\nb\n\n  c\n");
        assert_eq!(dedent("é\tb".as_bytes()), "é       b".as_bytes());
        assert_eq!(dedent(b""), b"");
    }
}
