//! Arithmetic on constant numbers, bit for bit as CPython's `int`, `float` and `complex` do it.
//!
//! Where CPython raises, there is no result and the expression stays. Where the result depends on
//! the C library, or on paths that are not modelled here, the answer is [`Folded::Unsure`].

use super::constant::Folded;
use crate::compiler::native::ast::{Constant, Operator, Pool};
use num_bigint::{BigInt, Sign};
use num_traits::ToPrimitive;

/// The most bits of an integer that multiplying, raising or shifting may make.
const MAX_INT_BITS: u64 = 128;

/// A number of any of the three kinds; booleans are integers.
#[derive(Clone, Debug)]
pub(super) enum Number {
    Int(BigInt),
    Float(f64),
    Complex(f64, f64),
}

impl Number {
    pub(super) fn of(pool: &Pool, value: Constant) -> Option<Number> {
        match value {
            Constant::Bool(value) => Some(Number::Int(BigInt::from(u8::from(value)))),
            Constant::Int(value) => Some(Number::Int(BigInt::from(value))),
            Constant::Big(id) => Some(Number::Int(pool.big(id).clone())),
            Constant::Float(bits) => Some(Number::Float(f64::from_bits(bits))),
            Constant::Complex(id) => {
                let (real, imag) = pool.complex(id);
                Some(Number::Complex(real, imag))
            }
            Constant::None
            | Constant::Ellipsis
            | Constant::Str(_)
            | Constant::Bytes(_)
            | Constant::Tuple(_)
            | Constant::FrozenSet(_)
            | Constant::Slice(_) => None,
        }
    }
}

/// An integer as a float; `None` when it is too large.
fn to_float(value: &BigInt) -> Option<f64> {
    value.to_f64().filter(|float| float.is_finite())
}

/// Applies a binary operator to two numbers. `mixed` says that real and complex operands are
/// combined without making the real one complex first (3.14).
pub(super) fn binary(
    pool: &mut Pool,
    op: Operator,
    left: &Number,
    right: &Number,
    mixed: bool,
) -> Folded {
    match (left, right) {
        (Number::Int(a), Number::Int(b)) => integers(pool, op, a, b),
        (Number::Complex(..), _) | (_, Number::Complex(..)) => {
            complexes(pool, op, left, right, mixed)
        }
        (Number::Float(_), _) | (_, Number::Float(_)) => match (as_real(left), as_real(right)) {
            (Some(a), Some(b)) => floats(op, a, b),
            _ => Folded::Not,
        },
    }
}

fn as_real(number: &Number) -> Option<f64> {
    match number {
        Number::Int(value) => to_float(value),
        Number::Float(value) => Some(*value),
        Number::Complex(..) => None,
    }
}

fn integers(pool: &mut Pool, op: Operator, a: &BigInt, b: &BigInt) -> Folded {
    let zero = |n: &BigInt| n.sign() == Sign::NoSign;
    let value = match op {
        Operator::Add => a + b,
        Operator::Sub => a - b,
        Operator::Mult => {
            if !zero(a) && !zero(b) && a.bits() + b.bits() > MAX_INT_BITS {
                return Folded::Not;
            }
            a * b
        }
        Operator::Div => return true_divide(a, b),
        Operator::FloorDiv | Operator::Mod => {
            if zero(b) {
                return Folded::Not;
            }
            let mut quotient = a / b;
            let mut rest = a % b;
            if !zero(&rest) && rest.sign() != b.sign() {
                quotient -= 1;
                rest += b;
            }
            if op == Operator::Mod { rest } else { quotient }
        }
        Operator::Pow => return power(pool, a, b),
        Operator::LShift => {
            if b.sign() == Sign::Minus {
                return Folded::Not;
            }
            if zero(a) || zero(b) {
                a.clone()
            } else {
                match b.to_u64() {
                    Some(bits) if bits <= MAX_INT_BITS && a.bits() <= MAX_INT_BITS - bits => {
                        a << bits
                    }
                    _ => return Folded::Not,
                }
            }
        }
        Operator::RShift => match b.to_u64() {
            _ if b.sign() == Sign::Minus => return Folded::Not,
            Some(bits) if bits <= a.bits() => a >> bits,
            _ if a.sign() == Sign::Minus => BigInt::from(-1),
            _ => BigInt::ZERO,
        },
        Operator::BitOr => a | b,
        Operator::BitXor => a ^ b,
        Operator::BitAnd => a & b,
        Operator::MatMult => return Folded::Not,
    };
    Folded::Value(pool.int(value))
}

fn power(pool: &mut Pool, a: &BigInt, b: &BigInt) -> Folded {
    if b.sign() == Sign::Minus {
        return match (to_float(a), to_float(b)) {
            (Some(a), Some(b)) => float_power(a, b),
            _ => Folded::Not,
        };
    }
    if b.sign() == Sign::NoSign {
        return Folded::Value(Constant::Int(1));
    }
    if a.sign() == Sign::NoSign {
        return Folded::Value(Constant::Int(0));
    }
    match b.to_u32() {
        Some(exponent) if a.bits() <= MAX_INT_BITS / u64::from(exponent) => {
            Folded::Value(pool.int(a.pow(exponent)))
        }
        _ => Folded::Not,
    }
}

