//! Statements, except those with a file of their own.

use super::Compiler;
use super::frame_block::FrameBlockKind;
use super::intrinsic::common;
use crate::compiler::native::ast::{
    Constant, Ctx, ExprId, ExprKind, Stmt, StmtId, StmtKind, StmtList,
};
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::instruction::Label;
use crate::compiler::native::opcode::Op;
use crate::pyc::Level;

impl Compiler<'_> {
    pub(super) fn statements(&mut self, list: StmtList) -> Pass<()> {
        let ast = self.ast;
        for &id in ast.slice(list) {
            self.statement(id)?;
        }
        Ok(())
    }

    /// The body of a module or class: annotations, docstring, statements.
    pub(super) fn body(&mut self, loc: Loc, list: StmtList) -> Pass<()> {
        if self.sets_up_annotations(list) {
            self.op(loc, Op::SetupAnnotations);
        }
        let mut rest = list;
        if let Some((text, at)) = self.docstring(list) {
            rest = list.skip(1);
            if self.level != Level::O2 {
                let clean = self.clean_docstring(text)?;
                self.load_const(at, Constant::Str(clean));
                let name = self.sym("__doc__");
                self.name_op(Loc::NONE, name, Ctx::Store)?;
            }
        }
        self.statements(rest)?;
        if self.since(14) && !self.future_annotations() {
            self.annotate_names(loc)?;
        }
        Ok(())
    }

    /// Whether the body needs `__annotations__` from the start.
    fn sets_up_annotations(&self, list: StmtList) -> bool {
        if self.since(14) {
            self.future_annotations() && self.table.block(self.unit.block).annotations_used
        } else {
            self.has_annotations(list)
        }
    }

    fn statement(&mut self, id: StmtId) -> Pass<()> {
        self.deeper(|c| c.statement_inner(id))
    }

    fn statement_inner(&mut self, id: StmtId) -> Pass<()> {
        let stmt = self.ast.stmt(id);
        let conditional = self.unit.conditional;
        self.unit.conditional |= matches!(
            stmt.kind,
            StmtKind::For { .. }
                | StmtKind::While { .. }
                | StmtKind::If { .. }
                | StmtKind::Match { .. }
                | StmtKind::Try(_)
                | StmtKind::With { .. }
        );
        self.statement_of(id, stmt)?;
        self.unit.conditional = conditional;
        Ok(())
    }

    fn statement_of(&mut self, id: StmtId, stmt: Stmt) -> Pass<()> {
        let loc = stmt.loc;
        match stmt.kind {
            StmtKind::FunctionDef(def) => self.function_def(id, loc, *self.ast.get(def)),
            StmtKind::ClassDef(def) => self.class_def(id, loc, *self.ast.get(def)),
            StmtKind::TypeAlias {
                name,
                type_params,
                value,
            } => self.type_alias(id, loc, name, type_params, value),
            StmtKind::Return { value } => self.return_statement(loc, value),
            StmtKind::Delete { targets } => self.expressions(targets),
            StmtKind::Assign { targets, value } => self.assign(loc, targets, value),
            StmtKind::AugAssign { target, op, value } => self.aug_assign(loc, target, op, value),
            StmtKind::AnnAssign {
                target,
                annotation,
                value,
                simple,
            } if self.since(14) => self.deferred_ann_assign(loc, target, annotation, value, simple),
            StmtKind::AnnAssign {
                target,
                annotation,
                value,
                simple,
            } => self.ann_assign(loc, target, annotation, value, simple),
            StmtKind::For {
                target,
                iter,
                body,
                orelse,
                is_async: false,
            } => self.for_loop(loc, target, iter, body, orelse),
            StmtKind::For {
                target,
                iter,
                body,
                orelse,
                is_async: true,
            } => self.async_for_loop(loc, target, iter, body, orelse),
            StmtKind::While { test, body, orelse } => self.while_loop(loc, test, body, orelse),
            StmtKind::If { test, body, orelse } => self.if_statement(loc, test, body, orelse),
            StmtKind::Match { subject, cases } => self.match_statement(subject, cases),
            StmtKind::Raise { exc, cause } => self.raise(loc, exc, cause),
            StmtKind::Try(id) => self.try_statement(loc, *self.ast.get(id)),
            StmtKind::Assert { test, msg } => self.assert(loc, test, msg),
            StmtKind::Import { names } => self.import(loc, names),
            StmtKind::ImportFrom {
                module,
                names,
                level,
            } => self.import_from(loc, module, names, level),
            StmtKind::Global { .. } | StmtKind::Nonlocal { .. } => Ok(()),
            StmtKind::Expr { value } => self.expression_statement(loc, value),
            StmtKind::Pass => {
                self.op(loc, Op::Nop);
                Ok(())
            }
            StmtKind::Break => self.break_statement(loc),
            StmtKind::Continue => self.continue_statement(loc),
            StmtKind::With {
                items,
                body,
                is_async,
            } => self.with_statement(loc, items, body, is_async),
        }
    }

    fn expression_statement(&mut self, loc: Loc, value: ExprId) -> Pass<()> {
        if matches!(self.ast.expr(value).kind, ExprKind::Constant { .. }) {
            self.op(loc, Op::Nop);
            return Ok(());
        }
        self.expression(value)?;
        self.op(Loc::NONE, Op::PopTop);
        Ok(())
    }

    fn if_statement(
        &mut self,
        loc: Loc,
        test: ExprId,
        body: StmtList,
        orelse: StmtList,
    ) -> Pass<()> {
        let end = self.label();
        let next = if orelse.is_empty() { end } else { self.label() };
        self.jump_if(loc, test, next, false)?;
        self.statements(body)?;
        if !orelse.is_empty() {
            self.jump(Loc::NONE, Op::JumpNoInterrupt, end);
            self.place(next);
            self.statements(orelse)?;
        }
        self.place(end);
        Ok(())
    }

    fn for_loop(
        &mut self,
        loc: Loc,
        target: ExprId,
        iter: ExprId,
        body: StmtList,
        orelse: StmtList,
    ) -> Pass<()> {
        let start = self.label();
        let cleanup = self.label();
        let exit = self.label();
        self.push_block(loc, FrameBlockKind::ForLoop { start, exit })?;
        self.expression(iter)?;
        let iter_loc = self.ast.expr(iter).loc;
        self.op(iter_loc, Op::GetIter);
        self.place(start);
        self.jump(iter_loc, Op::ForIter, cleanup);
        // So that a debugger stops at a target on a line of its own.
        self.op(self.ast.expr(target).loc, Op::Nop);
        self.expression(target)?;
        self.statements(body)?;
        self.jump(Loc::NONE, Op::Jump, start);
        self.place(cleanup);
        self.op(Loc::NONE, Op::EndFor);
        self.pop_iterator();
        self.pop_block();
        self.statements(orelse)?;
        self.place(exit);
        Ok(())
    }

    fn async_for_loop(
        &mut self,
        loc: Loc,
        target: ExprId,
        iter: ExprId,
        body: StmtList,
        orelse: StmtList,
    ) -> Pass<()> {
        if !self.unit.is_async_function() {
            return Err(Stop::syntax("'async for' outside async function", loc));
        }
        let start = self.label();
        let except = self.label();
        let exit = self.label();
        self.expression(iter)?;
        let iter_loc = self.ast.expr(iter).loc;
        self.op(iter_loc, Op::GetAiter);
        self.place(start);
        self.push_block(loc, FrameBlockKind::ForLoop { start, exit })?;
        self.jump(loc, Op::SetupFinally, except);
        let send = self.next_async(loc);
        self.op(loc, Op::PopBlock);
        if self.since(14) {
            self.op(loc, Op::NotTaken);
        }
        self.expression(target)?;
        self.statements(body)?;
        self.jump(Loc::NONE, Op::Jump, start);
        self.pop_block();
        self.place(except);
        self.end_async_for(iter_loc, send);
        self.statements(orelse)?;
        self.place(exit);
        Ok(())
    }

    /// After `END_FOR`.
    pub(super) fn pop_iterator(&mut self) {
        let op = if self.since(14) {
            Op::PopIter
        } else {
            Op::PopTop
        };
        self.op(Loc::NONE, op);
    }

    /// Awaits the next item of the asynchronous iterator on the stack. Where it is sent to.
    pub(super) fn next_async(&mut self, loc: Loc) -> Label {
        self.op(loc, Op::GetAnext);
        self.load_none(loc);
        let send = self.label();
        self.place(send);
        self.yield_from(loc, true);
        send
    }

    /// Ends an asynchronous loop; from 3.14 on the instruction names the place of the sending.
    pub(super) fn end_async_for(&mut self, loc: Loc, send: Label) {
        if self.since(14) {
            self.jump(loc, Op::EndAsyncForOf, send);
        } else {
            self.op(loc, Op::EndAsyncFor);
        }
    }

    fn while_loop(&mut self, loc: Loc, test: ExprId, body: StmtList, orelse: StmtList) -> Pass<()> {
        let start = self.label();
        let again = self.label();
        let exit = self.label();
        let anchor = self.label();
        self.place(start);
        self.push_block(loc, FrameBlockKind::WhileLoop { start, exit })?;
        self.jump_if(loc, test, anchor, false)?;
        self.place(again);
        self.statements(body)?;
        if self.since(14) {
            self.jump(Loc::NONE, Op::Jump, start);
        } else {
            self.jump_if(loc, test, again, true)?;
        }
        self.pop_block();
        self.place(anchor);
        self.statements(orelse)?;
        self.place(exit);
        Ok(())
    }

    fn return_statement(&mut self, mut loc: Loc, value: Option<ExprId>) -> Pass<()> {
        let block = self.table.block(self.unit.block);
        if !block.is_function_like() {
            return Err(Stop::syntax("'return' outside function", loc));
        }
        if value.is_some() && block.coroutine && block.generator {
            let message = "'return' with value in async generator";
            return Err(Stop::syntax(message, loc));
        }
        let statement = loc;
        let expr = value.map(|value| self.ast.expr(value));
        let constant = match expr.map(|expr| expr.kind) {
            None => Some(Constant::None),
            Some(ExprKind::Constant { value, .. }) => Some(value),
            Some(_) => None,
        };
        match (value, expr) {
            (Some(value), _) if constant.is_none() => self.expression(value)?,
            (_, Some(expr)) => {
                loc = expr.loc;
                self.op(loc, Op::Nop);
            }
            _ => {}
        }
        if expr.is_none_or(|expr| expr.loc.line != statement.line) {
            loc = statement;
            self.op(loc, Op::Nop);
        }
        self.unwind_blocks(&mut loc, constant.is_none(), false)?;
        if let Some(constant) = constant {
            self.load_const(loc, constant);
        }
        self.op(loc, Op::ReturnValue);
        Ok(())
    }

    fn break_statement(&mut self, statement: Loc) -> Pass<()> {
        let mut loc = statement;
        self.op(loc, Op::Nop);
        let around = self.unwind_blocks(&mut loc, false, true)?;
        let Some(block) = around else {
            return Err(Stop::syntax("'break' outside loop", statement));
        };
        self.unwind_block(&mut loc, block, false)?;
        if let FrameBlockKind::ForLoop { exit, .. } | FrameBlockKind::WhileLoop { exit, .. } =
            block.kind
        {
            self.jump(loc, Op::Jump, exit);
        }
        Ok(())
    }

    fn continue_statement(&mut self, statement: Loc) -> Pass<()> {
        let mut loc = statement;
        self.op(loc, Op::Nop);
        let around = self.unwind_blocks(&mut loc, false, true)?;
        let Some(block) = around else {
            return Err(Stop::syntax("'continue' not properly in loop", statement));
        };
        if let FrameBlockKind::ForLoop { start, .. } | FrameBlockKind::WhileLoop { start, .. } =
            block.kind
        {
            self.jump(loc, Op::Jump, start);
        }
        Ok(())
    }

    fn raise(&mut self, loc: Loc, exc: Option<ExprId>, cause: Option<ExprId>) -> Pass<()> {
        let mut count = 0;
        if let Some(exc) = exc {
            self.expression(exc)?;
            count += 1;
            if let Some(cause) = cause {
                self.expression(cause)?;
                count += 1;
            }
        }
        self.op_arg(loc, Op::RaiseVarargs, count);
        Ok(())
    }

    fn assert(&mut self, loc: Loc, test: ExprId, msg: Option<ExprId>) -> Pass<()> {
        if self.level != Level::O0 {
            return Ok(());
        }
        let end = self.label();
        self.jump_if(loc, test, end, true)?;
        if self.since(14) {
            self.op_arg(loc, Op::LoadCommonConstant, common::ASSERTION_ERROR);
        } else {
            self.op(loc, Op::LoadAssertionError);
        }
        if let Some(msg) = msg {
            self.expression(msg)?;
            self.op_arg(loc, Op::Call, 0);
        }
        self.op_arg(self.ast.expr(test).loc, Op::RaiseVarargs, 1);
        self.place(end);
        Ok(())
    }

    /// Whether variables are annotated in these statements, but not in functions or classes inside.
    pub(super) fn has_annotations(&self, list: StmtList) -> bool {
        let ast = self.ast;
        let mut todo: Vec<StmtList> = vec![list];
        while let Some(list) = todo.pop() {
            for &id in ast.slice(list) {
                let Stmt { kind, .. } = ast.stmt(id);
                match kind {
                    StmtKind::AnnAssign { .. } => return true,
                    StmtKind::For { body, orelse, .. }
                    | StmtKind::While { body, orelse, .. }
                    | StmtKind::If { body, orelse, .. } => todo.extend([body, orelse]),
                    StmtKind::With { body, .. } => todo.push(body),
                    StmtKind::Try(id) => {
                        let parts = ast.get(id);
                        todo.extend([parts.body, parts.orelse, parts.finalbody]);
                        todo.extend(ast.slice(parts.handlers).iter().map(|part| part.body));
                    }
                    StmtKind::Match { cases, .. } => {
                        todo.extend(ast.slice(cases).iter().map(|case| case.body));
                    }
                    StmtKind::FunctionDef(_)
                    | StmtKind::ClassDef(_)
                    | StmtKind::Return { .. }
                    | StmtKind::Delete { .. }
                    | StmtKind::Assign { .. }
                    | StmtKind::TypeAlias { .. }
                    | StmtKind::AugAssign { .. }
                    | StmtKind::Raise { .. }
                    | StmtKind::Assert { .. }
                    | StmtKind::Import { .. }
                    | StmtKind::ImportFrom { .. }
                    | StmtKind::Global { .. }
                    | StmtKind::Nonlocal { .. }
                    | StmtKind::Expr { .. }
                    | StmtKind::Pass
                    | StmtKind::Break
                    | StmtKind::Continue => {}
                }
            }
        }
        false
    }
}
