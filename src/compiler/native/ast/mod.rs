//! The syntax tree: CPython's AST in arenas.
//!
//! Nodes are `Copy` and refer to each other by [`Id`] and [`List`]; texts and constants are handles
//! of a [`Pool`]. So a pass reads a node by value, folding overwrites it in place, and dropping the
//! tree frees a handful of vectors however deep it is.
//!
//! Invariant: each list's children are consecutive in their arena, in source order.

mod dump;
mod dump_text;
mod expr;
mod id;
mod pool;
mod stmt;
mod table;

pub use dump::dump;
pub use dump_text::constant_text;
pub use expr::{
    BoolOp, CmpOp, Comprehension, Conversion, Ctx, Expr, ExprId, ExprKind, ExprList, Operator,
    UnaryOp,
};
pub use id::{Id, List};
pub use pool::{BigId, BytesId, ComplexId, Constant, Pool, Sym, TupleId};
pub use stmt::{
    Alias, Arg, Arguments, ClassDef, ExceptHandler, FunctionDef, Keyword, MatchCase, Pattern,
    PatternId, PatternKind, PatternList, Stmt, StmtId, StmtKind, StmtList, Try, TypeParam,
    TypeParamId, TypeParamKind, TypeParamList, WithItem,
};

pub use table::{Table, hash_of};

use crate::compiler::native::error::{Pass, Stop};

/// A module's tree.
#[derive(Debug, Default)]
pub struct Ast {
    /// The module's statements.
    pub body: StmtList,
    stmts: Vec<Stmt>,
    exprs: Vec<Expr>,
    patterns: Vec<Pattern>,
    functions: Vec<FunctionDef>,
    classes: Vec<ClassDef>,
    tries: Vec<Try>,
    arguments: Vec<Arguments>,
    args: Vec<Arg>,
    keywords: Vec<Keyword>,
    aliases: Vec<Alias>,
    with_items: Vec<WithItem>,
    match_cases: Vec<MatchCase>,
    handlers: Vec<ExceptHandler>,
    comprehensions: Vec<Comprehension>,
    type_params: Vec<TypeParam>,
    stmt_ids: Vec<StmtId>,
    expr_ids: Vec<ExprId>,
    optional_expr_ids: Vec<Option<ExprId>>,
    pattern_ids: Vec<PatternId>,
    names: Vec<Sym>,
    cmp_ops: Vec<CmpOp>,
    annotations: Vec<Annotation>,
}

/// The expressions that an annotation consists of, which are in a row.
#[derive(Clone, Copy, Debug)]
pub struct Annotation {
    /// The index of the first.
    pub first: u32,
    /// The annotation itself.
    pub last: ExprId,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        List::EMPTY
    }
}

/// A type that the tree holds an arena of.
pub trait Node: Copy + Sized {
    /// Its arena.
    fn arena(ast: &Ast) -> &Vec<Self>;
    /// Its arena, to change.
    fn arena_mut(ast: &mut Ast) -> &mut Vec<Self>;
}

macro_rules! nodes {
    ($($kind:ty => $field:ident),* $(,)?) => {$(
        impl Node for $kind {
            fn arena(ast: &Ast) -> &Vec<Self> {
                &ast.$field
            }
            fn arena_mut(ast: &mut Ast) -> &mut Vec<Self> {
                &mut ast.$field
            }
        }
    )*};
}

nodes! {
    Stmt => stmts,
    Expr => exprs,
    Pattern => patterns,
    FunctionDef => functions,
    ClassDef => classes,
    Try => tries,
    Arguments => arguments,
    Arg => args,
    Keyword => keywords,
    Alias => aliases,
    WithItem => with_items,
    MatchCase => match_cases,
    ExceptHandler => handlers,
    Comprehension => comprehensions,
    TypeParam => type_params,
    StmtId => stmt_ids,
    ExprId => expr_ids,
    Option<ExprId> => optional_expr_ids,
    PatternId => pattern_ids,
    Sym => names,
    CmpOp => cmp_ops,
}

