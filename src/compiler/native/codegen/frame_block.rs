//! Frame blocks: the loops, `try`s and `with`s around a statement, and how `return`, `break` and
//! `continue` leave them.

use super::Compiler;
use crate::compiler::native::ast::{Ctx, StmtList, Sym};
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::instruction::Label;
use crate::compiler::native::opcode::Op;

/// `CO_MAXBLOCKS`, from 3.12.
const MAX_BLOCKS: usize = 21;

/// What a frame block is.
#[derive(Clone, Copy, Debug)]
pub(super) enum FrameBlockKind {
    WhileLoop {
        start: Label,
        exit: Label,
    },
    ForLoop {
        start: Label,
        exit: Label,
    },
    TryExcept,
    FinallyTry {
        finalbody: StmtList,
    },
    FinallyEnd,
    With {
        is_async: bool,
    },
    HandlerCleanup {
        name: Option<Sym>,
    },
    PopValue,
    ExceptionHandler,
    ExceptionGroupHandler,
    AsyncComprehension,
    /// The names that an inlined comprehension hides are given back behind it.
    InlinedComprehension,
    StopIteration,
}

/// A frame block.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameBlock {
    pub(super) kind: FrameBlockKind,
    pub(super) loc: Loc,
}

impl Compiler<'_> {
    pub(super) fn push_block(&mut self, loc: Loc, kind: FrameBlockKind) -> Pass<()> {
        if self.unit.frame_blocks.len() >= MAX_BLOCKS {
            return Err(Stop::syntax("too many statically nested blocks", loc));
        }
        self.unit.frame_blocks.push(FrameBlock { kind, loc });
        Ok(())
    }

    pub(super) fn pop_block(&mut self) {
        self.unit.frame_blocks.pop();
    }

    /// Leaves one frame block. `keep_top`: the value on top of the stack survives. `loc` is the
    /// place of what follows, which changes where that should look artificial.
    pub(super) fn unwind_block(
        &mut self,
        loc: &mut Loc,
        block: FrameBlock,
        keep_top: bool,
    ) -> Pass<()> {
        match block.kind {
            FrameBlockKind::WhileLoop { .. }
            | FrameBlockKind::ExceptionHandler
            | FrameBlockKind::ExceptionGroupHandler
            | FrameBlockKind::AsyncComprehension
            | FrameBlockKind::InlinedComprehension
            | FrameBlockKind::StopIteration => {}
            FrameBlockKind::ForLoop { .. } | FrameBlockKind::PopValue => {
                self.pop_below(*loc, keep_top);
            }
            FrameBlockKind::TryExcept => self.op(*loc, Op::PopBlock),
            FrameBlockKind::FinallyTry { finalbody } => {
                self.op(*loc, Op::PopBlock);
                if keep_top {
                    self.push_block(*loc, FrameBlockKind::PopValue)?;
                }
                self.statements(finalbody)?;
                if keep_top {
                    self.pop_block();
                }
                *loc = Loc::NONE;
            }
            FrameBlockKind::FinallyEnd => {
                self.pop_below(*loc, keep_top);
                self.swap_if(*loc, keep_top);
                self.op(*loc, Op::PopBlock);
                self.op(*loc, Op::PopExcept);
            }
            FrameBlockKind::With { is_async } => {
                *loc = block.loc;
                self.op(*loc, Op::PopBlock);
                if keep_top && self.since(14) {
                    self.op_arg(*loc, Op::Swap, 3);
                }
                self.swap_if(*loc, keep_top);
                self.call_exit_with_nones(*loc);
                if is_async {
                    self.await_top(*loc, 2);
                }
                self.op(*loc, Op::PopTop);
                *loc = Loc::NONE;
            }
            FrameBlockKind::HandlerCleanup { name } => {
                if name.is_some() {
                    self.op(*loc, Op::PopBlock);
                }
                self.swap_if(*loc, keep_top);
                self.op(*loc, Op::PopBlock);
                self.op(*loc, Op::PopExcept);
                if let Some(name) = name {
                    self.unbind(*loc, name)?;
                }
            }
        }
        Ok(())
    }

    /// `name = None; del name`
    pub(super) fn unbind(&mut self, loc: Loc, name: Sym) -> Pass<()> {
        self.load_none(loc);
        self.name_op(loc, name, Ctx::Store)?;
        self.name_op(loc, name, Ctx::Del)
    }

    fn swap_if(&mut self, loc: Loc, keep_top: bool) {
        if keep_top {
            self.op_arg(loc, Op::Swap, 2);
        }
    }

    fn pop_below(&mut self, loc: Loc, keep_top: bool) {
        self.swap_if(loc, keep_top);
        self.op(loc, Op::PopTop);
    }

    /// Leaves all frame blocks, or with `to_loop` those inside the innermost loop, which is
    /// returned.
    pub(super) fn unwind_blocks(
        &mut self,
        loc: &mut Loc,
        keep_top: bool,
        to_loop: bool,
    ) -> Pass<Option<FrameBlock>> {
        let mut left = Vec::new();
        let mut found = None;
        while let Some(&top) = self.unit.frame_blocks.last() {
            match top.kind {
                FrameBlockKind::ExceptionGroupHandler => {
                    let message =
                        "'break', 'continue' and 'return' cannot appear in an except* block";
                    return Err(Stop::syntax(message, *loc));
                }
                FrameBlockKind::WhileLoop { .. } | FrameBlockKind::ForLoop { .. } if to_loop => {
                    found = Some(top);
                    break;
                }
                _ => {}
            }
            self.unit.frame_blocks.pop();
            left.push(top);
            self.unwind_block(loc, top, keep_top)?;
        }
        self.unit.frame_blocks.extend(left.into_iter().rev());
        Ok(found)
    }
}
