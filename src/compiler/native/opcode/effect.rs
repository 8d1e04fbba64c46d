//! Stack effects.

use super::{Op, table};

/// An effect that is a multiple of the argument, or of its lowest bit, and a number.
#[derive(Clone, Copy)]
struct Linear {
    fixed: i8,
    factor: i8,
    /// What of the argument counts.
    mask: u32,
}

/// Of the instructions with another effect, or none.
const OTHER: Linear = Linear {
    fixed: i8::MIN,
    factor: 0,
    mask: 0,
};

/// The effects in the normal flow.
#[allow(clippy::indexing_slicing)] // Only while the program is built.
static LINEAR: [Linear; 256] = {
    let mut effects = [OTHER; 256];
    let mut at = 0;
    while at < table::ALL.len() {
        let op = table::ALL[at];
        effects[op as usize] = linear(op);
        at += 1;
    }
    effects
};

const fn linear(op: Op) -> Linear {
    let (Some(fixed), Some(one)) = (op.stack_effect(0, false), op.stack_effect(1, false)) else {
        return OTHER;
    };
    let factor = one - fixed;
    let whole = Linear {
        fixed: fixed as i8,
        factor: factor as i8,
        mask: u32::MAX,
    };
    let lowest_bit = Linear { mask: 1, ..whole };
    if is_linear(op, whole) {
        whole
    } else if is_linear(op, lowest_bit) {
        lowest_bit
    } else {
        OTHER
    }
}

#[allow(clippy::indexing_slicing)] // As above.
const fn is_linear(op: Op, form: Linear) -> bool {
    let args = [0, 1, 2, 3, 4, 5, 0x100, 0x101];
    let mut at = 0;
    while at < args.len() {
        match op.stack_effect(args[at], false) {
            Some(effect) if effect == form.of(args[at]) => {}
            _ => return false,
        }
        at += 1;
    }
    true
}

impl Linear {
    const fn of(self, arg: u32) -> i64 {
        self.fixed as i64 + self.factor as i64 * (arg & self.mask) as i64
    }
}

impl Op {
    /// As [`Op::stack_effect`] in the normal flow.
    #[allow(clippy::indexing_slicing)] // An opcode is one byte.
    #[inline]
    pub fn effect(self, arg: u32) -> Option<i64> {
        let form = LINEAR[self as u8 as usize];
        if form.fixed == OTHER.fixed {
            return self.stack_effect(arg, false);
        }
        Some(form.of(arg))
    }

