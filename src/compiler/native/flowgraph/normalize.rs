//! The last changes before assembly: pseudo instructions, and conditional jumps that go back.

use super::block::{BlockIndex, CfgInstr, Graph};
use crate::compiler::native::opcode::Op;

impl Graph {
    /// Replaces the pseudo instructions that are left, except jumps.
    pub(super) fn convert_pseudo_ops(&mut self) -> Option<()> {
        self.for_each(|graph, at| {
            for instr in &mut graph[at].instrs {
                if instr.op.is_block_push() {
                    instr.clear();
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
    /// unconditional jump.
    pub(super) fn normalize_jumps(&mut self) {
        self.for_each(|graph, at| graph[at].visited = false);
        self.for_each(|graph, at| {
            graph[at].visited = true;
            graph.normalize_jump_of(at);
        });
    }

    fn normalize_jump_of(&mut self, at: BlockIndex) {
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
            return;
        }
        let following = self[at].next;
        let back = self.new_block();
        let mut jump = CfgInstr::new(Op::Jump, 0, last.loc);
        jump.target = last.target;
        let cold = self[at].cold;
        let block = &mut self[back];
        block.instrs.push(jump);
        block.cold = cold;
        block.next = following;
        self[at].next = back;
        if let Some(last) = self[at].instrs.last_mut() {
            last.op = reversed;
            last.target = following;
        }
    }
}
