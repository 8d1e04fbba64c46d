//! The values of a module: names, strings, bytes, big integers, complex numbers, tuples.
//!
//! Invariant: everything is interned, so two handles are equal exactly when the values are (same
//! type, same sign of zero, same NaN bits), and a [`Constant`] can be compared and hashed as a few
//! integers. Python's `1 == True == 1.0` plays no part here.

use super::table::{Table, hash_of};
use hashbrown::HashTable;
use num_bigint::BigInt;
use std::num::NonZeroU32;

/// An interned name or string. Equal symbols have equal text. The text is "generalized UTF-8", the
/// encoding marshal uses: UTF-8 in which a lone surrogate is its three bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sym(NonZeroU32);

/// The bit of names that begin as those do that classes mangle.
const PRIVATE: u32 = 1 << 31;

impl Sym {
    fn new(number: NonZeroU32, text: &[u8]) -> Sym {
        Sym(if text.starts_with(b"__") {
            number | PRIVATE
        } else {
            number
        })
    }

    /// Its place among those of the pool, from 0.
    pub fn index(self) -> usize {
        (self.0.get() & !PRIVATE) as usize - 1
    }

    /// Whether it begins with two underscores.
    pub fn is_private(self) -> bool {
        self.0.get() & PRIVATE != 0
    }
}

/// An interned bytes value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BytesId(NonZeroU32);

impl BytesId {
    /// Its place among those of the pool, from 0.
    pub fn index(self) -> usize {
        index(self.0)
    }
}

/// An interned integer that does not fit an `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BigId(NonZeroU32);

/// An interned complex number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComplexId(NonZeroU32);

/// An interned sequence of constants: the elements of a tuple or a frozenset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TupleId(NonZeroU32);

impl TupleId {
    /// Its place among those of the pool, from 0.
    pub fn index(self) -> usize {
        index(self.0)
    }
}

/// The value of a `Constant` node, or of a folded expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Constant {
    /// `None`
    None,
    /// `...`
    Ellipsis,
    /// `True`, `False`
    Bool(bool),
    /// An integer from -2**63 to 2**63-1.
    Int(i64),
    /// Any other integer.
    Big(BigId),
    /// The bits of a float.
    Float(u64),
    /// A complex number.
    Complex(ComplexId),
    /// A string.
    Str(Sym),
    /// A bytes literal.
    Bytes(BytesId),
    /// A tuple; made by folding.
    Tuple(TupleId),
    /// A frozenset, made by folding: elements in the order of the set display, without those that
    /// equal (as Python compares) an earlier one.
    FrozenSet(TupleId),
    /// A slice of three constants; made by 3.14's folding.
    Slice(TupleId),
}

impl Constant {
    /// The constant of a float.
    pub fn float(value: f64) -> Self {
        Constant::Float(value.to_bits())
    }
}

/// The interner. One for each compile.
#[derive(Debug, Default)]
pub struct Pool {
    /// How many bytes the source has; 0 if that is not known.
    source: usize,
    text: Spans,
    bytes: Spans,
    bigs: Vec<BigInt>,
    big_table: HashTable<u32>,
    complexes: Vec<(u64, u64)>,
    complex_table: HashTable<u32>,
    items: Vec<Constant>,
    tuples: Vec<(u32, u32)>,
    tuple_table: Table,
}

/// How many bytes of ordinary source have one new name or string.
const BYTES_PER_STRING: usize = 64;

/// How many bytes of ordinary source make one new tuple.
const BYTES_PER_TUPLE: usize = 192;

/// The handle's number for an index. Memory runs out long before 4 billion values; past them all
/// share the last number.
fn number(index: usize) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(u32::try_from(index).unwrap_or(u32::MAX))
}

fn index(number: NonZeroU32) -> usize {
    number.get() as usize - 1
}

/// Byte strings, one after another in one buffer.
#[derive(Debug, Default)]
struct Spans {
    buffer: Vec<u8>,
    /// Where each string ends; it starts where the one before ends.
    ends: Vec<usize>,
    table: Table,
}

/// The hash of a text. Those of up to 16 bytes, which most are, are two words.
fn hash_of_text(text: &[u8]) -> u32 {
    let (first, last) = match *text {
        [] => (0, 0),
        [only] => (u64::from(only), 0),
        [first, second] => (u64::from(first), u64::from(second)),
        [first, second, third] => (u64::from(first) << 8 | u64::from(second), u64::from(third)),
        _ => match (text.first_chunk(), text.last_chunk()) {
            (Some(first), Some(last)) if text.len() <= 16 => {
                (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
            }
            _ => match (text.first_chunk(), text.last_chunk()) {
                (Some(first), Some(last)) if text.len() < 8 => (
                    u64::from(u32::from_le_bytes(*first)),
                    u64::from(u32::from_le_bytes(*last)),
                ),
                _ => return hash_of(text) as u32,
            },
        },
    };
    // Digits of pi.
    let first = first ^ 0x243f_6a88_85a3_08d3 ^ text.len() as u64;
    let last = last ^ 0x1319_8a2e_0370_7344;
    let product = u128::from(first) * u128::from(last);
    (product as u64 ^ (product >> 64) as u64) as u32
}

/// The hash of constants in a row, most of which are names.
fn hash_of_items(items: &[Constant]) -> u32 {
    // The golden ratio's digits.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let hash = items.iter().fold(items.len() as u64, |hash, item| {
        let word = match *item {
            Constant::Str(text) => u64::from(text.0.get()),
            other => hash_of(&other),
        };
        (hash.rotate_left(5) ^ word).wrapping_mul(FACTOR)
    });
    (hash >> 32) as u32
}

