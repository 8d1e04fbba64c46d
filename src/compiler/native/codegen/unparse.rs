//! The text of an expression, for annotations that stay text (PEP 563).

use super::repr::{repr, string};
use crate::compiler::native::ast::{
    Arg, Arguments, Ast, BoolOp, CmpOp, Comprehension, Constant, Conversion, Expr, ExprId,
    ExprKind, ExprList, Keyword, List, Operator, Pool, Sym, UnaryOp,
};
use crate::compiler::native::error::{Pass, Stop};

/// How tightly an operator binds; looser ones are put in parentheses.
mod level {
    pub(super) const TUPLE: u8 = 0;
    pub(super) const TEST: u8 = 1;
    pub(super) const OR: u8 = 2;
    pub(super) const AND: u8 = 3;
    pub(super) const NOT: u8 = 4;
    pub(super) const CMP: u8 = 5;
    pub(super) const EXPR: u8 = 6;
    pub(super) const BIT_XOR: u8 = 7;
    pub(super) const BIT_AND: u8 = 8;
    pub(super) const SHIFT: u8 = 9;
    pub(super) const ARITH: u8 = 10;
    pub(super) const TERM: u8 = 11;
    pub(super) const FACTOR: u8 = 12;
    pub(super) const POWER: u8 = 13;
    pub(super) const AWAIT: u8 = 14;
    pub(super) const ATOM: u8 = 15;
}

/// How deep an annotation may nest here.
const MAX_DEPTH: u32 = 1000;

/// The text of an expression in generalized UTF-8.
pub(super) fn unparse(ast: &Ast, pool: &Pool, id: ExprId) -> Pass<Vec<u8>> {
    let mut writer = Writer {
        ast,
        pool,
        out: Vec::new(),
        depth: 0,
    };
    writer.expr(id, level::TEST)?;
    Ok(writer.out)
}

struct Writer<'a> {
    ast: &'a Ast,
    pool: &'a Pool,
    out: Vec<u8>,
    depth: u32,
}

