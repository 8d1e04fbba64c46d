//! Borrowed loads of fast locals (3.14 and later).
//!
//! Input: the graph just before assembly, with the depth at each block's beginning. Output: a
//! `LOAD_FAST` becomes `LOAD_FAST_BORROW` where the frame's own reference surely outlives the one
//! on the stack. That is so if the loaded value
//! - is taken from the stack within its block,
//! - is not stored in a local, and
//! - is still in its local when it is taken.
//!
//! Each block is run on a stack of references, of which only those made in the block are known.
//! Only the blocks that the normal flow reaches are looked at, so handlers of exceptions are left
//! as they are; and the way through a block without instructions is not followed.

use super::block::{ENTRY, Graph, falls_through, first_with_target};
use crate::compiler::native::error::{Pass, Stop};
use crate::compiler::native::instruction::{Instr, NONE};
use crate::compiler::native::opcode::Op;

/// A reference on the stack.
#[derive(Clone, Copy, Debug)]
struct Ref {
    /// The instruction of this block that pushed it; [`NONE`] for an older one.
    made_by: u32,
    /// The local that it was loaded from, or [`NONE`].
    local: u32,
}

/// One from before the block.
const OLDER: Ref = Ref {
    made_by: NONE,
    local: NONE,
};

/// A block that is being run.
#[derive(Debug, Default)]
struct Run {
    stack: Vec<Ref>,
    /// Whether what an instruction pushed must not be borrowed.
    escapes: Vec<bool>,
}

impl Run {
    fn start(&mut self, depth: usize, instrs: usize) {
        self.stack.clear();
        self.stack.resize(depth, OLDER);
        self.escapes.clear();
        self.escapes.resize(instrs, false);
    }

    fn push(&mut self, made_by: u32, local: u32) {
        self.stack.push(Ref { made_by, local });
    }

    /// A broken stack was found by the computation of its depth.
    fn pop(&mut self) -> Ref {
        self.stack.pop().unwrap_or(OLDER)
    }

    fn pop_many(&mut self, count: usize) {
        let left = self.stack.len().saturating_sub(count);
        self.stack.truncate(left);
    }

    fn escape(&mut self, reference: Ref) {
        if let Some(escapes) = self.escapes.get_mut(reference.made_by as usize) {
            *escapes = true;
        }
    }

    /// A local loses its value.
    fn kill(&mut self, local: u32) {
        for at in 0..self.stack.len() {
            if let Some(&reference) = self.stack.get(at)
                && reference.local == local
            {
                self.escape(reference);
            }
        }
    }

    fn store(&mut self, local: u32) {
        let value = self.pop();
        self.kill(local);
        self.escape(value);
    }

