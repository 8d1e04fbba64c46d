//! What the symbol table says: blocks, the symbols in them, and their scopes.
//!
//! Invariant: frozen once built. The order of `children`, `varnames` and symbols is CPython's
//! order of definition, on which the order of local variables depends.

use crate::compiler::native::ast::{ExprId, StmtId, Sym, TypeParamId};
use crate::compiler::native::error::Loc;
use rustc_hash::FxHashMap;
use thin_vec::ThinVec;

/// The index of a block. The module is block 0; parents come before children.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockId(pub u32);

impl BlockId {
    /// The module's block.
    pub const MODULE: BlockId = BlockId(0);
}

/// What opens a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockKey {
    /// The module.
    Module,
    /// The body of a `def` or `class`, the value of a `type` statement.
    Stmt(StmtId),
    /// A lambda or comprehension.
    Expr(ExprId),
    /// The type parameters of a `def`, `class` or `type` statement.
    TypeParams(StmtId),
    /// The bound (or constraints) of a type variable.
    TypeParamBound(TypeParamId),
    /// The default of a type parameter.
    TypeParamDefault(TypeParamId),
    /// 3.14: the annotations of a `def` that has some.
    Annotations(StmtId),
    /// 3.14: the annotations of the names in a module, class or function.
    NameAnnotations(BlockId),
    /// Up to 3.13: an annotation under `from __future__ import annotations`. Nobody looks it up and
    /// it is no child of its parent: it is there only to reject what annotations can't hold.
    FutureAnnotation,
}

/// The kind of a block (`_Py_block_ty`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum BlockKind {
    /// Also lambdas and comprehensions.
    Function,
    Class,
    Module,
    /// 3.14: an `__annotate__` function. Before: an annotation under the future import.
    Annotation,
    TypeAlias,
    TypeParameters,
    TypeVariable,
}

/// Whether a block is a comprehension, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum ComprehensionKind {
    None,
    List,
    Dict,
    Set,
    Generator,
}

/// How a name is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Scope {
    /// Not decided: the name is not in the block.
    Unknown,
    Local,
    GlobalExplicit,
    GlobalImplicit,
    Free,
    Cell,
}

/// How a block uses a name: CPython's `DEF_*` and `USE` bits, with CPython's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u32);

#[allow(missing_docs)] // Named after CPython's.
impl Flags {
    pub const GLOBAL: Flags = Flags(1);
    pub const LOCAL: Flags = Flags(2);
    pub const PARAM: Flags = Flags(2 << 1);
    pub const NONLOCAL: Flags = Flags(2 << 2);
    pub const USE: Flags = Flags(2 << 3);
    /// A free variable of a method, passed through the class body.
    pub const FREE_CLASS: Flags = Flags(2 << 5);
    pub const IMPORT: Flags = Flags(2 << 6);
    pub const ANNOT: Flags = Flags(2 << 7);
    pub const COMP_ITER: Flags = Flags(2 << 8);
    pub const TYPE_PARAM: Flags = Flags(2 << 9);
    /// A cell of an inlined comprehension.
    pub const COMP_CELL: Flags = Flags(2 << 10);
    pub const BOUND: Flags = Flags(Self::LOCAL.0 | Self::PARAM.0 | Self::IMPORT.0);

    /// Whether any of these bits is set.
    pub fn any(self, bits: Flags) -> bool {
        self.0 & bits.0 != 0
    }
}

impl std::ops::BitOr for Flags {
    type Output = Flags;
    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl std::ops::BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Flags) {
        self.0 |= other.0;
    }
}

/// A name in a block. Names are mangled (`_Class__name`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// The name.
    pub name: Sym,
    /// How the block uses it.
    pub flags: Flags,
    /// How it is reached.
    pub scope: Scope,
}

impl Symbol {
    pub(super) fn new(name: Sym, flags: Flags) -> Symbol {
        let scope = Scope::Unknown;
        Symbol { name, flags, scope }
    }
}

/// A scope of the program. The fields are named after CPython's `ste_*`.
#[derive(Clone, Debug)]
pub struct Block {
    /// What opened it.
    pub key: BlockKey,
    /// Its kind.
    pub kind: BlockKind,
    /// `top`, `lambda`, `listcomp`, `genexpr`, …, or the name of the function, class, alias.
    pub name: Sym,
    /// The block around it.
    pub parent: Option<BlockId>,
    /// The blocks inside, in order of definition. As in CPython those of an inlined comprehension
    /// are moved to the block that it is inlined into.
    pub children: ThinVec<BlockId>,
    /// The symbols in the order in which they first appeared.
    pub symbols: ThinVec<Symbol>,
    /// The parameters in the order of `co_varnames`: positional, keyword-only, `*args`, `**kwargs`.
    pub varnames: ThinVec<Sym>,
    /// Whether a function is around it.
    pub nested: bool,
    /// Whether it yields.
    pub generator: bool,
    /// Whether it awaits, or is `async`.
    pub coroutine: bool,
    /// Whether it is a comprehension.
    pub comprehension: ComprehensionKind,
    /// Whether it is a comprehension without a frame of its own (PEP 709).
    pub comp_inlined: bool,
    /// Whether it has `*args`.
    pub varargs: bool,
    /// Whether it has `**kwargs`.
    pub varkeywords: bool,
    /// Whether it has a `return` with a value.
    pub returns_value: bool,
    /// Of a class: whether methods use `__class__`.
    pub needs_class_closure: bool,
    /// Of a class: whether scopes inside look names up in the class namespace.
    pub needs_classdict: bool,
    /// Whether it sees the names of the class around it (PEP 695, annotations).
    pub can_see_class_scope: bool,
    /// Of a method (3.14): whether its first statement is a docstring.
    pub has_docstring: bool,
    /// 3.14: whether it is a method, a function directly in a class.
    pub method: bool,
    /// 3.14: whether some annotations of this module or class are set only under a condition.
    pub has_conditional_annotations: bool,
    /// 3.14: the block of the annotated names of this class, module or function. (That of a
    /// function's parameters has the key [`BlockKey::Annotations`].)
    pub annotation_block: Option<BlockId>,
    /// 3.14: whether it has annotated names.
    pub annotations_used: bool,
    /// Of type parameters of a class: the names that need mangling in them.
    #[allow(clippy::box_collection)] // Hardly any block has some.
    pub mangled_names: Option<Box<Vec<Sym>>>,
    /// Where it begins.
    pub loc: Loc,
    /// The position of each symbol in `symbols`, once there are many.
    pub(super) index: Option<Box<FxHashMap<Sym, u32>>>,
}

