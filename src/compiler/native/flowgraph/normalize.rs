//! The last changes before assembly: pseudo instructions, and conditional jumps that go back.

use super::block::{BlockIndex, CfgInstr, Graph};
use crate::compiler::native::error::Loc;
use crate::compiler::native::opcode::Op;

impl Graph {
    /// Writes out the jumps that keep the value they test (3.14).
    pub(super) fn convert_pseudo_conditional_jumps(&mut self) {
        self.for_each(|graph, at| {
            let Some(jump) = graph[at].instrs.last_mut() else {
                return;
            };
            jump.op = match jump.op {
                Op::JumpIfFalse => Op::PopJumpIfFalse,
                Op::JumpIfTrue => Op::PopJumpIfTrue,
                _ => return,
            };
            let guarded = |op, arg| CfgInstr {
                except: jump.except,
                ..CfgInstr::new(op, arg, jump.loc)
            };
            let test = [guarded(Op::Copy, 1), guarded(Op::ToBool, 0)];
            let end = graph[at].instrs.len().saturating_sub(1);
            graph[at].insert(end, &test);
        });
    }

    /// Replaces the pseudo instructions that are left, except jumps.
    pub(super) fn convert_pseudo_ops(&mut self) -> Option<()> {
        if !self.kinds.pseudo() {
            return self.remove_redundant_nops_and_jumps();
        }
        self.for_each(|graph, at| {
            let block = &mut graph[at];
            for instr in &mut block.instrs {
                if instr.op.is_block_push() {
                    instr.clear();
                    block.nops = true;
                } else if instr.op == Op::LoadClosure {
                    instr.op = Op::LoadFast;
                } else if instr.op == Op::StoreFastMaybeNull {
                    instr.op = Op::StoreFast;
                }
            }
        });
        self.remove_redundant_nops_and_jumps()
    }

    /// Conditional jumps only go forward: one that goes back is turned around, and jumps over an
    /// unconditional jump. `marks_branches`: where a jump is not taken, `NOT_TAKEN` follows (3.14).
    pub(super) fn normalize_jumps(&mut self, marks_branches: bool) {
        self.for_each(|graph, at| graph[at].visited = false);
        self.for_each(|graph, at| {
            graph[at].visited = true;
            graph.normalize_jump_of(at, marks_branches);
        });
    }

    fn normalize_jump_of(&mut self, at: BlockIndex, marks_branches: bool) {
        let Some(&last) = self[at].last() else {
            return;
        };
        let reversed = match last.op {
            Op::PopJumpIfNotNone => Op::PopJumpIfNone,
            Op::PopJumpIfNone => Op::PopJumpIfNotNone,
            Op::PopJumpIfFalse => Op::PopJumpIfTrue,
            Op::PopJumpIfTrue => Op::PopJumpIfFalse,
            _ => return,
        };
        if !self[last.target].visited {
            if marks_branches {
                self[at].add(not_taken(last.loc));
            }
            return;
        }
        let following = self[at].next;
        let back = self.new_block();
        let mut jump = CfgInstr::new(Op::Jump, 0, last.loc);
        jump.target = last.target;
        let cold = self[at].cold;
        let start_depth = self[last.target].start_depth;
        let block = &mut self[back];
        if marks_branches {
            block.instrs.push(not_taken(last.loc));
        }
        block.instrs.push(jump);
        block.cold = cold;
        block.start_depth = start_depth;
        block.next = following;
        self[at].next = back;
        if let Some(last) = self[at].instrs.last_mut() {
            last.op = reversed;
            last.target = following;
        }
    }
}

fn not_taken(loc: Loc) -> CfgInstr {
    CfgInstr::new(Op::NotTaken, 0, loc)
}
