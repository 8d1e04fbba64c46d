//! The state of a reading, and what every rule uses: tokens, alternatives, memory, raising.

use std::rc::Rc;

use rustc_hash::FxHashMap;

use super::Diagnosis;
use super::node::{Node, Shape, Tree};
use super::scan::Scanner;
use super::token::{Fault, KEYWORDS, Kind, Place, Token};

/// Why a reading stops.
#[derive(Clone, Debug)]
pub(super) enum Halt {
    Error(Diagnosis),
    Unknown,
}

/// A rule's result: a tree, no match, or the end of the reading.
pub(super) type Rule<T = Tree> = Result<Option<T>, Halt>;

/// Takes the value of a rule, or ends this alternative.
macro_rules! want {
    ($rule:expr) => {
        match $rule? {
            Some(value) => value,
            None => return Ok(None),
        }
    };
}
pub(super) use want;

/// Tries an alternative; a match ends the rule.
macro_rules! either {
    ($parser:expr, $alternative:expr) => {
        if let Some(value) = $parser.alternative($alternative)? {
            return Ok(Some(value));
        }
    };
}
pub(super) use either;

/// Rules whose results are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Memo {
    Expression,
    StarExpression,
    NamedExpression,
    Disjunction,
    Conjunction,
    Inversion,
    BitwiseOr,
    Sum,
    Factor,
    Primary,
    Strings,
    Arguments,
    StarTarget,
    TargetPrimary,
    DelTarget,
    ClosedPattern,
    Block,
    Elif,
    SimpleStatement,
    InvalidNamed,
    TypeParam,
    Atom,
    Slices,
}

/// Where an error is shown.
pub(super) enum At<'n> {
    /// The whole of one node.
    Node(&'n Tree),
    /// From one node to the end of another.
    Range(&'n Tree, &'n Tree),
    /// From a node to where the tokenizer stands.
    From(&'n Tree),
    /// The last token that was read.
    Here,
    /// The next token to be parsed.
    Next,
}

pub(super) struct Parser<'a> {
    scanner: Scanner<'a>,
    tokens: Vec<Token>,
    fault: Option<Fault>,
    pub(super) mark: usize,
    pub(super) minor: u8,
    /// Whether this is the second pass.
    pub(super) mistakes: bool,
    memory: FxHashMap<(Memo, usize, bool), (Option<Tree>, usize)>,
    depth: usize,
    fuel: u64,
    source: String,
}

/// The column of an end that is left open.
pub(super) const NO_END: i64 = -1;

/// How deep rules may nest. CPython's own limit counts its rules, which are not these.
const MAX_DEPTH: usize = 800;

