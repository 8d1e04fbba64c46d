//! Reachability, and copying small exits into the blocks that jump to them.

use super::block::{BlockIndex, ENTRY, Graph, falls_through, first_with_target};
use crate::compiler::native::instruction::NONE;
use crate::compiler::native::opcode::{Kinds, Op};

/// The longest exit block that is copied.
const MAX_COPY: u32 = 4;

impl Graph {
    /// Replaces jumps to short exits, and to blocks without lines that do not fall through, by a
    /// copy of the block, until nothing changes.
    pub(super) fn inline_small_exit_blocks(&mut self) {
        let mut changed = self.kinds.unconditional_jumps();
        while changed {
            changed = false;
            self.for_each(|graph, at| changed |= graph.inline_exit(at));
        }
    }

    fn inline_exit(&mut self, at: BlockIndex) -> bool {
        let Some(&jump) = self.last(at) else {
            return false;
        };
        if !jump.op.is_unconditional_jump() {
            return false;
        }
        let target = jump.arg;
        let Some(last) = self.last(target) else {
            return false;
        };
        let small_exit = last.op.is_scope_exit() && self[target].length <= MAX_COPY;
        let lineless = last.op.no_fallthrough() && self.has_no_line(target);
        if !small_exit && !lineless {
            return false;
        }
        self.replace_last_by_copy(at, target);
        if lineless
            && jump.op == Op::Jump
            && let Some(last) = self.last_mut(at)
            && last.op.is_unconditional_jump()
        {
            // The copied jump takes over the look after signals.
            last.op = Op::Jump;
        }
        self[target].predecessors -= 1;
        true
    }

    /// Counts the ways into each block and empties the blocks that cannot be reached.
    pub(super) fn remove_unreachable(&mut self) {
        self.flow_changed = false;
        for block in &mut self.blocks {
            block.predecessors = 0;
            block.visited = false;
        }
        self.stack.clear();
        self.enter(ENTRY);
        let all = std::mem::take(&mut self.instrs);
        while let Some(at) = self.stack.pop() {
            let block = &self[at];
            let (next, kinds) = (block.next, block.kinds);
            let instrs = all.get(block.range()).unwrap_or(&[]);
            if next != NONE && falls_through(instrs) {
                self.enter(next);
            }
            let first = first_with_target(instrs, kinds);
            for instr in instrs.get(first..).unwrap_or(&[]) {
                if instr.op.has_target() {
                    self.enter(instr.arg);
                }
            }
        }
        self.instrs = all;
        for block in &mut self.blocks {
            if block.predecessors == 0 {
                block.length = 0;
                block.kinds = Kinds::NONE;
                block.is_handler = false;
            }
        }
    }

    /// Notes a way into a block, and visits it.
    fn enter(&mut self, at: BlockIndex) {
        self[at].predecessors += 1;
        self.visit_once(at);
    }
}
