//! The state of one code object while its code is generated.

use rustc_hash::FxHashMap;

use super::Known;
use super::frame_block::FrameBlock;
use super::indexed::Indexed;
use crate::compiler::native::ast::{Pool, Sym};
use crate::compiler::native::constant::Item;
use crate::compiler::native::instruction::Sequence;
use crate::compiler::native::symtable::{Block, BlockId, Flags, Scope, SymbolTable};

/// What kind of code object it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ScopeType {
    Module,
    Class,
    Function,
    AsyncFunction,
    Lambda,
    Comprehension,
    TypeParams,
}

/// A code object in the making.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) block: BlockId,
    pub(super) scope_type: ScopeType,
    pub(super) name: Sym,
    pub(super) qualname: Sym,
    /// The class whose name mangles private names.
    pub(super) private: Option<Sym>,
    /// Of a class: the attributes that methods assign on `self`.
    pub(super) static_attributes: Vec<Sym>,
    pub(super) sequence: Sequence,
    pub(super) frame_blocks: Vec<FrameBlock>,
    /// How many inlined comprehensions are around the current expression.
    pub(super) inlined: u32,
    pub(super) argcount: u32,
    pub(super) posonlyargcount: u32,
    pub(super) kwonlyargcount: u32,
    pub(super) first_line: i32,
    pub(super) consts: Indexed<Item>,
    pub(super) names: Indexed<Sym>,
    pub(super) varnames: Indexed<Sym>,
    pub(super) cellvars: Indexed<Sym>,
    pub(super) freevars: Indexed<Sym>,
    /// Names that inlined comprehensions make fast locals outside of functions; `true` while inside.
    pub(super) fast_hidden: FxHashMap<Sym, bool>,
    /// What inlined comprehensions change in the symbols while they are compiled.
    pub(super) overrides: FxHashMap<Sym, (Flags, Scope)>,
}

/// The names of a block with a scope or some flags, sorted.
fn names_by(
    block: &Block,
    pool: &Pool,
    wanted: impl Fn(Scope, Flags) -> bool,
) -> impl Iterator<Item = Sym> {
    let mut names: Vec<Sym> = block
        .symbols
        .iter()
        .filter(|symbol| wanted(symbol.scope, symbol.flags))
        .map(|symbol| symbol.name)
        .collect();
    names.sort_by(|&one, &other| pool.text(one).cmp(pool.text(other)));
    names.into_iter()
}

impl Unit {
    pub(super) fn new(
        table: &SymbolTable,
        pool: &Pool,
        block: BlockId,
        name: Sym,
        scope_type: ScopeType,
        first_line: i32,
        known: &Known,
    ) -> Unit {
        let symbols = table.block(block);
        let cells = names_by(symbols, pool, |scope, flags| {
            scope == Scope::Cell || flags.any(Flags::COMP_CELL)
        });
        let mut cellvars = Indexed::from_keys(cells);
        if symbols.needs_class_closure {
            cellvars.add(known.class);
        }
        if symbols.needs_classdict {
            cellvars.add(known.classdict);
        }
        let free = names_by(symbols, pool, |scope, flags| {
            scope == Scope::Free || flags.any(Flags::FREE_CLASS)
        });
        Unit {
            block,
            scope_type,
            name,
            qualname: name,
            private: None,
            static_attributes: Vec::new(),
            sequence: Sequence::default(),
            frame_blocks: Vec::new(),
            inlined: 0,
            argcount: 0,
            posonlyargcount: 0,
            kwonlyargcount: 0,
            first_line,
            consts: Indexed::default(),
            names: Indexed::default(),
            varnames: Indexed::from_keys(symbols.varnames.iter().copied()),
            cellvars,
            freevars: Indexed::from_keys(free),
            fast_hidden: FxHashMap::default(),
            overrides: FxHashMap::default(),
        }
    }

    pub(super) fn is_async_function(&self) -> bool {
        self.scope_type == ScopeType::AsyncFunction
    }
}
