//! Which loads of fast locals need a check that the local is bound.
//!
//! For the first 64 locals a set of those that may be unbound flows through the graph; the others
//! are looked at one block at a time.

use super::block::{BlockIndex, ENTRY, Graph};
use crate::compiler::native::instruction::NONE;
use crate::compiler::native::opcode::Op;

/// How many locals are followed through the graph.
const TRACKED: usize = 64;

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
        let mut mask = self[at].unsafe_locals;
        let mut instrs = self.take_instrs(at);
        // The handler that knows all of the mask.
        let mut told = NONE;
        let handled = self.kinds.handlers();
        for instr in &mut instrs {
            if handled && instr.except != told {
                told = instr.except;
                if told != NONE {
                    self.add_unsafe(told, mask);
                }
            }
            if !instr.op.sets_local_state() || instr.arg as usize >= TRACKED {
                continue;
            }
            let bit = 1u64 << instr.arg;
            match instr.op {
                Op::DeleteFast | Op::LoadFastAndClear | Op::StoreFastMaybeNull => {
                    mask |= bit;
                    told = NONE;
                }
                Op::StoreFast | Op::LoadFastCheck => mask &= !bit,
                Op::LoadFast => {
                    if mask & bit != 0 {
                        instr.op = Op::LoadFastCheck;
                    }
                    mask &= !bit;
                }
                _ => {}
            }
        }
        self[at].instrs = instrs;
        let next = self[at].next;
        if next != NONE && self[at].falls_through() {
            self.add_unsafe(next, mask);
        }
        if let Some(&last) = self[at].last()
            && last.op.is_jump()
        {
            self.add_unsafe(last.target, mask);
        }
    }

    fn check_untracked_locals(&mut self, locals: usize) {
        // The block in which each local is known to be bound.
        let mut bound_in = vec![NONE; locals - TRACKED];
        self.for_each(|graph, at| {
            for instr in &mut graph[at].instrs {
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
