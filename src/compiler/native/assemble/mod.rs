//! Assembly: the graph, after all passes, becomes bytecode and its tables.
//!
//! Invariant: blocks are laid out along the text, and only the last instruction of a block jumps; behind
//! it there may be the block's `NOT_TAKEN`, which is no instruction of the graph.

mod exceptions;
mod lines;

use super::error::{Loc, Pass, Stop};
use super::flowgraph::{BlockIndex, ENTRY, Graph};
use super::instruction::{Instr, NONE};
use super::opcode::{Op, OpcodeTable};
use super::profile::Profile;
use lines::Lines;

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
pub fn assemble(graph: &mut Graph, profile: &Profile, first_line: i32) -> Pass<Assembled> {
    let opcodes = profile.opcodes;
    let nowhere = || Stop::unsure("internal: a jump to nowhere");
    let mut layout = Layout::new(graph, opcodes).ok_or_else(nowhere)?;
    layout.resolve_jumps(graph).ok_or_else(nowhere)?;
    if layout.end > MAX_UNITS {
        return Err(Stop::unsure("a code object that is too long"));
    }
    let exceptiontable = exceptions::exception_table(graph, opcodes, layout.end)
        .ok_or_else(|| Stop::unsure("internal: a handler without place"))?;
    let (code, linetable) = write(graph, opcodes, &layout, first_line)
        .ok_or_else(|| Stop::unsure("internal: an instruction that this version lacks"))?;
    Ok(Assembled {
        code,
        linetable,
        exceptiontable,
    })
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
#[inline]
fn extended_args(arg: u32) -> u32 {
    match arg {
        0..=0xff => 0,
        0x100..=0xffff => 1,
        0x1_0000..=0xff_ffff => 2,
        _ => 3,
    }
}

/// How many units an instruction is long.
#[inline]
fn units_of(instr: &Instr, opcodes: &OpcodeTable) -> u32 {
    extended_args(instr.arg) + 1 + u32::from(opcodes.row(instr.op).caches)
}

/// A jump at the end of a block.
#[derive(Clone, Copy, Debug)]
struct Jump {
    block: BlockIndex,
    target: BlockIndex,
    /// The units from the block's beginning to behind the jump.
    end: u32,
}

/// Where blocks are in the bytecode, in code units of two bytes.
#[derive(Debug, Default)]
struct Layout {
    jumps: Vec<Jump>,
    /// How many instructions there are.
    count: u32,
    /// Where the code ends.
    end: u32,
}

impl Layout {
    /// Chooses the directions of jumps, and lays the code out as if their arguments were the indices
    /// of their targets, as CPython does. `None` when a jump leads out of the text.
    fn new(graph: &mut Graph, opcodes: &OpcodeTable) -> Option<Layout> {
        let mut count = 0;
        let mut at = ENTRY;
        while at != NONE {
            let block = &mut graph[at];
            block.index = count;
            count += block.length() + u32::from(block.not_taken);
            at = block.next;
        }
        let mut layout = Layout {
            count,
            jumps: Vec::with_capacity(graph.jump_count()),
            ..Layout::default()
        };
        let mut at = ENTRY;
        while at != NONE {
            let jump = graph.last(at).filter(|last| last.op.is_jump());
            let target = jump.map(|jump| jump.arg);
            if let Some(target) = target {
                let there = Some(graph[target].index).filter(|&index| index != NONE)?;
                let behind = graph[at].index + graph[at].length();
                let jump = graph.last_mut(at)?;
                jump.op = direction(jump.op, there >= behind);
                jump.arg = there;
            }
            let instrs = graph.instrs(at).iter();
            let mut length = instrs.map(|instr| units_of(instr, opcodes)).sum();
            if let Some(target) = target {
                layout.jumps.push(Jump {
                    block: at,
                    target,
                    end: length,
                });
            }
            let block = &mut graph[at];
            // `NOT_TAKEN` has neither argument nor caches.
            length += u32::from(block.not_taken);
            block.offset = layout.end;
            layout.end += length;
            at = block.next;
        }
        Some(layout)
    }

    /// Replaces targets by distances. A long distance needs an `EXTENDED_ARG`, which makes other
    /// distances longer, so this repeats until no size changes.
    fn resolve_jumps(&mut self, graph: &mut Graph) -> Option<()> {
        // By how much each jump grew or shrank, in their order.
        let mut changes: Vec<(BlockIndex, i32)> = Vec::new();
        loop {
            for jump in &mut self.jumps {
                let there = graph[jump.target].offset;
                let end = graph[jump.block].offset + jump.end;
                let instr = graph.last_mut(jump.block)?;
                let before = extended_args(instr.arg);
                instr.arg = there.abs_diff(end);
                if instr.op == Op::EndAsyncForOf {
                    instr.arg = instr.arg.saturating_sub(END_SEND_OFFSET);
                }
                let after = extended_args(instr.arg);
                if after != before {
                    let change = after as i32 - before as i32;
                    jump.end = jump.end.checked_add_signed(change)?;
                    changes.push((jump.block, change));
                }
            }
            if changes.is_empty() {
                return Some(());
            }
            self.resize(graph, &changes)?;
            changes.clear();
        }
    }

    /// Moves the blocks behind jumps whose size has changed.
    fn resize(&mut self, graph: &mut Graph, changes: &[(BlockIndex, i32)]) -> Option<()> {
        let mut changes = changes.iter().peekable();
        let mut moved = 0;
        let mut at = ENTRY;
        while at != NONE {
            let block = &mut graph[at];
            block.offset = block.offset.checked_add_signed(moved)?;
            if let Some((_, change)) = changes.next_if(|(block, _)| *block == at) {
                moved += change;
            }
            at = block.next;
        }
        self.end = self.end.checked_add_signed(moved)?;
        Some(())
    }
}

/// The bytecode and the location table. `None` for an instruction that the
/// version lacks.
fn write(
    graph: &Graph,
    opcodes: &OpcodeTable,
    layout: &Layout,
    first_line: i32,
) -> Option<(Vec<u8>, Vec<u8>)> {
    let extended = opcodes.row(Op::ExtendedArg).number?;
    // `CACHE` is 0, so caches need not be written.
    let mut code = vec![[0; 2]; layout.end as usize];
    let mut end = 0;
    let mut lines = Lines::new(first_line, layout.count as usize);
    let mut at = ENTRY;
    while at != NONE {
        for (index, instr) in graph.instrs(at).iter().enumerate() {
            let start = end;
            if instr.arg > 0xff {
                for level in (1..=extended_args(instr.arg)).rev() {
                    *code.get_mut(end)? = [extended, (instr.arg >> (8 * level)) as u8];
                    end += 1;
                }
            }
            let row = opcodes.row(instr.op);
            *code.get_mut(end)? = [row.number?, instr.arg as u8];
            end += 1 + usize::from(row.caches);
            lines.add(instr.loc, (end - start) as u32, || {
                place_from(graph, at, index)
            });
        }
        if graph.last(at).is_some_and(|last| last.op.is_terminator()) {
            lines.end_row();
        }
        let next = graph[at].next;
        if let Some(instr) = graph.not_taken(at) {
            *code.get_mut(end)? = [opcodes.row(instr.op).number?, 0];
            end += 1;
            lines.add(instr.loc, 1, || place_from(graph, next, 0));
        }
        at = next;
    }
    Some((code.into_flattened(), lines.finish()))
}

/// The place of the first instruction from `index` on that has one of its own, unless control does not go
/// on to it.
fn place_from(graph: &Graph, mut at: BlockIndex, mut index: usize) -> Loc {
    while at != NONE {
        for instr in graph.instrs(at).get(index..).unwrap_or(&[]) {
            if instr.loc != Loc::NEXT {
                return instr.loc;
            }
            if instr.op.is_terminator() {
                return Loc::NONE;
            }
        }
        at = graph[at].next;
        index = 0;
    }
    Loc::NONE
}
