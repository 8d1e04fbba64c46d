//! CPython's marshal format, versions 4 (3.4 to 3.13), 5 (3.14: slices) and 6 (3.15: frozendict).
//!
//! [`read`] makes a [`Graph`] of objects with their identity; [`write`] makes the bytes again.
//! Invariant: for everything that reads, writing gives the very bytes that were read.

mod layout;
mod object;
mod reader;
mod text;
mod writer;

pub use layout::{CodeField, CodeNumber, Layout, Slot};
pub use object::{Code, Graph, Id, MissingChild, Object, TupleForm, Value};
pub use reader::{ReadError, ReadErrorKind, read};
pub use text::{Text, TextForm};
pub use writer::{WriteError, write};

/// How deep values may be nested, as in CPython on Unix (`MAX_MARSHAL_STACK_DEPTH`).
pub const MAX_DEPTH: usize = 2000;

/// The bit of a type byte that says: this object gets the next reference number.
pub(crate) const FLAG_REF: u8 = 0x80;

/// The type bytes that marshal version 4 and later write, without [`FLAG_REF`].
///
/// The older codes `I`, `f`, `x` (64-bit ints, floats as text) are not among them: no CPython that
/// is covered writes them.
pub(crate) mod code {
    pub const NULL: u8 = b'0';
    pub const NONE: u8 = b'N';
    pub const FALSE: u8 = b'F';
    pub const TRUE: u8 = b'T';
    pub const STOP_ITERATION: u8 = b'S';
    pub const ELLIPSIS: u8 = b'.';
    pub const INT: u8 = b'i';
    pub const LONG: u8 = b'l';
    pub const FLOAT: u8 = b'g';
    pub const COMPLEX: u8 = b'y';
    pub const BYTES: u8 = b's';
    pub const UNICODE: u8 = b'u';
    pub const UNICODE_INTERNED: u8 = b't';
    pub const ASCII: u8 = b'a';
    pub const ASCII_INTERNED: u8 = b'A';
    pub const SHORT_ASCII: u8 = b'z';
    pub const SHORT_ASCII_INTERNED: u8 = b'Z';
    pub const TUPLE: u8 = b'(';
    pub const SMALL_TUPLE: u8 = b')';
    pub const LIST: u8 = b'[';
    pub const DICT: u8 = b'{';
    pub const FROZEN_DICT: u8 = b'}';
    pub const SET: u8 = b'<';
    pub const FROZEN_SET: u8 = b'>';
    pub const SLICE: u8 = b':';
    pub const CODE: u8 = b'c';
    pub const REF: u8 = b'r';
}
