//! The walk over statements.

use super::build::Builder;
use super::scope::{BlockId, BlockKey, BlockKind, Flags};
use crate::compiler::native::ast::{
    Arg, Arguments, Ast, ClassDef, ExprId, ExprKind, FunctionDef, Id, List, Stmt, StmtId, StmtKind,
    StmtList, Sym, TypeParamKind, TypeParamList, docstring,
};
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::future::is_future_import;

impl Builder<'_> {
    pub(super) fn stmts(&mut self, list: StmtList) -> Pass<()> {
        let ast = self.ast;
        for &id in ast.slice(list) {
            self.stmt(id)?;
        }
        Ok(())
    }

    /// Bodies of which it is not known that they run: annotations in them are conditional (3.14).
    fn conditional(&mut self, visit: impl FnOnce(&mut Self) -> Pass<()>) -> Pass<()> {
        let outer = std::mem::replace(&mut self.cur_draft().in_conditional_block, true);
        visit(self)?;
        self.cur_draft().in_conditional_block = outer;
        Ok(())
    }

    fn stmt(&mut self, id: StmtId) -> Pass<()> {
        let stmt = self.ast.stmt(id);
        let ast = self.ast;
        match stmt.kind {
            StmtKind::FunctionDef(node) => {
                let node = *ast.get(node);
                self.deeper(|this| this.function(id, stmt.loc, node))
            }
            StmtKind::ClassDef(node) => {
                let node = *ast.get(node);
                self.deeper(|this| this.class(id, stmt.loc, node))
            }
            StmtKind::TypeAlias {
                name,
                type_params,
                value,
            } => self.type_alias(id, stmt.loc, name, type_params, value),
            StmtKind::Return { value } => {
                if let Some(value) = value {
                    self.expr(value)?;
                    self.cur().returns_value = true;
                }
                Ok(())
            }
            StmtKind::Delete { targets } => self.exprs(targets),
            StmtKind::Assign { targets, value } => {
                self.exprs(targets)?;
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
                simple,
            } => self.ann_assign(stmt, target, annotation, value, simple),
            StmtKind::For {
                target,
                iter,
                body,
                orelse,
                is_async,
            } => self.deeper(|this| {
                if is_async {
                    this.require_coroutine("'async for' outside async function", stmt.loc)?;
                }
                this.expr(target)?;
                this.expr(iter)?;
                this.conditional(|this| {
                    this.stmts(body)?;
                    this.stmts(orelse)
                })
            }),
            StmtKind::While { test, body, orelse } | StmtKind::If { test, body, orelse } => self
                .deeper(|this| {
                    this.expr(test)?;
                    this.conditional(|this| {
                        this.stmts(body)?;
                        this.stmts(orelse)
                    })
                }),
            StmtKind::With {
                items,
                body,
                is_async,
            } => self.deeper(|this| {
                if is_async {
                    this.require_coroutine("'async with' outside async function", stmt.loc)?;
                }
                this.conditional(|this| {
                    for item in ast.slice(items) {
                        this.expr(item.context)?;
                        this.opt_expr(item.vars)?;
                    }
                    this.stmts(body)
                })
            }),
            StmtKind::Match { subject, cases } => self.deeper(|this| {
                this.expr(subject)?;
                this.conditional(|this| {
                    for case in ast.slice(cases) {
                        this.pattern(case.pattern)?;
                        this.opt_expr(case.guard)?;
                        this.stmts(case.body)?;
                    }
                    Ok(())
                })
            }),
            StmtKind::Raise { exc, cause } => {
                self.opt_expr(exc)?;
                self.opt_expr(cause)
            }
            StmtKind::Try(node) => {
                let node = *ast.get(node);
                self.deeper(|this| {
                    this.conditional(|this| {
                        this.stmts(node.body)?;
                        for handler in ast.slice(node.handlers) {
                            this.opt_expr(handler.typ)?;
                            if let Some(name) = handler.name {
                                this.add_def(name, Flags::LOCAL, handler.loc)?;
                            }
                            this.stmts(handler.body)?;
                        }
                        this.stmts(node.orelse)?;
                        this.stmts(node.finalbody)
                    })
                })
            }
            StmtKind::Assert { test, msg } => {
                self.expr(test)?;
                self.opt_expr(msg)
            }
            StmtKind::Import { names } | StmtKind::ImportFrom { names, .. } => {
                self.import(id, stmt.loc, names)
            }
            StmtKind::Global { names } => self.directive(names, Flags::GLOBAL, "global", stmt.loc),
            StmtKind::Nonlocal { names } => {
                self.directive(names, Flags::NONLOCAL, "nonlocal", stmt.loc)
            }
            StmtKind::Expr { value } => self.expr(value),
            StmtKind::Pass | StmtKind::Break | StmtKind::Continue => Ok(()),
        }
    }

    /// 3.14 checks this here, 3.13 in the code generator.
    fn require_coroutine(&mut self, message: &str, loc: Loc) -> Pass<()> {
        if self.is_314 && !self.cur().coroutine {
            return Err(Stop::syntax(message, loc));
        }
        Ok(())
    }

    fn function(&mut self, id: StmtId, loc: Loc, node: FunctionDef) -> Pass<()> {
        let ast = self.ast;
        let args = *ast.get(node.args);
        self.add_def(node.name, Flags::LOCAL, loc)?;
        self.defaults(&args)?;
        self.exprs(node.decorators)?;
        let generic = !node.type_params.is_empty();
        if generic {
            // CPython asks whether the list exists, which it always does.
            let has_defaults = true;
            let has_kwdefaults = ast.slice(args.kw_defaults).iter().any(Option::is_some);
            self.enter_type_params(
                node.name,
                BlockKey::TypeParams(id),
                false,
                has_defaults,
                has_kwdefaults,
                loc,
            )?;
            self.type_params(node.type_params)?;
        }
        if self.is_314 {
            let block = self.create(node.name, BlockKind::Function, BlockKey::Stmt(id), loc)?;
            self.block_mut(block).has_docstring = docstring(ast, node.body).is_some();
            self.function_annotations(id, loc, &args, node.returns)?;
            self.enter_existing(block);
        } else {
            self.old_function_annotations(loc, &args, node.returns)?;
            self.enter(node.name, BlockKind::Function, BlockKey::Stmt(id), loc)?;
        }
        if node.is_async {
            self.cur().coroutine = true;
        }
        self.parameters(node.args)?;
        self.stmts(node.body)?;
        self.exit();
        if generic {
            self.exit();
        }
        Ok(())
    }

    /// The defaults of a function or lambda, which belong to the scope around it.
    pub(super) fn defaults(&mut self, args: &Arguments) -> Pass<()> {
        let ast = self.ast;
        self.exprs(args.defaults)?;
        for &default in ast.slice(args.kw_defaults) {
            self.opt_expr(default)?;
        }
        Ok(())
    }

    /// The parameters, as names of the function's own scope.
    pub(super) fn parameters(&mut self, args: Id<Arguments>) -> Pass<()> {
        let ast = self.ast;
        let args = *ast.get(args);
        for list in [args.posonlyargs, args.args, args.kwonlyargs] {
            for arg in ast.slice(list) {
                self.add_def(arg.name, Flags::PARAM, arg.loc)?;
            }
        }
        if let Some(arg) = args.vararg {
            let arg = *ast.get(arg);
            self.add_def(arg.name, Flags::PARAM, arg.loc)?;
            self.cur().varargs = true;
        }
        if let Some(arg) = args.kwarg {
            let arg = *ast.get(arg);
            self.add_def(arg.name, Flags::PARAM, arg.loc)?;
            self.cur().varkeywords = true;
        }
        Ok(())
    }

    fn has_parameter_annotations(&self, args: &Arguments) -> bool {
        parameter_annotations(self.ast, args).next().is_some()
    }

    /// Visits the annotations of the parameters.
    fn parameter_annotations(&mut self, args: &Arguments) -> Pass<()> {
        for annotation in parameter_annotations(self.ast, args) {
            self.expr(annotation)?;
        }
        Ok(())
    }

    /// 3.14: the block of a function's `__annotate__`.
    ///
    /// CPython opens it also for a function without annotations. All that shows of it then is that the
    /// methods of a class ask for the class's namespace.
    fn function_annotations(
        &mut self,
        id: StmtId,
        loc: Loc,
        args: &Arguments,
        returns: Option<ExprId>,
    ) -> Pass<()> {
        let in_class = self.cur().can_see_class_scope || self.cur_kind() == BlockKind::Class;
        if returns.is_none() && !self.has_parameter_annotations(args) {
            self.cur_draft().plain_methods |= in_class && !self.future.annotations;
            return Ok(());
        }
        let name = self.names.annotate;
        self.enter(name, BlockKind::Annotation, BlockKey::Annotations(id), loc)?;
        if in_class {
            self.cur().can_see_class_scope = true;
            self.add_def(self.names.classdict, Flags::USE, loc)?;
        }
        self.parameter_annotations(args)?;
        self.opt_expr(returns)?;
        self.exit();
        Ok(())
    }

    /// Up to 3.13: annotations are evaluated where the function is defined.
    fn old_function_annotations(
        &mut self,
        loc: Loc,
        args: &Arguments,
        returns: Option<ExprId>,
    ) -> Pass<()> {
        if self.future.annotations && self.has_parameter_annotations(args) {
            let name = self.names.annotation;
            self.enter(name, BlockKind::Annotation, BlockKey::FutureAnnotation, loc)?;
            self.parameter_annotations(args)?;
            self.exit();
        } else {
            self.parameter_annotations(args)?;
        }
        match returns {
            Some(returns) => self.old_annotation(returns),
            None => Ok(()),
        }
    }

    /// Up to 3.13: one annotation.
    fn old_annotation(&mut self, annotation: ExprId) -> Pass<()> {
        if !self.future.annotations {
            return self.expr(annotation);
        }
        let loc = self.ast.expr(annotation).loc;
        let name = self.names.annotation;
        self.enter(name, BlockKind::Annotation, BlockKey::FutureAnnotation, loc)?;
        self.expr(annotation)?;
        self.exit();
        Ok(())
    }

    /// 3.14: the annotation of a name, in the `__annotate__` of the scope that it is in.
    fn name_annotation(&mut self, annotation: ExprId) -> Pass<()> {
        let loc = self.ast.expr(annotation).loc;
        let parent = self.cur;
        let kind = self.cur_kind();
        let unevaluated = kind == BlockKind::Function;
        let conditional = match kind {
            // A module may be run in part, so that its annotations are never sure.
            BlockKind::Module => true,
            BlockKind::Class => self.cur_draft().in_conditional_block,
            BlockKind::Function
            | BlockKind::Annotation
            | BlockKind::TypeAlias
            | BlockKind::TypeParameters
            | BlockKind::TypeVariable => false,
        };
        if conditional && !self.cur().has_conditional_annotations {
            self.cur().has_conditional_annotations = true;
            self.add_def(self.names.conditional_annotations, Flags::USE, loc)?;
        }
        match self.cur().annotation_block {
            Some(block) => self.enter_existing(block),
            None => {
                let name = self.names.annotate;
                let key = BlockKey::NameAnnotations(parent);
                self.enter(name, BlockKind::Annotation, key, loc)?;
                self.block_mut(parent).annotation_block = Some(self.cur);
                if kind == BlockKind::Class && !self.future.annotations {
                    self.cur().can_see_class_scope = true;
                    self.add_def(self.names.classdict, Flags::USE, loc)?;
                }
            }
        }
        self.cur_draft().in_unevaluated_annotation |= unevaluated;
        self.expr(annotation)?;
        if unevaluated {
            self.cur_draft().in_unevaluated_annotation = false;
        }
        self.exit();
        Ok(())
    }

    fn class(&mut self, id: StmtId, loc: Loc, node: ClassDef) -> Pass<()> {
        let ast = self.ast;
        self.add_def(node.name, Flags::LOCAL, loc)?;
        self.exprs(node.decorators)?;
        let outer = self.private;
        let generic = !node.type_params.is_empty();
        if generic {
            let key = BlockKey::TypeParams(id);
            self.enter_type_params(node.name, key, true, false, false, loc)?;
            self.private = Some(node.name);
            self.cur().mangled_names = Some(Box::default());
            self.type_params(node.type_params)?;
        }
        self.exprs(node.bases)?;
        self.keywords(node.keywords)?;
        self.enter(node.name, BlockKind::Class, BlockKey::Stmt(id), loc)?;
        self.private = Some(node.name);
        if generic {
            self.add_def(self.names.dunder_type_params, Flags::LOCAL, loc)?;
            self.add_def(self.names.type_params, Flags::USE, loc)?;
        }
        self.cur().has_docstring = docstring(ast, node.body).is_some();
        self.stmts(node.body)?;
        self.exit();
        if generic {
            self.exit();
        }
        self.private = outer;
        Ok(())
    }

    fn type_alias(
        &mut self,
        id: StmtId,
        loc: Loc,
        name: ExprId,
        type_params: TypeParamList,
        value: ExprId,
    ) -> Pass<()> {
        self.expr(name)?;
        let ExprKind::Name { id: alias, .. } = self.ast.expr(name).kind else {
            return Err(Stop::unsure("a type alias that is no name"));
        };
        let in_class = self.cur_kind() == BlockKind::Class;
        let generic = !type_params.is_empty();
        if generic {
            let key = BlockKey::TypeParams(id);
            self.enter_type_params(alias, key, false, false, false, loc)?;
            self.type_params(type_params)?;
        }
        self.enter(alias, BlockKind::TypeAlias, BlockKey::Stmt(id), loc)?;
        self.cur().can_see_class_scope = in_class;
        if in_class {
            let loc = self.ast.expr(value).loc;
            self.add_def(self.names.classdict, Flags::USE, loc)?;
        }
        self.expr(value)?;
        self.exit();
        if generic {
            self.exit();
        }
        Ok(())
    }

    fn type_params(&mut self, params: TypeParamList) -> Pass<()> {
        let ast = self.ast;
        for (id, param) in params.ids().zip(ast.slice(params)) {
            self.add_def(param.name, Flags::TYPE_PARAM | Flags::LOCAL, param.loc)?;
            let (bound, info, default_info) = match param.kind {
                TypeParamKind::TypeVar { bound } => {
                    let is_tuple = bound.is_some_and(|bound| {
                        matches!(ast.expr(bound).kind, ExprKind::Tuple { .. })
                    });
                    let info = if is_tuple {
                        "a TypeVar constraint"
                    } else {
                        "a TypeVar bound"
                    };
                    (bound, info, "a TypeVar default")
                }
                TypeParamKind::TypeVarTuple => (None, "", "a TypeVarTuple default"),
                TypeParamKind::ParamSpec => (None, "", "a ParamSpec default"),
            };
            if param.name == self.names.classdict {
                let message = "reserved name '__classdict__' cannot be used for type parameter";
                return Err(Stop::syntax(message, param.loc));
            }
            if let Some(bound) = bound {
                self.type_variable(param.name, BlockKey::TypeParamBound(id), bound, info)?;
            }
            if let Some(default) = param.default {
                let key = BlockKey::TypeParamDefault(id);
                self.type_variable(param.name, key, default, default_info)?;
            }
        }
        Ok(())
    }

    fn type_variable(
        &mut self,
        name: Sym,
        key: BlockKey,
        value: ExprId,
        info: &'static str,
    ) -> Pass<()> {
        let in_class = self.cur().can_see_class_scope;
        let loc = self.ast.expr(value).loc;
        self.enter(name, BlockKind::TypeVariable, key, loc)?;
        self.cur().can_see_class_scope = in_class;
        if in_class {
            self.add_def(self.names.classdict, Flags::USE, loc)?;
        }
        self.cur_draft().scope_info = Some(info);
        self.expr(value)?;
        self.exit();
        Ok(())
    }

    fn ann_assign(
        &mut self,
        stmt: Stmt,
        target: ExprId,
        annotation: ExprId,
        value: Option<ExprId>,
        simple: bool,
    ) -> Pass<()> {
        self.cur().annotations_used = true;
        let node = self.ast.expr(target);
        if let ExprKind::Name { id: name, .. } = node.kind {
            let flags = self.lookup(self.cur, name);
            if flags.any(Flags::GLOBAL | Flags::NONLOCAL) && self.cur != BlockId::MODULE && simple {
                let what = if flags.any(Flags::GLOBAL) {
                    "global"
                } else {
                    "nonlocal"
                };
                let message = format!("annotated name {} can't be {what}", self.quoted(name));
                return Err(Stop::syntax(message, stmt.loc));
            }
            if simple {
                self.add_def(name, Flags::ANNOT | Flags::LOCAL, node.loc)?;
            } else if value.is_some() {
                self.add_def(name, Flags::LOCAL, node.loc)?;
            }
        } else {
            self.expr(target)?;
        }
        if self.is_314 {
            self.name_annotation(annotation)?;
        } else {
            self.old_annotation(annotation)?;
        }
        self.opt_expr(value)
    }

    fn import(
        &mut self,
        id: StmtId,
        loc: Loc,
        names: List<crate::compiler::native::ast::Alias>,
    ) -> Pass<()> {
        let ast = self.ast;
        for alias in ast.slice(names) {
            if alias.asname.is_none() && alias.name == self.names.star {
                if self.cur_kind() != BlockKind::Module {
                    let message = "import * only allowed at module level";
                    return Err(Stop::syntax(message, alias.loc));
                }
                continue;
            }
            let mut name = alias.asname.unwrap_or(alias.name);
            let text = self.pool.text(name);
            if let Some(dot) = text.iter().position(|&byte| byte == b'.') {
                let first = text.get(..dot).unwrap_or_default().to_vec();
                name = self.pool.sym_bytes(&first);
            }
            self.add_def(name, Flags::IMPORT, alias.loc)?;
        }
        let future = self.future.loc;
        let late =
            loc.line > future.line || (loc.line == future.end_line && loc.col > future.end_col);
        // Before 3.14 the code generator finds it, behind all errors of symbols.
        if late && self.is_314 && is_future_import(ast, self.pool, id) {
            let message = "from __future__ imports must occur at the beginning of the file";
            return Err(Stop::syntax(message, loc));
        }
        Ok(())
    }

    fn directive(&mut self, names: List<Sym>, flag: Flags, word: &str, loc: Loc) -> Pass<()> {
        let ast = self.ast;
        for &name in ast.slice(names) {
            let flags = self.lookup(self.cur, name);
            let name_text = self.quoted(name);
            let message = if flags.any(Flags::PARAM) {
                Some(format!("name {name_text} is parameter and {word}"))
            } else if flags.any(Flags::USE) {
                Some(format!(
                    "name {name_text} is used prior to {word} declaration"
                ))
            } else if flags.any(Flags::ANNOT) {
                Some(format!("annotated name {name_text} can't be {word}"))
            } else if flags.any(Flags::LOCAL) {
                Some(format!(
                    "name {name_text} is assigned to before {word} declaration"
                ))
            } else {
                None
            };
            if let Some(message) = message {
                return Err(Stop::syntax(message, loc));
            }
            self.add_def(name, flag, loc)?;
            self.record_directive(name, loc);
        }
        Ok(())
    }
}

/// The annotations of the parameters, in CPython's order.
fn parameter_annotations<'a>(ast: &'a Ast, args: &Arguments) -> impl Iterator<Item = ExprId> + 'a {
    let of_list = |list: List<Arg>| ast.slice(list).iter().filter_map(|arg| arg.annotation);
    let of_one = |arg: Option<Id<Arg>>| arg.and_then(|arg| ast.get(arg).annotation);
    of_list(args.posonlyargs)
        .chain(of_list(args.args))
        .chain(of_one(args.vararg))
        .chain(of_one(args.kwarg))
        .chain(of_list(args.kwonlyargs))
}
