//! Reads marshal data into a graph, refusing everything that CPython does not write.
//!
//! Never recurses and never reserves more memory than the data's own length accounts for: a frame
//! for each open container stands on a stack of its own, at most [`MAX_DEPTH`] of them.

use std::borrow::Cow;

use super::layout::{FieldShape, Layout, Slot};
use super::object::{Code, Graph, Id, TupleForm, Value};
use super::text::{Text, TextForm};
use super::{FLAG_REF, MAX_DEPTH, code};
use crate::pyc::Target;

/// Data that is no marshal value of the target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("marshal data at byte {offset}: {kind}")]
pub struct ReadError {
    /// Where in the data, 0-based.
    pub offset: usize,
    /// What is wrong there.
    pub kind: ReadErrorKind,
}

/// What is wrong with marshal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadErrorKind {
    /// The data ends within a value.
    #[error("it ends within a value")]
    Truncated,
    /// Bytes follow the value.
    #[error("bytes follow the value")]
    TrailingBytes,
    /// No CPython of the target writes this type byte.
    #[error("unknown type byte {0:#04x}")]
    UnknownCode(u8),
    /// A negative length.
    #[error("bad length {0}")]
    BadLength(i32),
    /// A reference to an object that does not exist or is not complete.
    #[error("bad reference {0}")]
    BadReference(u32),
    /// More than [`MAX_DEPTH`] open containers.
    #[error("nested too deep")]
    TooDeep,
    /// A string that is not ASCII or not UTF-8 where it must be.
    #[error("bad text")]
    BadText,
    /// An int with a digit over 15 bits or a leading zero digit.
    #[error("bad int")]
    BadInt,
    /// A field of a code object has the wrong type.
    #[error("a code object's field has the wrong type")]
    BadField,
    /// More than 4 GiB.
    #[error("too large")]
    TooLarge,
}

/// Reads one marshal value of `target`, which must be all of `data`. The graph borrows from it.
pub fn read(target: Target, data: &[u8]) -> Result<Graph<'_>, ReadError> {
    if u32::try_from(data.len()).is_err() {
        return Err(ReadError {
            offset: 0,
            kind: ReadErrorKind::TooLarge,
        });
    }
    let mut reader = Reader {
        data,
        position: 0,
        layout: Layout::of(target),
        graph: Graph::new(target),
        references: Vec::new(),
        frames: Vec::new(),
        values: Vec::new(),
    };
    match reader.read_all() {
        Ok(()) => Ok(reader.graph),
        Err(kind) => Err(ReadError {
            offset: reader.position,
            kind,
        }),
    }
}

/// A container whose items are being read.
struct Frame {
    kind: FrameKind,
    /// Where the container's record starts.
    offset: u32,
    /// The reference number that the container gets when it is complete.
    reference: Option<usize>,
    /// Where its items start in [`Reader::values`].
    first_value: usize,
}

enum FrameKind {
    /// A known number of items.
    Sequence { kind: SequenceKind, length: usize },
    /// Keys and values up to a null object; `ended` once that was read.
    Mapping { frozen: bool, ended: bool },
    /// A code object; `next` is the index of the next slot of the layout.
    Code { next: usize, numbers: Vec<i32> },
}

#[derive(Clone, Copy)]
enum SequenceKind {
    Tuple(TupleForm),
    List,
    Set,
    FrozenSet,
    Slice,
}

/// What one type byte brought.
enum Item {
    /// A complete object.
    Complete(Id),
    /// A container was opened.
    Opened,
    /// The null object that ends a mapping.
    Null,
}

struct Reader<'a> {
    data: &'a [u8],
    position: usize,
    layout: Layout,
    graph: Graph<'a>,
    /// By reference number; `None` while the object is being read.
    references: Vec<Option<Id>>,
    /// The open containers, outermost first.
    frames: Vec<Frame>,
    /// The complete items of all open containers, outermost container first.
    values: Vec<Id>,
}

type Step<T> = Result<T, ReadErrorKind>;

impl<'a> Reader<'a> {
    fn read_all(&mut self) -> Step<()> {
        loop {
            match self.read_item()? {
                Item::Complete(id) => self.values.push(id),
                Item::Null => self.end_mapping()?,
                Item::Opened => {}
            }
            while self.close_innermost()? {}
            if self.frames.is_empty() {
                break;
            }
        }
        if self.position == self.data.len() {
            Ok(())
        } else {
            Err(ReadErrorKind::TrailingBytes)
        }
    }

