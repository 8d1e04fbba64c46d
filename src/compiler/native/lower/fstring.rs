//! Lowering of f-strings and t-strings: their parts with the positions that CPython's tokenizer
//! gives them.
//!
//! CPython cuts the literal text of an f-string into tokens: at a doubled brace, behind a `\N{…}`,
//! at a replacement field. A token whose value is empty leaves no trace, neighbours are then
//! joined.

use super::{Lowering, text};
use crate::compiler::native::ast::{Constant, Conversion, Expr, ExprId, ExprKind};
use crate::compiler::native::error::{Pass, Stop, SyntaxError};
use ruff_python_ast as ruff;
use ruff_text_size::{Ranged, TextRange, TextSize};

/// How many replacement fields may be in each other by way of format specifications.
const MAX_FIELDS: u32 = 3;

/// A part of a string before neighbouring constants are joined.
enum Part {
    Text {
        range: TextRange,
        value: Vec<u8>,
        unicode_prefix: bool,
    },
    Field(ExprId),
}

/// Which token of CPython a piece of literal text comes from.
#[derive(Clone, Copy)]
struct Mode {
    raw: bool,
    /// The text of a format specification.
    format_spec: bool,
}

impl Lowering<'_, '_> {
    pub(super) fn fstring(&mut self, node: &ruff::ExprFString) -> Pass<ExprId> {
        let mut parts = Vec::new();
        for part in &node.value {
            match part {
                ruff::FStringPart::Literal(literal) => {
                    let mut value = Vec::new();
                    self.literal_text(literal, &mut value)?;
                    parts.push(Part::Text {
                        range: literal.range,
                        value,
                        unicode_prefix: self.has_u_prefix(literal),
                    });
                }
                ruff::FStringPart::FString(fstring) => {
                    let mode = Mode {
                        raw: fstring.flags.prefix().is_raw(),
                        format_spec: false,
                    };
                    self.elements(&fstring.elements, mode, false, &mut parts)?;
                }
            }
        }
        let values = self.join(parts)?;
        let loc = self.loc(node.range);
        let values = self.ast.list(&values)?;
        let kind = ExprKind::JoinedStr { values };
        self.ast.add(Expr { kind, loc })
    }

    pub(super) fn tstring(&mut self, node: &ruff::ExprTString) -> Pass<ExprId> {
        let mut parts = Vec::new();
        for tstring in &node.value {
            let mode = Mode {
                raw: tstring.flags.prefix().is_raw(),
                format_spec: false,
            };
            self.elements(&tstring.elements, mode, true, &mut parts)?;
        }
        let values = self.join(parts)?;
        let loc = self.loc(node.range);
        let values = self.ast.list(&values)?;
        let kind = ExprKind::TemplateStr { values };
        self.ast.add(Expr { kind, loc })
    }

    /// The parts of one f-string, t-string or format specification.
    fn elements(
        &mut self,
        elements: &ruff::InterpolatedStringElements,
        mode: Mode,
        template: bool,
        parts: &mut Vec<Part>,
    ) -> Pass<()> {
        for element in elements {
            match element {
                ruff::InterpolatedStringElement::Literal(literal) => {
                    self.literal_element(literal.range, mode, parts)?;
                }
                ruff::InterpolatedStringElement::Interpolation(field) => {
                    self.deeper(|this| this.field(field, mode, template, parts))?;
                }
            }
        }
        Ok(())
    }

    /// Cuts literal text into CPython's tokens and adds those that are not empty.
    fn literal_element(&self, range: TextRange, mode: Mode, parts: &mut Vec<Part>) -> Pass<()> {
        let source = self.text(range);
        for token in tokens(source, mode) {
            let content = source.get(token.start..token.text_end).unwrap_or_default();
            let mut value = Vec::with_capacity(content.len());
            if mode.raw {
                value.extend_from_slice(content.as_bytes());
            } else {
                text::unescape(content, self.target, &mut value)?;
            }
            if value.is_empty() {
                continue;
            }
            parts.push(Part::Text {
                range: TextRange::new(
                    range.start() + size(token.start),
                    range.start() + size(token.end),
                ),
                value,
                unicode_prefix: false,
            });
        }
        Ok(())
    }

    /// A replacement field: with `=` first its text, then the value.
    fn field(
        &mut self,
        field: &ruff::InterpolatedElement,
        mode: Mode,
        template: bool,
        parts: &mut Vec<Part>,
    ) -> Pass<()> {
        if self.format_depth >= MAX_FIELDS {
            // The place is that of the tokenizer, which `diagnosis` knows.
            return Err(Stop::Rejected(Box::new(SyntaxError {
                kind: "SyntaxError",
                message: "f-string: expressions nested too deeply".to_owned(),
                loc: None,
                exact: false,
            })));
        }
        let outer = std::mem::take(&mut self.format_depth);
        let value = self.expr(&field.expression);
        self.format_depth = outer;
        let value = value?;
        let conversion = match field.conversion {
            ruff::ConversionFlag::None
                if field.debug_text.is_some() && field.format_spec.is_none() =>
            {
                Conversion::Repr
            }
            ruff::ConversionFlag::None => Conversion::None,
            ruff::ConversionFlag::Str => Conversion::Str,
            ruff::ConversionFlag::Ascii => Conversion::Ascii,
            ruff::ConversionFlag::Repr => Conversion::Repr,
        };
        let format_spec = match &field.format_spec {
            Some(spec) => {
                self.format_depth += 1;
                let spec = self.format_spec(spec, mode);
                self.format_depth -= 1;
                Some(spec?)
            }
            None => None,
        };
        let inside = field.range.start() + TextSize::from(1);
        if let Some(debug) = &field.debug_text {
            let range = TextRange::at(inside, size(debug.as_str().len()));
            let value = without_comments(self.text(range)).into_bytes();
            parts.push(Part::Text {
                range,
                value,
                unicode_prefix: false,
            });
        }
        let loc = self.loc(field.range);
        let kind = if template {
            let text = self.interpolation_text(field, inside);
            let text = self.pool.sym(&text);
            ExprKind::Interpolation {
                value,
                text,
                conversion,
                format_spec,
            }
        } else {
            ExprKind::FormattedValue {
                value,
                conversion,
                format_spec,
            }
        };
        parts.push(Part::Field(self.ast.add(Expr { kind, loc })?));
        Ok(())
    }