impl Writer<'_> {
    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn name(&mut self, name: Sym) {
        self.out.extend_from_slice(self.pool.text(name));
    }

    /// Runs `write` in parentheses if `wanted`.
    fn parens(&mut self, wanted: bool, write: impl FnOnce(&mut Self) -> Pass<()>) -> Pass<()> {
        if wanted {
            self.text("(");
        }
        write(self)?;
        if wanted {
            self.text(")");
        }
        Ok(())
    }

    fn separated(&mut self, list: ExprList, level: u8) -> Pass<()> {
        let ast = self.ast;
        for (index, &id) in ast.slice(list).iter().enumerate() {
            if index > 0 {
                self.text(", ");
            }
            self.expr(id, level)?;
        }
        Ok(())
    }

    fn expr(&mut self, id: ExprId, around: u8) -> Pass<()> {
        if self.depth >= MAX_DEPTH {
            return Err(Stop::unsure("an annotation is nested too deep"));
        }
        self.depth += 1;
        self.expr_inner(id, around)?;
        self.depth -= 1;
        Ok(())
    }

    fn expr_inner(&mut self, id: ExprId, around: u8) -> Pass<()> {
        let Expr { kind, .. } = self.ast.expr(id);
        let ast = self.ast;
        match kind {
            ExprKind::BoolOp { op, values } => {
                let (text, own) = match op {
                    BoolOp::And => (" and ", level::AND),
                    BoolOp::Or => (" or ", level::OR),
                };
                self.parens(around > own, |w| {
                    for (index, &value) in ast.slice(values).iter().enumerate() {
                        if index > 0 {
                            w.text(text);
                        }
                        w.expr(value, own + 1)?;
                    }
                    Ok(())
                })
            }
            ExprKind::BinOp { left, op, right } => {
                let (text, own) = binary(op);
                let right_first = u8::from(op == Operator::Pow);
                self.parens(around > own, |w| {
                    w.expr(left, own + right_first)?;
                    w.text(text);
                    w.expr(right, own + 1 - right_first)
                })
            }
            ExprKind::UnaryOp { op, operand } => {
                let (text, own) = match op {
                    UnaryOp::Invert => ("~", level::FACTOR),
                    UnaryOp::Not => ("not ", level::NOT),
                    UnaryOp::UAdd => ("+", level::FACTOR),
                    UnaryOp::USub => ("-", level::FACTOR),
                };
                self.parens(around > own, |w| {
                    w.text(text);
                    w.expr(operand, own)
                })
            }
            ExprKind::Lambda { args, body } => self.parens(around > level::TEST, |w| {
                let args = *ast.get(args);
                let positional = args.args.len() + args.posonlyargs.len();
                w.text(if positional > 0 { "lambda " } else { "lambda" });
                w.arguments(&args)?;
                w.text(": ");
                w.expr(body, level::TEST)
            }),
            ExprKind::IfExp { test, body, orelse } => self.parens(around > level::TEST, |w| {
                w.expr(body, level::TEST + 1)?;
                w.text(" if ");
                w.expr(test, level::TEST + 1)?;
                w.text(" else ");
                w.expr(orelse, level::TEST)
            }),
            ExprKind::Dict { keys, values } => self.dict(keys, values),
            ExprKind::Set { elts } => {
                self.text("{");
                self.separated(elts, level::TEST)?;
                self.text("}");
                Ok(())
            }
            ExprKind::GeneratorExp { elt, generators } => {
                self.comprehension("(", elt, None, generators, ")")
            }
            ExprKind::ListComp { elt, generators } => {
                self.comprehension("[", elt, None, generators, "]")
            }
            ExprKind::SetComp { elt, generators } => {
                self.comprehension("{", elt, None, generators, "}")
            }
            ExprKind::DictComp {
                key,
                value,
                generators,
            } => self.comprehension("{", key, Some(value), generators, "}"),
            ExprKind::Yield { value: None } => {
                self.text("(yield)");
                Ok(())
            }
            ExprKind::Yield { value: Some(value) } => self.in_parens("yield ", value),
            ExprKind::YieldFrom { value } => self.in_parens("yield from ", value),
            ExprKind::Await { value } => self.parens(around > level::AWAIT, |w| {
                w.text("await ");
                w.expr(value, level::ATOM)
            }),
            ExprKind::Compare {
                left,
                ops,
                comparators,
            } => self.parens(around > level::CMP, |w| {
                w.expr(left, level::CMP + 1)?;
                for (&op, &right) in ast.slice(ops).iter().zip(ast.slice(comparators)) {
                    w.text(comparison(op));
                    w.expr(right, level::CMP + 1)?;
                }
                Ok(())
            }),
            ExprKind::Call {
                func,
                args,
                keywords,
            } => self.call(func, args, keywords),
            ExprKind::Constant {
                value: Constant::Ellipsis,
                ..
            } => {
                self.text("...");
                Ok(())
            }
            ExprKind::Constant {
                value,
                unicode_prefix,
            } => {
                if unicode_prefix {
                    self.text("u");
                }
                repr(value, self.pool, &mut self.out)
            }
            ExprKind::JoinedStr { values } => {
                let body = self.aside(|w| w.fstring_parts(values))?;
                self.text("f");
                string(&body, &mut self.out)
            }
            ExprKind::FormattedValue {
                value,
                conversion,
                format_spec,
            } => self.formatted_value(value, conversion, format_spec),
            ExprKind::TemplateStr { .. } | ExprKind::Interpolation { .. } => {
                Err(Stop::unsure("the text of a template string"))
            }
            ExprKind::Attribute { value, attr, .. } => {
                self.expr(value, level::ATOM)?;
                let is_int = matches!(
                    ast.expr(value).kind,
                    ExprKind::Constant {
                        value: Constant::Int(_) | Constant::Big(_),
                        ..
                    }
                );
                self.text(if is_int { " ." } else { "." });
                self.name(attr);
                Ok(())
            }
            ExprKind::Subscript { value, slice, .. } => {
                self.expr(value, level::ATOM)?;
                self.text("[");
                self.expr(slice, level::TUPLE)?;
                self.text("]");
                Ok(())
            }
            ExprKind::Starred { value, .. } => {
                self.text("*");
                self.expr(value, level::EXPR)
            }
            ExprKind::Slice { lower, upper, step } => {
                self.optional(lower)?;
                self.text(":");
                self.optional(upper)?;
                if step.is_some() {
                    self.text(":");
                }
                self.optional(step)
            }
            ExprKind::Name { id, .. } => {
                self.name(id);
                Ok(())
            }
            ExprKind::List { elts, .. } => {
                self.text("[");
                self.separated(elts, level::TEST)?;
                self.text("]");
                Ok(())
            }
            ExprKind::Tuple { elts, .. } if elts.is_empty() => {
                self.text("()");
                Ok(())
            }
            ExprKind::Tuple { elts, .. } => self.parens(around > level::TUPLE, |w| {
                w.separated(elts, level::TEST)?;
                if elts.len() == 1 {
                    w.text(",");
                }
                Ok(())
            }),
            ExprKind::NamedExpr { target, value } => self.parens(around > level::TUPLE, |w| {
                w.expr(target, level::ATOM)?;
                w.text(" := ");
                w.expr(value, level::ATOM)
            }),
        }
    }

    fn optional(&mut self, id: Option<ExprId>) -> Pass<()> {
        id.map_or(Ok(()), |id| self.expr(id, level::TEST))
    }

    fn in_parens(&mut self, keyword: &str, value: ExprId) -> Pass<()> {
        self.parens(true, |w| {
            w.text(keyword);
            w.expr(value, level::TEST)
        })
    }

    /// What `write` writes, by itself.
    fn aside(&mut self, write: impl FnOnce(&mut Self) -> Pass<()>) -> Pass<Vec<u8>> {
        let before = std::mem::take(&mut self.out);
        write(self)?;
        Ok(std::mem::replace(&mut self.out, before))
    }

    fn dict(&mut self, keys: List<Option<ExprId>>, values: ExprList) -> Pass<()> {
        let ast = self.ast;
        self.text("{");
        let pairs = ast.slice(keys).iter().zip(ast.slice(values));
        for (index, (&key, &value)) in pairs.enumerate() {
            if index > 0 {
                self.text(", ");
            }
            match key {
                Some(key) => {
                    self.expr(key, level::TEST)?;
                    self.text(": ");
                    self.expr(value, level::TEST)?;
                }
                None => {
                    self.text("**");
                    self.expr(value, level::EXPR)?;
                }
            }
        }
        self.text("}");
        Ok(())
    }

    fn comprehension(
        &mut self,
        open: &str,
        elt: ExprId,
        value: Option<ExprId>,
        generators: List<Comprehension>,
        close: &str,
    ) -> Pass<()> {
        let ast = self.ast;
        self.text(open);
        self.expr(elt, level::TEST)?;
        if let Some(value) = value {
            self.text(": ");
            self.expr(value, level::TEST)?;
        }
        for clause in ast.slice(generators) {
            self.text(if clause.is_async {
                " async for "
            } else {
                " for "
            });
            self.expr(clause.target, level::TUPLE)?;
            self.text(" in ");
            self.expr(clause.iter, level::TEST + 1)?;
            for &condition in ast.slice(clause.ifs) {
                self.text(" if ");
                self.expr(condition, level::TEST + 1)?;
            }
        }
        self.text(close);
        Ok(())
    }

    fn call(&mut self, func: ExprId, args: ExprList, keywords: List<Keyword>) -> Pass<()> {
        let ast = self.ast;
        self.expr(func, level::ATOM)?;
        if let &[only] = ast.slice(args)
            && keywords.is_empty()
            && matches!(ast.expr(only).kind, ExprKind::GeneratorExp { .. })
        {
            return self.expr(only, level::TEST);
        }
        self.text("(");
        self.separated(args, level::TEST)?;
        for (index, keyword) in ast.slice(keywords).iter().enumerate() {
            if index > 0 || !args.is_empty() {
                self.text(", ");
            }
            match keyword.name {
                Some(name) => {
                    self.name(name);
                    self.text("=");
                }
                None => self.text("**"),
            }
            self.expr(keyword.value, level::TEST)?;
        }
        self.text(")");
        Ok(())
    }

    fn fstring_parts(&mut self, values: ExprList) -> Pass<()> {
        let ast = self.ast;
        for &value in ast.slice(values) {
            match ast.expr(value).kind {
                ExprKind::Constant {
                    value: Constant::Str(text),
                    ..
                } => {
                    for &byte in self.pool.text(text) {
                        self.out.push(byte);
                        if matches!(byte, b'{' | b'}') {
                            self.out.push(byte);
                        }
                    }
                }
                ExprKind::FormattedValue { .. } => self.expr(value, level::TEST)?,
                _ => return Err(Stop::unsure("the text of a nested f-string")),
            }
        }
        Ok(())
    }

    fn formatted_value(
        &mut self,
        value: ExprId,
        conversion: Conversion,
        format_spec: Option<ExprId>,
    ) -> Pass<()> {
        let text = self.aside(|w| w.expr(value, level::TEST + 1))?;
        self.text(if text.starts_with(b"{") { "{ " } else { "{" });
        self.out.extend_from_slice(&text);
        self.text(match conversion {
            Conversion::None => "",
            Conversion::Str => "!s",
            Conversion::Repr => "!r",
            Conversion::Ascii => "!a",
        });
        if let Some(spec) = format_spec {
            self.text(":");
            match self.ast.expr(spec).kind {
                ExprKind::JoinedStr { values } => self.fstring_parts(values)?,
                _ => return Err(Stop::unsure("the text of a format specification")),
            }
        }
        self.text("}");
        Ok(())
    }

    fn arguments(&mut self, args: &Arguments) -> Pass<()> {
        let ast = self.ast;
        let mut first = true;
        let mut comma = |w: &mut Self| {
            if !std::mem::take(&mut first) {
                w.text(", ");
            }
        };
        let positional = args.posonlyargs.len() + args.args.len();
        let all = ast
            .slice(args.posonlyargs)
            .iter()
            .chain(ast.slice(args.args));
        let defaults = ast.slice(args.defaults);
        let without = positional.saturating_sub(defaults.len());
        for (index, arg) in all.enumerate() {
            comma(self);
            self.argument(arg)?;
            let default = index.checked_sub(without).and_then(|at| defaults.get(at));
            if let Some(&default) = default {
                self.text("=");
                self.expr(default, level::TEST)?;
            }
            if index + 1 == args.posonlyargs.len() {
                self.text(", /");
            }
        }
        if args.vararg.is_some() || !args.kwonlyargs.is_empty() {
            comma(self);
            self.text("*");
            if let Some(arg) = args.vararg {
                self.argument(ast.get(arg))?;
            }
        }
        let keyword_only = ast.slice(args.kwonlyargs).iter();
        for (arg, &default) in keyword_only.zip(ast.slice(args.kw_defaults)) {
            comma(self);
            self.argument(arg)?;
            if let Some(default) = default {
                self.text("=");
                self.expr(default, level::TEST)?;
            }
        }
        if let Some(arg) = args.kwarg {
            comma(self);
            self.text("**");
            self.argument(ast.get(arg))?;
        }
        Ok(())
    }

    fn argument(&mut self, arg: &Arg) -> Pass<()> {
        self.name(arg.name);
        if let Some(annotation) = arg.annotation {
            self.text(": ");
            self.expr(annotation, level::TEST)?;
        }
        Ok(())
    }
}

