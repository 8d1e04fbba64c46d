//! Lowering: ruff's syntax tree to ours, with the nodes, constants and positions of CPython.
//!
//! Invariant: for a text that CPython accepts the result is `ast.parse`'s, attribute for attribute.
//! The places where ruff's tree says something else: decorated definitions, a trailing `;` in a
//! suite, a sole generator argument, `elif`, the parts of f-strings, escapes.

mod expr;
mod fstring;
mod lines;
mod pattern;
mod stmt;
mod text;
mod unicode;
mod unicode_alias;

use crate::compiler::native::ast::{Ast, ExprId, ExprList, Pool, StmtId, Sym};
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::parse::{Discarded, Module};
use crate::compiler::native::recursion;
use crate::pyc::Target;
use lines::Lines;
use ruff_python_ast as ruff;
use ruff_text_size::{TextRange, TextSize};

/// How deep statements and expressions may nest. CPython's own limits lie higher and depend on its
/// build; what is between is for another backend.
const MAX_DEPTH: u32 = 3000;

/// How many operators that nest without brackets (unary ones, `lambda`, `if` expressions, `**`) may
/// be in each other. CPython's parser runs out of its stack at 2,984 of some of them.
const MAX_NEST: u32 = 1000;

/// How many `elif` may follow each other; CPython's parser ends at 5,965.
const MAX_ELIFS: usize = 2000;

/// Lowers a module, of which each statement is freed before the next. `source` is the text that was
/// parsed.
pub fn lower(source: &str, mut module: Module, target: Target, pool: &mut Pool) -> Pass<Ast> {
    let mut lowering = Lowering {
        source,
        is_ascii: source.is_ascii(),
        lines: Lines::new(source),
        ast: Ast::for_source(source.len()),
        pool,
        target,
        depth: 0,
        nest: 0,
        format_depth: 0,
        expr_stack: Vec::new(),
        stmt_stack: Vec::new(),
        discarded: module.discarded(),
    };
    while let Some(mut stmt) = module.next_statement() {
        let lowered = lowering.stmt(&mut stmt);
        lowering.discarded.push(stmt);
        let (id, _) = lowered?;
        lowering.stmt_stack.push(id);
    }
    lowering.ast.body = lowering.ast.list(&lowering.stmt_stack)?;
    Ok(lowering.ast)
}

struct Lowering<'s, 'p> {
    source: &'s str,
    /// Whether all of it is ASCII, so that no name needs a closer look.
    is_ascii: bool,
    lines: Lines,
    ast: Ast,
    pool: &'p mut Pool,
    target: Target,
    depth: u32,
    /// The operators around that nest without brackets.
    nest: u32,
    /// The format specifications around.
    format_depth: u32,
    /// Children whose list is not complete yet, of all open nodes.
    expr_stack: Vec<ExprId>,
    /// The same for statements.
    stmt_stack: Vec<StmtId>,
    discarded: Discarded,
}

impl Lowering<'_, '_> {
    fn loc(&mut self, range: TextRange) -> Loc {
        self.lines.loc(range)
    }

    fn name(&mut self, name: &ruff::name::Name) -> Pass<Sym> {
        self.identifier(name.as_str())
    }

    fn identifier(&mut self, name: &str) -> Pass<Sym> {
        if self.is_ascii {
            return Ok(self.pool.sym(name));
        }
        if !name.is_ascii() && name.chars().any(|c| unicode::is_newer_than(c, self.target)) {
            return Err(Stop::unsure(
                "an identifier uses a newer Unicode version than the interpreter's",
            ));
        }
        // Other characters that NFKC makes one of these: CPython fails on some of its nodes.
        if matches!(name, "None" | "True" | "False") {
            return Err(Stop::unsure("an identifier that becomes a constant's name"));
        }
        Ok(self.pool.sym(name))
    }

    fn opt_identifier(&mut self, name: Option<&ruff::Identifier>) -> Pass<Option<Sym>> {
        name.map(|name| self.identifier(name.id.as_str()))
            .transpose()
    }

    /// Runs one level of recursion, with enough stack and within the depth limit.
    fn deeper<T>(&mut self, level: impl FnOnce(&mut Self) -> Pass<T>) -> Pass<T> {
        if self.depth >= MAX_DEPTH {
            return Err(Stop::unsure("the program nests too deeply"));
        }
        let depth = self.depth;
        self.depth += 1;
        let result = recursion::at_depth(depth, || level(self));
        self.depth -= 1;
        result
    }

    /// Runs a level that CPython's parser needs stack for although there is no bracket.
    fn nested<T>(&mut self, level: impl FnOnce(&mut Self) -> Pass<T>) -> Pass<T> {
        if self.nest >= MAX_NEST {
            return Err(Stop::unsure("operators nest too deeply to be sure"));
        }
        self.nest += 1;
        let result = level(self);
        self.nest -= 1;
        result
    }

    /// Closes the list of the children that were pushed since `base`.
    fn close_exprs(&mut self, base: usize) -> Pass<ExprList> {
        let list = self
            .ast
            .list(self.expr_stack.get(base..).unwrap_or_default());
        self.expr_stack.truncate(base);
        list
    }

    /// The source text of a range.
    fn text(&self, range: TextRange) -> &str {
        self.source
            .get(usize::from(range.start())..usize::from(range.end()))
            .unwrap_or_default()
    }

    /// The first offset at or behind `from` that is no space, comment, newline or continuation.
    fn skip_trivia(&self, from: TextSize) -> TextSize {
        let bytes = self.source.as_bytes();
        let mut at = usize::from(from);
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b' ' | b'\t' | b'\x0c' | b'\n' | b'\\' => at += 1,
                b'#' => {
                    let rest = bytes.get(at..).unwrap_or_default();
                    at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                }
                _ => break,
            }
        }
        TextSize::try_from(at).unwrap_or(from)
    }

    /// The end of a simple statement at `end` together with the `;` behind it, if there is one.
    fn end_with_semicolon(&self, end: TextSize) -> TextSize {
        let bytes = self.source.as_bytes();
        let mut at = usize::from(end);
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b' ' | b'\t' | b'\x0c' => at += 1,
                b'\\' if bytes.get(at + 1) == Some(&b'\n') => at += 2,
                b';' => return TextSize::try_from(at + 1).unwrap_or(end),
                _ => break,
            }
        }
        end
    }
}
