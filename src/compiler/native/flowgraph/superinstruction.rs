//! Pairs of loads and stores of fast locals become one instruction.

use super::block::Graph;
use crate::compiler::native::instruction::Instr;
use crate::compiler::native::opcode::{Kinds, Op};

impl Graph {
    /// Combines the pairs of each block.
    pub(super) fn insert_superinstructions(&mut self) {
        if !self.kinds.fast_locals() {
            return;
        }
        self.for_each(|graph, at| {
            if !graph[at].kinds.fast_locals() {
                return;
            }
            let mut combined = false;
            let mut rest = graph.instrs_mut(at);
            while let [first, others @ ..] = rest {
                if let [second, ..] = others {
                    combined |= combine(first, second);
                }
                rest = others;
            }
            if combined {
                graph[at].kinds.add(Kinds::NOP);
            }
        });
        self.remove_redundant_nops();
    }
}

/// Whether the second became a `NOP`.
fn combine(first: &mut Instr, second: &mut Instr) -> bool {
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
