//! Statements, patterns, type parameters and their parts, named as in CPython's `ast` module.

use super::expr::{ExprId, ExprList};
use super::id::{Id, List};
use super::pool::{Constant, Sym};
use crate::compiler::native::error::Loc;

/// The id of a statement.
pub type StmtId = Id<Stmt>;
/// A body.
pub type StmtList = List<StmtId>;
/// The id of a pattern.
pub type PatternId = Id<Pattern>;
/// Patterns in a row.
pub type PatternList = List<PatternId>;
/// The id of a type parameter.
pub type TypeParamId = Id<TypeParam>;
/// The brackets behind the name of a function, class or type alias.
pub type TypeParamList = List<TypeParam>;

/// A statement.
#[derive(Clone, Copy, Debug)]
pub struct Stmt {
    /// What it is.
    pub kind: StmtKind,
    /// From its first to its last token. For a decorated definition from `def` or `class` on.
    pub loc: Loc,
}

/// The kinds of statements.
#[allow(missing_docs)] // The fields are those of CPython's `ast` classes.
#[derive(Clone, Copy, Debug)]
pub enum StmtKind {
    /// `def`, `async def`
    FunctionDef(Id<FunctionDef>),
    ClassDef(Id<ClassDef>),
    Return {
        value: Option<ExprId>,
    },
    Delete {
        targets: ExprList,
    },
    Assign {
        targets: ExprList,
        value: ExprId,
    },
    TypeAlias {
        name: ExprId,
        type_params: TypeParamList,
        value: ExprId,
    },
    AugAssign {
        target: ExprId,
        op: super::expr::Operator,
        value: ExprId,
    },
    AnnAssign {
        target: ExprId,
        annotation: ExprId,
        value: Option<ExprId>,
        /// The target is a name without parentheses.
        simple: bool,
    },
    For {
        target: ExprId,
        iter: ExprId,
        body: StmtList,
        orelse: StmtList,
        is_async: bool,
    },
    While {
        test: ExprId,
        body: StmtList,
        orelse: StmtList,
    },
    If {
        test: ExprId,
        body: StmtList,
        orelse: StmtList,
    },
    With {
        items: List<WithItem>,
        body: StmtList,
        is_async: bool,
    },
    Match {
        subject: ExprId,
        cases: List<MatchCase>,
    },
    Raise {
        exc: Option<ExprId>,
        cause: Option<ExprId>,
    },
    /// `try`, also with `except*`
    Try(Id<Try>),
    Assert {
        test: ExprId,
        msg: Option<ExprId>,
    },
    Import {
        names: List<Alias>,
    },
    ImportFrom {
        module: Option<Sym>,
        names: List<Alias>,
        /// How many leading dots.
        level: u32,
    },
    Global {
        names: List<Sym>,
    },
    Nonlocal {
        names: List<Sym>,
    },
    Expr {
        value: ExprId,
    },
    Pass,
    Break,
    Continue,
}

/// `[async] def`
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct FunctionDef {
    pub name: Sym,
    pub args: Id<Arguments>,
    pub body: StmtList,
    pub decorators: ExprList,
    pub returns: Option<ExprId>,
    pub type_params: TypeParamList,
    pub is_async: bool,
}

/// `class`
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct ClassDef {
    pub name: Sym,
    pub bases: ExprList,
    pub keywords: List<Keyword>,
    pub body: StmtList,
    pub decorators: ExprList,
    pub type_params: TypeParamList,
}

/// `try`
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Try {
    pub body: StmtList,
    pub handlers: List<ExceptHandler>,
    pub orelse: StmtList,
    pub finalbody: StmtList,
    /// `except*`
    pub is_star: bool,
}

/// `except type as name:`
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct ExceptHandler {
    pub typ: Option<ExprId>,
    pub name: Option<Sym>,
    pub body: StmtList,
    pub loc: Loc,
}

/// The parameters of a function or lambda.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Arguments {
    pub posonlyargs: List<Arg>,
    pub args: List<Arg>,
    pub vararg: Option<Id<Arg>>,
    pub kwonlyargs: List<Arg>,
    /// As long as `kwonlyargs`; `None` where there is no default.
    pub kw_defaults: List<Option<ExprId>>,
    pub kwarg: Option<Id<Arg>>,
    /// Of the last positional parameters.
    pub defaults: ExprList,
}

/// One parameter.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Arg {
    pub name: Sym,
    pub annotation: Option<ExprId>,
    pub loc: Loc,
}

/// `name=value` or `**value` in a call or class header.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Keyword {
    /// `None` for `**value`.
    pub name: Option<Sym>,
    pub value: ExprId,
    pub loc: Loc,
}

/// `name as asname` of an import.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Alias {
    /// With its dots, or `*`.
    pub name: Sym,
    pub asname: Option<Sym>,
    pub loc: Loc,
}

/// `context as vars` of a `with`.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct WithItem {
    pub context: ExprId,
    pub vars: Option<ExprId>,
}

/// `case pattern if guard: body`
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct MatchCase {
    pub pattern: PatternId,
    pub guard: Option<ExprId>,
    pub body: StmtList,
}

/// A pattern of a `case`.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct Pattern {
    pub kind: PatternKind,
    pub loc: Loc,
}

/// The kinds of patterns.
#[allow(missing_docs)] // The fields are those of CPython's `ast` classes.
#[derive(Clone, Copy, Debug)]
pub enum PatternKind {
    Value {
        value: ExprId,
    },
    /// `None`, `True`, `False`
    Singleton {
        value: Constant,
    },
    Sequence {
        patterns: PatternList,
    },
    Mapping {
        keys: ExprList,
        patterns: PatternList,
        rest: Option<Sym>,
    },
    Class {
        cls: ExprId,
        patterns: PatternList,
        /// As long as `kwd_patterns`.
        kwd_attrs: List<Sym>,
        kwd_patterns: PatternList,
    },
    Star {
        name: Option<Sym>,
    },
    /// Without a pattern a capture; without either the wildcard.
    As {
        pattern: Option<PatternId>,
        name: Option<Sym>,
    },
    Or {
        patterns: PatternList,
    },
}

/// `T: bound = default`, `*Ts = default`, `**P = default`
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs)]
pub struct TypeParam {
    pub kind: TypeParamKind,
    pub name: Sym,
    pub default: Option<ExprId>,
    pub loc: Loc,
}

/// The kinds of type parameters.
#[allow(missing_docs)]
#[derive(Clone, Copy, Debug)]
pub enum TypeParamKind {
    TypeVar { bound: Option<ExprId> },
    ParamSpec,
    TypeVarTuple,
}
