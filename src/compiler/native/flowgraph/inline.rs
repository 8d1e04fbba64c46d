//! Reachability, and copying small exits into the blocks that jump to them.

use super::block::{BlockIndex, ENTRY, Graph, first_with_target};
use crate::compiler::native::instruction::NONE;
use crate::compiler::native::opcode::Op;

/// The longest exit block that is copied.
const MAX_COPY: usize = 4;

impl Graph {
    /// Replaces jumps to short exits, and to blocks without lines that do not fall through, by a
    /// copy of the block, until nothing changes.
    pub(super) fn inline_small_exit_blocks(&mut self) {
        let mut changed = true;
        while changed {
            changed = false;
            self.for_each(|graph, at| changed |= graph.inline_exit(at));
        }
    }

    fn inline_exit(&mut self, at: BlockIndex) -> bool {
        let Some(&jump) = self[at].last() else {
            return false;
        };
        if !jump.op.is_unconditional_jump() {
            return false;
        }
        let target = &self[jump.target];
        let small_exit = target.exits_scope() && target.instrs.len() <= MAX_COPY;
        let lineless = target.has_no_line() && !target.falls_through();
        if !small_exit && !lineless {
            return false;
        }
        let copies = target.instrs.clone();
        let block = &mut self[at];
        if let Some(last) = block.instrs.last_mut() {
            last.clear();
        }
        block.append(&copies);
        if lineless
            && jump.op == Op::Jump
            && let Some(last) = block.instrs.last_mut()
            && last.op.is_unconditional_jump()
        {
            // The copied jump takes over the look after signals.
            last.op = Op::Jump;
        }
        self[jump.target].predecessors -= 1;
        true
    }

    /// Counts the ways into each block and empties the blocks that cannot be reached.
    pub(super) fn remove_unreachable(&mut self) {
        self.flow_changed = false;
        self.for_each(|graph, at| {
            graph[at].predecessors = 0;
            graph[at].visited = false;
        });
        self.stack.clear();
        self[ENTRY].predecessors = 1;
        self.visit_once(ENTRY);
        while let Some(at) = self.stack.pop() {
            let next = self[at].next;
            if next != NONE && self[at].falls_through() {
                self.visit_once(next);
                self[next].predecessors += 1;
            }
            if !self.kinds.handlers() {
                if let Some(&last) = self[at].last()
                    && last.op.has_target()
                {
                    self.visit_once(last.target);
                    self[last.target].predecessors += 1;
                }
                continue;
            }
            let instrs = self.take_instrs(at);
            let first = first_with_target(&instrs, self.kinds);
            let with_targets = instrs.iter().skip(first);
            for instr in with_targets.filter(|instr| instr.op.has_target()) {
                self.visit_once(instr.target);
                self[instr.target].predecessors += 1;
            }
            self[at].instrs = instrs;
        }
        self.for_each(|graph, at| {
            if graph[at].predecessors == 0 {
                graph[at].instrs.clear();
                graph[at].is_handler = false;
            }
        });
    }
}
