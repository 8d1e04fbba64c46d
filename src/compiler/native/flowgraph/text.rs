//! The way from an instruction sequence into the graph, and back for what looks at its result.

use std::fmt;

use super::block::{Block, BlockIndex, Graph, first_with_target};
use crate::compiler::native::instruction::{Handler, Instr, NONE, Sequence};
use crate::compiler::native::opcode::Kinds;

/// A sequence that is being cut into blocks.
struct Cut<'a> {
    instrs: &'a [Instr],
    blocks: &'a mut Vec<Block>,
    /// All kinds of instruction in the blocks that are done.
    kinds: Kinds,
    /// The block that is not done yet.
    block: Block,
    /// How many instructions were looked at.
    seen: usize,
}

impl Cut<'_> {
    /// Looks at the instructions before `end`. `None` if there are not so many, or if some of them were
    /// looked at.
    #[inline]
    fn up_to(&mut self, end: usize) -> Option<()> {
        let mut kinds = self.block.kinds;
        for (at, instr) in self.instrs.get(self.seen..end)?.iter().enumerate() {
            kinds.add(Kinds::of(instr.op, instr.loc.line));
            if instr.op.is_terminator() {
                self.block.kinds = kinds;
                self.finish(self.seen + at + 1);
                kinds = Kinds::NONE;
            }
        }
        self.block.kinds = kinds;
        self.seen = end;
        Some(())
    }

    /// Begins a block here, unless one does. Returns its number.
    fn begin(&mut self) -> BlockIndex {
        if self.seen > self.block.start as usize {
            self.finish(self.seen);
        }
        self.block.labelled = true;
        self.blocks.len() as BlockIndex
    }

    fn finish(&mut self, end: usize) {
        let empty = Block {
            start: end as u32,
            ..Block::EMPTY
        };
        let mut block = std::mem::replace(&mut self.block, empty);
        block.length = end as u32 - block.start;
        block.room = block.length;
        self.kinds.add(block.kinds);
        block.next = self.blocks.len() as BlockIndex + 1;
        self.blocks.push(block);
    }
}

impl Graph {
    /// Cuts a sequence into blocks, taking its instructions. `None` when a label is missing, or when there
    /// are too many instructions.
    pub(super) fn build(&mut self, sequence: &mut Sequence) -> Option<()> {
        self.blocks.clear();
        self.instrs.clear();
        let (instrs, labels, placed) = sequence.parts();
        std::mem::swap(&mut self.instrs, instrs);
        let end = self.instrs.len();
        if end >= Handler::LIMIT as usize / 2 {
            return None;
        }
        let mut cut = Cut {
            instrs: &self.instrs,
            blocks: &mut self.blocks,
            kinds: Kinds::NONE,
            block: Block::EMPTY,
            seen: 0,
        };
        for label in placed {
            let place = labels.get_mut(label.0 as usize)?;
            if place.is_used {
                cut.up_to(Some(place.at as usize).filter(|&at| at < end)?)?;
                place.at = cut.begin();
            }
        }
        cut.up_to(end)?;
        if end > cut.block.start as usize || end == 0 {
            cut.finish(end);
        }
        self.kinds = cut.kinds;
        if let Some(last) = self.blocks.last_mut() {
            last.next = NONE;
        }
        for block in &self.blocks {
            if !block.kinds.jumps() && !block.kinds.block_pushes() {
                continue;
            }
            let instrs = self.instrs.get_mut(block.range())?;
            let first = first_with_target(instrs, block.kinds);
            for instr in instrs.get_mut(first..)? {
                if instr.op.has_target() {
                    let place = labels.get(instr.arg as usize)?;
                    instr.arg = Some(place.at).filter(|&at| place.is_used && at != NONE)?;
                }
            }
        }
        Some(())
    }

    /// The instructions along the text, with indices as targets.
    pub fn sequence(&self) -> Sequence {
        let mut starts = vec![NONE; self.blocks.len()];
        let mut count = 0;
        for at in self.order() {
            if let Some(start) = starts.get_mut(at as usize) {
                *start = count;
            }
            count += self[at].length + u32::from(self[at].not_taken);
        }
        let mut sequence = Sequence::default();
        for at in self.order() {
            for instr in self.instrs(at) {
                let target = starts.get(instr.arg as usize).copied();
                let arg = match target {
                    Some(target) if instr.op.has_target() => target,
                    _ => instr.arg,
                };
                sequence.instrs.push(Instr::new(instr.op, arg, instr.loc));
            }
            sequence.instrs.extend(self.not_taken(at));
        }
        sequence
    }
}

/// One block after the other, with its marks and instructions.
impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for at in self.order() {
            let block = &self[at];
            let mark = |on: bool, text: &'static str| if on { text } else { "" };
            writeln!(
                f,
                "block{at}:{}{}{}{}",
                mark(block.labelled, " label"),
                mark(block.is_handler, " handler"),
                mark(block.cold, " cold"),
                mark(block.warm, " warm"),
            )?;
            for instr in self.instrs(at) {
                write!(f, "    {instr}")?;
                if let Some(handler) = instr.except.block() {
                    write!(f, " except block{handler}")?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
