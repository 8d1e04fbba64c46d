//! A marshalled code object with the file name left out.
//!
//! Invariant: the bytes are one whole marshal value from which exactly one record, the root's
//! `co_filename`, was cut. Every nested code object refers back to that record, so putting one
//! record in makes the value whole for any file name (the same source in 20 trees is one entry).
//! Reference numbers stay right: the record that is put in carries FLAG_REF as the cut one did.

use super::marshal::{CodeField, Graph, Id, ReadError, Text, Value, read};
use super::target::Target;

/// Marshalled code with one hole where the `co_filename` record belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// The marshal value without the file name's record.
    bytes: Vec<u8>,
    /// Byte offset in `bytes` at which the record is put in.
    hole: usize,
    /// Whether the record carries FLAG_REF (it does whenever something refers back to it).
    flag_ref: bool,
    /// Whether the record is that of an interned string.
    interned: bool,
}

/// What a template is made of, to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The marshal value without the file name's record.
    pub bytes: &'a [u8],
    /// Byte offset in `bytes` at which the record is put in.
    pub hole: usize,
    /// Whether the record carries FLAG_REF.
    pub flag_ref: bool,
    /// Whether the record is that of an interned string.
    pub interned: bool,
}

/// The hole is not within the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a hole at byte {hole} of {length}")]
pub struct BadParts {
    /// The offset that was given.
    pub hole: usize,
    /// The length of the bytes.
    pub length: usize,
}

/// Marshal data that no template can be made of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CutError {
    /// It is no marshal value of the target.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// The value is not a code object.
    #[error("the marshal value is not a code object")]
    NotCode,
    /// The code's file name is not the one that it was said to be compiled with.
    #[error("the code was compiled with another file name")]
    OtherFileName,
    /// A nested code object has a file name record of its own.
    #[error("the file name stands more than once")]
    SeveralFileNames,
    /// Something that is no `co_filename` is the same object as the file name.
    #[error("the file name is also another value of the code")]
    SharedFileName,
    /// The file name's record is not at the template's hole.
    #[error("the hole is not where the file name belongs")]
    Misplaced,
}

impl Template {
    /// Cuts the file name out of a code object that was compiled with the file name `placeholder`
    /// (OS bytes, as [`Template::fill`] takes them).
    pub fn cut(target: Target, marshal: &[u8], placeholder: &[u8]) -> Result<Template, CutError> {
        let record = FileNameRecord::find(target, marshal)?;
        if record.text.bytes() != Text::of_file_name(placeholder, false).bytes() {
            return Err(CutError::OtherFileName);
        }
        let (before, rest) = marshal
            .split_at_checked(record.offset)
            .ok_or(CutError::Misplaced)?;
        let after = rest
            .get(record.text.record_len()..)
            .ok_or(CutError::Misplaced)?;
        Ok(Template {
            bytes: [before, after].concat(),
            hole: record.offset,
            flag_ref: record.flag_ref,
            interned: record.text.interned,
        })
    }

    /// The marshal value with the file name `filename` (OS bytes, decoded with UTF-8 and
    /// surrogateescape): what the compiler gives for that name. Not so for names of less than two
    /// characters, which no source has: CPython keeps one object for each of those strings, so
    /// that an equal constant would be a reference.
    pub fn fill(&self, filename: &[u8]) -> Vec<u8> {
        let text = Text::of_file_name(filename, self.interned);
        let mut whole = Vec::with_capacity(self.bytes.len() + text.record_len());
        let (before, after) = self
            .bytes
            .split_at_checked(self.hole)
            .unwrap_or((&self.bytes, &[]));
        whole.extend_from_slice(before);
        text.write_record(self.flag_ref, &mut whole);
        whole.extend_from_slice(after);
        whole
    }

    /// The length of what [`Template::fill`] gives, without making it.
    pub fn filled_len(&self, filename: &[u8]) -> usize {
        self.bytes.len() + Text::of_file_name(filename, self.interned).record_len()
    }

    /// What the template is made of.
    pub fn to_parts(&self) -> Parts<'_> {
        Parts {
            bytes: &self.bytes,
            hole: self.hole,
            flag_ref: self.flag_ref,
            interned: self.interned,
        }
    }

    /// A template from stored parts. Only the hole's place within the bytes is checked: parts that
    /// come from outside go through [`Template::verify`].
    pub fn from_parts(
        bytes: Vec<u8>,
        hole: usize,
        flag_ref: bool,
        interned: bool,
    ) -> Result<Template, BadParts> {
        if hole > bytes.len() {
            return Err(BadParts {
                hole,
                length: bytes.len(),
            });
        }
        Ok(Template {
            bytes,
            hole,
            flag_ref,
            interned,
        })
    }

    /// Checks that the template, filled, is a code object of `target` with its file name at the
    /// hole: all that [`Template::cut`] checks of a compiler's output.
    pub fn verify(&self, target: Target) -> Result<(), CutError> {
        let record = FileNameRecord::find(target, &self.fill(b"-"))?.offset;
        if record == self.hole {
            Ok(())
        } else {
            Err(CutError::Misplaced)
        }
    }
}

/// Where a code object's file name stands in its marshal data.
struct FileNameRecord {
    offset: usize,
    flag_ref: bool,
    text: Text<'static>,
}

impl FileNameRecord {
    /// Finds the one record that all code objects of the value use and nothing else.
    fn find(target: Target, marshal: &[u8]) -> Result<FileNameRecord, CutError> {
        let graph = read(target, marshal)?;
        let name = graph
            .root()
            .and_then(|root| graph.code(root))
            .ok_or(CutError::NotCode)?
            .field(CodeField::FileName)
            .ok_or(CutError::NotCode)?;
        check_uses(&graph, name)?;
        let offset = graph.record_offset(name).ok_or(CutError::Misplaced)?;
        match graph.get(name) {
            Some(object) => match &object.value {
                Value::Text(text) => Ok(FileNameRecord {
                    offset,
                    flag_ref: object.flag_ref,
                    text: text.clone().into_owned(),
                }),
                _ => Err(CutError::NotCode),
            },
            None => Err(CutError::NotCode),
        }
    }
}

/// Each code object's file name is the object `name`, and nothing else is.
fn check_uses(graph: &Graph<'_>, name: Id) -> Result<(), CutError> {
    for (_, object) in graph.iter() {
        if let Value::Code(code) = &object.value {
            for (field, id) in code.fields() {
                match (field == CodeField::FileName, id == name) {
                    (true, true) | (false, false) => {}
                    (true, false) => return Err(CutError::SeveralFileNames),
                    (false, true) => return Err(CutError::SharedFileName),
                }
            }
        } else if object.value.children().contains(&name) {
            return Err(CutError::SharedFileName);
        }
    }
    Ok(())
}
