//! The exception table (3.11 and later): start, length, handler, depth and a flag for each stretch
//! of code under one handler, in 6-bit groups.

use super::units_of;
use crate::compiler::native::flowgraph::{BlockIndex, Graph};
use crate::compiler::native::instruction::NONE;
use crate::compiler::native::opcode::OpcodeTable;

const FIRST: u8 = 0x80;
const MORE: u8 = 0x40;

fn write_number(out: &mut Vec<u8>, value: u32, mut first: u8) {
    let groups = (1..6).rev().find(|group| value >> (6 * group) != 0);
    for group in (1..=groups.unwrap_or(0)).rev() {
        out.push((value >> (6 * group)) as u8 & 0x3f | MORE | first);
        first = 0;
    }
    out.push(value as u8 & 0x3f | first);
}

/// Code under one handler.
#[derive(Clone, Copy)]
struct Stretch {
    start: u32,
    handler: Option<BlockIndex>,
    /// Where the handler begins.
    target: u32,
}

/// The table of code that has so many units. `None` when a handler has no place.
pub(super) fn exception_table(graph: &Graph, opcodes: &OpcodeTable, end: u32) -> Option<Vec<u8>> {
    if !graph.has_handlers() {
        return Some(Vec::new());
    }
    let mut out = Vec::with_capacity(64);
    let mut current = Stretch {
        start: 0,
        handler: None,
        target: NONE,
    };
    let mut visit = |handler: Option<BlockIndex>, here: u32| -> Option<()> {
        if handler == current.handler {
            return Some(());
        }
        let target = match handler {
            Some(handler) => Some(graph[handler].offset).filter(|&offset| offset != NONE)?,
            None => NONE,
        };
        // Handlers without instructions begin where the next one does.
        if handler.is_none() || target != current.target {
            write_entry(graph, &mut out, current, here)?;
            current.start = here;
            current.target = target;
            current.handler = handler;
        }
        Some(())
    };
    for at in graph.order() {
        let mut here = graph[at].offset;
        if !graph[at].may_be_handled() {
            if !graph[at].is_empty() {
                visit(None, here)?;
            }
            continue;
        }
        let mut last = None;
        for instr in graph.instrs(at) {
            if last != Some(instr.except) {
                last = Some(instr.except);
                visit(instr.except.block(), here)?;
            }
            here += units_of(instr, opcodes);
        }
        if graph[at].not_taken {
            visit(graph.left_behind(at), here)?;
        }
    }
    visit(None, end)?;
    Some(out)
}

fn write_entry(graph: &Graph, out: &mut Vec<u8>, stretch: Stretch, end: u32) -> Option<()> {
    let Some(handler) = stretch.handler else {
        return Some(());
    };
    let lasti = u32::from(graph[handler].preserve_lasti);
    let depth = u32::try_from(graph[handler].start_depth).ok()?;
    let depth = depth.checked_sub(1 + lasti)?;
    write_number(out, stretch.start, FIRST);
    write_number(out, end - stretch.start, 0);
    write_number(out, stretch.target, 0);
    write_number(out, depth << 1 | lasti, 0);
    Some(())
}