    /// Reads one type byte and, unless it opens a container, the whole object.
    fn read_item(&mut self) -> Step<Item> {
        let offset = self.position as u32;
        let [byte] = self.take()?;
        let flagged = byte & FLAG_REF != 0;
        let value = match byte & !FLAG_REF {
            code::NULL if !flagged => return Ok(Item::Null),
            code::REF if !flagged => return self.read_reference(),
            code::NONE if !flagged => Value::None,
            code::FALSE if !flagged => Value::False,
            code::TRUE if !flagged => Value::True,
            code::STOP_ITERATION if !flagged => Value::StopIteration,
            code::ELLIPSIS if !flagged => Value::Ellipsis,
            code::INT => Value::Int(i32::from_le_bytes(self.take()?)),
            code::LONG => self.read_long()?,
            code::FLOAT => Value::Float(u64::from_le_bytes(self.take()?)),
            code::COMPLEX => Value::Complex {
                real: u64::from_le_bytes(self.take()?),
                imag: u64::from_le_bytes(self.take()?),
            },
            code::BYTES => {
                let length = self.read_length()?;
                Value::Bytes(Cow::Borrowed(self.take_slice(length)?))
            }
            code::UNICODE => self.read_text(TextForm::Unicode, false)?,
            code::UNICODE_INTERNED => self.read_text(TextForm::Unicode, true)?,
            code::ASCII => self.read_text(TextForm::Ascii, false)?,
            code::ASCII_INTERNED => self.read_text(TextForm::Ascii, true)?,
            code::SHORT_ASCII => self.read_text(TextForm::ShortAscii, false)?,
            code::SHORT_ASCII_INTERNED => self.read_text(TextForm::ShortAscii, true)?,
            container => {
                let kind = self.read_container_start(container)?;
                self.open(kind, offset, flagged)?;
                return Ok(Item::Opened);
            }
        };
        let id = self.add(value, flagged, offset)?;
        if flagged {
            self.references.push(Some(id));
        }
        Ok(Item::Complete(id))
    }

    /// What stands between a container's type byte and its first item.
    fn read_container_start(&mut self, code: u8) -> Step<FrameKind> {
        let minor = self.graph.target().minor();
        let kind = match code {
            code::SMALL_TUPLE => {
                let [length] = self.take()?;
                return Ok(FrameKind::Sequence {
                    kind: SequenceKind::Tuple(TupleForm::Small),
                    length: length.into(),
                });
            }
            code::SLICE if minor >= 14 => {
                return Ok(FrameKind::Sequence {
                    kind: SequenceKind::Slice,
                    length: 3,
                });
            }
            code::DICT => {
                return Ok(FrameKind::Mapping {
                    frozen: false,
                    ended: false,
                });
            }
            code::FROZEN_DICT if minor >= 15 => {
                return Ok(FrameKind::Mapping {
                    frozen: true,
                    ended: false,
                });
            }
            code::CODE => {
                return Ok(FrameKind::Code {
                    next: 0,
                    numbers: Vec::with_capacity(self.layout.numbers().count()),
                });
            }
            code::TUPLE => SequenceKind::Tuple(TupleForm::Large),
            code::LIST => SequenceKind::List,
            code::SET => SequenceKind::Set,
            code::FROZEN_SET => SequenceKind::FrozenSet,
            unknown => return Err(ReadErrorKind::UnknownCode(unknown)),
        };
        let length = self.read_length()?;
        Ok(FrameKind::Sequence { kind, length })
    }

    /// Opens a container. Its reference number, if it has one, comes before those of its items.
    fn open(&mut self, kind: FrameKind, offset: u32, flagged: bool) -> Step<()> {
        if self.frames.len() >= MAX_DEPTH {
            return Err(ReadErrorKind::TooDeep);
        }
        let reference = flagged.then_some(self.references.len());
        if flagged {
            self.references.push(None);
        }
        self.frames.push(Frame {
            kind,
            offset,
            reference,
            first_value: self.values.len(),
        });
        Ok(())
    }

    /// Marks the end of the innermost container, which must be a mapping with whole pairs.
    fn end_mapping(&mut self) -> Step<()> {
        let items = self.values.len();
        match self.frames.last_mut() {
            Some(Frame {
                kind: FrameKind::Mapping { ended, .. },
                first_value,
                ..
            }) if (items - *first_value).is_multiple_of(2) => {
                *ended = true;
                Ok(())
            }
            _ => Err(ReadErrorKind::UnknownCode(code::NULL)),
        }
    }

    /// Makes the innermost container an object if it has all its items. `Ok(false)` if it lacks
    /// some or none is open.
    fn close_innermost(&mut self) -> Step<bool> {
        let Some(mut frame) = self.frames.pop() else {
            return Ok(false);
        };
        if !self.is_complete(&mut frame)? {
            self.frames.push(frame);
            return Ok(false);
        }
        let items = self.values.split_off(frame.first_value);
        let value = match frame.kind {
            FrameKind::Sequence { kind, .. } => match kind {
                SequenceKind::Tuple(form) => Value::Tuple { form, items },
                SequenceKind::List => Value::List(items),
                SequenceKind::Set => Value::Set(items),
                SequenceKind::FrozenSet => Value::FrozenSet(items),
                SequenceKind::Slice => match *items.as_slice() {
                    [start, stop, step] => Value::Slice([start, stop, step]),
                    _ => return Err(ReadErrorKind::BadField),
                },
            },
            FrameKind::Mapping { frozen: false, .. } => Value::Dict(items),
            FrameKind::Mapping { frozen: true, .. } => Value::FrozenDict(items),
            FrameKind::Code { numbers, .. } => {
                let code = Code::from_slots(self.layout, numbers, items)
                    .filter(|code| self.has_field_types(code))
                    .ok_or(ReadErrorKind::BadField)?;
                Value::Code(Box::new(code))
            }
        };
        let id = self.add(value, frame.reference.is_some(), frame.offset)?;
        if let Some(number) = frame.reference
            && let Some(reference) = self.references.get_mut(number)
        {
            *reference = Some(id);
        }
        self.values.push(id);
        Ok(true)
    }

