//! Rewrites of a few instructions in a row, and jumps to jumps.

use super::block::{BlockIndex, Graph};
use super::fold::Constants;
use crate::compiler::native::error::Pass;
use crate::compiler::native::instruction::{Instr, NONE};
use crate::compiler::native::opcode::{Kinds, Op};

/// `COMPARE_OP`'s bit for "make a bool of the result".
const COMPARE_TO_BOOL: u32 = 16;

impl Graph {
    /// Rewrites each block. `folds`: constants are folded here (3.14), and not before.
    pub(super) fn optimize_blocks(&mut self, consts: &mut Constants<'_>, folds: bool) -> Pass<()> {
        let mut result = Ok(());
        self.for_each(|graph, at| {
            if result.is_err() {
                return;
            }
            if graph[at].kinds.rewritable(folds) {
                result = graph.optimize_block(at, consts, folds);
            }
            if graph[at].kinds.swaps() {
                graph.optimize_swaps(at);
                graph.note_kinds(at);
            }
        });
        result
    }

    fn optimize_block(
        &mut self,
        at: BlockIndex,
        consts: &mut Constants<'_>,
        folds: bool,
    ) -> Pass<()> {
        let instrs = self.instrs_mut(at);
        let wanted = |instr: &Instr| instr.op.may_be_rewritten(folds);
        let (mut index, mut kinds, mut folded) = (0, Kinds::NONE, false);
        while let Some(found) = instrs
            .get(index..)
            .and_then(|rest| rest.iter().position(wanted))
        {
            index += found;
            let Some([this, rest @ ..]) = instrs.get_mut(index..) else {
                break;
            };
            let op = this.op;
            if op.is_jump() {
                break;
            }
            let mut rewritten = false;
            if let Some(next) = rest.first_mut()
                && next.op.ends_pair()
                && (rewrite_pair(this, next) || (folds && invert_test(this, next)))
            {
                rewritten = true;
                kinds.add(Kinds::NOP);
                kinds.add(Kinds::of(this.op, this.loc.line));
                kinds.add(Kinds::of(next.op, next.loc.line));
            } else if folds {
                consts.fold(instrs, index)?;
            } else if op == Op::BuildTuple {
                consts.fold_tuple_of_loads(instrs, index);
            }
            if let Some(this) = instrs.get_mut(index) {
                if this.op == Op::Swap && this.arg == 1 {
                    this.clear();
                }
                folded |= this.op != op && !rewritten;
            }
            index += 1;
        }
        self[at].kinds.add(kinds);
        if folded {
            self.note_kinds(at);
        }
        // A jump is the last one.
        while let Some(&last) = self.last(at)
            && last.op.is_jump()
            && self.thread_jump(at, last)
        {}
        Ok(())
    }

    /// Lets a jump to a jump go to where that one goes. Whether the instruction has to be looked at
    /// again.
    fn thread_jump(&mut self, at: BlockIndex, jump: Instr) -> bool {
        let Some(&second) = self.instrs(jump.arg).first() else {
            return false;
        };
        let op = match (jump.op, second.op) {
            (
                Op::PopJumpIfNone | Op::PopJumpIfNotNone | Op::PopJumpIfFalse | Op::PopJumpIfTrue,
                Op::Jump,
            )
            | (Op::JumpIfFalse, Op::Jump | Op::JumpIfFalse)
            | (Op::JumpIfTrue, Op::Jump | Op::JumpIfTrue) => jump.op,
            (Op::JumpIfFalse, Op::JumpIfTrue) | (Op::JumpIfTrue, Op::JumpIfFalse) => {
                self.flow_changed = true;
                return self.skip_opposite_test(at, jump.arg);
            }
            (Op::Jump | Op::JumpNoInterrupt, Op::Jump) => Op::Jump,
            (Op::Jump | Op::JumpNoInterrupt, Op::JumpNoInterrupt) => jump.op,
            _ => return false,
        };
        if jump.arg == second.arg {
            return false;
        }
        self.flow_changed = true;
        if let Some(last) = self.last_mut(at) {
            // Stays for its line; goes later if that is not needed.
            last.clear();
        }
        self[at].kinds.add(Kinds::NOP);
        self.add(at, Instr::new(op, second.arg, second.loc));
        true
    }

    /// A test that jumps to the opposite test goes to what follows that one.
    fn skip_opposite_test(&mut self, at: BlockIndex, target: BlockIndex) -> bool {
        let following = self[target].next;
        match self.last_mut(at) {
            Some(last) if following != NONE => {
                last.arg = following;
                true
            }
            _ => false,
        }
    }
}

/// `is` or `in` and `not` become `is not` or `not in`.
fn invert_test(this: &mut Instr, next: &mut Instr) -> bool {
    if !matches!(this.op, Op::ContainsOp | Op::IsOp) || next.op != Op::UnaryNot {
        return false;
    }
    next.op = this.op;
    next.arg = this.arg ^ 1;
    this.clear();
    true
}

/// Whether the pair was one that is rewritten.
fn rewrite_pair(this: &mut Instr, next: &mut Instr) -> bool {
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
            _ => return false,
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
        _ => return false,
    }
    true
}
