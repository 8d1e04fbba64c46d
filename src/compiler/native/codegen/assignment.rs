//! Assignments.

use super::Compiler;
use crate::compiler::native::ast::{Ctx, Expr, ExprId, ExprKind, ExprList, Operator};
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::opcode::Op;

impl Compiler<'_> {
    pub(super) fn assign(&mut self, loc: Loc, targets: ExprList, value: ExprId) -> Pass<()> {
        self.expression(value)?;
        let ast = self.ast;
        let Some((&last, others)) = ast.slice(targets).split_last() else {
            return Ok(());
        };
        for &target in others {
            self.op_arg(loc, Op::Copy, 1);
            self.expression(target)?;
        }
        self.expression(last)
    }

    pub(super) fn aug_assign(
        &mut self,
        statement: Loc,
        target: ExprId,
        op: Operator,
        value: ExprId,
    ) -> Pass<()> {
        let Expr { kind, loc } = self.ast.expr(target);
        match kind {
            ExprKind::Attribute {
                value: object,
                attr,
                ..
            } => {
                self.expression(object)?;
                self.op_arg(loc, Op::Copy, 1);
                let loc = self.attribute_loc(loc, target);
                self.op_name(loc, Op::LoadAttr, attr);
                self.expression(value)?;
                self.binary_op(statement, op, true);
                self.op_arg(loc, Op::Swap, 2);
                self.op_name(loc, Op::StoreAttr, attr);
            }
            ExprKind::Subscript {
                value: object,
                slice,
                ..
            } => {
                self.expression(object)?;
                let two_part = self.two_part_slice(slice)?;
                if two_part {
                    for _ in 0..3 {
                        self.op_arg(loc, Op::Copy, 3);
                    }
                    self.op(loc, Op::BinarySlice);
                } else {
                    self.expression(slice)?;
                    self.op_arg(loc, Op::Copy, 2);
                    self.op_arg(loc, Op::Copy, 2);
                    self.binary_subscript(loc);
                }
                self.expression(value)?;
                self.binary_op(statement, op, true);
                if two_part {
                    self.op_arg(loc, Op::Swap, 4);
                }
                self.op_arg(loc, Op::Swap, 3);
                self.op_arg(loc, Op::Swap, 2);
                let store = if two_part {
                    Op::StoreSlice
                } else {
                    Op::StoreSubscr
                };
                self.op(loc, store);
            }
            ExprKind::Name { id, .. } => {
                self.name_op(loc, id, Ctx::Load)?;
                self.expression(value)?;
                self.binary_op(statement, op, true);
                self.name_op(loc, id, Ctx::Store)?;
            }
            _ => return Err(Stop::unsure("an augmented assignment to something else")),
        }
        Ok(())
    }
}
