//! The depth of the stack, at the beginning of each block and at its largest.

use super::block::{BlockIndex, ENTRY, Graph, falls_through, first_with_target};
use crate::compiler::native::error::{Pass, Stop};
use crate::compiler::native::instruction::{Instr, NONE};
use crate::compiler::native::opcode::Op;

impl Graph {
    /// Computes `start_depth` of each block and returns the largest depth.
    pub(super) fn stack_depth(&mut self) -> Pass<u32> {
        for block in &mut self.blocks {
            block.start_depth = i64::MIN;
        }
        self.stack.clear();
        self.set_depth(ENTRY, 0)?;
        let mut largest = 0;
        let all = std::mem::take(&mut self.instrs);
        while let Some(at) = self.stack.pop() {
            let block = &self[at];
            let (next, kinds, mut depth) = (block.next, block.kinds, block.start_depth);
            let instrs = all.get(block.range()).unwrap_or(&[]);
            let first = first_with_target(instrs, kinds);
            let (plain, others) = instrs.split_at_checked(first).unwrap_or((instrs, &[]));
            depth = run(plain, depth, &mut largest).ok_or_else(broken)?;
            for instr in others {
                // `END_ASYNC_FOR` only names its `SEND` (3.14).
                if instr.op.has_target() && instr.op != Op::EndAsyncForOf {
                    let effect = instr.op.stack_effect(instr.arg, true);
                    let there = depth + effect.ok_or_else(broken)?;
                    largest = largest.max(there);
                    self.set_depth(instr.arg, there)?;
                }
                depth = step(instr, depth).ok_or_else(broken)?;
                largest = largest.max(depth);
            }
            if next != NONE && falls_through(instrs) {
                self.set_depth(next, depth)?;
            }
        }
        self.instrs = all;
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

fn broken() -> Stop {
    Stop::unsure("internal: stack underflow, or an instruction without stack effect")
}

/// The depth behind an instruction.
#[inline(always)]
fn step(instr: &Instr, depth: i64) -> Option<i64> {
    let after = depth + instr.op.effect(instr.arg)?;
    (after >= 0).then_some(after)
}

/// The depth behind instructions in a row.
#[inline(always)]
fn run(instrs: &[Instr], mut depth: i64, largest: &mut i64) -> Option<i64> {
    for instr in instrs {
        depth = step(instr, depth)?;
        *largest = depth.max(*largest);
    }
    Some(depth)
}
