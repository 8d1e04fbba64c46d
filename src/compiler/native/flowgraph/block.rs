//! Blocks, and the vector that all their instructions are in.
//!
//! A block is a stretch of the graph's instructions. Stretches never overlap; one that has to grow moves
//! behind all others, or pushes those behind it on if it is long.
//!
//! Invariant: a block's `kinds` has the kinds of all its instructions, and perhaps more, so that a pass
//! may leave out blocks without the kinds that it looks for.

use std::ops::Range;

use crate::compiler::native::error::Loc;
use crate::compiler::native::instruction::{Handler, Instr, MANY, NONE};
use crate::compiler::native::opcode::{Kinds, Op};

/// The index of a block; [`NONE`] for none.
pub type BlockIndex = u32;

/// A basic block. Only the last instruction may leave it.
#[derive(Clone, Debug)]
pub struct Block {
    /// Where its instructions begin, and how many they are.
    pub(super) start: u32,
    pub(super) length: u32,
    /// How many there is room for. As in CPython, what was removed from the end stays in its slot, and an
    /// instruction that a pass adds there gets the handler that it finds.
    pub(super) room: u32,
    /// The block that follows in the text.
    pub next: BlockIndex,
    /// How many ways lead into it.
    pub predecessors: i32,
    /// The stack of handlers at its beginning, an index into [`Graph::handler_stacks`].
    pub(super) handler_stack: u32,
    /// What instructions it may have.
    pub(super) kinds: Kinds,
    /// Its first instruction, counted along the text. Known from assembly on.
    pub index: u32,
    /// Where it begins in the bytecode, in units. Known from assembly on.
    pub offset: u32,
    /// Whether it was made for a label.
    pub labelled: bool,
    /// Whether it is a handler that wants the raising instruction's offset.
    pub preserve_lasti: bool,
    /// Marked by the current traversal.
    pub(super) visited: bool,
    /// Whether an exception leads here.
    pub is_handler: bool,
    /// Only reached by exceptions.
    pub(super) cold: bool,
    /// Reached without exceptions.
    pub(super) warm: bool,
    /// Whether `NOT_TAKEN` follows the jump at its end (3.14). It has the place of the jump, and
    /// the handler that is left in its slot.
    pub not_taken: bool,
    /// The stack's depth at its beginning.
    pub start_depth: i64,
    /// Bit i: local i may be unbound at its beginning.
    pub(super) unsafe_locals: u64,
}

impl Block {
    pub(super) const EMPTY: Block = Block {
        start: 0,
        length: 0,
        room: 0,
        next: NONE,
        predecessors: 0,
        handler_stack: 0,
        kinds: Kinds::NONE,
        index: NONE,
        offset: NONE,
        labelled: false,
        preserve_lasti: false,
        visited: false,
        is_handler: false,
        cold: false,
        warm: false,
        not_taken: false,
        start_depth: i64::MIN,
        unsafe_locals: 0,
    };

    /// Where its instructions are.
    pub(super) fn range(&self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.length as usize
    }

    /// Whether instructions may have handlers.
    pub fn may_be_handled(&self) -> bool {
        self.kinds.handled()
    }

    /// How many instructions it has.
    pub fn length(&self) -> u32 {
        self.length
    }

    /// Whether it has no instructions.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

/// A longer block does not move when it grows: what is behind it does.
const LONG: u32 = 1 << 16;

/// A slot that nothing was in yet.
fn free_slot() -> Instr {
    Instr::new(Op::Nop, 0, Loc::NONE)
}

/// The kinds of instructions in a row; whether they have handlers is not told.
fn kinds_of(instrs: &[Instr]) -> Kinds {
    let mut kinds = Kinds::NONE;
    for instr in instrs {
        kinds.add(Kinds::of(instr.op, instr.loc.line));
    }
    kinds
}

/// Whether control goes on behind instructions in a row.
pub(super) fn falls_through(instrs: &[Instr]) -> bool {
    !instrs.last().is_some_and(|last| last.op.no_fallthrough())
}

/// The index of the first instruction of a block that may have a target: only pushes of handlers
/// have one and are not last.
pub(super) fn first_with_target(instrs: &[Instr], kinds: Kinds) -> usize {
    if kinds.block_pushes() {
        0
    } else {
        instrs.len().saturating_sub(1)
    }
}

/// The blocks of one code object. Block 0 is the entry.
#[derive(Debug, Default)]
pub struct Graph {
    /// The instructions of all blocks.
    pub(super) instrs: Vec<Instr>,
    pub(super) blocks: Vec<Block>,
    /// Stacks of handlers as linked nodes: (handler, node below, depth). Node 0 is the empty stack.
    pub(super) handler_stacks: Vec<(Handler, u32, u32)>,
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
    #[inline]
    fn index(&self, at: BlockIndex) -> &Block {
        &self.blocks[at as usize]
    }
}

#[allow(clippy::indexing_slicing)] // As above.
impl std::ops::IndexMut<BlockIndex> for Graph {
    #[inline]
    fn index_mut(&mut self, at: BlockIndex) -> &mut Block {
        &mut self.blocks[at as usize]
    }
}

impl Graph {
    /// A graph without blocks.
    pub fn new() -> Graph {
        Graph::default()
    }

