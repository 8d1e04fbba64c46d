//! The state of one code object while its code is generated.

use rustc_hash::FxHashMap;

use super::Known;
use super::annotation::Deferred;
use super::frame_block::FrameBlock;
use super::indexed::Indexed;
use crate::compiler::native::ast::{Pool, Sym};
use crate::compiler::native::constant::Item;
use crate::compiler::native::instruction::{Instr, Sequence};
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
    /// Type parameters, their bounds and defaults; from 3.14 on also `__annotate__` and the value of a
    /// `type` statement.
    TypeParams,
}

/// The lists of a finished code object, for their memory.
#[derive(Debug, Default)]
pub(super) struct Spare {
    pub(super) sequence: Sequence,
    pub(super) consts: Vec<Item>,
    pub(super) names: Indexed<Sym>,
    pub(super) varnames: Indexed<Sym>,
}

/// A code object in the making.
#[derive(Debug)]
pub(super) struct Unit {
    /// Larger than that of each code object that was begun before; the module's is 1.
    pub(super) serial: u32,
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
    /// The sequences of the code objects inside, as text, when they are wanted.
    pub(super) nested: Vec<String>,
    /// Inside of a statement whose parts may not run.
    pub(super) conditional: bool,
    /// 3.14: the annotated names of a module or class, for `__annotate__`.
    pub(super) deferred: Vec<Deferred>,
    /// 3.14: the name of the first parameter in the code object, if it is another than here.
    pub(super) public_parameter: Option<Sym>,
    /// 3.14: what a module does before its first statement to set `__annotate__`.
    pub(super) annotations_code: Vec<Instr>,
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
        known: &Known,
        spare: Spare,
    ) -> Unit {
        let Spare {
            mut sequence,
            consts,
            mut names,
            mut varnames,
        } = spare;
        sequence.clear();
        names.clear();
        varnames.clear();
        let symbols = table.block(block);
        for &name in &symbols.varnames {
            varnames.add(name);
        }
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
        if symbols.has_conditional_annotations {
            cellvars.add(known.conditional_annotations);
        }
        let free = names_by(symbols, pool, |scope, flags| {
            scope == Scope::Free || flags.any(Flags::FREE_CLASS)
        });
        Unit {
            serial: 1,
            block,
            scope_type,
            name,
            qualname: name,
            private: None,
            static_attributes: Vec::new(),
            sequence,
            frame_blocks: Vec::new(),
            inlined: 0,
            argcount: 0,
            posonlyargcount: 0,
            kwonlyargcount: 0,
            first_line: 1,
            consts: Indexed::with_memory_of(consts),
            names,
            varnames,
            cellvars,
            freevars: Indexed::from_keys(free),
            fast_hidden: FxHashMap::default(),
            overrides: FxHashMap::default(),
            nested: Vec::new(),
            conditional: false,
            deferred: Vec::new(),
            public_parameter: None,
            annotations_code: Vec::new(),
        }
    }

    pub(super) fn is_async_function(&self) -> bool {
        self.scope_type == ScopeType::AsyncFunction
    }
}
