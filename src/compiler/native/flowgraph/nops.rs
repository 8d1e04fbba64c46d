//! Removal of `NOP`s, of loads that are popped at once, and of jumps to the next block.

use super::block::{BlockIndex, Graph};
use crate::compiler::native::instruction::{Instr, NONE};
use crate::compiler::native::opcode::{Kinds, Op};

/// Removes the `NOP`s that no line needs, `first` being the first of all. `line_after`: the line of
/// what follows the block, if something does. Returns how many instructions and how many `NOP`s stay.
fn drop_nops(instrs: &mut [Instr], first: usize, line_after: Option<i32>) -> (usize, usize) {
    let (mut kept, mut left) = (first, 0);
    // The line of the last instruction that stays.
    let before = first.checked_sub(1).and_then(|before| instrs.get(before));
    let mut line_before = before.map_or(-1, |instr| instr.loc.line);
    let mut index = first;
    while let Some([here, rest @ ..]) = instrs.get_mut(index..) {
        let instr = *here;
        let line = instr.loc.line;
        index += 1;
        if instr.op == Op::Nop {
            let is_needed = line >= 0
                && line != line_before
                && match rest.first_mut() {
                    Some(next) if next.loc.line < 0 => {
                        next.loc = instr.loc;
                        false
                    }
                    Some(next) => next.loc.line != line,
                    None => line_after != Some(line),
                };
            if !is_needed {
                continue;
            }
            left += 1;
        }
        line_before = line;
        if let Some(slot) = instrs.get_mut(kept) {
            *slot = instr;
        }
        kept += 1;
    }
    (kept, left)
}

impl Graph {
    /// Removes the `NOP`s of a block that no line needs. Returns how many.
    #[inline]
    fn remove_redundant_nops_of(&mut self, at: BlockIndex) -> usize {
        if self[at].kinds.nops() {
            self.search_nops_of(at)
        } else {
            0
        }
    }

    #[inline(never)]
    fn search_nops_of(&mut self, at: BlockIndex) -> usize {
        let is_nop = |instr: &Instr| instr.op == Op::Nop;
        let Some(first) = self.instrs(at).iter().position(is_nop) else {
            self[at].kinds.remove(Kinds::NOP);
            return 0;
        };
        let following = self.next_nonempty(self[at].next);
        let line_after = if following == NONE {
            None
        } else {
            // A NOP without a line will go, so it does not count.
            let found = self
                .instrs(following)
                .iter()
                .find(|instr| !(instr.op == Op::Nop && instr.loc.line < 0));
            Some(found.map_or(-1, |instr| instr.loc.line))
        };
        let instrs = self.instrs_mut(at);
        let before = instrs.len();
        let (kept, left) = drop_nops(instrs, first, line_after);
        let block = &mut self[at];
        block.length = kept as u32;
        if left == 0 {
            block.kinds.remove(Kinds::NOP);
        }
        before - kept
    }

    /// Removes the `NOP`s that no line needs. Returns how many.
    pub(super) fn remove_redundant_nops(&mut self) -> usize {
        let mut removed = 0;
        self.for_each(|graph, at| removed += graph.remove_redundant_nops_of(at));
        removed
    }

    /// Removes `NOP`s, and pairs of a load and a pop.
    pub(super) fn remove_redundant_nops_and_pairs(&mut self) {
        loop {
            let mut done = true;
            // The block whose last instruction is the one before, unless control may come from elsewhere.
            let mut before: Option<BlockIndex> = None;
            self.for_each(|graph, at| {
                graph.remove_redundant_nops_of(at);
                if graph[at].labelled {
                    before = None;
                }
                if graph[at].kinds.pops() {
                    done &= !graph.clear_pairs(at, before);
                }
                if !graph[at].is_empty() {
                    before = Some(at);
                }
                let last = before.and_then(|block| graph.last(block));
                if last.is_some_and(|last| last.op.is_terminator()) {
                    before = None;
                }
            });
            if done {
                return;
            }
        }
    }

    /// Clears the pairs of a load and a pop of which the pop is in this block. `before`: the block whose
    /// last instruction comes before. Whether there was one.
    fn clear_pairs(&mut self, at: BlockIndex, before: Option<BlockIndex>) -> bool {
        let mut found = false;
        for pop in 0..self.instrs(at).len() {
            let Some(&Instr { op: Op::PopTop, .. }) = self.instrs(at).get(pop) else {
                continue;
            };
            let (load, block) = match (pop.checked_sub(1), before) {
                (Some(load), _) => (self.instrs_mut(at).get_mut(load), at),
                (None, Some(block)) => (self.last_mut(block), block),
                (None, None) => continue,
            };
            let Some(load) = load else {
                continue;
            };
            if matches!(load.op, Op::LoadConst | Op::LoadSmallInt)
                || (load.op == Op::Copy && load.arg == 1)
            {
                load.clear();
                self[block].kinds.add(Kinds::NOP);
                if let Some(pop) = self.instrs_mut(at).get_mut(pop) {
                    pop.clear();
                }
                self[at].kinds.add(Kinds::NOP);
                found = true;
            }
        }
        found
    }

    /// Turns jumps to the block that follows anyway into `NOP`s. Returns how many; `None` when a
    /// jump leads nowhere.
    fn remove_redundant_jumps(&mut self) -> Option<usize> {
        let mut removed = 0;
        let mut broken = false;
        self.for_each(|graph, at| {
            if !graph[at].kinds.jumps() {
                return;
            }
            let Some(&last) = graph.last(at) else {
                return;
            };
            if !last.op.is_unconditional_jump() {
                return;
            }
            let target = graph.next_nonempty(last.arg);
            broken |= target == NONE;
            if target == graph.next_nonempty(graph[at].next)
                && let Some(last) = graph.last_mut(at)
            {
                last.clear();
                graph[at].kinds.add(Kinds::NOP);
                removed += 1;
            }
        });
        (!broken).then_some(removed)
    }

    /// Removes both until nothing changes. `None` when a jump leads nowhere.
    pub(super) fn remove_redundant_nops_and_jumps(&mut self) -> Option<()> {
        loop {
            let nops = self.remove_redundant_nops();
            let jumps = self.remove_redundant_jumps()?;
            if nops + jumps == 0 {
                return Some(());
            }
        }
    }
}
