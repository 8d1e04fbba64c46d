//! The depth of the stack, at the beginning of each block and at its largest.

use super::block::{BlockIndex, ENTRY, Graph};
use crate::compiler::native::error::{Pass, Stop};
use crate::compiler::native::instruction::NONE;
use crate::compiler::native::opcode::Op;

impl Graph {
    /// Computes `start_depth` of each block and returns the largest depth.
    pub(super) fn stack_depth(&mut self) -> Pass<u32> {
        self.for_each(|graph, at| graph[at].start_depth = i64::MIN);
        self.stack.clear();
        self.set_depth(ENTRY, 0)?;
        let mut largest = 0;
        while let Some(at) = self.stack.pop() {
            let mut depth = self[at].start_depth;
            let instrs = self.take_instrs(at);
            for instr in &instrs {
                let unknown = || Stop::unsure("internal: an instruction without stack effect");
                let effect = instr.op.effect(instr.arg);
                let after = depth + effect.ok_or_else(unknown)?;
                if after < 0 {
                    return Err(Stop::unsure("internal: stack underflow"));
                }
                largest = largest.max(after);
                // `END_ASYNC_FOR` only names its `SEND` (3.14).
                if instr.op.has_target() && instr.op != Op::EndAsyncForOf {
                    let effect = instr.op.stack_effect(instr.arg, true);
                    let there = depth + effect.ok_or_else(unknown)?;
                    largest = largest.max(there);
                    self.set_depth(instr.target, there)?;
                }
                depth = after;
            }
            self[at].instrs = instrs;
            let next = self[at].next;
            if self[at].falls_through() && next != NONE {
                self.set_depth(next, depth)?;
            }
        }
        u32::try_from(largest).map_err(|_| Stop::unsure("internal: the stack is too deep"))
    }

    fn set_depth(&mut self, at: BlockIndex, depth: i64) -> Pass<()> {
        let known = self[at].start_depth;
        if known >= 0 && known != depth {
            return Err(Stop::unsure("internal: inconsistent stack depth"));
        }
        if known < depth {
            self[at].start_depth = depth;
            self.stack.push(at);
        }
        Ok(())
    }
}
