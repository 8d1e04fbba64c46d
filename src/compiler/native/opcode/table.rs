//! Opcode numbers and cache sizes of each version. Printed by `scripts/opcodes.py`; do not edit.

use super::{ABSENT, Row};

/// An instruction of any covered version, real or pseudo, under its CPython name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
#[repr(u8)]
pub enum Op {
    AnnotationsPlaceholder,
    BeforeAsyncWith,
    BeforeWith,
    BinaryOp,
    BinarySlice,
    BinarySubscr,
    BuildConstKeyMap,
    BuildInterpolation,
    BuildList,
    BuildMap,
    BuildSet,
    BuildSlice,
    BuildString,
    BuildTemplate,
    BuildTuple,
    Cache,
    Call,
    CallFunctionEx,
    CallFunctionExOrNull,
    CallIntrinsic1,
    CallIntrinsic2,
    CallKw,
    CheckEgMatch,
    CheckExcMatch,
    CleanupThrow,
    CompareOp,
    ContainsOp,
    ConvertValue,
    Copy,
    CopyFreeVars,
    DeleteAttr,
    DeleteDeref,
    DeleteFast,
    DeleteGlobal,
    DeleteName,
    DeleteSubscr,
    DictMerge,
    DictUpdate,
    EndAsyncFor,
    EndAsyncForOf,
    EndFor,
    EndSend,
    EnterExecutor,
    ExitInitCheck,
    ExtendedArg,
    FormatSimple,
    FormatWithSpec,
    ForIter,
    GetAiter,
    GetAnext,
    GetAwaitable,
    GetIter,
    GetLen,
    GetYieldFromIter,
    ImportFrom,
    ImportName,
    InterpreterExit,
    IsOp,
    Jump,
    JumpBackward,
    JumpBackwardNoInterrupt,
    JumpForward,
    JumpIfFalse,
    JumpIfTrue,
    JumpNoInterrupt,
    ListAppend,
    ListExtend,
    LoadAssertionError,
    LoadAttr,
    LoadBuildClass,
    LoadClosure,
    LoadCommonConstant,
    LoadConst,
    LoadDeref,
    LoadFast,
    LoadFastAndClear,
    LoadFastBorrow,
    LoadFastBorrowLoadFastBorrow,
    LoadFastCheck,
    LoadFastLoadFast,
    LoadFromDictOrDeref,
    LoadFromDictOrGlobals,
    LoadGlobal,
    LoadLocals,
    LoadMethod,
    LoadName,
    LoadSmallInt,
    LoadSpecial,
    LoadSuperAttr,
    LoadSuperMethod,
    LoadZeroSuperAttr,
    LoadZeroSuperMethod,
    MakeCell,
    MakeFunction,
    MapAdd,
    MatchClass,
    MatchKeys,
    MatchMapping,
    MatchSequence,
    Nop,
    NotTaken,
    PopBlock,
    PopExcept,
    PopIter,
    PopJumpIfFalse,
    PopJumpIfNone,
    PopJumpIfNotNone,
    PopJumpIfTrue,
    PopTop,
    PushExcInfo,
    PushNull,
    RaiseVarargs,
    Reraise,
    Reserved,
    Resume,
    ReturnConst,
    ReturnGenerator,
    ReturnValue,
    Send,
    SetupAnnotations,
    SetupCleanup,
    SetupFinally,
    SetupWith,
    SetAdd,
    SetFunctionAttribute,
    SetUpdate,
    StoreAttr,
    StoreDeref,
    StoreFast,
    StoreFastLoadFast,
    StoreFastMaybeNull,
    StoreFastStoreFast,
    StoreGlobal,
    StoreName,
    StoreSlice,
    StoreSubscr,
    Swap,
    ToBool,
    UnaryInvert,
    UnaryNegative,
    UnaryNot,
    UnpackEx,
    UnpackSequence,
    WithExceptStart,
    YieldValue,
}

