//! Line tables: which source position each instruction has.
//!
//! Three formats: `co_lnotab` up to 3.9, PEP 626's line table in 3.10, PEP 657's location table
//! from 3.11. Reading never panics: a table that is cut short or overflows is an error.

use super::target::Target;

/// The source position of a run of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    /// The first byte of `co_code`, 0-based.
    pub start: u32,
    /// The byte after the last one; `None` up to 3.9 for the last run (it ends with the code).
    pub end: Option<u32>,
    /// The line, 1-based; `None` for instructions without one.
    pub line: Option<i32>,
    /// The last line, from 3.11.
    pub end_line: Option<i32>,
    /// The first column in UTF-8 bytes, 0-based, from 3.11.
    pub column: Option<i32>,
    /// The column after the last one, from 3.11.
    pub end_column: Option<i32>,
}

/// The bytes are no line table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bad line table")]
pub struct BadLineTable;

/// Reads a code object's line table. `first_line` is its `co_firstlineno`.
pub fn read_line_table(
    target: Target,
    first_line: i32,
    table: &[u8],
) -> Result<Vec<Location>, BadLineTable> {
    let locations = match target.minor() {
        ..=9 => read_lnotab(first_line, table),
        10 => read_line_deltas(first_line, table),
        11.. => read_location_table(first_line, table),
    };
    locations.ok_or(BadLineTable)
}

/// The location of the instruction at a byte offset of `co_code`.
pub fn location_at(locations: &[Location], offset: u32) -> Option<&Location> {
    let after = locations.partition_point(|location| location.start <= offset);
    locations
        .get(..after)?
        .iter()
        .rev()
        .find(|location| location.end.is_none_or(|end| offset < end))
}

fn only_line(start: u32, end: Option<u32>, line: Option<i32>) -> Location {
    Location {
        start,
        end,
        line,
        end_line: None,
        column: None,
        end_column: None,
    }
}

/// Up to 3.9: pairs of a byte step (unsigned) and a line step (signed). A run ends where the next
/// pair with a byte step starts.
fn read_lnotab(first_line: i32, table: &[u8]) -> Option<Vec<Location>> {
    let mut locations: Vec<Location> = Vec::new();
    let (mut start, mut end, mut line) = (0u32, 0u32, first_line);
    let (pairs, rest) = table.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    for [bytes, lines] in pairs {
        if *bytes != 0 {
            end = end.checked_add(u32::from(*bytes))?;
            push_line(&mut locations, start, end, line);
            start = end;
        }
        line = line.checked_add(i32::from(lines.cast_signed()))?;
    }
    match locations.last_mut() {
        Some(last) if last.line == Some(line) => last.end = None,
        _ => locations.push(only_line(start, None, Some(line))),
    }
    Some(locations)
}

/// Appends a run, or makes the last one longer if it has the same line.
fn push_line(locations: &mut Vec<Location>, start: u32, end: u32, line: i32) {
    match locations.last_mut() {
        Some(last) if last.line == Some(line) => last.end = Some(end),
        _ => locations.push(only_line(start, Some(end), Some(line))),
    }
}

/// 3.10: pairs of the run's length in bytes and its line relative to the last run that had one;
/// -128 says that the run has none.
fn read_line_deltas(first_line: i32, table: &[u8]) -> Option<Vec<Location>> {
    const NO_LINE: i8 = -128;
    let (mut start, mut line) = (0u32, first_line);
    let (pairs, rest) = table.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let mut locations = Vec::with_capacity(pairs.len());
    for [length, delta] in pairs {
        let end = start.checked_add(u32::from(*length))?;
        let delta = delta.cast_signed();
        if delta == NO_LINE {
            locations.push(only_line(start, Some(end), None));
        } else {
            line = line.checked_add(i32::from(delta))?;
            // Runs without bytes only carry a line step over 127.
            if end > start {
                locations.push(only_line(start, Some(end), Some(line)));
            }
        }
        start = end;
    }
    Some(locations)
}

/// From 3.11: entries of a first byte (high bit, four bits of form, three bits of length in code
/// units less one) and what the form asks for.
fn read_location_table(first_line: i32, table: &[u8]) -> Option<Vec<Location>> {
    const CODE_UNIT: u32 = 2;
    let mut bytes = table.iter().copied();
    let mut locations = Vec::new();
    let (mut start, mut line) = (0u32, first_line);
    while let Some(first) = bytes.next() {
        if first & 0x80 == 0 {
            return None;
        }
        let end = start.checked_add((u32::from(first & 7) + 1) * CODE_UNIT)?;
        let mut location = only_line(start, Some(end), None);
        match first >> 3 & 0xF {
            form @ 0..=9 => {
                let columns = bytes.next()?;
                let column = i32::from(form) * 8 + i32::from(columns >> 4);
                location.line = Some(line);
                location.end_line = Some(line);
                location.column = Some(column);
                location.end_column = Some(column + i32::from(columns & 0xF));
            }
            form @ 10..=12 => {
                line = line.checked_add(i32::from(form) - 10)?;
                location.line = Some(line);
                location.end_line = Some(line);
                location.column = Some(bytes.next()?.into());
                location.end_column = Some(bytes.next()?.into());
            }
            13 => {
                line = line.checked_add(read_signed(&mut bytes)?)?;
                location.line = Some(line);
                location.end_line = Some(line);
            }
            14 => {
                line = line.checked_add(read_signed(&mut bytes)?)?;
                let lines = i32::try_from(read_unsigned(&mut bytes)?).ok()?;
                location.line = Some(line);
                location.end_line = Some(line.checked_add(lines)?);
                location.column = read_column(&mut bytes)?;
                location.end_column = read_column(&mut bytes)?;
            }
            _ => {}
        }
        locations.push(location);
        start = end;
    }
    Some(locations)
}

/// Six bits a byte, lowest first; bit 6 says that another byte follows.
fn read_unsigned(bytes: &mut impl Iterator<Item = u8>) -> Option<u32> {
    let mut value = 0u32;
    for shift in (0..36).step_by(6) {
        let byte = bytes.next()?;
        let bits = u32::from(byte & 0x3F);
        if bits != 0 {
            let shifted = bits.checked_shl(shift)?;
            if shifted >> shift != bits {
                return None;
            }
            value |= shifted;
        }
        if byte & 0x40 == 0 {
            return Some(value);
        }
    }
    None
}

/// The sign in the lowest bit.
fn read_signed(bytes: &mut impl Iterator<Item = u8>) -> Option<i32> {
    let value = read_unsigned(bytes)?;
    let magnitude = i32::try_from(value >> 1).ok()?;
    Some(if value & 1 == 0 {
        magnitude
    } else {
        -magnitude
    })
}

/// One more than the column; 0 is none.
fn read_column(bytes: &mut impl Iterator<Item = u8>) -> Option<Option<i32>> {
    let value = i32::try_from(read_unsigned(bytes)?).ok()?;
    Some(value.checked_sub(1).filter(|column| *column >= 0))
}
