//! The symbol table: which names each scope binds and uses, and how each name is to be reached.
//!
//! The result is [`SymbolTable`]; it is built once and then only read.

mod scope;

pub use scope::{
    Block, BlockId, BlockKey, BlockKind, ComprehensionKind, Flags, Scope, Symbol, SymbolTable,
};