/// CPython's name of each `Op`, in order.
pub(super) static NAMES: [&str; 145] = [
    "ANNOTATIONS_PLACEHOLDER",
    "BEFORE_ASYNC_WITH",
    "BEFORE_WITH",
    "BINARY_OP",
    "BINARY_SLICE",
    "BINARY_SUBSCR",
    "BUILD_CONST_KEY_MAP",
    "BUILD_INTERPOLATION",
    "BUILD_LIST",
    "BUILD_MAP",
    "BUILD_SET",
    "BUILD_SLICE",
    "BUILD_STRING",
    "BUILD_TEMPLATE",
    "BUILD_TUPLE",
    "CACHE",
    "CALL",
    "CALL_FUNCTION_EX",
    "CALL_FUNCTION_EX",
    "CALL_INTRINSIC_1",
    "CALL_INTRINSIC_2",
    "CALL_KW",
    "CHECK_EG_MATCH",
    "CHECK_EXC_MATCH",
    "CLEANUP_THROW",
    "COMPARE_OP",
    "CONTAINS_OP",
    "CONVERT_VALUE",
    "COPY",
    "COPY_FREE_VARS",
    "DELETE_ATTR",
    "DELETE_DEREF",
    "DELETE_FAST",
    "DELETE_GLOBAL",
    "DELETE_NAME",
    "DELETE_SUBSCR",
    "DICT_MERGE",
    "DICT_UPDATE",
    "END_ASYNC_FOR",
    "END_ASYNC_FOR",
    "END_FOR",
    "END_SEND",
    "ENTER_EXECUTOR",
    "EXIT_INIT_CHECK",
    "EXTENDED_ARG",
    "FORMAT_SIMPLE",
    "FORMAT_WITH_SPEC",
    "FOR_ITER",
    "GET_AITER",
    "GET_ANEXT",
    "GET_AWAITABLE",
    "GET_ITER",
    "GET_LEN",
    "GET_YIELD_FROM_ITER",
    "IMPORT_FROM",
    "IMPORT_NAME",
    "INTERPRETER_EXIT",
    "IS_OP",
    "JUMP",
    "JUMP_BACKWARD",
    "JUMP_BACKWARD_NO_INTERRUPT",
    "JUMP_FORWARD",
    "JUMP_IF_FALSE",
    "JUMP_IF_TRUE",
    "JUMP_NO_INTERRUPT",
    "LIST_APPEND",
    "LIST_EXTEND",
    "LOAD_ASSERTION_ERROR",
    "LOAD_ATTR",
    "LOAD_BUILD_CLASS",
    "LOAD_CLOSURE",
    "LOAD_COMMON_CONSTANT",
    "LOAD_CONST",
    "LOAD_DEREF",
    "LOAD_FAST",
    "LOAD_FAST_AND_CLEAR",
    "LOAD_FAST_BORROW",
    "LOAD_FAST_BORROW_LOAD_FAST_BORROW",
    "LOAD_FAST_CHECK",
    "LOAD_FAST_LOAD_FAST",
    "LOAD_FROM_DICT_OR_DEREF",
    "LOAD_FROM_DICT_OR_GLOBALS",
    "LOAD_GLOBAL",
    "LOAD_LOCALS",
    "LOAD_METHOD",
    "LOAD_NAME",
    "LOAD_SMALL_INT",
    "LOAD_SPECIAL",
    "LOAD_SUPER_ATTR",
    "LOAD_SUPER_METHOD",
    "LOAD_ZERO_SUPER_ATTR",
    "LOAD_ZERO_SUPER_METHOD",
    "MAKE_CELL",
    "MAKE_FUNCTION",
    "MAP_ADD",
    "MATCH_CLASS",
    "MATCH_KEYS",
    "MATCH_MAPPING",
    "MATCH_SEQUENCE",
    "NOP",
    "NOT_TAKEN",
    "POP_BLOCK",
    "POP_EXCEPT",
    "POP_ITER",
    "POP_JUMP_IF_FALSE",
    "POP_JUMP_IF_NONE",
    "POP_JUMP_IF_NOT_NONE",
    "POP_JUMP_IF_TRUE",
    "POP_TOP",
    "PUSH_EXC_INFO",
    "PUSH_NULL",
    "RAISE_VARARGS",
    "RERAISE",
    "RESERVED",
    "RESUME",
    "RETURN_CONST",
    "RETURN_GENERATOR",
    "RETURN_VALUE",
    "SEND",
    "SETUP_ANNOTATIONS",
    "SETUP_CLEANUP",
    "SETUP_FINALLY",
    "SETUP_WITH",
    "SET_ADD",
    "SET_FUNCTION_ATTRIBUTE",
    "SET_UPDATE",
    "STORE_ATTR",
    "STORE_DEREF",
    "STORE_FAST",
    "STORE_FAST_LOAD_FAST",
    "STORE_FAST_MAYBE_NULL",
    "STORE_FAST_STORE_FAST",
    "STORE_GLOBAL",
    "STORE_NAME",
    "STORE_SLICE",
    "STORE_SUBSCR",
    "SWAP",
    "TO_BOOL",
    "UNARY_INVERT",
    "UNARY_NEGATIVE",
    "UNARY_NOT",
    "UNPACK_EX",
    "UNPACK_SEQUENCE",
    "WITH_EXCEPT_START",
    "YIELD_VALUE",
];

