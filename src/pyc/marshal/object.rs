//! Marshal values as a graph with identity: an object that is referred to twice is there once.
//!
//! Invariant: an object's children have smaller ids than the object, so the graph has no cycle and
//! going through the ids in order sees children first. (CPython's compiler makes no cycles.)

use std::borrow::Cow;

use super::layout::{CodeField, CodeNumber, Layout, Slot};
use super::text::Text;
use crate::pyc::Target;

/// An object of one graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(u32);

impl Id {
    /// The object's number in its graph, from 0.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The two records of a tuple; CPython writes the small one for less than 256 items.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TupleForm {
    /// One byte of length.
    Small,
    /// Four bytes of length.
    Large,
}

/// A marshal value. Containers name their items by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `None`.
    None,
    /// `False`.
    False,
    /// `True`.
    True,
    /// The `StopIteration` class.
    StopIteration,
    /// `...`.
    Ellipsis,
    /// An int of 32 bits.
    Int(i32),
    /// Any other int.
    Long {
        /// Whether it is below zero.
        negative: bool,
        /// The magnitude in digits of 15 bits, two bytes each, all little endian; the last digit
        /// is not zero.
        digits: Cow<'a, [u8]>,
    },
    /// A float, as the bits of an IEEE double.
    Float(u64),
    /// A complex number, as the bits of two doubles.
    Complex {
        /// The real part.
        real: u64,
        /// The imaginary part.
        imag: u64,
    },
    /// `bytes`.
    Bytes(Cow<'a, [u8]>),
    /// `str`.
    Text(Text<'a>),
    /// `tuple`.
    Tuple {
        /// The record it is written as.
        form: TupleForm,
        /// The items.
        items: Vec<Id>,
    },
    /// `list`.
    List(Vec<Id>),
    /// `set`, in the order of the record.
    Set(Vec<Id>),
    /// `frozenset`, in the order of the record.
    FrozenSet(Vec<Id>),
    /// `dict`: key, value, key, value.
    Dict(Vec<Id>),
    /// `frozendict` (3.15): key, value, key, value.
    FrozenDict(Vec<Id>),
    /// `slice` (3.14): start, stop, step.
    Slice([Id; 3]),
    /// A code object.
    Code(Box<Code>),
}

impl Value<'_> {
    /// A tuple in the record that CPython writes for it.
    pub fn tuple(items: Vec<Id>) -> Value<'static> {
        let form = if items.len() < 256 {
            TupleForm::Small
        } else {
            TupleForm::Large
        };
        Value::Tuple { form, items }
    }

    /// The ids that the value names, in the order of the record.
    pub fn children(&self) -> &[Id] {
        match self {
            Value::None
            | Value::False
            | Value::True
            | Value::StopIteration
            | Value::Ellipsis
            | Value::Int(_)
            | Value::Long { .. }
            | Value::Float(_)
            | Value::Complex { .. }
            | Value::Bytes(_)
            | Value::Text(_) => &[],
            Value::Tuple { items, .. }
            | Value::List(items)
            | Value::Set(items)
            | Value::FrozenSet(items)
            | Value::Dict(items)
            | Value::FrozenDict(items) => items,
            Value::Slice(bounds) => bounds,
            Value::Code(code) => &code.fields,
        }
    }

    /// Whether this is one of the objects that are written as one byte and never by reference.
    pub fn is_singleton(&self) -> bool {
        matches!(
            self,
            Value::None | Value::False | Value::True | Value::StopIteration | Value::Ellipsis
        )
    }
}

/// A code object: the numbers and fields that its layout has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    layout: Layout,
    numbers: Vec<i32>,
    fields: Vec<Id>,
}

impl Code {
    /// A code object of `target`; `number` and `field` are asked for each slot of its layout.
    pub fn new(
        target: Target,
        mut number: impl FnMut(CodeNumber) -> i32,
        mut field: impl FnMut(CodeField) -> Id,
    ) -> Code {
        let layout = Layout::of(target);
        Code {
            layout,
            numbers: layout.numbers().map(&mut number).collect(),
            fields: layout.fields().map(&mut field).collect(),
        }
    }

    /// From what was read slot by slot. `None` if the counts are not the layout's.
    pub(super) fn from_slots(layout: Layout, numbers: Vec<i32>, fields: Vec<Id>) -> Option<Code> {
        let complete =
            numbers.len() == layout.numbers().count() && fields.len() == layout.fields().count();
        complete.then_some(Code {
            layout,
            numbers,
            fields,
        })
    }

