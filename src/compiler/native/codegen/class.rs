//! Classes.

use super::Compiler;
use super::intrinsic::one;
use super::unit::ScopeType;
use crate::compiler::native::ast::{ClassDef, Constant, Ctx, StmtId};
use crate::compiler::native::constant::Origin;
use crate::compiler::native::error::{Loc, Pass};
use crate::compiler::native::opcode::Op;
use crate::compiler::native::symtable::{BlockKey, Scope};

impl Compiler<'_> {
    pub(super) fn class_def(&mut self, id: StmtId, loc: Loc, def: ClassDef) -> Pass<()> {
        self.decorators(def.decorators)?;
        let first_line = self.first_line(loc, def.decorators);
        let ast = self.ast;
        let is_generic = !def.type_params.is_empty();
        if is_generic {
            self.enter_type_params(id, def.name, first_line)?;
            self.unit.private = Some(def.name);
            self.type_params(def.type_params)?;
            self.name_op(loc, self.known.type_params, Ctx::Store)?;
        }
        self.class_body(id, loc, &def, first_line)?;
        let bases = ast.slice(def.bases);
        if is_generic {
            let base = self.sym(".generic_base");
            self.name_op(loc, self.known.type_params, Ctx::Load)?;
            self.op_arg(loc, Op::CallIntrinsic1, one::SUBSCRIPT_GENERIC);
            self.name_op(loc, base, Ctx::Store)?;
            self.call_args(loc, 2, bases, Some(base), def.keywords)?;
            let code = self.leave(false)?;
            self.make_closure(loc, &code, 0)?;
            self.op(loc, Op::PushNull);
            self.op_arg(loc, Op::Call, 0);
        } else {
            self.call_args(loc, 2, bases, None, def.keywords)?;
        }
        self.apply_decorators(def.decorators);
        self.name_op(loc, def.name, Ctx::Store)
    }

    fn class_body(&mut self, id: StmtId, loc: Loc, def: &ClassDef, first_line: i32) -> Pass<()> {
        let block = self.block_of(BlockKey::Stmt(id))?;
        self.enter(block, def.name, ScopeType::Class, first_line)?;
        let start = Loc {
            line: first_line,
            end_line: first_line,
            col: 0,
            end_col: 0,
        };
        self.unit.private = Some(def.name);
        self.load_and_store(start, "__name__", "__module__")?;
        let nested = self.unit.qualname != self.unit.name;
        let text = self.pool.text(self.unit.qualname);
        let origin = if !nested {
            Origin::Name
        } else if self.profile.is_startup_class(text) {
            // The code object's name is the string of the loaded class, not this one.
            Origin::Literal
        } else {
            Origin::Qualname
        };
        let qualname = Constant::Str(self.unit.qualname);
        self.load_const_from(start, qualname, origin);
        self.store(start, "__qualname__")?;
        self.load_const(start, Constant::Int(i64::from(first_line)));
        self.store(start, "__firstlineno__")?;
        if !def.type_params.is_empty() {
            self.name_op(start, self.known.type_params, Ctx::Load)?;
            self.store(start, "__type_params__")?;
        }
        let symbols = self.table.block(block);
        let classdict = self.known.classdict;
        if symbols.needs_classdict {
            self.op(start, Op::LoadLocals);
            let cell = self.deref_index(classdict, Scope::Cell)?;
            self.op_arg(start, Op::StoreDeref, cell);
        }
        if symbols.has_conditional_annotations {
            let cell = self.deref_index(self.known.conditional_annotations, Scope::Cell)?;
            self.op_arg(start, Op::BuildSet, 0);
            self.op_arg(start, Op::StoreDeref, cell);
        }
        self.body(start, def.body)?;

        let mut attributes = std::mem::take(&mut self.unit.static_attributes);
        attributes.sort_by(|&one, &other| self.pool.text(one).cmp(self.pool.text(other)));
        self.load_names_const(Loc::NONE, &attributes);
        self.store(Loc::NONE, "__static_attributes__")?;
        if symbols.needs_classdict {
            let cell = self.deref_index(classdict, Scope::Cell)?;
            self.op_arg(Loc::NONE, Op::LoadClosure, cell);
            self.store(Loc::NONE, "__classdictcell__")?;
        }
        if symbols.needs_class_closure {
            let cell = self.deref_index(self.known.class, Scope::Cell)?;
            self.op_arg(Loc::NONE, Op::LoadClosure, cell);
            self.op_arg(Loc::NONE, Op::Copy, 1);
            self.store(Loc::NONE, "__classcell__")?;
        } else {
            self.load_none(Loc::NONE);
        }
        self.op(Loc::NONE, Op::ReturnValue);
        let code = self.leave(true)?;

        self.op(loc, Op::LoadBuildClass);
        self.op(loc, Op::PushNull);
        self.make_closure(loc, &code, 0)?;
        self.load_name_const(loc, def.name);
        Ok(())
    }

    fn store(&mut self, loc: Loc, name: &str) -> Pass<()> {
        let name = self.sym(name);
        self.name_op(loc, name, Ctx::Store)
    }

    fn load_and_store(&mut self, loc: Loc, from: &str, to: &str) -> Pass<()> {
        let from = self.sym(from);
        self.name_op(loc, from, Ctx::Load)?;
        self.store(loc, to)
    }
}
