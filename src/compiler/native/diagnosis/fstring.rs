//! f-strings and t-strings: their parts, and what is known to go wrong in a replacement field.

use super::node::Shape;
use super::parser::{At, Memo, Parser, Rule, either, want};
use super::token::Kind;

impl Parser<'_> {
    pub(super) fn fstring(&mut self) -> Rule {
        self.format_string(false)
    }

    pub(super) fn tstring(&mut self) -> Rule {
        self.format_string(true)
    }

    fn format_string(&mut self, template: bool) -> Rule {
        let first = self.mark;
        want!(self.format_kind(Kind::FormatStart, template));
        while self.alternative(|p| p.middle(template))?.is_some() {}
        want!(self.format_kind(Kind::FormatEnd, template));
        let shape = if template {
            Shape::TemplateString
        } else {
            Shape::FormattedString
        };
        Ok(Some(self.node(shape, first, Vec::new())))
    }

    fn middle(&mut self, template: bool) -> Rule {
        either!(self, |p: &mut Self| p.field(template));
        self.format_kind(Kind::FormatMiddle, template)
    }

    fn field(&mut self, template: bool) -> Rule {
        either!(self, |p: &mut Self| {
            let first = p.mark;
            want!(p.op("{"));
            want!(p.annotated_rhs());
            p.maybe(|p| p.op("="))?;
            p.maybe(|p| p.conversion(template))?;
            p.maybe(|p| p.spec(template))?;
            want!(p.op("}"));
            Ok(Some(p.node(Shape::Other, first, Vec::new())))
        });
        if self.mistakes {
            return self.wrong_field(template);
        }
        Ok(None)
    }

    fn conversion(&mut self, template: bool) -> Rule {
        let sign = want!(self.op("!"));
        let name = want!(self.name());
        let letter = if template { 't' } else { 'f' };
        if sign.end != name.start {
            let message = if self.minor >= 14 {
                "conversion type must come right after the exclamation mark"
            } else {
                "f-string: conversion type must come right after the exclamation mark"
            };
            let message = if self.minor >= 14 {
                format!("{letter}-string: {message}")
            } else {
                message.to_owned()
            };
            return self.raise(At::Range(&sign, &name), message);
        }
        let text = self.text(name.text.0, name.text.1).to_owned();
        if !matches!(text.as_str(), "s" | "r" | "a") {
            let message = format!(
                "{letter}-string: invalid conversion character '{text}': expected 's', 'r', or 'a'"
            );
            return self.raise(At::Node(&name), message);
        }
        Ok(Some(name))
    }

    fn spec(&mut self, template: bool) -> Rule {
        let colon = want!(self.op(":"));
        while self.alternative(|p| p.spec_part(template))?.is_some() {}
        Ok(Some(colon))
    }

    fn spec_part(&mut self, template: bool) -> Rule {
        either!(self, |p: &mut Self| p
            .format_kind(Kind::FormatMiddle, template));
        self.field(template)
    }

    fn wrong_field(&mut self, template: bool) -> Rule {
        let letter = if template { 't' } else { 'f' };
        for sign in ["=", "!", ":", "}"] {
            either!(self, |p: &mut Self| {
                want!(p.op("{"));
                let found = want!(p.op(sign));
                let message = format!("{letter}-string: valid expression required before '{sign}'");
                p.raise(At::Node(&found), message)
            });
        }
        either!(self, |p: &mut Self| {
            want!(p.op("{"));
            want!(p.unless(Self::annotated_rhs));
            p.raise(
                At::Next,
                format!("{letter}-string: expecting a valid expression after '{{'"),
            )
        });
        either!(self, |p: &mut Self| {
            want!(p.op("{"));
            want!(p.annotated_rhs());
            want!(p.unless(|p| p.any_op(&["=", "!", ":", "}"])));
            p.raise(
                At::Next,
                format!("{letter}-string: expecting '=', or '!', or ':', or '}}'"),
            )
        });
        either!(self, |p: &mut Self| {
            want!(p.op("{"));
            want!(p.annotated_rhs());
            want!(p.op("="));
            want!(p.unless(|p| p.any_op(&["!", ":", "}"])));
            p.raise(
                At::Next,
                format!("{letter}-string: expecting '!', or ':', or '}}'"),
            )
        });
        either!(self, |p: &mut Self| {
            want!(p.field_value());
            want!(p.op("!"));
            if p.sees(|p| p.any_op(&[":", "}"]))? {
                let message = format!("{letter}-string: missing conversion character");
                return p.raise(At::Next, message);
            }
            want!(p.unless(Self::name));
            p.raise(
                At::Next,
                format!("{letter}-string: invalid conversion character"),
            )
        });
        let converted = |p: &mut Self| -> Rule<()> {
            want!(p.field_value());
            p.maybe(|p| {
                want!(p.op("!"));
                p.name()
            })?;
            Ok(Some(()))
        };
        either!(self, |p: &mut Self| {
            want!(converted(p));
            want!(p.unless(|p| p.any_op(&[":", "}"])));
            p.raise(At::Next, format!("{letter}-string: expecting ':' or '}}'"))
        });
        either!(self, |p: &mut Self| {
            want!(converted(p));
            want!(p.op(":"));
            while p.alternative(|p| p.spec_part(template))?.is_some() {}
            want!(p.unless(|p| p.op("}")));
            p.raise(
                At::Next,
                format!("{letter}-string: expecting '}}', or format specs"),
            )
        });
        want!(converted(self));
        want!(self.unless(|p| p.op("}")));
        self.raise(At::Next, format!("{letter}-string: expecting '}}'"))
    }

    fn field_value(&mut self) -> Rule<()> {
        want!(self.op("{"));
        want!(self.annotated_rhs());
        self.maybe(|p| p.op("="))?;
        Ok(Some(()))
    }

    pub(super) fn annotated_rhs(&mut self) -> Rule {
        either!(self, Self::yield_expression);
        self.star_expressions()
    }

    /// Never called twice for one place in vain.
    pub(super) fn memo_atom(&mut self) -> Rule {
        self.remembered(Memo::Atom, Self::atom)
    }
}
