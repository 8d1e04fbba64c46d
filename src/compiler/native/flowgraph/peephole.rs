//! Rewrites of a few instructions in a row, and jumps to jumps.

use super::block::{BlockIndex, CfgInstr, Graph};
use crate::compiler::native::ast::Pool;
use crate::compiler::native::constant::Item;
use crate::compiler::native::opcode::Op;

/// `COMPARE_OP`'s bit for "make a bool of the result".
const COMPARE_TO_BOOL: u32 = 16;

impl Graph {
    /// Rewrites each block.
    pub(super) fn optimize_blocks(&mut self, consts: &mut Vec<Item>, pool: &mut Pool) {
        self.for_each(|graph, at| {
            graph.optimize_block(at, consts, pool);
            graph.optimize_swaps(at);
        });
    }

    fn optimize_block(&mut self, at: BlockIndex, consts: &mut Vec<Item>, pool: &mut Pool) {
        let mut index = 0;
        while let Some(&instr) = self[at].instrs.get(index) {
            if instr.op.is_jump() {
                if !self.thread_jump(at, instr) {
                    index += 1;
                }
                continue;
            }
            if instr.op == Op::BuildTuple {
                let next = self[at].instrs.get(index + 1);
                let unpacked =
                    next.is_some_and(|next| next.op == Op::UnpackSequence && next.arg == instr.arg);
                if !(unpacked && matches!(instr.arg, 1..=3)) {
                    self.fold_tuple(at, index, consts, pool);
                    index += 1;
                    continue;
                }
            }
            if let Some([this, next, ..]) = self[at].instrs.get_mut(index..) {
                rewrite_pair(this, next);
            }
            if let Some(this) = self[at].instrs.get_mut(index)
                && this.op == Op::Swap
                && this.arg == 1
            {
                this.clear();
            }
            index += 1;
        }
    }

    /// Lets a jump to a jump go to where that one goes. Whether the instruction has to be looked at
    /// again.
    fn thread_jump(&mut self, at: BlockIndex, jump: CfgInstr) -> bool {
        let Some(&second) = self[jump.target].instrs.first() else {
            return false;
        };
        let op = match (jump.op, second.op) {
            (
                Op::PopJumpIfNone | Op::PopJumpIfNotNone | Op::PopJumpIfFalse | Op::PopJumpIfTrue,
                Op::Jump,
            ) => jump.op,
            (Op::Jump | Op::JumpNoInterrupt, Op::Jump) => Op::Jump,
            (Op::Jump | Op::JumpNoInterrupt, Op::JumpNoInterrupt) => jump.op,
            _ => return false,
        };
        if jump.target == second.target {
            return false;
        }
        let instrs = &mut self[at].instrs;
        if let Some(last) = instrs.last_mut() {
            // Stays for its line; goes later if that is not needed.
            last.clear();
        }
        let mut direct = CfgInstr::new(op, 0, second.loc);
        direct.target = second.target;
        instrs.push(direct);
        true
    }
}

fn rewrite_pair(this: &mut CfgInstr, next: &mut CfgInstr) {
    match (this.op, next.op) {
        (Op::BuildTuple, Op::UnpackSequence) if this.arg == next.arg => match this.arg {
            1 => {
                this.clear();
                next.clear();
            }
            2 | 3 => {
                this.clear();
                next.op = Op::Swap;
            }
            _ => {}
        },
        (Op::StoreFast, Op::StoreFast)
            if this.arg == next.arg && this.loc.line == next.loc.line =>
        {
            this.op = Op::PopTop;
            this.arg = 0;
        }
        (Op::LoadGlobal, Op::PushNull) if this.arg & 1 == 0 => {
            this.arg |= 1;
            next.clear();
        }
        (Op::CompareOp, Op::ToBool) => {
            next.op = Op::CompareOp;
            next.arg = this.arg | COMPARE_TO_BOOL;
            this.clear();
        }
        (Op::ContainsOp | Op::IsOp, Op::ToBool) => {
            next.op = this.op;
            next.arg = this.arg;
            this.clear();
        }
        (Op::ToBool, Op::ToBool) => this.clear(),
        (Op::UnaryNot, Op::ToBool) => {
            this.clear();
            next.op = Op::UnaryNot;
            next.arg = 0;
        }
        (Op::UnaryNot, Op::UnaryNot) => {
            this.clear();
            next.clear();
        }
        _ => {}
    }
}
