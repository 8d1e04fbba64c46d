//! The native compiler: Python source to CPython's code objects, byte for byte.
//!
//! decode → parse → lower → fold → symtable (the front half), then code generation, control-flow
//! graph passes, assembly and marshal (the back half). `docs/compiler.md` tells how they meet.
//! Each pass is a function from one well-defined form to the next and returns a
//! [`Stop`](error::Stop) where it cannot go on.

pub mod assemble;
pub mod ast;
pub mod backend;
pub mod codegen;
pub mod constant;
pub mod decode;
pub mod diagnosis;
pub mod error;
pub mod explain;
pub mod flowgraph;
pub mod fold;
pub mod future;
pub mod instruction;
pub mod lower;
pub mod opcode;
pub mod parse;
pub mod pipeline;
pub mod profile;
mod recursion;
pub mod symtable;
mod workers;