/// `a / b`, correctly rounded.
fn true_divide(a: &BigInt, b: &BigInt) -> Folded {
    const EXACT_BITS: u64 = 53;
    if b.sign() == Sign::NoSign {
        return Folded::Not;
    }
    let negative = (a.sign() == Sign::Minus) != (b.sign() == Sign::Minus);
    let signed = |value: f64| Folded::Value(Constant::float(if negative { -value } else { value }));
    if a.sign() == Sign::NoSign {
        // `0 / -1` is -0.0.
        return signed(0.0);
    }
    let (a, b) = (a.magnitude(), b.magnitude());
    if a.bits() <= EXACT_BITS && b.bits() <= EXACT_BITS {
        let (Some(a), Some(b)) = (a.to_f64(), b.to_f64()) else {
            return Folded::Not;
        };
        return signed(a / b);
    }
    let (Ok(a_bits), Ok(b_bits)) = (i64::try_from(a.bits()), i64::try_from(b.bits())) else {
        return Folded::Unsure("the quotient of huge integers");
    };
    let difference = a_bits - b_bits;
    if difference > 1024 {
        return Folded::Not;
    }
    if difference < -1000 {
        return Folded::Unsure("a quotient near the smallest float");
    }
    // 55 or 56 bits of the quotient, the last one also set when the rest is not zero: then rounding
    // these bits rounds the quotient.
    let shift = difference - 55;
    let (scaled, divisor) = if shift <= 0 {
        (a << shift.unsigned_abs(), b.clone())
    } else {
        (a.clone(), b << shift.unsigned_abs())
    };
    let quotient = &scaled / &divisor;
    let exact = &quotient * &divisor == scaled;
    let Some(bits) = quotient.to_u64() else {
        return Folded::Unsure("the quotient of huge integers");
    };
    let rounded = (bits | u64::from(!exact)) as f64;
    let Ok(shift) = i32::try_from(shift) else {
        return Folded::Unsure("the quotient of huge integers");
    };
    // In two steps, since 2**shift alone may be out of range.
    let half = shift / 2;
    let value = rounded * 2f64.powi(half) * 2f64.powi(shift - half);
    if value.is_finite() {
        signed(value)
    } else {
        Folded::Not
    }
}

fn floats(op: Operator, a: f64, b: f64) -> Folded {
    let value = match op {
        Operator::Add => a + b,
        Operator::Sub => a - b,
        Operator::Mult => a * b,
        Operator::Div if b == 0.0 => return Folded::Not,
        Operator::Div => a / b,
        Operator::FloorDiv | Operator::Mod if b == 0.0 => return Folded::Not,
        Operator::FloorDiv => floor_divide(a, b).0,
        Operator::Mod => floor_divide(a, b).1,
        Operator::Pow => return float_power(a, b),
        Operator::MatMult
        | Operator::LShift
        | Operator::RShift
        | Operator::BitOr
        | Operator::BitXor
        | Operator::BitAnd => return Folded::Not,
    };
    Folded::Value(Constant::float(value))
}

/// `divmod(a, b)` of floats.
fn floor_divide(a: f64, b: f64) -> (f64, f64) {
    let mut rest = a % b;
    let mut quotient = (a - rest) / b;
    if rest == 0.0 {
        rest = 0f64.copysign(b);
    } else if (b < 0.0) != (rest < 0.0) {
        rest += b;
        quotient -= 1.0;
    }
    let floor = if quotient == 0.0 {
        0f64.copysign(a / b)
    } else {
        let floor = quotient.floor();
        if quotient - floor > 0.5 {
            floor + 1.0
        } else {
            floor
        }
    };
    (floor, rest)
}

fn is_odd(value: f64) -> bool {
    (value.abs() % 2.0) == 1.0
}

fn float_power(a: f64, b: f64) -> Folded {
    let value = |value: f64| Folded::Value(Constant::float(value));
    if b == 0.0 {
        return value(1.0);
    }
    if a.is_nan() {
        return value(a);
    }
    if b.is_nan() {
        return value(if a == 1.0 { 1.0 } else { b });
    }
    if b.is_infinite() {
        let a = a.abs();
        return value(if a == 1.0 {
            1.0
        } else if (b > 0.0) == (a > 1.0) {
            f64::INFINITY
        } else {
            0.0
        });
    }
    if a.is_infinite() {
        return value(match (b > 0.0, is_odd(b)) {
            (true, true) => a,
            (true, false) => a.abs(),
            (false, true) => 0f64.copysign(a),
            (false, false) => 0.0,
        });
    }
    if a == 0.0 {
        if b < 0.0 {
            return Folded::Not;
        }
        return value(if is_odd(b) { a } else { 0.0 });
    }
    let mut negate = false;
    let mut base = a;
    if a < 0.0 {
        if b != b.floor() {
            return Folded::Unsure("a negative number to a fractional power");
        }
        base = -a;
        negate = is_odd(b);
    }
    if base == 1.0 {
        return value(if negate { -1.0 } else { 1.0 });
    }
    let result = base.powf(b);
    if result.is_infinite() {
        return Folded::Not;
    }
    value(if negate { -result } else { result })
}