/// Each `Op`, in order.
pub(super) static ALL: [Op; 145] = [
    Op::AnnotationsPlaceholder,
    Op::BeforeAsyncWith,
    Op::BeforeWith,
    Op::BinaryOp,
    Op::BinarySlice,
    Op::BinarySubscr,
    Op::BuildConstKeyMap,
    Op::BuildInterpolation,
    Op::BuildList,
    Op::BuildMap,
    Op::BuildSet,
    Op::BuildSlice,
    Op::BuildString,
    Op::BuildTemplate,
    Op::BuildTuple,
    Op::Cache,
    Op::Call,
    Op::CallFunctionEx,
    Op::CallFunctionExOrNull,
    Op::CallIntrinsic1,
    Op::CallIntrinsic2,
    Op::CallKw,
    Op::CheckEgMatch,
    Op::CheckExcMatch,
    Op::CleanupThrow,
    Op::CompareOp,
    Op::ContainsOp,
    Op::ConvertValue,
    Op::Copy,
    Op::CopyFreeVars,
    Op::DeleteAttr,
    Op::DeleteDeref,
    Op::DeleteFast,
    Op::DeleteGlobal,
    Op::DeleteName,
    Op::DeleteSubscr,
    Op::DictMerge,
    Op::DictUpdate,
    Op::EndAsyncFor,
    Op::EndAsyncForOf,
    Op::EndFor,
    Op::EndSend,
    Op::EnterExecutor,
    Op::ExitInitCheck,
    Op::ExtendedArg,
    Op::FormatSimple,
    Op::FormatWithSpec,
    Op::ForIter,
    Op::GetAiter,
    Op::GetAnext,
    Op::GetAwaitable,
    Op::GetIter,
    Op::GetLen,
    Op::GetYieldFromIter,
    Op::ImportFrom,
    Op::ImportName,
    Op::InterpreterExit,
    Op::IsOp,
    Op::Jump,
    Op::JumpBackward,
    Op::JumpBackwardNoInterrupt,
    Op::JumpForward,
    Op::JumpIfFalse,
    Op::JumpIfTrue,
    Op::JumpNoInterrupt,
    Op::ListAppend,
    Op::ListExtend,
    Op::LoadAssertionError,
    Op::LoadAttr,
    Op::LoadBuildClass,
    Op::LoadClosure,
    Op::LoadCommonConstant,
    Op::LoadConst,
    Op::LoadDeref,
    Op::LoadFast,
    Op::LoadFastAndClear,
    Op::LoadFastBorrow,
    Op::LoadFastBorrowLoadFastBorrow,
    Op::LoadFastCheck,
    Op::LoadFastLoadFast,
    Op::LoadFromDictOrDeref,
    Op::LoadFromDictOrGlobals,
    Op::LoadGlobal,
    Op::LoadLocals,
    Op::LoadMethod,
    Op::LoadName,
    Op::LoadSmallInt,
    Op::LoadSpecial,
    Op::LoadSuperAttr,
    Op::LoadSuperMethod,
    Op::LoadZeroSuperAttr,
    Op::LoadZeroSuperMethod,
    Op::MakeCell,
    Op::MakeFunction,
    Op::MapAdd,
    Op::MatchClass,
    Op::MatchKeys,
    Op::MatchMapping,
    Op::MatchSequence,
    Op::Nop,
    Op::NotTaken,
    Op::PopBlock,
    Op::PopExcept,
    Op::PopIter,
    Op::PopJumpIfFalse,
    Op::PopJumpIfNone,
    Op::PopJumpIfNotNone,
    Op::PopJumpIfTrue,
    Op::PopTop,
    Op::PushExcInfo,
    Op::PushNull,
    Op::RaiseVarargs,
    Op::Reraise,
    Op::Reserved,
    Op::Resume,
    Op::ReturnConst,
    Op::ReturnGenerator,
    Op::ReturnValue,
    Op::Send,
    Op::SetupAnnotations,
    Op::SetupCleanup,
    Op::SetupFinally,
    Op::SetupWith,
    Op::SetAdd,
    Op::SetFunctionAttribute,
    Op::SetUpdate,
    Op::StoreAttr,
    Op::StoreDeref,
    Op::StoreFast,
    Op::StoreFastLoadFast,
    Op::StoreFastMaybeNull,
    Op::StoreFastStoreFast,
    Op::StoreGlobal,
    Op::StoreName,
    Op::StoreSlice,
    Op::StoreSubscr,
    Op::Swap,
    Op::ToBool,
    Op::UnaryInvert,
    Op::UnaryNegative,
    Op::UnaryNot,
    Op::UnpackEx,
    Op::UnpackSequence,
    Op::WithExceptStart,
    Op::YieldValue,
];

