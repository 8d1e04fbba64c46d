//! Lowering of statements.

use super::{Lowering, MAX_ELIFS};
use crate::compiler::native::ast::{
    Alias, Arg, Arguments, ClassDef, ExceptHandler, ExprId, FunctionDef, Id, Keyword, List,
    MatchCase, Operator, Stmt, StmtId, StmtKind, StmtList, Try, TypeParam, TypeParamKind,
    TypeParamList, WithItem,
};
use crate::compiler::native::error::{Pass, Stop};
use crate::compiler::native::parse::FREED_TOGETHER;
use ruff_python_ast as ruff;
use ruff_text_size::{Ranged, TextRange, TextSize};

impl Lowering<'_, '_> {
    /// A body, and where it ends: behind the `;` of its last statement, if that has one.
    pub(super) fn suite(&mut self, body: &mut [ruff::Stmt]) -> Pass<(StmtList, TextSize)> {
        let base = self.stmt_stack.len();
        let mut end = TextSize::default();
        let is_long = body.len() > FREED_TOGETHER;
        let ends_simply = body.last().is_some_and(is_simple);
        for stmt in body {
            let (id, stmt_end) = self.stmt(stmt)?;
            self.stmt_stack.push(id);
            end = stmt_end;
            if is_long {
                let nothing = ruff::Stmt::Pass(ruff::StmtPass {
                    node_index: ruff::AtomicNodeIndex::NONE,
                    range: TextRange::default(),
                });
                self.discarded.push(std::mem::replace(stmt, nothing));
            }
        }
        if ends_simply {
            end = self.end_with_semicolon(end);
        }
        let list = self
            .ast
            .list(self.stmt_stack.get(base..).unwrap_or_default())?;
        self.stmt_stack.truncate(base);
        Ok((list, end))
    }

    /// A statement and the offset behind its last token.
    pub(super) fn stmt(&mut self, stmt: &mut ruff::Stmt) -> Pass<(StmtId, TextSize)> {
        let range = stmt.range();
        let start = (range.start(), self.lines.place(range.start()));
        let (kind, range) = match stmt {
            ruff::Stmt::FunctionDef(_)
            | ruff::Stmt::ClassDef(_)
            | ruff::Stmt::For(_)
            | ruff::Stmt::While(_)
            | ruff::Stmt::If(_)
            | ruff::Stmt::With(_)
            | ruff::Stmt::Match(_)
            | ruff::Stmt::Try(_) => self.deeper(|this| this.compound(stmt))?,
            ruff::Stmt::Return(node) => {
                let value = self.opt_expr(node.value.as_deref())?;
                (StmtKind::Return { value }, range)
            }
            ruff::Stmt::Delete(node) => {
                let targets = self.exprs(&node.targets)?;
                (StmtKind::Delete { targets }, range)
            }
            ruff::Stmt::TypeAlias(node) => {
                let name = self.expr(&node.name)?;
                let type_params = self.type_params(node.type_params.as_deref())?;
                let value = self.expr(&node.value)?;
                let kind = StmtKind::TypeAlias {
                    name,
                    type_params,
                    value,
                };
                (kind, range)
            }
            ruff::Stmt::Assign(node) => {
                let targets = self.exprs(&node.targets)?;
                let value = self.expr(&node.value)?;
                (StmtKind::Assign { targets, value }, range)
            }
            ruff::Stmt::AugAssign(node) => {
                let target = self.expr(&node.target)?;
                let op = operator(node.op);
                let value = self.expr(&node.value)?;
                (StmtKind::AugAssign { target, op, value }, range)
            }
            ruff::Stmt::AnnAssign(node) => {
                let target = self.expr(&node.target)?;
                let annotation = self.annotation(&node.annotation)?;
                let value = self.opt_expr(node.value.as_deref())?;
                let kind = StmtKind::AnnAssign {
                    target,
                    annotation,
                    value,
                    simple: node.simple,
                };
                (kind, range)
            }
            ruff::Stmt::Raise(node) => {
                let exc = self.opt_expr(node.exc.as_deref())?;
                let cause = self.opt_expr(node.cause.as_deref())?;
                (StmtKind::Raise { exc, cause }, range)
            }
            ruff::Stmt::Assert(node) => {
                let test = self.expr(&node.test)?;
                let msg = self.opt_expr(node.msg.as_deref())?;
                (StmtKind::Assert { test, msg }, range)
            }
            ruff::Stmt::Import(node) => {
                if node.is_lazy {
                    return Err(Stop::unsure("a lazy import"));
                }
                let names = self.aliases(&node.names)?;
                (StmtKind::Import { names }, range)
            }
            ruff::Stmt::ImportFrom(node) => {
                if node.is_lazy {
                    return Err(Stop::unsure("a lazy import"));
                }
                let module = self.opt_identifier(node.module.as_ref())?;
                let names = self.aliases(&node.names)?;
                let kind = StmtKind::ImportFrom {
                    module,
                    names,
                    level: node.level,
                };
                (kind, range)
            }
            ruff::Stmt::Global(node) => {
                let names = self.names(&node.names)?;
                (StmtKind::Global { names }, range)
            }
            ruff::Stmt::Nonlocal(node) => {
                let names = self.names(&node.names)?;
                (StmtKind::Nonlocal { names }, range)
            }
            ruff::Stmt::Expr(node) => {
                let value = self.expr(&node.value)?;
                (StmtKind::Expr { value }, range)
            }
            ruff::Stmt::Pass(_) => (StmtKind::Pass, range),
            ruff::Stmt::Break(_) => (StmtKind::Break, range),
            ruff::Stmt::Continue(_) => (StmtKind::Continue, range),
            ruff::Stmt::IpyEscapeCommand(_) => {
                return Err(Stop::unsure("an IPython escape command"));
            }
        };
        let loc = if range.start() == start.0 {
            self.lines.loc_from(start.1, range.end())
        } else {
            self.loc(range)
        };
        let id = self.ast.add(Stmt { kind, loc })?;
        Ok((id, range.end()))
    }

