//! Line numbers of instructions that have none (PEP 626).
//!
//! An exit without a line takes the line of the way into it, so each such exit is copied until it
//! has one way in.

use super::block::{Block, CfgInstr, Graph};
use crate::compiler::native::error::Loc;
use crate::compiler::native::instruction::NONE;

fn wants_line(block: &Block) -> bool {
    block.has_no_line() && (block.exits_scope() || block.has_eval_break())
}

fn has_no_line(instr: &CfgInstr) -> bool {
    instr.loc.line == Loc::NONE.line
}

/// Gives instructions without a line that of the one before, beginning with the first of them.
fn hand_down_line(instrs: &mut [CfgInstr], first: usize) {
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
        self.duplicate_exits_without_line();
        self.propagate_line_numbers();
    }

    fn duplicate_exits_without_line(&mut self) {
        self.for_each(|graph, at| {
            let Some(&jump) = graph[at].last() else {
                return;
            };
            if !jump.op.is_jump() {
                return;
            }
            let target = graph.next_nonempty(jump.target);
            if target == NONE || !wants_line(&graph[target]) || graph[target].predecessors <= 1 {
                return;
            }
            graph.flow_changed = true;
            let copy = graph.new_block();
            let mut instrs = graph[target].instrs.clone();
            if let Some(first) = instrs.first_mut() {
                first.loc = jump.loc;
            }
            let following = graph[target].next;
            let block = &mut graph[copy];
            block.instrs = instrs;
            block.predecessors = 1;
            block.next = following;
            block.labelled = true;
            graph[target].next = copy;
            graph[target].predecessors -= 1;
            if let Some(last) = graph[at].instrs.last_mut() {
                last.target = copy;
            }
        });
        self.for_each(|graph, at| {
            let next = graph[at].next;
            if next == NONE || !graph[at].falls_through() || !wants_line(&graph[next]) {
                return;
            }
            let Some(&last) = graph[at].last() else {
                return;
            };
            if let Some(first) = graph[next].instrs.first_mut() {
                first.loc = last.loc;
            }
        });
    }

    fn propagate_line_numbers(&mut self) {
        self.for_each(|graph, at| {
            let instrs = graph[at].instrs.as_mut_slice();
            if let Some(first) = instrs.iter().position(has_no_line) {
                hand_down_line(instrs, first);
            }
            let Some(last) = instrs.last() else {
                return;
            };
            let (loc, is_jump, target) = (last.loc, last.op.is_jump(), last.target);
            let next = graph[at].next;
            if next != NONE && graph[at].falls_through() {
                graph.inherit_line(next, loc);
            }
            if is_jump {
                graph.inherit_line(target, loc);
            }
        });
    }

    fn inherit_line(&mut self, at: u32, loc: Loc) {
        if self[at].predecessors == 1
            && let Some(first) = self[at].instrs.first_mut()
            && has_no_line(first)
        {
            first.loc = loc;
        }
    }
}
