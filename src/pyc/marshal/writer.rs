//! Writes a graph as marshal data: the first use of an object as its record, later ones as references.
//!
//! FLAG_REF is written as the graph has it; who builds a graph decides which objects carry it.

use super::object::{Graph, Id, TupleForm, Value};
use super::{FLAG_REF, MAX_DEPTH, code};

/// A graph that marshal cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The root, or an id in an object, is not in the graph.
    #[error("object {0:?} is not in the graph")]
    Missing(Id),
    /// An object is used twice but has no FLAG_REF.
    #[error("object {0:?} is used twice without FLAG_REF")]
    SharedWithoutFlag(Id),
    /// More than [`MAX_DEPTH`] containers in each other.
    #[error("nested too deep")]
    TooDeep,
    /// A length or a reference number over 31 bits, or a small tuple of over 255 items.
    #[error("object {0:?} is too large")]
    TooLarge(Id),
}

/// The marshal bytes of the object `root` and what it holds.
pub fn write(graph: &Graph<'_>, root: Id) -> Result<Vec<u8>, WriteError> {
    let mut writer = Writer {
        graph,
        out: Vec::new(),
        states: vec![State::New; graph.len()],
        next_reference: 0,
        frames: Vec::new(),
    };
    writer.start(root)?;
    while let Some(child) = writer.next_child()? {
        writer.start(child)?;
    }
    Ok(writer.out)
}

/// What was written of an object.
#[derive(Clone, Copy)]
enum State {
    New,
    Unflagged,
    Reference(u32),
}

/// A container whose items are being written.
struct Frame {
    id: Id,
    /// The index of the next child.
    next: usize,
}

struct Writer<'g, 'a> {
    graph: &'g Graph<'a>,
    out: Vec<u8>,
    states: Vec<State>,
    next_reference: u32,
    frames: Vec<Frame>,
}

impl Writer<'_, '_> {
    /// Writes an object up to its first child, or a reference to it.
    fn start(&mut self, id: Id) -> Result<(), WriteError> {
        let object = self.graph.get(id).ok_or(WriteError::Missing(id))?;
        if !object.value.is_singleton() {
            let state = self
                .states
                .get_mut(id.index())
                .ok_or(WriteError::Missing(id))?;
            match *state {
                State::Reference(number) => {
                    self.out.push(code::REF);
                    self.out.extend_from_slice(&number.to_le_bytes());
                    return Ok(());
                }
                State::Unflagged => return Err(WriteError::SharedWithoutFlag(id)),
                State::New if object.flag_ref => {
                    *state = State::Reference(self.next_reference);
                    self.next_reference += 1;
                }
                State::New => *state = State::Unflagged,
            }
        }
        self.write_start(id, &object.value, object.flag_ref)
    }

    /// The type byte and what follows it up to the first child; opens containers.
    fn write_start(&mut self, id: Id, value: &Value<'_>, flag_ref: bool) -> Result<(), WriteError> {
        let flag = if flag_ref { FLAG_REF } else { 0 };
        match value {
            Value::None => self.out.push(code::NONE),
            Value::False => self.out.push(code::FALSE),
            Value::True => self.out.push(code::TRUE),
            Value::StopIteration => self.out.push(code::STOP_ITERATION),
            Value::Ellipsis => self.out.push(code::ELLIPSIS),
            Value::Int(number) => {
                self.out.push(code::INT | flag);
                self.out.extend_from_slice(&number.to_le_bytes());
            }
            Value::Long { negative, digits } => {
                self.out.push(code::LONG | flag);
                let count =
                    i32::try_from(digits.len() / 2).map_err(|_| WriteError::TooLarge(id))?;
                let count = if *negative { -count } else { count };
                self.out.extend_from_slice(&count.to_le_bytes());
                self.out.extend_from_slice(digits);
            }
            Value::Float(bits) => {
                self.out.push(code::FLOAT | flag);
                self.out.extend_from_slice(&bits.to_le_bytes());
            }
            Value::Complex { real, imag } => {
                self.out.push(code::COMPLEX | flag);
                self.out.extend_from_slice(&real.to_le_bytes());
                self.out.extend_from_slice(&imag.to_le_bytes());
            }
            Value::Bytes(bytes) => {
                self.out.push(code::BYTES | flag);
                self.write_length(id, bytes.len())?;
                self.out.extend_from_slice(bytes);
            }
            Value::Text(text) => {
                i32::try_from(text.bytes().len()).map_err(|_| WriteError::TooLarge(id))?;
                text.write_record(flag_ref, &mut self.out);
            }
            Value::Tuple {
                form: TupleForm::Small,
                items,
            } => {
                self.out.push(code::SMALL_TUPLE | flag);
                let length = u8::try_from(items.len()).map_err(|_| WriteError::TooLarge(id))?;
                self.out.push(length);
                self.open(id)?;
            }
            Value::Tuple {
                form: TupleForm::Large,
                items,
            } => self.start_sequence(id, code::TUPLE | flag, items)?,
            Value::List(items) => self.start_sequence(id, code::LIST | flag, items)?,
            Value::Set(items) => self.start_sequence(id, code::SET | flag, items)?,
            Value::FrozenSet(items) => self.start_sequence(id, code::FROZEN_SET | flag, items)?,
            Value::Dict(_) => {
                self.out.push(code::DICT | flag);
                self.open(id)?;
            }
            Value::FrozenDict(_) => {
                self.out.push(code::FROZEN_DICT | flag);
                self.open(id)?;
            }
            Value::Slice(_) => {
                self.out.push(code::SLICE | flag);
                self.open(id)?;
            }
            Value::Code(_) => {
                self.out.push(code::CODE | flag);
                self.open(id)?;
            }
        }
        Ok(())
    }

    fn start_sequence(&mut self, id: Id, code: u8, items: &[Id]) -> Result<(), WriteError> {
        self.out.push(code);
        self.write_length(id, items.len())?;
        self.open(id)
    }

    fn write_length(&mut self, id: Id, length: usize) -> Result<(), WriteError> {
        let length = i32::try_from(length).map_err(|_| WriteError::TooLarge(id))?;
        self.out.extend_from_slice(&length.to_le_bytes());
        Ok(())
    }

    fn open(&mut self, id: Id) -> Result<(), WriteError> {
        if self.frames.len() >= MAX_DEPTH {
            return Err(WriteError::TooDeep);
        }
        self.frames.push(Frame { id, next: 0 });
        Ok(())
    }

    /// The next child of the innermost container that still has one. Writes what stands between
    /// the children of a code object and what ends a container.
    fn next_child(&mut self) -> Result<Option<Id>, WriteError> {
        while let Some(frame) = self.frames.last_mut() {
            let id = frame.id;
            let index = frame.next;
            frame.next += 1;
            let value = self.graph.value(id).ok_or(WriteError::Missing(id))?;
            if let Value::Code(code) = value {
                for number in code.numbers_before(index) {
                    self.out.extend_from_slice(&number.to_le_bytes());
                }
            }
            if let Some(&child) = value.children().get(index) {
                return Ok(Some(child));
            }
            if matches!(value, Value::Dict(_) | Value::FrozenDict(_)) {
                self.out.push(code::NULL);
            }
            self.frames.pop();
        }
        Ok(None)
    }
}
