//! The last changes before assembly: pseudo instructions, and conditional jumps that go back.

use super::block::{BlockIndex, Graph};
use crate::compiler::native::instruction::Instr;
use crate::compiler::native::opcode::Op;

impl Graph {
    /// Writes out the jumps that keep the value they test (3.14).
    pub(super) fn convert_pseudo_conditional_jumps(&mut self) {
        self.for_each(|graph, at| {
            if !graph[at].kinds.jumps() {
                return;
            }
            let Some(jump) = graph.last_mut(at) else {
                return;
            };
            jump.op = match jump.op {
                Op::JumpIfFalse => Op::PopJumpIfFalse,
                Op::JumpIfTrue => Op::PopJumpIfTrue,
                _ => return,
            };
            let guarded = |op, arg| Instr {
                except: jump.except,
                ..Instr::new(op, arg, jump.loc)
            };
            let test = [guarded(Op::Copy, 1), guarded(Op::ToBool, 0)];
            let end = graph.instrs(at).len().saturating_sub(1);
            graph.insert(at, end, &test);
        });
    }

    /// Replaces the pseudo instructions that are left, except jumps.
    pub(super) fn convert_pseudo_ops(&mut self) -> Option<()> {
        if !self.kinds.pseudo() {
            return self.remove_redundant_nops_and_jumps();
        }
        self.for_each(|graph, at| {
            if !graph[at].kinds.pseudo() {
                return;
            }
            for instr in graph.instrs_mut(at) {
                if instr.op.is_block_push() {
                    instr.clear();
                } else if instr.op == Op::LoadClosure {
                    instr.op = Op::LoadFast;
                } else if instr.op == Op::StoreFastMaybeNull {
                    instr.op = Op::StoreFast;
                }
            }
            graph.note_kinds(at);
        });
        self.remove_redundant_nops_and_jumps()
    }

    /// Conditional jumps only go forward: one that goes back is turned around, and jumps over an
    /// unconditional jump. `marks_branches`: where a jump is not taken, `NOT_TAKEN` follows (3.14).
    pub(super) fn normalize_jumps(&mut self, marks_branches: bool) {
        self.start_traversal();
        self.for_each(|graph, at| {
            graph[at].visited = true;
            if graph[at].kinds.jumps() {
                graph.normalize_jump_of(at, marks_branches);
            }
        });
    }

    fn normalize_jump_of(&mut self, at: BlockIndex, marks_branches: bool) {
        let Some(&last) = self.last(at) else {
            return;
        };
        let reversed = match last.op {
            Op::PopJumpIfNotNone => Op::PopJumpIfNone,
            Op::PopJumpIfNone => Op::PopJumpIfNotNone,
            Op::PopJumpIfFalse => Op::PopJumpIfTrue,
            Op::PopJumpIfTrue => Op::PopJumpIfFalse,
            _ => return,
        };
        if !self[last.arg].visited {
            self[at].not_taken = marks_branches;
            return;
        }
        let following = self[at].next;
        let jump = Instr::new(Op::Jump, last.arg, last.loc);
        let not_taken = Instr::new(Op::NotTaken, 0, last.loc);
        let back = if marks_branches {
            self.new_block(&[not_taken, jump])
        } else {
            self.new_block(&[jump])
        };
        let cold = self[at].cold;
        let start_depth = self[last.arg].start_depth;
        let block = &mut self[back];
        block.cold = cold;
        block.start_depth = start_depth;
        block.next = following;
        self[at].next = back;
        if let Some(last) = self.last_mut(at) {
            last.op = reversed;
            last.arg = following;
        }
    }
}
