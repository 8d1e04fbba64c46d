//! Names: mangling, scopes, and the instructions that reach them.

use super::Compiler;
use super::unit::ScopeType;
use crate::compiler::native::ast::{Ctx, Sym};
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::opcode::Op;
use crate::compiler::native::symtable::{BlockKind, Scope, mangle, maybe_mangle};

impl Compiler<'_> {
    /// The name under which a name of the program is known (`_Class__name`).
    pub(super) fn mangle(&mut self, name: Sym) -> Sym {
        let block = self.table.block(self.unit.block);
        maybe_mangle(self.pool, self.unit.private, block, name)
    }

    /// As [`Self::mangle`], for a class.
    pub(super) fn mangle_for(&mut self, class: Option<Sym>, name: Sym) -> Sym {
        mangle(self.pool, class, name)
    }

    /// How the current block reaches a mangled name.
    pub(super) fn scope(&self, name: Sym) -> Scope {
        self.symbol(name).1
    }

    /// As [`Self::scope`], knowing the cells that a class gets by itself.
    pub(super) fn ref_type(&self, name: Sym) -> Scope {
        let implicit = [
            self.known.class,
            self.known.classdict,
            self.known.conditional_annotations,
        ]
        .contains(&name);
        if self.unit.scope_type == ScopeType::Class && implicit {
            return Scope::Cell;
        }
        self.scope(name)
    }

    /// `__debug__` cannot be assigned.
    pub(super) fn check_name(&self, loc: Loc, name: Sym, ctx: Ctx) -> Pass<()> {
        if name == self.known.debug {
            match ctx {
                Ctx::Store => return Err(Stop::syntax("cannot assign to __debug__", loc)),
                Ctx::Del => return Err(Stop::syntax("cannot delete __debug__", loc)),
                Ctx::Load => {}
            }
        }
        Ok(())
    }

    /// Loads, stores or deletes a name.
    pub(super) fn name_op(&mut self, loc: Loc, name: Sym, ctx: Ctx) -> Pass<()> {
        self.check_name(loc, name, ctx)?;
        let name = self.mangle(name);
        let block = self.table.block(self.unit.block);
        let function_like = block.is_function_like();
        let in_class = block.kind == BlockKind::Class;
        let sees_class = block.can_see_class_scope;
        let inlined = self.unit.inlined > 0;
        let scope = self.scope(name);
        match scope {
            Scope::Free | Scope::Cell => {
                let arg = self.deref_index(name, scope)?;
                let op = match ctx {
                    Ctx::Store => Op::StoreDeref,
                    Ctx::Del => Op::DeleteDeref,
                    Ctx::Load if in_class && !inlined => {
                        self.op(loc, Op::LoadLocals);
                        Op::LoadFromDictOrDeref
                    }
                    Ctx::Load if sees_class => {
                        self.load_classdict(loc)?;
                        Op::LoadFromDictOrDeref
                    }
                    Ctx::Load => Op::LoadDeref,
                };
                self.op_arg(loc, op, arg);
            }
            Scope::Local if function_like || self.unit.fast_hidden.get(&name) == Some(&true) => {
                let arg = self.local_number(name);
                let op = match ctx {
                    Ctx::Load => Op::LoadFast,
                    Ctx::Store => Op::StoreFast,
                    Ctx::Del => Op::DeleteFast,
                };
                self.op_arg(loc, op, arg);
            }
            Scope::GlobalExplicit => self.global_op(loc, name, ctx, false)?,
            Scope::GlobalImplicit if function_like => {
                self.global_op(loc, name, ctx, sees_class)?;
            }
            Scope::GlobalImplicit | Scope::Local | Scope::Unknown => {
                let op = match ctx {
                    Ctx::Load if in_class && inlined => {
                        return self.global_op(loc, name, ctx, false);
                    }
                    Ctx::Load => Op::LoadName,
                    Ctx::Store => Op::StoreName,
                    Ctx::Del => Op::DeleteName,
                };
                let arg = self.name_number(name);
                self.op_arg(loc, op, arg);
            }
        }
        Ok(())
    }

    /// The number of a cell or free variable: cells first.
    pub(super) fn deref_index(&self, name: Sym, scope: Scope) -> Pass<u32> {
        let cells = &self.unit.cellvars;
        let index = match scope {
            Scope::Free => {
                let free = self.unit.freevars.find(name);
                free.map(|at| at + cells.len() as u32)
            }
            _ => cells.find(name),
        };
        index.ok_or_else(|| {
            Stop::unsure(format!(
                "internal: no cell for {} in {}",
                self.text_of(name),
                self.text_of(self.unit.qualname)
            ))
        })
    }

    fn load_classdict(&mut self, loc: Loc) -> Pass<()> {
        let arg = self.deref_index(self.known.classdict, Scope::Free)?;
        self.op_arg(loc, Op::LoadDeref, arg);
        Ok(())
    }

    fn global_op(&mut self, loc: Loc, name: Sym, ctx: Ctx, through_classdict: bool) -> Pass<()> {
        let (op, shift) = match ctx {
            Ctx::Load if through_classdict => {
                self.load_classdict(loc)?;
                (Op::LoadFromDictOrGlobals, 0)
            }
            Ctx::Load => (Op::LoadGlobal, 1),
            Ctx::Store => (Op::StoreGlobal, 0),
            Ctx::Del => (Op::DeleteGlobal, 0),
        };
        let arg = self.name_number(name);
        self.op_arg(loc, op, arg << shift);
        Ok(())
    }
}
