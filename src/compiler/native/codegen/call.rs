//! Calls, methods and `super()`.

use super::Compiler;
use super::collection::TUPLE;
use super::expression::STACK_USE_GUIDELINE;
use crate::compiler::native::ast::{Ctx, Expr, ExprId, ExprKind, ExprList, Keyword, List, Sym};
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::opcode::Op;
use crate::compiler::native::symtable::{Flags, Scope};

impl Compiler<'_> {
    fn is_starred(&self, id: ExprId) -> bool {
        matches!(self.ast.expr(id).kind, ExprKind::Starred { .. })
    }

    fn check_keywords(&self, keywords: List<Keyword>) -> Pass<()> {
        let keywords = self.ast.slice(keywords);
        for (index, keyword) in keywords.iter().enumerate() {
            let Some(name) = keyword.name else {
                continue;
            };
            self.check_name(keyword.loc, name, Ctx::Store)?;
            let mut later = keywords.iter().skip(index + 1);
            if let Some(other) = later.find(|other| other.name == Some(name)) {
                let message = format!("keyword argument repeated: {}", self.text_of(name));
                return Err(Stop::syntax(message, other.loc));
            }
        }
        Ok(())
    }

    pub(super) fn call(
        &mut self,
        loc: Loc,
        func: ExprId,
        args: ExprList,
        keywords: List<Keyword>,
    ) -> Pass<()> {
        self.check_keywords(keywords)?;
        if self.method_call(loc, func, args, keywords)? {
            return Ok(());
        }
        self.expression(func)?;
        let end = self.inlined_call(func, args, keywords)?;
        self.op(self.ast.expr(func).loc, Op::PushNull);
        let ast = self.ast;
        self.call_args(loc, 0, ast.slice(args), None, keywords)?;
        if let Some(end) = end {
            self.place(end);
        }
        Ok(())
    }

    /// A call of a method with few plain arguments needs no bound method.
    fn method_call(
        &mut self,
        call: Loc,
        func: ExprId,
        args: ExprList,
        keywords: List<Keyword>,
    ) -> Pass<bool> {
        let Expr { kind, loc } = self.ast.expr(func);
        let ExprKind::Attribute {
            value,
            attr,
            ctx: Ctx::Load,
        } = kind
        else {
            return Ok(false);
        };
        if self.is_imported(value) {
            return Ok(false);
        }
        let ast = self.ast;
        let count = args.len() + keywords.len();
        let plain = !ast.slice(args).iter().any(|&arg| self.is_starred(arg))
            && ast.slice(keywords).iter().all(|key| key.name.is_some());
        let names_tuple = usize::from(!keywords.is_empty());
        if count + names_tuple >= STACK_USE_GUIDELINE || !plain {
            return Ok(false);
        }
        let loc = if self.can_optimize_super(value, attr) {
            let op = if self.load_super_args(value)? {
                Op::LoadSuperMethod
            } else {
                Op::LoadZeroSuperMethod
            };
            self.op_name(loc, op, attr);
            let loc = self.attribute_loc(loc, func);
            self.op(loc, Op::Nop);
            loc
        } else {
            self.expression(value)?;
            let loc = self.attribute_loc(loc, func);
            self.op_name(loc, Op::LoadMethod, attr);
            loc
        };
        self.expressions(args)?;
        let call = self.attribute_loc(call, func);
        if keywords.is_empty() {
            self.op_count(call, Op::Call, args.len());
        } else {
            self.keyword_values(keywords)?;
            self.keyword_names(loc, keywords);
            self.op_count(call, Op::CallKw, count);
        }
        Ok(true)
    }

    fn keyword_values(&mut self, keywords: List<Keyword>) -> Pass<()> {
        let ast = self.ast;
        for keyword in ast.slice(keywords) {
            self.expression(keyword.value)?;
        }
        Ok(())
    }

    fn keyword_names(&mut self, loc: Loc, keywords: List<Keyword>) {
        let keywords = self.ast.slice(keywords);
        let names: Vec<Sym> = keywords.iter().filter_map(|keyword| keyword.name).collect();
        self.load_names_const(loc, &names);
    }

    /// Whether a name was imported at the module's top: such calls are of functions, not methods.
    fn is_imported(&self, value: ExprId) -> bool {
        let ExprKind::Name { id, .. } = self.ast.expr(value).kind else {
            return false;
        };
        self.module_symbol(id).0.any(Flags::IMPORT)
    }

    fn module_symbol(&self, name: Sym) -> (Flags, Scope) {
        // Inside of the module's own inlined comprehensions its symbols are changed.
        let module = self.outer.first().unwrap_or(&self.unit);
        if !module.overrides.is_empty()
            && let Some(&changed) = module.overrides.get(&name)
        {
            return changed;
        }
        self.own_module_symbol(name)
    }

    /// The arguments of a call, of which `pushed` are on the stack, and the call itself. `last` is a
    /// name that is one more argument.
    pub(super) fn call_args(
        &mut self,
        loc: Loc,
        pushed: usize,
        args: &[ExprId],
        last: Option<Sym>,
        keywords: List<Keyword>,
    ) -> Pass<()> {
        self.check_keywords(keywords)?;
        let ast = self.ast;
        let args_count = args.len() + usize::from(last.is_some());
        let plain = args_count + keywords.len() * 2 <= STACK_USE_GUIDELINE
            && !args.iter().any(|&arg| self.is_starred(arg))
            && ast.slice(keywords).iter().all(|key| key.name.is_some());
        if !plain {
            return self.call_unpacked(loc, pushed, args, last, keywords);
        }
        for &arg in args {
            self.expression(arg)?;
        }
        if let Some(name) = last {
            self.name_op(loc, name, Ctx::Load)?;
        }
        let count = pushed + args_count;
        if keywords.is_empty() {
            self.op_count(loc, Op::Call, count);
        } else {
            self.keyword_values(keywords)?;
            self.keyword_names(loc, keywords);
            self.op_count(loc, Op::CallKw, count + keywords.len());
        }
        Ok(())
    }

    /// A call with a tuple of positional and a dict of keyword arguments.
    fn call_unpacked(
        &mut self,
        loc: Loc,
        pushed: usize,
        args: &[ExprId],
        last: Option<Sym>,
        keywords: List<Keyword>,
    ) -> Pass<()> {
        match *args {
            [only] if pushed == 0 && last.is_none() && self.is_starred(only) => {
                if let ExprKind::Starred { value, .. } = self.ast.expr(only).kind {
                    self.expression(value)?;
                }
            }
            _ => self.build(loc, args, last, pushed, TUPLE)?,
        }
        let ast = self.ast;
        let keywords = ast.slice(keywords);
        if !keywords.is_empty() {
            let mut have_dict = false;
            let mut start = 0;
            for (index, keyword) in keywords.iter().enumerate() {
                if keyword.name.is_some() {
                    continue;
                }
                let named = keywords.get(start..index).unwrap_or(&[]);
                self.keyword_dict(loc, named, &mut have_dict)?;
                start = index + 1;
                if !have_dict {
                    self.op_arg(loc, Op::BuildMap, 0);
                    have_dict = true;
                }
                self.expression(keyword.value)?;
                self.op_arg(loc, Op::DictMerge, 1);
            }
            let named = keywords.get(start..).unwrap_or(&[]);
            self.keyword_dict(loc, named, &mut have_dict)?;
        }
        if self.since(14) {
            if keywords.is_empty() {
                self.op(loc, Op::PushNull);
            }
            self.op(loc, Op::CallFunctionExOrNull);
        } else {
            self.op_arg(loc, Op::CallFunctionEx, u32::from(!keywords.is_empty()));
        }
        Ok(())
    }

    /// Builds a dict of some keywords, and merges it into the one below, if any.
    fn keyword_dict(&mut self, loc: Loc, keywords: &[Keyword], have_dict: &mut bool) -> Pass<()> {
        if keywords.is_empty() {
            return Ok(());
        }
        let count = keywords.len();
        let big = count * 2 > STACK_USE_GUIDELINE;
        if count > 1 && !big && !self.since(14) {
            for keyword in keywords {
                self.expression(keyword.value)?;
            }
            let names: Vec<Sym> = keywords.iter().filter_map(|keyword| keyword.name).collect();
            self.load_names_const(loc, &names);
            self.op_count(loc, Op::BuildConstKeyMap, count);
        } else {
            if big {
                self.op_arg(Loc::NONE, Op::BuildMap, 0);
            }
            for keyword in keywords {
                if let Some(name) = keyword.name {
                    self.load_name_const(loc, name);
                }
                self.expression(keyword.value)?;
                if big {
                    self.op_arg(Loc::NONE, Op::MapAdd, 1);
                }
            }
            if !big {
                self.op_count(loc, Op::BuildMap, count);
            }
        }
        if *have_dict {
            self.op_arg(loc, Op::DictMerge, 1);
        }
        *have_dict = true;
        Ok(())
    }

    /// Whether `value.attr` is `super().attr` or `super(A, b).attr` with the builtin `super`.
    pub(super) fn can_optimize_super(&self, value: ExprId, attr: Sym) -> bool {
        let ast = self.ast;
        let ExprKind::Call {
            func,
            args,
            keywords,
        } = ast.expr(value).kind
        else {
            return false;
        };
        let name = self.known.super_;
        if !matches!(ast.expr(func).kind, ExprKind::Name { id, .. } if id == name)
            || attr == self.known.class
            || !keywords.is_empty()
        {
            return false;
        }
        if self.scope(name) != Scope::GlobalImplicit || self.module_symbol(name).1 != Scope::Unknown
        {
            return false;
        }
        match ast.slice(args) {
            &[one, other] => !self.is_starred(one) && !self.is_starred(other),
            [] => {
                self.unit.argcount + self.unit.posonlyargcount > 0
                    && self.ref_type(self.known.class) == Scope::Free
            }
            _ => false,
        }
    }

    /// Loads `super`, the class and the object. Whether they were given in the source.
    pub(super) fn load_super_args(&mut self, call: ExprId) -> Pass<bool> {
        let ast = self.ast;
        let Expr { kind, loc } = ast.expr(call);
        let ExprKind::Call { func, args, .. } = kind else {
            return Ok(false);
        };
        self.name_op(ast.expr(func).loc, self.known.super_, Ctx::Load)?;
        if args.len() == 2 {
            self.expressions(args)?;
            return Ok(true);
        }
        self.name_op(loc, self.known.class, Ctx::Load)?;
        let Some(&first) = self.unit.varnames.keys().first() else {
            return Err(Stop::unsure("internal: super() without a first argument"));
        };
        self.name_op(loc, first, Ctx::Load)?;
        Ok(false)
    }
}
