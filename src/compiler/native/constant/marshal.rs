//! Marshal, versions 4 and 5: writes a code object with CPython's back references.
//!
//! An object is flagged, and gets a number, when CPython would see more than one reference to it:
//! two owners among the written objects, or an owner outside of them (interned strings, small
//! integers, empty tuples, short bytes).

use num_bigint::Sign;

use super::heap::{CodeObject, Heap, Object, ObjectId};
use crate::compiler::native::ast::Pool;
use crate::compiler::native::error::{Pass, Stop};

const FLAG_REF: u8 = 0x80;
/// CPython's limit of nested objects.
const MAX_DEPTH: usize = 2000;

/// Marshalled code with a hole for the record of the file name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marshalled {
    /// The bytes without that record.
    pub bytes: Vec<u8>,
    /// Where the record belongs.
    pub hole: usize,
}

impl Marshalled {
    /// The whole value, for a file name. The record is that of an interned string with `FLAG_REF`.
    pub fn with_filename(&self, name: &[u8]) -> Vec<u8> {
        let (before, after) = self.bytes.split_at_checked(self.hole).unwrap_or((&[], &[]));
        let mut all = Vec::with_capacity(self.bytes.len() + name.len() + 5);
        all.extend_from_slice(before);
        write_text(&mut all, name, true, FLAG_REF);
        all.extend_from_slice(after);
        all
    }
}

/// Marshals the code object `root`.
pub fn marshal(heap: &Heap, pool: &Pool, root: ObjectId) -> Pass<Marshalled> {
    let owners = count_owners(heap, root);
    let mut writer = Writer {
        heap,
        pool,
        owners,
        numbers: vec![UNSEEN; heap.objects().len()],
        count: 0,
        filename: UNSEEN,
        hole: 0,
        depth: 0,
        root,
        out: Vec::with_capacity(4096 + pool.size() + heap.size()),
    };
    writer.object(root)?;
    Ok(Marshalled {
        bytes: writer.out,
        hole: writer.hole,
    })
}

const UNSEEN: u32 = u32::MAX;

/// How many owners each object has among the objects that `root` reaches.
fn count_owners(heap: &Heap, root: ObjectId) -> Vec<u32> {
    let mut owners = vec![0u32; heap.objects().len()];
    let mut todo = vec![root];
    while let Some(id) = todo.pop() {
        let Some(count) = owners.get_mut(id.index()) else {
            continue;
        };
        *count += 1;
        if *count > 1 {
            continue;
        }
        match heap.get(id) {
            Object::Tuple(items) | Object::FrozenSet(items) | Object::Slice(items) => {
                todo.extend_from_slice(heap.items(*items));
            }
            Object::Code(code) => {
                let code = heap.code_object(*code);
                todo.extend([
                    code.consts,
                    code.names,
                    code.localsplusnames,
                    code.localspluskinds,
                    code.name,
                    code.qualname,
                    code.linetable,
                    code.exceptiontable,
                ]);
            }
            Object::None
            | Object::Ellipsis
            | Object::Bool(_)
            | Object::Int(_)
            | Object::Big(_)
            | Object::Float(_)
            | Object::Complex(_)
            | Object::Str { .. }
            | Object::Bytes(_)
            | Object::OwnBytes(_) => {}
        }
    }
    owners
}

struct Writer<'a> {
    heap: &'a Heap,
    pool: &'a Pool,
    owners: Vec<u32>,
    /// The number of each flagged object that was written.
    numbers: Vec<u32>,
    count: u32,
    filename: u32,
    hole: usize,
    depth: usize,
    root: ObjectId,
    out: Vec<u8>,
}

fn write_size(out: &mut Vec<u8>, size: usize) {
    out.extend_from_slice(&(size as u32).to_le_bytes());
}

fn write_text(out: &mut Vec<u8>, text: &[u8], interned: bool, flag: u8) {
    let ascii = text.is_ascii();
    let short = ascii && text.len() < 256;
    let kind = match (ascii, short, interned) {
        (_, true, true) => b'Z',
        (_, true, false) => b'z',
        (true, false, true) => b'A',
        (true, false, false) => b'a',
        (false, _, true) => b't',
        (false, _, false) => b'u',
    };
    out.push(kind | flag);
    if short {
        out.push(text.len() as u8);
    } else {
        write_size(out, text.len());
    }
    out.extend_from_slice(text);
}

