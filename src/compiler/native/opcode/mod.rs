//! Opcodes: one enum for every version, a generated table for each, and the properties that all
//! versions share.

mod effect;
mod popped;
mod table;

pub use table::Op;

/// How one version encodes an opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The byte in `co_code`; `None` for a pseudo instruction and for one that the version lacks.
    pub number: Option<u8>,
    /// How many two-byte inline cache units follow.
    pub caches: u8,
}

impl Row {
    const fn new(number: u8, caches: u8) -> Row {
        Row {
            number: Some(number),
            caches,
        }
    }
}

const ABSENT: Row = Row {
    number: None,
    caches: 0,
};

/// The encodings of one version.
#[derive(Debug)]
pub struct OpcodeTable {
    rows: &'static [Row],
}

/// CPython 3.13.
pub static V313: OpcodeTable = OpcodeTable { rows: &table::V313 };

/// CPython 3.14.
pub static V314: OpcodeTable = OpcodeTable { rows: &table::V314 };

impl OpcodeTable {
    /// The encoding of an opcode.
    pub fn row(&self, op: Op) -> Row {
        self.rows.get(op as usize).copied().unwrap_or(ABSENT)
    }
}

impl Op {
    /// Each instruction of any covered version.
    pub fn all() -> impl Iterator<Item = Op> {
        table::ALL.iter().copied()
    }

    /// CPython's name of the opcode.
    pub fn name(self) -> &'static str {
        table::NAMES.get(self as usize).copied().unwrap_or("?")
    }

    /// Whether the argument is a jump target in the normal flow.
    pub fn is_jump(self) -> bool {
        matches!(
            self,
            Op::Jump
                | Op::JumpNoInterrupt
                | Op::JumpForward
                | Op::JumpBackward
                | Op::JumpBackwardNoInterrupt
                | Op::JumpIfFalse
                | Op::JumpIfTrue
                | Op::PopJumpIfFalse
                | Op::PopJumpIfTrue
                | Op::PopJumpIfNone
                | Op::PopJumpIfNotNone
                | Op::ForIter
                | Op::Send
                | Op::EndAsyncForOf
        )
    }

    /// Whether it pushes an exception handler (pseudo instructions only).
    pub fn is_block_push(self) -> bool {
        matches!(self, Op::SetupFinally | Op::SetupCleanup | Op::SetupWith)
    }

    /// Whether the argument is a label.
    pub fn has_target(self) -> bool {
        self.is_jump() || self.is_block_push()
    }

    /// Whether it always jumps.
    pub fn is_unconditional_jump(self) -> bool {
        matches!(
            self,
            Op::Jump
                | Op::JumpNoInterrupt
                | Op::JumpForward
                | Op::JumpBackward
                | Op::JumpBackwardNoInterrupt
        )
    }

    /// Whether it leaves the code object.
    pub fn is_scope_exit(self) -> bool {
        matches!(
            self,
            Op::ReturnValue | Op::ReturnConst | Op::RaiseVarargs | Op::Reraise
        )
    }

    /// Whether it must be the last of its block.
    pub fn is_terminator(self) -> bool {
        self.is_jump() || self.is_scope_exit()
    }

    /// Whether what follows in the text is not reached from it.
    pub fn no_fallthrough(self) -> bool {
        self.is_scope_exit() || self.is_unconditional_jump()
    }

    /// Whether the argument is an index into the constants.
    pub fn has_const(self) -> bool {
        matches!(self, Op::LoadConst | Op::ReturnConst)
    }

    /// Whether signals and other threads are looked after at this instruction.
    pub fn has_eval_break(self) -> bool {
        matches!(
            self,
            Op::Call
                | Op::CallFunctionEx
                | Op::CallFunctionExOrNull
                | Op::CallKw
                | Op::Resume
                | Op::Jump
                | Op::JumpBackward
        )
    }
}
