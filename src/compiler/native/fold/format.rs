//! `'…%s…' % (a, b)` as an f-string.

use super::Folder;
use crate::compiler::native::ast::{Constant, Conversion, Expr, ExprId, ExprKind, ExprList, Sym};
use crate::compiler::native::error::{Loc, Pass};

/// The most digits of a width or precision.
const MAX_DIGITS: usize = 2;

/// A conversion specifier that an f-string can express.
struct Specifier {
    conversion: Conversion,
    /// The format specification; empty for none.
    spec: String,
}

impl Folder<'_> {
    /// Rewrites the `%` expression `id` if all of its format is `%s`, `%r` and `%a`.
    pub(super) fn format(&mut self, id: ExprId, format: Sym, elts: ExprList) -> Pass<()> {
        let format = self.pool.text(format).to_vec();
        let mut rest = format.as_slice();
        let mut values: Vec<ExprId> = Vec::new();
        let mut args = self.ast.slice(elts).to_vec().into_iter();
        loop {
            let (literal, behind) = literal(rest);
            if !literal.is_empty() {
                let value = Constant::Str(self.pool.sym_bytes(&literal));
                values.push(self.new_constant(value)?);
            }
            let Some(specifier) = behind.strip_prefix(b"%") else {
                break;
            };
            let Some(arg) = args.next() else {
                return Ok(());
            };
            let Some((specifier, behind)) = specifier_of(specifier) else {
                return Ok(());
            };
            let format_spec = if specifier.spec.is_empty() {
                None
            } else {
                let spec = Constant::Str(self.pool.sym(&specifier.spec));
                Some(self.new_constant(spec)?)
            };
            let kind = ExprKind::FormattedValue {
                value: arg,
                conversion: specifier.conversion,
                format_spec,
            };
            let loc = self.ast.expr(arg).loc;
            values.push(self.ast.add(Expr { kind, loc })?);
            rest = behind;
        }
        if args.next().is_none() {
            let values = self.ast.list(&values)?;
            self.ast.get_mut(id).kind = ExprKind::JoinedStr { values };
        }
        Ok(())
    }

    fn new_constant(&mut self, value: Constant) -> Pass<ExprId> {
        let kind = ExprKind::Constant {
            value,
            unicode_prefix: false,
        };
        self.ast.add(Expr {
            kind,
            loc: Loc::NONE,
        })
    }
}

/// The text before the next specifier with `%%` resolved, and what begins with that specifier.
fn literal(format: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut text = Vec::new();
    let mut rest = format;
    while let Some(at) = memchr::memchr(b'%', rest) {
        let (before, tail) = rest.split_at(at);
        text.extend_from_slice(before);
        match tail {
            [b'%', b'%', behind @ ..] => {
                text.push(b'%');
                rest = behind;
            }
            _ => return (text, tail),
        }
    }
    text.extend_from_slice(rest);
    (text, &[])
}

/// Reads the specifier behind a `%`; `None` if an f-string can't express it.
fn specifier_of(format: &[u8]) -> Option<(Specifier, &[u8])> {
    let flags = format
        .iter()
        .take_while(|byte| b"-+ #0".contains(byte))
        .count();
    let (flags, rest) = format.split_at(flags);
    let left = flags.contains(&b'-');
    let (width, mut rest) = digits(rest)?;
    let mut spec = String::new();
    if let Some(width) = width {
        if !left && width > 0 {
            spec.push('>');
        }
        spec.push_str(&width.to_string());
    }
    if let [b'.', behind @ ..] = rest {
        let precision;
        (precision, rest) = digits(behind)?;
        spec.push('.');
        spec.push_str(&precision.unwrap_or(0).to_string());
    }
    let (&letter, rest) = rest.split_first()?;
    let conversion = match letter {
        b's' => Conversion::Str,
        b'r' => Conversion::Repr,
        b'a' => Conversion::Ascii,
        _ => return None,
    };
    Some((Specifier { conversion, spec }, rest))
}

/// A number of few digits, if there is one; `None` if it has too many.
fn digits(text: &[u8]) -> Option<(Option<u32>, &[u8])> {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if len > MAX_DIGITS {
        return None;
    }
    let (digits, rest) = text.split_at(len);
    let value = digits
        .iter()
        .fold(0, |value, &byte| value * 10 + u32::from(byte - b'0'));
    Some(((len > 0).then_some(value), rest))
}
