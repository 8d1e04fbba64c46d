//! What every pass must leave: checked after each of them in debug builds.
//!
//! - Only the last instruction leaves its block.
//! - Blocks know what kinds of instruction they have, and share no instruction with another block.
//! - Targets and handlers are blocks of the text, and handlers are marked as such where they are
//!   reached.
//! - What is reached does not fall off the end of the text.
//! - Each way into a block brings the same depth of the stack, which never falls below zero.

use super::block::{BlockIndex, Graph};
use crate::compiler::native::error::{Pass, Stop};
use crate::compiler::native::instruction::NONE;
use crate::compiler::native::opcode::{Kinds, Op};

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
        let mut ranges: Vec<_> = self.order().map(|at| self[at].range()).collect();
        ranges.sort_by_key(|range| range.start);
        let mut end = 0;
        for range in ranges.into_iter().filter(|range| !range.is_empty()) {
            if range.start < end {
                return Err("two blocks share instructions".to_owned());
            }
            end = range.end;
        }
        if end > self.instrs.len() {
            return Err("a block is cut off".to_owned());
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
        let instrs = graph.instrs(at);
        for (index, instr) in instrs.iter().enumerate() {
            if instr.op.is_terminator() && index + 1 != instrs.len() {
                return Err(format!("block{at} is left in the middle"));
            }
            let kinds = Kinds::of(instr.op, instr.loc.line);
            if !graph[at].kinds.has_all(kinds) {
                let name = instr.op.name();
                return Err(format!("block{at} does not know of its {name}"));
            }
            let handler = instr.except.block();
            if handler.is_some() && !graph[at].kinds.handled() {
                return Err(format!("block{at} does not know of its handlers"));
            }
            if handler.is_some_and(|handler| !self.is_in_text(handler)) {
                return Err(format!("a handler of block{at} is not in the text"));
            }
            let effect = |jumps| {
                let effect = instr.op.stack_effect(instr.arg, jumps);
                effect.ok_or_else(|| format!("{} has no stack effect", instr.op.name()))
            };
            if instr.op.has_target() && instr.op != Op::EndAsyncForOf {
                self.reach(instr.arg, depth + effect(true)?)?;
                if instr.op.is_block_push() && !graph[instr.arg].is_handler {
                    return Err(format!("block{} is no handler", instr.arg));
                }
            }
            depth += effect(false)?;
            if depth < 0 {
                return Err(format!("block{at} takes more than is on the stack"));
            }
        }
        if !graph.falls_through(at) {
            return Ok(());
        }
        if graph[at].next == NONE {
            return Err(format!("the text ends behind block{at}"));
        }
        self.reach(graph[at].next, depth)
    }
}
