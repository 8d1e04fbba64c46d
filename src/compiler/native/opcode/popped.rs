//! How many values instructions take from the stack (3.14 and later).

use super::Op;
use super::linear::{Linear, tabled};

static POPPED: [Linear; 256] = tabled!(|op, arg| op.popped_of(arg) as i64);

impl Op {
    /// How many values the instruction takes, those included that it puts back changed. For
    /// instructions that only look at values below the top this is not what is left untouched.
    #[allow(clippy::indexing_slicing)] // An opcode is one byte.
    #[inline]
    pub fn popped(self, arg: u32) -> u32 {
        let form = POPPED[self as u8 as usize];
        if form.is_other() {
            return self.popped_of(arg);
        }
        form.of(arg) as u32
    }

    #[inline(never)]
    const fn popped_of(self, arg: u32) -> u32 {
        match self {
            Op::BuildList | Op::BuildSet | Op::BuildSlice | Op::BuildString | Op::BuildTuple => arg,
            Op::BuildMap => 2 * arg,
            Op::BuildInterpolation => 2 + (arg & 1),
            Op::Call => 2 + arg,
            Op::CallKw => 3 + arg,
            Op::RaiseVarargs => arg,

            Op::CallFunctionExOrNull | Op::StoreSlice => 4,
            Op::BinarySlice | Op::CleanupThrow | Op::MatchClass | Op::StoreSubscr => 3,
            Op::BinaryOp
            | Op::BuildTemplate
            | Op::CallIntrinsic2
            | Op::CheckEgMatch
            | Op::CompareOp
            | Op::ContainsOp
            | Op::DeleteSubscr
            | Op::EndAsyncForOf
            | Op::FormatWithSpec
            | Op::ImportName
            | Op::IsOp
            | Op::StoreAttr => 2,
            Op::CallIntrinsic1
            | Op::ConvertValue
            | Op::DeleteAttr
            | Op::EndFor
            | Op::GetAiter
            | Op::GetAwaitable
            | Op::GetIter
            | Op::JumpIfFalse
            | Op::JumpIfTrue
            | Op::LoadFromDictOrDeref
            | Op::LoadFromDictOrGlobals
            | Op::MakeFunction
            | Op::PopExcept
            | Op::PopIter
            | Op::PopJumpIfFalse
            | Op::PopJumpIfNone
            | Op::PopJumpIfNotNone
            | Op::PopJumpIfTrue
            | Op::PopTop
            | Op::ReturnValue
            | Op::StoreDeref
            | Op::StoreFastMaybeNull
            | Op::StoreGlobal
            | Op::StoreName
            | Op::ToBool
            | Op::UnaryInvert
            | Op::UnaryNegative
            | Op::UnaryNot
            | Op::UnpackEx
            | Op::UnpackSequence
            | Op::YieldValue => 1,
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tabled_counts_are_those_of_every_argument() {
        for op in Op::all() {
            for arg in (0..0x1000).chain([0xffff, 0x1_0000, 0x1_0001]) {
                assert_eq!(op.popped(arg), op.popped_of(arg), "{op:?} {arg}");
            }
        }
    }
}
