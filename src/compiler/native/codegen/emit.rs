//! Emitting instructions.

use super::Compiler;
use super::intrinsic::{one, resume};
use crate::compiler::native::ast::{Constant, Sym};
use crate::compiler::native::constant::{Heap, Item, Origin};
use crate::compiler::native::error::Loc;
use crate::compiler::native::instruction::Label;
use crate::compiler::native::opcode::Op;

impl Compiler<'_> {
    pub(super) fn op(&mut self, loc: Loc, op: Op) {
        self.unit.sequence.push(op, 0, loc);
    }

    pub(super) fn op_arg(&mut self, loc: Loc, op: Op, arg: u32) {
        self.unit.sequence.push(op, arg, loc);
    }

    /// As `op_arg`, with a count.
    pub(super) fn op_count(&mut self, loc: Loc, op: Op, count: usize) {
        self.unit.sequence.push(op, count as u32, loc);
    }

    pub(super) fn jump(&mut self, loc: Loc, op: Op, label: Label) {
        self.unit.sequence.push_jump(op, label, loc);
    }

    pub(super) fn label(&mut self) -> Label {
        self.unit.sequence.new_label()
    }

    pub(super) fn place(&mut self, label: Label) {
        self.unit.sequence.place(label);
    }

    /// The number of a constant.
    pub(super) fn add_const(&mut self, value: Constant, origin: Origin) -> u32 {
        if let Constant::Float(bits) = value
            && f64::from_bits(bits).is_nan()
        {
            return self.unit.consts.add(Item::Object(self.heap.nan(bits)));
        }
        match value {
            Constant::Str(text) => self.string_number(text, origin),
            value => {
                let value = Heap::canonical(value, self.pool);
                self.constant_number(value, origin)
            }
        }
    }

    /// The number of a constant in its canonical form.
    pub(super) fn constant_number(&mut self, value: Constant, origin: Origin) -> u32 {
        let item = Item::Value(value);
        if let Some(at) = self.unit.consts.find(item) {
            return at;
        }
        self.heap.constant(value, origin, self.pool);
        self.unit.consts.push(item)
    }

    pub(super) fn load_const_from(&mut self, loc: Loc, value: Constant, origin: Origin) {
        let arg = self.add_const(value, origin);
        self.op_arg(loc, Op::LoadConst, arg);
    }

    pub(super) fn load_const(&mut self, loc: Loc, value: Constant) {
        self.load_const_from(loc, value, Origin::Literal);
    }

    pub(super) fn load_none(&mut self, loc: Loc) {
        self.load_const(loc, Constant::None);
    }

    /// Loads a name of the program as a string.
    pub(super) fn load_name_const(&mut self, loc: Loc, name: Sym) {
        self.load_const_from(loc, Constant::Str(name), Origin::Name);
    }

    /// Loads a tuple of names of the program.
    pub(super) fn load_names_const(&mut self, loc: Loc, names: &[Sym]) {
        let items: Vec<Constant> = names.iter().map(|&name| Constant::Str(name)).collect();
        let tuple = self.pool.tuple_constant(&items);
        self.load_const_from(loc, tuple, Origin::Name);
    }

    /// An instruction with a name, which is mangled.
    pub(super) fn op_name(&mut self, loc: Loc, op: Op, name: Sym) {
        let name = self.mangle(name);
        let at = self.name_number(name);
        let (op, arg) = match op {
            Op::LoadAttr => (op, at << 1),
            Op::LoadMethod => (Op::LoadAttr, at << 1 | 1),
            Op::LoadSuperAttr => (op, at << 2 | 2),
            Op::LoadSuperMethod => (Op::LoadSuperAttr, at << 2 | 3),
            Op::LoadZeroSuperAttr => (Op::LoadSuperAttr, at << 2),
            Op::LoadZeroSuperMethod => (Op::LoadSuperAttr, at << 2 | 1),
            _ => (op, at),
        };
        self.op_arg(loc, op, arg);
    }

    /// `None, None, None` for `__exit__`.
    pub(super) fn call_exit_with_nones(&mut self, loc: Loc) {
        self.load_none(loc);
        self.load_none(loc);
        self.load_none(loc);
        // From 3.14 on the function and its `self` are on the stack, not a bound method.
        let count = if self.since(14) { 3 } else { 2 };
        self.op_arg(loc, Op::Call, count);
    }

    /// Delegates to the iterator below the `None` on the stack.
    pub(super) fn yield_from(&mut self, loc: Loc, is_await: bool) {
        let send = self.label();
        let fail = self.label();
        let exit = self.label();
        self.place(send);
        self.jump(loc, Op::Send, exit);
        // Only a throw or close raises here.
        self.jump(loc, Op::SetupFinally, fail);
        self.op_arg(loc, Op::YieldValue, 1);
        self.op(Loc::NONE, Op::PopBlock);
        let place = if is_await {
            resume::AFTER_AWAIT
        } else {
            resume::AFTER_YIELD_FROM
        };
        self.op_arg(loc, Op::Resume, place);
        self.jump(loc, Op::JumpNoInterrupt, send);
        self.place(fail);
        self.op(loc, Op::CleanupThrow);
        self.place(exit);
        self.op(loc, Op::EndSend);
    }

    /// Awaits the awaitable on the stack. `kind`: 0 plain, 1 `__aenter__`, 2 `__aexit__`.
    pub(super) fn await_top(&mut self, loc: Loc, kind: u32) {
        self.op_arg(loc, Op::GetAwaitable, kind);
        self.load_none(loc);
        self.yield_from(loc, true);
    }

    pub(super) fn yield_top(&mut self, loc: Loc) {
        let block = self.table.block(self.unit.block);
        if block.generator && block.coroutine {
            self.op_arg(loc, Op::CallIntrinsic1, one::ASYNC_GEN_WRAP);
        }
        self.op_arg(loc, Op::YieldValue, 0);
        self.op_arg(loc, Op::Resume, resume::AFTER_YIELD);
    }

    /// Ends a handler that keeps the raising instruction's offset.
    pub(super) fn pop_except_and_reraise(&mut self) {
        self.op_arg(Loc::NONE, Op::Copy, 3);
        self.op(Loc::NONE, Op::PopExcept);
        self.op_arg(Loc::NONE, Op::Reraise, 1);
    }
}
