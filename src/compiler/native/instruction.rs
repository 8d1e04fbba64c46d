//! The instruction sequence: what code generation emits and the graph passes begin with.
//!
//! Invariant: the argument of an instruction with a target is a label's number in a sequence that
//! code generation makes, a block's number in the graph, and the index of an instruction in a
//! sequence that is made of the graph.

use std::fmt;

use super::error::Loc;
use super::opcode::Op;

/// A place in a sequence that instructions jump to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label(pub u32);

/// The number of no label, block or handler.
pub const NONE: u32 = u32::MAX;

/// The block that handles what an instruction raises: 24 bits, which share a word with the opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handler([u8; 3]);

impl Handler {
    /// No handler.
    pub const NONE: Handler = Handler([u8::MAX; 3]);
    /// Blocks have smaller numbers.
    pub const LIMIT: u32 = 0xff_ffff;

    /// The handler that begins with a block.
    pub fn at(block: u32) -> Handler {
        let [one, two, three, _] = block.to_le_bytes();
        Handler([one, two, three])
    }

    /// The block; `None` for no handler.
    pub fn block(self) -> Option<u32> {
        let Handler([one, two, three]) = self;
        let block = u32::from_le_bytes([one, two, three, 0]);
        (block < Handler::LIMIT).then_some(block)
    }
}

/// An instruction with its place in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instr {
    /// The opcode.
    pub op: Op,
    /// What handles an exception raised here; known in the graph.
    pub except: Handler,
    /// The argument; 0 where there is none.
    pub arg: u32,
    /// The place in the source.
    pub loc: Loc,
}

impl Instr {
    /// An instruction without handler.
    pub fn new(op: Op, arg: u32, loc: Loc) -> Instr {
        Instr {
            op,
            except: Handler::NONE,
            arg,
            loc,
        }
    }

    /// Turns it into a `NOP` that keeps place and handler.
    pub fn clear(&mut self) {
        self.op = Op::Nop;
        self.arg = 0;
    }
}

/// How many instructions are not kept as spare memory.
pub(super) const MANY: usize = 1 << 16;

/// Where a label is.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The index of the instruction that follows it; [`NONE`] if it is not placed yet. Once the graph has
    /// the instructions: the block that begins there.
    pub at: u32,
    /// Whether an instruction names it.
    pub is_used: bool,
}

/// Instructions in a row, with labels.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    /// The instructions.
    pub instrs: Vec<Instr>,
    /// The labels, by their numbers.
    labels: Vec<Place>,
    /// The labels that are placed, in the order of their places.
    placed: Vec<Label>,
}

impl Sequence {
    /// Adds an instruction without a target.
    #[inline]
    pub fn push(&mut self, op: Op, arg: u32, loc: Loc) {
        debug_assert!(!op.has_target(), "a target that is not marked as used");
        self.instrs.push(Instr::new(op, arg, loc));
    }

    /// Adds an instruction with a target.
    pub fn push_jump(&mut self, op: Op, target: Label, loc: Loc) {
        self.instrs.push(Instr::new(op, target.0, loc));
        self.mark_used(target);
    }

    fn mark_used(&mut self, label: Label) {
        if let Some(place) = self.labels.get_mut(label.0 as usize) {
            place.is_used = true;
        }
    }

    /// A label that is not placed yet.
    pub fn new_label(&mut self) -> Label {
        self.labels.push(Place {
            at: NONE,
            is_used: false,
        });
        Label(self.labels.len() as u32 - 1)
    }

    /// Places a label before the next instruction.
    pub fn place(&mut self, label: Label) {
        let here = self.instrs.len() as u32;
        if let Some(place) = self.labels.get_mut(label.0 as usize) {
            place.at = here;
            self.placed.push(label);
        }
    }

    /// Inserts instructions without targets at an index. Labels there move behind them.
    pub fn insert(&mut self, index: usize, instrs: &[Instr]) {
        let index = index.min(self.instrs.len());
        self.instrs.splice(index..index, instrs.iter().copied());
        for Place { at, .. } in &mut self.labels {
            if *at != NONE && *at as usize >= index {
                *at += instrs.len() as u32;
            }
        }
    }

    /// Inserts an instruction with a target before all others.
    pub fn push_front(&mut self, op: Op, target: Label, loc: Loc) {
        self.insert(0, &[Instr::new(op, target.0, loc)]);
        self.mark_used(target);
    }

    /// The index of the instruction behind a label; `None` if it is not placed or nothing follows.
    pub fn position(&self, label: u32) -> Option<u32> {
        let place = self.labels.get(label as usize)?;
        Some(place.at).filter(|&at| (at as usize) < self.instrs.len())
    }

    /// Everything it consists of: the instructions, the labels, and those that are placed in the order of
    /// their places.
    pub fn parts(&mut self) -> (&mut Vec<Instr>, &mut [Place], &[Label]) {
        (&mut self.instrs, &mut self.labels, &self.placed)
    }

    /// Whether it has so many instructions that their memory is not kept as a spare.
    pub fn is_large(&self) -> bool {
        self.instrs.len() > MANY
    }

    /// Removes everything, keeping the memory.
    pub fn clear(&mut self) {
        self.instrs.clear();
        self.labels.clear();
        self.placed.clear();
    }
}

/// One line an instruction: index, name, argument, lines and columns. Labels stand before.
impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, instr) in self.instrs.iter().enumerate() {
            for (label, place) in self.labels.iter().enumerate() {
                if place.at as usize == at {
                    writeln!(f, "L{label}:")?;
                }
            }
            writeln!(f, "{at:5} {instr}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Instr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Loc {
            line,
            end_line,
            col,
            end_col,
        } = self.loc;
        let name = self.op.name();
        if self.op.has_target() {
            write!(f, "{name:24} L{:<6}", self.arg)?;
        } else {
            write!(f, "{name:24} {:<7}", self.arg)?;
        }
        write!(f, " {line}:{col}-{end_line}:{end_col}")
    }
}
