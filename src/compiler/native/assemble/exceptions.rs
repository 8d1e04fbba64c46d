//! The exception table (3.11 and later): start, length, handler, depth and a flag for each stretch
//! of code under one handler, in 6-bit groups.

use crate::compiler::native::instruction::{Handler, NONE, Sequence};

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

/// The table of a sequence whose instructions begin there. `None` when a handler is no instruction.
pub(super) fn exception_table(sequence: &Sequence, starts: &[u32]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    if sequence.handlers.iter().all(|each| each.label == NONE) {
        return Some(out);
    }
    let mut current = Handler::NONE;
    let mut start = 0;
    let end = starts.last().copied().unwrap_or(0);
    let handled = starts.iter().copied().zip(&sequence.handlers);
    for (here, handler) in handled.chain([(end, &Handler::NONE)]) {
        if handler.label == current.label {
            continue;
        }
        if current.label != NONE {
            let target = *starts.get(current.label as usize)?;
            let lasti = u32::from(current.preserve_lasti);
            let depth = current.start_depth.checked_sub(1 + lasti)?;
            write_number(&mut out, start, FIRST);
            write_number(&mut out, here - start, 0);
            write_number(&mut out, target, 0);
            write_number(&mut out, depth << 1 | lasti, 0);
        }
        current = *handler;
        start = here;
    }
    Some(out)
}
