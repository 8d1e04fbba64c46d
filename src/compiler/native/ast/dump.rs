//! A text form of the tree for tests: one line a node or field, in the order of CPython's `_fields`.
//!
//! `tests/native/reference.py` writes the same of CPython's own tree. Absent and empty fields are
//! left out, strings are hexadecimal, floats are their bits.

use super::dump_text::{constant_text, expr_name, hex, stmt_name};
use super::{
    Arg, Arguments, Ast, Constant, ExprId, ExprKind, Id, Keyword, List, PatternId, PatternKind,
    Pool, StmtId, StmtKind, StmtList, Sym, TypeParamKind, TypeParamList,
};
use crate::compiler::native::error::Loc;
use crate::compiler::native::recursion;
use std::fmt::Write;

/// The text form of a module.
pub fn dump(ast: &Ast, pool: &Pool) -> String {
    let mut dumper = Dumper {
        ast,
        pool,
        out: String::from("Module\n"),
        depth: 0,
    };
    dumper.stmts("body", ast.body);
    dumper.out
}

struct Dumper<'a> {
    ast: &'a Ast,
    pool: &'a Pool,
    out: String,
    depth: usize,
}

impl Dumper<'_> {
    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        for _ in 0..self.depth {
            self.out.push(' ');
        }
        let _ = self.out.write_fmt(text);
        self.out.push('\n');
    }

    fn node(&mut self, kind: &str, loc: Loc) {
        self.line(format_args!(
            "{kind} {}:{}-{}:{}",
            loc.line, loc.col, loc.end_line, loc.end_col
        ));
    }

    fn name(&mut self, field: &str, name: Sym) {
        let hex = hex(self.pool.text(name));
        self.line(format_args!(" {field}='{hex}'"));
    }

    fn opt_name(&mut self, field: &str, name: Option<Sym>) {
        if let Some(name) = name {
            self.name(field, name);
        }
    }

    fn names(&mut self, field: &str, names: List<Sym>) {
        let names = self.ast.slice(names);
        if !names.is_empty() {
            self.line(format_args!(" {field}["));
            for &name in names {
                let hex = hex(self.pool.text(name));
                self.line(format_args!("  '{hex}'"));
            }
        }
    }

    /// A child below a field.
    fn child(&mut self, field: &str, dump: impl FnOnce(&mut Self)) {
        self.line(format_args!(" {field}:"));
        self.depth += 2;
        recursion::with_stack(|| dump(self));
        self.depth -= 2;
    }

    fn list(&mut self, field: &str, len: usize, dump: impl FnOnce(&mut Self)) {
        if len > 0 {
            self.line(format_args!(" {field}["));
            self.depth += 2;
            recursion::with_stack(|| dump(self));
            self.depth -= 2;
        }
    }

    fn stmts(&mut self, field: &str, list: StmtList) {
        self.list(field, list.len(), |this| {
            for &id in this.ast.slice(list) {
                this.stmt(id);
            }
        });
    }

    fn exprs(&mut self, field: &str, list: List<ExprId>) {
        self.list(field, list.len(), |this| {
            for &id in this.ast.slice(list) {
                this.expr(id);
            }
        });
    }

    fn opt_exprs(&mut self, field: &str, list: List<Option<ExprId>>) {
        self.list(field, list.len(), |this| {
            for &id in this.ast.slice(list) {
                match id {
                    Some(id) => this.expr(id),
                    None => this.line(format_args!("None")),
                }
            }
        });
    }

    fn expr_field(&mut self, field: &str, id: ExprId) {
        self.child(field, |this| this.expr(id));
    }

    fn opt_expr(&mut self, field: &str, id: Option<ExprId>) {
        if let Some(id) = id {
            self.expr_field(field, id);
        }
    }

    fn constant(&mut self, field: &str, value: Constant) {
        let text = constant_text(self.pool, value);
        self.line(format_args!(" {field}={text}"));
    }

    fn stmt(&mut self, id: StmtId) {
        let stmt = self.ast.stmt(id);
        let kind = stmt_name(self.ast, &stmt.kind);
        self.node(kind, stmt.loc);
        match stmt.kind {
            StmtKind::FunctionDef(id) => {
                let node = *self.ast.get(id);
                self.name("name", node.name);
                self.arguments(node.args);
                self.stmts("body", node.body);
                self.exprs("decorator_list", node.decorators);
                self.opt_expr("returns", node.returns);
                self.type_params(node.type_params);
            }
            StmtKind::ClassDef(id) => {
                let node = *self.ast.get(id);
                self.name("name", node.name);
                self.exprs("bases", node.bases);
                self.keywords(node.keywords);
                self.stmts("body", node.body);
                self.exprs("decorator_list", node.decorators);
                self.type_params(node.type_params);
            }
            StmtKind::Return { value } => self.opt_expr("value", value),
            StmtKind::Delete { targets } => self.exprs("targets", targets),
            StmtKind::Assign { targets, value } => {
                self.exprs("targets", targets);
                self.expr_field("value", value);
            }
            StmtKind::TypeAlias {
                name,
                type_params,
                value,
            } => {
                self.expr_field("name", name);
                self.type_params(type_params);
                self.expr_field("value", value);
            }
            StmtKind::AugAssign { target, op, value } => {
                self.expr_field("target", target);
                self.line(format_args!(" op={op:?}"));
                self.expr_field("value", value);
            }
            StmtKind::AnnAssign {
                target,
                annotation,
                value,
                simple,
            } => {
                self.expr_field("target", target);
                self.expr_field("annotation", annotation);
                self.opt_expr("value", value);
                self.line(format_args!(" simple={}", u8::from(simple)));
            }
            StmtKind::For {
                target,
                iter,
                body,
                orelse,
                is_async: _,
            } => {
                self.expr_field("target", target);
                self.expr_field("iter", iter);
                self.stmts("body", body);
                self.stmts("orelse", orelse);
            }
            StmtKind::While { test, body, orelse } | StmtKind::If { test, body, orelse } => {
                self.expr_field("test", test);
                self.stmts("body", body);
                self.stmts("orelse", orelse);
            }
            StmtKind::With {
                items,
                body,
                is_async: _,
            } => {
                self.list("items", items.len(), |this| {
                    for item in this.ast.slice(items) {
                        this.line(format_args!("withitem"));
                        this.expr_field("context_expr", item.context);
                        this.opt_expr("optional_vars", item.vars);
                    }
                });
                self.stmts("body", body);
            }
            StmtKind::Match { subject, cases } => {
                self.expr_field("subject", subject);
                self.list("cases", cases.len(), |this| {
                    for case in this.ast.slice(cases) {
                        this.line(format_args!("match_case"));
                        this.child("pattern", |this| this.pattern(case.pattern));
                        this.opt_expr("guard", case.guard);
                        this.stmts("body", case.body);
                    }
                });
            }
            StmtKind::Raise { exc, cause } => {
                self.opt_expr("exc", exc);
                self.opt_expr("cause", cause);
            }
            StmtKind::Try(id) => {
                let node = *self.ast.get(id);
                self.stmts("body", node.body);
                self.list("handlers", node.handlers.len(), |this| {
                    for handler in this.ast.slice(node.handlers) {
                        this.node("ExceptHandler", handler.loc);
                        this.opt_expr("type", handler.typ);
                        this.opt_name("name", handler.name);
                        this.stmts("body", handler.body);
                    }
                });
                self.stmts("orelse", node.orelse);
                self.stmts("finalbody", node.finalbody);
            }
            StmtKind::Assert { test, msg } => {
                self.expr_field("test", test);
                self.opt_expr("msg", msg);
            }
            StmtKind::Import { names } => self.aliases(names),
            StmtKind::ImportFrom {
                module,
                names,
                level,
            } => {
                self.opt_name("module", module);
                self.aliases(names);
                self.line(format_args!(" level={level}"));
            }
            StmtKind::Global { names } | StmtKind::Nonlocal { names } => self.names("names", names),
            StmtKind::Expr { value } => self.expr_field("value", value),
            StmtKind::Pass | StmtKind::Break | StmtKind::Continue => {}
        }
    }

    fn aliases(&mut self, names: List<super::Alias>) {
        self.list("names", names.len(), |this| {
            for alias in this.ast.slice(names) {
                this.node("alias", alias.loc);
                this.name("name", alias.name);
                this.opt_name("asname", alias.asname);
            }
        });
    }

    fn keywords(&mut self, keywords: List<Keyword>) {
        self.list("keywords", keywords.len(), |this| {
            for keyword in this.ast.slice(keywords) {
                this.node("keyword", keyword.loc);
                this.opt_name("arg", keyword.name);
                this.expr_field("value", keyword.value);
            }
        });
    }

    fn type_params(&mut self, params: TypeParamList) {
        self.list("type_params", params.len(), |this| {
            for param in this.ast.slice(params) {
                let (kind, bound) = match param.kind {
                    TypeParamKind::TypeVar { bound } => ("TypeVar", bound),
                    TypeParamKind::ParamSpec => ("ParamSpec", None),
                    TypeParamKind::TypeVarTuple => ("TypeVarTuple", None),
                };
                this.node(kind, param.loc);
                this.name("name", param.name);
                this.opt_expr("bound", bound);
                this.opt_expr("default_value", param.default);
            }
        });
    }

    fn arguments(&mut self, id: Id<Arguments>) {
        self.child("args", |this| {
            let node = *this.ast.get(id);
            this.line(format_args!("arguments"));
            this.args("posonlyargs", node.posonlyargs);
            this.args("args", node.args);
            this.opt_arg("vararg", node.vararg);
            this.args("kwonlyargs", node.kwonlyargs);
            this.opt_exprs("kw_defaults", node.kw_defaults);
            this.opt_arg("kwarg", node.kwarg);
            this.exprs("defaults", node.defaults);
        });
    }

    fn args(&mut self, field: &str, args: List<Arg>) {
        self.list(field, args.len(), |this| {
            for &arg in this.ast.slice(args) {
                this.arg(arg);
            }
        });
    }

    fn opt_arg(&mut self, field: &str, arg: Option<Id<Arg>>) {
        if let Some(arg) = arg {
            self.child(field, |this| this.arg(*this.ast.get(arg)));
        }
    }

    fn arg(&mut self, arg: Arg) {
        self.node("arg", arg.loc);
        self.name("arg", arg.name);
        self.opt_expr("annotation", arg.annotation);
    }

    fn pattern(&mut self, id: PatternId) {
        let pattern = self.ast.pattern(id);
        let kind = match pattern.kind {
            PatternKind::Value { .. } => "MatchValue",
            PatternKind::Singleton { .. } => "MatchSingleton",
            PatternKind::Sequence { .. } => "MatchSequence",
            PatternKind::Mapping { .. } => "MatchMapping",
            PatternKind::Class { .. } => "MatchClass",
            PatternKind::Star { .. } => "MatchStar",
            PatternKind::As { .. } => "MatchAs",
            PatternKind::Or { .. } => "MatchOr",
        };
        self.node(kind, pattern.loc);
        match pattern.kind {
            PatternKind::Value { value } => self.expr_field("value", value),
            PatternKind::Singleton { value } => self.constant("value", value),
            PatternKind::Sequence { patterns } | PatternKind::Or { patterns } => {
                self.patterns("patterns", patterns);
            }
            PatternKind::Mapping {
                keys,
                patterns,
                rest,
            } => {
                self.exprs("keys", keys);
                self.patterns("patterns", patterns);
                self.opt_name("rest", rest);
            }
            PatternKind::Class {
                cls,
                patterns,
                kwd_attrs,
                kwd_patterns,
            } => {
                self.expr_field("cls", cls);
                self.patterns("patterns", patterns);
                self.names("kwd_attrs", kwd_attrs);
                self.patterns("kwd_patterns", kwd_patterns);
            }
            PatternKind::Star { name } => self.opt_name("name", name),
            PatternKind::As { pattern, name } => {
                if let Some(pattern) = pattern {
                    self.child("pattern", |this| this.pattern(pattern));
                }
                self.opt_name("name", name);
            }
        }
    }

    fn patterns(&mut self, field: &str, patterns: List<PatternId>) {
        self.list(field, patterns.len(), |this| {
            for &id in this.ast.slice(patterns) {
                this.pattern(id);
            }
        });
    }

    fn expr(&mut self, id: ExprId) {
        let expr = self.ast.expr(id);
        self.node(expr_name(&expr.kind), expr.loc);
        match expr.kind {
            ExprKind::BoolOp { op, values } => {
                self.line(format_args!(" op={op:?}"));
                self.exprs("values", values);
            }
            ExprKind::NamedExpr { target, value } => {
                self.expr_field("target", target);
                self.expr_field("value", value);
            }
            ExprKind::BinOp { left, op, right } => {
                self.expr_field("left", left);
                self.line(format_args!(" op={op:?}"));
                self.expr_field("right", right);
            }
            ExprKind::UnaryOp { op, operand } => {
                self.line(format_args!(" op={op:?}"));
                self.expr_field("operand", operand);
            }
            ExprKind::Lambda { args, body } => {
                self.arguments(args);
                self.expr_field("body", body);
            }
            ExprKind::IfExp { test, body, orelse } => {
                self.expr_field("test", test);
                self.expr_field("body", body);
                self.expr_field("orelse", orelse);
            }
            ExprKind::Dict { keys, values } => {
                self.opt_exprs("keys", keys);
                self.exprs("values", values);
            }
            ExprKind::ListComp { elt, generators }
            | ExprKind::SetComp { elt, generators }
            | ExprKind::GeneratorExp { elt, generators } => {
                self.expr_field("elt", elt);
                self.comprehensions(generators);
            }
            ExprKind::DictComp {
                key,
                value,
                generators,
            } => {
                self.expr_field("key", key);
                self.expr_field("value", value);
                self.comprehensions(generators);
            }
            ExprKind::Yield { value } => self.opt_expr("value", value),
            ExprKind::Await { value } | ExprKind::YieldFrom { value } => {
                self.expr_field("value", value);
            }
            ExprKind::Compare {
                left,
                ops,
                comparators,
            } => {
                self.expr_field("left", left);
                self.list("ops", ops.len(), |this| {
                    for op in this.ast.slice(ops) {
                        this.line(format_args!("{op:?}"));
                    }
                });
                self.exprs("comparators", comparators);
            }
            ExprKind::Call {
                func,
                args,
                keywords,
            } => {
                self.expr_field("func", func);
                self.exprs("args", args);
                self.keywords(keywords);
            }
            ExprKind::FormattedValue {
                value,
                conversion,
                format_spec,
            } => {
                self.expr_field("value", value);
                self.line(format_args!(" conversion={}", conversion.code()));
                self.opt_expr("format_spec", format_spec);
            }
            ExprKind::Interpolation {
                value,
                text,
                conversion,
                format_spec,
            } => {
                self.expr_field("value", value);
                self.constant("str", Constant::Str(text));
                self.line(format_args!(" conversion={}", conversion.code()));
                self.opt_expr("format_spec", format_spec);
            }
            ExprKind::JoinedStr { values } | ExprKind::TemplateStr { values } => {
                self.exprs("values", values);
            }
            ExprKind::Constant {
                value,
                unicode_prefix,
            } => {
                self.constant("value", value);
                if unicode_prefix {
                    self.line(format_args!(" kind='75'"));
                }
            }
            ExprKind::Attribute { value, attr, ctx } => {
                self.expr_field("value", value);
                self.name("attr", attr);
                self.line(format_args!(" ctx={ctx:?}"));
            }
            ExprKind::Subscript { value, slice, ctx } => {
                self.expr_field("value", value);
                self.expr_field("slice", slice);
                self.line(format_args!(" ctx={ctx:?}"));
            }
            ExprKind::Starred { value, ctx } => {
                self.expr_field("value", value);
                self.line(format_args!(" ctx={ctx:?}"));
            }
            ExprKind::Name { id, ctx } => {
                self.name("id", id);
                self.line(format_args!(" ctx={ctx:?}"));
            }
            ExprKind::Set { elts } => self.exprs("elts", elts),
            ExprKind::List { elts, ctx } | ExprKind::Tuple { elts, ctx } => {
                self.exprs("elts", elts);
                self.line(format_args!(" ctx={ctx:?}"));
            }
            ExprKind::Slice { lower, upper, step } => {
                self.opt_expr("lower", lower);
                self.opt_expr("upper", upper);
                self.opt_expr("step", step);
            }
        }
    }

    fn comprehensions(&mut self, generators: List<super::Comprehension>) {
        self.list("generators", generators.len(), |this| {
            for node in this.ast.slice(generators) {
                this.line(format_args!("comprehension"));
                this.expr_field("target", node.target);
                this.expr_field("iter", node.iter);
                this.exprs("ifs", node.ifs);
                this.line(format_args!(" is_async={}", u8::from(node.is_async)));
            }
        });
    }
}
