//! Removal of `NOP`s, of loads that are popped at once, and of jumps to the next block.

use super::block::{BlockIndex, CfgInstr, Graph};
use crate::compiler::native::instruction::NONE;
use crate::compiler::native::opcode::Op;

/// The argument of a `NOP` that is about to go.
const GOES: u32 = u32::MAX;

/// Marks the `NOP`s that no line needs, `first` being the first of all. `line_after`: the line of
/// what follows the block, if something does. Returns how many go and how many
/// stay.
fn mark_nops(instrs: &mut [CfgInstr], first: usize, line_after: Option<i32>) -> (usize, usize) {
    let (mut marked, mut left) = (0, 0);
    let mut index = first;
    let line_at = |instrs: &[CfgInstr], at: Option<usize>| {
        let instr = at.and_then(|at| instrs.get(at));
        instr.map_or(-1, |instr| instr.loc.line)
    };
    // The line of the nearest instruction before that stays.
    let mut line_before = line_at(instrs, first.checked_sub(1));
    while let Some([nop, rest @ ..]) = instrs.get_mut(index..) {
        let line = nop.loc.line;
        let is_needed = line >= 0
            && line != line_before
            && match rest.first_mut() {
                Some(next) if next.loc.line < 0 => {
                    next.loc = nop.loc;
                    false
                }
                Some(next) => next.loc.line != line,
                None => line_after != Some(line),
            };
        if is_needed {
            line_before = line;
            left += 1;
        } else {
            nop.arg = GOES;
            marked += 1;
        }
        let Some(between) = rest.iter().position(|instr| instr.op == Op::Nop) else {
            break;
        };
        index += 1 + between;
        if between > 0 {
            line_before = line_at(instrs, Some(index - 1));
        }
    }
    (marked, left)
}

impl Graph {
    /// Removes the `NOP`s of a block that no line needs. Returns how many.
    #[inline]
    fn remove_redundant_nops_of(&mut self, at: BlockIndex) -> usize {
        if self[at].nops {
            self.search_nops_of(at)
        } else {
            0
        }
    }

    #[inline(never)]
    fn search_nops_of(&mut self, at: BlockIndex) -> usize {
        let is_nop = |instr: &CfgInstr| instr.op == Op::Nop;
        let Some(first) = self[at].instrs.iter().position(is_nop) else {
            self[at].nops = false;
            return 0;
        };
        let following = self.next_nonempty(self[at].next);
        let line_after = if following == NONE {
            None
        } else {
            // A NOP without a line will go, so it does not count.
            let found = self[following]
                .instrs
                .iter()
                .find(|instr| !(instr.op == Op::Nop && instr.loc.line < 0));
            Some(found.map_or(-1, |instr| instr.loc.line))
        };
        let handled = self.kinds.handlers();
        let block = &mut self[at];
        let (removed, left) = mark_nops(&mut block.instrs, first, line_after);
        block.nops = left > 0;
        if removed > 0 {
            if handled {
                block.leave_behind(block.instrs.len() - removed);
            }
            block
                .instrs
                .retain(|instr| instr.op != Op::Nop || instr.arg != GOES);
        }
        removed
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
            // Where the instruction before is, unless control may come from elsewhere.
            let mut before: Option<(BlockIndex, usize)> = None;
            self.for_each(|graph, at| {
                graph.remove_redundant_nops_of(at);
                if graph[at].labelled {
                    before = None;
                }
                let mut instrs = graph.take_instrs(at);
                let mut index = 0;
                while let Some(found) = instrs
                    .get(index..)
                    .and_then(|rest| rest.iter().position(|instr| instr.op == Op::PopTop))
                {
                    index += found + 1;
                    let pop = index - 1;
                    let previous = match pop.checked_sub(1) {
                        Some(place) => Some((at, place)),
                        None => before,
                    };
                    let load = match previous {
                        Some((block, place)) if block == at => instrs.get_mut(place),
                        Some((block, place)) => graph[block].instrs.get_mut(place),
                        None => None,
                    };
                    if let Some(load) = load
                        && (matches!(load.op, Op::LoadConst | Op::LoadSmallInt)
                            || (load.op == Op::Copy && load.arg == 1))
                    {
                        load.clear();
                        if let Some(pop) = instrs.get_mut(pop) {
                            pop.clear();
                        }
                        if let Some((block, _)) = previous {
                            graph[block].nops = true;
                        }
                        graph[at].nops = true;
                        done = false;
                    }
                }
                if let Some(last) = instrs.len().checked_sub(1) {
                    before = Some((at, last));
                }
                graph[at].instrs = instrs;
                let jumps = before.is_some_and(|(block, place)| {
                    let instr = graph[block].instrs.get(place);
                    instr.is_some_and(|instr| instr.op.is_jump())
                });
                if jumps || !graph[at].falls_through() {
                    before = None;
                }
            });
            if done {
                return;
            }
        }
    }

    /// Turns jumps to the block that follows anyway into `NOP`s. Returns how many; `None` when a
    /// jump leads nowhere.
    fn remove_redundant_jumps(&mut self) -> Option<usize> {
        let mut removed = 0;
        let mut broken = false;
        self.for_each(|graph, at| {
            let Some(&last) = graph[at].last() else {
                return;
            };
            if !last.op.is_unconditional_jump() {
                return;
            }
            let target = graph.next_nonempty(last.target);
            broken |= target == NONE;
            if target == graph.next_nonempty(graph[at].next)
                && let Some(last) = graph[at].instrs.last_mut()
            {
                last.clear();
                graph[at].nops = true;
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
