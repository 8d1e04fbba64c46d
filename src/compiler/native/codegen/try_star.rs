//! `try` with `except*`.
//!
//! On the stack in a handler: the original group, the list of raised exceptions, the rest that no
//! handler took.

use super::Compiler;
use super::frame_block::FrameBlockKind;
use super::intrinsic::two;
use crate::compiler::native::ast::{Ctx, Try};
use crate::compiler::native::error::{Loc, Pass};
use crate::compiler::native::opcode::Op;

impl Compiler<'_> {
    pub(super) fn try_star(&mut self, loc: Loc, parts: Try) -> Pass<()> {
        let except = self.label();
        let orelse = self.label();
        let end = self.label();
        let cleanup = self.label();
        let reraise_star = self.label();
        self.guarded_body(loc, parts.body, except)?;
        self.jump(Loc::NONE, Op::JumpNoInterrupt, orelse);

        self.place(except);
        self.jump(Loc::NONE, Op::SetupCleanup, cleanup);
        self.op(Loc::NONE, Op::PushExcInfo);
        self.push_block(loc, FrameBlockKind::ExceptionGroupHandler)?;
        let ast = self.ast;
        let handlers = ast.slice(parts.handlers);
        for (index, handler) in handlers.iter().enumerate() {
            let loc = handler.loc;
            let next = self.label();
            let with_error = self.label();
            let no_match = self.label();
            if index == 0 {
                self.op_arg(loc, Op::BuildList, 0);
                self.op_arg(loc, Op::Copy, 2);
            }
            if let Some(typ) = handler.typ {
                self.expression(typ)?;
                self.op(loc, Op::CheckEgMatch);
                self.op_arg(loc, Op::Copy, 1);
                self.jump(loc, Op::PopJumpIfNone, no_match);
            }
            let cleanup_end = self.label();
            match handler.name {
                Some(name) => self.name_op(loc, name, Ctx::Store)?,
                None => self.op(loc, Op::PopTop),
            }
            self.jump(loc, Op::SetupCleanup, cleanup_end);
            self.push_block(loc, FrameBlockKind::HandlerCleanup { name: handler.name })?;
            self.statements(handler.body)?;
            self.pop_block();
            self.op(Loc::NONE, Op::PopBlock);
            if let Some(name) = handler.name {
                self.unbind(Loc::NONE, name)?;
            }
            self.jump(Loc::NONE, Op::JumpNoInterrupt, next);
            self.place(cleanup_end);
            if let Some(name) = handler.name {
                self.unbind(Loc::NONE, name)?;
            }
            self.op_arg(Loc::NONE, Op::ListAppend, 3);
            self.op(Loc::NONE, Op::PopTop);
            self.jump(Loc::NONE, Op::JumpNoInterrupt, with_error);
            self.place(next);
            // Keeps a line for the jump.
            self.op(Loc::NONE, Op::Nop);
            self.jump(Loc::NONE, Op::JumpNoInterrupt, with_error);
            self.place(no_match);
            self.op(loc, Op::PopTop);
            self.place(with_error);
            if index + 1 == handlers.len() {
                self.op_arg(Loc::NONE, Op::ListAppend, 1);
                self.jump(Loc::NONE, Op::JumpNoInterrupt, reraise_star);
            }
        }
        self.pop_block();
        let reraise = self.label();
        self.place(reraise_star);
        self.op_arg(Loc::NONE, Op::CallIntrinsic2, two::PREP_RERAISE_STAR);
        self.op_arg(Loc::NONE, Op::Copy, 1);
        self.jump(Loc::NONE, Op::PopJumpIfNotNone, reraise);
        self.op(Loc::NONE, Op::PopTop);
        self.op(Loc::NONE, Op::PopBlock);
        self.op(Loc::NONE, Op::PopExcept);
        self.jump(Loc::NONE, Op::JumpNoInterrupt, end);
        self.place(reraise);
        self.op(Loc::NONE, Op::PopBlock);
        self.op_arg(Loc::NONE, Op::Swap, 2);
        self.op(Loc::NONE, Op::PopExcept);
        self.op_arg(Loc::NONE, Op::Reraise, 0);
        self.place(cleanup);
        self.pop_except_and_reraise();
        self.place(orelse);
        self.statements(parts.orelse)?;
        self.place(end);
        Ok(())
    }
}
