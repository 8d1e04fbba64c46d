//! Constants that are equal as Python compares them: `1 == 1.0 == True`.

use num_bigint::BigInt;

use crate::compiler::native::ast::{Constant, Pool};
use crate::compiler::native::error::{Pass, Stop};

/// A constant that is the same for all constants that Python takes for equal.
pub(super) fn normal_form(value: Constant, pool: &mut Pool) -> Pass<Constant> {
    Ok(match value {
        Constant::Bool(value) => Constant::Int(i64::from(value)),
        Constant::Float(bits) => float(f64::from_bits(bits), pool)?,
        Constant::Complex(id) => {
            let (real, imag) = pool.complex(id);
            if real.is_nan() || imag.is_nan() {
                return Err(Stop::unsure("NaN in a set or pattern"));
            }
            if imag == 0.0 {
                float(real, pool)?
            } else {
                // Adding zero makes a negative zero positive.
                pool.complex_constant(real + 0.0, imag)
            }
        }
        Constant::Tuple(id) => {
            let items = pool.tuple(id).to_vec();
            let items: Pass<Vec<Constant>> = items
                .into_iter()
                .map(|item| normal_form(item, pool))
                .collect();
            pool.tuple_constant(&items?)
        }
        Constant::None
        | Constant::Ellipsis
        | Constant::Int(_)
        | Constant::Big(_)
        | Constant::Str(_)
        | Constant::Bytes(_)
        | Constant::FrozenSet(_)
        | Constant::Slice(_) => value,
    })
}

fn float(value: f64, pool: &mut Pool) -> Pass<Constant> {
    if value.is_nan() {
        return Err(Stop::unsure("NaN in a set or pattern"));
    }
    if value.is_infinite() || value.fract() != 0.0 {
        return Ok(Constant::float(value));
    }
    let bits = value.abs().to_bits();
    let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
    let exponent = (bits >> 52) as i32 - 1075;
    let magnitude = if bits == 0 {
        BigInt::ZERO
    } else if exponent >= 0 {
        BigInt::from(mantissa) << exponent.unsigned_abs()
    } else {
        BigInt::from(mantissa) >> exponent.unsigned_abs()
    };
    Ok(pool.int(if value < 0.0 { -magnitude } else { magnitude }))
}
