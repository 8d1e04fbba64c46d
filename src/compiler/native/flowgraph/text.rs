//! The way from an instruction sequence into the graph, and back for what looks at its result.

use std::fmt;

use super::block::{Block, BlockIndex, Graph};
use crate::compiler::native::error::Loc;
use crate::compiler::native::instruction::{Handler, Instr, NONE, Sequence};
use crate::compiler::native::opcode::{Kinds, Op};

/// As the handler of an instruction: a block begins here.
const BEGINS_BLOCK: u32 = 0;

impl Graph {
    /// Cuts a sequence into blocks, taking its instructions. `None` when a label is missing, or when there
    /// are too many instructions.
    pub(super) fn build(&mut self, sequence: &mut Sequence) -> Option<()> {
        self.blocks.clear();
        self.instrs.clear();
        std::mem::swap(&mut self.instrs, &mut sequence.instrs);
        let labels = sequence.labels();
        let instrs = self.instrs.as_mut_slice();
        if instrs.len() >= Handler::LIMIT as usize / 2 {
            return None;
        }
        let with_target = &mut self.stack;
        with_target.clear();
        for (at, instr) in instrs.iter().enumerate() {
            if instr.op.has_target() {
                with_target.push(at as u32);
            }
        }
        let place_of = |label: u32| labels.get(label as usize).map(|&place| place as usize);
        for &at in with_target.iter() {
            let place = place_of(instrs.get(at as usize)?.arg)?;
            instrs.get_mut(place)?.except = Handler::at(BEGINS_BLOCK);
        }
        self.kinds = cut(instrs, &mut self.blocks);
        for &at in with_target.iter() {
            let place = place_of(instrs.get(at as usize)?.arg)?;
            let target = instrs.get(place)?.except.block()?;
            instrs.get_mut(at as usize)?.arg = target;
        }
        for block in &self.blocks {
            if block.labelled {
                instrs.get_mut(block.start as usize)?.except = Handler::NONE;
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
                sequence.push(instr.op, arg, instr.loc);
            }
            if self[at].not_taken {
                let loc = self.last(at).map_or(Loc::NONE, |jump| jump.loc);
                sequence.push(Op::NotTaken, 0, loc);
            }
        }
        sequence
    }
}

/// Makes the blocks of instructions of which those that begin one are marked, and puts the number of the
/// block into the mark. Returns what kinds of instruction there are.
fn cut(instrs: &mut [Instr], blocks: &mut Vec<Block>) -> Kinds {
    let mut block = Block::EMPTY;
    let mut all = Kinds::NONE;
    let mut ended = false;
    let mut finish = |mut block: Block, end: usize, is_last: bool| {
        block.length = end as u32 - block.start;
        block.room = block.length;
        all.add(block.kinds);
        if !is_last {
            block.next = blocks.len() as BlockIndex + 1;
        }
        blocks.push(block);
        blocks.len() as BlockIndex
    };
    let mut number = 0;
    let end = instrs.len();
    for (at, instr) in instrs.iter_mut().enumerate() {
        let is_target = instr.except != Handler::NONE;
        if (ended || is_target) && at > block.start as usize {
            number = finish(block, at, false);
            block = Block {
                start: at as u32,
                ..Block::EMPTY
            };
        }
        if is_target {
            block.labelled = true;
            instr.except = Handler::at(number);
        }
        block.kinds.add(Kinds::of(instr.op, instr.loc.line));
        ended = instr.op.is_terminator();
    }
    finish(block, end, true);
    all
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
