//! `all`, `any` and `tuple` of a generator expression (3.14): a loop in place of the call, if the name
//! still means the builtin function when it is called.

use super::Compiler;
use super::intrinsic::{common, one};
use crate::compiler::native::ast::{
    CmpOp, Constant, Expr, ExprId, ExprKind, ExprList, Keyword, List,
};
use crate::compiler::native::error::{Loc, Pass};
use crate::compiler::native::instruction::Label;
use crate::compiler::native::opcode::Op;
use crate::compiler::native::symtable::BlockKey;

/// One of the functions.
#[derive(Clone, Copy)]
struct Builtin {
    /// Its number among the common constants.
    number: u32,
    /// Of `all` and `any`: the value as long as no item decides.
    initial: Option<bool>,
}

impl Compiler<'_> {
    /// With the function on the stack: emits the loop. Returns where the ordinary call, which has to
    /// follow, ends; `None` if the call is none of these.
    pub(super) fn inlined_call(
        &mut self,
        func: ExprId,
        args: ExprList,
        keywords: List<Keyword>,
    ) -> Pass<Option<Label>> {
        let ast = self.ast;
        let Expr { kind, loc } = ast.expr(func);
        let (ExprKind::Name { id, .. }, &[arg]) = (kind, ast.slice(args)) else {
            return Ok(None);
        };
        let is_generator = matches!(ast.expr(arg).kind, ExprKind::GeneratorExp { .. });
        if !self.since(14) || !keywords.is_empty() || !is_generator {
            return Ok(None);
        }
        let block = self.block_of(BlockKey::Expr(arg))?;
        if self.table.block(block).coroutine {
            return Ok(None);
        }
        let builtin = match self.pool.text(id) {
            b"all" => Builtin {
                number: common::ALL,
                initial: Some(true),
            },
            b"any" => Builtin {
                number: common::ANY,
                initial: Some(false),
            },
            b"tuple" => Builtin {
                number: common::TUPLE,
                initial: None,
            },
            _ => return Ok(None),
        };
        let end = self.label();
        self.inline(loc, arg, builtin, end)?;
        Ok(Some(end))
    }

    fn inline(&mut self, loc: Loc, generator: ExprId, builtin: Builtin, end: Label) -> Pass<()> {
        let ordinary = self.label();
        let again = self.label();
        let cleanup = self.label();
        self.op_arg(loc, Op::Copy, 1);
        self.op_arg(loc, Op::LoadCommonConstant, builtin.number);
        self.compare_op(loc, CmpOp::Is);
        self.jump(loc, Op::PopJumpIfFalse, ordinary);
        self.op(loc, Op::PopTop);
        if builtin.initial.is_none() {
            self.op_arg(loc, Op::BuildList, 0);
        }
        self.expression(generator)?;
        self.place(again);
        self.jump(loc, Op::ForIter, cleanup);
        match builtin.initial {
            None => {
                self.op_arg(loc, Op::ListAppend, 2);
                self.jump(loc, Op::Jump, again);
            }
            Some(initial) => {
                self.op(loc, Op::ToBool);
                let jump = if initial {
                    Op::PopJumpIfTrue
                } else {
                    Op::PopJumpIfFalse
                };
                self.jump(loc, jump, again);
            }
        }
        self.op(Loc::NONE, Op::PopIter);
        if let Some(initial) = builtin.initial {
            self.load_const(loc, Constant::Bool(!initial));
        }
        self.jump(loc, Op::Jump, end);
        self.place(cleanup);
        self.op(Loc::NONE, Op::EndFor);
        self.op(Loc::NONE, Op::PopIter);
        match builtin.initial {
            None => self.op_arg(loc, Op::CallIntrinsic1, one::LIST_TO_TUPLE),
            Some(initial) => self.load_const(loc, Constant::Bool(initial)),
        }
        self.jump(loc, Op::Jump, end);
        self.place(ordinary);
        Ok(())
    }
}
