//! `with` and `async with`.

use super::Compiler;
use super::frame_block::FrameBlockKind;
use super::intrinsic::special;
use crate::compiler::native::ast::{List, StmtList, WithItem};
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::instruction::Label;
use crate::compiler::native::opcode::Op;

impl Compiler<'_> {
    pub(super) fn with_statement(
        &mut self,
        statement: Loc,
        items: List<WithItem>,
        body: StmtList,
        is_async: bool,
    ) -> Pass<()> {
        let ast = self.ast;
        let Some(&item) = ast.slice(items).first() else {
            return self.statements(body);
        };
        if is_async && !self.unit.is_async_function() {
            return Err(Stop::syntax(
                "'async with' outside async function",
                statement,
            ));
        }
        let handler = self.label();
        let exit = self.label();
        let cleanup = self.label();
        self.expression(item.context)?;
        let loc = ast.expr(item.context).loc;
        self.enter_context(loc, is_async);
        self.jump(loc, Op::SetupWith, handler);
        self.push_block(loc, FrameBlockKind::With { is_async })?;
        match item.vars {
            Some(vars) => self.expression(vars)?,
            None => self.op(loc, Op::PopTop),
        }
        if items.len() == 1 {
            self.statements(body)?;
        } else {
            let rest = items.skip(1);
            self.deeper(|c| c.with_statement(statement, rest, body, is_async))?;
        }
        self.pop_block();
        self.op(if is_async { loc } else { Loc::NONE }, Op::PopBlock);

        self.call_exit_with_nones(loc);
        if is_async {
            self.await_top(loc, 2);
        }
        self.op(loc, Op::PopTop);
        self.jump(loc, Op::Jump, exit);

        self.place(handler);
        self.jump(loc, Op::SetupCleanup, cleanup);
        self.op(loc, Op::PushExcInfo);
        self.op(loc, Op::WithExceptStart);
        if is_async {
            self.await_top(loc, 2);
        }
        self.finish_with(cleanup);
        self.place(exit);
        Ok(())
    }

    /// Leaves `__exit__` on the stack and calls `__enter__`.
    fn enter_context(&mut self, loc: Loc, is_async: bool) {
        let (before, enter, exit) = if is_async {
            (Op::BeforeAsyncWith, special::AENTER, special::AEXIT)
        } else {
            (Op::BeforeWith, special::ENTER, special::EXIT)
        };
        if self.since(14) {
            self.op_arg(loc, Op::Copy, 1);
            self.op_arg(loc, Op::LoadSpecial, exit);
            self.op_arg(loc, Op::Swap, 2);
            self.op_arg(loc, Op::Swap, 3);
            self.op_arg(loc, Op::LoadSpecial, enter);
            self.op_arg(loc, Op::Call, 0);
        } else {
            self.op(loc, before);
        }
        if is_async {
            self.await_top(loc, 1);
        }
    }

    /// Reraises unless `__exit__` returned something true.
    fn finish_with(&mut self, cleanup: Label) {
        let suppress = self.label();
        self.op(Loc::NONE, Op::ToBool);
        self.jump(Loc::NONE, Op::PopJumpIfTrue, suppress);
        self.op_arg(Loc::NONE, Op::Reraise, 2);
        self.place(suppress);
        self.op(Loc::NONE, Op::PopTop);
        self.op(Loc::NONE, Op::PopBlock);
        self.op(Loc::NONE, Op::PopExcept);
        // `__exit__`, from 3.14 on with its `self`.
        for _ in 0..if self.since(14) { 3 } else { 2 } {
            self.op(Loc::NONE, Op::PopTop);
        }
        let exit = self.label();
        self.jump(Loc::NONE, Op::JumpNoInterrupt, exit);
        self.place(cleanup);
        self.pop_except_and_reraise();
        self.place(exit);
    }
}
