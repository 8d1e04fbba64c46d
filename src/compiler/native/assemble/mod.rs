//! Assembly: an instruction sequence of real instructions becomes bytecode and its tables.

mod exceptions;
mod lines;

use super::error::{Loc, Pass, Stop};
use super::instruction::Sequence;
use super::opcode::Op;
use super::profile::Profile;

/// Bytecode with its tables.
#[derive(Debug)]
pub struct Assembled {
    /// `co_code`
    pub code: Vec<u8>,
    /// `co_linetable`
    pub linetable: Vec<u8>,
    /// `co_exceptiontable`
    pub exceptiontable: Vec<u8>,
}

/// How far the `END_SEND` of an asynchronous loop is behind its `SEND`, in units (3.14).
const END_SEND_OFFSET: u32 = 5;
/// The longest bytecode, in units.
const MAX_UNITS: u32 = 1 << 28;

/// Lays out the instructions and writes the tables.
pub fn assemble(sequence: &mut Sequence, profile: &Profile, first_line: i32) -> Pass<Assembled> {
    if profile.since(14) {
        place_like_next(sequence);
    }
    let unknown = || Stop::unsure("internal: an instruction that this version lacks");
    let mut layout = Layout::new(sequence, profile).ok_or_else(unknown)?;
    layout.resolve_jumps(sequence).ok_or_else(unknown)?;
    let code = layout.write(sequence, profile).ok_or_else(unknown)?;
    Ok(Assembled {
        code,
        linetable: lines::location_table(sequence, &layout.spots, first_line),
        exceptiontable: exceptions::exception_table(sequence, &layout.spots)
            .ok_or_else(|| Stop::unsure("internal: a handler without place"))?,
    })
}

/// Gives instructions that want it the place of the one behind them.
fn place_like_next(sequence: &mut Sequence) {
    let mut next = Loc::NONE;
    for instr in sequence.instrs.iter_mut().rev() {
        if instr.loc == Loc::NEXT {
            instr.loc = if instr.op.is_terminator() {
                Loc::NONE
            } else {
                next
            };
        }
        next = instr.loc;
    }
}

/// An unconditional jump becomes a forward or a backward one.
fn direction(op: Op, is_forward: bool) -> Op {
    match (op, is_forward) {
        (Op::Jump | Op::JumpNoInterrupt, true) => Op::JumpForward,
        (Op::Jump, false) => Op::JumpBackward,
        (Op::JumpNoInterrupt, false) => Op::JumpBackwardNoInterrupt,
        (op, _) => op,
    }
}

/// Where an instruction is, in code units of two bytes.
#[derive(Clone, Copy, Debug)]
struct Spot {
    offset: u32,
    size: u8,
    /// The opcode's number.
    number: u8,
}

impl Spot {
    fn size(self) -> u32 {
        u32::from(self.size)
    }

    /// Where the next instruction is.
    fn end(self) -> u32 {
        self.offset + self.size()
    }
}

struct Layout {
    spots: Vec<Spot>,
    /// The instructions that jump, with the instructions that they jump to.
    jumps: Vec<(u32, u32)>,
}

/// How many `EXTENDED_ARG`s an argument needs.
fn extended_args(arg: u32) -> u8 {
    match arg {
        0..=0xff => 0,
        0x100..=0xffff => 1,
        0x1_0000..=0xff_ffff => 2,
        _ => 3,
    }
}

impl Layout {
    /// Chooses the directions of jumps, and lays the code out as if their arguments were the indices
    /// of their targets, as CPython does. `None` for an instruction that the version lacks.
    fn new(sequence: &mut Sequence, profile: &Profile) -> Option<Layout> {
        let mut spots = Vec::with_capacity(sequence.instrs.len());
        let mut jumps = Vec::new();
        let mut offset = 0u32;
        for (at, instr) in sequence.instrs.iter_mut().enumerate() {
            if instr.op.is_jump() {
                instr.op = direction(instr.op, instr.arg as usize > at);
                jumps.push((at as u32, instr.arg));
            }
            let row = profile.opcodes.row(instr.op);
            let spot = Spot {
                offset,
                size: extended_args(instr.arg) + 1 + row.caches,
                number: row.number?,
            };
            spots.push(spot);
            offset = offset.checked_add(spot.size())?;
        }
        (offset <= MAX_UNITS).then_some(Layout { spots, jumps })
    }

    /// Replaces targets by distances. A long distance needs an `EXTENDED_ARG`, which makes other
    /// distances longer, so this repeats until no size changes.
    fn resolve_jumps(&mut self, sequence: &mut Sequence) -> Option<()> {
        loop {
            let mut resized = false;
            for &(at, target) in &self.jumps {
                let there = self.spots.get(target as usize)?.offset;
                let spot = self.spots.get_mut(at as usize)?;
                let instr = sequence.instrs.get_mut(at as usize)?;
                let before = extended_args(instr.arg);
                instr.arg = there.abs_diff(spot.end());
                if instr.op == Op::EndAsyncForOf {
                    instr.arg = instr.arg.saturating_sub(END_SEND_OFFSET);
                }
                let after = extended_args(instr.arg);
                if after != before {
                    spot.size = spot.size - before + after;
                    resized = true;
                }
            }
            if !resized {
                return Some(());
            }
            self.move_spots()?;
        }
    }

    /// Puts the instructions behind each other again. `None` when the code is too long.
    fn move_spots(&mut self) -> Option<()> {
        let mut offset = 0u32;
        for spot in &mut self.spots {
            spot.offset = offset;
            offset = offset.checked_add(spot.size())?;
        }
        (offset <= MAX_UNITS).then_some(())
    }

    fn write(&self, sequence: &Sequence, profile: &Profile) -> Option<Vec<u8>> {
        let units = self.spots.last().map_or(0, |spot| spot.end());
        let extended = profile.opcodes.row(Op::ExtendedArg).number?;
        // `CACHE` is 0, so caches need not be written.
        let mut code = vec![0; 2 * units as usize];
        let mut rest = code.as_mut_slice();
        for (instr, spot) in sequence.instrs.iter().zip(&self.spots) {
            let (unit, behind) = rest.split_at_mut_checked(2 * usize::from(spot.size))?;
            rest = behind;
            let mut unit = unit;
            if instr.arg > 0xff {
                for level in (1..=extended_args(instr.arg)).rev() {
                    let (head, tail) = unit.split_first_chunk_mut()?;
                    *head = [extended, (instr.arg >> (8 * level)) as u8];
                    unit = tail;
                }
            }
            *unit.first_chunk_mut()? = [spot.number, instr.arg as u8];
        }
        Some(code)
    }
}
