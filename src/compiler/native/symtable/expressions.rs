//! The walk over expressions.

use super::build::Builder;
use super::scope::{BlockKey, BlockKind, ComprehensionKind, Flags};
use crate::compiler::native::ast::{
    Comprehension, Ctx, Expr, ExprId, ExprKind, ExprList, Keyword, List,
};
use crate::compiler::native::error::{Pass, Stop};

impl Builder<'_> {
    pub(super) fn exprs(&mut self, list: ExprList) -> Pass<()> {
        let ast = self.ast;
        for &id in ast.slice(list) {
            self.expr(id)?;
        }
        Ok(())
    }

    pub(super) fn opt_expr(&mut self, id: Option<ExprId>) -> Pass<()> {
        match id {
            Some(id) => self.expr(id),
            None => Ok(()),
        }
    }

    pub(super) fn keywords(&mut self, keywords: List<Keyword>) -> Pass<()> {
        let ast = self.ast;
        for keyword in ast.slice(keywords) {
            if self.is_314 && keyword.name == Some(self.names.debug) {
                return Err(Stop::syntax("cannot assign to __debug__", keyword.loc));
            }
        }
        for keyword in ast.slice(keywords) {
            self.expr(keyword.value)?;
        }
        Ok(())
    }

    pub(super) fn expr(&mut self, id: ExprId) -> Pass<()> {
        let expr = self.ast.expr(id);
        match expr.kind {
            // Leaves first: they need no depth guard.
            ExprKind::Constant { .. } => Ok(()),
            ExprKind::Name { id, ctx } => self.name(expr, id, ctx),
            _ => self.deeper(|this| this.inner(id, expr)),
        }
    }

    fn name(&mut self, expr: Expr, name: crate::compiler::native::ast::Sym, ctx: Ctx) -> Pass<()> {
        if self.cur_draft().in_unevaluated_annotation {
            return Ok(());
        }
        if self.is_314 && ctx == Ctx::Del && name == self.names.debug {
            return Err(Stop::syntax("cannot delete __debug__", expr.loc));
        }
        let flag = match ctx {
            Ctx::Load => Flags::USE,
            Ctx::Store | Ctx::Del => Flags::LOCAL,
        };
        self.add_def(name, flag, expr.loc)?;
        // A use of `super` is one of `__class__`. In 3.13 an annotation block is no function.
        if ctx == Ctx::Load && name == self.names.super_ {
            let block = self.block(self.cur);
            if block.is_function_like() && (self.is_314 || block.kind != BlockKind::Annotation) {
                self.add_def(self.names.class, Flags::USE, expr.loc)?;
            }
        }
        Ok(())
    }

    fn inner(&mut self, id: ExprId, expr: Expr) -> Pass<()> {
        let ast = self.ast;
        match expr.kind {
            ExprKind::NamedExpr { target, value } => {
                self.forbid_in_annotations("named expression", expr)?;
                self.named_expr(expr, target, value)
            }
            ExprKind::BoolOp { values, .. }
            | ExprKind::JoinedStr { values }
            | ExprKind::TemplateStr { values } => self.exprs(values),
            ExprKind::BinOp { left, right, .. } => {
                self.expr(left)?;
                self.expr(right)
            }
            ExprKind::UnaryOp { operand, .. } => self.expr(operand),
            ExprKind::Lambda { args, body } => {
                let arguments = *ast.get(args);
                self.defaults(&arguments)?;
                let name = self.names.lambda;
                self.enter(name, BlockKind::Function, BlockKey::Expr(id), expr.loc)?;
                self.parameters(args)?;
                self.expr(body)?;
                self.exit();
                Ok(())
            }
            ExprKind::IfExp { test, body, orelse } => {
                self.expr(test)?;
                self.expr(body)?;
                self.expr(orelse)
            }
            ExprKind::Dict { keys, values } => {
                for &key in ast.slice(keys) {
                    self.opt_expr(key)?;
                }
                self.exprs(values)
            }
            ExprKind::Set { elts } | ExprKind::List { elts, .. } | ExprKind::Tuple { elts, .. } => {
                self.exprs(elts)
            }
            ExprKind::ListComp { elt, generators } => {
                self.comprehension(id, expr, ComprehensionKind::List, generators, elt, None)
            }
            ExprKind::SetComp { elt, generators } => {
                self.comprehension(id, expr, ComprehensionKind::Set, generators, elt, None)
            }
            ExprKind::DictComp {
                key,
                value,
                generators,
            } => {
                let kind = ComprehensionKind::Dict;
                self.comprehension(id, expr, kind, generators, key, Some(value))
            }
            ExprKind::GeneratorExp { elt, generators } => {
                let kind = ComprehensionKind::Generator;
                self.comprehension(id, expr, kind, generators, elt, None)
            }
            ExprKind::Yield { value } => {
                self.forbid_in_annotations("yield expression", expr)?;
                self.opt_expr(value)?;
                self.generator(expr)
            }
            ExprKind::YieldFrom { value } => {
                self.forbid_in_annotations("yield expression", expr)?;
                self.expr(value)?;
                self.generator(expr)
            }
            ExprKind::Await { value } => {
                self.forbid_in_annotations("await expression", expr)?;
                if self.is_314 {
                    let block = self.block(self.cur);
                    if !block.is_function_like() {
                        return Err(Stop::syntax("'await' outside function", expr.loc));
                    }
                    let is_async = block.kind == BlockKind::Function && block.coroutine;
                    if !is_async && block.comprehension == ComprehensionKind::None {
                        return Err(Stop::syntax("'await' outside async function", expr.loc));
                    }
                }
                self.expr(value)?;
                self.cur().coroutine = true;
                Ok(())
            }
            ExprKind::Compare {
                left, comparators, ..
            } => {
                self.expr(left)?;
                self.exprs(comparators)
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
            ExprKind::Attribute { value, attr, ctx } => {
                if self.is_314 && attr == self.names.debug {
                    match ctx {
                        Ctx::Store => {
                            return Err(Stop::syntax("cannot assign to __debug__", expr.loc));
                        }
                        Ctx::Del => return Err(Stop::syntax("cannot delete __debug__", expr.loc)),
                        Ctx::Load => {}
                    }
                }
                self.expr(value)
            }
            ExprKind::Subscript { value, slice, .. } => {
                self.expr(value)?;
                self.expr(slice)
            }
            ExprKind::Starred { value, .. } => self.expr(value),
            ExprKind::Slice { lower, upper, step } => {
                self.opt_expr(lower)?;
                self.opt_expr(upper)?;
                self.opt_expr(step)
            }
            ExprKind::Constant { .. } | ExprKind::Name { .. } => Ok(()),
        }
    }

    fn generator(&mut self, expr: Expr) -> Pass<()> {
        let block = self.cur();
        block.generator = true;
        let place = match block.comprehension {
            ComprehensionKind::None => return Ok(()),
            ComprehensionKind::List => "list comprehension",
            ComprehensionKind::Set => "set comprehension",
            ComprehensionKind::Dict => "dict comprehension",
            ComprehensionKind::Generator => "generator expression",
        };
        Err(Stop::syntax(format!("'yield' inside {place}"), expr.loc))
    }

    /// What can't be in annotations and the other scopes of typing.
    fn forbid_in_annotations(&mut self, what: &str, expr: Expr) -> Pass<()> {
        let place = match self.cur_kind() {
            BlockKind::Annotation => "an annotation",
            BlockKind::TypeVariable => self.cur_draft().scope_info.unwrap_or("a TypeVar bound"),
            BlockKind::TypeAlias => "a type alias",
            BlockKind::TypeParameters => "the definition of a generic",
            BlockKind::Function | BlockKind::Class | BlockKind::Module => return Ok(()),
        };
        Err(Stop::syntax(
            format!("{what} cannot be used within {place}"),
            expr.loc,
        ))
    }

    fn named_expr(&mut self, expr: Expr, target: ExprId, value: ExprId) -> Pass<()> {
        if self.cur_draft().comp_iter_expr > 0 {
            let message =
                "assignment expression cannot be used in a comprehension iterable expression";
            return Err(Stop::syntax(message, expr.loc));
        }
        if self.cur().comprehension != ComprehensionKind::None {
            self.extend_named_expr_scope(target)?;
        }
        self.expr(value)?;
        self.expr(target)
    }

    /// The target of `:=` in a comprehension belongs to the nearest scope that is none.
    fn extend_named_expr_scope(&mut self, target: ExprId) -> Pass<()> {
        let node = self.ast.expr(target);
        let loc = node.loc;
        let ExprKind::Name { id: name, .. } = node.kind else {
            return Err(Stop::unsure("an assignment expression to what is no name"));
        };
        for at in (0..self.stack.len()).rev() {
            let Some(&block) = self.stack.get(at) else {
                break;
            };
            if self.block(block).comprehension != ComprehensionKind::None {
                let flags = self.lookup(block, name);
                if flags.any(Flags::COMP_ITER) && flags.any(Flags::LOCAL) {
                    let message = format!(
                        "assignment expression cannot rebind comprehension iteration variable {}",
                        self.quoted(name)
                    );
                    return Err(Stop::syntax(message, loc));
                }
                continue;
            }
            let place = match self.block(block).kind {
                BlockKind::Function => {
                    let flag = if self.lookup(block, name).any(Flags::GLOBAL) {
                        Flags::GLOBAL
                    } else {
                        Flags::NONLOCAL
                    };
                    self.add_def(name, flag, loc)?;
                    self.record_directive(name, loc);
                    return self.add_def_in(name, Flags::LOCAL, block, loc);
                }
                BlockKind::Module => {
                    self.add_def(name, Flags::GLOBAL, loc)?;
                    self.record_directive(name, loc);
                    return self.add_def_in(name, Flags::GLOBAL, block, loc);
                }
                BlockKind::Class => "cannot be used in a class body",
                BlockKind::TypeParameters => "cannot be used within the definition of a generic",
                BlockKind::TypeAlias => "cannot be used in a type alias",
                BlockKind::TypeVariable => "cannot be used in a TypeVar bound",
                BlockKind::Annotation => continue,
            };
            let message = format!("assignment expression within a comprehension {place}");
            return Err(Stop::syntax(message, loc));
        }
        Err(Stop::unsure("an assignment expression without a scope"))
    }

    fn comprehension(
        &mut self,
        id: ExprId,
        expr: Expr,
        kind: ComprehensionKind,
        generators: List<Comprehension>,
        elt: ExprId,
        value: Option<ExprId>,
    ) -> Pass<()> {
        let ast = self.ast;
        let is_generator = kind == ComprehensionKind::Generator;
        let name = match kind {
            ComprehensionKind::List => self.names.listcomp,
            ComprehensionKind::Set => self.names.setcomp,
            ComprehensionKind::Dict => self.names.dictcomp,
            ComprehensionKind::Generator | ComprehensionKind::None => self.names.genexpr,
        };
        let [outermost, rest @ ..] = ast.slice(generators) else {
            return Err(Stop::unsure("a comprehension without a generator"));
        };
        // The first iterable is evaluated in the scope around.
        self.cur_draft().comp_iter_expr += 1;
        self.expr(outermost.iter)?;
        self.cur_draft().comp_iter_expr -= 1;
        self.enter(name, BlockKind::Function, BlockKey::Expr(id), expr.loc)?;
        self.cur().comprehension = kind;
        if outermost.is_async {
            self.cur().coroutine = true;
        }
        self.add_def(self.names.dot_zero, Flags::PARAM, expr.loc)?;
        self.cur_draft().comp_iter_target = true;
        self.expr(outermost.target)?;
        self.cur_draft().comp_iter_target = false;
        self.exprs(outermost.ifs)?;
        for generator in rest {
            self.cur_draft().comp_iter_target = true;
            self.expr(generator.target)?;
            self.cur_draft().comp_iter_target = false;
            self.cur_draft().comp_iter_expr += 1;
            self.expr(generator.iter)?;
            self.cur_draft().comp_iter_expr -= 1;
            self.exprs(generator.ifs)?;
            if generator.is_async {
                self.cur().coroutine = true;
            }
        }
        self.opt_expr(value)?;
        self.expr(elt)?;
        self.cur().generator = is_generator;
        let is_async = self.cur().coroutine && !is_generator;
        self.exit();
        if is_async {
            let block = self.block(self.cur);
            let in_async_def = block.kind == BlockKind::Function && block.coroutine;
            if self.is_314 && !in_async_def && block.comprehension == ComprehensionKind::None {
                let message = "asynchronous comprehension outside of an asynchronous function";
                return Err(Stop::syntax(message, expr.loc));
            }
            self.cur().coroutine = true;
        }
        Ok(())
    }
}
