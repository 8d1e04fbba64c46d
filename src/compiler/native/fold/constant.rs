//! Operators on constants of any kind, within the size limits of CPython's folding.

use super::number::{self, Number};
use crate::compiler::native::ast::{Constant, Operator, Pool, TupleId, UnaryOp};

/// The most elements of a tuple that repeating may make.
const MAX_TUPLE_ITEMS: usize = 256;
/// The most elements with those of nested tuples.
const MAX_TOTAL_ITEMS: usize = 1024;
/// The most characters of a string, or bytes, that repeating may make.
const MAX_TEXT_LEN: usize = 4096;

/// What becomes of an operation on constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folded {
    /// Its value.
    Value(Constant),
    /// It raises, or is too large: it stays as it is.
    Not,
    /// It is not known here what CPython computes.
    Unsure(&'static str),
}

/// How versions differ.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Real and complex operands are combined without making the real one complex (3.14).
    pub mixed_complex: bool,
}

/// `left op right`.
pub fn binary(
    pool: &mut Pool,
    op: Operator,
    left: Constant,
    right: Constant,
    rules: Rules,
) -> Folded {
    if let (Some(a), Some(b)) = (Number::of(pool, left), Number::of(pool, right)) {
        if let (Constant::Bool(a), Constant::Bool(b)) = (left, right) {
            match op {
                Operator::BitAnd => return Folded::Value(Constant::Bool(a & b)),
                Operator::BitOr => return Folded::Value(Constant::Bool(a | b)),
                Operator::BitXor => return Folded::Value(Constant::Bool(a ^ b)),
                _ => {}
            }
        }
        return number::binary(pool, op, &a, &b, rules.mixed_complex);
    }
    match (op, left, right) {
        (Operator::Add, Constant::Str(a), Constant::Str(b)) => {
            let text = [pool.text(a), pool.text(b)].concat();
            Folded::Value(Constant::Str(pool.sym_bytes(&text)))
        }
        (Operator::Add, Constant::Bytes(a), Constant::Bytes(b)) => {
            let bytes = [pool.bytes(a), pool.bytes(b)].concat();
            Folded::Value(Constant::Bytes(pool.intern_bytes(&bytes)))
        }
        (Operator::Add, Constant::Tuple(a), Constant::Tuple(b)) => {
            let items = [pool.tuple(a), pool.tuple(b)].concat();
            Folded::Value(pool.tuple_constant(&items))
        }
        (Operator::Mult, sequence, count) if is_integer(count) => repeat(pool, sequence, count),
        (Operator::Mult, count, sequence) if is_integer(count) => repeat(pool, sequence, count),
        _ => Folded::Not,
    }
}

fn is_integer(value: Constant) -> bool {
    matches!(
        value,
        Constant::Bool(_) | Constant::Int(_) | Constant::Big(_)
    )
}

/// `sequence * count`.
fn repeat(pool: &mut Pool, sequence: Constant, count: Constant) -> Folded {
    let count = match count {
        Constant::Bool(value) => i64::from(value),
        Constant::Int(value) => value,
        _ => return Folded::Not,
    };
    let len = match sequence {
        Constant::Str(sym) => chars(pool.text(sym)),
        Constant::Bytes(id) => pool.bytes(id).len(),
        Constant::Tuple(id) => pool.tuple(id).len(),
        _ => return Folded::Not,
    };
    if len == 0 {
        return Folded::Value(sequence);
    }
    let Ok(count) = usize::try_from(count) else {
        return Folded::Not;
    };
    match sequence {
        Constant::Tuple(id) => {
            let too_complex =
                count > 0 && remaining(pool, id, MAX_TOTAL_ITEMS / count.max(1)).is_none();
            if count > MAX_TUPLE_ITEMS / len || too_complex {
                return Folded::Not;
            }
            let items = pool.tuple(id).repeat(count);
            Folded::Value(pool.tuple_constant(&items))
        }
        _ if count > MAX_TEXT_LEN / len => Folded::Not,
        Constant::Str(sym) => {
            let text = pool.text(sym).repeat(count);
            Folded::Value(Constant::Str(pool.sym_bytes(&text)))
        }
        Constant::Bytes(id) => {
            let bytes = pool.bytes(id).repeat(count);
            Folded::Value(Constant::Bytes(pool.intern_bytes(&bytes)))
        }
        _ => Folded::Not,
    }
}