    fn compound(&mut self, stmt: &mut ruff::Stmt) -> Pass<(StmtKind, TextRange)> {
        let range = stmt.range();
        let start = range.start();
        let (kind, start, end) = match stmt {
            ruff::Stmt::FunctionDef(node) => return self.function(node),
            ruff::Stmt::ClassDef(node) => return self.class(node),
            ruff::Stmt::For(node) => {
                let target = self.expr(&node.target)?;
                let iter = self.expr(&node.iter)?;
                let (body, body_end) = self.suite(&mut node.body)?;
                let (orelse, end) = self.last_suite(&mut node.orelse, body_end)?;
                let kind = StmtKind::For {
                    target,
                    iter,
                    body,
                    orelse,
                    is_async: node.is_async,
                };
                (kind, start, end)
            }
            ruff::Stmt::While(node) => {
                let test = self.expr(&node.test)?;
                let (body, body_end) = self.suite(&mut node.body)?;
                let (orelse, end) = self.last_suite(&mut node.orelse, body_end)?;
                (StmtKind::While { test, body, orelse }, start, end)
            }
            ruff::Stmt::If(node) => {
                let (kind, end) = self.if_chain(node)?;
                (kind, start, end)
            }
            ruff::Stmt::With(node) => {
                let mut items = Vec::with_capacity(node.items.len());
                for item in &node.items {
                    let context = self.expr(&item.context_expr)?;
                    let vars = self.opt_expr(item.optional_vars.as_deref())?;
                    items.push(WithItem { context, vars });
                }
                let items = self.ast.list(&items)?;
                let (body, end) = self.suite(&mut node.body)?;
                let kind = StmtKind::With {
                    items,
                    body,
                    is_async: node.is_async,
                };
                (kind, start, end)
            }
            ruff::Stmt::Match(node) => {
                let subject = self.expr(&node.subject)?;
                let mut cases = Vec::with_capacity(node.cases.len());
                let mut end = range.end();
                for case in &mut node.cases {
                    let pattern = self.pattern(&case.pattern)?;
                    let guard = self.opt_expr(case.guard.as_deref())?;
                    let (body, body_end) = self.suite(&mut case.body)?;
                    end = body_end;
                    cases.push(MatchCase {
                        pattern,
                        guard,
                        body,
                    });
                }
                let cases = self.ast.list(&cases)?;
                (StmtKind::Match { subject, cases }, start, end)
            }
            ruff::Stmt::Try(node) => {
                let (kind, end) = self.try_stmt(node)?;
                (kind, start, end)
            }
            _ => return Err(Stop::unsure("a statement of an unknown kind")),
        };
        Ok((kind, TextRange::new(start, end)))
    }

