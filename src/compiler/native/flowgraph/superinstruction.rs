//! Pairs of loads and stores of fast locals become one instruction.

use super::block::{CfgInstr, Graph};
use crate::compiler::native::opcode::Op;

impl Graph {
    /// Combines the pairs of each block.
    pub(super) fn insert_superinstructions(&mut self) {
        if !self.kinds.fast_locals() {
            return;
        }
        self.for_each(|graph, at| {
            let block = &mut graph[at];
            let mut rest = block.instrs.as_mut_slice();
            while let [first, others @ ..] = rest {
                if let [second, ..] = others {
                    block.nops |= combine(first, second);
                }
                rest = others;
            }
        });
        self.remove_redundant_nops();
    }
}

/// Whether the second became a `NOP`.
fn combine(first: &mut CfgInstr, second: &mut CfgInstr) -> bool {
    let op = match (first.op, second.op) {
        (Op::LoadFast, Op::LoadFast) => Op::LoadFastLoadFast,
        (Op::StoreFast, Op::LoadFast) => Op::StoreFastLoadFast,
        (Op::StoreFast, Op::StoreFast) => Op::StoreFastStoreFast,
        _ => return false,
    };
    let lines = [first.loc.line, second.loc.line];
    if lines.iter().all(|&line| line >= 0) && lines[0] != lines[1] {
        return false;
    }
    if first.arg >= 16 || second.arg >= 16 {
        return false;
    }
    first.op = op;
    first.arg = first.arg << 4 | second.arg;
    second.clear();
    true
}