/// As `==`, without a call for short texts.
fn is_same_text(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    if let (Some(first), Some(last)) = (one.first_chunk::<8>(), one.last_chunk::<8>())
        && one.len() <= 16
    {
        return other.first_chunk() == Some(first) && other.last_chunk() == Some(last);
    }
    if let (Some(first), Some(last)) = (one.first_chunk::<4>(), one.last_chunk::<4>())
        && one.len() < 8
    {
        return other.first_chunk() == Some(first) && other.last_chunk() == Some(last);
    }
    one == other
}

impl Spans {
    fn get(&self, at: usize) -> &[u8] {
        let start = match at.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or(0),
            None => 0,
        };
        let end = self.ends.get(at).copied().unwrap_or(start);
        self.buffer.get(start..end).unwrap_or(&[])
    }

    fn find_hashed(&self, hash: u32, value: &[u8]) -> Option<NonZeroU32> {
        let is_same = |at| is_same_text(self.get(at), value);
        self.table.find(hash, is_same).map(number)
    }

    fn find(&self, value: &[u8]) -> Option<NonZeroU32> {
        self.find_hashed(hash_of_text(value), value)
    }

    fn intern(&mut self, value: &[u8]) -> NonZeroU32 {
        let hash = hash_of_text(value);
        if let Some(known) = self.find_hashed(hash, value) {
            return known;
        }
        let at = self.ends.len();
        self.buffer.extend_from_slice(value);
        self.ends.push(self.buffer.len());
        self.table.insert(hash, at);
        number(at)
    }
}

impl Pool {
    /// An empty pool.
    pub fn new() -> Self {
        Pool::default()
    }

    /// An empty pool with room for what a source of so many bytes mostly has.
    pub fn for_source(len: usize) -> Self {
        let mut pool = Pool {
            source: len,
            ..Pool::default()
        };
        let strings = len / BYTES_PER_STRING;
        pool.text.buffer.reserve(len / 2);
        pool.text.ends.reserve(strings);
        pool.text.table = Table::with_capacity(strings);
        let tuples = len / BYTES_PER_TUPLE;
        pool.items.reserve(4 * tuples);
        pool.tuples.reserve(tuples);
        pool.tuple_table = Table::with_capacity(tuples);
        pool.bytes.buffer.reserve(len / 4);
        pool.bytes.ends.reserve(tuples);
        pool
    }

    /// How many bytes the source has; 0 if that is not known.
    pub fn source_size(&self) -> usize {
        self.source
    }

    /// How many texts there are.
    pub fn text_count(&self) -> usize {
        self.text.ends.len()
    }

    /// The bytes of all texts and bytes values.
    pub fn size(&self) -> usize {
        self.text.buffer.len() + self.bytes.buffer.len()
    }

    /// The symbol of a text.
    pub fn sym(&mut self, text: &str) -> Sym {
        self.sym_bytes(text.as_bytes())
    }

    /// The symbol of a text that may hold lone surrogates as three bytes each.
    pub fn sym_bytes(&mut self, text: &[u8]) -> Sym {
        Sym::new(self.text.intern(text), text)
    }

    /// The symbol of a text, if it was interned before.
    pub fn find_sym(&self, text: &str) -> Option<Sym> {
        let text = text.as_bytes();
        let number = self.text.find(text)?;
        Some(Sym::new(number, text))
    }

    /// The bytes of a symbol's text.
    pub fn text(&self, sym: Sym) -> &[u8] {
        self.text.get(sym.index())
    }

    /// The text of a symbol; `None` when it holds a lone surrogate. Identifiers always have one.
    pub fn str(&self, sym: Sym) -> Option<&str> {
        std::str::from_utf8(self.text(sym)).ok()
    }

    /// Interns a bytes value.
    pub fn intern_bytes(&mut self, value: &[u8]) -> BytesId {
        BytesId(self.bytes.intern(value))
    }

    /// The content of a bytes value.
    pub fn bytes(&self, id: BytesId) -> &[u8] {
        self.bytes.get(index(id.0))
    }