    /// The order of the slots.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// A number, if this version has it.
    pub fn number(&self, wanted: CodeNumber) -> Option<i32> {
        let at = self.layout.numbers().position(|number| number == wanted)?;
        self.numbers.get(at).copied()
    }

    /// A field, if this version has it.
    pub fn field(&self, wanted: CodeField) -> Option<Id> {
        let at = self.layout.fields().position(|field| field == wanted)?;
        self.fields.get(at).copied()
    }

    /// The numbers and their values, in order.
    pub fn numbers(&self) -> impl Iterator<Item = (CodeNumber, i32)> {
        self.layout.numbers().zip(self.numbers.iter().copied())
    }

    /// The fields and their values, in order.
    pub fn fields(&self) -> impl Iterator<Item = (CodeField, Id)> {
        self.layout.fields().zip(self.fields.iter().copied())
    }

    /// The numbers that are written before the field of this index (0-based) and after the one
    /// before it; past the last field, the numbers at the end.
    pub(super) fn numbers_before(&self, field: usize) -> impl Iterator<Item = i32> {
        let mut fields_seen = 0;
        self.layout
            .slots()
            .iter()
            .filter_map(move |slot| match slot {
                Slot::Field(_) => {
                    fields_seen += 1;
                    None
                }
                Slot::Number(number) => Some((fields_seen, *number)),
            })
            .filter(move |(before, _)| *before == field)
            .filter_map(|(_, number)| self.number(number))
    }
}

/// An object: its value and whether it has a reference number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object<'a> {
    /// The value.
    pub value: Value<'a>,
    /// FLAG_REF. An object that is used more than once must have it, unless it is a singleton.
    pub flag_ref: bool,
}

/// An object named a child that is not in the graph yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("object {0} is not in the graph yet")]
pub struct MissingChild(pub u32);

/// The objects of one marshal value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph<'a> {
    target: Target,
    objects: Vec<Object<'a>>,
    /// Where each object's record starts, for a graph that was read.
    offsets: Vec<u32>,
}

impl<'a> Graph<'a> {
    /// An empty graph for the marshal format of `target`.
    pub fn new(target: Target) -> Graph<'a> {
        Graph {
            target,
            objects: Vec::new(),
            offsets: Vec::new(),
        }
    }

    /// The version whose format this is.
    pub fn target(&self) -> Target {
        self.target
    }

    /// Adds an object whose children are all in the graph. At most 2^32 objects: further ones get
    /// [`MissingChild`] too, since they would have no id.
    pub fn push(&mut self, value: Value<'a>, flag_ref: bool) -> Result<Id, MissingChild> {
        let id = u32::try_from(self.objects.len()).map_err(|_| MissingChild(u32::MAX))?;
        match value.children().iter().find(|child| child.0 >= id) {
            Some(child) => Err(MissingChild(child.0)),
            None => {
                self.objects.push(Object { value, flag_ref });
                Ok(Id(id))
            }
        }
    }

    /// [`Graph::push`] for an object whose record starts at this byte offset.
    pub(super) fn push_read(
        &mut self,
        value: Value<'a>,
        flag_ref: bool,
        offset: u32,
    ) -> Result<Id, MissingChild> {
        self.offsets.push(offset);
        self.push(value, flag_ref)
    }

    /// The object with this id; `None` only for an id of another graph.
    pub fn get(&self, id: Id) -> Option<&Object<'a>> {
        self.objects.get(id.index())
    }

    /// The value of the object with this id.
    pub fn value(&self, id: Id) -> Option<&Value<'a>> {
        self.get(id).map(|object| &object.value)
    }

    /// The code object with this id, if it is one.
    pub fn code(&self, id: Id) -> Option<&Code> {
        match self.value(id) {
            Some(Value::Code(code)) => Some(code),
            _ => None,
        }
    }

    /// The last object, which holds all others in a graph that was read.
    pub fn root(&self) -> Option<Id> {
        let last = u32::try_from(self.objects.len().checked_sub(1)?).ok()?;
        Some(Id(last))
    }

    /// All objects with their ids, children before parents.
    pub fn iter(&self) -> impl Iterator<Item = (Id, &Object<'a>)> {
        (0..=u32::MAX).map(Id).zip(&self.objects)
    }

    /// The number of objects.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The byte offset at which an object's record starts, in a graph that was read.
    pub fn record_offset(&self, id: Id) -> Option<usize> {
        self.offsets.get(id.index()).map(|&offset| offset as usize)
    }
}