    /// A suite that may be absent; then the statement ends where the part before did.
    fn last_suite(
        &mut self,
        body: &mut [ruff::Stmt],
        before: TextSize,
    ) -> Pass<(StmtList, TextSize)> {
        if body.is_empty() {
            return Ok((List::EMPTY, before));
        }
        self.suite(body)
    }

    /// `if`, with each `elif` as an `If` in the `else` of the one before.
    fn if_chain(&mut self, node: &mut ruff::StmtIf) -> Pass<(StmtKind, TextSize)> {
        let test = self.expr(&node.test)?;
        let (body, mut end) = self.suite(&mut node.body)?;
        // The arms are lowered in source order, the chain is put together from its end.
        let mut arms = Vec::with_capacity(node.elif_else_clauses.len());
        let mut orelse = List::EMPTY;
        if node.elif_else_clauses.len() > MAX_ELIFS {
            return Err(Stop::unsure("a very long chain of elif"));
        }
        for clause in &mut node.elif_else_clauses {
            match &clause.test {
                Some(test) => {
                    let test = self.expr(test)?;
                    let (body, body_end) = self.suite(&mut clause.body)?;
                    end = body_end;
                    arms.push((clause.range.start(), test, body));
                }
                None => (orelse, end) = self.suite(&mut clause.body)?,
            }
        }
        for (start, test, body) in arms.into_iter().rev() {
            let loc = self.loc(TextRange::new(start, end));
            let kind = StmtKind::If { test, body, orelse };
            let id = self.ast.add(Stmt { kind, loc })?;
            orelse = self.ast.list(&[id])?;
        }
        Ok((StmtKind::If { test, body, orelse }, end))
    }

    fn try_stmt(&mut self, node: &mut ruff::StmtTry) -> Pass<(StmtKind, TextSize)> {
        let (body, mut end) = self.suite(&mut node.body)?;
        let mut handlers = Vec::with_capacity(node.handlers.len());
        for handler in &mut node.handlers {
            let ruff::ExceptHandler::ExceptHandler(handler) = handler;
            let typ = self.opt_expr(handler.type_.as_deref())?;
            let name = self.opt_identifier(handler.name.as_ref())?;
            let (body, body_end) = self.suite(&mut handler.body)?;
            end = body_end;
            let loc = self.loc(TextRange::new(handler.range.start(), end));
            handlers.push(ExceptHandler {
                typ,
                name,
                body,
                loc,
            });
        }
        let handlers = self.ast.list(&handlers)?;
        let (orelse, end) = self.last_suite(&mut node.orelse, end)?;
        let (finalbody, end) = self.last_suite(&mut node.finalbody, end)?;
        let id = self.ast.add(Try {
            body,
            handlers,
            orelse,
            finalbody,
            is_star: node.is_star,
        })?;
        Ok((StmtKind::Try(id), end))
    }

    /// Where `def` or `class` stands: behind the decorators.
    fn definition_start(&self, decorators: &[ruff::Decorator], start: TextSize) -> TextSize {
        match decorators.last() {
            Some(decorator) => self.skip_trivia(self.after_parentheses(decorator.range.end())),
            None => start,
        }
    }

    /// Skips closing parentheses of a decorator's expression, should its range not have them.
    fn after_parentheses(&self, from: TextSize) -> TextSize {
        let mut at = from;
        loop {
            let next = self.skip_trivia(at);
            if self.source.as_bytes().get(usize::from(next)) != Some(&b')') {
                return at;
            }
            at = next + TextSize::from(1);
        }
    }

    fn function(&mut self, node: &mut ruff::StmtFunctionDef) -> Pass<(StmtKind, TextRange)> {
        let decorators = self.decorators(&node.decorator_list)?;
        let name = self.identifier(node.name.id.as_str())?;
        let type_params = self.type_params(node.type_params.as_deref())?;
        let args = self.parameters(&node.parameters)?;
        let returns = node.returns.as_deref();
        let returns = returns
            .map(|returns| self.annotation(returns))
            .transpose()?;
        let (body, end) = self.suite(&mut node.body)?;
        let start = self.definition_start(&node.decorator_list, node.range.start());
        let id = self.ast.add(FunctionDef {
            name,
            args,
            body,
            decorators,
            returns,
            type_params,
            is_async: node.is_async,
        })?;
        Ok((StmtKind::FunctionDef(id), TextRange::new(start, end)))
    }

