//! Blocks, and the way from and to instruction sequences.

use std::fmt;

use crate::compiler::native::error::Loc;
use crate::compiler::native::instruction::{Handler, Instr, NONE, Sequence};
use crate::compiler::native::opcode::{Kinds, Op};

/// The index of a block; [`NONE`] for none.
pub type BlockIndex = u32;

/// An instruction in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CfgInstr {
    /// The opcode.
    pub op: Op,
    /// The argument, unless the instruction has a target.
    pub arg: u32,
    /// The place in the source.
    pub loc: Loc,
    /// The block that it jumps to or that handles what it guards.
    pub target: BlockIndex,
    /// The block that handles an exception raised here.
    pub except: BlockIndex,
}

impl CfgInstr {
    /// An instruction without target and handler.
    pub fn new(op: Op, arg: u32, loc: Loc) -> CfgInstr {
        CfgInstr {
            op,
            arg,
            loc,
            target: NONE,
            except: NONE,
        }
    }

    /// Turns it into a `NOP` that keeps place and handler.
    pub fn clear(&mut self) {
        self.op = Op::Nop;
        self.arg = 0;
    }
}

/// A basic block.
#[derive(Clone, Debug)]
pub struct Block {
    /// The instructions. Only the last one may leave the block.
    pub instrs: Vec<CfgInstr>,
    /// The handlers of instructions that were removed from the end, the nearest last. CPython leaves
    /// them in the slots behind the last instruction, and an instruction that is added there later
    /// gets them.
    left_behind: Vec<BlockIndex>,
    /// The block that follows in the text.
    pub next: BlockIndex,
    /// Whether it was made for a label.
    pub labelled: bool,
    /// How many ways lead into it.
    pub predecessors: i32,
    /// The stack's depth at its beginning.
    pub start_depth: i64,
    /// Bit i: local i may be unbound at its beginning.
    pub unsafe_locals: u64,
    /// Whether it is a handler that wants the raising instruction's offset.
    pub preserve_lasti: bool,
    /// Whether there may be `NOP`s.
    pub nops: bool,
    /// Marked by the current traversal.
    pub visited: bool,
    /// Whether an exception leads here.
    pub is_handler: bool,
    /// Only reached by exceptions.
    pub cold: bool,
    /// Reached without exceptions.
    pub warm: bool,
    /// The stack of handlers at its beginning, an index into [`Graph::handler_stacks`].
    pub handler_stack: u32,
}

impl Block {
    const EMPTY: Block = Block {
        instrs: Vec::new(),
        left_behind: Vec::new(),
        next: NONE,
        labelled: false,
        predecessors: 0,
        start_depth: i64::MIN,
        unsafe_locals: 0,
        preserve_lasti: false,
        nops: true,
        visited: false,
        is_handler: false,
        cold: false,
        warm: false,
        handler_stack: 0,
    };

    /// Adds an instruction made by a pass. Its handler is what was left behind in its slot.
    pub fn add(&mut self, instr: CfgInstr) {
        let except = self.left_behind.pop().unwrap_or(NONE);
        self.instrs.push(CfgInstr { except, ..instr });
    }

    /// Adds copies of instructions, with their handlers.
    pub fn append(&mut self, instrs: &[CfgInstr]) {
        self.use_slots(instrs.len());
        self.instrs.extend_from_slice(instrs);
    }

    /// Inserts instructions at an index, with their handlers.
    pub fn insert(&mut self, index: usize, instrs: &[CfgInstr]) {
        self.use_slots(instrs.len());
        let index = index.min(self.instrs.len());
        self.instrs.splice(index..index, instrs.iter().copied());
    }

    fn use_slots(&mut self, count: usize) {
        let left = self.left_behind.len().saturating_sub(count);
        self.left_behind.truncate(left);
    }

    /// Notes the handlers of the instructions behind the first `count`, before so many are left.
    /// What moves to the front then is still in the slots behind, too.
    pub fn leave_behind(&mut self, count: usize) {
        let slots = self.instrs.get(count..).unwrap_or(&[]);
        self.left_behind
            .extend(slots.iter().rev().map(|instr| instr.except));
    }