impl<'a> Parser<'a> {
    /// `implied`: the last newline is not the source's own.
    pub(super) fn new(source: &'a str, minor: u8, implied: bool) -> Parser<'a> {
        Parser {
            scanner: Scanner::new(source, minor, implied),
            tokens: Vec::new(),
            fault: None,
            mark: 0,
            minor,
            mistakes: false,
            memory: FxHashMap::default(),
            depth: 0,
            fuel: 3_000_000,
            source: source.to_owned(),
        }
    }

    /// Both passes, then what CPython makes of their ends.
    pub(super) fn diagnose(mut self) -> Option<Diagnosis> {
        match self.file() {
            Ok(Some(_)) => return None,
            Ok(None) => {}
            Err(halt) => return self.checked(halt),
        }
        let last = self.tokens.last().cloned()?;
        self.mark = 0;
        self.mistakes = true;
        self.memory.clear();
        match self.file() {
            // Only a known mistake in passing, which CPython's second pass would go by as well.
            Ok(_) => {}
            Err(halt) => return self.checked(halt),
        }
        let halt = match last.kind {
            Kind::Indent => return self.indentation("unexpected indent").ok(),
            Kind::Dedent => return self.indentation("unexpected unindent").ok(),
            _ => {
                let unequal = self.text(last.from, last.to) == "<>";
                let message = if unequal {
                    "invalid syntax.  Maybe you meant '!=' instead of '<>'?"
                } else {
                    "invalid syntax"
                };
                self.known("SyntaxError", message.to_owned(), last.start, last.end)
            }
        };
        self.checked(halt)
    }

    /// The parser's own errors give way to errors of the tokenizer further on.
    fn checked(mut self, halt: Halt) -> Option<Diagnosis> {
        let Halt::Error(error) = halt else {
            return None;
        };
        if self.fault.is_some() {
            return Some(error);
        }
        let line = self.tokens.last()?.start.line;
        loop {
            match self.scanner.next() {
                Ok(token) if token.kind == Kind::End => return Some(error),
                Ok(_) => {}
                // Within a string with fields CPython's own account of lines and brackets decides whether
                // it sees this error at all.
                Err(Fault::Error(_)) if self.scanner.broken || !self.scanner.formats.is_empty() => {
                    return None;
                }
                Err(Fault::Error(other)) => {
                    return Some(other);
                }
                Err(Fault::Unknown) => return None,
                Err(Fault::Eof | Fault::Mild(_)) => {
                    let bracket = self.scanner.brackets.last();
                    return match bracket {
                        Some(bracket) if line > bracket.place.line => {
                            Some(self.never_closed(bracket.byte, bracket.place))
                        }
                        _ => Some(error),
                    };
                }
            }
        }
    }

    fn never_closed(&self, byte: u8, place: Place) -> Diagnosis {
        let message = format!("'{}' was never closed", char::from(byte));
        Diagnosis {
            kind: "SyntaxError",
            message,
            line: place.line,
            offset: self.character(place.line, place.col),
            end_line: place.line,
            end_offset: 0,
        }
    }

    /// Makes sure that the token at the mark is read.
    pub(super) fn peek(&mut self) -> Result<&Token, Halt> {
        self.fuel = self.fuel.saturating_sub(1);
        if self.fuel == 0 {
            return Err(Halt::Unknown);
        }
        while self.tokens.len() <= self.mark {
            if let Some(fault) = &self.fault {
                return Err(match fault {
                    Fault::Error(error) | Fault::Mild(error) => Halt::Error(error.clone()),
                    Fault::Eof | Fault::Unknown => Halt::Unknown,
                });
            }
            match self.scanner.next() {
                Ok(token) => self.tokens.push(token),
                Err(fault) => {
                    self.fault = Some(fault.clone());
                    return Err(match fault {
                        Fault::Error(error) | Fault::Mild(error) => Halt::Error(error),
                        Fault::Unknown => Halt::Unknown,
                        Fault::Eof => match self.scanner.brackets.last() {
                            Some(bracket) => {
                                Halt::Error(self.never_closed(bracket.byte, bracket.place))
                            }
                            None => return Err(Halt::Unknown),
                        },
                    });
                }
            }
        }
        self.tokens.get(self.mark).ok_or(Halt::Unknown)
    }

    pub(super) fn text(&self, from: usize, to: usize) -> &str {
        self.source.get(from..to).unwrap_or_default()
    }

    /// Runs an alternative; without a match the reader goes back.
    pub(super) fn alternative<T>(&mut self, rule: impl FnOnce(&mut Self) -> Rule<T>) -> Rule<T> {
        let mark = self.mark;
        let result = rule(self)?;
        if result.is_none() {
            self.mark = mark;
        }
        Ok(result)
    }

    /// Whether a rule matches here; nothing is taken.
    pub(super) fn sees<T>(
        &mut self,
        rule: impl FnOnce(&mut Self) -> Rule<T>,
    ) -> Result<bool, Halt> {
        let mark = self.mark;
        let result = rule(self)?.is_some();
        self.mark = mark;
        Ok(result)
    }

    /// As [`Parser::sees`], as a rule: a match without content.
    pub(super) fn if_sees<T>(&mut self, rule: impl FnOnce(&mut Self) -> Rule<T>) -> Rule<()> {
        Ok(self.sees(rule)?.then_some(()))
    }

    /// The opposite of [`Parser::if_sees`].
    pub(super) fn unless<T>(&mut self, rule: impl FnOnce(&mut Self) -> Rule<T>) -> Rule<()> {
        Ok((!self.sees(rule)?).then_some(()))
    }

    /// A rule that need not match.
    pub(super) fn maybe<T>(
        &mut self,
        rule: impl FnOnce(&mut Self) -> Rule<T>,
    ) -> Result<Option<T>, Halt> {
        self.alternative(rule)
    }

    pub(super) fn many(&mut self, rule: fn(&mut Self) -> Rule) -> Result<Vec<Tree>, Halt> {
        let mut all = Vec::new();
        while let Some(one) = self.alternative(rule)? {
            all.push(one);
        }
        Ok(all)
    }

    pub(super) fn some(&mut self, rule: fn(&mut Self) -> Rule) -> Rule<Vec<Tree>> {
        let all = self.many(rule)?;
        Ok((!all.is_empty()).then_some(all))
    }

    /// One or more with commas between them.
    pub(super) fn commas(&mut self, rule: fn(&mut Self) -> Rule) -> Rule<Vec<Tree>> {
        let mut all = vec![want!(self.alternative(rule))];
        while let Some(next) = self.alternative(|p| {
            want!(p.op(","));
            rule(p)
        })? {
            all.push(next);
        }
        Ok(Some(all))
    }

    pub(super) fn remembered(&mut self, memo: Memo, rule: fn(&mut Self) -> Rule) -> Rule {
        // CPython remembers these whether mistakes were looked for or not; the others are ours, for speed.
        let ours = matches!(
            memo,
            Memo::NamedExpression | Memo::Atom | Memo::Slices | Memo::Elif
        );
        let key = (memo, self.mark, ours && self.mistakes);
        if let Some((tree, mark)) = self.memory.get(&key) {
            self.mark = *mark;
            return Ok(tree.clone());
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Halt::Unknown);
        }
        let result = stacker::maybe_grow(256 * 1024, 1024 * 1024, || self.alternative(rule))?;
        self.depth -= 1;
        self.memory.insert(key, (result.clone(), self.mark));
        Ok(result)
    }