    /// The text that a t-string keeps of an expression: all of it, with the blanks around.
    fn interpolation_text(&self, field: &ruff::InterpolatedElement, inside: TextSize) -> String {
        if let Some(debug) = &field.debug_text {
            let text = without_comments(debug.as_str());
            let end = text.rfind('=').unwrap_or(text.len());
            return text.get(..end).unwrap_or_default().to_owned();
        }
        let mut end = field.expression.range().end();
        loop {
            end = self.skip_trivia(end);
            match self.source.as_bytes().get(usize::from(end)) {
                Some(b')' | b',') => end += TextSize::from(1),
                _ => break,
            }
        }
        without_comments(self.text(TextRange::new(inside, end)))
    }

    fn format_spec(
        &mut self,
        spec: &ruff::InterpolatedStringFormatSpec,
        mode: Mode,
    ) -> Pass<ExprId> {
        let mut parts = Vec::new();
        let mode = Mode {
            format_spec: true,
            ..mode
        };
        self.elements(&spec.elements, mode, false, &mut parts)?;
        // It begins at the colon.
        let start = spec.range.start() - TextSize::from(1);
        let end = if spec.elements.is_empty() {
            spec.range.start()
        } else {
            spec.range.end()
        };
        let only_text =
            parts.len() > 1 && parts.iter().all(|part| matches!(part, Part::Text { .. }));
        let values = self.join(parts)?;
        if let ([only], true) = (values.as_slice(), only_text) {
            return Ok(*only);
        }
        let loc = self.loc(TextRange::new(start, end));
        let values = self.ast.list(&values)?;
        let kind = ExprKind::JoinedStr { values };
        self.ast.add(Expr { kind, loc })
    }

    /// Joins neighbouring texts and drops empty ones.
    fn join(&mut self, parts: Vec<Part>) -> Pass<Vec<ExprId>> {
        let mut values = Vec::with_capacity(parts.len());
        let mut open: Option<(TextRange, Vec<u8>, bool)> = None;
        for part in parts {
            match part {
                Part::Text {
                    range,
                    value,
                    unicode_prefix,
                } => match &mut open {
                    Some((joined, all, _)) => {
                        *joined = TextRange::new(joined.start(), range.end());
                        all.extend_from_slice(&value);
                    }
                    None => open = Some((range, value, unicode_prefix)),
                },
                Part::Field(id) => {
                    self.close_text(open.take(), &mut values)?;
                    values.push(id);
                }
            }
        }
        self.close_text(open, &mut values)?;
        Ok(values)
    }

    fn close_text(
        &mut self,
        text: Option<(TextRange, Vec<u8>, bool)>,
        values: &mut Vec<ExprId>,
    ) -> Pass<()> {
        if let Some((range, value, unicode_prefix)) = text
            && !value.is_empty()
        {
            let value = Constant::Str(self.pool.sym_bytes(&value));
            let loc = self.loc(range);
            let kind = ExprKind::Constant {
                value,
                unicode_prefix,
            };
            values.push(self.ast.add(Expr { kind, loc })?);
        }
        Ok(())
    }
}

fn size(len: usize) -> TextSize {
    TextSize::try_from(len).unwrap_or_default()
}

/// An expression's text without its comments. As in CPython quotes are paired one by one, which
/// also works for triple quotes; a comment ends before its newline.
fn without_comments(text: &str) -> String {
    if !text.contains('#') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            ('"' | '\'', None) => quote = Some(c),
            (_, Some(open)) if open == c => quote = None,
            ('#', None) => {
                if chars.by_ref().any(|c| c == '\n') {
                    out.push('\n');
                }
                continue;
            }
            ('\\', _) => {
                out.push(c);
                out.extend(chars.next());
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    out
}

/// A token of CPython's: offsets in the literal text between two replacement fields.
struct Token {
    start: usize,
    /// The second of two braces is in the token, but not in its text.
    text_end: usize,
    end: usize,
}

/// CPython's tokens of the literal text between two replacement fields.
fn tokens(source: &str, mode: Mode) -> Vec<Token> {
    let bytes = source.as_bytes();
    let mut tokens = Vec::new();
    let mut start = 0;
    let mut at = 0;
    let mut named_escape = false;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'}' if named_escape => {
                at += 1;
                tokens.push(Token {
                    start,
                    text_end: at,
                    end: at,
                });
                start = at;
                named_escape = false;
            }
            b'{' | b'}' if !mode.format_spec => {
                tokens.push(Token {
                    start,
                    text_end: at + 1,
                    end: at + 2,
                });
                at += 2;
                start = at;
            }
            b'\\' => match bytes.get(at + 1) {
                Some(b'{' | b'}') | None => at += 1,
                Some(b'N') if !mode.raw => {
                    at += 2;
                    if bytes.get(at) == Some(&b'{') {
                        named_escape = true;
                        at += 1;
                    }
                }
                Some(_) => at += 2,
            },
            _ => at += 1,
        }
    }
    if start < bytes.len() {
        tokens.push(Token {
            start,
            text_end: bytes.len(),
            end: bytes.len(),
        });
    }
    tokens
}
