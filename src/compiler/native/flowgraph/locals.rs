//! Which loads of fast locals need a check that the local is bound.
//!
//! For the first 64 locals a set of those that may be unbound flows through the graph; the others
//! are looked at one block at a time.

use std::ops::Range;

use super::block::{BlockIndex, ENTRY, Graph};
use crate::compiler::native::instruction::{Handler, Instr, NONE};
use crate::compiler::native::opcode::Op;

/// How many locals are followed through the graph.
const TRACKED: usize = 64;

/// The locals that may be unbound behind an instruction, which checks its own if it has to.
#[inline(always)]
fn behind(instr: &mut Instr, mask: u64) -> u64 {
    let op = instr.op;
    if !op.sets_local_state() || instr.arg as usize >= TRACKED {
        return mask;
    }
    let bit = 1u64 << instr.arg;
    if op == Op::LoadFast {
        if mask & bit != 0 {
            instr.op = Op::LoadFastCheck;
        }
    } else if op.unbinds_local() {
        return mask | bit;
    }
    mask & !bit
}

impl Graph {
    /// Turns `LOAD_FAST` into `LOAD_FAST_CHECK` where the local may be unbound.
    pub(super) fn check_loads_of_unbound_locals(&mut self, locals: usize, params: usize) {
        if locals == 0 {
            return;
        }
        if locals > TRACKED {
            self.check_untracked_locals(locals);
        } else if params >= locals && !self.kinds.unbinding() {
            return;
        }
        self.start_traversal();
        let unbound = (params..locals.min(TRACKED)).fold(0u64, |mask, local| mask | 1 << local);
        self.add_unsafe(ENTRY, unbound);
        self.for_each(Graph::scan_block);
        while let Some(at) = self.stack.pop() {
            self[at].visited = false;
            self.scan_block(at);
        }
    }

    fn add_unsafe(&mut self, at: BlockIndex, mask: u64) {
        let all = self[at].unsafe_locals | mask;
        if all != self[at].unsafe_locals {
            self[at].unsafe_locals = all;
            self.visit_once(at);
        }
    }

    fn scan_block(&mut self, at: BlockIndex) {
        let block = &self[at];
        let mut mask = block.unsafe_locals;
        let (range, next, kinds) = (block.range(), block.next, block.kinds);
        if mask == 0 && !kinds.unbinding() {
            // All are bound and stay so.
            return;
        }
        if kinds.handled() {
            mask = self.scan_handled(range, mask);
        } else if kinds.local_states() {
            for instr in self.instrs.get_mut(range).unwrap_or(&mut []) {
                mask = behind(instr, mask);
            }
        }
        let Some(&last) = self.last(at) else {
            if next != NONE {
                self.add_unsafe(next, mask);
            }
            return;
        };
        if next != NONE && !last.op.no_fallthrough() {
            self.add_unsafe(next, mask);
        }
        if last.op.is_jump() {
            self.add_unsafe(last.arg, mask);
        }
    }

    /// As it is done where instructions may have handlers, which learn what may be unbound.
    fn scan_handled(&mut self, range: Range<usize>, mut mask: u64) -> u64 {
        let mut all = std::mem::take(&mut self.instrs);
        // The handler that knows all of the mask.
        let mut told = Handler::NONE;
        for instr in all.get_mut(range).unwrap_or(&mut []) {
            if instr.except != told {
                told = instr.except;
                if let Some(handler) = told.block() {
                    self.add_unsafe(handler, mask);
                }
            }
            if instr.op.unbinds_local() {
                told = Handler::NONE;
            }
            mask = behind(instr, mask);
        }
        self.instrs = all;
        mask
    }

    fn check_untracked_locals(&mut self, locals: usize) {
        // The block in which each local is known to be bound.
        let mut bound_in = vec![NONE; locals - TRACKED];
        self.for_each(|graph, at| {
            for instr in graph.instrs_mut(at) {
                let state = (instr.arg as usize).checked_sub(TRACKED);
                let Some(bound) = state.and_then(|local| bound_in.get_mut(local)) else {
                    continue;
                };
                match instr.op {
                    Op::DeleteFast | Op::LoadFastAndClear | Op::StoreFastMaybeNull => {
                        *bound = NONE;
                    }
                    Op::StoreFast => *bound = at,
                    Op::LoadFast => {
                        if *bound != at {
                            instr.op = Op::LoadFastCheck;
                        }
                        *bound = at;
                    }
                    _ => {}
                }
            }
        });
    }
}