    /// Runs a rule without the known mistakes.
    pub(super) fn without_mistakes(&mut self, rule: fn(&mut Self) -> Rule) -> Rule {
        let mistakes = std::mem::replace(&mut self.mistakes, false);
        let result = self.alternative(rule);
        self.mistakes = mistakes;
        result
    }

    fn accept(&mut self, wanted: impl FnOnce(&Token, &str) -> bool) -> Rule {
        let token = self.peek()?.clone();
        if !wanted(&token, self.text(token.from, token.to)) {
            return Ok(None);
        }
        self.mark += 1;
        Ok(Some(Rc::new(Node {
            shape: Shape::Other,
            start: token.start,
            end: token.end,
            parts: Vec::new(),
            text: (token.from, token.to),
        })))
    }

    /// An operator.
    pub(super) fn op(&mut self, text: &str) -> Rule {
        self.accept(|token, found| token.kind == Kind::Operator && found == text)
    }

    /// One of several operators.
    pub(super) fn any_op(&mut self, texts: &[&str]) -> Rule {
        self.accept(|token, found| token.kind == Kind::Operator && texts.contains(&found))
    }

    /// A keyword, hard or soft.
    pub(super) fn word(&mut self, text: &str) -> Rule {
        self.accept(|token, found| token.kind == Kind::Name && found == text)
    }

    /// A token of a kind.
    pub(super) fn kind(&mut self, kind: Kind) -> Rule {
        self.accept(|token, _| token.kind == kind)
    }

    /// A token of a kind in an f-string, or in a t-string.
    pub(super) fn format_kind(&mut self, kind: Kind, template: bool) -> Rule {
        self.accept(|token, _| token.kind == kind && token.template == template)
    }

    pub(super) fn name(&mut self) -> Rule {
        let name = want!(
            self.accept(|token, found| token.kind == Kind::Name && !KEYWORDS.contains(&found))
        );
        Ok(Some(self.node_of(
            Shape::Name,
            &name,
            &name,
            Vec::new(),
            name.text,
        )))
    }

    pub(super) fn soft_keyword(&mut self) -> Rule {
        self.accept(|token, found| {
            token.kind == Kind::Name && matches!(found, "_" | "case" | "match" | "type")
        })
    }

    /// `&&`: this operator must come.
    pub(super) fn forced(&mut self, text: &str) -> Rule {
        if let Some(tree) = self.op(text)? {
            return Ok(Some(tree));
        }
        let token = self.peek()?.clone();
        let message = format!("expected '{text}'");
        Err(self.known("SyntaxError", message, token.start, token.end))
    }

    pub(super) fn node_of(
        &self,
        shape: Shape,
        first: &Tree,
        last: &Tree,
        parts: Vec<Tree>,
        text: (usize, usize),
    ) -> Tree {
        Rc::new(Node {
            shape,
            start: first.start,
            end: last.end,
            parts,
            text,
        })
    }

