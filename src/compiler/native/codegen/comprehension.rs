//! Comprehensions: inlined (PEP 709, 3.12 and later) or as a function of their own.

use super::Compiler;
use super::frame_block::FrameBlockKind;
use super::unit::ScopeType;
use crate::compiler::native::ast::{Comprehension, Expr, ExprId, ExprKind, Sym};
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::instruction::Label;
use crate::compiler::native::opcode::Op;
use crate::compiler::native::symtable::{BlockId, BlockKey, BlockKind, Flags, Scope};

/// What a comprehension makes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Makes {
    Generator,
    List,
    Set,
    Dict,
}

/// The parts of a comprehension.
#[derive(Clone, Copy)]
struct Parts<'a> {
    makes: Makes,
    loc: Loc,
    generators: &'a [Comprehension],
    elt: ExprId,
    value: Option<ExprId>,
}

/// What has to be undone after an inlined comprehension.
#[derive(Default)]
struct Inlined {
    pushed: Vec<Sym>,
    /// Names and what the overrides held before.
    overridden: Vec<(Sym, Option<(Flags, Scope)>)>,
    hidden: Vec<Sym>,
    labels: Option<(Label, Label)>,
}

impl Compiler<'_> {
    pub(super) fn comprehension(&mut self, id: ExprId) -> Pass<()> {
        let ast = self.ast;
        let Expr { kind, loc } = ast.expr(id);
        let (makes, name, generators, elt, value) = match kind {
            ExprKind::GeneratorExp { elt, generators } => {
                (Makes::Generator, "<genexpr>", generators, elt, None)
            }
            ExprKind::ListComp { elt, generators } => {
                (Makes::List, "<listcomp>", generators, elt, None)
            }
            ExprKind::SetComp { elt, generators } => {
                (Makes::Set, "<setcomp>", generators, elt, None)
            }
            ExprKind::DictComp {
                key,
                value,
                generators,
            } => (Makes::Dict, "<dictcomp>", generators, key, Some(value)),
            _ => return Err(Stop::unsure("internal: not a comprehension")),
        };
        let parts = Parts {
            makes,
            loc,
            generators: ast.slice(generators),
            elt,
            value,
        };
        let block = self
            .table
            .lookup(BlockKey::Expr(id))
            .ok_or_else(|| Stop::unsure("internal: no symbols for a comprehension"))?;
        let is_async = self.table.block(block).coroutine;
        if is_async
            && makes != Makes::Generator
            && !matches!(
                self.unit.scope_type,
                ScopeType::AsyncFunction | ScopeType::Comprehension
            )
        {
            let message = "asynchronous comprehension outside of an asynchronous function";
            return Err(Stop::syntax(message, loc));
        }
        let Some(&outermost) = parts.generators.first() else {
            return Err(Stop::unsure("internal: a comprehension without for"));
        };
        if self.table.block(block).comp_inlined {
            self.first_iterator(outermost)?;
            let state = self.enter_inlined(loc, block)?;
            self.start_collection(parts, true);
            self.generator(parts, 0, 0, true)?;
            return self.leave_inlined(loc, state);
        }

        let name = self.sym(name);
        self.enter(block, name, ScopeType::Comprehension, loc.line)?;
        self.start_collection(parts, false);
        self.generator(parts, 0, 0, false)?;
        if makes == Makes::Generator {
            self.wrap_in_stopiteration_handler();
        } else {
            self.op(loc, Op::ReturnValue);
        }
        let code = self.leave(true)?;
        self.make_closure(loc, &code, 0)?;
        self.first_iterator(outermost)?;
        self.op_arg(loc, Op::Call, 0);
        if is_async && makes != Makes::Generator {
            self.await_top(loc, 0);
        }
        Ok(())
    }

    fn first_iterator(&mut self, outermost: Comprehension) -> Pass<()> {
        self.expression(outermost.iter)?;
        let loc = self.ast.expr(outermost.iter).loc;
        let op = if outermost.is_async {
            Op::GetAiter
        } else {
            Op::GetIter
        };
        self.op(loc, op);
        Ok(())
    }

    fn start_collection(&mut self, parts: Parts<'_>, inlined: bool) {
        let op = match parts.makes {
            Makes::Generator => return,
            Makes::List => Op::BuildList,
            Makes::Set => Op::BuildSet,
            Makes::Dict => Op::BuildMap,
        };
        self.op_arg(parts.loc, op, 0);
        if inlined {
            self.op_arg(parts.loc, Op::Swap, 2);
        }
    }

    /// The loop of the `index`th `for`. `depth`: how many iterators are between the collection and
    /// the top of the stack.
    fn generator(
        &mut self,
        parts: Parts<'_>,
        index: usize,
        depth: u32,
        iter_on_stack: bool,
    ) -> Pass<()> {
        let Some(&clause) = parts.generators.get(index) else {
            return Ok(());
        };
        if clause.is_async {
            self.deeper(|c| c.async_generator(parts, clause, index, depth, iter_on_stack))
        } else {
            self.deeper(|c| c.sync_generator(parts, clause, index, depth, iter_on_stack))
        }
    }

    /// The only element of `for x in [element]`, which needs no loop.
    fn single_element(&self, iter: ExprId) -> Option<ExprId> {
        let ast = self.ast;
        let elts = match ast.expr(iter).kind {
            ExprKind::List { elts, .. } | ExprKind::Tuple { elts, .. } => ast.slice(elts),
            _ => return None,
        };
        match *elts {
            [only] if !matches!(ast.expr(only).kind, ExprKind::Starred { .. }) => Some(only),
            _ => None,
        }
    }

    fn sync_generator(
        &mut self,
        parts: Parts<'_>,
        clause: Comprehension,
        index: usize,
        mut depth: u32,
        iter_on_stack: bool,
    ) -> Pass<()> {
        let start = self.label();
        let if_cleanup = self.label();
        let anchor = self.label();
        let iter_loc = self.ast.expr(clause.iter).loc;
        let mut loops = true;
        let mut has_iterator = iter_on_stack;
        if !iter_on_stack {
            if index == 0 {
                self.unit.argcount = 1;
                self.op_arg(parts.loc, Op::LoadFast, 0);
                has_iterator = true;
            } else if let Some(only) = self.single_element(clause.iter) {
                self.expression(only)?;
                loops = false;
            } else {
                self.expression(clause.iter)?;
                self.op(iter_loc, Op::GetIter);
                has_iterator = true;
            }
        }
        if loops {
            depth += 1;
            if self.profile.repeats_get_iter || !has_iterator {
                self.op(iter_loc, Op::GetIter);
            }
            self.place(start);
            self.jump(iter_loc, Op::ForIter, anchor);
        }
        self.expression(clause.target)?;
        self.conditions(parts, clause, if_cleanup)?;
        let jump_loc = self.inner(parts, index, depth)?;
        self.place(if_cleanup);
        if loops {
            self.jump(jump_loc, Op::Jump, start);
            self.place(anchor);
            self.op(Loc::NONE, Op::EndFor);
            self.pop_iterator();
        }
        Ok(())
    }

    fn async_generator(
        &mut self,
        parts: Parts<'_>,
        clause: Comprehension,
        index: usize,
        depth: u32,
        iter_on_stack: bool,
    ) -> Pass<()> {
        let loc = parts.loc;
        let start = self.label();
        let except = self.label();
        let if_cleanup = self.label();
        if !iter_on_stack {
            if index == 0 {
                self.unit.argcount = 1;
                self.op_arg(loc, Op::LoadFast, 0);
            } else {
                self.expression(clause.iter)?;
                self.op(self.ast.expr(clause.iter).loc, Op::GetAiter);
            }
        }
        self.place(start);
        self.push_block(loc, FrameBlockKind::AsyncComprehension)?;
        self.jump(loc, Op::SetupFinally, except);
        let send = self.next_async(loc);
        self.op(loc, Op::PopBlock);
        self.expression(clause.target)?;
        self.conditions(parts, clause, if_cleanup)?;
        let jump_loc = self.inner(parts, index, depth + 1)?;
        self.place(if_cleanup);
        self.jump(jump_loc, Op::Jump, start);
        self.pop_block();
        self.place(except);
        self.end_async_for(loc, send);
        Ok(())
    }

    fn conditions(&mut self, parts: Parts<'_>, clause: Comprehension, skip: Label) -> Pass<()> {
        let ast = self.ast;
        for &condition in ast.slice(clause.ifs) {
            self.jump_if(parts.loc, condition, skip, false)?;
        }
        Ok(())
    }

    /// The next `for`, or the element. Returns the place of the element.
    fn inner(&mut self, parts: Parts<'_>, index: usize, depth: u32) -> Pass<Loc> {
        let mut loc = self.ast.expr(parts.elt).loc;
        if index + 1 < parts.generators.len() {
            self.generator(parts, index + 1, depth, false)?;
            return Ok(loc);
        }
        self.expression(parts.elt)?;
        match parts.makes {
            Makes::Generator => {
                self.yield_top(loc);
                self.op(loc, Op::PopTop);
            }
            Makes::List => self.op_arg(loc, Op::ListAppend, depth + 1),
            Makes::Set => self.op_arg(loc, Op::SetAdd, depth + 1),
            Makes::Dict => {
                if let Some(value) = parts.value {
                    self.expression(value)?;
                    let end = self.ast.expr(value).loc;
                    loc.end_line = end.end_line;
                    loc.end_col = end.end_col;
                }
                self.op_arg(loc, Op::MapAdd, depth + 1);
            }
        }
        Ok(loc)
    }

    /// Makes the names of an inlined comprehension fast locals of the current code object. What they
    /// hid is kept on the stack below the iterator.
    fn enter_inlined(&mut self, loc: Loc, inner: BlockId) -> Pass<Inlined> {
        let table = self.table;
        let outer = table.block(self.unit.block);
        let in_class = outer.kind == BlockKind::Class && self.unit.inlined == 0;
        let function_like = outer.is_function_like();
        self.unit.inlined += 1;
        let mut state = Inlined::default();
        for symbol in &table.block(inner).symbols {
            let name = symbol.name;
            let (_, outer_scope) = self.symbol(name);
            let scope = symbol.scope;
            let differs = scope != outer_scope
                && scope != Scope::Free
                && !(scope == Scope::Cell && outer_scope == Scope::Free);
            if differs || in_class {
                let changed = (symbol.flags, scope);
                let before = self.unit.overrides.insert(name, changed);
                state.overridden.push((name, before));
            }
            let bound = symbol.flags.any(Flags::LOCAL) && !symbol.flags.any(Flags::NONLOCAL);
            if !bound && (!in_class || self.since(14)) {
                continue;
            }
            if !function_like && self.unit.fast_hidden.get(&name) != Some(&true) {
                self.unit.fast_hidden.insert(name, true);
                state.hidden.push(name);
            }
            let local = self.local_number(name);
            self.op_arg(loc, Op::LoadFastAndClear, local);
            if scope == Scope::Cell {
                let kind = if outer_scope == Scope::Free {
                    Scope::Free
                } else {
                    Scope::Cell
                };
                let cell = self.deref_index(name, kind)?;
                self.op_arg(loc, Op::MakeCell, cell);
            }
            state.pushed.push(name);
        }
        if !state.pushed.is_empty() {
            self.op_count(loc, Op::Swap, state.pushed.len() + 1);
            let cleanup = self.label();
            let end = self.label();
            state.labels = Some((cleanup, end));
            self.push_block(loc, FrameBlockKind::InlinedComprehension)?;
            self.jump(loc, Op::SetupFinally, cleanup);
        }
        Ok(state)
    }

    fn leave_inlined(&mut self, loc: Loc, state: Inlined) -> Pass<()> {
        self.unit.inlined -= 1;
        for (name, before) in state.overridden.into_iter().rev() {
            match before {
                Some(before) => self.unit.overrides.insert(name, before),
                None => self.unit.overrides.remove(&name),
            };
        }
        if let Some((cleanup, end)) = state.labels {
            self.pop_block();
            self.op(Loc::NONE, Op::PopBlock);
            self.jump(Loc::NONE, Op::JumpNoInterrupt, end);
            self.place(cleanup);
            self.op_arg(Loc::NONE, Op::Swap, 2);
            self.op(Loc::NONE, Op::PopTop);
            self.restore_locals(loc, &state.pushed);
            self.op_arg(Loc::NONE, Op::Reraise, 0);
            self.place(end);
            self.restore_locals(loc, &state.pushed);
        }
        for name in state.hidden {
            self.unit.fast_hidden.insert(name, false);
        }
        Ok(())
    }

    fn restore_locals(&mut self, loc: Loc, names: &[Sym]) {
        self.op_count(loc, Op::Swap, names.len() + 1);
        for &name in names.iter().rev() {
            let local = self.local_number(name);
            self.op_arg(loc, Op::StoreFastMaybeNull, local);
        }
    }
}
