//! `try` with `except` and `finally`.

use super::Compiler;
use super::frame_block::FrameBlockKind;
use crate::compiler::native::ast::{Ctx, ExceptHandler, StmtList, Try};
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::instruction::Label;
use crate::compiler::native::opcode::Op;

impl Compiler<'_> {
    pub(super) fn try_statement(&mut self, loc: Loc, parts: Try) -> Pass<()> {
        if parts.finalbody.is_empty() {
            return self.try_handlers(loc, parts);
        }
        let end = self.label();
        let exit = self.label();
        let cleanup = self.label();
        let finalbody = parts.finalbody;
        self.jump(loc, Op::SetupFinally, end);
        self.push_block(loc, FrameBlockKind::FinallyTry { finalbody })?;
        if parts.handlers.is_empty() {
            self.statements(parts.body)?;
        } else {
            self.try_handlers(loc, parts)?;
        }
        self.op(Loc::NONE, Op::PopBlock);
        self.pop_block();
        self.statements(finalbody)?;
        self.jump(Loc::NONE, Op::JumpNoInterrupt, exit);

        self.place(end);
        self.jump(Loc::NONE, Op::SetupCleanup, cleanup);
        self.op(Loc::NONE, Op::PushExcInfo);
        self.push_block(Loc::NONE, FrameBlockKind::FinallyEnd)?;
        self.statements(finalbody)?;
        self.pop_block();
        self.op_arg(Loc::NONE, Op::Reraise, 0);
        self.place(cleanup);
        self.pop_except_and_reraise();
        self.place(exit);
        Ok(())
    }

    fn try_handlers(&mut self, loc: Loc, parts: Try) -> Pass<()> {
        if parts.is_star {
            self.try_star(loc, parts)
        } else {
            self.try_except(loc, parts)
        }
    }

    /// The guarded body; its handler is at `except`.
    pub(super) fn guarded_body(&mut self, loc: Loc, body: StmtList, except: Label) -> Pass<()> {
        self.jump(loc, Op::SetupFinally, except);
        self.push_block(loc, FrameBlockKind::TryExcept)?;
        self.statements(body)?;
        self.pop_block();
        self.op(Loc::NONE, Op::PopBlock);
        Ok(())
    }

    fn try_except(&mut self, loc: Loc, parts: Try) -> Pass<()> {
        let except = self.label();
        let end = self.label();
        let cleanup = self.label();
        self.guarded_body(loc, parts.body, except)?;
        self.statements(parts.orelse)?;
        self.jump(Loc::NONE, Op::JumpNoInterrupt, end);

        self.place(except);
        self.jump(Loc::NONE, Op::SetupCleanup, cleanup);
        self.op(Loc::NONE, Op::PushExcInfo);
        self.push_block(loc, FrameBlockKind::ExceptionHandler)?;
        let ast = self.ast;
        let handlers = ast.slice(parts.handlers);
        for (index, handler) in handlers.iter().enumerate() {
            if handler.typ.is_none() && index + 1 < handlers.len() {
                return Err(Stop::syntax("default 'except:' must be last", handler.loc));
            }
            self.except_handler(*handler, end)?;
        }
        self.pop_block();
        self.op_arg(Loc::NONE, Op::Reraise, 0);
        self.place(cleanup);
        self.pop_except_and_reraise();
        self.place(end);
        Ok(())
    }

    fn except_handler(&mut self, handler: ExceptHandler, end: Label) -> Pass<()> {
        let loc = handler.loc;
        let next = self.label();
        if let Some(typ) = handler.typ {
            self.expression(typ)?;
            self.op(loc, Op::CheckExcMatch);
            self.jump(loc, Op::PopJumpIfFalse, next);
        }
        let block = FrameBlockKind::HandlerCleanup { name: handler.name };
        if let Some(name) = handler.name {
            let cleanup_end = self.label();
            self.name_op(loc, name, Ctx::Store)?;
            self.jump(loc, Op::SetupCleanup, cleanup_end);
            self.push_block(loc, block)?;
            self.statements(handler.body)?;
            self.pop_block();
            self.op(Loc::NONE, Op::PopBlock);
            self.op(Loc::NONE, Op::PopBlock);
            self.op(Loc::NONE, Op::PopExcept);
            self.unbind(Loc::NONE, name)?;
            self.jump(Loc::NONE, Op::JumpNoInterrupt, end);
            self.place(cleanup_end);
            self.unbind(Loc::NONE, name)?;
            self.op_arg(Loc::NONE, Op::Reraise, 1);
        } else {
            self.op(loc, Op::PopTop);
            self.push_block(loc, block)?;
            self.statements(handler.body)?;
            self.pop_block();
            self.op(Loc::NONE, Op::PopBlock);
            self.op(Loc::NONE, Op::PopExcept);
            self.jump(Loc::NONE, Op::JumpNoInterrupt, end);
        }
        self.place(next);
        Ok(())
    }
}