    /// The constant of an integer: small where it fits, interned else.
    pub fn int(&mut self, value: BigInt) -> Constant {
        if let Ok(small) = i64::try_from(&value) {
            return Constant::Int(small);
        }
        let hash = hash_of(&value);
        let bigs = &self.bigs;
        let same = |&at: &u32| bigs.get(at as usize) == Some(&value);
        if let Some(&at) = self.big_table.find(hash, same) {
            return Constant::Big(BigId(number(at as usize)));
        }
        let at = self.bigs.len();
        self.bigs.push(value);
        let bigs = &self.bigs;
        self.big_table
            .insert_unique(hash, u32::try_from(at).unwrap_or(u32::MAX), |&at| {
                bigs.get(at as usize).map_or(0, hash_of)
            });
        Constant::Big(BigId(number(at)))
    }

    /// The value of a big integer.
    pub fn big(&self, id: BigId) -> &BigInt {
        const ZERO: &BigInt = &BigInt::ZERO;
        self.bigs.get(index(id.0)).unwrap_or(ZERO)
    }

    /// The constant of a complex number.
    pub fn complex_constant(&mut self, real: f64, imag: f64) -> Constant {
        let value = (real.to_bits(), imag.to_bits());
        let hash = hash_of(&value);
        let complexes = &self.complexes;
        let same = |&at: &u32| complexes.get(at as usize) == Some(&value);
        if let Some(&at) = self.complex_table.find(hash, same) {
            return Constant::Complex(ComplexId(number(at as usize)));
        }
        let at = self.complexes.len();
        self.complexes.push(value);
        let complexes = &self.complexes;
        self.complex_table
            .insert_unique(hash, u32::try_from(at).unwrap_or(u32::MAX), |&at| {
                complexes.get(at as usize).map_or(0, hash_of)
            });
        Constant::Complex(ComplexId(number(at)))
    }

    /// The real and the imaginary part.
    pub fn complex(&self, id: ComplexId) -> (f64, f64) {
        let (real, imag) = self.complexes.get(index(id.0)).copied().unwrap_or((0, 0));
        (f64::from_bits(real), f64::from_bits(imag))
    }

    /// Interns the elements of a tuple or frozenset.
    pub fn intern_tuple(&mut self, items: &[Constant]) -> TupleId {
        let hash = hash_of_items(items);
        let is_same = |at| self.items_at(at) == items;
        if let Some(at) = self.tuple_table.find(hash, is_same) {
            return TupleId(number(at));
        }
        let at = self.tuples.len();
        let start = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        let len = u32::try_from(items.len()).unwrap_or(u32::MAX);
        self.items.extend_from_slice(items);
        self.tuples.push((start, len));
        self.tuple_table.insert(hash, at);
        TupleId(number(at))
    }

    /// The constant of a tuple.
    pub fn tuple_constant(&mut self, items: &[Constant]) -> Constant {
        Constant::Tuple(self.intern_tuple(items))
    }

    /// The elements of a tuple or frozenset.
    pub fn tuple(&self, id: TupleId) -> &[Constant] {
        self.items_at(index(id.0))
    }

    fn items_at(&self, at: usize) -> &[Constant] {
        slice_of(&self.tuples, &self.items, at)
    }
}

fn slice_of<'a>(tuples: &[(u32, u32)], items: &'a [Constant], at: usize) -> &'a [Constant] {
    let (start, len) = tuples.get(at).copied().unwrap_or((0, 0));
    let start = start as usize;
    items.get(start..start + len as usize).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_one_handle_and_different_ones_do_not() {
        let mut pool = Pool::new();
        let spam = pool.sym("spam");
        let empty = pool.sym("");
        assert_ne!(spam, empty);
        assert_eq!(pool.sym("spam"), spam);
        assert_eq!(pool.text(spam), b"spam");
        assert_eq!(pool.text(empty), b"");
        assert_eq!(pool.find_sym("eggs"), None);
        for turn in 0..2 {
            for n in 0..2000 {
                let text = format!("name{n}");
                if turn == 1 {
                    assert!(pool.find_sym(&text).is_some());
                }
                let sym = pool.sym(&text);
                assert_eq!(pool.text(sym), text.as_bytes());
            }
        }
        let big: BigInt = BigInt::from(i64::MAX) + 1;
        assert_eq!(pool.int(big.clone()), pool.int(big));
        assert_eq!(pool.int(BigInt::from(7)), Constant::Int(7));
        assert_ne!(Constant::float(0.0), Constant::float(-0.0));
        assert_ne!(
            pool.complex_constant(0.0, 1.0),
            pool.complex_constant(-0.0, 1.0)
        );
        let pair = [Constant::Int(1), Constant::Bool(true)];
        assert_eq!(pool.tuple_constant(&pair), pool.tuple_constant(&pair));
        assert_ne!(pool.tuple_constant(&pair), pool.tuple_constant(&[]));
    }
}
