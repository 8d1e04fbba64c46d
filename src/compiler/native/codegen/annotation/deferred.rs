//! Annotations from 3.14 on (PEP 649): a function `__annotate__` evaluates them when they are asked
//! for. Under the future import (PEP 563) those of names are stored as text instead.
//!
//! A module or class notes in a set which of its conditional annotations were reached; `__annotate__`
//! leaves the others out. For a module all are conditional, since it can be looked at half done.

use super::super::Compiler;
use super::super::intrinsic::{common, function};
use super::super::unit::ScopeType;
use crate::compiler::native::ast::{
    Arguments, CmpOp, Constant, Ctx, ExprId, ExprKind, StmtId, Sym,
};
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::opcode::Op;
use crate::compiler::native::symtable::{BlockId, BlockKey, BlockKind, Scope};

/// The formats up to this one (`VALUE_WITH_FAKE_GLOBALS`) are evaluated by the function itself.
const LAST_FORMAT: i64 = 2;

/// An annotated name of a module or class.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Deferred {
    name: Sym,
    annotation: ExprId,
    loc: Loc,
    /// Its number in the set of those that were reached.
    condition: Option<u32>,
}

impl Compiler<'_> {
    /// Begins a function of one parameter, the format, which it cannot give in later formats.
    pub(in super::super) fn enter_annotations(
        &mut self,
        loc: Loc,
        block: BlockId,
        name: Sym,
    ) -> Pass<()> {
        self.enter(block, name, ScopeType::TypeParams, loc.line)?;
        self.unit.posonlyargcount = 1;
        self.op_arg(loc, Op::LoadFast, 0);
        self.load_const(loc, Constant::Int(LAST_FORMAT));
        self.compare_op(loc, CmpOp::Gt);
        let body = self.label();
        self.jump(loc, Op::PopJumpIfFalse, body);
        self.op_arg(loc, Op::LoadCommonConstant, common::NOT_IMPLEMENTED_ERROR);
        self.op_arg(loc, Op::RaiseVarargs, 1);
        self.place(body);
        Ok(())
    }

    /// Ends `__annotate__` and makes the function.
    fn leave_annotate(&mut self, loc: Loc) -> Pass<()> {
        self.op(loc, Op::ReturnValue);
        // The parameter has another name in the scope, which no annotation can mean.
        self.unit.public_parameter = Some(self.sym("format"));
        let code = self.leave(true)?;
        self.make_closure(loc, &code, 0)
    }

    /// Makes the `__annotate__` of a function. Returns the flags of what is on the stack.
    pub(in super::super) fn annotate_function(
        &mut self,
        id: StmtId,
        loc: Loc,
        args: &Arguments,
        returns: Option<ExprId>,
    ) -> Pass<u32> {
        let Some(block) = self.table.lookup(BlockKey::Annotations(id)) else {
            return Ok(0);
        };
        let name = self.table.block(block).name;
        self.enter_annotations(loc, block, name)?;
        let count = self.parameter_annotations(loc, args, returns)?;
        self.op_count(loc, Op::BuildMap, count);
        self.leave_annotate(loc)?;
        Ok(function::ANNOTATE)
    }

    pub(in super::super) fn deferred_ann_assign(
        &mut self,
        loc: Loc,
        target: ExprId,
        annotation: ExprId,
        value: Option<ExprId>,
        simple: bool,
    ) -> Pass<()> {
        self.annotated_value(loc, target, value)?;
        match self.ast.expr(target).kind {
            ExprKind::Name { id, .. } if simple && self.keeps_annotations() => {
                if self.future_annotations() {
                    self.annotation_text(annotation)?;
                    self.store_annotation(loc, id);
                } else {
                    self.defer(loc, id, annotation)?;
                }
            }
            _ => {}
        }
        self.annotated_parts(target, value)
    }

    /// Keeps an annotation for `__annotate__`, and notes that it was reached.
    fn defer(&mut self, loc: Loc, name: Sym, annotation: ExprId) -> Pass<()> {
        let is_module = self.unit.scope_type == ScopeType::Module;
        let is_conditional = is_module || self.unit.conditional;
        let condition = is_conditional.then(|| {
            let before = self.unit.deferred.iter();
            before.filter(|other| other.condition.is_some()).count() as u32
        });
        self.unit.deferred.push(Deferred {
            name,
            annotation,
            loc,
            condition,
        });
        let Some(number) = condition else {
            return Ok(());
        };
        let set = self.known.conditional_annotations;
        if is_module {
            self.op_name(loc, Op::LoadName, set);
        } else {
            let cell = self.deref_index(set, Scope::Cell)?;
            self.op_arg(loc, Op::LoadDeref, cell);
        }
        self.load_const(loc, Constant::Int(i64::from(number)));
        self.op_arg(loc, Op::SetAdd, 1);
        self.op(loc, Op::PopTop);
        Ok(())
    }

    /// Makes the `__annotate__` of a module or class. `loc`: the place of its beginning.
    pub(in super::super) fn annotate_names(&mut self, loc: Loc) -> Pass<()> {
        let deferred = std::mem::take(&mut self.unit.deferred);
        if deferred.is_empty() {
            return Ok(());
        }
        let around = self.unit.block;
        let is_class = self.table.block(around).kind == BlockKind::Class;
        let block = self.block_of(BlockKey::NameAnnotations(around))?;
        let name = self.table.block(block).name;
        let before = self.unit.sequence.instrs.len();
        self.enter_annotations(loc, block, name)?;
        self.op_arg(loc, Op::BuildMap, 0);
        for one in deferred {
            self.deferred_annotation(loc, one, is_class)?;
        }
        self.leave_annotate(loc)?;
        let attribute = self.sym(if is_class {
            "__annotate_func__"
        } else {
            "__annotate__"
        });
        self.name_op(loc, attribute, Ctx::Store)?;
        if !is_class {
            // A module has it from the start. CPython does not show this code.
            self.unit.nested.pop();
            self.unit.annotations_code = self.unit.sequence.instrs.split_off(before);
        }
        Ok(())
    }

    fn deferred_annotation(&mut self, body: Loc, one: Deferred, in_class: bool) -> Pass<()> {
        let loc = one.loc;
        let name = self.mangle_for(self.unit.private, one.name);
        let not_set = self.label();
        if let Some(number) = one.condition {
            self.load_const(loc, Constant::Int(i64::from(number)));
            let set = self.known.conditional_annotations;
            if in_class {
                if self.unit.cellvars.len() != 0 {
                    // CPython then numbers the variable as if there were none.
                    return Err(Stop::unsure("a conditional annotation beside cells"));
                }
                // The symbol table does not know of this use.
                let free = self.unit.freevars.add(set);
                self.op_arg(loc, Op::LoadDeref, free);
            } else {
                let at = self.name_number(set);
                self.op_arg(loc, Op::LoadGlobal, at << 1);
            }
            self.op_arg(loc, Op::ContainsOp, 0);
            self.jump(loc, Op::PopJumpIfFalse, not_set);
        }
        self.expression(one.annotation)?;
        self.op_arg(loc, Op::Copy, 2);
        self.load_name_const(loc, name);
        self.op(body, Op::StoreSubscr);
        self.place(not_set);
        Ok(())
    }
}