    /// Whether it has so many instructions that their memory is not kept for another code object.
    pub fn is_large(&self) -> bool {
        self.instrs.len() > MANY
    }

    /// Whether instructions may have handlers.
    pub fn has_handlers(&self) -> bool {
        self.kinds.handlers()
    }

    /// How many jumps there are at most.
    pub fn jump_count(&self) -> usize {
        if self.kinds.jumps() {
            self.blocks.len()
        } else {
            0
        }
    }

    /// Adds a block that nothing leads to yet, with these instructions.
    pub(super) fn new_block(&mut self, instrs: &[Instr]) -> BlockIndex {
        let start = self.instrs.len() as u32;
        self.instrs.extend_from_slice(instrs);
        self.add_block(start, instrs.len() as u32, kinds_of(instrs))
    }

    /// Adds a block with the instructions of another one.
    pub(super) fn copy_block(&mut self, from: BlockIndex) -> BlockIndex {
        let start = self.instrs.len() as u32;
        let Block { length, kinds, .. } = self[from];
        let copied = self[from].range();
        if copied.end <= self.instrs.len() {
            self.instrs.extend_from_within(copied);
        }
        self.add_block(start, length, kinds)
    }

    /// Adds a block for instructions that are there.
    fn add_block(&mut self, start: u32, length: u32, kinds: Kinds) -> BlockIndex {
        self.blocks.push(Block {
            start,
            length,
            room: length,
            kinds,
            ..Block::EMPTY
        });
        self.blocks.len() as BlockIndex - 1
    }

    /// The blocks in the order of the text, as they are linked now.
    pub fn order(&self) -> impl Iterator<Item = BlockIndex> + '_ {
        std::iter::successors(Some(ENTRY), |&at| {
            Some(self[at].next).filter(|&next| next != NONE)
        })
    }

    /// Calls `visit` for each block in the order of the text; links may change meanwhile.
    #[inline]
    pub(super) fn for_each(&mut self, mut visit: impl FnMut(&mut Graph, BlockIndex)) {
        let mut at = ENTRY;
        while at != NONE {
            visit(self, at);
            at = self[at].next;
        }
    }

    /// The instructions of a block.
    #[inline]
    pub fn instrs(&self, at: BlockIndex) -> &[Instr] {
        self.instrs.get(self[at].range()).unwrap_or(&[])
    }

    /// The instructions of a block.
    #[inline]
    pub(super) fn instrs_mut(&mut self, at: BlockIndex) -> &mut [Instr] {
        let range = self[at].range();
        self.instrs.get_mut(range).unwrap_or(&mut [])
    }

    /// Where the last instruction of a block is.
    #[inline]
    fn last_index(&self, at: BlockIndex) -> Option<usize> {
        let block = &self[at];
        let last = block.length.checked_sub(1)?;
        Some((block.start + last) as usize)
    }

    /// The last instruction of a block.
    #[inline]
    pub fn last(&self, at: BlockIndex) -> Option<&Instr> {
        self.instrs.get(self.last_index(at)?)
    }

    /// The last instruction of a block.
    #[inline]
    pub fn last_mut(&mut self, at: BlockIndex) -> Option<&mut Instr> {
        let last = self.last_index(at)?;
        self.instrs.get_mut(last)
    }

    /// The `NOT_TAKEN` behind a block's jump, if there is one.
    pub fn not_taken(&self, at: BlockIndex) -> Option<Instr> {
        let jump = self.last(at).filter(|_| self[at].not_taken)?;
        Some(Instr::new(Op::NotTaken, 0, jump.loc))
    }