    /// The last instruction.
    pub fn last(&self) -> Option<&CfgInstr> {
        self.instrs.last()
    }

    /// Whether control goes on to the next block.
    pub fn falls_through(&self) -> bool {
        !self.last().is_some_and(|last| last.op.no_fallthrough())
    }

    /// Whether it ends with leaving the code object.
    pub fn exits_scope(&self) -> bool {
        self.last().is_some_and(|last| last.op.is_scope_exit())
    }

    /// Whether no instruction has a line.
    pub fn has_no_line(&self) -> bool {
        self.instrs.iter().all(|instr| instr.loc.line < 0)
    }

    /// Whether some instruction looks after signals.
    pub fn has_eval_break(&self) -> bool {
        self.instrs.iter().any(|instr| instr.op.has_eval_break())
    }
}

/// How many instructions of a large sequence are moved before their memory is given back.
const PART: usize = 1 << 16;

/// The index of the first instruction of a block that may have a target: only pushes of handlers
/// have one and are not last.
pub(super) fn first_with_target(instrs: &[CfgInstr], kinds: Kinds) -> usize {
    if kinds.handlers() {
        0
    } else {
        instrs.len().saturating_sub(1)
    }
}

/// The blocks of one code object. Block 0 is the entry.
#[derive(Debug, Default)]
pub struct Graph {
    blocks: Vec<Block>,
    used: usize,
    /// Stacks of handlers as linked nodes: (handler, node below, depth). Node 0 is the empty stack.
    pub(super) handler_stacks: Vec<(BlockIndex, u32, u32)>,
    block_of_instr: Vec<BlockIndex>,
    /// What the sequence that it was built from consists of.
    pub(super) kinds: Kinds,
    /// Whether jumps were changed since the ways into each block were counted.
    pub(super) flow_changed: bool,
    /// Scratch for traversals.
    pub(super) stack: Vec<BlockIndex>,
}

/// The entry block.
pub const ENTRY: BlockIndex = 0;

#[allow(clippy::indexing_slicing)] // Block indices are made by `new_block` of this graph only.
impl std::ops::Index<BlockIndex> for Graph {
    type Output = Block;
    fn index(&self, at: BlockIndex) -> &Block {
        &self.blocks[at as usize]
    }
}

#[allow(clippy::indexing_slicing)] // As above.
impl std::ops::IndexMut<BlockIndex> for Graph {
    fn index_mut(&mut self, at: BlockIndex) -> &mut Block {
        &mut self.blocks[at as usize]
    }
}

impl Graph {
    /// A graph without blocks.
    pub fn new() -> Graph {
        Graph::default()
    }

    /// Adds a block that nothing leads to yet.
    pub fn new_block(&mut self) -> BlockIndex {
        let at = self.used;
        self.used += 1;
        match self.blocks.get_mut(at) {
            Some(block) => {
                let mut instrs = std::mem::take(&mut block.instrs);
                instrs.clear();
                let mut left_behind = std::mem::take(&mut block.left_behind);
                left_behind.clear();
                *block = Block {
                    instrs,
                    left_behind,
                    ..Block::EMPTY
                };
            }
            None => self.blocks.push(Block::EMPTY),
        }
        at as BlockIndex
    }