/// Up to so many symbols a search is faster than a table.
const FEW_SYMBOLS: usize = 12;

impl Block {
    pub(super) fn position(&self, name: Sym) -> Option<usize> {
        if self.symbols.len() <= FEW_SYMBOLS {
            return self.symbols.iter().position(|symbol| symbol.name == name);
        }
        self.index.as_ref()?.get(&name).map(|&at| at as usize)
    }

    /// A symbol by its mangled name.
    pub fn symbol(&self, name: Sym) -> Option<&Symbol> {
        self.symbols.get(self.position(name)?)
    }

    /// As [`Self::symbol`], to change.
    pub(super) fn symbol_mut(&mut self, name: Sym) -> Option<&mut Symbol> {
        let at = self.position(name)?;
        self.symbols.get_mut(at)
    }

    /// Sets the flags of a symbol, which is added if it is new.
    pub(super) fn set_flags(&mut self, name: Sym, flags: Flags) {
        self.set_flags_at(self.position(name), name, flags);
    }

    /// As [`Self::set_flags`], with the position of the symbol, if it is known.
    pub(super) fn set_flags_at(&mut self, position: Option<usize>, name: Sym, flags: Flags) {
        if let Some(symbol) = position.and_then(|at| self.symbols.get_mut(at)) {
            symbol.flags = flags;
            return;
        }
        let at = self.symbols.len() as u32;
        self.symbols.push(Symbol::new(name, flags));
        if let Some(index) = &mut self.index {
            index.insert(name, at);
        } else if self.symbols.len() > FEW_SYMBOLS {
            self.index_symbols();
        }
    }

    /// Gives the memory back that is kept for more.
    pub(super) fn give_back(&mut self) {
        self.children.shrink_to_fit();
        self.symbols.shrink_to_fit();
        self.varnames.shrink_to_fit();
    }

    pub(super) fn remove_symbol(&mut self, name: Sym) {
        if let Some(at) = self.position(name) {
            self.symbols.remove(at);
            self.index = None;
            if self.symbols.len() > FEW_SYMBOLS {
                self.index_symbols();
            }
        }
    }

    fn index_symbols(&mut self) {
        let names = self.symbols.iter().map(|symbol| symbol.name);
        self.index = Some(Box::new(names.zip(0..).collect()));
    }

    /// How a mangled name is reached; `Unknown` when the block does not have it.
    pub fn scope(&self, name: Sym) -> Scope {
        self.symbol(name).map_or(Scope::Unknown, |s| s.scope)
    }

    /// The flags of a mangled name; none when the block does not have it.
    pub fn flags(&self, name: Sym) -> Flags {
        self.symbol(name).map_or(Flags(0), |s| s.flags)
    }

    /// Whether the block's locals are fast locals: everything but classes and modules.
    pub fn is_function_like(&self) -> bool {
        match self.kind {
            BlockKind::Function
            | BlockKind::Annotation
            | BlockKind::TypeAlias
            | BlockKind::TypeParameters
            | BlockKind::TypeVariable => true,
            BlockKind::Class | BlockKind::Module => false,
        }
    }
}

/// The blocks of a module.
#[derive(Clone, Debug)]
pub struct SymbolTable {
    /// All blocks; [`BlockId`] is the index.
    pub(super) blocks: Vec<Block>,
    pub(super) by_key: FxHashMap<BlockKey, BlockId>,
}

impl SymbolTable {
    /// The block that a node opens.
    pub fn lookup(&self, key: BlockKey) -> Option<BlockId> {
        self.by_key.get(&key).copied()
    }

    /// A block.
    #[allow(clippy::indexing_slicing)] // Ids are made by the builder of this table.
    pub fn block(&self, id: BlockId) -> &Block {
        &self.blocks[id.0 as usize]
    }

    /// The module's own block alone.
    pub fn without_inner_blocks(mut self) -> SymbolTable {
        self.blocks.truncate(1);
        self.blocks.shrink_to_fit();
        self.by_key = FxHashMap::default();
        self
    }

    /// Every block, the module first.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }
}
