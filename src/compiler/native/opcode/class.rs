//! What kind of instruction an opcode is: what the graph passes ask at each instruction, so the
//! answers are in a table.

use super::Op;

/// Instructions that may go to their argument in the normal flow.
const JUMPS: &[Op] = &[
    Op::Jump,
    Op::JumpNoInterrupt,
    Op::JumpForward,
    Op::JumpBackward,
    Op::JumpBackwardNoInterrupt,
    Op::JumpIfFalse,
    Op::JumpIfTrue,
    Op::PopJumpIfFalse,
    Op::PopJumpIfTrue,
    Op::PopJumpIfNone,
    Op::PopJumpIfNotNone,
    Op::ForIter,
    Op::Send,
    Op::EndAsyncForOf,
];
const UNCONDITIONAL_JUMPS: &[Op] = &[
    Op::Jump,
    Op::JumpNoInterrupt,
    Op::JumpForward,
    Op::JumpBackward,
    Op::JumpBackwardNoInterrupt,
];
const BLOCK_PUSHES: &[Op] = &[Op::SetupFinally, Op::SetupCleanup, Op::SetupWith];
const SCOPE_EXITS: &[Op] = &[
    Op::ReturnValue,
    Op::ReturnConst,
    Op::RaiseVarargs,
    Op::Reraise,
];
const CONST_LOADS: &[Op] = &[Op::LoadConst, Op::ReturnConst];
const EVAL_BREAKS: &[Op] = &[
    Op::Call,
    Op::CallFunctionEx,
    Op::CallFunctionExOrNull,
    Op::CallKw,
    Op::Resume,
    Op::Jump,
    Op::JumpBackward,
];

/// Instructions after which a fast local may be unbound.
const UNBINDS: &[Op] = &[Op::DeleteFast, Op::LoadFastAndClear, Op::StoreFastMaybeNull];
/// Pseudo instructions that become others in place.
const RENAMED: &[Op] = &[Op::LoadClosure, Op::StoreFastMaybeNull];
/// Instructions after which a fast local is bound or unbound, whatever it was before.
const LOCAL_STATES: &[Op] = &[
    Op::DeleteFast,
    Op::LoadFastAndClear,
    Op::StoreFastMaybeNull,
    Op::StoreFast,
    Op::LoadFastCheck,
    Op::LoadFast,
];
/// Loads and stores of fast locals that are combined or borrowed.
const FAST_LOCALS: &[Op] = &[Op::LoadFast, Op::StoreFast, Op::LoadFastLoadFast];
const VALUE_LOADS: &[Op] = &[Op::LoadConst, Op::LoadSmallInt];
/// What changes when a constant is loaded right before it, and what copies the constant.
const CONST_USES: &[Op] = &[
    Op::PopJumpIfFalse,
    Op::PopJumpIfTrue,
    Op::JumpIfFalse,
    Op::JumpIfTrue,
    Op::IsOp,
    Op::ReturnValue,
    Op::ToBool,
    Op::Copy,
];
/// What a rewrite of a few instructions begins with.
const REWRITES: &[Op] = &[
    Op::BuildTuple,
    Op::StoreFast,
    Op::LoadGlobal,
    Op::CompareOp,
    Op::ContainsOp,
    Op::IsOp,
    Op::ToBool,
    Op::UnaryNot,
    Op::Swap,
];
/// What such a rewrite of two instructions ends with.
const PAIR_ENDS: &[Op] = &[
    Op::UnpackSequence,
    Op::StoreFast,
    Op::PushNull,
    Op::ToBool,
    Op::UnaryNot,
];
/// What becomes a constant if its operands are some (3.14).
const FOLDS: &[Op] = &[
    Op::BuildTuple,
    Op::BuildList,
    Op::BuildSet,
    Op::UnaryNot,
    Op::UnaryInvert,
    Op::UnaryNegative,
    Op::BinaryOp,
    Op::CallIntrinsic1,
    Op::ListAppend,
    Op::SetAdd,
];
/// Swaps, and what may become one.
const SWAPS: &[Op] = &[Op::Swap, Op::BuildTuple];