    /// The blocks in the order of the text, as they are linked now.
    pub fn order(&self) -> impl Iterator<Item = BlockIndex> + '_ {
        std::iter::successors(Some(ENTRY), |&at| {
            Some(self[at].next).filter(|&next| next != NONE)
        })
    }

    /// Calls `visit` for each block in the order of the text; links may change meanwhile.
    pub(super) fn for_each(&mut self, mut visit: impl FnMut(&mut Graph, BlockIndex)) {
        let mut at = ENTRY;
        while at != NONE {
            visit(self, at);
            at = self[at].next;
        }
    }

    /// The first block from `at` on that has instructions.
    pub(super) fn next_nonempty(&self, mut at: BlockIndex) -> BlockIndex {
        while at != NONE && self[at].instrs.is_empty() {
            at = self[at].next;
        }
        at
    }

    /// Clears the marks and the traversal stack.
    pub(super) fn start_traversal(&mut self) {
        self.for_each(|graph, at| graph[at].visited = false);
        self.stack.clear();
    }

    /// Marks a block and puts it on the traversal stack, unless it was marked.
    pub(super) fn visit_once(&mut self, at: BlockIndex) {
        if at != NONE && !self[at].visited {
            self[at].visited = true;
            self.stack.push(at);
        }
    }

    /// Cuts a sequence into blocks. `None` when a label is missing.
    pub(super) fn build(&mut self, sequence: &mut Sequence) -> Option<()> {
        self.used = 0;
        // One form of so many instructions is enough.
        let is_large = sequence.is_large();
        let mut lengths = Vec::new();
        let mut kinds = Kinds::default();
        let instrs = sequence.instrs.as_slice();
        let mut block_of_instr = std::mem::take(&mut self.block_of_instr);
        block_of_instr.clear();
        block_of_instr.resize(instrs.len(), NONE);
        for instr in instrs {
            kinds.add(instr.op);
            if instr.op.has_target() {
                let target = sequence.position(instr.arg)?;
                *block_of_instr.get_mut(target as usize)? = 0;
            }
        }
        self.kinds = kinds;
        let mut current = self.new_block();
        let mut start = 0;
        let mut ended = false;
        for (at, (instr, block)) in instrs.iter().zip(&mut block_of_instr).enumerate() {
            let is_target = *block != NONE;
            if ended || (is_target && (at > start || self[current].labelled)) {
                if is_large {
                    lengths.push(at - start);
                } else {
                    self.fill(current, instrs.get(start..at)?);
                }
                start = at;
                let block = self.new_block();
                self[current].next = block;
                current = block;
            }
            if is_target {
                self[current].labelled = true;
                *block = current;
            }
            ended = instr.op.is_terminator();
        }
        if is_large {
            lengths.push(instrs.len() - start);
            self.fill_from_end(sequence, &lengths)?;
        } else {
            self.fill(current, instrs.get(start..)?);
        }
        for block in self.blocks.get_mut(..self.used)? {
            let first = first_with_target(&block.instrs, kinds);
            for instr in block.instrs.iter_mut().skip(first) {
                if instr.op.has_target() {
                    let target = sequence.place_of(instr.arg)?;
                    instr.target = *block_of_instr.get(target as usize)?;
                }
            }
        }
        if !is_large {
            self.block_of_instr = block_of_instr;
        }
        Some(())
    }

    fn fill(&mut self, at: BlockIndex, instrs: &[Instr]) {
        let made = instrs
            .iter()
            .map(|instr| CfgInstr::new(instr.op, instr.arg, instr.loc));
        self[at].instrs.extend(made);
    }

    /// Moves the instructions of a sequence into the blocks, which have so many each. The last go
    /// first, so that the sequence can give memory back meanwhile.
    fn fill_from_end(&mut self, sequence: &mut Sequence, lengths: &[usize]) -> Option<()> {
        let instrs = &mut sequence.instrs;
        for (block, &length) in self.blocks.iter_mut().zip(lengths).rev() {
            block.instrs.reserve_exact(length);
            let mut left = length;
            while left > 0 {
                let part = left.min(PART);
                let kept = instrs.len().checked_sub(part)?;
                let moved = instrs.drain(kept..).rev();
                let moved = moved.map(|instr| CfgInstr::new(instr.op, instr.arg, instr.loc));
                block.instrs.extend(moved);
                if instrs.capacity() - kept >= PART {
                    instrs.shrink_to_fit();
                }
                left -= part;
            }
            block.instrs.reverse();
        }
        Some(())
    }

    /// Takes a block's instructions out, for a visit that changes the graph; to be put back.
    pub(super) fn take_instrs(&mut self, at: BlockIndex) -> Vec<CfgInstr> {
        std::mem::take(&mut self[at].instrs)
    }

    /// Puts the blocks in a row, which replaces what is in `sequence`.
    pub(super) fn write_sequence(&mut self, sequence: &mut Sequence) -> Option<()> {
        let mut start_of = std::mem::take(&mut self.block_of_instr);
        start_of.clear();
        start_of.resize(self.used, NONE);
        let mut count = 0u32;
        for at in self.order() {
            *start_of.get_mut(at as usize)? = count;
            count += self[at].instrs.len() as u32;
        }
        sequence.clear();
        if count as usize >= PART {
            return self.write_from_end(sequence, &start_of, count as usize);
        }
        sequence.instrs.reserve_exact(count as usize);
        let handled = self.kinds.handlers();
        if handled {
            sequence.handlers.reserve_exact(count as usize);
        }
        let (mut except, mut handler) = (NONE, Handler::NONE);
        let kinds = self.kinds;
        let mut at = ENTRY;
        while at != NONE {
            let block = &self[at];
            let start = sequence.instrs.len();
            sequence
                .instrs
                .extend(block.instrs.iter().map(|instr| Instr {
                    op: instr.op,
                    arg: instr.arg,
                    loc: instr.loc,
                }));
            // `NOT_TAKEN` may be behind a jump.
            let first = first_with_target(&block.instrs, kinds).saturating_sub(1);
            let written = sequence.instrs.get_mut(start + first..)?;
            for (instr, written) in block.instrs.get(first..)?.iter().zip(written) {
                if instr.op.has_target() {
                    written.arg = *start_of.get(instr.target as usize)?;
                }
            }
            if handled {
                for run in block.instrs.chunk_by(|one, next| one.except == next.except) {
                    let here = run.first().map_or(NONE, |instr| instr.except);
                    if here != except {
                        except = here;
                        handler = self.handler(except, &start_of)?;
                    }
                    let length = sequence.handlers.len() + run.len();
                    sequence.handlers.resize(length, handler);
                }
            }
            at = block.next;
        }
        self.block_of_instr = start_of;
        Some(())
    }

    /// As `write_sequence`, for so many instructions that blocks give their memory back meanwhile.
    fn write_from_end(
        &mut self,
        sequence: &mut Sequence,
        start_of: &[u32],
        count: usize,
    ) -> Option<()> {
        let handled = self.kinds.handlers();
        sequence.instrs.reserve_exact(count);
        if handled {
            sequence.handlers.reserve_exact(count);
        }
        let order: Vec<BlockIndex> = self.order().collect();
        for at in order.into_iter().rev() {
            let mut instrs = self.take_instrs(at);
            while let Some(instr) = instrs.pop() {
                let arg = if instr.op.has_target() {
                    *start_of.get(instr.target as usize)?
                } else {
                    instr.arg
                };
                sequence.push(instr.op, arg, instr.loc);
                if handled {
                    let handler = self.handler(instr.except, start_of)?;
                    sequence.handlers.push(handler);
                }
                if instrs.capacity() - instrs.len() >= PART {
                    instrs.shrink_to_fit();
                }
            }
        }
        sequence.instrs.reverse();
        sequence.handlers.reverse();
        Some(())
    }

    fn handler(&self, except: BlockIndex, start_of: &[u32]) -> Option<Handler> {
        if except == NONE {
            return Some(Handler::NONE);
        }
        let handler = &self[except];
        Some(Handler {
            label: *start_of.get(except as usize)?,
            start_depth: u32::try_from(handler.start_depth).ok()?,
            preserve_lasti: handler.preserve_lasti,
        })
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
            for instr in &block.instrs {
                let plain = Instr {
                    op: instr.op,
                    arg: if instr.op.has_target() {
                        instr.target
                    } else {
                        instr.arg
                    },
                    loc: instr.loc,
                };
                write!(f, "    {plain}")?;
                if instr.except != NONE {
                    write!(f, " except block{}", instr.except)?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}
