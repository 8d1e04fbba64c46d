//! Numbers inside arguments: intrinsics, operators, flags (3.12 and later).

/// `CALL_INTRINSIC_1`
pub(super) mod one {
    pub(crate) const IMPORT_STAR: u32 = 2;
    pub(crate) const STOPITERATION_ERROR: u32 = 3;
    pub(crate) const ASYNC_GEN_WRAP: u32 = 4;
    pub(crate) const UNARY_POSITIVE: u32 = 5;
    pub(crate) const LIST_TO_TUPLE: u32 = 6;
    pub(crate) const TYPEVAR: u32 = 7;
    pub(crate) const PARAMSPEC: u32 = 8;
    pub(crate) const TYPEVARTUPLE: u32 = 9;
    pub(crate) const SUBSCRIPT_GENERIC: u32 = 10;
    pub(crate) const TYPEALIAS: u32 = 11;
}

/// `CALL_INTRINSIC_2`
pub(super) mod two {
    pub(crate) const PREP_RERAISE_STAR: u32 = 1;
    pub(crate) const TYPEVAR_WITH_BOUND: u32 = 2;
    pub(crate) const TYPEVAR_WITH_CONSTRAINTS: u32 = 3;
    pub(crate) const SET_FUNCTION_TYPE_PARAMS: u32 = 4;
    pub(crate) const SET_TYPEPARAM_DEFAULT: u32 = 5;
}

/// `SET_FUNCTION_ATTRIBUTE`
pub(super) mod function {
    pub(crate) const DEFAULTS: u32 = 1;
    pub(crate) const KWDEFAULTS: u32 = 2;
    pub(crate) const ANNOTATIONS: u32 = 4;
    pub(crate) const CLOSURE: u32 = 8;
    /// 3.14: the `__annotate__` function.
    pub(crate) const ANNOTATE: u32 = 16;
}

/// `RESUME`
pub(super) mod resume {
    pub(crate) const AFTER_YIELD: u32 = 1;
    pub(crate) const AFTER_YIELD_FROM: u32 = 2;
    pub(crate) const AFTER_AWAIT: u32 = 3;
}

/// `LOAD_COMMON_CONSTANT` (3.14)
pub(super) mod common {
    pub(crate) const ASSERTION_ERROR: u32 = 0;
    pub(crate) const NOT_IMPLEMENTED_ERROR: u32 = 1;
    pub(crate) const TUPLE: u32 = 2;
    pub(crate) const ALL: u32 = 3;
    pub(crate) const ANY: u32 = 4;
}

/// `LOAD_SPECIAL` (3.14)
pub(super) mod special {
    pub(crate) const ENTER: u32 = 0;
    pub(crate) const EXIT: u32 = 1;
    pub(crate) const AENTER: u32 = 2;
    pub(crate) const AEXIT: u32 = 3;
}

/// `BINARY_OP` (3.14)
pub(super) const SUBSCRIPT: u32 = 26;
