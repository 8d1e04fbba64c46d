//! Which handler is active where: the block pushes become handlers of instructions.
//!
//! The stack of handlers is followed along every edge from the entry. Each block keeps the stack
//! with which it was first reached.

use super::block::{ENTRY, Graph, falls_through};
use crate::compiler::native::instruction::{Handler, NONE};
use crate::compiler::native::opcode::{Kinds, Op};

/// `RESUME`'s bit for "no handler but the generator's own is active".
const RESUME_DEPTH1: u32 = 4;

impl Graph {
    /// Marks the targets of block pushes.
    pub(super) fn mark_except_handlers(&mut self) {
        if !self.kinds.handlers() {
            return;
        }
        self.for_each(|graph, at| {
            if !graph[at].kinds.block_pushes() {
                return;
            }
            for index in graph[at].range() {
                if let Some(&instr) = graph.instrs.get(index)
                    && instr.op.is_block_push()
                {
                    graph[instr.arg].is_handler = true;
                }
            }
        });
    }

    /// Gives each instruction its handler; `POP_BLOCK` becomes `NOP`.
    pub(super) fn label_exception_targets(&mut self) {
        if !self.kinds.handlers() {
            return;
        }
        self.start_traversal();
        self.handler_stacks.clear();
        self.handler_stacks.push((Handler::NONE, 0, 0));
        self[ENTRY].handler_stack = 0;
        self.visit_once(ENTRY);
        let mut all = std::mem::take(&mut self.instrs);
        while let Some(at) = self.stack.pop() {
            let mut stack = self[at].handler_stack;
            let mut yield_depth = None;
            let (mut handler, mut below, mut depth) = self.handler_stack(stack);
            let block = &self[at];
            let (next, kinds) = (block.next, block.kinds);
            let instrs = all.get_mut(block.range()).unwrap_or(&mut []);
            if handler == Handler::NONE && !kinds.handlers() {
                // No handler is active, and none becomes so.
                if kinds.jumps()
                    && let Some(last) = instrs.last()
                    && last.op.is_jump()
                {
                    self.reach(last.arg, stack);
                }
                if next != NONE && falls_through(instrs) {
                    self.reach(next, stack);
                }
                continue;
            }
            self[at].kinds.add(Kinds::HANDLED);
            for instr in instrs.iter_mut() {
                if instr.op.is_block_push() {
                    self.reach(instr.arg, stack);
                    if matches!(instr.op, Op::SetupWith | Op::SetupCleanup) {
                        self[instr.arg].preserve_lasti = true;
                    }
                    let node = self.handler_stacks.len() as u32;
                    let pushed = Handler::at(instr.arg);
                    self.handler_stacks.push((pushed, stack, depth + 1));
                    stack = node;
                    (handler, below, depth) = self.handler_stack(stack);
                    continue;
                }
                if instr.op == Op::PopBlock {
                    instr.clear();
                    self[at].kinds.add(Kinds::NOP);
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
                    self.reach(instr.arg, stack);
                }
            }
            if next != NONE && falls_through(instrs) {
                self.reach(next, stack);
            }
        }
        self.instrs = all;
    }

    fn handler_stack(&self, node: u32) -> (Handler, u32, u32) {
        self.handler_stacks
            .get(node as usize)
            .copied()
            .unwrap_or((Handler::NONE, 0, 0))
    }

    fn reach(&mut self, at: u32, stack: u32) {
        if !self[at].visited {
            self[at].handler_stack = stack;
            self.visit_once(at);
        }
    }
}
