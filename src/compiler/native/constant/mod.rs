//! Constants and code objects as CPython's objects: with identity.
//!
//! Marshal writes an object that has more than one owner once, and refers back to it. So the bytes
//! of a pyc depend on which equal constants are one object. This module makes the objects as
//! CPython's compiler does: equal constants of a module are merged by type and value; strings that
//! look like identifiers, and names, are interned.

mod heap;
mod marshal;
mod names;

pub use heap::{CodeObject, Heap, Object, ObjectId, Origin};
pub use marshal::{Marshalled, marshal};
pub use names::Names;

use super::ast::Constant;

/// An entry of `co_consts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Item {
    /// A value.
    Value(Constant),
    /// An object that no other constant equals: a code object, or NaN.
    Object(ObjectId),
}
