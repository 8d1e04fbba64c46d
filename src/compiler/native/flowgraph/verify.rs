//! What every pass must leave: checked after each of them in debug builds.
//!
//! - Only the last instruction leaves its block; from 3.14 on `NOT_TAKEN` may follow it in the end.
//! - Targets and handlers are blocks of the text, and handlers are marked as such where they are
//!   reached.
//! - What is reached does not fall off the end of the text.
//! - Each way into a block brings the same depth of the stack, which never falls below zero.

use super::block::{BlockIndex, Graph};
use crate::compiler::native::error::{Pass, Stop};
use crate::compiler::native::instruction::NONE;
use crate::compiler::native::opcode::Op;

/// A depth that is not known yet.
const UNKNOWN: i64 = i64::MIN;

/// A check under way.
struct Check<'a> {
    graph: &'a Graph,
    in_text: Vec<bool>,
    depths: Vec<i64>,
    todo: Vec<BlockIndex>,
}

impl Graph {
    /// Fails where the graph is not well formed after `pass`; does nothing in release builds.
    pub(super) fn check(&self, pass: &str) -> Pass<()> {
        if !cfg!(debug_assertions) {
            return Ok(());
        }
        self.verify()
            .map_err(|what| Stop::unsure(format!("internal: after {pass}: {what}\n{self}")))
    }

    /// Says what is wrong with the graph.
    pub(super) fn verify(&self) -> Result<(), String> {
        let blocks = self.order().max().map_or(0, |last| last as usize + 1);
        let mut check = Check {
            graph: self,
            in_text: vec![false; blocks],
            depths: vec![UNKNOWN; blocks],
            todo: Vec::new(),
        };
        for at in self.order() {
            if let Some(seen) = check.in_text.get_mut(at as usize) {
                if *seen {
                    return Err(format!("block{at} is in the text twice"));
                }
                *seen = true;
            }
        }
        check.reach(super::block::ENTRY, 0)?;
        while let Some(at) = check.todo.pop() {
            check.block(at)?;
        }
        Ok(())
    }
}

impl Check<'_> {
    /// A way leads into a block with this depth.
    fn reach(&mut self, at: BlockIndex, depth: i64) -> Result<(), String> {
        if !self.is_in_text(at) {
            return Err(format!("block{at} is reached but not in the text"));
        }
        let Some(known) = self.depths.get_mut(at as usize) else {
            return Ok(());
        };
        if *known == UNKNOWN {
            *known = depth;
            self.todo.push(at);
        } else if *known != depth {
            return Err(format!(
                "block{at} is reached with depths {known} and {depth}"
            ));
        }
        Ok(())
    }

    fn is_in_text(&self, at: BlockIndex) -> bool {
        self.in_text.get(at as usize).copied().unwrap_or(false)
    }

    fn block(&mut self, at: BlockIndex) -> Result<(), String> {
        let graph = self.graph;
        let mut depth = self.depths.get(at as usize).copied().unwrap_or(0);
        let instrs = &graph[at].instrs;
        for (index, instr) in instrs.iter().enumerate() {
            let is_last = instrs
                .get(index + 1..)
                .unwrap_or(&[])
                .iter()
                .all(|later| later.op == Op::NotTaken);
            if instr.op.is_terminator() && !is_last {
                return Err(format!("block{at} is left in the middle"));
            }
            if instr.except != NONE && !self.is_in_text(instr.except) {
                return Err(format!("a handler of block{at} is not in the text"));
            }
            let effect = |jumps| {
                let effect = instr.op.stack_effect(instr.arg, jumps);
                effect.ok_or_else(|| format!("{} has no stack effect", instr.op.name()))
            };
            if instr.op.has_target() && instr.op != Op::EndAsyncForOf {
                self.reach(instr.target, depth + effect(true)?)?;
                if instr.op.is_block_push() && !graph[instr.target].is_handler {
                    return Err(format!("block{} is no handler", instr.target));
                }
            }
            depth += effect(false)?;
            if depth < 0 {
                return Err(format!("block{at} takes more than is on the stack"));
            }
        }
        if !graph[at].falls_through() {
            return Ok(());
        }
        if graph[at].next == NONE {
            return Err(format!("the text ends behind block{at}"));
        }
        self.reach(graph[at].next, depth)
    }
}