/// CPython 3.13: number and inline cache units of each `Op`, in order.
pub(super) static V313: [Row; 145] = [
    ABSENT,           // ANNOTATIONS_PLACEHOLDER
    Row::new(1, 0),   // BEFORE_ASYNC_WITH
    Row::new(2, 0),   // BEFORE_WITH
    Row::new(45, 1),  // BINARY_OP
    Row::new(4, 0),   // BINARY_SLICE
    Row::new(5, 1),   // BINARY_SUBSCR
    Row::new(46, 0),  // BUILD_CONST_KEY_MAP
    ABSENT,           // BUILD_INTERPOLATION
    Row::new(47, 0),  // BUILD_LIST
    Row::new(48, 0),  // BUILD_MAP
    Row::new(49, 0),  // BUILD_SET
    Row::new(50, 0),  // BUILD_SLICE
    Row::new(51, 0),  // BUILD_STRING
    ABSENT,           // BUILD_TEMPLATE
    Row::new(52, 0),  // BUILD_TUPLE
    Row::new(0, 0),   // CACHE
    Row::new(53, 3),  // CALL
    Row::new(54, 0),  // CALL_FUNCTION_EX
    ABSENT,           // CALL_FUNCTION_EX_OR_NULL
    Row::new(55, 0),  // CALL_INTRINSIC_1
    Row::new(56, 0),  // CALL_INTRINSIC_2
    Row::new(57, 0),  // CALL_KW
    Row::new(6, 0),   // CHECK_EG_MATCH
    Row::new(7, 0),   // CHECK_EXC_MATCH
    Row::new(8, 0),   // CLEANUP_THROW
    Row::new(58, 1),  // COMPARE_OP
    Row::new(59, 1),  // CONTAINS_OP
    Row::new(60, 0),  // CONVERT_VALUE
    Row::new(61, 0),  // COPY
    Row::new(62, 0),  // COPY_FREE_VARS
    Row::new(63, 0),  // DELETE_ATTR
    Row::new(64, 0),  // DELETE_DEREF
    Row::new(65, 0),  // DELETE_FAST
    Row::new(66, 0),  // DELETE_GLOBAL
    Row::new(67, 0),  // DELETE_NAME
    Row::new(9, 0),   // DELETE_SUBSCR
    Row::new(68, 0),  // DICT_MERGE
    Row::new(69, 0),  // DICT_UPDATE
    Row::new(10, 0),  // END_ASYNC_FOR
    ABSENT,           // END_ASYNC_FOR_OF
    Row::new(11, 0),  // END_FOR
    Row::new(12, 0),  // END_SEND
    Row::new(70, 0),  // ENTER_EXECUTOR
    Row::new(13, 0),  // EXIT_INIT_CHECK
    Row::new(71, 0),  // EXTENDED_ARG
    Row::new(14, 0),  // FORMAT_SIMPLE
    Row::new(15, 0),  // FORMAT_WITH_SPEC
    Row::new(72, 1),  // FOR_ITER
    Row::new(16, 0),  // GET_AITER
    Row::new(18, 0),  // GET_ANEXT
    Row::new(73, 0),  // GET_AWAITABLE
    Row::new(19, 0),  // GET_ITER
    Row::new(20, 0),  // GET_LEN
    Row::new(21, 0),  // GET_YIELD_FROM_ITER
    Row::new(74, 0),  // IMPORT_FROM
    Row::new(75, 0),  // IMPORT_NAME
    Row::new(22, 0),  // INTERPRETER_EXIT
    Row::new(76, 0),  // IS_OP
    ABSENT,           // JUMP
    Row::new(77, 1),  // JUMP_BACKWARD
    Row::new(78, 0),  // JUMP_BACKWARD_NO_INTERRUPT
    Row::new(79, 0),  // JUMP_FORWARD
    ABSENT,           // JUMP_IF_FALSE
    ABSENT,           // JUMP_IF_TRUE
    ABSENT,           // JUMP_NO_INTERRUPT
    Row::new(80, 0),  // LIST_APPEND
    Row::new(81, 0),  // LIST_EXTEND
    Row::new(23, 0),  // LOAD_ASSERTION_ERROR
    Row::new(82, 9),  // LOAD_ATTR
    Row::new(24, 0),  // LOAD_BUILD_CLASS
    ABSENT,           // LOAD_CLOSURE
    ABSENT,           // LOAD_COMMON_CONSTANT
    Row::new(83, 0),  // LOAD_CONST
    Row::new(84, 0),  // LOAD_DEREF
    Row::new(85, 0),  // LOAD_FAST
    Row::new(86, 0),  // LOAD_FAST_AND_CLEAR
    ABSENT,           // LOAD_FAST_BORROW
    ABSENT,           // LOAD_FAST_BORROW_LOAD_FAST_BORROW
    Row::new(87, 0),  // LOAD_FAST_CHECK
    Row::new(88, 0),  // LOAD_FAST_LOAD_FAST
    Row::new(89, 0),  // LOAD_FROM_DICT_OR_DEREF
    Row::new(90, 0),  // LOAD_FROM_DICT_OR_GLOBALS
    Row::new(91, 4),  // LOAD_GLOBAL
    Row::new(25, 0),  // LOAD_LOCALS
    ABSENT,           // LOAD_METHOD
    Row::new(92, 0),  // LOAD_NAME
    ABSENT,           // LOAD_SMALL_INT
    ABSENT,           // LOAD_SPECIAL
    Row::new(93, 1),  // LOAD_SUPER_ATTR
    ABSENT,           // LOAD_SUPER_METHOD
    ABSENT,           // LOAD_ZERO_SUPER_ATTR
    ABSENT,           // LOAD_ZERO_SUPER_METHOD
    Row::new(94, 0),  // MAKE_CELL
    Row::new(26, 0),  // MAKE_FUNCTION
    Row::new(95, 0),  // MAP_ADD
    Row::new(96, 0),  // MATCH_CLASS
    Row::new(27, 0),  // MATCH_KEYS
    Row::new(28, 0),  // MATCH_MAPPING
    Row::new(29, 0),  // MATCH_SEQUENCE
    Row::new(30, 0),  // NOP
    ABSENT,           // NOT_TAKEN
    ABSENT,           // POP_BLOCK
    Row::new(31, 0),  // POP_EXCEPT
    ABSENT,           // POP_ITER
    Row::new(97, 1),  // POP_JUMP_IF_FALSE
    Row::new(98, 1),  // POP_JUMP_IF_NONE
    Row::new(99, 1),  // POP_JUMP_IF_NOT_NONE
    Row::new(100, 1), // POP_JUMP_IF_TRUE
    Row::new(32, 0),  // POP_TOP
    Row::new(33, 0),  // PUSH_EXC_INFO
    Row::new(34, 0),  // PUSH_NULL
    Row::new(101, 0), // RAISE_VARARGS
    Row::new(102, 0), // RERAISE
    Row::new(17, 0),  // RESERVED
    Row::new(149, 0), // RESUME
    Row::new(103, 0), // RETURN_CONST
    Row::new(35, 0),  // RETURN_GENERATOR
    Row::new(36, 0),  // RETURN_VALUE
    Row::new(104, 1), // SEND
    Row::new(37, 0),  // SETUP_ANNOTATIONS
    ABSENT,           // SETUP_CLEANUP
    ABSENT,           // SETUP_FINALLY
    ABSENT,           // SETUP_WITH
    Row::new(105, 0), // SET_ADD
    Row::new(106, 0), // SET_FUNCTION_ATTRIBUTE
    Row::new(107, 0), // SET_UPDATE
    Row::new(108, 4), // STORE_ATTR
    Row::new(109, 0), // STORE_DEREF
    Row::new(110, 0), // STORE_FAST
    Row::new(111, 0), // STORE_FAST_LOAD_FAST
    ABSENT,           // STORE_FAST_MAYBE_NULL
    Row::new(112, 0), // STORE_FAST_STORE_FAST
    Row::new(113, 0), // STORE_GLOBAL
    Row::new(114, 0), // STORE_NAME
    Row::new(38, 0),  // STORE_SLICE
    Row::new(39, 1),  // STORE_SUBSCR
    Row::new(115, 0), // SWAP
    Row::new(40, 3),  // TO_BOOL
    Row::new(41, 0),  // UNARY_INVERT
    Row::new(42, 0),  // UNARY_NEGATIVE
    Row::new(43, 0),  // UNARY_NOT
    Row::new(116, 0), // UNPACK_EX
    Row::new(117, 1), // UNPACK_SEQUENCE
    Row::new(44, 0),  // WITH_EXCEPT_START
    Row::new(118, 0), // YIELD_VALUE
];

