//! The depth of the stack, at the beginning of each block and at its largest.

use super::block::{BlockIndex, CfgInstr, ENTRY, Graph, first_with_target};
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
            let first = first_with_target(&instrs, self.kinds);
            let (plain, others) = instrs.split_at_checked(first).unwrap_or((&instrs, &[]));
            depth = run(plain, depth, &mut largest).ok_or_else(broken)?;
            for instr in others {
                // `END_ASYNC_FOR` only names its `SEND` (3.14).
                if instr.op.has_target() && instr.op != Op::EndAsyncForOf {
                    let effect = instr.op.stack_effect(instr.arg, true);
                    let there = depth + effect.ok_or_else(broken)?;
                    largest = largest.max(there);
                    self.set_depth(instr.target, there)?;
                }
                depth = step(instr, depth).ok_or_else(broken)?;
                largest = largest.max(depth);
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

fn broken() -> Stop {
    Stop::unsure("internal: stack underflow, or an instruction without stack effect")
}

/// The depth behind an instruction.
#[inline(always)]
fn step(instr: &CfgInstr, depth: i64) -> Option<i64> {
    let after = depth + instr.op.effect(instr.arg)?;
    (after >= 0).then_some(after)
}

/// The depth behind instructions in a row.
#[inline(always)]
fn run(instrs: &[CfgInstr], mut depth: i64, largest: &mut i64) -> Option<i64> {
    for instr in instrs {
        depth = step(instr, depth)?;
        *largest = depth.max(*largest);
    }
    Some(depth)
}
