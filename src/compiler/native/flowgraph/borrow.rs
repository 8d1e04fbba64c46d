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
    /// The references on the stack from the first one that an instruction of the block has touched on. What
    /// is below is older. That there is enough of it was found by the computation of the depth.
    stack: Vec<Ref>,
    /// Whether what an instruction pushed must not be borrowed.
    escapes: Vec<bool>,
}

impl Run {
    fn start(&mut self, instrs: usize) {
        self.stack.clear();
        self.escapes.clear();
        self.escapes.resize(instrs, false);
    }

    fn push(&mut self, made_by: u32, local: u32) {
        self.stack.push(Ref { made_by, local });
    }

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
    #[inline]
    fn step(&mut self, at: u32, op: Op, arg: u32) -> Option<()> {
        match op {
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
                let from = self.stack.len().checked_sub(arg as usize);
                let copied = from.and_then(|from| self.stack.get(from).copied());
                self.stack.push(copied.unwrap_or(OLDER));
            }
            Op::Swap => {
                let missing = (arg as usize).saturating_sub(self.stack.len());
                self.stack.splice(..0, std::iter::repeat_n(OLDER, missing));
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
                for _ in 0..op.stack_effect(arg, false)? {
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
                let effect = op.stack_effect(arg, false)?;
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

    /// Borrows what may be borrowed; the first load is the one at `first`.
    fn finish(&mut self, instrs: &mut [Instr], first: usize) {
        for at in 0..self.stack.len() {
            if let Some(&left) = self.stack.get(at) {
                self.escape(left);
            }
        }
        for (instr, &escapes) in instrs.iter_mut().zip(&self.escapes).skip(first) {
            if instr.op == Op::LoadFast && !escapes {
                instr.op = Op::LoadFastBorrow;
            } else if instr.op == Op::LoadFastLoadFast && !escapes {
                instr.op = Op::LoadFastBorrowLoadFastBorrow;
            }
        }
    }
}

fn is_borrowable(instr: &Instr) -> bool {
    matches!(instr.op, Op::LoadFast | Op::LoadFastLoadFast)
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
            let (next, kinds) = (block.next, block.kinds);
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
            // What is before the first load only makes references that are not borrowed.
            if kinds.fast_locals()
                && let Some(first) = instrs.iter().position(is_borrowable)
            {
                run.start(instrs.len());
                for (instr, at) in instrs.iter().zip(0..).skip(first) {
                    run.step(at, instr.op, instr.arg).ok_or_else(unknown)?;
                }
                run.finish(instrs, first);
            }
        }
        self.instrs = all;
        Ok(())
    }
}
