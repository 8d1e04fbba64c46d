//! The symbol table: which names each scope binds and uses, and how each name is to be reached.
//!
//! Two passes: `build` walks the tree and notes facts, `analyze` decides scopes. The result,
//! [`SymbolTable`], is only read afterwards. Errors of scoping are CPython's, with its messages.

mod analyze;
mod build;
mod dump;
mod expressions;
mod mangle;
mod patterns;
mod scope;
mod statements;
mod view;

pub use build::build;
pub use dump::dump;
pub use mangle::{mangle, maybe_mangle};
pub use scope::{
    Block, BlockId, BlockKey, BlockKind, ComprehensionKind, Flags, Scope, Symbol, SymbolTable,
};