    /// Whether a container has all its items. Reads the numbers that a code object has between
    /// its last field and the next.
    fn is_complete(&mut self, frame: &mut Frame) -> Step<bool> {
        let items = self.values.len() - frame.first_value;
        match &mut frame.kind {
            FrameKind::Sequence { length, .. } => Ok(items == *length),
            FrameKind::Mapping { ended, .. } => Ok(*ended),
            FrameKind::Code { next, numbers } => {
                while let Some(slot) = self.layout.slots().get(*next) {
                    match slot {
                        Slot::Number(_) => numbers.push(i32::from_le_bytes(self.take()?)),
                        Slot::Field(_) if *next - numbers.len() < items => {}
                        Slot::Field(_) => return Ok(false),
                    }
                    *next += 1;
                }
                Ok(true)
            }
        }
    }

    /// Whether each field has a type that CPython accepts there.
    fn has_field_types(&self, code: &Code) -> bool {
        let is_text = |id: &Id| matches!(self.graph.value(*id), Some(Value::Text(_)));
        code.fields().all(|(field, id)| match field.shape() {
            FieldShape::Bytes => matches!(self.graph.value(id), Some(Value::Bytes(_))),
            FieldShape::Tuple => matches!(self.graph.value(id), Some(Value::Tuple { .. })),
            FieldShape::Text => is_text(&id),
            FieldShape::Names => match self.graph.value(id) {
                Some(Value::Tuple { items, .. }) => items.iter().all(is_text),
                _ => false,
            },
        })
    }

    fn read_reference(&mut self) -> Step<Item> {
        let number = u32::from_le_bytes(self.take()?);
        match self.references.get(number as usize) {
            Some(Some(id)) => Ok(Item::Complete(*id)),
            Some(None) | None => Err(ReadErrorKind::BadReference(number)),
        }
    }

    fn read_long(&mut self) -> Step<Value<'a>> {
        let count = i32::from_le_bytes(self.take()?);
        let length = (count.unsigned_abs() as usize)
            .checked_mul(2)
            .ok_or(ReadErrorKind::BadLength(count))?;
        let digits = self.take_slice(length)?;
        let (pairs, _) = digits.as_chunks::<2>();
        let digits_fit = pairs.iter().all(|[_, high]| high & 0x80 == 0);
        if !digits_fit || pairs.last() == Some(&[0, 0]) {
            return Err(ReadErrorKind::BadInt);
        }
        Ok(Value::Long {
            negative: count < 0,
            digits: Cow::Borrowed(digits),
        })
    }

    fn read_text(&mut self, form: TextForm, interned: bool) -> Step<Value<'a>> {
        let length = match form {
            TextForm::ShortAscii => {
                let [length] = self.take()?;
                length.into()
            }
            TextForm::Ascii | TextForm::Unicode => self.read_length()?,
        };
        let bytes = self.take_slice(length)?;
        Text::with_form(bytes, form, interned)
            .map(Value::Text)
            .ok_or(ReadErrorKind::BadText)
    }

    /// A length in four bytes. One that is over what is left of the data is refused here: each
    /// item and each byte takes at least one byte.
    fn read_length(&mut self) -> Step<usize> {
        let length = i32::from_le_bytes(self.take()?);
        let length = usize::try_from(length).map_err(|_| ReadErrorKind::BadLength(length))?;
        if length > self.data.len() - self.position {
            return Err(ReadErrorKind::Truncated);
        }
        Ok(length)
    }

    fn add(&mut self, value: Value<'a>, flagged: bool, offset: u32) -> Step<Id> {
        self.graph
            .push_read(value, flagged, offset)
            .map_err(|_| ReadErrorKind::TooLarge)
    }

    fn take<const N: usize>(&mut self) -> Step<[u8; N]> {
        let rest = self.data.get(self.position..).unwrap_or_default();
        let bytes = rest.first_chunk().ok_or(ReadErrorKind::Truncated)?;
        self.position += N;
        Ok(*bytes)
    }

    fn take_slice(&mut self, length: usize) -> Step<&'a [u8]> {
        let end = self.position.checked_add(length);
        let bytes = end
            .and_then(|end| self.data.get(self.position..end))
            .ok_or(ReadErrorKind::Truncated)?;
        self.position += length;
        Ok(bytes)
    }
}