    /// Whether control goes on to the next block.
    #[inline]
    pub fn falls_through(&self, at: BlockIndex) -> bool {
        !self.last(at).is_some_and(|last| last.op.no_fallthrough())
    }

    /// Whether no instruction of a block has a line.
    pub(super) fn has_no_line(&self, at: BlockIndex) -> bool {
        self.instrs(at).iter().all(|instr| instr.loc.line < 0)
    }

    /// The handler in the slot behind the last instruction of a block.
    pub fn left_behind(&self, at: BlockIndex) -> Option<BlockIndex> {
        let block = &self[at];
        if block.length == block.room {
            return None;
        }
        let slot = self.instrs.get((block.start + block.length) as usize)?;
        slot.except.block()
    }

    /// Adds an instruction made by a pass. Its handler is what was left behind in its slot.
    pub(super) fn add(&mut self, at: BlockIndex, instr: Instr) {
        self.make_room(at, 1);
        let block = &mut self[at];
        let slot = (block.start + block.length) as usize;
        block.length += 1;
        block.kinds.add(Kinds::of(instr.op, instr.loc.line));
        if let Some(slot) = self.instrs.get_mut(slot) {
            let except = slot.except;
            *slot = Instr { except, ..instr };
        }
    }

    /// Adds copies of another block's instructions, with their handlers, and drops the instruction before
    /// them.
    pub(super) fn replace_last_by_copy(&mut self, at: BlockIndex, from: BlockIndex) {
        let count = self[from].length;
        self.make_room(at, count);
        let copied = self[from].range();
        let mut kinds = self[from].kinds;
        kinds.add(Kinds::NOP);
        let block = &mut self[at];
        let end = block.range().end;
        block.length += count;
        block.kinds.add(kinds);
        // There is room for so many.
        if end + copied.len() <= self.instrs.len() {
            self.instrs.copy_within(copied, end);
        }
        if let Some(last) = self.instrs.get_mut(..end).and_then(<[Instr]>::last_mut) {
            last.clear();
        }
    }

    /// Inserts instructions before the one at an index, with their handlers.
    pub(super) fn insert(&mut self, at: BlockIndex, index: usize, instrs: &[Instr]) {
        self.make_room(at, instrs.len() as u32);
        let block = &mut self[at];
        let end = block.range().end;
        let here = (block.start as usize + index).min(end);
        block.length += instrs.len() as u32;
        block.kinds.add(kinds_of(instrs));
        if let Some(moved) = self.instrs.get_mut(here..end + instrs.len()) {
            moved.copy_within(..end - here, instrs.len());
            for (slot, &instr) in moved.iter_mut().zip(instrs) {
                *slot = instr;
            }
        }
    }

    /// Sees to it that there are slots for `count` more instructions in a block.
    fn make_room(&mut self, at: BlockIndex, count: u32) {
        let &Block {
            start,
            length,
            room,
            ..
        } = &self[at];
        let Some(missing) = (length + count)
            .checked_sub(room)
            .filter(|&count| count > 0)
        else {
            return;
        };
        self[at].room += missing;
        let end = (start + room) as usize;
        let slots = std::iter::repeat_n(free_slot(), missing as usize);
        if end == self.instrs.len() {
            self.instrs.extend(slots);
        } else if length <= LONG {
            self[at].start = self.instrs.len() as u32;
            self.instrs.extend_from_within(start as usize..end);
            self.instrs.extend(slots);
        } else {
            self.instrs.splice(end..end, slots);
            for block in &mut self.blocks {
                if block.start as usize >= end {
                    block.start += missing;
                }
            }
        }
    }

    /// The first block from `at` on that has instructions.
    pub(super) fn next_nonempty(&self, mut at: BlockIndex) -> BlockIndex {
        while at != NONE && self[at].is_empty() {
            at = self[at].next;
        }
        at
    }

    /// Clears the marks and the traversal stack.
    pub(super) fn start_traversal(&mut self) {
        for block in &mut self.blocks {
            block.visited = false;
        }
        self.stack.clear();
    }

    /// Marks a block and puts it on the traversal stack, unless it was marked.
    #[inline]
    pub(super) fn visit_once(&mut self, at: BlockIndex) {
        if at != NONE && !self[at].visited {
            self[at].visited = true;
            self.stack.push(at);
        }
    }

    /// Notes anew what instructions a block has.
    pub(super) fn note_kinds(&mut self, at: BlockIndex) {
        let kinds = kinds_of(self.instrs(at));
        self[at].kinds.replace(kinds);
    }
}
