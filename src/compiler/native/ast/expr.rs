//! Expressions, named as in CPython's `ast` module.

use super::id::{Id, List};
use super::pool::{Constant, Sym};
use super::stmt::{Arguments, Keyword};
use crate::compiler::native::error::Loc;

/// The id of an expression.
pub type ExprId = Id<Expr>;
/// Expressions in a row.
pub type ExprList = List<ExprId>;

/// An expression.
#[derive(Clone, Copy, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where; without the parentheses around it, save for tuples and generator expressions.
    pub loc: Loc,
}

/// The kinds of expressions.
#[allow(missing_docs)] // The fields are those of CPython's `ast` classes.
#[derive(Clone, Copy, Debug)]
pub enum ExprKind {
    BoolOp {
        op: BoolOp,
        values: ExprList,
    },
    NamedExpr {
        target: ExprId,
        value: ExprId,
    },
    BinOp {
        left: ExprId,
        op: Operator,
        right: ExprId,
    },
    UnaryOp {
        op: UnaryOp,
        operand: ExprId,
    },
    Lambda {
        args: Id<Arguments>,
        body: ExprId,
    },
    IfExp {
        test: ExprId,
        body: ExprId,
        orelse: ExprId,
    },
    Dict {
        /// As long as `values`; `None` for `**value`.
        keys: List<Option<ExprId>>,
        values: ExprList,
    },
    Set {
        elts: ExprList,
    },
    ListComp {
        elt: ExprId,
        generators: List<Comprehension>,
    },
    SetComp {
        elt: ExprId,
        generators: List<Comprehension>,
    },
    DictComp {
        key: ExprId,
        value: ExprId,
        generators: List<Comprehension>,
    },
    GeneratorExp {
        elt: ExprId,
        generators: List<Comprehension>,
    },
    Await {
        value: ExprId,
    },
    Yield {
        value: Option<ExprId>,
    },
    YieldFrom {
        value: ExprId,
    },
    Compare {
        left: ExprId,
        /// As long as `comparators`.
        ops: List<CmpOp>,
        comparators: ExprList,
    },
    Call {
        func: ExprId,
        args: ExprList,
        keywords: List<Keyword>,
    },
    /// A replacement field of an f-string.
    FormattedValue {
        value: ExprId,
        conversion: Conversion,
        /// A `JoinedStr`.
        format_spec: Option<ExprId>,
    },
    /// A replacement field of a t-string (3.14).
    Interpolation {
        value: ExprId,
        /// The text of the expression.
        text: Sym,
        conversion: Conversion,
        /// A `JoinedStr`.
        format_spec: Option<ExprId>,
    },
    /// An f-string.
    JoinedStr {
        values: ExprList,
    },
    /// A t-string (3.14).
    TemplateStr {
        values: ExprList,
    },
    Constant {
        value: Constant,
        /// The literal began with `u`.
        unicode_prefix: bool,
    },
    Attribute {
        value: ExprId,
        attr: Sym,
        ctx: Ctx,
    },
    Subscript {
        value: ExprId,
        slice: ExprId,
        ctx: Ctx,
    },
    Starred {
        value: ExprId,
        ctx: Ctx,
    },
    Name {
        id: Sym,
        ctx: Ctx,
    },
    List {
        elts: ExprList,
        ctx: Ctx,
    },
    Tuple {
        elts: ExprList,
        ctx: Ctx,
    },
    Slice {
        lower: Option<ExprId>,
        upper: Option<ExprId>,
        step: Option<ExprId>,
    },
}

/// `for target in iter if …` of a comprehension.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Comprehension {
    pub target: ExprId,
    pub iter: ExprId,
    pub ifs: ExprList,
    pub is_async: bool,
}

/// How an expression is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Ctx {
    Load,
    Store,
    Del,
}

/// `and`, `or`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum BoolOp {
    And,
    Or,
}

/// Binary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Operator {
    Add,
    Sub,
    Mult,
    MatMult,
    Div,
    Mod,
    Pow,
    LShift,
    RShift,
    BitOr,
    BitXor,
    BitAnd,
    FloorDiv,
}

/// Unary operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum UnaryOp {
    Invert,
    Not,
    UAdd,
    USub,
}

/// Comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum CmpOp {
    Eq,
    NotEq,
    Lt,
    LtE,
    Gt,
    GtE,
    Is,
    IsNot,
    In,
    NotIn,
}

/// `!s`, `!r`, `!a` of a replacement field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Conversion {
    None,
    Str,
    Repr,
    Ascii,
}

impl Conversion {
    /// The value of the `conversion` field: -1 or the letter's code.
    pub fn code(self) -> i32 {
        match self {
            Conversion::None => -1,
            Conversion::Str => i32::from(b's'),
            Conversion::Repr => i32::from(b'r'),
            Conversion::Ascii => i32::from(b'a'),
        }
    }
}
