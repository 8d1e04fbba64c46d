//! Blocks that only exceptions lead to go to the end.

use super::block::{BlockIndex, ENTRY, Graph};
use crate::compiler::native::error::Loc;
use crate::compiler::native::instruction::{Instr, NONE};
use crate::compiler::native::opcode::Op;

impl Graph {
    /// Moves the cold blocks behind all others. `None` when a jump leads nowhere.
    pub(super) fn push_cold_blocks_to_end(&mut self) -> Option<()> {
        if self[ENTRY].next == NONE || !self.kinds.handlers() {
            return Some(());
        }
        self.mark_warm();
        self.mark_cold();
        self.for_each(|graph, at| {
            let next = graph[at].next;
            if next != NONE && graph[at].cold && graph[next].warm && graph.falls_through(at) {
                graph.add_explicit_jump(at, next);
            }
        });

        let mut warm_tail = ENTRY;
        let mut cold_head = NONE;
        let mut cold_tail = NONE;
        let mut at = self[ENTRY].next;
        while at != NONE {
            let next = self[at].next;
            if self[at].cold {
                if cold_tail == NONE {
                    cold_head = at;
                } else {
                    self[cold_tail].next = at;
                }
                cold_tail = at;
                self[at].next = NONE;
            } else {
                self[warm_tail].next = at;
                warm_tail = at;
            }
            at = next;
        }
        self[warm_tail].next = cold_head;
        if cold_head == NONE {
            return Some(());
        }
        self.remove_redundant_nops_and_jumps()
    }

    fn add_explicit_jump(&mut self, at: BlockIndex, target: BlockIndex) {
        self[target].labelled = true;
        let jump = self.new_block(&[Instr::new(Op::JumpNoInterrupt, target, Loc::NONE)]);
        let block = &mut self[jump];
        block.cold = true;
        block.next = target;
        block.predecessors = 1;
        self[at].next = jump;
    }

    fn mark_warm(&mut self) {
        self.start_traversal();
        self.visit_once(ENTRY);
        while let Some(at) = self.stack.pop() {
            self[at].warm = true;
            self.visit_successors(at);
        }
    }

    fn mark_cold(&mut self) {
        self.start_traversal();
        self.for_each(|graph, at| {
            if graph[at].is_handler {
                graph.visit_once(at);
            }
        });
        while let Some(at) = self.stack.pop() {
            self[at].cold = true;
            self.visit_successors(at);
        }
    }

    /// Visits what the normal flow leads to; warm blocks are never visited again.
    fn visit_successors(&mut self, at: BlockIndex) {
        let marking_cold = self[at].cold;
        let visit = |graph: &mut Graph, at: BlockIndex| {
            if at != NONE && !(marking_cold && graph[at].warm) {
                graph.visit_once(at);
            }
        };
        if self.falls_through(at) {
            let next = self[at].next;
            visit(self, next);
        }
        if let Some(&last) = self.last(at)
            && last.op.is_jump()
        {
            visit(self, last.arg);
        }
    }
}