const JUMP: u32 = 1;
const UNCONDITIONAL_JUMP: u32 = 2;
const BLOCK_PUSH: u32 = 4;
const SCOPE_EXIT: u32 = 8;
const CONST_LOAD: u32 = 16;
const EVAL_BREAK: u32 = 32;
const BLOCK_POP: u32 = 64;
const UNBIND: u32 = 128;
const RENAME: u32 = 256;
const FAST_LOCAL: u32 = 512;
const LOCAL_STATE: u32 = 1 << 10;
const VALUE_LOAD: u32 = 1 << 11;
const REWRITE: u32 = 1 << 12;
const FOLD: u32 = 1 << 13;
const SWAP: u32 = 1 << 14;
const NOP: u32 = 1 << 15;
const POP_TOP: u32 = 1 << 16;
/// No property of an opcode: some instruction has no line.
const LINELESS: u32 = 1 << 17;
/// Neither: some instruction has a handler.
const HANDLED: u32 = 1 << 18;
const CONST_USE: u32 = 1 << 19;
const PAIR_END: u32 = 1 << 20;

static CLASSES: [u32; 256] = {
    let table = mark([0; 256], &[Op::PopBlock], BLOCK_POP);
    let table = mark(table, UNBINDS, UNBIND);
    let table = mark(table, RENAMED, RENAME);
    let table = mark(table, FAST_LOCALS, FAST_LOCAL);
    let table = mark(table, JUMPS, JUMP);
    let table = mark(table, UNCONDITIONAL_JUMPS, UNCONDITIONAL_JUMP);
    let table = mark(table, BLOCK_PUSHES, BLOCK_PUSH);
    let table = mark(table, SCOPE_EXITS, SCOPE_EXIT);
    let table = mark(table, CONST_LOADS, CONST_LOAD);
    let table = mark(table, LOCAL_STATES, LOCAL_STATE);
    let table = mark(table, VALUE_LOADS, VALUE_LOAD);
    let table = mark(table, REWRITES, REWRITE);
    let table = mark(table, FOLDS, FOLD);
    let table = mark(table, SWAPS, SWAP);
    let table = mark(table, &[Op::Nop], NOP);
    let table = mark(table, CONST_USES, CONST_USE);
    let table = mark(table, PAIR_ENDS, PAIR_END);
    let table = mark(table, &[Op::PopTop], POP_TOP);
    mark(table, EVAL_BREAKS, EVAL_BREAK)
};

#[allow(clippy::indexing_slicing)] // Only while the program is built.
const fn mark(mut table: [u32; 256], ops: &[Op], class: u32) -> [u32; 256] {
    let mut at = 0;
    while at < ops.len() {
        table[ops[at] as usize] |= class;
        at += 1;
    }
    table
}

/// Which kinds of instruction a stretch of code has. There may be fewer than it says, never more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u32);

impl Kinds {
    /// Of no instruction.
    pub const NONE: Kinds = Kinds(0);
    /// A `NOP`.
    pub const NOP: Kinds = Kinds(NOP);
    /// An instruction without a line.
    pub const LINELESS: Kinds = Kinds(LINELESS);

    /// An instruction with a handler.
    pub const HANDLED: Kinds = Kinds(HANDLED);

    /// Of an instruction on a line; below zero for none. Whether it has a handler is not told.
    #[inline]
    pub fn of(op: Op, line: i32) -> Kinds {
        // The sign, as the lowest bit.
        let no_line = (line as u32 >> 31) * LINELESS;
        Kinds(op.classes() | no_line)
    }

    /// Notes more kinds.
    #[inline]
    pub fn add(&mut self, more: Kinds) {
        self.0 |= more.0;
    }

    /// Takes kinds away that are no more.
    #[inline]
    pub fn remove(&mut self, gone: Kinds) {
        self.0 &= !gone.0;
    }

    /// Whether all of `other` are noted.
    pub fn has_all(self, other: Kinds) -> bool {
        other.0 & !self.0 == 0
    }

    /// Whether there may be instructions without a line.
    pub fn lineless(self) -> bool {
        self.0 & LINELESS != 0
    }

    /// Whether instructions may have handlers.
    pub fn handled(self) -> bool {
        self.0 & HANDLED != 0
    }

    /// Replaces all kinds, but for whether instructions have handlers.
    pub fn replace(&mut self, kinds: Kinds) {
        self.0 = (self.0 & HANDLED) | kinds.0;
    }

    /// Whether there may be `NOP`s.
    pub fn nops(self) -> bool {
        self.0 & NOP != 0
    }

    /// Whether there may be `POP_TOP`.
    pub fn pops(self) -> bool {
        self.0 & POP_TOP != 0
    }

    /// Whether there may be jumps.
    pub fn jumps(self) -> bool {
        self.0 & JUMP != 0
    }

