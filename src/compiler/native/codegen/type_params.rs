//! Type parameters and `type` statements (PEP 695, PEP 696).

use super::Compiler;
use super::intrinsic::{function, one, two};
use super::unit::ScopeType;
use crate::compiler::native::ast::{
    Constant, Ctx, Expr, ExprId, ExprKind, StmtId, Sym, TypeParam, TypeParamId, TypeParamKind,
    TypeParamList,
};
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::opcode::Op;
use crate::compiler::native::symtable::{BlockId, BlockKey};

impl Compiler<'_> {
    /// Begins the scope of the type parameters of a definition.
    pub(super) fn enter_type_params(&mut self, id: StmtId, name: Sym, line: i32) -> Pass<()> {
        let text = [b"<generic parameters of ", self.pool.text(name), b">"].concat();
        let scope_name = self.pool.sym_bytes(&text);
        let block = self.block_of(BlockKey::TypeParams(id))?;
        self.enter(block, scope_name, ScopeType::TypeParams, line)
    }

    /// Makes a tuple of the type parameters, and binds each.
    pub(super) fn type_params(&mut self, list: TypeParamList) -> Pass<()> {
        let ast = self.ast;
        let mut seen_default = false;
        for (id, param) in list.ids().zip(ast.slice(list)) {
            let loc = param.loc;
            self.load_name_const(loc, param.name);
            self.type_param_object(id, param)?;
            if let Some(default) = param.default {
                seen_default = true;
                let starred = matches!(param.kind, TypeParamKind::TypeVarTuple);
                let key = BlockKey::TypeParamDefault(id);
                self.evaluator(key, param.name, default, starred)?;
                let number = two::SET_TYPEPARAM_DEFAULT;
                self.op_arg(loc, Op::CallIntrinsic2, number);
            } else if seen_default {
                let message = format!(
                    "non-default type parameter '{}' follows default type parameter",
                    self.text_of(param.name)
                );
                return Err(Stop::syntax(message, loc));
            }
            self.op_arg(loc, Op::Copy, 1);
            self.name_op(loc, param.name, Ctx::Store)?;
        }
        if let Some(first) = ast.slice(list).first() {
            self.op_count(first.loc, Op::BuildTuple, list.len());
        }
        Ok(())
    }

    fn type_param_object(&mut self, id: TypeParamId, param: &TypeParam) -> Pass<()> {
        let loc = param.loc;
        let number = match param.kind {
            TypeParamKind::TypeVar { bound: Some(bound) } => {
                self.evaluator(BlockKey::TypeParamBound(id), param.name, bound, false)?;
                let is_tuple = matches!(self.ast.expr(bound).kind, ExprKind::Tuple { .. });
                let number = if is_tuple {
                    two::TYPEVAR_WITH_CONSTRAINTS
                } else {
                    two::TYPEVAR_WITH_BOUND
                };
                self.op_arg(loc, Op::CallIntrinsic2, number);
                return Ok(());
            }
            TypeParamKind::TypeVar { bound: None } => one::TYPEVAR,
            TypeParamKind::ParamSpec => one::PARAMSPEC,
            TypeParamKind::TypeVarTuple => one::TYPEVARTUPLE,
        };
        self.op_arg(loc, Op::CallIntrinsic1, number);
        Ok(())
    }

    /// A function that evaluates a bound or default when it is asked for.
    fn evaluator(&mut self, key: BlockKey, name: Sym, value: ExprId, starred: bool) -> Pass<()> {
        let Expr { kind, loc } = self.ast.expr(value);
        let block = self.block_of(key)?;
        let flags = self.enter_evaluator(loc, block, name, ScopeType::TypeParams)?;
        match kind {
            ExprKind::Starred { value, .. } if starred => {
                self.expression(value)?;
                self.op_arg(loc, Op::UnpackSequence, 1);
            }
            _ => self.expression(value)?,
        }
        self.op(loc, Op::ReturnValue);
        let code = self.leave(true)?;
        self.make_closure(loc, &code, flags)
    }

    /// Begins a function that is called when its value is asked for. From 3.14 on it takes a format,
    /// by default `VALUE`. Returns the flags of what is on the stack.
    fn enter_evaluator(
        &mut self,
        loc: Loc,
        block: BlockId,
        name: Sym,
        before_3_14: ScopeType,
    ) -> Pass<u32> {
        if self.since(14) {
            let defaults = self.pool.tuple_constant(&[Constant::Int(1)]);
            self.load_const(loc, defaults);
            self.enter_annotations(loc, block, name)?;
            return Ok(function::DEFAULTS);
        }
        self.enter(block, name, before_3_14, loc.line)?;
        Ok(0)
    }

    pub(super) fn type_alias(
        &mut self,
        id: StmtId,
        loc: Loc,
        name: ExprId,
        type_params: TypeParamList,
        value: ExprId,
    ) -> Pass<()> {
        let ExprKind::Name { id: name, .. } = self.ast.expr(name).kind else {
            return Err(Stop::unsure("internal: a type alias without name"));
        };
        let is_generic = !type_params.is_empty();
        if is_generic {
            self.enter_type_params(id, name, loc.line)?;
            self.load_name_const(loc, name);
            self.type_params(type_params)?;
        } else {
            self.load_name_const(loc, name);
            self.load_none(loc);
        }
        self.type_alias_body(id, loc, name, value)?;
        if is_generic {
            let code = self.leave(false)?;
            self.make_closure(loc, &code, 0)?;
            self.op(loc, Op::PushNull);
            self.op_arg(loc, Op::Call, 0);
        }
        self.name_op(loc, name, Ctx::Store)
    }

    fn type_alias_body(&mut self, id: StmtId, loc: Loc, name: Sym, value: ExprId) -> Pass<()> {
        let block = self.block_of(BlockKey::Stmt(id))?;
        let flags = self.enter_evaluator(loc, block, name, ScopeType::Function)?;
        self.no_docstring();
        self.expression(value)?;
        self.op(loc, Op::ReturnValue);
        let code = self.leave(false)?;
        self.make_closure(loc, &code, flags)?;
        self.op_arg(loc, Op::BuildTuple, 3);
        self.op_arg(loc, Op::CallIntrinsic1, one::TYPEALIAS);
        Ok(())
    }
}