    /// Runs one instruction. `None` for one without stack effect.
    fn step(&mut self, at: u32, instr: Instr) -> Option<()> {
        let arg = instr.arg;
        match instr.op {
            Op::LoadFast => self.push(at, arg),
            Op::LoadFastAndClear => {
                self.kill(arg);
                self.push(at, arg);
            }
            Op::LoadFastLoadFast => {
                self.push(at, arg >> 4);
                self.push(at, arg & 15);
            }
            Op::StoreFast => self.store(arg),
            Op::StoreFastLoadFast => {
                self.store(arg >> 4);
                self.push(at, arg & 15);
            }
            Op::StoreFastStoreFast => {
                self.store(arg >> 4);
                self.store(arg & 15);
            }
            Op::DeleteFast => self.kill(arg),

            Op::Copy => {
                let from = self.stack.len().checked_sub(arg as usize)?;
                let copied = *self.stack.get(from)?;
                self.stack.push(copied);
            }
            Op::Swap => {
                let top = self.stack.len().checked_sub(1)?;
                let other = self.stack.len().checked_sub(arg as usize)?;
                self.stack.swap(other, top);
            }

            // What these take they put back, and push something above it.
            Op::FormatSimple
            | Op::GetAnext
            | Op::GetLen
            | Op::GetYieldFromIter
            | Op::ImportFrom
            | Op::MatchKeys
            | Op::MatchMapping
            | Op::MatchSequence
            | Op::WithExceptStart => {
                for _ in 0..instr.op.stack_effect(arg, false)? {
                    // CPython gives the block's first instruction for the one that pushed it.
                    self.push(0, NONE);
                }
            }
            // These leave something below what they take.
            Op::DictMerge
            | Op::DictUpdate
            | Op::ListAppend
            | Op::ListExtend
            | Op::MapAdd
            | Op::Reraise
            | Op::SetAdd
            | Op::SetUpdate => {
                let effect = instr.op.stack_effect(arg, false)?;
                self.pop_many(usize::try_from(-effect).ok()?);
            }
            Op::EndSend | Op::SetFunctionAttribute => {
                let top = self.pop();
                self.pop();
                self.stack.push(top);
            }
            Op::CheckExcMatch => {
                self.pop();
                self.push(at, NONE);
            }
            Op::ForIter => self.push(at, NONE),
            Op::LoadAttr => {
                let object = self.pop();
                self.push(at, NONE);
                if arg & 1 != 0 {
                    // A method call passes the object on.
                    self.stack.push(object);
                }
            }
            Op::LoadSuperAttr => {
                let object = self.pop();
                self.pop_many(2);
                self.push(at, NONE);
                if arg & 1 != 0 {
                    self.stack.push(object);
                }
            }
            Op::LoadSpecial | Op::PushExcInfo => {
                let top = self.pop();
                self.push(at, NONE);
                self.stack.push(top);
            }
            Op::Send => {
                self.pop();
                self.push(at, NONE);
            }

            // Taken as pushing nothing, unless they jump.
            Op::SetupCleanup | Op::SetupFinally | Op::SetupWith => {}
            op => {
                let popped = op.popped(arg);
                let pushed = i64::from(popped) + op.effect(arg)?;
                self.pop_many(popped as usize);
                for _ in 0..pushed {
                    self.push(at, NONE);
                }
            }
        }
        Some(())
    }

    fn finish(&mut self, instrs: &mut [Instr]) {
        for at in 0..self.stack.len() {
            if let Some(&left) = self.stack.get(at) {
                self.escape(left);
            }
        }
        for (instr, escapes) in instrs.iter_mut().zip(&self.escapes) {
            if *escapes {
                continue;
            }
            match instr.op {
                Op::LoadFast => instr.op = Op::LoadFastBorrow,
                Op::LoadFastLoadFast => instr.op = Op::LoadFastBorrowLoadFastBorrow,
                _ => {}
            }
        }
    }
}

fn is_borrowable(instr: &Instr) -> bool {
    matches!(instr.op, Op::LoadFast | Op::LoadFastLoadFast)
}

/// The depth behind instructions.
fn depth_behind(instrs: &[Instr], mut depth: i64) -> Option<usize> {
    for instr in instrs {
        depth += instr.op.effect(instr.arg)?;
    }
    usize::try_from(depth).ok()
}

impl Graph {
    /// Borrows what can be borrowed. The graph must not change afterwards.
    pub(super) fn borrow_loads(&mut self) -> Pass<()> {
        let unknown = || Stop::unsure("internal: an instruction without stack effect");
        let mut run = Run::default();
        self.start_traversal();
        self.visit_once(ENTRY);
        let mut all = std::mem::take(&mut self.instrs);
        while let Some(at) = self.stack.pop() {
            let block = &self[at];
            let (next, kinds, depth) = (block.next, block.kinds, block.start_depth.max(0));
            let instrs = all.get_mut(block.range()).unwrap_or(&mut []);
            let targets = first_with_target(instrs, kinds);
            for instr in instrs.get(targets..).unwrap_or(&[]) {
                if instr.op.has_target() {
                    self.visit_once(instr.arg);
                }
            }
            if !instrs.is_empty() && falls_through(instrs) {
                self.visit_once(next);
            }
            // What is before the first load only moves the depth.
            if kinds.fast_locals()
                && let Some(first) = instrs.iter().position(is_borrowable)
            {
                let before = instrs.get(..first).unwrap_or(&[]);
                let depth = depth_behind(before, depth).ok_or_else(unknown)?;
                run.start(depth, instrs.len());
                for (at, &instr) in instrs.iter().enumerate().skip(first) {
                    run.step(at as u32, instr).ok_or_else(unknown)?;
                }
                run.finish(instrs);
            }
        }
        self.instrs = all;
        Ok(())
    }
}