fn complexes(pool: &mut Pool, op: Operator, left: &Number, right: &Number, mixed: bool) -> Folded {
    let part = |number: &Number| match number {
        Number::Complex(real, imag) => Some((*real, *imag, false)),
        real => as_real(real).map(|real| (real, 0.0, true)),
    };
    let (Some((a_re, a_im, a_real)), Some((b_re, b_im, b_real))) = (part(left), part(right)) else {
        return Folded::Not;
    };
    let (a_real, b_real) = (a_real && mixed, b_real && mixed);
    let (re, im) = match op {
        Operator::Add if a_real => (a_re + b_re, b_im),
        Operator::Add if b_real => (a_re + b_re, a_im),
        Operator::Add => (a_re + b_re, a_im + b_im),
        Operator::Sub if a_real => (a_re - b_re, -b_im),
        Operator::Sub if b_real => (a_re - b_re, a_im),
        Operator::Sub => (a_re - b_re, a_im - b_im),
        Operator::Mult if a_real => (a_re * b_re, a_re * b_im),
        Operator::Mult if b_real => (a_re * b_re, a_im * b_re),
        Operator::Mult => (a_re * b_re - a_im * b_im, a_re * b_im + a_im * b_re),
        Operator::Div if b_re == 0.0 && b_im == 0.0 => return Folded::Not,
        Operator::Div if b_real => (a_re / b_re, a_im / b_re),
        Operator::Div if a_real => real_quotient(a_re, (b_re, b_im)),
        Operator::Div => quotient((a_re, a_im), (b_re, b_im)),
        Operator::Pow => match small_power((a_re, a_im), (b_re, b_im)) {
            Some((re, im)) if re.is_infinite() || im.is_infinite() => return Folded::Not,
            Some(value) => value,
            None if a_re == 0.0 && a_im == 0.0 => {
                if b_im != 0.0 || b_re < 0.0 {
                    return Folded::Not;
                }
                (0.0, 0.0)
            }
            None => return Folded::Unsure("a power of complex numbers"),
        },
        Operator::MatMult
        | Operator::Mod
        | Operator::FloorDiv
        | Operator::LShift
        | Operator::RShift
        | Operator::BitOr
        | Operator::BitXor
        | Operator::BitAnd => return Folded::Not,
    };
    if re.is_nan() || im.is_nan() {
        return Folded::Unsure("a complex number that is none");
    }
    Folded::Value(pool.complex_constant(re, im))
}

/// A power with a whole exponent from -100 to 100; other powers come from the C library. `None`
/// also for a negative power of zero.
fn small_power(base: (f64, f64), (exponent, b_im): (f64, f64)) -> Option<(f64, f64)> {
    let small = b_im == 0.0 && exponent == exponent.floor() && exponent.abs() <= 100.0;
    if !small {
        return None;
    }
    let product = |a: (f64, f64), b: (f64, f64)| (a.0 * b.0 - a.1 * b.1, a.0 * b.1 + a.1 * b.0);
    let mut result = (1.0, 0.0);
    let mut square = base;
    let count = exponent.abs() as u32;
    for bit in 0..8 {
        if count >> bit == 0 {
            break;
        }
        if (count >> bit) & 1 == 1 {
            result = product(result, square);
        }
        square = product(square, square);
    }
    if exponent > 0.0 {
        return Some(result);
    }
    (result != (0.0, 0.0)).then(|| quotient((1.0, 0.0), result))
}

/// Smith's division: scales by the larger part of the divisor.
fn quotient((a_re, a_im): (f64, f64), (b_re, b_im): (f64, f64)) -> (f64, f64) {
    if b_re.abs() >= b_im.abs() {
        let ratio = b_im / b_re;
        let scale = b_re + b_im * ratio;
        ((a_re + a_im * ratio) / scale, (a_im - a_re * ratio) / scale)
    } else {
        let ratio = b_re / b_im;
        let scale = b_re * ratio + b_im;
        ((a_re * ratio + a_im) / scale, (a_im * ratio - a_re) / scale)
    }
}

/// The same for a real dividend, whose imaginary zero takes no part (3.14).
fn real_quotient(a: f64, (b_re, b_im): (f64, f64)) -> (f64, f64) {
    if b_re.abs() >= b_im.abs() {
        let ratio = b_im / b_re;
        let scale = b_re + b_im * ratio;
        (a / scale, (-a * ratio) / scale)
    } else {
        let ratio = b_re / b_im;
        let scale = b_re * ratio + b_im;
        ((a * ratio) / scale, -a / scale)
    }
}
