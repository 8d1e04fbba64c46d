//! Expressions, except those with a file of their own.

use super::Compiler;
use super::intrinsic::{SUBSCRIPT, one};
use super::unit::ScopeType;
use crate::compiler::native::ast::{
    Constant, Conversion, Ctx, Expr, ExprId, ExprKind, ExprList, Operator, Sym, UnaryOp,
};
use crate::compiler::native::constant::Origin;
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::opcode::Op;

/// From how many values on CPython builds step by step instead of on the stack.
pub(super) const STACK_USE_GUIDELINE: usize = 30;

/// The number of `!s`, `!r`, `!a` in an argument; 0 without.
pub(super) fn conversion_number(conversion: Conversion) -> u32 {
    match conversion {
        Conversion::None => 0,
        Conversion::Str => 1,
        Conversion::Repr => 2,
        Conversion::Ascii => 3,
    }
}

impl Compiler<'_> {
    pub(super) fn expressions(&mut self, list: ExprList) -> Pass<()> {
        let ast = self.ast;
        for &id in ast.slice(list) {
            self.expression(id)?;
        }
        Ok(())
    }

    /// Loads the value of an expression, or stores to or deletes a target.
    pub(super) fn expression(&mut self, id: ExprId) -> Pass<()> {
        let expr = self.ast.expr(id);
        match expr.kind {
            // Leaves need no depth guard.
            ExprKind::Constant { value, .. } => {
                self.load_const(expr.loc, value);
                Ok(())
            }
            ExprKind::Name { id, ctx } => self.name_op(expr.loc, id, ctx),
            _ => self.deeper(|c| c.expression_inner(id, expr)),
        }
    }

    fn expression_inner(&mut self, id: ExprId, expr: Expr) -> Pass<()> {
        let Expr { kind, loc } = expr;
        match kind {
            ExprKind::NamedExpr { target, value } => {
                self.expression(value)?;
                self.op_arg(loc, Op::Copy, 1);
                self.expression(target)
            }
            ExprKind::BoolOp { op, values } => self.bool_op(loc, op, values),
            ExprKind::BinOp { left, op, right } => {
                self.expression(left)?;
                self.expression(right)?;
                self.binary_op(loc, op, false);
                Ok(())
            }
            ExprKind::UnaryOp { op, operand } => self.unary_op(loc, op, operand),
            ExprKind::Lambda { args, body } => self.lambda(id, loc, *self.ast.get(args), body),
            ExprKind::IfExp { test, body, orelse } => self.if_expression(loc, test, body, orelse),
            ExprKind::Dict { keys, values } => self.dict(loc, keys, values),
            ExprKind::Set { elts } => self.set(loc, elts),
            ExprKind::ListComp { .. }
            | ExprKind::SetComp { .. }
            | ExprKind::DictComp { .. }
            | ExprKind::GeneratorExp { .. } => self.comprehension(id),
            ExprKind::Yield { value } => self.yield_expression(loc, value),
            ExprKind::YieldFrom { value } => self.yield_from_expression(loc, value),
            ExprKind::Await { value } => self.await_expression(loc, value),
            ExprKind::Compare {
                left,
                ops,
                comparators,
            } => self.compare(loc, left, ops, comparators),
            ExprKind::Call {
                func,
                args,
                keywords,
            } => self.call(loc, func, args, keywords),
            ExprKind::Constant { .. } | ExprKind::Name { .. } => self.expression(id),
            ExprKind::JoinedStr { values } => self.joined_str(loc, values),
            ExprKind::FormattedValue {
                value,
                conversion,
                format_spec,
            } => self.formatted_value(loc, value, conversion, format_spec),
            ExprKind::TemplateStr { values } => self.template_str(loc, values),
            ExprKind::Interpolation {
                value,
                text,
                conversion,
                format_spec,
            } => self.interpolation(loc, value, text, conversion, format_spec),
            ExprKind::Attribute { value, attr, ctx } => self.attribute(id, loc, value, attr, ctx),
            ExprKind::Subscript { value, slice, ctx } => self.subscript(loc, value, slice, ctx),
            ExprKind::Starred {
                ctx: Ctx::Store, ..
            } => Err(Stop::syntax(
                "starred assignment target must be in a list or tuple",
                loc,
            )),
            ExprKind::Starred { .. } => Err(Stop::syntax("can't use starred expression here", loc)),
            ExprKind::Slice { lower, upper, step } => {
                if let Some(slice) = self.constant_slice(id) {
                    self.load_const(loc, slice);
                    return Ok(());
                }
                let count = self.slice_parts(loc, lower, upper, step)?;
                self.op_arg(loc, Op::BuildSlice, count);
                Ok(())
            }
            ExprKind::List { elts, ctx } => self.list(loc, elts, ctx),
            ExprKind::Tuple { elts, ctx } => self.tuple(loc, elts, ctx),
        }
    }

    pub(super) fn binary_op(&mut self, loc: Loc, op: Operator, inplace: bool) {
        let number = match op {
            Operator::Add => 0,
            Operator::BitAnd => 1,
            Operator::FloorDiv => 2,
            Operator::LShift => 3,
            Operator::MatMult => 4,
            Operator::Mult => 5,
            Operator::Mod => 6,
            Operator::BitOr => 7,
            Operator::Pow => 8,
            Operator::RShift => 9,
            Operator::Sub => 10,
            Operator::Div => 11,
            Operator::BitXor => 12,
        };
        self.op_arg(loc, Op::BinaryOp, number + if inplace { 13 } else { 0 });
    }

    fn unary_op(&mut self, loc: Loc, op: UnaryOp, operand: ExprId) -> Pass<()> {
        self.expression(operand)?;
        match op {
            UnaryOp::UAdd => self.op_arg(loc, Op::CallIntrinsic1, one::UNARY_POSITIVE),
            UnaryOp::Not => {
                self.op(loc, Op::ToBool);
                self.op(loc, Op::UnaryNot);
            }
            UnaryOp::Invert => self.op(loc, Op::UnaryInvert),
            UnaryOp::USub => self.op(loc, Op::UnaryNegative),
        }
        Ok(())
    }

    fn is_function_like(&self) -> bool {
        self.table.block(self.unit.block).is_function_like()
    }

    fn yield_expression(&mut self, loc: Loc, value: Option<ExprId>) -> Pass<()> {
        if !self.is_function_like() {
            return Err(Stop::syntax("'yield' outside function", loc));
        }
        match value {
            Some(value) => self.expression(value)?,
            None => self.load_none(loc),
        }
        self.yield_top(loc);
        Ok(())
    }

    fn yield_from_expression(&mut self, loc: Loc, value: ExprId) -> Pass<()> {
        if !self.is_function_like() {
            return Err(Stop::syntax("'yield from' outside function", loc));
        }
        if self.unit.is_async_function() {
            return Err(Stop::syntax("'yield from' inside async function", loc));
        }
        self.expression(value)?;
        self.op(loc, Op::GetYieldFromIter);
        self.load_none(loc);
        self.yield_from(loc, false);
        Ok(())
    }

    fn await_expression(&mut self, loc: Loc, value: ExprId) -> Pass<()> {
        if !self.is_function_like() {
            return Err(Stop::syntax("'await' outside function", loc));
        }
        if !self.unit.is_async_function() && self.unit.scope_type != ScopeType::Comprehension {
            return Err(Stop::syntax("'await' outside async function", loc));
        }
        self.expression(value)?;
        self.await_top(loc, 0);
        Ok(())
    }

    fn joined_str(&mut self, loc: Loc, values: ExprList) -> Pass<()> {
        let count = values.len();
        let empty = Constant::Str(self.sym(""));
        if count > STACK_USE_GUIDELINE {
            self.load_const(loc, empty);
            let join = self.sym("join");
            self.op_name(loc, Op::LoadMethod, join);
            self.op_arg(loc, Op::BuildList, 0);
            let ast = self.ast;
            for &value in ast.slice(values) {
                self.expression(value)?;
                self.op_arg(loc, Op::ListAppend, 1);
            }
            self.op_arg(loc, Op::Call, 1);
            return Ok(());
        }
        let ast = self.ast;
        for &id in ast.slice(values) {
            match ast.expr(id) {
                // Made of `"…" % (…)`: the parts of such a format have no place.
                Expr {
                    kind: ExprKind::Constant { value, .. },
                    loc: Loc::NONE,
                } => self.load_const_from(Loc::NONE, value, Origin::Computed),
                _ => self.expression(id)?,
            }
        }
        match count {
            0 => self.load_const(loc, empty),
            1 => {}
            _ => self.op_count(loc, Op::BuildString, count),
        }
        Ok(())
    }

    fn formatted_value(
        &mut self,
        loc: Loc,
        value: ExprId,
        conversion: Conversion,
        format_spec: Option<ExprId>,
    ) -> Pass<()> {
        self.expression(value)?;
        let convert = conversion_number(conversion);
        if convert != 0 {
            self.op_arg(loc, Op::ConvertValue, convert);
        }
        match format_spec {
            Some(spec) => {
                self.expression(spec)?;
                self.op(loc, Op::FormatWithSpec);
            }
            None => self.op(loc, Op::FormatSimple),
        }
        Ok(())
    }

    fn attribute(&mut self, id: ExprId, loc: Loc, value: ExprId, attr: Sym, ctx: Ctx) -> Pass<()> {
        if ctx == Ctx::Load && self.can_optimize_super(value, attr) {
            let op = if self.load_super_args(value)? {
                Op::LoadSuperAttr
            } else {
                Op::LoadZeroSuperAttr
            };
            self.op_name(loc, op, attr);
            let loc = self.attribute_loc(loc, id);
            self.op(loc, Op::Nop);
            return Ok(());
        }
        if ctx == Ctx::Store {
            self.note_static_attribute(value, attr);
        }
        self.expression(value)?;
        let loc = self.attribute_loc(loc, id);
        match ctx {
            Ctx::Load => self.op_name(loc, Op::LoadAttr, attr),
            Ctx::Store => {
                self.check_name(loc, attr, ctx)?;
                self.op_name(loc, Op::StoreAttr, attr);
            }
            Ctx::Del => self.op_name(loc, Op::DeleteAttr, attr),
        }
        Ok(())
    }

    /// `self.attr = …` somewhere inside a class makes `attr` one of its static attributes.
    fn note_static_attribute(&mut self, value: ExprId, attr: Sym) {
        if !matches!(self.ast.expr(value).kind, ExprKind::Name { id, .. } if id == self.known.self_)
        {
            return;
        }
        let mut around = self.outer.iter_mut().rev();
        if let Some(class) = around.find(|unit| unit.scope_type == ScopeType::Class)
            && !class.static_attributes.contains(&attr)
        {
            class.static_attributes.push(attr);
        }
    }

    /// The place of an attribute access: when it spans lines, from the attribute's name on.
    pub(super) fn attribute_loc(&self, mut loc: Loc, attribute: ExprId) -> Loc {
        let Expr { kind, loc: at } = self.ast.expr(attribute);
        let ExprKind::Attribute { attr, .. } = kind else {
            return loc;
        };
        if loc.line == at.end_line {
            return loc;
        }
        loc.line = at.end_line;
        // CPython counts the characters of the name here, although columns count bytes.
        let text = self.pool.text(attr);
        let length = text.iter().filter(|&&byte| byte & 0xc0 != 0x80).count() as i32;
        if length <= at.end_col {
            loc.col = at.end_col - length;
        } else {
            loc.col = -1;
            loc.end_col = -1;
        }
        loc.end_line = loc.end_line.max(loc.line);
        if loc.line == loc.end_line {
            loc.end_col = loc.end_col.max(loc.col);
        }
        loc
    }

    fn subscript(&mut self, loc: Loc, value: ExprId, slice: ExprId, ctx: Ctx) -> Pass<()> {
        self.expression(value)?;
        if ctx != Ctx::Del && self.two_part_slice(slice)? {
            let op = if ctx == Ctx::Load {
                Op::BinarySlice
            } else {
                Op::StoreSlice
            };
            self.op(loc, op);
            return Ok(());
        }
        self.expression(slice)?;
        match ctx {
            Ctx::Load => self.binary_subscript(loc),
            Ctx::Store => self.op(loc, Op::StoreSubscr),
            Ctx::Del => self.op(loc, Op::DeleteSubscr),
        }
        Ok(())
    }

    pub(super) fn binary_subscript(&mut self, loc: Loc) {
        if self.since(14) {
            self.op_arg(loc, Op::BinaryOp, SUBSCRIPT);
        } else {
            self.op(loc, Op::BinarySubscr);
        }
    }

    /// From 3.14 on: the value of a slice whose parts are all constants.
    fn constant_slice(&mut self, id: ExprId) -> Option<Constant> {
        if !self.since(14) {
            return None;
        }
        let ExprKind::Slice { lower, upper, step } = self.ast.expr(id).kind else {
            return None;
        };
        let mut parts = [Constant::None; 3];
        for (part, value) in [lower, upper, step].into_iter().zip(&mut parts) {
            if let Some(part) = part {
                *value = self.constant_of(part)?;
            }
        }
        Some(Constant::Slice(self.pool.intern_tuple(&parts)))
    }

    /// Loads the bounds of a slice without step. `false`, and nothing done, for anything else.
    pub(super) fn two_part_slice(&mut self, slice: ExprId) -> Pass<bool> {
        let Expr { kind, loc } = self.ast.expr(slice);
        let ExprKind::Slice {
            lower,
            upper,
            step: None,
        } = kind
        else {
            return Ok(false);
        };
        if self.constant_slice(slice).is_some() {
            return Ok(false);
        }
        self.slice_parts(loc, lower, upper, None)?;
        Ok(true)
    }

    fn slice_parts(
        &mut self,
        loc: Loc,
        lower: Option<ExprId>,
        upper: Option<ExprId>,
        step: Option<ExprId>,
    ) -> Pass<u32> {
        for bound in [lower, upper] {
            match bound {
                Some(bound) => self.expression(bound)?,
                None => self.load_none(loc),
            }
        }
        match step {
            Some(step) => {
                self.expression(step)?;
                Ok(3)
            }
            None => Ok(2),
        }
    }
}
