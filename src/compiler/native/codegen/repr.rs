//! `repr()` of constants.

use crate::compiler::native::ast::{Constant, Pool};
use crate::compiler::native::error::{Pass, Stop};

/// `repr()` of a constant that an annotation can hold; infinity as `1e309`.
pub(super) fn repr(value: Constant, pool: &Pool, out: &mut Vec<u8>) -> Pass<()> {
    match value {
        Constant::None => out.extend_from_slice(b"None"),
        Constant::Ellipsis => out.extend_from_slice(b"Ellipsis"),
        Constant::Bool(true) => out.extend_from_slice(b"True"),
        Constant::Bool(false) => out.extend_from_slice(b"False"),
        Constant::Int(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Constant::Big(id) => {
            let value = pool.big(id);
            // CPython refuses to print more than 4300 digits.
            if value.bits() > 14_000 {
                return Err(Stop::unsure("the text of a huge integer"));
            }
            out.extend_from_slice(value.to_string().as_bytes());
        }
        Constant::Float(bits) => float(f64::from_bits(bits), true, out),
        Constant::Complex(id) => {
            let (real, imag) = pool.complex(id);
            if real.to_bits() != 0 {
                return Err(Stop::unsure("the text of a complex number"));
            }
            float(imag, false, out);
            out.push(b'j');
        }
        Constant::Str(text) => string(pool.text(text), out)?,
        Constant::Bytes(id) => bytes(pool.bytes(id), out),
        Constant::Tuple(id) => {
            let items = pool.tuple(id);
            out.push(b'(');
            for (index, &item) in items.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                repr(item, pool, out)?;
            }
            if items.len() == 1 {
                out.push(b',');
            }
            out.push(b')');
        }
        Constant::FrozenSet(_) | Constant::Slice(_) => {
            return Err(Stop::unsure("the text of a folded constant"));
        }
    }
    Ok(())
}

/// The shortest digits that read back as the same number, as Python lays them out.
fn float(value: f64, is_float: bool, out: &mut Vec<u8>) {
    if value.is_infinite() {
        out.extend_from_slice(if value < 0.0 { b"-1e309" } else { b"1e309" });
        return;
    }
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    let digits = digits.replace('.', "");
    let mut plain = String::from(sign);
    if (-4..16).contains(&exponent) {
        let point = exponent + 1;
        if point <= 0 {
            plain.push_str("0.");
            plain.extend(std::iter::repeat_n('0', point.unsigned_abs() as usize));
            plain.push_str(&digits);
        } else {
            let point = point as usize;
            let (whole, part) = digits.split_at(point.min(digits.len()));
            plain.push_str(whole);
            plain.extend(std::iter::repeat_n('0', point - whole.len()));
            if !part.is_empty() {
                plain.push('.');
                plain.push_str(part);
            } else if is_float {
                plain.push_str(".0");
            }
        }
    } else {
        let (first, rest) = digits.split_at(1.min(digits.len()));
        plain.push_str(first);
        if !rest.is_empty() {
            plain.push('.');
            plain.push_str(rest);
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        plain.push_str(&format!("e{sign}{:02}", exponent.abs()));
    }
    out.extend_from_slice(plain.as_bytes());
}

fn quote_for(has_single: bool, has_double: bool) -> u8 {
    if has_single && !has_double {
        b'"'
    } else {
        b'\''
    }
}

fn ascii(byte: u8, quote: u8, out: &mut Vec<u8>) {
    match byte {
        b'\\' => out.extend_from_slice(b"\\\\"),
        b'\t' => out.extend_from_slice(b"\\t"),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        _ if byte == quote => out.extend([b'\\', quote]),
        b' '..=b'~' => out.push(byte),
        _ => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
    }
}

/// `repr()` of a string.
pub(super) fn string(text: &[u8], out: &mut Vec<u8>) -> Pass<()> {
    let unknown = || Stop::unsure("the text of a string with unusual characters");
    let text = std::str::from_utf8(text).map_err(|_| unknown())?;
    let quote = quote_for(text.contains('\''), text.contains('"'));
    out.push(quote);
    for c in text.chars() {
        if c.is_ascii() {
            ascii(c as u8, quote, out);
        } else if matches!(c, '\u{80}'..='\u{a0}' | '\u{ad}') {
            out.extend_from_slice(format!("\\x{:02x}", c as u32).as_bytes());
        } else if c < '\u{100}' || (c.is_alphanumeric() && c < '\u{10000}') {
            let mut buffer = [0; 4];
            out.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes());
        } else {
            return Err(unknown());
        }
    }
    out.push(quote);
    Ok(())
}

fn bytes(content: &[u8], out: &mut Vec<u8>) {
    let quote = quote_for(content.contains(&b'\''), content.contains(&b'"'));
    out.extend([b'b', quote]);
    for &byte in content {
        ascii(byte, quote, out);
    }
    out.push(quote);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_print_as_in_python() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (1e16, "1e+16"),
            (123456789012345680.0, "1.2345678901234568e+17"),
            (1e15, "1000000000000000.0"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (1.5e300, "1.5e+300"),
            (-2.25, "-2.25"),
        ] {
            let mut out = Vec::new();
            float(value, true, &mut out);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }
}
