//! Folding: what CPython's AST optimizer does before the symbol table is made.
//!
//! In 3.13: operators on constants, constant tuples, subscripts, the list or set behind `in` and
//! `for`, `not` over `is` and `in`, `__debug__`, `%` formatting. In 3.14 most of that moved to the
//! flow graph; here remain `__debug__`, `%` formatting, the numbers in patterns, and `-OO`'s removal
//! of docstrings. The operators on constants themselves are in [`constant`], for both.

pub mod constant;
mod format;
mod number;
mod walk;

use crate::compiler::native::ast::{
    Ast, CmpOp, Constant, Ctx, ExprId, ExprKind, ExprList, Operator, Pool, Stmt, StmtKind,
    StmtList, Sym, UnaryOp,
};
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::future::Future;
use crate::pyc::{Level, Target};
use constant::{Folded, Rules};

/// Optimizes a module's tree in place.
pub fn fold(
    ast: &mut Ast,
    pool: &mut Pool,
    future: Future,
    level: Level,
    target: Target,
) -> Pass<()> {
    let debug = pool.sym("__debug__");
    let is_314 = target.minor() >= 14;
    let mut folder = Folder {
        ast,
        pool,
        level,
        is_314,
        rules: Rules {
            mixed_complex: is_314,
        },
        keep_annotations: future.annotations,
        debug,
    };
    folder.tree()
}

struct Folder<'a> {
    ast: &'a mut Ast,
    pool: &'a mut Pool,
    level: Level,
    is_314: bool,
    rules: Rules,
    /// Annotations become strings and must stay as they were written.
    keep_annotations: bool,
    debug: Sym,
}

impl Folder<'_> {
    fn constant_of(&self, id: ExprId) -> Option<Constant> {
        match self.ast.expr(id).kind {
            ExprKind::Constant { value, .. } => Some(value),
            _ => None,
        }
    }

    fn set_constant(&mut self, id: ExprId, value: Constant) {
        self.ast.get_mut(id).kind = ExprKind::Constant {
            value,
            unicode_prefix: false,
        };
    }

    fn set_folded(&mut self, id: ExprId, folded: Folded) -> Pass<()> {
        match folded {
            Folded::Value(value) => {
                self.set_constant(id, value);
                Ok(())
            }
            Folded::Not => Ok(()),
            Folded::Unsure(why) => Err(Stop::unsure(why)),
        }
    }

    fn without_docstring(&mut self, body: StmtList) -> Pass<StmtList> {
        if body.len() > 1 {
            return Ok(body.skip(1));
        }
        let Some(&first) = self.ast.slice(body).first() else {
            return Ok(body);
        };
        let old = self.ast.stmt(first).loc;
        let loc = Loc {
            end_line: old.line,
            end_col: old.col + 4,
            ..old
        };
        *self.ast.get_mut(first) = Stmt {
            kind: StmtKind::Pass,
            loc,
        };
        Ok(body)
    }

    fn has_starred(&self, elts: ExprList) -> bool {
        self.ast
            .slice(elts)
            .iter()
            .any(|&id| matches!(self.ast.expr(id).kind, ExprKind::Starred { .. }))
    }

    /// The constants of a display, if all of its elements are constants.
    fn constants(&self, elts: ExprList) -> Option<Vec<Constant>> {
        self.ast
            .slice(elts)
            .iter()
            .map(|&id| self.constant_of(id))
            .collect()
    }

    fn binop(&mut self, id: ExprId, left: ExprId, op: Operator, right: ExprId) -> Pass<()> {
        let Some(left) = self.constant_of(left) else {
            return Ok(());
        };
        if let (Operator::Mod, Constant::Str(format), ExprKind::Tuple { elts, .. }) =
            (op, left, self.ast.expr(right).kind)
            && !self.has_starred(elts)
        {
            return self.format(id, format, elts);
        }
        if self.is_314 {
            return Ok(());
        }
        let Some(right) = self.constant_of(right) else {
            return Ok(());
        };
        let folded = constant::binary(self.pool, op, left, right, self.rules);
        self.set_folded(id, folded)
    }

    fn unary(&mut self, id: ExprId, op: UnaryOp, operand: ExprId) -> Pass<()> {
        if self.is_314 {
            return Ok(());
        }
        if let Some(value) = self.constant_of(operand) {
            let folded = constant::unary(self.pool, op, value);
            return self.set_folded(id, folded);
        }
        let inner = self.ast.expr(operand);
        if op == UnaryOp::Not
            && let ExprKind::Compare { ops, .. } = inner.kind
            && let [only] = self.ast.slice_mut(ops)
        {
            let inverted = match only {
                CmpOp::Is => CmpOp::IsNot,
                CmpOp::IsNot => CmpOp::Is,
                CmpOp::In => CmpOp::NotIn,
                CmpOp::NotIn => CmpOp::In,
                CmpOp::Eq | CmpOp::NotEq | CmpOp::Lt | CmpOp::LtE | CmpOp::Gt | CmpOp::GtE => {
                    return Ok(());
                }
            };
            *only = inverted;
            // With the position of the comparison: the `not` leaves no trace.
            *self.ast.get_mut(id) = inner;
        }
        Ok(())
    }

    fn tuple(&mut self, id: ExprId, elts: ExprList, ctx: Ctx) {
        if !self.is_314
            && ctx == Ctx::Load
            && let Some(items) = self.constants(elts)
        {
            let value = self.pool.tuple_constant(&items);
            self.set_constant(id, value);
        }
    }

    fn subscript(&mut self, id: ExprId, value: ExprId, slice: ExprId, ctx: Ctx) -> Pass<()> {
        if self.is_314 || ctx != Ctx::Load {
            return Ok(());
        }
        let (Some(value), Some(index)) = (self.constant_of(value), self.constant_of(slice)) else {
            return Ok(());
        };
        let folded = constant::subscript(self.pool, value, index);
        self.set_folded(id, folded)
    }

    /// What is iterated over or searched need not be a list or set: a tuple or frozenset does.
    fn iterable(&mut self, id: ExprId) {
        if self.is_314 {
            return;
        }
        match self.ast.expr(id).kind {
            ExprKind::List { elts, ctx } if !self.has_starred(elts) => {
                self.ast.get_mut(id).kind = ExprKind::Tuple { elts, ctx };
                if let Some(items) = self.constants(elts) {
                    let value = self.pool.tuple_constant(&items);
                    self.set_constant(id, value);
                }
            }
            ExprKind::Set { elts } => {
                if let Some(items) = self.constants(elts) {
                    let value = constant::frozenset(self.pool, &items);
                    self.set_constant(id, value);
                }
            }
            _ => {}
        }
    }

    /// 3.14: the numbers in patterns, `-1` and `1 + 2j`, which the flow graph never sees.
    fn pattern_number(&mut self, id: ExprId) -> Pass<()> {
        if !self.is_314 {
            return Ok(());
        }
        match self.ast.expr(id).kind {
            ExprKind::UnaryOp {
                op: UnaryOp::USub,
                operand,
            } => {
                if let Some(value) = self.constant_of(operand) {
                    let folded = constant::unary(self.pool, UnaryOp::USub, value);
                    self.set_folded(id, folded)?;
                }
            }
            ExprKind::BinOp {
                left,
                op: op @ (Operator::Add | Operator::Sub),
                right,
            } => {
                self.pattern_number(left)?;
                if let (Some(left), Some(right)) = (self.constant_of(left), self.constant_of(right))
                {
                    let folded = constant::binary(self.pool, op, left, right, self.rules);
                    self.set_folded(id, folded)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