    /// Whether there may be jumps that are always taken.
    pub fn unconditional_jumps(self) -> bool {
        self.0 & UNCONDITIONAL_JUMP != 0
    }

    /// Whether constants may be loaded.
    pub fn value_loads(self) -> bool {
        self.0 & (VALUE_LOAD | CONST_LOAD) != 0
    }

    /// Whether [`Op::may_be_rewritten`] may hold for an instruction.
    pub fn rewritable(self, folds: bool) -> bool {
        self.0 & (JUMP | REWRITE | if folds { FOLD } else { 0 }) != 0
    }

    /// Whether [`Op::sets_local_state`] may hold for an instruction.
    pub fn local_states(self) -> bool {
        self.0 & LOCAL_STATE != 0
    }

    /// Whether handlers are pushed or popped.
    pub fn handlers(self) -> bool {
        self.0 & (BLOCK_PUSH | BLOCK_POP) != 0
    }

    /// Whether handlers are pushed.
    pub fn block_pushes(self) -> bool {
        self.0 & BLOCK_PUSH != 0
    }

    /// Whether fast locals may be unbound by an instruction.
    pub fn unbinding(self) -> bool {
        self.0 & UNBIND != 0
    }

    /// Whether fast locals may be loaded or stored by instructions that are combined or borrowed.
    pub fn fast_locals(self) -> bool {
        self.0 & FAST_LOCAL != 0
    }

    /// Whether there may be swaps.
    pub fn swaps(self) -> bool {
        self.0 & SWAP != 0
    }

    /// Whether there are pseudo instructions that are replaced before assembly, except jumps.
    pub fn pseudo(self) -> bool {
        self.0 & (BLOCK_PUSH | RENAME) != 0
    }
}

impl Op {
    #[allow(clippy::indexing_slicing)] // An opcode is one byte.
    fn classes(self) -> u32 {
        CLASSES[self as u8 as usize]
    }

    fn is_any(self, classes: u32) -> bool {
        self.classes() & classes != 0
    }

    /// Whether the argument is a jump target in the normal flow.
    pub fn is_jump(self) -> bool {
        self.is_any(JUMP)
    }

    /// Whether it pushes an exception handler (pseudo instructions only).
    pub fn is_block_push(self) -> bool {
        self.is_any(BLOCK_PUSH)
    }

    /// Whether the argument is a label.
    pub fn has_target(self) -> bool {
        self.is_any(JUMP | BLOCK_PUSH)
    }

    /// Whether it always jumps.
    pub fn is_unconditional_jump(self) -> bool {
        self.is_any(UNCONDITIONAL_JUMP)
    }

    /// Whether it leaves the code object.
    pub fn is_scope_exit(self) -> bool {
        self.is_any(SCOPE_EXIT)
    }

    /// Whether it must be the last of its block.
    pub fn is_terminator(self) -> bool {
        self.is_any(JUMP | SCOPE_EXIT)
    }

    /// Whether what follows in the text is not reached from it.
    pub fn no_fallthrough(self) -> bool {
        self.is_any(SCOPE_EXIT | UNCONDITIONAL_JUMP)
    }

    /// Whether the argument is an index into the constants.
    pub fn has_const(self) -> bool {
        self.is_any(CONST_LOAD)
    }

    /// Whether a fast local is surely bound or unbound behind it.
    pub fn sets_local_state(self) -> bool {
        self.is_any(LOCAL_STATE)
    }

    /// Whether a fast local may be unbound behind it.
    pub fn unbinds_local(self) -> bool {
        self.is_any(UNBIND)
    }

    /// Whether it loads a constant, also a small integer.
    pub fn loads_value(self) -> bool {
        self.is_any(VALUE_LOAD)
    }

    /// Whether a rewrite of two instructions may end with it.
    pub fn ends_pair(self) -> bool {
        self.is_any(PAIR_END)
    }

    /// Whether it changes, or copies the constant, when one is loaded right before it.
    pub fn concerns_constant(self) -> bool {
        self.is_any(CONST_USE)
    }

    /// Whether the rewrites of a block have to look at it: jumps, what pairs begin with, and with
    /// `folds` what may be folded on the graph.
    pub fn may_be_rewritten(self, folds: bool) -> bool {
        self.is_any(JUMP | REWRITE | if folds { FOLD } else { 0 })
    }

    /// Whether signals and other threads are looked after at this instruction.
    pub fn has_eval_break(self) -> bool {
        self.is_any(EVAL_BREAK)
    }
}
