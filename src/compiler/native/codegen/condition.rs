//! Conditions: comparisons, boolean operators, and jumps that depend on them.

use super::Compiler;
use crate::compiler::native::ast::{
    BoolOp, CmpOp, Expr, ExprId, ExprKind, ExprList, List, UnaryOp,
};
use crate::compiler::native::error::{Loc, Pass};
use crate::compiler::native::instruction::Label;
use crate::compiler::native::opcode::Op;

impl Compiler<'_> {
    /// Compares the two values on the stack.
    pub(super) fn compare_op(&mut self, loc: Loc, op: CmpOp) {
        // Number of the comparison, and the outcomes for which it holds (1 unordered, 2 less, 4
        // greater, 8 equal).
        let (number, mask) = match op {
            CmpOp::Is => return self.op_arg(loc, Op::IsOp, 0),
            CmpOp::IsNot => return self.op_arg(loc, Op::IsOp, 1),
            CmpOp::In => return self.op_arg(loc, Op::ContainsOp, 0),
            CmpOp::NotIn => return self.op_arg(loc, Op::ContainsOp, 1),
            CmpOp::Lt => (0, 2),
            CmpOp::LtE => (1, 2 | 8),
            CmpOp::Eq => (2, 8),
            CmpOp::NotEq => (3, 1 | 2 | 4),
            CmpOp::Gt => (4, 4),
            CmpOp::GtE => (5, 4 | 8),
        };
        self.op_arg(loc, Op::CompareOp, number << 5 | mask);
    }

    /// Jumps if an expression is true (`when`) or false, without leaving its value. `loc` is the
    /// place of the whole condition.
    pub(super) fn jump_if(&mut self, loc: Loc, id: ExprId, to: Label, when: bool) -> Pass<()> {
        self.deeper(|c| c.jump_if_inner(loc, id, to, when))
    }

    fn jump_if_inner(&mut self, loc: Loc, id: ExprId, to: Label, when: bool) -> Pass<()> {
        let Expr { kind, loc: at } = self.ast.expr(id);
        match kind {
            ExprKind::UnaryOp {
                op: UnaryOp::Not,
                operand,
            } => return self.jump_if(loc, operand, to, !when),
            ExprKind::BoolOp { op, values } => return self.jump_if_bool(loc, op, values, to, when),
            ExprKind::IfExp { test, body, orelse } => {
                let end = self.label();
                let other = self.label();
                self.jump_if(loc, test, other, false)?;
                self.jump_if(loc, body, to, when)?;
                self.jump(Loc::NONE, Op::JumpNoInterrupt, end);
                self.place(other);
                self.jump_if(loc, orelse, to, when)?;
                self.place(end);
                return Ok(());
            }
            ExprKind::Compare {
                left,
                ops,
                comparators,
            } if ops.len() > 1 => {
                return self.jump_if_compare(at, left, ops, comparators, to, when);
            }
            _ => {}
        }
        self.expression(id)?;
        self.op(at, Op::ToBool);
        self.jump(at, jump_op(when), to);
        Ok(())
    }

    fn jump_if_bool(
        &mut self,
        loc: Loc,
        op: BoolOp,
        values: ExprList,
        to: Label,
        when: bool,
    ) -> Pass<()> {
        let decides = op == BoolOp::Or;
        let early = if decides == when { to } else { self.label() };
        let ast = self.ast;
        let Some((&last, others)) = ast.slice(values).split_last() else {
            return Ok(());
        };
        for &value in others {
            self.jump_if(loc, value, early, decides)?;
        }
        self.jump_if(loc, last, to, when)?;
        if early != to {
            self.place(early);
        }
        Ok(())
    }

    fn jump_if_compare(
        &mut self,
        loc: Loc,
        left: ExprId,
        ops: List<CmpOp>,
        comparators: ExprList,
        to: Label,
        when: bool,
    ) -> Pass<()> {
        let cleanup = self.label();
        self.expression(left)?;
        let ast = self.ast;
        let pairs = ast.slice(ops).iter().zip(ast.slice(comparators));
        let count = ops.len();
        for (index, (&op, &right)) in pairs.enumerate() {
            self.expression(right)?;
            if index + 1 == count {
                self.compare_op(loc, op);
                break;
            }
            self.op_arg(loc, Op::Swap, 2);
            self.op_arg(loc, Op::Copy, 2);
            self.compare_op(loc, op);
            self.op(loc, Op::ToBool);
            self.jump(loc, Op::PopJumpIfFalse, cleanup);
        }
        self.op(loc, Op::ToBool);
        self.jump(loc, jump_op(when), to);
        let end = self.label();
        self.jump(Loc::NONE, Op::JumpNoInterrupt, end);
        self.place(cleanup);
        self.op(loc, Op::PopTop);
        if !when {
            self.jump(Loc::NONE, Op::JumpNoInterrupt, to);
        }
        self.place(end);
        Ok(())
    }

    /// The value of a comparison.
    pub(super) fn compare(
        &mut self,
        loc: Loc,
        left: ExprId,
        ops: List<CmpOp>,
        comparators: ExprList,
    ) -> Pass<()> {
        self.expression(left)?;
        let ast = self.ast;
        let pairs = ast.slice(ops).iter().zip(ast.slice(comparators));
        let count = ops.len();
        let cleanup = (count > 1).then(|| self.label());
        for (index, (&op, &right)) in pairs.enumerate() {
            self.expression(right)?;
            if let Some(cleanup) = cleanup.filter(|_| index + 1 < count) {
                self.op_arg(loc, Op::Swap, 2);
                self.op_arg(loc, Op::Copy, 2);
                self.compare_op(loc, op);
                self.op_arg(loc, Op::Copy, 1);
                self.op(loc, Op::ToBool);
                self.jump(loc, Op::PopJumpIfFalse, cleanup);
                self.op(loc, Op::PopTop);
            } else {
                self.compare_op(loc, op);
            }
        }
        if let Some(cleanup) = cleanup {
            let end = self.label();
            self.jump(Loc::NONE, Op::JumpNoInterrupt, end);
            self.place(cleanup);
            self.op_arg(loc, Op::Swap, 2);
            self.op(loc, Op::PopTop);
            self.place(end);
        }
        Ok(())
    }

    /// The value of `and` or `or`.
    pub(super) fn bool_op(&mut self, loc: Loc, op: BoolOp, values: ExprList) -> Pass<()> {
        let end = self.label();
        let ast = self.ast;
        let Some((&last, others)) = ast.slice(values).split_last() else {
            return Ok(());
        };
        for &value in others {
            self.expression(value)?;
            if self.since(14) {
                let jump = match op {
                    BoolOp::Or => Op::JumpIfTrue,
                    BoolOp::And => Op::JumpIfFalse,
                };
                self.jump(loc, jump, end);
            } else {
                self.op_arg(loc, Op::Copy, 1);
                self.op(loc, Op::ToBool);
                self.jump(loc, jump_op(op == BoolOp::Or), end);
            }
            self.op(loc, Op::PopTop);
        }
        self.expression(last)?;
        self.place(end);
        Ok(())
    }

    /// The value of `body if test else orelse`.
    pub(super) fn if_expression(
        &mut self,
        loc: Loc,
        test: ExprId,
        body: ExprId,
        orelse: ExprId,
    ) -> Pass<()> {
        let end = self.label();
        let other = self.label();
        self.jump_if(loc, test, other, false)?;
        self.expression(body)?;
        self.jump(Loc::NONE, Op::JumpNoInterrupt, end);
        self.place(other);
        self.expression(orelse)?;
        self.place(end);
        Ok(())
    }
}

fn jump_op(when: bool) -> Op {
    if when {
        Op::PopJumpIfTrue
    } else {
        Op::PopJumpIfFalse
    }
}
