//! Unary and binary operators, and subscripts, on constants.

use super::{Constants, UNARY_POSITIVE};
use crate::compiler::native::ast::{Constant, Operator, UnaryOp};
use crate::compiler::native::error::Pass;
use crate::compiler::native::fold::constant::{self, Rules};
use crate::compiler::native::instruction::Instr;
use crate::compiler::native::opcode::Op;

const RULES: Rules = Rules {
    mixed_complex: true,
};

/// `BINARY_OP`: `left[right]`
const SUBSCRIPT: u32 = 26;

/// The operator of a `BINARY_OP`; `None` for subscripts and for those that work in place.
fn operator_of(arg: u32) -> Option<Operator> {
    Some(match arg {
        0 => Operator::Add,
        1 => Operator::BitAnd,
        2 => Operator::FloorDiv,
        3 => Operator::LShift,
        4 => Operator::MatMult,
        5 => Operator::Mult,
        6 => Operator::Mod,
        7 => Operator::BitOr,
        8 => Operator::Pow,
        9 => Operator::RShift,
        10 => Operator::Sub,
        11 => Operator::Div,
        12 => Operator::BitXor,
        _ => return None,
    })
}

fn unary_of(instr: Instr) -> Option<UnaryOp> {
    match instr.op {
        Op::UnaryNot => Some(UnaryOp::Not),
        Op::UnaryInvert => Some(UnaryOp::Invert),
        Op::UnaryNegative => Some(UnaryOp::USub),
        Op::CallIntrinsic1 if instr.arg == UNARY_POSITIVE => Some(UnaryOp::UAdd),
        _ => None,
    }
}

impl Constants<'_> {
    pub(super) fn fold_unary(&mut self, instrs: &mut [Instr], index: usize) -> Pass<()> {
        let op = instrs.get(index).and_then(|&instr| unary_of(instr));
        let (Some(op), true) = (op, self.find_loads(instrs, index, 1)) else {
            return Ok(());
        };
        let Some(&[value]) = self.values(instrs).as_deref() else {
            return Ok(());
        };
        if op == UnaryOp::Invert && matches!(value, Constant::Bool(_)) {
            // Deprecated: the warning is left to the program's run.
            return Ok(());
        }
        let folded = constant::unary(self.pool, op, value);
        self.put(instrs, index, folded)
    }

    pub(super) fn fold_binary(&mut self, instrs: &mut [Instr], index: usize) -> Pass<()> {
        if !self.find_loads(instrs, index, 2) {
            return Ok(());
        }
        let arg = instrs.get(index).map_or(0, |instr| instr.arg);
        let Some(&[left, right]) = self.values(instrs).as_deref() else {
            return Ok(());
        };
        let folded = if arg == SUBSCRIPT {
            constant::subscript(self.pool, left, right)
        } else if let Some(op) = operator_of(arg) {
            // `%` on texts would need all of formatting.
            constant::binary(self.pool, op, left, right, RULES)
        } else {
            return Ok(());
        };
        self.put(instrs, index, folded)
    }
}
