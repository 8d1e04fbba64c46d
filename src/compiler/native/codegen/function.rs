//! Functions and lambdas: scopes, defaults, closures.

use super::Compiler;
use super::finish::Finished;
use super::frame_block::FrameBlockKind;
use super::intrinsic::{function, one, two};
use super::unit::{ScopeType, Unit};
use crate::compiler::native::ast::{
    Arg, Arguments, Constant, Ctx, ExprId, ExprList, FunctionDef, Id, List, StmtId, Sym,
};
use crate::compiler::native::constant::Origin;
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::opcode::Op;
use crate::compiler::native::symtable::{BlockId, BlockKey, Scope};
use crate::pyc::Level;

impl Compiler<'_> {
    pub(super) fn block_of(&self, key: BlockKey) -> Pass<BlockId> {
        self.table
            .lookup(key)
            .ok_or_else(|| Stop::unsure("internal: no symbols for a scope"))
    }

    /// Begins a code object inside the current one.
    pub(super) fn enter(
        &mut self,
        block: BlockId,
        name: Sym,
        scope_type: ScopeType,
        line: i32,
    ) -> Pass<()> {
        let mut unit = Unit::new(
            self.table,
            self.pool,
            block,
            name,
            scope_type,
            &self.known,
            self.spare.pop().unwrap_or_default(),
        );
        self.begun += 1;
        unit.serial = self.begun;
        unit.first_line = line;
        let outer = std::mem::replace(&mut self.unit, Box::new(unit));
        self.unit.private = outer.private;
        self.outer.push(outer);
        self.unit.qualname = self.qualified_name();
        let loc = Loc {
            line,
            end_line: line,
            col: 0,
            end_col: 0,
        };
        self.op_arg(loc, Op::Resume, 0);
        Ok(())
    }

    /// Ends the current code object and goes back to the one around it.
    pub(super) fn leave(&mut self, add_none: bool) -> Pass<Finished> {
        let finished = self.finish(add_none)?;
        if let Some(outer) = self.outer.pop() {
            let nested = std::mem::replace(&mut self.unit, outer);
            self.hand_over_listing(nested);
        }
        Ok(finished)
    }

    fn qualified_name(&mut self) -> Sym {
        let name = self.unit.name;
        let mut around = self.outer.iter().rev();
        let Some(mut parent) = around.next() else {
            return name;
        };
        if parent.scope_type == ScopeType::Module {
            return name;
        }
        if parent.scope_type == ScopeType::TypeParams {
            match around.next() {
                Some(grandparent) if grandparent.scope_type != ScopeType::Module => {
                    parent = grandparent;
                }
                _ => return name,
            }
        }
        let parent_private = parent.private;
        let parent_block = parent.block;
        let parent_scope = parent.scope_type;
        let parent_qualname = parent.qualname;
        if matches!(
            self.unit.scope_type,
            ScopeType::Function | ScopeType::AsyncFunction | ScopeType::Class
        ) {
            let mangled = self.mangle_for(parent_private, name);
            let scope = self.table.block(parent_block).scope(mangled);
            if scope == Scope::GlobalExplicit {
                return name;
            }
        }
        let locals: &[u8] = match parent_scope {
            ScopeType::Function | ScopeType::AsyncFunction | ScopeType::Lambda => b".<locals>.",
            ScopeType::Module
            | ScopeType::Class
            | ScopeType::Comprehension
            | ScopeType::TypeParams => b".",
        };
        let parts = [
            self.pool.text(parent_qualname),
            locals,
            self.pool.text(name),
        ];
        let text = parts.concat();
        self.pool.sym_bytes(&text)
    }

    /// Makes a function of a code object and what is on the stack for it.
    pub(super) fn make_closure(&mut self, loc: Loc, code: &Finished, flags: u32) -> Pass<()> {
        let mut flags = flags;
        if !code.freevars.is_empty() {
            for &name in &code.freevars {
                let scope = match self.ref_type(name) {
                    Scope::Cell => Scope::Cell,
                    _ => Scope::Free,
                };
                let arg = self.deref_index(name, scope)?;
                self.op_arg(loc, Op::LoadClosure, arg);
            }
            self.op_count(loc, Op::BuildTuple, code.freevars.len());
            flags |= function::CLOSURE;
        }
        let arg = self.unit.consts.add(code.item());
        self.op_arg(loc, Op::LoadConst, arg);
        self.op(loc, Op::MakeFunction);
        for flag in [
            function::CLOSURE,
            function::ANNOTATIONS,
            function::ANNOTATE,
            function::KWDEFAULTS,
            function::DEFAULTS,
        ] {
            if flags & flag != 0 {
                self.op_arg(loc, Op::SetFunctionAttribute, flag);
            }
        }
        Ok(())
    }

    pub(super) fn decorators(&mut self, decorators: ExprList) -> Pass<()> {
        self.expressions(decorators)
    }

    pub(super) fn apply_decorators(&mut self, decorators: ExprList) {
        let ast = self.ast;
        for &decorator in ast.slice(decorators).iter().rev() {
            self.op_arg(ast.expr(decorator).loc, Op::Call, 0);
        }
    }

    /// The line of the first decorator, or of the definition.
    pub(super) fn first_line(&self, loc: Loc, decorators: ExprList) -> i32 {
        let first = self.ast.slice(decorators).first();
        first.map_or(loc.line, |&first| self.ast.expr(first).loc.line)
    }

    fn check_args(&self, args: &Arguments) -> Pass<()> {
        let check = |arg: &Arg| self.check_name(arg.loc, arg.name, Ctx::Store);
        let ast = self.ast;
        let one = |id: Option<Id<Arg>>| id.map(|id| ast.get(id));
        ast.slice(args.posonlyargs).iter().try_for_each(check)?;
        ast.slice(args.args).iter().try_for_each(check)?;
        one(args.vararg).into_iter().try_for_each(check)?;
        ast.slice(args.kwonlyargs).iter().try_for_each(check)?;
        one(args.kwarg).into_iter().try_for_each(check)
    }

    fn set_arg_counts(&mut self, args: &Arguments) {
        self.unit.argcount = args.args.len() as u32;
        self.unit.posonlyargcount = args.posonlyargs.len() as u32;
        self.unit.kwonlyargcount = args.kwonlyargs.len() as u32;
    }

    /// Loads the defaults. Returns the flags of what is on the stack.
    fn default_arguments(&mut self, loc: Loc, args: &Arguments) -> Pass<u32> {
        let mut flags = 0;
        if !args.defaults.is_empty() {
            self.expressions(args.defaults)?;
            self.op_count(loc, Op::BuildTuple, args.defaults.len());
            flags |= function::DEFAULTS;
        }
        if self.keyword_defaults(loc, args.kwonlyargs, args.kw_defaults)? {
            flags |= function::KWDEFAULTS;
        }
        Ok(flags)
    }

    fn keyword_defaults(
        &mut self,
        loc: Loc,
        args: List<Arg>,
        defaults: List<Option<ExprId>>,
    ) -> Pass<bool> {
        let ast = self.ast;
        let mut names = Vec::new();
        for (arg, default) in ast.slice(args).iter().zip(ast.slice(defaults)) {
            if let Some(default) = *default {
                let name = self.mangle(arg.name);
                names.push(name);
                if self.since(14) {
                    self.load_name_const(loc, name);
                }
                self.expression(default)?;
            }
        }
        if names.is_empty() {
            return Ok(false);
        }
        if self.since(14) {
            self.op_count(loc, Op::BuildMap, names.len());
        } else {
            self.load_names_const(loc, &names);
            self.op_count(loc, Op::BuildConstKeyMap, names.len());
        }
        Ok(true)
    }

    /// Up to 3.13 the first constant would be the docstring.
    pub(super) fn no_docstring(&mut self) {
        if !self.since(14) {
            self.add_const(Constant::None, Origin::Literal);
        }
    }

    /// Turns a `StopIteration` that leaves a generator into a `RuntimeError` (PEP 479).
    pub(super) fn wrap_in_stopiteration_handler(&mut self) {
        let handler = self.label();
        self.unit
            .sequence
            .push_front(Op::SetupCleanup, handler, Loc::NONE);
        self.load_none(Loc::NONE);
        self.op(Loc::NONE, Op::ReturnValue);
        self.place(handler);
        self.op_arg(Loc::NONE, Op::CallIntrinsic1, one::STOPITERATION_ERROR);
        self.op_arg(Loc::NONE, Op::Reraise, 1);
    }

    pub(super) fn lambda(
        &mut self,
        id: ExprId,
        loc: Loc,
        args: Arguments,
        body: ExprId,
    ) -> Pass<()> {
        self.check_args(&args)?;
        let flags = self.default_arguments(loc, &args)?;
        let name = self.sym("<lambda>");
        let block = self.block_of(BlockKey::Expr(id))?;
        self.enter(block, name, ScopeType::Lambda, loc.line)?;
        self.no_docstring();
        self.set_arg_counts(&args);
        self.expression(body)?;
        let code = if self.table.block(block).generator {
            self.leave(false)?
        } else {
            self.op(self.ast.expr(body).loc, Op::ReturnValue);
            self.leave(true)?
        };
        self.make_closure(loc, &code, flags)
    }

    pub(super) fn function_def(&mut self, id: StmtId, loc: Loc, def: FunctionDef) -> Pass<()> {
        let args = *self.ast.get(def.args);
        self.check_args(&args)?;
        self.decorators(def.decorators)?;
        let first_line = self.first_line(loc, def.decorators);
        let is_generic = !def.type_params.is_empty();
        let mut flags = self.default_arguments(loc, &args)?;
        let mut passed = 0;
        if is_generic {
            passed = (flags & (function::DEFAULTS | function::KWDEFAULTS)).count_ones();
            if passed == 2 {
                self.op_arg(loc, Op::Swap, 2);
            }
            self.enter_type_params(id, def.name, first_line)?;
            self.type_params(def.type_params)?;
            for local in 0..passed {
                self.op_arg(loc, Op::LoadFast, local);
            }
        }
        flags |= if self.since(14) {
            self.annotate_function(id, loc, &args, def.returns)?
        } else {
            self.stored_annotations(loc, &args, def.returns)?
        };
        self.function_body(id, loc, &def, &args, flags, first_line)?;
        if is_generic {
            self.op_arg(loc, Op::Swap, 2);
            let number = two::SET_FUNCTION_TYPE_PARAMS;
            self.op_arg(loc, Op::CallIntrinsic2, number);
            self.unit.argcount = passed;
            let code = self.leave(false)?;
            self.make_closure(loc, &code, 0)?;
            if passed > 0 {
                self.op_arg(loc, Op::Swap, passed + 1);
                self.op_arg(loc, Op::Call, passed - 1);
            } else {
                self.op(loc, Op::PushNull);
                self.op_arg(loc, Op::Call, 0);
            }
        }
        self.apply_decorators(def.decorators);
        self.name_op(loc, def.name, Ctx::Store)
    }

    fn function_body(
        &mut self,
        id: StmtId,
        loc: Loc,
        def: &FunctionDef,
        args: &Arguments,
        flags: u32,
        first_line: i32,
    ) -> Pass<()> {
        let scope_type = if def.is_async {
            ScopeType::AsyncFunction
        } else {
            ScopeType::Function
        };
        let block = self.block_of(BlockKey::Stmt(id))?;
        self.enter(block, def.name, scope_type, first_line)?;
        let docstring = self.docstring(def.body);
        match docstring {
            Some((text, _)) if self.level != Level::O2 => {
                let clean = self.clean_docstring(text)?;
                self.add_const(Constant::Str(clean), Origin::Literal);
            }
            _ => self.no_docstring(),
        }
        self.set_arg_counts(args);
        let symbols = self.table.block(block);
        let wrapped = symbols.coroutine || symbols.generator;
        if wrapped {
            self.push_block(Loc::NONE, FrameBlockKind::StopIteration)?;
        }
        let body = def.body.skip(usize::from(docstring.is_some()));
        self.statements(body)?;
        if wrapped {
            self.wrap_in_stopiteration_handler();
            self.pop_block();
        }
        let code = self.leave(true)?;
        self.make_closure(loc, &code, flags)
    }
}