fn binary(op: Operator) -> (&'static str, u8) {
    match op {
        Operator::Add => (" + ", level::ARITH),
        Operator::Sub => (" - ", level::ARITH),
        Operator::Mult => (" * ", level::TERM),
        Operator::MatMult => (" @ ", level::TERM),
        Operator::Div => (" / ", level::TERM),
        Operator::Mod => (" % ", level::TERM),
        Operator::FloorDiv => (" // ", level::TERM),
        Operator::LShift => (" << ", level::SHIFT),
        Operator::RShift => (" >> ", level::SHIFT),
        Operator::BitOr => (" | ", level::EXPR),
        Operator::BitXor => (" ^ ", level::BIT_XOR),
        Operator::BitAnd => (" & ", level::BIT_AND),
        Operator::Pow => (" ** ", level::POWER),
    }
}

fn comparison(op: CmpOp) -> &'static str {
    match op {
        CmpOp::Eq => " == ",
        CmpOp::NotEq => " != ",
        CmpOp::Lt => " < ",
        CmpOp::LtE => " <= ",
        CmpOp::Gt => " > ",
        CmpOp::GtE => " >= ",
        CmpOp::Is => " is ",
        CmpOp::IsNot => " is not ",
        CmpOp::In => " in ",
        CmpOp::NotIn => " not in ",
    }
}
