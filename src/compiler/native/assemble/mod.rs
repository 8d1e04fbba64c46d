//! Assembly: an instruction sequence of real instructions becomes bytecode and its tables.

mod exceptions;
mod lines;

use super::error::{Loc, Pass, Stop};
use super::instruction::{Instr, Sequence};
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
const MAX_UNITS: usize = 1 << 28;

/// Lays out the instructions and writes the tables.
pub fn assemble(mut sequence: Sequence, profile: &Profile, first_line: i32) -> Pass<Assembled> {
    place_like_next(&mut sequence);
    choose_directions(&mut sequence);
    let unknown = || Stop::unsure("internal: an instruction that this version lacks");
    let mut layout = Layout::new(&sequence, profile).ok_or_else(unknown)?;
    layout.resolve_jumps(&mut sequence).ok_or_else(unknown)?;
    let code = layout.write(&sequence, profile).ok_or_else(unknown)?;
    Ok(Assembled {
        code,
        linetable: lines::location_table(&sequence, &layout.sizes, first_line),
        exceptiontable: exceptions::exception_table(&sequence, &layout.sizes)
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

/// Unconditional jumps become forward or backward ones. Targets are indices of instructions.
fn choose_directions(sequence: &mut Sequence) {
    for (at, instr) in sequence.instrs.iter_mut().enumerate() {
        let forward = instr.arg as usize > at;
        instr.op = match (instr.op, forward) {
            (Op::Jump | Op::JumpNoInterrupt, true) => Op::JumpForward,
            (Op::Jump, false) => Op::JumpBackward,
            (Op::JumpNoInterrupt, false) => Op::JumpBackwardNoInterrupt,
            (op, _) => op,
        };
    }
}

/// Where each instruction is, in code units of two bytes.
struct Layout {
    caches: Vec<u8>,
    sizes: Vec<usize>,
    offsets: Vec<usize>,
}

/// How many `EXTENDED_ARG`s an argument needs.
fn extended_args(arg: u32) -> usize {
    match arg {
        0..=0xff => 0,
        0x100..=0xffff => 1,
        0x1_0000..=0xff_ffff => 2,
        _ => 3,
    }
}

impl Layout {
    /// Sizes as if every jump were short. `None` for an instruction that the version lacks.
    fn new(sequence: &Sequence, profile: &Profile) -> Option<Layout> {
        let mut caches = Vec::with_capacity(sequence.instrs.len());
        for instr in &sequence.instrs {
            let row = profile.opcodes.row(instr.op);
            row.number?;
            caches.push(row.caches);
        }
        let sizes = vec![0; caches.len()];
        let offsets = vec![0; caches.len()];
        Some(Layout {
            caches,
            sizes,
            offsets,
        })
    }

    fn measure(&mut self, sequence: &Sequence) -> usize {
        let mut offset = 0;
        let rows = self.sizes.iter_mut().zip(&mut self.offsets);
        for ((instr, &caches), (size, place)) in sequence.instrs.iter().zip(&self.caches).zip(rows)
        {
            *place = offset;
            *size = extended_args(instr.arg) + 1 + usize::from(caches);
            offset += *size;
        }
        offset
    }

    /// Replaces targets by distances. A long distance needs an `EXTENDED_ARG`, which makes other
    /// distances longer, so this repeats until nothing grows. The first measure takes the index of
    /// the target for the argument, as CPython does.
    fn resolve_jumps(&mut self, sequence: &mut Sequence) -> Option<()> {
        let targets: Vec<Option<usize>> = sequence
            .instrs
            .iter()
            .map(|instr| instr.op.is_jump().then_some(instr.arg as usize))
            .collect();
        loop {
            if self.measure(sequence) > MAX_UNITS {
                return None;
            }
            let mut grown = false;
            for (at, target) in targets.iter().enumerate() {
                let Some(target) = *target else {
                    continue;
                };
                let there = *self.offsets.get(target)?;
                let after = self.offsets.get(at)? + self.sizes.get(at)?;
                let instr: &mut Instr = sequence.instrs.get_mut(at)?;
                let before = extended_args(instr.arg);
                instr.arg = u32::try_from(there.abs_diff(after)).ok()?;
                if instr.op == Op::EndAsyncForOf {
                    instr.arg = instr.arg.saturating_sub(END_SEND_OFFSET);
                }
                grown |= extended_args(instr.arg) != before;
            }
            if !grown {
                return Some(());
            }
        }
    }

    fn write(&self, sequence: &Sequence, profile: &Profile) -> Option<Vec<u8>> {
        let units: usize = self.sizes.iter().sum();
        let mut code = Vec::with_capacity(2 * units);
        let extended = profile.opcodes.row(Op::ExtendedArg).number?;
        let cache = profile.opcodes.row(Op::Cache).number?;
        for instr in &sequence.instrs {
            let row = profile.opcodes.row(instr.op);
            for level in (1..=extended_args(instr.arg)).rev() {
                code.extend([extended, (instr.arg >> (8 * level)) as u8]);
            }
            code.extend([row.number?, instr.arg as u8]);
            for _ in 0..row.caches {
                code.extend([cache, 0]);
            }
        }
        Some(code)
    }
}
