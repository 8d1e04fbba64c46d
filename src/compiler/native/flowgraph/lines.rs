//! Line numbers of instructions that have none (PEP 626).
//!
//! An exit without a line takes the line of the way into it, so each such exit is copied until it
//! has one way in.

use super::block::{Block, BlockIndex, Graph};
use crate::compiler::native::error::Loc;
use crate::compiler::native::instruction::{Instr, NONE};
use crate::compiler::native::opcode::Kinds;

fn has_no_line(instr: &Instr) -> bool {
    instr.loc.line == Loc::NONE.line
}

/// Gives instructions without a line that of the one before, beginning with the first of them.
fn hand_down_line(instrs: &mut [Instr], first: usize) {
    let before = first.checked_sub(1).and_then(|before| instrs.get(before));
    let mut loc = before.map_or(Loc::NONE, |instr| instr.loc);
    for instr in instrs.iter_mut().skip(first) {
        if has_no_line(instr) {
            instr.loc = loc;
        } else {
            loc = instr.loc;
        }
    }
}

impl Graph {
    /// Copies exits without lines and hands lines down.
    pub(super) fn resolve_line_numbers(&mut self) {
        if !self.blocks.iter().any(|block| block.kinds.lineless()) {
            return;
        }
        // Which of the walks find something.
        let (mut exits, mut shared_exits) = (false, false);
        for at in 0..self.blocks.len() as BlockIndex {
            if self.wants_line(at) {
                exits = true;
                shared_exits |= self[at].predecessors > 1;
            }
        }
        if shared_exits {
            self.duplicate_exits_without_line();
        }
        if exits {
            self.hand_lines_to_exits();
        }
        self.propagate_line_numbers();
    }

    fn wants_line(&self, at: BlockIndex) -> bool {
        if !self[at].kinds.lineless() || !self.has_no_line(at) {
            return false;
        }
        let instrs = self.instrs(at);
        instrs.last().is_some_and(|last| last.op.is_scope_exit())
            || instrs.iter().any(|instr| instr.op.has_eval_break())
    }

    fn duplicate_exits_without_line(&mut self) {
        self.for_each(|graph, at| {
            if !graph[at].kinds.jumps() {
                return;
            }
            let Some(&jump) = graph.last(at) else {
                return;
            };
            if !jump.op.is_jump() {
                return;
            }
            let target = graph.next_nonempty(jump.arg);
            if target == NONE || graph[target].predecessors <= 1 || !graph.wants_line(target) {
                return;
            }
            graph.flow_changed = true;
            let copy = graph.copy_block(target);
            if let Some(first) = graph.instrs_mut(copy).first_mut() {
                first.loc = jump.loc;
            }
            let following = graph[target].next;
            let block = &mut graph[copy];
            block.predecessors = 1;
            block.next = following;
            block.labelled = true;
            graph[target].next = copy;
            graph[target].predecessors -= 1;
            if let Some(last) = graph.last_mut(at) {
                last.arg = copy;
            }
        });
    }

    fn hand_lines_to_exits(&mut self) {
        self.for_each(|graph, at| {
            let next = graph[at].next;
            if next == NONE || !graph.wants_line(next) {
                return;
            }
            let Some(&last) = graph.last(at) else {
                return;
            };
            if last.op.no_fallthrough() {
                return;
            }
            if let Some(first) = graph.instrs_mut(next).first_mut() {
                first.loc = last.loc;
            }
        });
    }

    fn propagate_line_numbers(&mut self) {
        self.for_each(|graph, at| {
            if graph[at].kinds.lineless() {
                let instrs = graph.instrs_mut(at);
                if let Some(first) = instrs.iter().position(has_no_line) {
                    hand_down_line(instrs, first);
                }
                if instrs.iter().all(|instr| instr.loc.line >= 0) {
                    graph[at].kinds.remove(Kinds::LINELESS);
                }
            }
            let Block { next, kinds, .. } = graph[at];
            let hands_down = next != NONE && graph.may_inherit_line(next);
            if !hands_down && !kinds.jumps() {
                return;
            }
            let Some(last) = graph.last(at) else {
                return;
            };
            let (op, loc, target) = (last.op, last.loc, last.arg);
            if hands_down && !op.no_fallthrough() {
                graph.inherit_line(next, loc);
            }
            if op.is_jump() {
                graph.inherit_line(target, loc);
            }
        });
    }

    fn may_inherit_line(&self, at: BlockIndex) -> bool {
        let block = &self[at];
        block.predecessors == 1 && block.kinds.lineless()
    }

    fn inherit_line(&mut self, at: BlockIndex, loc: Loc) {
        if self.may_inherit_line(at)
            && let Some(first) = self.instrs_mut(at).first_mut()
            && has_no_line(first)
        {
            first.loc = loc;
        }
    }
}