/// CPython 3.14: number and inline cache units of each `Op`, in order.
pub(super) static V314: [Row; 145] = [
    ABSENT,           // ANNOTATIONS_PLACEHOLDER
    ABSENT,           // BEFORE_ASYNC_WITH
    ABSENT,           // BEFORE_WITH
    Row::new(44, 5),  // BINARY_OP
    Row::new(1, 0),   // BINARY_SLICE
    ABSENT,           // BINARY_SUBSCR
    ABSENT,           // BUILD_CONST_KEY_MAP
    Row::new(45, 0),  // BUILD_INTERPOLATION
    Row::new(46, 0),  // BUILD_LIST
    Row::new(47, 0),  // BUILD_MAP
    Row::new(48, 0),  // BUILD_SET
    Row::new(49, 0),  // BUILD_SLICE
    Row::new(50, 0),  // BUILD_STRING
    Row::new(2, 0),   // BUILD_TEMPLATE
    Row::new(51, 0),  // BUILD_TUPLE
    Row::new(0, 0),   // CACHE
    Row::new(52, 3),  // CALL
    ABSENT,           // CALL_FUNCTION_EX
    Row::new(4, 0),   // CALL_FUNCTION_EX_OR_NULL
    Row::new(53, 0),  // CALL_INTRINSIC_1
    Row::new(54, 0),  // CALL_INTRINSIC_2
    Row::new(55, 3),  // CALL_KW
    Row::new(5, 0),   // CHECK_EG_MATCH
    Row::new(6, 0),   // CHECK_EXC_MATCH
    Row::new(7, 0),   // CLEANUP_THROW
    Row::new(56, 1),  // COMPARE_OP
    Row::new(57, 1),  // CONTAINS_OP
    Row::new(58, 0),  // CONVERT_VALUE
    Row::new(59, 0),  // COPY
    Row::new(60, 0),  // COPY_FREE_VARS
    Row::new(61, 0),  // DELETE_ATTR
    Row::new(62, 0),  // DELETE_DEREF
    Row::new(63, 0),  // DELETE_FAST
    Row::new(64, 0),  // DELETE_GLOBAL
    Row::new(65, 0),  // DELETE_NAME
    Row::new(8, 0),   // DELETE_SUBSCR
    Row::new(66, 0),  // DICT_MERGE
    Row::new(67, 0),  // DICT_UPDATE
    ABSENT,           // END_ASYNC_FOR
    Row::new(68, 0),  // END_ASYNC_FOR_OF
    Row::new(9, 0),   // END_FOR
    Row::new(10, 0),  // END_SEND
    Row::new(255, 0), // ENTER_EXECUTOR
    Row::new(11, 0),  // EXIT_INIT_CHECK
    Row::new(69, 0),  // EXTENDED_ARG
    Row::new(12, 0),  // FORMAT_SIMPLE
    Row::new(13, 0),  // FORMAT_WITH_SPEC
    Row::new(70, 1),  // FOR_ITER
    Row::new(14, 0),  // GET_AITER
    Row::new(15, 0),  // GET_ANEXT
    Row::new(71, 0),  // GET_AWAITABLE
    Row::new(16, 0),  // GET_ITER
    Row::new(18, 0),  // GET_LEN
    Row::new(19, 0),  // GET_YIELD_FROM_ITER
    Row::new(72, 0),  // IMPORT_FROM
    Row::new(73, 0),  // IMPORT_NAME
    Row::new(20, 0),  // INTERPRETER_EXIT
    Row::new(74, 0),  // IS_OP
    ABSENT,           // JUMP
    Row::new(75, 1),  // JUMP_BACKWARD
    Row::new(76, 0),  // JUMP_BACKWARD_NO_INTERRUPT
    Row::new(77, 0),  // JUMP_FORWARD
    ABSENT,           // JUMP_IF_FALSE
    ABSENT,           // JUMP_IF_TRUE
    ABSENT,           // JUMP_NO_INTERRUPT
    Row::new(78, 0),  // LIST_APPEND
    Row::new(79, 0),  // LIST_EXTEND
    ABSENT,           // LOAD_ASSERTION_ERROR
    Row::new(80, 9),  // LOAD_ATTR
    Row::new(21, 0),  // LOAD_BUILD_CLASS
    ABSENT,           // LOAD_CLOSURE
    Row::new(81, 0),  // LOAD_COMMON_CONSTANT
    Row::new(82, 0),  // LOAD_CONST
    Row::new(83, 0),  // LOAD_DEREF
    Row::new(84, 0),  // LOAD_FAST
    Row::new(85, 0),  // LOAD_FAST_AND_CLEAR
    Row::new(86, 0),  // LOAD_FAST_BORROW
    Row::new(87, 0),  // LOAD_FAST_BORROW_LOAD_FAST_BORROW
    Row::new(88, 0),  // LOAD_FAST_CHECK
    Row::new(89, 0),  // LOAD_FAST_LOAD_FAST
    Row::new(90, 0),  // LOAD_FROM_DICT_OR_DEREF
    Row::new(91, 0),  // LOAD_FROM_DICT_OR_GLOBALS
    Row::new(92, 4),  // LOAD_GLOBAL
    Row::new(22, 0),  // LOAD_LOCALS
    ABSENT,           // LOAD_METHOD
    Row::new(93, 0),  // LOAD_NAME
    Row::new(94, 0),  // LOAD_SMALL_INT
    Row::new(95, 0),  // LOAD_SPECIAL
    Row::new(96, 1),  // LOAD_SUPER_ATTR
    ABSENT,           // LOAD_SUPER_METHOD
    ABSENT,           // LOAD_ZERO_SUPER_ATTR
    ABSENT,           // LOAD_ZERO_SUPER_METHOD
    Row::new(97, 0),  // MAKE_CELL
    Row::new(23, 0),  // MAKE_FUNCTION
    Row::new(98, 0),  // MAP_ADD
    Row::new(99, 0),  // MATCH_CLASS
    Row::new(24, 0),  // MATCH_KEYS
    Row::new(25, 0),  // MATCH_MAPPING
    Row::new(26, 0),  // MATCH_SEQUENCE
    Row::new(27, 0),  // NOP
    Row::new(28, 0),  // NOT_TAKEN
    ABSENT,           // POP_BLOCK
    Row::new(29, 0),  // POP_EXCEPT
    Row::new(30, 0),  // POP_ITER
    Row::new(100, 1), // POP_JUMP_IF_FALSE
    Row::new(101, 1), // POP_JUMP_IF_NONE
    Row::new(102, 1), // POP_JUMP_IF_NOT_NONE
    Row::new(103, 1), // POP_JUMP_IF_TRUE
    Row::new(31, 0),  // POP_TOP
    Row::new(32, 0),  // PUSH_EXC_INFO
    Row::new(33, 0),  // PUSH_NULL
    Row::new(104, 0), // RAISE_VARARGS
    Row::new(105, 0), // RERAISE
    Row::new(17, 0),  // RESERVED
    Row::new(128, 0), // RESUME
    ABSENT,           // RETURN_CONST
    Row::new(34, 0),  // RETURN_GENERATOR
    Row::new(35, 0),  // RETURN_VALUE
    Row::new(106, 1), // SEND
    Row::new(36, 0),  // SETUP_ANNOTATIONS
    ABSENT,           // SETUP_CLEANUP
    ABSENT,           // SETUP_FINALLY
    ABSENT,           // SETUP_WITH
    Row::new(107, 0), // SET_ADD
    Row::new(108, 0), // SET_FUNCTION_ATTRIBUTE
    Row::new(109, 0), // SET_UPDATE
    Row::new(110, 4), // STORE_ATTR
    Row::new(111, 0), // STORE_DEREF
    Row::new(112, 0), // STORE_FAST
    Row::new(113, 0), // STORE_FAST_LOAD_FAST
    ABSENT,           // STORE_FAST_MAYBE_NULL
    Row::new(114, 0), // STORE_FAST_STORE_FAST
    Row::new(115, 0), // STORE_GLOBAL
    Row::new(116, 0), // STORE_NAME
    Row::new(37, 0),  // STORE_SLICE
    Row::new(38, 1),  // STORE_SUBSCR
    Row::new(117, 0), // SWAP
    Row::new(39, 3),  // TO_BOOL
    Row::new(40, 0),  // UNARY_INVERT
    Row::new(41, 0),  // UNARY_NEGATIVE
    Row::new(42, 0),  // UNARY_NOT
    Row::new(118, 0), // UNPACK_EX
    Row::new(119, 1), // UNPACK_SEQUENCE
    Row::new(43, 0),  // WITH_EXCEPT_START
    Row::new(120, 0), // YIELD_VALUE
];
