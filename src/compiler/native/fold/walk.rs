//! The walk of folding over the tree, children before parents.

use super::Folder;
use crate::compiler::native::ast::{
    Arg, Arguments, CmpOp, Comprehension, Constant, Ctx, ExprId, ExprKind, ExprList, Id, Keyword,
    List, Node, PatternId, PatternKind, StmtId, StmtKind, StmtList, TypeParamKind, TypeParamList,
};
use crate::compiler::native::error::Pass;
use crate::pyc::Level;

impl Folder<'_> {
    /// Visits each child of a list; the list itself may not change meanwhile.
    fn each<T: Node>(
        &mut self,
        list: List<T>,
        mut visit: impl FnMut(&mut Self, T) -> Pass<()>,
    ) -> Pass<()> {
        for at in 0..list.len() {
            if let Some(&child) = self.ast.slice(list).get(at) {
                visit(self, child)?;
            }
        }
        Ok(())
    }

    pub(super) fn stmts(&mut self, list: StmtList) -> Pass<()> {
        self.each(list, Self::stmt)
    }

    fn exprs(&mut self, list: ExprList) -> Pass<()> {
        self.each(list, Self::expr)
    }

    fn opt_expr(&mut self, id: Option<ExprId>) -> Pass<()> {
        match id {
            Some(id) => self.expr(id),
            None => Ok(()),
        }
    }

    fn annotation(&mut self, id: Option<ExprId>) -> Pass<()> {
        if self.keep_annotations {
            return Ok(());
        }
        self.opt_expr(id)
    }

    fn stmt(&mut self, id: StmtId) -> Pass<()> {
        match self.ast.stmt(id).kind {
            StmtKind::FunctionDef(node) => self.deeper(|this| {
                let function = *this.ast.get(node);
                this.type_params(function.type_params)?;
                this.arguments(function.args)?;
                let body = this.body(function.body)?;
                this.ast.get_mut(node).body = body;
                this.exprs(function.decorators)?;
                this.annotation(function.returns)
            }),
            StmtKind::ClassDef(node) => self.deeper(|this| {
                let class = *this.ast.get(node);
                this.type_params(class.type_params)?;
                this.exprs(class.bases)?;
                this.keywords(class.keywords)?;
                let body = this.body(class.body)?;
                this.ast.get_mut(node).body = body;
                this.exprs(class.decorators)
            }),
            StmtKind::Return { value } => self.opt_expr(value),
            StmtKind::Delete { targets } => self.exprs(targets),
            StmtKind::Assign { targets, value } => {
                self.exprs(targets)?;
                self.expr(value)
            }
            StmtKind::TypeAlias {
                name,
                type_params,
                value,
            } => {
                self.expr(name)?;
                self.type_params(type_params)?;
                self.expr(value)
            }
            StmtKind::AugAssign { target, value, .. } => {
                self.expr(target)?;
                self.expr(value)
            }
            StmtKind::AnnAssign {
                target,
                annotation,
                value,
                ..
            } => {
                self.expr(target)?;
                self.annotation(Some(annotation))?;
                self.opt_expr(value)
            }
            StmtKind::For {
                target,
                iter,
                body,
                orelse,
                is_async,
            } => self.deeper(|this| {
                this.expr(target)?;
                this.expr(iter)?;
                this.stmts(body)?;
                this.stmts(orelse)?;
                if !is_async {
                    this.iterable(iter);
                }
                Ok(())
            }),
            StmtKind::While { test, body, orelse } | StmtKind::If { test, body, orelse } => self
                .deeper(|this| {
                    this.expr(test)?;
                    this.stmts(body)?;
                    this.stmts(orelse)
                }),
            StmtKind::With { items, body, .. } => self.deeper(|this| {
                this.each(items, |this, item| {
                    this.expr(item.context)?;
                    this.opt_expr(item.vars)
                })?;
                this.stmts(body)
            }),
            StmtKind::Match { subject, cases } => self.deeper(|this| {
                this.expr(subject)?;
                this.each(cases, |this, case| {
                    this.pattern(case.pattern)?;
                    this.opt_expr(case.guard)?;
                    this.stmts(case.body)
                })
            }),
            StmtKind::Raise { exc, cause } => {
                self.opt_expr(exc)?;
                self.opt_expr(cause)
            }
            StmtKind::Try(node) => self.deeper(|this| {
                let node = *this.ast.get(node);
                this.stmts(node.body)?;
                this.each(node.handlers, |this, handler| {
                    this.opt_expr(handler.typ)?;
                    this.stmts(handler.body)
                })?;
                this.stmts(node.orelse)?;
                this.stmts(node.finalbody)
            }),
            StmtKind::Assert { test, msg } => {
                self.expr(test)?;
                self.opt_expr(msg)
            }
            StmtKind::Expr { value } => self.expr(value),
            StmtKind::Import { .. }
            | StmtKind::ImportFrom { .. }
            | StmtKind::Global { .. }
            | StmtKind::Nonlocal { .. }
            | StmtKind::Pass
            | StmtKind::Break
            | StmtKind::Continue => Ok(()),
        }
    }

    fn keywords(&mut self, keywords: List<Keyword>) -> Pass<()> {
        self.each(keywords, |this, keyword| this.expr(keyword.value))
    }

    fn type_params(&mut self, params: TypeParamList) -> Pass<()> {
        self.each(params, |this, param| {
            if let TypeParamKind::TypeVar { bound } = param.kind {
                this.opt_expr(bound)?;
            }
            this.opt_expr(param.default)
        })
    }

    fn arguments(&mut self, id: Id<Arguments>) -> Pass<()> {
        let args = *self.ast.get(id);
        let annotation = |this: &mut Self, arg: Arg| this.annotation(arg.annotation);
        self.each(args.posonlyargs, annotation)?;
        self.each(args.args, annotation)?;
        for arg in [args.vararg, args.kwarg].into_iter().flatten() {
            let arg = *self.ast.get(arg);
            self.annotation(arg.annotation)?;
        }
        self.each(args.kwonlyargs, annotation)?;
        self.each(args.kw_defaults, Self::opt_expr)?;
        self.exprs(args.defaults)
    }

    fn comprehensions(&mut self, generators: List<Comprehension>) -> Pass<()> {
        self.each(generators, |this, generator| {
            this.expr(generator.target)?;
            this.expr(generator.iter)?;
            this.exprs(generator.ifs)?;
            this.iterable(generator.iter);
            Ok(())
        })
    }

    fn pattern(&mut self, id: PatternId) -> Pass<()> {
        self.deeper(|this| match this.ast.pattern(id).kind {
            PatternKind::Value { value } => {
                this.expr(value)?;
                this.pattern_number(value)
            }
            PatternKind::Singleton { .. } | PatternKind::Star { .. } => Ok(()),
            PatternKind::Sequence { patterns } | PatternKind::Or { patterns } => {
                this.each(patterns, Self::pattern)
            }
            PatternKind::Mapping { keys, patterns, .. } => {
                this.each(keys, |this, key| {
                    this.expr(key)?;
                    this.pattern_number(key)
                })?;
                this.each(patterns, Self::pattern)
            }
            PatternKind::Class {
                cls,
                patterns,
                kwd_patterns,
                ..
            } => {
                this.expr(cls)?;
                this.each(patterns, Self::pattern)?;
                this.each(kwd_patterns, Self::pattern)
            }
            PatternKind::As { pattern, .. } => match pattern {
                Some(pattern) => this.pattern(pattern),
                None => Ok(()),
            },
        })
    }

    fn expr(&mut self, id: ExprId) -> Pass<()> {
        match self.ast.expr(id).kind {
            // Leaves first: they need no depth guard.
            ExprKind::Constant { .. } => Ok(()),
            ExprKind::Name { id: name, ctx } => {
                if ctx == Ctx::Load && name == self.debug {
                    self.set_constant(id, Constant::Bool(self.level == Level::O0));
                }
                Ok(())
            }
            kind => self.deeper(|this| this.inner(id, kind)),
        }
    }

    fn inner(&mut self, id: ExprId, kind: ExprKind) -> Pass<()> {
        match kind {
            ExprKind::BoolOp { values, .. }
            | ExprKind::JoinedStr { values }
            | ExprKind::TemplateStr { values } => self.exprs(values),
            ExprKind::NamedExpr { value, .. } => self.expr(value),
            ExprKind::BinOp { left, op, right } => {
                self.expr(left)?;
                self.expr(right)?;
                self.binop(id, left, op, right)
            }
            ExprKind::UnaryOp { op, operand } => {
                self.expr(operand)?;
                self.unary(id, op, operand)
            }
            ExprKind::Lambda { args, body } => {
                self.arguments(args)?;
                self.expr(body)
            }
            ExprKind::IfExp { test, body, orelse } => {
                self.expr(test)?;
                self.expr(body)?;
                self.expr(orelse)
            }
            ExprKind::Dict { keys, values } => {
                self.each(keys, Self::opt_expr)?;
                self.exprs(values)
            }
            ExprKind::Set { elts } | ExprKind::List { elts, .. } => self.exprs(elts),
            ExprKind::ListComp { elt, generators }
            | ExprKind::SetComp { elt, generators }
            | ExprKind::GeneratorExp { elt, generators } => {
                self.expr(elt)?;
                self.comprehensions(generators)
            }
            ExprKind::DictComp {
                key,
                value,
                generators,
            } => {
                self.expr(key)?;
                self.expr(value)?;
                self.comprehensions(generators)
            }
            ExprKind::Yield { value } => self.opt_expr(value),
            ExprKind::Await { value }
            | ExprKind::YieldFrom { value }
            | ExprKind::Attribute { value, .. }
            | ExprKind::Starred { value, .. } => self.expr(value),
            ExprKind::Compare {
                left,
                ops,
                comparators,
            } => {
                self.expr(left)?;
                self.exprs(comparators)?;
                let last = (
                    self.ast.slice(ops).last().copied(),
                    self.ast.slice(comparators).last().copied(),
                );
                if let (Some(CmpOp::In | CmpOp::NotIn), Some(container)) = last {
                    self.iterable(container);
                }
                Ok(())
            }
            ExprKind::Call {
                func,
                args,
                keywords,
            } => {
                self.expr(func)?;
                self.exprs(args)?;
                self.keywords(keywords)
            }
            ExprKind::FormattedValue {
                value, format_spec, ..
            }
            | ExprKind::Interpolation {
                value, format_spec, ..
            } => {
                self.expr(value)?;
                self.opt_expr(format_spec)
            }
            ExprKind::Subscript { value, slice, ctx } => {
                self.expr(value)?;
                self.expr(slice)?;
                self.subscript(id, value, slice, ctx)
            }
            ExprKind::Tuple { elts, ctx } => {
                self.exprs(elts)?;
                self.tuple(id, elts, ctx);
                Ok(())
            }
            ExprKind::Slice { lower, upper, step } => {
                self.opt_expr(lower)?;
                self.opt_expr(upper)?;
                self.opt_expr(step)
            }
            ExprKind::Constant { .. } | ExprKind::Name { .. } => Ok(()),
        }
    }
}