impl Writer<'_> {
    fn owned_elsewhere(&self, id: ObjectId, object: &Object) -> bool {
        match object {
            Object::Int(value) => (-5..=256).contains(value),
            Object::Str { interned, .. } => *interned,
            Object::Bytes(bytes) => self.pool.bytes(*bytes).len() <= 1,
            Object::Tuple(items) => items.is_empty(),
            Object::Code(_) => id == self.root,
            Object::None
            | Object::Ellipsis
            | Object::Bool(_)
            | Object::Big(_)
            | Object::Float(_)
            | Object::Complex(_)
            | Object::OwnBytes(_)
            | Object::FrozenSet(_)
            | Object::Slice(_) => false,
        }
    }

    #[inline]
    fn object(&mut self, id: ObjectId) -> Pass<()> {
        // What has a number was written and has several owners.
        if let Some(&number) = self.numbers.get(id.index())
            && number != UNSEEN
            && self.depth < MAX_DEPTH
        {
            let [one, two, three, four] = number.to_le_bytes();
            self.out.extend_from_slice(&[b'r', one, two, three, four]);
            return Ok(());
        }
        self.shared_object(id, false)
    }

    /// Writes an object; `held`: the writer itself holds a reference, so it counts as shared.
    fn shared_object(&mut self, id: ObjectId, held: bool) -> Pass<()> {
        let heap = self.heap;
        let object = heap.get(id);
        match object {
            Object::None => {
                self.out.push(b'N');
                return Ok(());
            }
            Object::Ellipsis => {
                self.out.push(b'.');
                return Ok(());
            }
            Object::Bool(value) => {
                self.out.push(if *value { b'T' } else { b'F' });
                return Ok(());
            }
            _ => {}
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Stop::unsure("constants are nested too deep for marshal"));
        }
        let owners = self.owners.get(id.index()).copied().unwrap_or(0);
        let mut flag = 0;
        if held || owners > 1 || self.owned_elsewhere(id, object) {
            match self.numbers.get_mut(id.index()) {
                Some(number) if *number != UNSEEN => {
                    let number = *number;
                    self.out.push(b'r');
                    write_size(&mut self.out, number as usize);
                    self.depth -= 1;
                    return Ok(());
                }
                Some(number) => *number = self.count,
                None => {}
            }
            self.count += 1;
            flag = FLAG_REF;
        }
        self.content(object, flag)?;
        self.depth -= 1;
        Ok(())
    }

    fn content(&mut self, object: &Object, flag: u8) -> Pass<()> {
        let heap = self.heap;
        match object {
            Object::None | Object::Ellipsis | Object::Bool(_) => {}
            Object::Int(value) => {
                if let Ok(small) = i32::try_from(*value) {
                    self.out.push(b'i' | flag);
                    self.out.extend_from_slice(&small.to_le_bytes());
                } else {
                    let magnitude = value.unsigned_abs();
                    let digits = (0..5).map(|at| (magnitude >> (15 * at)) as u16 & 0x7fff);
                    self.long(*value < 0, digits.collect(), flag);
                }
            }
            Object::Big(id) => {
                let value = self.pool.big(*id);
                let bytes = value.magnitude().to_bytes_le();
                self.long(value.sign() == Sign::Minus, digits_of(&bytes), flag);
            }
            Object::Float(bits) => {
                self.out.push(b'g' | flag);
                self.out.extend_from_slice(&bits.to_le_bytes());
            }
            Object::Complex(id) => {
                let (real, imag) = self.pool.complex(*id);
                self.out.push(b'y' | flag);
                self.out.extend_from_slice(&real.to_bits().to_le_bytes());
                self.out.extend_from_slice(&imag.to_bits().to_le_bytes());
            }
            Object::Str { text, interned } => {
                write_text(&mut self.out, self.pool.text(*text), *interned, flag);
            }
            Object::Bytes(id) => {
                let pool = self.pool;
                self.byte_string(pool.bytes(*id), flag);
            }
            Object::OwnBytes(content) => {
                self.byte_string(heap.blob(*content), flag);
            }
            Object::Tuple(items) => {
                let items = heap.items(*items);
                if items.len() < 256 {
                    self.out.push(b')' | flag);
                    self.out.push(items.len() as u8);
                } else {
                    self.out.push(b'(' | flag);
                    write_size(&mut self.out, items.len());
                }
                for &item in items {
                    self.object(item)?;
                }
            }
            Object::FrozenSet(items) => {
                let items = heap.items(*items);
                self.out.push(b'>' | flag);
                write_size(&mut self.out, items.len());
                let mut sorted = Vec::with_capacity(items.len());
                for &item in items {
                    sorted.push((self.alone(item)?, item));
                }
                sorted.sort();
                for (_, item) in sorted {
                    self.shared_object(item, true)?;
                }
            }
            Object::Slice(items) => {
                let items = heap.items(*items);
                self.out.push(b':' | flag);
                for &item in items {
                    self.object(item)?;
                }
            }
            Object::Code(code) => {
                self.code(heap.code_object(*code), flag)?;
            }
        }
        Ok(())
    }

    /// An element of a set marshalled for itself, by which sets are sorted.
    fn alone(&mut self, id: ObjectId) -> Pass<Vec<u8>> {
        let heap = self.heap;
        let object = heap.get(id);
        if !matches!(object, Object::Tuple(_) | Object::FrozenSet(_)) {
            let start = self.out.len();
            match object {
                Object::None => self.out.push(b'N'),
                Object::Ellipsis => self.out.push(b'.'),
                Object::Bool(value) => self.out.push(if *value { b'T' } else { b'F' }),
                _ => self.content(object, FLAG_REF)?,
            }
            return Ok(self.out.split_off(start));
        }
        let mut writer = Writer {
            heap: self.heap,
            pool: self.pool,
            owners: self.owners.clone(),
            numbers: vec![UNSEEN; self.numbers.len()],
            count: 0,
            filename: UNSEEN,
            hole: 0,
            depth: self.depth,
            root: self.root,
            out: Vec::new(),
        };
        writer.shared_object(id, true)?;
        Ok(writer.out)
    }

    fn byte_string(&mut self, content: &[u8], flag: u8) {
        self.out.push(b's' | flag);
        write_size(&mut self.out, content.len());
        self.out.extend_from_slice(content);
    }

    fn long(&mut self, negative: bool, mut digits: Vec<u16>, flag: u8) {
        while digits.last() == Some(&0) {
            digits.pop();
        }
        self.out.push(b'l' | flag);
        let count = digits.len() as i32;
        let signed = if negative { -count } else { count };
        self.out.extend_from_slice(&signed.to_le_bytes());
        for digit in digits {
            self.out.extend_from_slice(&digit.to_le_bytes());
        }
    }

    fn code(&mut self, code: &CodeObject, flag: u8) -> Pass<()> {
        self.out.push(b'c' | flag);
        for number in [
            code.argcount,
            code.posonlyargcount,
            code.kwonlyargcount,
            code.stacksize,
            code.flags,
        ] {
            self.out.extend_from_slice(&number.to_le_bytes());
        }
        // The code object keeps the bytes that marshal asks for, so they are always shared.
        self.count += 1;
        let heap = self.heap;
        self.byte_string(heap.blob(code.code), FLAG_REF);
        self.object(code.consts)?;
        self.object(code.names)?;
        self.object(code.localsplusnames)?;
        self.object(code.localspluskinds)?;
        if self.filename == UNSEEN {
            self.filename = self.count;
            self.count += 1;
            self.hole = self.out.len();
        } else {
            self.out.push(b'r');
            write_size(&mut self.out, self.filename as usize);
        }
        self.object(code.name)?;
        self.object(code.qualname)?;
        self.out.extend_from_slice(&code.firstlineno.to_le_bytes());
        self.object(code.linetable)?;
        self.object(code.exceptiontable)
    }
}

/// The 15-bit digits of little-endian bytes.
fn digits_of(bytes: &[u8]) -> Vec<u16> {
    let mut digits = Vec::with_capacity(bytes.len() * 8 / 15 + 1);
    let mut pending = 0u32;
    let mut bits = 0;
    for &byte in bytes {
        pending |= u32::from(byte) << bits;
        bits += 8;
        if bits >= 15 {
            digits.push(pending as u16 & 0x7fff);
            pending >>= 15;
            bits -= 15;
        }
    }
    digits.push(pending as u16);
    digits
}
