//! Stack effects.

use super::Op;
use super::linear::{Linear, tabled};

/// The effects in the normal flow.
static EFFECTS: [Linear; 256] = tabled!(|op, arg| match op.stack_effect(arg, false) {
    Some(effect) => effect,
    // No form has this value.
    None => i64::MAX,
});

impl Op {
    /// As [`Op::stack_effect`] in the normal flow.
    #[allow(clippy::indexing_slicing)] // An opcode is one byte.
    #[inline]
    pub fn effect(self, arg: u32) -> Option<i64> {
        let form = EFFECTS[self as u8 as usize];
        if form.is_other() {
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