    fn class(&mut self, node: &mut ruff::StmtClassDef) -> Pass<(StmtKind, TextRange)> {
        let decorators = self.decorators(&node.decorator_list)?;
        let name = self.identifier(node.name.id.as_str())?;
        let type_params = self.type_params(node.type_params.as_deref())?;
        let (bases, keywords) = match &node.arguments {
            Some(arguments) => (
                self.exprs(&arguments.args)?,
                self.keywords(&arguments.keywords)?,
            ),
            None => (List::EMPTY, List::EMPTY),
        };
        let (body, end) = self.suite(&mut node.body)?;
        let start = self.definition_start(&node.decorator_list, node.range.start());
        let id = self.ast.add(ClassDef {
            name,
            bases,
            keywords,
            body,
            decorators,
            type_params,
        })?;
        Ok((StmtKind::ClassDef(id), TextRange::new(start, end)))
    }

    fn decorators(
        &mut self,
        decorators: &[ruff::Decorator],
    ) -> Pass<crate::compiler::native::ast::ExprList> {
        let base = self.expr_stack.len();
        for decorator in decorators {
            let id = self.expr(&decorator.expression)?;
            self.expr_stack.push(id);
        }
        self.close_exprs(base)
    }

    fn type_params(&mut self, params: Option<&ruff::TypeParams>) -> Pass<TypeParamList> {
        let Some(params) = params else {
            return Ok(List::EMPTY);
        };
        let mut list = Vec::with_capacity(params.type_params.len());
        for param in &params.type_params {
            let loc = self.loc(param.range());
            let (name, kind, default) = match param {
                ruff::TypeParam::TypeVar(node) => {
                    let bound = self.opt_expr(node.bound.as_deref())?;
                    let kind = TypeParamKind::TypeVar { bound };
                    (&node.name, kind, &node.default)
                }
                ruff::TypeParam::ParamSpec(node) => {
                    (&node.name, TypeParamKind::ParamSpec, &node.default)
                }
                ruff::TypeParam::TypeVarTuple(node) => {
                    (&node.name, TypeParamKind::TypeVarTuple, &node.default)
                }
            };
            let name = self.identifier(name.id.as_str())?;
            let default = self.opt_expr(default.as_deref())?;
            list.push(TypeParam {
                kind,
                name,
                default,
                loc,
            });
        }
        self.ast.list(&list)
    }

    /// The parameters of a `def` or `lambda`.
    pub(super) fn parameters(&mut self, parameters: &ruff::Parameters) -> Pass<Id<Arguments>> {
        let mut defaults = Vec::new();
        let mut posonlyargs = Vec::with_capacity(parameters.posonlyargs.len());
        for parameter in &parameters.posonlyargs {
            posonlyargs.push(self.parameter(&parameter.parameter)?);
            defaults.extend(self.opt_expr(parameter.default.as_deref())?);
        }
        let mut args = Vec::with_capacity(parameters.args.len());
        for parameter in &parameters.args {
            args.push(self.parameter(&parameter.parameter)?);
            defaults.extend(self.opt_expr(parameter.default.as_deref())?);
        }
        let vararg = match &parameters.vararg {
            Some(parameter) => {
                let arg = self.parameter(parameter)?;
                Some(self.ast.add(arg)?)
            }
            None => None,
        };
        let mut kwonlyargs = Vec::with_capacity(parameters.kwonlyargs.len());
        let mut kw_defaults = Vec::with_capacity(parameters.kwonlyargs.len());
        for parameter in &parameters.kwonlyargs {
            kwonlyargs.push(self.parameter(&parameter.parameter)?);
            kw_defaults.push(self.opt_expr(parameter.default.as_deref())?);
        }
        let kwarg = match &parameters.kwarg {
            Some(parameter) => {
                let arg = self.parameter(parameter)?;
                Some(self.ast.add(arg)?)
            }
            None => None,
        };
        let arguments = Arguments {
            posonlyargs: self.ast.list(&posonlyargs)?,
            args: self.ast.list(&args)?,
            vararg,
            kwonlyargs: self.ast.list(&kwonlyargs)?,
            kw_defaults: self.ast.list(&kw_defaults)?,
            kwarg,
            defaults: self.ast.list(&defaults)?,
        };
        self.ast.add(arguments)
    }

