//! The location table (PEP 626, PEP 657; 3.11 and later).

use crate::compiler::native::error::Loc;
/// The most code units that one entry covers.
const MAX_ENTRY: u32 = 8;

const ONE_LINE: u8 = 10;
const NO_COLUMNS: u8 = 13;
const LONG: u8 = 14;
const NO_LOCATION: u8 = 15;

/// A table in the making.
pub(super) struct Lines {
    out: Vec<u8>,
    /// The line of the last entry.
    line: i32,
    /// The place of the last instructions, and how many units they have.
    loc: Loc,
    units: u32,
    /// What the last instruction had for that: [`Loc::NEXT`] if it took the place of the next one.
    raw: Loc,
}

/// A number with its sign in the lowest bit.
fn signed(value: i32) -> u32 {
    value.unsigned_abs() << 1 | u32::from(value < 0)
}

impl Lines {
    /// An empty table of code with so many instructions.
    pub(super) fn new(first_line: i32, instrs: usize) -> Lines {
        Lines {
            out: Vec::with_capacity(3 * instrs + 8),
            line: first_line,
            loc: Loc::NONE,
            units: 0,
            raw: Loc::NONE,
        }
    }

    /// Adds an instruction. If it wants the place of the next one, `next` gives that; it is asked once
    /// for such instructions in a row.
    #[inline]
    pub(super) fn add(&mut self, mut loc: Loc, units: u32, next: impl FnOnce() -> Loc) {
        if !loc.is_same(&self.raw) {
            self.raw = loc;
            if loc.line == Loc::NEXT.line {
                loc = next();
            }
            if !loc.is_same(&self.loc) {
                self.stretch();
                self.loc = loc;
                self.units = 0;
            }
        }
        self.units += units;
    }

    /// Control does not go on to the next instruction, so it does not take part in a row that wants one
    /// place.
    #[inline]
    pub(super) fn end_row(&mut self) {
        self.raw = self.loc;
    }

    /// The table.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.stretch();
        self.out
    }

    /// Writes what is known of the last instructions.
    #[inline]
    fn stretch(&mut self) {
        let mut units = self.units;
        while units > MAX_ENTRY {
            self.full_entry();
            units -= MAX_ENTRY;
        }
        if units > 0 {
            self.entry(self.loc, units);
        }
    }

    #[inline(never)]
    fn full_entry(&mut self) {
        self.entry(self.loc, MAX_ENTRY);
    }

    /// Writes the first bytes of a word.
    fn put(&mut self, count: usize, word: u64) {
        let at = self.out.len();
        self.out.extend_from_slice(&word.to_le_bytes());
        self.out.truncate(at + count);
    }

    fn start(&mut self, code: u8, units: u32) {
        self.out.push(0x80 | code << 3 | (units as u8 - 1));
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 64 {
            self.out.push(0x40 | value as u8 & 0x3f);
            value >>= 6;
        }
        self.out.push(value as u8);
    }

    /// Writes an entry. The two short forms, which most have, come first.
    #[inline(always)]
    fn entry(&mut self, loc: Loc, units: u32) {
        if loc.end_line == loc.line {
            // As unsigned numbers, so that none that is negative is in range.
            let delta = loc.line.wrapping_sub(self.line) as u32;
            let (col, end_col) = (loc.col as u32, loc.end_col as u32);
            let width = end_col.wrapping_sub(col);
            if delta == 0 && col < 80 && width < 16 {
                let first = 0x80 | (col >> 3) << 3 | (units - 1);
                return self.put(2, u64::from(first | ((col & 7) << 4 | width) << 8));
            }
            if delta < 3 && col < 128 && end_col < 128 {
                let first = 0x80 | (u32::from(ONE_LINE) + delta) << 3 | (units - 1);
                self.line = loc.line;
                return self.put(3, u64::from(first | col << 8 | end_col << 16));
            }
        }
        self.long_entry(loc, units);
    }

    #[inline(never)]
    fn long_entry(&mut self, loc: Loc, units: u32) {
        if loc.line == -1 {
            return self.start(NO_LOCATION, units);
        }
        let delta = loc.line.wrapping_sub(self.line);
        let (col, end_col) = (loc.col, loc.end_col);
        if (col < 0 || end_col < 0) && (loc.end_line == loc.line || loc.end_line < 0) {
            self.start(NO_COLUMNS, units);
            self.varint(signed(delta));
            self.line = loc.line;
            return;
        }
        self.line = loc.line;
        let numbers = [
            signed(delta),
            loc.end_line.wrapping_sub(loc.line) as u32,
            col.wrapping_add(1) as u32,
            end_col.wrapping_add(1) as u32,
        ];
        if numbers.iter().all(|&number| number < 64) {
            let first = 0x80 | LONG << 3 | (units as u8 - 1);
            let word = numbers
                .iter()
                .rev()
                .fold(0, |word, &number| word << 8 | u64::from(number));
            return self.put(5, u64::from(first) | word << 8);
        }
        self.start(LONG, units);
        for number in numbers {
            self.varint(number);
        }
    }
}