    /// By how much the instruction changes the stack's depth, in the normal flow or (`jump`) when
    /// it goes to its target. `None` for an instruction that a code generator never emits.
    #[inline(never)]
    pub const fn stack_effect(self, arg: u32, jump: bool) -> Option<i64> {
        let arg = arg as i64;
        let low_bit = arg & 1;
        Some(match self {
            Op::SetupFinally | Op::SetupWith => jump as i64,
            Op::SetupCleanup => 2 * jump as i64,

            Op::AnnotationsPlaceholder
            | Op::Cache
            | Op::CallIntrinsic1
            | Op::CheckEgMatch
            | Op::CheckExcMatch
            | Op::ConvertValue
            | Op::CopyFreeVars
            | Op::DeleteDeref
            | Op::DeleteFast
            | Op::DeleteGlobal
            | Op::DeleteName
            | Op::ExtendedArg
            | Op::EnterExecutor
            | Op::FormatSimple
            | Op::GetAiter
            | Op::GetAwaitable
            | Op::GetIter
            | Op::GetYieldFromIter
            | Op::Jump
            | Op::JumpBackward
            | Op::JumpBackwardNoInterrupt
            | Op::JumpForward
            | Op::JumpIfFalse
            | Op::JumpIfTrue
            | Op::JumpNoInterrupt
            | Op::LoadFromDictOrDeref
            | Op::LoadFromDictOrGlobals
            | Op::MakeCell
            | Op::MakeFunction
            | Op::Nop
            | Op::NotTaken
            | Op::PopBlock
            | Op::Resume
            | Op::ReturnConst
            | Op::Reserved
            | Op::Send
            | Op::SetupAnnotations
            | Op::StoreFastLoadFast
            | Op::Swap
            | Op::ToBool
            | Op::UnaryInvert
            | Op::UnaryNegative
            | Op::UnaryNot
            | Op::YieldValue => 0,

            Op::BeforeAsyncWith
            | Op::BeforeWith
            | Op::Copy
            | Op::ForIter
            | Op::GetAnext
            | Op::GetLen
            | Op::ImportFrom
            | Op::LoadAssertionError
            | Op::LoadBuildClass
            | Op::LoadClosure
            | Op::LoadCommonConstant
            | Op::LoadConst
            | Op::LoadDeref
            | Op::LoadFast
            | Op::LoadFastAndClear
            | Op::LoadFastBorrow
            | Op::LoadFastCheck
            | Op::LoadLocals
            | Op::LoadName
            | Op::LoadSmallInt
            | Op::LoadSpecial
            | Op::MatchKeys
            | Op::MatchMapping
            | Op::MatchSequence
            | Op::PushExcInfo
            | Op::PushNull
            | Op::ReturnGenerator
            | Op::WithExceptStart => 1,

            Op::LoadFastLoadFast | Op::LoadFastBorrowLoadFastBorrow => 2,

            Op::BinaryOp
            | Op::BinarySubscr
            | Op::BuildTemplate
            | Op::CallIntrinsic2
            | Op::CleanupThrow
            | Op::CompareOp
            | Op::ContainsOp
            | Op::DeleteAttr
            | Op::DictMerge
            | Op::DictUpdate
            | Op::EndFor
            | Op::EndSend
            | Op::ExitInitCheck
            | Op::FormatWithSpec
            | Op::ImportName
            | Op::InterpreterExit
            | Op::IsOp
            | Op::ListAppend
            | Op::ListExtend
            | Op::PopExcept
            | Op::PopIter
            | Op::PopJumpIfFalse
            | Op::PopJumpIfNone
            | Op::PopJumpIfNotNone
            | Op::PopJumpIfTrue
            | Op::PopTop
            | Op::Reraise
            | Op::ReturnValue
            | Op::SetAdd
            | Op::SetFunctionAttribute
            | Op::SetUpdate
            | Op::StoreDeref
            | Op::StoreFast
            | Op::StoreFastMaybeNull
            | Op::StoreGlobal
            | Op::StoreName => -1,

            Op::BinarySlice
            | Op::DeleteSubscr
            | Op::EndAsyncFor
            | Op::EndAsyncForOf
            | Op::MapAdd
            | Op::MatchClass
            | Op::StoreAttr
            | Op::StoreFastStoreFast => -2,
            Op::CallFunctionExOrNull | Op::StoreSubscr => -3,
            Op::StoreSlice => -4,

            Op::LoadAttr => low_bit,
            Op::LoadGlobal => 1 + low_bit,
            Op::LoadSuperAttr => low_bit - 2,
            Op::LoadMethod => 1,
            Op::LoadSuperMethod | Op::LoadZeroSuperMethod | Op::LoadZeroSuperAttr => -1,
            Op::BuildList | Op::BuildSet | Op::BuildString | Op::BuildTuple => 1 - arg,
            Op::BuildInterpolation => -1 - low_bit,
            Op::BuildConstKeyMap => -arg,
            Op::BuildMap => 1 - 2 * arg,
            Op::BuildSlice => {
                if arg == 3 {
                    -2
                } else {
                    -1
                }
            }
            Op::Call => -1 - arg,
            Op::CallKw => -2 - arg,
            Op::CallFunctionEx => -2 - low_bit,
            Op::RaiseVarargs => -arg,
            Op::UnpackSequence => arg - 1,
            Op::UnpackEx => (arg & 0xff) + (arg >> 8),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tabled_effects_are_those_of_every_argument() {
        for op in Op::all() {
            for arg in (0..0x1000).chain([0xffff, 0x1_0000, 0x1_0001]) {
                assert_eq!(op.effect(arg), op.stack_effect(arg, false), "{op:?} {arg}");
            }
        }
    }
}