fn too_large() -> Stop {
    Stop::unsure("the syntax tree has more than 4 billion nodes")
}

impl Ast {
    /// An empty tree with room for what a source of so many bytes mostly has.
    pub fn for_source(len: usize) -> Ast {
        Ast {
            stmts: Vec::with_capacity(len / 48),
            stmt_ids: Vec::with_capacity(len / 48),
            exprs: Vec::with_capacity(len / 12),
            expr_ids: Vec::with_capacity(len / 48),
            ..Ast::default()
        }
    }

    /// The node of an id.
    #[allow(clippy::indexing_slicing)] // Ids are made by `add` and `list` only, and nothing is removed.
    pub fn get<T: Node>(&self, id: Id<T>) -> &T {
        &T::arena(self)[id.index()]
    }

    /// The node of an id, to change.
    #[allow(clippy::indexing_slicing)] // As in `get`.
    pub fn get_mut<T: Node>(&mut self, id: Id<T>) -> &mut T {
        &mut T::arena_mut(self)[id.index()]
    }

    /// The children in a list.
    pub fn slice<T: Node>(&self, list: List<T>) -> &[T] {
        T::arena(self).get(list.range()).unwrap_or(&[])
    }

    /// The children in a list, to change.
    pub fn slice_mut<T: Node>(&mut self, list: List<T>) -> &mut [T] {
        T::arena_mut(self).get_mut(list.range()).unwrap_or(&mut [])
    }

    /// The expression of an id.
    pub fn expr(&self, id: ExprId) -> Expr {
        *self.get(id)
    }

    /// The statement of an id.
    pub fn stmt(&self, id: StmtId) -> Stmt {
        *self.get(id)
    }

    /// The pattern of an id.
    pub fn pattern(&self, id: PatternId) -> Pattern {
        *self.get(id)
    }

    /// Adds a node.
    pub fn add<T: Node>(&mut self, node: T) -> Pass<Id<T>> {
        let arena = T::arena_mut(self);
        let id = Id::from_index(arena.len()).ok_or_else(too_large)?;
        arena.push(node);
        Ok(id)
    }

    /// Adds children in a row.
    pub fn list<T: Node>(&mut self, nodes: &[T]) -> Pass<List<T>> {
        if nodes.is_empty() {
            return Ok(List::EMPTY);
        }
        let arena = T::arena_mut(self);
        let list = List::from_range(arena.len(), nodes.len()).ok_or_else(too_large)?;
        arena.extend_from_slice(nodes);
        Ok(list)
    }

    /// Notes that an annotation was added. `first`: how many expressions there were before.
    pub fn note_annotation(&mut self, first: usize, last: ExprId) {
        let first = first as u32;
        self.annotations.push(Annotation { first, last });
    }

    /// The annotations of parameters, results and names in the order of their expressions.
    pub fn annotations(&self) -> &[Annotation] {
        &self.annotations
    }

    /// The ids of all nodes of a kind that there are now, in ascending order.
    pub fn ids<T: Node>(&self) -> impl Iterator<Item = Id<T>> + Clone + use<T> {
        (0..T::arena(self).len()).map_while(Id::from_index)
    }

    /// How many expressions there are; their ids have the indices below.
    pub fn expr_count(&self) -> usize {
        self.exprs.len()
    }

    /// How many statements there are; their ids have the indices below.
    pub fn stmt_count(&self) -> usize {
        self.stmts.len()
    }
}

/// The docstring of a body: its first statement, if that is a plain string.
pub fn docstring(ast: &Ast, body: StmtList) -> Option<(ExprId, Sym)> {
    let &first = ast.slice(body).first()?;
    let StmtKind::Expr { value } = ast.stmt(first).kind else {
        return None;
    };
    match ast.expr(value).kind {
        ExprKind::Constant {
            value: Constant::Str(text),
            ..
        } => Some((value, text)),
        _ => None,
    }
}
