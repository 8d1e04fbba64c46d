//! Opcodes: one enum for every version, a generated table for each, and the properties that all
//! versions share.

mod class;
mod effect;
mod linear;
mod popped;
mod table;

pub use class::Kinds;
pub use table::Op;

/// How one version encodes an opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The byte in `co_code`; `None` for a pseudo instruction and for one that the version lacks.
    pub number: Option<u8>,
    /// How many two-byte inline cache units follow.
    pub caches: u8,
}

impl Row {
    const fn new(number: u8, caches: u8) -> Row {
        Row {
            number: Some(number),
            caches,
        }
    }
}

const ABSENT: Row = Row {
    number: None,
    caches: 0,
};

/// The encodings of one version.
#[derive(Debug)]
pub struct OpcodeTable {
    /// By the opcode, which is one byte.
    rows: [Row; 256],
}

/// CPython 3.13.
pub static V313: OpcodeTable = OpcodeTable::new(&table::V313);

/// CPython 3.14.
pub static V314: OpcodeTable = OpcodeTable::new(&table::V314);

impl OpcodeTable {
    #[allow(clippy::indexing_slicing)] // Only while the program is built.
    const fn new(known: &[Row]) -> OpcodeTable {
        let mut rows = [ABSENT; 256];
        let mut at = 0;
        while at < known.len() {
            rows[at] = known[at];
            at += 1;
        }
        OpcodeTable { rows }
    }

    /// The encoding of an opcode.
    #[allow(clippy::indexing_slicing)] // An opcode is one byte.
    pub fn row(&self, op: Op) -> Row {
        self.rows[op as u8 as usize]
    }
}

impl Op {
    /// Each instruction of any covered version.
    pub fn all() -> impl Iterator<Item = Op> {
        table::ALL.iter().copied()
    }

    /// CPython's name of the opcode.
    pub fn name(self) -> &'static str {
        table::NAMES.get(self as usize).copied().unwrap_or("?")
    }
}