    /// A node from the token `first` to the last one taken.
    pub(super) fn node(&self, shape: Shape, first: usize, parts: Vec<Tree>) -> Tree {
        let none = Place { line: 0, col: -1 };
        let start = self.tokens.get(first).map_or(none, |token| token.start);
        let end = self
            .mark
            .checked_sub(1)
            .and_then(|last| self.tokens.get(last));
        Rc::new(Node {
            shape,
            start,
            end: end.map_or(none, |token| token.end),
            parts,
            text: (0, 0),
        })
    }

    /// The open brackets behind the last token that was taken.
    pub(super) fn level(&self) -> usize {
        let last = self
            .mark
            .checked_sub(1)
            .and_then(|last| self.tokens.get(last));
        last.map_or(0, |token| token.level)
    }

    pub(super) fn line_text(&self, line: usize) -> &str {
        self.source
            .split('\n')
            .nth(line.saturating_sub(1))
            .unwrap_or_default()
    }

    /// `offset` of a place: 1-based, in characters of the error's first line, beyond whose end none is.
    pub(super) fn character(&self, line: usize, col: i64) -> i64 {
        let line = self.line_text(line);
        // The newline belongs to the line, and so does what C puts behind it.
        let bytes = usize::try_from(col + 1).unwrap_or(0).min(line.len() + 2);
        let within = line
            .as_bytes()
            .get(..bytes.min(line.len()))
            .unwrap_or_default();
        let count = within.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
        (count + bytes - within.len()) as i64
    }

    /// An error at a known place.
    fn known(&self, kind: &'static str, message: String, start: Place, end: Place) -> Halt {
        Halt::Error(Diagnosis {
            kind,
            message,
            line: start.line,
            offset: self.character(start.line, start.col),
            end_line: end.line,
            end_offset: self.character(start.line, end.col),
        })
    }

    /// An error at a token. Where that has no column, the tokenizer's own place counts.
    fn at_token(&self, kind: &'static str, message: String, token: &Token) -> Halt {
        if token.start.col >= 0 {
            return self.known(kind, message, token.start, token.end);
        }
        let col = self.scanner.place(self.scanner.at).col - 1;
        Halt::Error(Diagnosis {
            kind,
            message,
            line: token.start.line,
            offset: self.character(token.start.line, col),
            end_line: token.end.line,
            end_offset: -1,
        })
    }

    /// A syntax error somewhere.
    pub(super) fn raise<T>(&mut self, at: At<'_>, message: impl Into<String>) -> Rule<T> {
        let message = message.into();
        let kind = "SyntaxError";
        Err(match at {
            At::Node(node) => self.known(kind, message, node.start, node.end),
            At::Range(first, last) => self.known(kind, message, first.start, last.end),
            At::From(first) => {
                let mut end = self.scanner.place(self.scanner.at);
                end.col -= 1;
                self.known(kind, message, first.start, end)
            }
            At::Here => {
                let last = self.tokens.last().ok_or(Halt::Unknown)?;
                self.at_token(kind, message, last)
            }
            At::Next => {
                let next = self.peek()?.clone();
                self.at_token(kind, message, &next)
            }
        })
    }

    fn indentation(&self, message: &str) -> Result<Diagnosis, Halt> {
        let last = self.tokens.last().ok_or(Halt::Unknown)?;
        match self.at_token("IndentationError", message.to_owned(), last) {
            Halt::Error(error) => Ok(error),
            Halt::Unknown => Err(Halt::Unknown),
        }
    }

    /// `expected an indented block after …`, if a newline and no indent come.
    pub(super) fn no_block<T>(&mut self, what: &str, head: &Tree) -> Rule<T> {
        want!(self.kind(Kind::Newline));
        want!(self.unless(|p| p.kind(Kind::Indent)));
        let message = format!(
            "expected an indented block after {what} on line {}",
            head.start.line
        );
        Err(Halt::Error(self.indentation(&message)?))
    }

    /// The same without a statement.
    pub(super) fn no_block_at_all<T>(&mut self) -> Rule<T> {
        want!(self.kind(Kind::Newline));
        want!(self.unless(|p| p.kind(Kind::Indent)));
        Err(Halt::Error(self.indentation("expected an indented block")?))
    }

    /// `expected ':'`, if a newline comes.
    pub(super) fn no_colon<T>(&mut self) -> Rule<T> {
        want!(self.kind(Kind::Newline));
        self.raise(At::Here, "expected ':'")
    }
}