/// What is left of a limit after the elements of a tuple and those nested in it.
fn remaining(pool: &Pool, id: TupleId, limit: usize) -> Option<usize> {
    let items = pool.tuple(id);
    let mut left = limit.checked_sub(items.len())?;
    for &item in items {
        if let Constant::Tuple(inner) = item {
            left = remaining(pool, inner, left)?;
        }
    }
    Some(left)
}

/// How many code points generalized UTF-8 holds.
fn chars(text: &[u8]) -> usize {
    text.iter().filter(|&&byte| byte & 0xC0 != 0x80).count()
}

/// `op value`.
pub fn unary(pool: &mut Pool, op: UnaryOp, value: Constant) -> Folded {
    match op {
        UnaryOp::Not => Folded::Value(Constant::Bool(!is_true(pool, value))),
        UnaryOp::UAdd | UnaryOp::USub | UnaryOp::Invert => {
            let Some(number) = Number::of(pool, value) else {
                return Folded::Not;
            };
            Folded::Value(match (op, number) {
                (UnaryOp::UAdd, Number::Int(value)) => pool.int(value),
                (UnaryOp::UAdd, _) => value,
                (UnaryOp::Invert, Number::Int(value)) => pool.int(!value),
                (UnaryOp::Invert, _) => return Folded::Not,
                (_, Number::Int(value)) => pool.int(-value),
                (_, Number::Float(value)) => Constant::float(-value),
                (_, Number::Complex(real, imag)) => pool.complex_constant(-real, -imag),
            })
        }
    }
}

/// `bool(value)`.
pub fn is_true(pool: &Pool, value: Constant) -> bool {
    match value {
        Constant::None => false,
        Constant::Ellipsis | Constant::Big(_) | Constant::Slice(_) => true,
        Constant::Bool(value) => value,
        Constant::Int(value) => value != 0,
        Constant::Float(bits) => f64::from_bits(bits) != 0.0,
        Constant::Complex(id) => pool.complex(id) != (0.0, 0.0),
        Constant::Str(sym) => !pool.text(sym).is_empty(),
        Constant::Bytes(id) => !pool.bytes(id).is_empty(),
        Constant::Tuple(id) | Constant::FrozenSet(id) => !pool.tuple(id).is_empty(),
    }
}

/// `value[index]` for an integer or a slice.
pub fn subscript(pool: &mut Pool, value: Constant, index: Constant) -> Folded {
    let index = match index {
        Constant::Bool(index) => i64::from(index),
        Constant::Int(index) => index,
        Constant::Slice(parts) => return slice(pool, value, parts),
        _ => return Folded::Not,
    };
    let at = |len: usize| {
        let len = i64::try_from(len).ok()?;
        let at = if index < 0 {
            index.checked_add(len)?
        } else {
            index
        };
        usize::try_from(at).ok().filter(|_| at < len)
    };
    let item = match value {
        Constant::Str(sym) => {
            let text = pool.text(sym);
            at(chars(text))
                .and_then(|at| char_slices(text).nth(at))
                .map(<[u8]>::to_vec)
                .map(|text| Constant::Str(pool.sym_bytes(&text)))
        }
        Constant::Bytes(id) => {
            let bytes = pool.bytes(id);
            at(bytes.len())
                .and_then(|at| bytes.get(at))
                .map(|&byte| Constant::Int(i64::from(byte)))
        }
        Constant::Tuple(id) => {
            let items = pool.tuple(id);
            at(items.len()).and_then(|at| items.get(at)).copied()
        }
        _ => None,
    };
    item.map_or(Folded::Not, Folded::Value)
}

/// The code points of generalized UTF-8.
fn char_slices(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let is_start = |byte: &u8| byte & 0xC0 != 0x80;
        let next = rest.iter().skip(1).position(is_start);
        let (first, after) = rest.split_at_checked(next.map_or(rest.len(), |next| next + 1))?;
        rest = after;
        Some(first)
    })
}

