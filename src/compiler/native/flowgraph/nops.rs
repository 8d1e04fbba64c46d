//! Removal of `NOP`s, of loads that are popped at once, and of jumps to the next block.

use super::block::{BlockIndex, CfgInstr, Graph};
use crate::compiler::native::instruction::NONE;
use crate::compiler::native::opcode::Op;

impl Graph {
    /// Removes the `NOP`s of a block that no line needs. Returns how many.
    fn remove_redundant_nops_of(&mut self, at: BlockIndex) -> usize {
        if !self[at].nops {
            return 0;
        }
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
        let instrs = &mut self[at].instrs;
        let count = instrs.len();
        let mut kept = first;
        let mut nops = false;
        let before = first.checked_sub(1).and_then(|before| instrs.get(before));
        let mut line_before = before.map_or(-1, |instr| instr.loc.line);
        for index in first..count {
            let Some(&instr) = instrs.get(index) else {
                break;
            };
            let line = instr.loc.line;
            if instr.op == Op::Nop {
                if line < 0 || line == line_before {
                    continue;
                }
                if let Some(next) = instrs.get_mut(index + 1) {
                    if next.loc.line == line {
                        continue;
                    }
                    if next.loc.line < 0 {
                        next.loc = instr.loc;
                        continue;
                    }
                } else if line_after == Some(line) {
                    continue;
                }
                nops = true;
            }
            if let Some(slot) = instrs.get_mut(kept) {
                *slot = instr;
            }
            kept += 1;
            line_before = line;
        }
        self[at].truncate(kept);
        self[at].nops = nops;
        count - kept
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
                for index in 0..instrs.len() {
                    let previous = before.replace((at, index));
                    if instrs.get(index).is_none_or(|instr| instr.op != Op::PopTop) {
                        continue;
                    }
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
                        if let Some(pop) = instrs.get_mut(index) {
                            pop.clear();
                        }
                        if let Some((block, _)) = previous {
                            graph[block].nops = true;
                        }
                        graph[at].nops = true;
                        done = false;
                    }
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