    fn annotation(&mut self, annotation: &ruff::Expr) -> Pass<ExprId> {
        let first = self.ast.expr_count();
        let last = self.expr(annotation)?;
        self.ast.note_annotation(first, last);
        Ok(last)
    }

    fn parameter(&mut self, parameter: &ruff::Parameter) -> Pass<Arg> {
        let name = self.identifier(parameter.name.id.as_str())?;
        let annotation = parameter.annotation.as_deref();
        let annotation = annotation.map(|it| self.annotation(it)).transpose()?;
        // `*args` and `**kwargs` begin at the name.
        let loc = self.loc(TextRange::new(
            parameter.name.range.start(),
            parameter.range.end(),
        ));
        Ok(Arg {
            name,
            annotation,
            loc,
        })
    }

    /// The keyword arguments of a call or class.
    pub(super) fn keywords(&mut self, keywords: &[ruff::Keyword]) -> Pass<List<Keyword>> {
        let mut list = Vec::with_capacity(keywords.len());
        for keyword in keywords {
            let name = self.opt_identifier(keyword.arg.as_ref())?;
            let value = self.expr(&keyword.value)?;
            let loc = self.loc(keyword.range);
            list.push(Keyword { name, value, loc });
        }
        self.ast.list(&list)
    }

    fn aliases(&mut self, aliases: &[ruff::Alias]) -> Pass<List<Alias>> {
        let mut list = Vec::with_capacity(aliases.len());
        for alias in aliases {
            let name = self.identifier(alias.name.id.as_str())?;
            let asname = self.opt_identifier(alias.asname.as_ref())?;
            let loc = self.loc(alias.range);
            list.push(Alias { name, asname, loc });
        }
        self.ast.list(&list)
    }

    fn names(
        &mut self,
        names: &[ruff::Identifier],
    ) -> Pass<List<crate::compiler::native::ast::Sym>> {
        let mut list = Vec::with_capacity(names.len());
        for name in names {
            list.push(self.identifier(name.id.as_str())?);
        }
        self.ast.list(&list)
    }
}

/// Whether a statement is on one logical line with others, so that `;` may follow it.
fn is_simple(stmt: &ruff::Stmt) -> bool {
    match stmt {
        ruff::Stmt::FunctionDef(_)
        | ruff::Stmt::ClassDef(_)
        | ruff::Stmt::For(_)
        | ruff::Stmt::While(_)
        | ruff::Stmt::If(_)
        | ruff::Stmt::With(_)
        | ruff::Stmt::Match(_)
        | ruff::Stmt::Try(_) => false,
        ruff::Stmt::Return(_)
        | ruff::Stmt::Delete(_)
        | ruff::Stmt::TypeAlias(_)
        | ruff::Stmt::Assign(_)
        | ruff::Stmt::AugAssign(_)
        | ruff::Stmt::AnnAssign(_)
        | ruff::Stmt::Raise(_)
        | ruff::Stmt::Assert(_)
        | ruff::Stmt::Import(_)
        | ruff::Stmt::ImportFrom(_)
        | ruff::Stmt::Global(_)
        | ruff::Stmt::Nonlocal(_)
        | ruff::Stmt::Expr(_)
        | ruff::Stmt::Pass(_)
        | ruff::Stmt::Break(_)
        | ruff::Stmt::Continue(_)
        | ruff::Stmt::IpyEscapeCommand(_) => true,
    }
}

/// Ruff's binary operator as ours.
pub(super) fn operator(op: ruff::Operator) -> Operator {
    match op {
        ruff::Operator::Add => Operator::Add,
        ruff::Operator::Sub => Operator::Sub,
        ruff::Operator::Mult => Operator::Mult,
        ruff::Operator::MatMult => Operator::MatMult,
        ruff::Operator::Div => Operator::Div,
        ruff::Operator::Mod => Operator::Mod,
        ruff::Operator::Pow => Operator::Pow,
        ruff::Operator::LShift => Operator::LShift,
        ruff::Operator::RShift => Operator::RShift,
        ruff::Operator::BitOr => Operator::BitOr,
        ruff::Operator::BitXor => Operator::BitXor,
        ruff::Operator::BitAnd => Operator::BitAnd,
        ruff::Operator::FloorDiv => Operator::FloorDiv,
    }
}