/// `value[start:stop:step]`
fn slice(pool: &mut Pool, value: Constant, parts: TupleId) -> Folded {
    let bounds: Option<Vec<Option<i64>>> = pool
        .tuple(parts)
        .iter()
        .map(|&part| bound(pool, part))
        .collect();
    let Some(&[start, stop, step]) = bounds.as_deref() else {
        return Folded::Not;
    };
    let step = step.unwrap_or(1).max(-i64::MAX);
    if step == 0 {
        return Folded::Not;
    }
    let places = |len: usize| places(len, start, stop, step);
    match value {
        Constant::Str(sym) => {
            let all: Vec<&[u8]> = char_slices(pool.text(sym)).collect();
            let text: Vec<u8> = places(all.len())
                .filter_map(|at| all.get(at))
                .flat_map(|char| char.iter().copied())
                .collect();
            Folded::Value(Constant::Str(pool.sym_bytes(&text)))
        }
        Constant::Bytes(id) => {
            let all = pool.bytes(id);
            let bytes: Vec<u8> = places(all.len())
                .filter_map(|at| all.get(at).copied())
                .collect();
            Folded::Value(Constant::Bytes(pool.intern_bytes(&bytes)))
        }
        Constant::Tuple(id) => {
            let all = pool.tuple(id);
            let items: Vec<Constant> = places(all.len())
                .filter_map(|at| all.get(at).copied())
                .collect();
            Folded::Value(pool.tuple_constant(&items))
        }
        _ => Folded::Not,
    }
}

/// A part of a slice, cut to what an index can be; `Some(None)` for the default, `None` for what
/// is no index.
fn bound(pool: &Pool, part: Constant) -> Option<Option<i64>> {
    match part {
        Constant::None => Some(None),
        Constant::Bool(value) => Some(Some(i64::from(value))),
        Constant::Int(value) => Some(Some(value)),
        Constant::Big(id) if pool.big(id).sign() == num_bigint::Sign::Minus => Some(Some(i64::MIN)),
        Constant::Big(_) => Some(Some(i64::MAX)),
        _ => None,
    }
}

/// The indices that a slice takes of a sequence.
fn places(
    len: usize,
    start: Option<i64>,
    stop: Option<i64>,
    step: i64,
) -> impl Iterator<Item = usize> {
    let len = i64::try_from(len).unwrap_or(i64::MAX);
    // The index before the first one that a step backwards may reach is -1.
    let (lowest, highest) = if step < 0 { (-1, len - 1) } else { (0, len) };
    let clip = |at: i64| {
        let at = if at < 0 { at.saturating_add(len) } else { at };
        at.clamp(lowest, highest)
    };
    let (first, last) = if step < 0 {
        (highest, lowest)
    } else {
        (lowest, highest)
    };
    let start = start.map_or(first, clip);
    let stop = stop.map_or(last, clip);
    std::iter::successors(Some(start), move |at| at.checked_add(step))
        .take_while(move |&at| if step < 0 { at > stop } else { at < stop })
        .filter_map(|at| usize::try_from(at).ok())
}

/// The constant of a set display: elements that equal an earlier one are dropped.
pub fn frozenset(pool: &mut Pool, items: &[Constant]) -> Constant {
    let mut kept = Vec::with_capacity(items.len());
    let mut seen = rustc_hash::FxHashSet::default();
    for &item in items {
        let key = equality_key(pool, item);
        if is_nan(item) || seen.insert(key) {
            kept.push(item);
        }
    }
    Constant::FrozenSet(pool.intern_tuple(&kept))
}

fn is_nan(value: Constant) -> bool {
    matches!(value, Constant::Float(bits) if f64::from_bits(bits).is_nan())
}

/// A constant that is the same for values that are equal in Python: `1`, `True`, `1.0`, `1+0j`.
fn equality_key(pool: &mut Pool, value: Constant) -> Constant {
    match value {
        Constant::Bool(value) => Constant::Int(i64::from(value)),
        Constant::Float(bits) => {
            let float = f64::from_bits(bits);
            if float.is_finite() && float == float.trunc() {
                match num_traits::FromPrimitive::from_f64(float) {
                    Some(value) => pool.int(value),
                    None => value,
                }
            } else {
                value
            }
        }
        Constant::Complex(id) => {
            let (real, imag) = pool.complex(id);
            if imag == 0.0 {
                equality_key(pool, Constant::float(real))
            } else {
                // Zeros are equal whatever their sign.
                pool.complex_constant(real + 0.0, imag)
            }
        }
        Constant::Tuple(id) => {
            let items: Vec<Constant> = pool.tuple(id).to_vec();
            let keys: Vec<Constant> = items
                .into_iter()
                .map(|item| equality_key(pool, item))
                .collect();
            pool.tuple_constant(&keys)
        }
        other => other,
    }
}
