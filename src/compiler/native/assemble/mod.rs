//! Assembly: an instruction sequence of real instructions becomes bytecode and its tables.

mod exceptions;
mod lines;

use super::error::{Loc, Pass, Stop};
use super::instruction::{Instr, Sequence};
use super::opcode::Op;
use super::profile::Profile;
use lines::location_table;

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
    let mut layout = Layout::new(sequence, profile);
    layout
        .resolve_jumps(sequence)
        .ok_or_else(|| Stop::unsure("internal: a jump to nowhere"))?;
    if layout.starts.last().is_some_and(|&end| end > MAX_UNITS) {
        return Err(Stop::unsure("a code object that is too long"));
    }
    Ok(Assembled {
        code: layout
            .write(sequence, profile)
            .ok_or_else(|| Stop::unsure("internal: an instruction that this version lacks"))?,
        linetable: location_table(sequence, &layout.starts, first_line),
        exceptiontable: exceptions::exception_table(sequence, &layout.starts)
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

/// How many `EXTENDED_ARG`s an argument needs.
fn extended_args(arg: u32) -> u32 {
    match arg {
        0..=0xff => 0,
        0x100..=0xffff => 1,
        0x1_0000..=0xff_ffff => 2,
        _ => 3,
    }
}

/// Where instructions are, in code units of two bytes.
#[derive(Debug)]
struct Layout {
    /// Where each instruction begins, and where the last one ends.
    starts: Vec<u32>,
    /// The instructions that jump, with the instructions that they jump to.
    jumps: Vec<(u32, u32)>,
}

impl Layout {
    /// Chooses the directions of jumps, and lays the code out as if their arguments were the indices
    /// of their targets, as CPython does.
    fn new(sequence: &mut Sequence, profile: &Profile) -> Layout {
        let mut starts = Vec::with_capacity(sequence.instrs.len() + 1);
        let mut jumps = Vec::new();
        let mut end = 0;
        starts.push(0);
        starts.extend(sequence.instrs.iter_mut().enumerate().map(|(at, instr)| {
            if instr.op.is_jump() {
                instr.op = direction(instr.op, instr.arg as usize > at);
                jumps.push((at as u32, instr.arg));
            }
            end += units(instr, profile);
            end
        }));
        Layout { starts, jumps }
    }

    /// Replaces targets by distances. A long distance needs an `EXTENDED_ARG`, which makes other
    /// distances longer, so this repeats until no size changes.
    fn resolve_jumps(&mut self, sequence: &mut Sequence) -> Option<()> {
        // By how much each jump grew or shrank, in their order.
        let mut changes: Vec<(u32, i32)> = Vec::new();
        loop {
            for &(at, target) in &self.jumps {
                let there = *self.starts.get(target as usize)?;
                let end = *self.starts.get(at as usize + 1)?;
                let instr = sequence.instrs.get_mut(at as usize)?;
                let before = extended_args(instr.arg);
                instr.arg = there.abs_diff(end);
                if instr.op == Op::EndAsyncForOf {
                    instr.arg = instr.arg.saturating_sub(END_SEND_OFFSET);
                }
                let after = extended_args(instr.arg);
                if after != before {
                    changes.push((at, after as i32 - before as i32));
                }
            }
            if changes.is_empty() {
                return Some(());
            }
            self.resize(&changes)?;
            changes.clear();
        }
    }

    /// Moves what is behind instructions whose size has changed.
    fn resize(&mut self, changes: &[(u32, i32)]) -> Option<()> {
        let mut moved = 0i32;
        let nexts = changes.iter().skip(1).map(|&(at, _)| at as usize + 1);
        let ends = nexts.chain([self.starts.len()]);
        for (&(at, change), end) in changes.iter().zip(ends) {
            moved += change;
            for start in self.starts.get_mut(at as usize + 1..end)? {
                *start = start.checked_add_signed(moved)?;
            }
        }
        Some(())
    }

    /// The bytecode. `None` for an instruction that the version lacks.
    fn write(&self, sequence: &Sequence, profile: &Profile) -> Option<Vec<u8>> {
        let units = self.starts.last().copied().unwrap_or(0);
        let extended = profile.opcodes.row(Op::ExtendedArg).number?;
        // `CACHE` is 0, so caches need not be written.
        let mut code = vec![0; 2 * units as usize];
        for (instr, &start) in sequence.instrs.iter().zip(&self.starts) {
            let mut at = 2 * start as usize;
            if instr.arg > 0xff {
                for level in (1..=extended_args(instr.arg)).rev() {
                    let unit = code.get_mut(at..at + 2)?;
                    unit.copy_from_slice(&[extended, (instr.arg >> (8 * level)) as u8]);
                    at += 2;
                }
            }
            let number = profile.opcodes.row(instr.op).number?;
            let unit = code.get_mut(at..at + 2)?;
            unit.copy_from_slice(&[number, instr.arg as u8]);
        }
        Some(code)
    }
}

/// How many units an instruction is long.
fn units(instr: &Instr, profile: &Profile) -> u32 {
    extended_args(instr.arg) + 1 + u32::from(profile.opcodes.row(instr.op).caches)
}
