//! Which handler is active where: the block pushes become handlers of instructions.
//!
//! The stack of handlers is followed along every edge from the entry. Each block keeps the stack
//! with which it was first reached.

use super::block::{ENTRY, Graph};
use crate::compiler::native::instruction::NONE;
use crate::compiler::native::opcode::Op;

/// `RESUME`'s bit for "no handler but the generator's own is active".
const RESUME_DEPTH1: u32 = 4;

impl Graph {
    /// Marks the targets of block pushes.
    pub(super) fn mark_except_handlers(&mut self) {
        if !self.kinds.handlers() {
            return;
        }
        self.for_each(|graph, at| {
            let instrs = graph.take_instrs(at);
            for instr in instrs.iter().filter(|instr| instr.op.is_block_push()) {
                graph[instr.target].is_handler = true;
            }
            graph[at].instrs = instrs;
        });
    }

    /// Gives each instruction its handler; `POP_BLOCK` becomes `NOP`.
    pub(super) fn label_exception_targets(&mut self) {
        if !self.kinds.handlers() {
            return;
        }
        self.start_traversal();
        self.handler_stacks.clear();
        self.handler_stacks.push((NONE, 0, 0));
        self[ENTRY].handler_stack = 0;
        self.visit_once(ENTRY);
        while let Some(at) = self.stack.pop() {
            let mut stack = self[at].handler_stack;
            let mut yield_depth = None;
            let (mut handler, mut below, mut depth) = self.handler_stack(stack);
            let mut instrs = self.take_instrs(at);
            for instr in &mut instrs {
                if instr.op.is_block_push() {
                    self.reach(instr.target, stack);
                    if matches!(instr.op, Op::SetupWith | Op::SetupCleanup) {
                        self[instr.target].preserve_lasti = true;
                    }
                    let node = self.handler_stacks.len() as u32;
                    self.handler_stacks.push((instr.target, stack, depth + 1));
                    stack = node;
                    (handler, below, depth) = self.handler_stack(stack);
                    continue;
                }
                if instr.op == Op::PopBlock {
                    instr.clear();
                    stack = below;
                    (handler, below, depth) = self.handler_stack(stack);
                    continue;
                }
                instr.except = handler;
                if instr.op == Op::YieldValue {
                    yield_depth = Some(depth);
                } else if instr.op == Op::Resume && instr.arg != 0 {
                    if yield_depth == Some(1) {
                        instr.arg |= RESUME_DEPTH1;
                    }
                    yield_depth = None;
                } else if instr.op.is_jump() {
                    self.reach(instr.target, stack);
                }
            }
            self[at].instrs = instrs;
            let next = self[at].next;
            if next != NONE && self[at].falls_through() {
                self.reach(next, stack);
            }
        }
    }

    fn handler_stack(&self, node: u32) -> (u32, u32, u32) {
        self.handler_stacks
            .get(node as usize)
            .copied()
            .unwrap_or((NONE, 0, 0))
    }

    fn reach(&mut self, at: u32, stack: u32) {
        if !self[at].visited {
            self[at].handler_stack = stack;
            self.visit_once(at);
        }
    }
}
