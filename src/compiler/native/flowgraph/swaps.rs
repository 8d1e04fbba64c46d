//! Runs of `SWAP`: the shortest run of the same effect, then swapped instructions instead of
//! swapped values.

use super::block::{BlockIndex, Graph};
use crate::compiler::native::instruction::Instr;
use crate::compiler::native::opcode::Op;

impl Graph {
    /// Both for each run of a block.
    pub(super) fn optimize_swaps(&mut self, at: BlockIndex) {
        let instrs = self.instrs_mut(at);
        let mut index = 0;
        while let Some(instr) = instrs.get(index) {
            if instr.op == Op::Swap {
                index = shorten_run(instrs, index);
                swap_instructions(instrs, index);
            }
            index += 1;
        }
    }
}

/// Rewrites the run of `SWAP`s and `NOP`s that begins at `start`. Returns where it ends if there was
/// something to rewrite, else `start`.
///
/// The run is a permutation of the top of the stack. A cycle of the permutation takes one `SWAP`
/// for each member, one less if the top is a member. The cycles are written from the end of the
/// run; what is left at its beginning becomes `NOP`.
fn shorten_run(instrs: &mut [Instr], start: usize) -> usize {
    let tail = instrs.get_mut(start..).unwrap_or(&mut []);
    let length = tail
        .iter()
        .position(|instr| !matches!(instr.op, Op::Swap | Op::Nop))
        .unwrap_or(tail.len());
    let run = tail.get_mut(..length).unwrap_or(&mut []);
    let swaps = || run.iter().filter(|instr| instr.op == Op::Swap);
    if swaps().count() < 2 {
        return start;
    }
    let depth = swaps().map(|swap| swap.arg as usize).max().unwrap_or(0);
    let mut stack: Vec<usize> = (0..depth).collect();
    for swap in swaps() {
        if let Some(other) = (swap.arg as usize).checked_sub(1)
            && other < depth
        {
            stack.swap(0, other);
        }
    }
    let mut done = vec![false; depth];
    let mut free = run.len();
    for first in 0..depth {
        let moved_to = |at: usize| stack.get(at).copied().unwrap_or(at);
        if done.get(first).copied().unwrap_or(true) || moved_to(first) == first {
            continue;
        }
        let mut at = first;
        loop {
            if at != 0 {
                free = free.saturating_sub(1);
                if let Some(slot) = run.get_mut(free) {
                    slot.op = Op::Swap;
                    slot.arg = at as u32 + 1;
                }
            }
            match done.get_mut(at) {
                Some(done) if !*done => *done = true,
                _ => break,
            }
            at = moved_to(at);
        }
    }
    for slot in run.get_mut(..free).unwrap_or(&mut []) {
        slot.clear();
    }
    start + length - 1
}

/// Whether an instruction only takes the top of the stack, and does nothing that can be seen.
fn is_swappable(op: Op) -> bool {
    matches!(op, Op::StoreFast | Op::StoreFastMaybeNull | Op::PopTop)
}

fn stored_local(instr: &Instr) -> Option<u32> {
    matches!(instr.op, Op::StoreFast | Op::StoreFastMaybeNull).then_some(instr.arg)
}

/// The next swappable instruction behind `at`, all on `line` if one is given.
fn next_swappable(instrs: &[Instr], at: usize, line: Option<i32>) -> Option<usize> {
    for (index, instr) in instrs.iter().enumerate().skip(at + 1) {
        if line.is_some_and(|line| instr.loc.line != line) {
            return None;
        }
        if instr.op != Op::Nop {
            return is_swappable(instr.op).then_some(index);
        }
    }
    None
}

/// Applies the `SWAP`s at and before `last` to the instructions that follow them, as far as
/// possible.
fn swap_instructions(instrs: &mut [Instr], last: usize) {
    for at in (0..=last).rev() {
        let Some(&swap) = instrs.get(at) else {
            return;
        };
        if swap.op != Op::Swap {
            if swap.op == Op::Nop || is_swappable(swap.op) {
                continue;
            }
            return;
        }
        let Some(first) = next_swappable(instrs, at, None) else {
            return;
        };
        let line = instrs
            .get(first)
            .map(|instr| instr.loc.line)
            .filter(|&line| line >= 0);
        let mut second = first;
        for _ in 1..swap.arg {
            match next_swappable(instrs, second, line) {
                Some(next) => second = next,
                None => return,
            }
        }
        let locals = [first, second].map(|index| instrs.get(index).and_then(stored_local));
        if locals != [None, None] {
            let [one, other] = locals;
            if one == other {
                return;
            }
            let between = instrs.get(first + 1..second).unwrap_or(&[]);
            let clashes = between
                .iter()
                .filter_map(stored_local)
                .any(|local| locals.contains(&Some(local)));
            if clashes {
                return;
            }
        }
        if let Some(swap) = instrs.get_mut(at) {
            swap.clear();
        }
        instrs.swap(first, second);
    }
}
