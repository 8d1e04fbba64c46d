//! Ids of nodes and ranges of children: what the tree is made of instead of pointers.
//!
//! Invariant: an id or a list is only made by the [`Ast`](super::Ast) that owns the node, so it is
//! always in range there. Ids of one tree mean nothing in another.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;

/// The index of a node of kind `T` in its arena. Four bytes, also inside an `Option`.
pub struct Id<T> {
    raw: NonZeroU32,
    kind: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    /// The id of the node at `index`; `None` past the 4 billion that fit.
    pub(super) fn from_index(index: usize) -> Option<Self> {
        let raw = u32::try_from(index)
            .ok()
            .and_then(|index| index.checked_add(1))
            .and_then(NonZeroU32::new)?;
        Some(Id {
            raw,
            kind: PhantomData,
        })
    }

    /// The 0-based index in the arena.
    pub fn index(self) -> usize {
        self.raw.get() as usize - 1
    }
}

impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Id<T> {}
impl<T> PartialEq for Id<T> {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}
impl<T> Eq for Id<T> {}
impl<T> PartialOrd for Id<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<T> Ord for Id<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.raw.cmp(&other.raw)
    }
}
impl<T> std::hash::Hash for Id<T> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.raw.hash(state);
    }
}
impl<T> fmt::Debug for Id<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.index())
    }
}

/// A run of consecutive `T` in the arena of `T`. `T` is a node, or an id for the node kinds whose
/// lists are lists of ids (statements, expressions, patterns).
pub struct List<T> {
    start: u32,
    len: u32,
    kind: PhantomData<fn() -> T>,
}

impl<T> List<T> {
    /// No children.
    pub const EMPTY: Self = List {
        start: 0,
        len: 0,
        kind: PhantomData,
    };

    pub(super) fn from_range(start: usize, len: usize) -> Option<Self> {
        let end = start.checked_add(len)?;
        u32::try_from(end).ok()?;
        Some(List {
            start: u32::try_from(start).ok()?,
            len: u32::try_from(len).ok()?,
            kind: PhantomData,
        })
    }

    /// How many children there are.
    pub fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len == 0
    }

    /// The part without the first `count` children.
    pub fn skip(self, count: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX).min(self.len);
        List {
            start: self.start + count,
            len: self.len - count,
            kind: PhantomData,
        }
    }

    /// The part with at most the first `count` children.
    pub fn take(self, count: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX).min(self.len);
        List { len: count, ..self }
    }

    /// The indices in the arena.
    pub(super) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.len as usize
    }

    /// The ids of the children, where the list holds the nodes themselves.
    pub fn ids(self) -> impl DoubleEndedIterator<Item = Id<T>> + ExactSizeIterator {
        (self.start..self.start + self.len).map(|index| Id {
            raw: NonZeroU32::MIN.saturating_add(index),
            kind: PhantomData,
        })
    }
}

impl<T> Clone for List<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for List<T> {}
impl<T> PartialEq for List<T> {
    fn eq(&self, other: &Self) -> bool {
        self.start == other.start && self.len == other.len
    }
}
impl<T> Eq for List<T> {}
impl<T> fmt::Debug for List<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.range())
    }
}
