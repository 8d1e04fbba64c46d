//! The fields of a marshalled code object, in the order in which each version writes them.

use crate::pyc::Target;

/// A field of a code object that is a plain number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CodeNumber {
    /// `co_argcount`.
    ArgCount,
    /// `co_posonlyargcount`, from 3.8.
    PosOnlyArgCount,
    /// `co_kwonlyargcount`.
    KwOnlyArgCount,
    /// `co_nlocals`, up to 3.10.
    NLocals,
    /// `co_stacksize`.
    StackSize,
    /// `co_flags`.
    Flags,
    /// `co_firstlineno`, 1-based.
    FirstLineNo,
}

/// A field of a code object that is a marshal value of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CodeField {
    /// `co_code`, bytes.
    Code,
    /// `co_consts`, a tuple.
    Consts,
    /// `co_names`, a tuple of strings.
    Names,
    /// `co_varnames`, a tuple of strings, up to 3.10.
    VarNames,
    /// `co_freevars`, a tuple of strings, up to 3.10.
    FreeVars,
    /// `co_cellvars`, a tuple of strings, up to 3.10.
    CellVars,
    /// `co_localsplusnames`, a tuple of strings, from 3.11.
    LocalsPlusNames,
    /// `co_localspluskinds`, bytes, from 3.11.
    LocalsPlusKinds,
    /// `co_filename`, a string.
    FileName,
    /// `co_name`, a string.
    Name,
    /// `co_qualname`, a string, from 3.11.
    QualName,
    /// `co_lnotab` up to 3.9, `co_linetable` from 3.10, bytes.
    LineTable,
    /// `co_exceptiontable`, bytes, from 3.11.
    ExceptionTable,
}

/// What kind of value a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldShape {
    Bytes,
    Tuple,
    Names,
    Text,
}

impl CodeNumber {
    /// The attribute's name in Python.
    pub fn attribute(self) -> &'static str {
        match self {
            CodeNumber::ArgCount => "co_argcount",
            CodeNumber::PosOnlyArgCount => "co_posonlyargcount",
            CodeNumber::KwOnlyArgCount => "co_kwonlyargcount",
            CodeNumber::NLocals => "co_nlocals",
            CodeNumber::StackSize => "co_stacksize",
            CodeNumber::Flags => "co_flags",
            CodeNumber::FirstLineNo => "co_firstlineno",
        }
    }
}

impl CodeField {
    /// The attribute's name in Python (for the line table the newer one).
    pub fn attribute(self) -> &'static str {
        match self {
            CodeField::Code => "co_code",
            CodeField::Consts => "co_consts",
            CodeField::Names => "co_names",
            CodeField::VarNames => "co_varnames",
            CodeField::FreeVars => "co_freevars",
            CodeField::CellVars => "co_cellvars",
            CodeField::LocalsPlusNames => "co_localsplusnames",
            CodeField::LocalsPlusKinds => "co_localspluskinds",
            CodeField::FileName => "co_filename",
            CodeField::Name => "co_name",
            CodeField::QualName => "co_qualname",
            CodeField::LineTable => "co_linetable",
            CodeField::ExceptionTable => "co_exceptiontable",
        }
    }

    pub(super) fn shape(self) -> FieldShape {
        match self {
            CodeField::Code
            | CodeField::LocalsPlusKinds
            | CodeField::LineTable
            | CodeField::ExceptionTable => FieldShape::Bytes,
            CodeField::Consts => FieldShape::Tuple,
            CodeField::Names
            | CodeField::VarNames
            | CodeField::FreeVars
            | CodeField::CellVars
            | CodeField::LocalsPlusNames => FieldShape::Names,
            CodeField::FileName | CodeField::Name | CodeField::QualName => FieldShape::Text,
        }
    }
}

/// One place in a code object's record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// Four bytes, little endian.
    Number(CodeNumber),
    /// A value with its own type byte.
    Field(CodeField),
}

/// The slots of a code object, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout(&'static [Slot]);

impl Layout {
    /// The layout that `target` reads and writes.
    pub fn of(target: Target) -> Layout {
        match target.minor() {
            ..=7 => Layout(&BEFORE_3_8),
            8..=10 => Layout(&FROM_3_8),
            11.. => Layout(&FROM_3_11),
        }
    }

    /// The slots in the order in which they are written.
    pub fn slots(self) -> &'static [Slot] {
        self.0
    }

    /// The value fields in the order in which they are written.
    pub fn fields(self) -> impl Iterator<Item = CodeField> {
        self.0.iter().filter_map(|slot| match slot {
            Slot::Field(field) => Some(*field),
            Slot::Number(_) => None,
        })
    }

    /// The numbers in the order in which they are written.
    pub fn numbers(self) -> impl Iterator<Item = CodeNumber> {
        self.0.iter().filter_map(|slot| match slot {
            Slot::Number(number) => Some(*number),
            Slot::Field(_) => None,
        })
    }
}

const BEFORE_3_8: [Slot; 15] = [
    Slot::Number(CodeNumber::ArgCount),
    Slot::Number(CodeNumber::KwOnlyArgCount),
    Slot::Number(CodeNumber::NLocals),
    Slot::Number(CodeNumber::StackSize),
    Slot::Number(CodeNumber::Flags),
    Slot::Field(CodeField::Code),
    Slot::Field(CodeField::Consts),
    Slot::Field(CodeField::Names),
    Slot::Field(CodeField::VarNames),
    Slot::Field(CodeField::FreeVars),
    Slot::Field(CodeField::CellVars),
    Slot::Field(CodeField::FileName),
    Slot::Field(CodeField::Name),
    Slot::Number(CodeNumber::FirstLineNo),
    Slot::Field(CodeField::LineTable),
];

const FROM_3_8: [Slot; 16] = [
    Slot::Number(CodeNumber::ArgCount),
    Slot::Number(CodeNumber::PosOnlyArgCount),
    Slot::Number(CodeNumber::KwOnlyArgCount),
    Slot::Number(CodeNumber::NLocals),
    Slot::Number(CodeNumber::StackSize),
    Slot::Number(CodeNumber::Flags),
    Slot::Field(CodeField::Code),
    Slot::Field(CodeField::Consts),
    Slot::Field(CodeField::Names),
    Slot::Field(CodeField::VarNames),
    Slot::Field(CodeField::FreeVars),
    Slot::Field(CodeField::CellVars),
    Slot::Field(CodeField::FileName),
    Slot::Field(CodeField::Name),
    Slot::Number(CodeNumber::FirstLineNo),
    Slot::Field(CodeField::LineTable),
];

const FROM_3_11: [Slot; 16] = [
    Slot::Number(CodeNumber::ArgCount),
    Slot::Number(CodeNumber::PosOnlyArgCount),
    Slot::Number(CodeNumber::KwOnlyArgCount),
    Slot::Number(CodeNumber::StackSize),
    Slot::Number(CodeNumber::Flags),
    Slot::Field(CodeField::Code),
    Slot::Field(CodeField::Consts),
    Slot::Field(CodeField::Names),
    Slot::Field(CodeField::LocalsPlusNames),
    Slot::Field(CodeField::LocalsPlusKinds),
    Slot::Field(CodeField::FileName),
    Slot::Field(CodeField::Name),
    Slot::Field(CodeField::QualName),
    Slot::Number(CodeNumber::FirstLineNo),
    Slot::Field(CodeField::LineTable),
    Slot::Field(CodeField::ExceptionTable),
];
