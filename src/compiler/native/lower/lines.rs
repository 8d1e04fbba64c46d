//! Byte offsets to lines and columns.

use crate::compiler::native::error::Loc;
use ruff_text_size::{TextRange, TextSize};

/// Where each line of a text begins. Lines end in `\n`.
pub(super) struct Lines {
    /// The offset of each line's first byte, ascending; never empty.
    starts: Vec<u32>,
    /// The line that was asked for last, from 0: the next question is mostly about the same.
    line: usize,
    /// Where that line begins, and where the next one does.
    start: u32,
    end: u32,
}

/// How many bytes are searched for newlines together.
const ROW: usize = 64;

/// Bit i: byte i is a newline. Without branches, as lines of any length may be mixed.
fn newlines_in(row: &[u8; ROW]) -> u64 {
    /// All bits of each byte but the highest.
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    /// Brings the lowest bits of the bytes together in the highest byte.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let (words, _) = row.as_chunks::<8>();
    let bits = |&word: &[u8; 8]| {
        // Zero where there is a newline.
        let other = u64::from_le_bytes(word) ^ u64::from_le_bytes([b'\n'; 8]);
        let found = !(((other & LOW) + LOW) | other | LOW);
        (found >> 7).wrapping_mul(GATHER) >> 56
    };
    let bits = words.iter().map(bits).zip((0..).step_by(8));
    bits.fold(0, |all, (bits, at)| all | bits << at)
}

impl Lines {
    pub(super) fn new(text: &str) -> Self {
        let mut starts = Vec::with_capacity(text.len() / 32 + 1);
        starts.push(0);
        let mut begin = |before: usize| starts.push(u32::try_from(before + 1).unwrap_or(u32::MAX));
        let (rows, rest) = text.as_bytes().as_chunks::<ROW>();
        for (row, bytes) in rows.iter().enumerate() {
            let mut newlines = newlines_in(bytes);
            while newlines != 0 {
                begin(ROW * row + newlines.trailing_zeros() as usize);
                newlines &= newlines - 1;
            }
        }
        for (at, _) in rest.iter().enumerate().filter(|&(_, &byte)| byte == b'\n') {
            begin(ROW * rows.len() + at);
        }
        let end = starts.get(1).copied().unwrap_or(u32::MAX);
        Lines {
            starts,
            line: 0,
            start: 0,
            end,
        }
    }

    /// Goes to the line of an offset that is on another one, mostly the next or the one before.
    #[inline(never)]
    fn seek(&mut self, offset: u32) {
        if offset >= self.end {
            let next = self.starts.get(self.line + 2).copied().unwrap_or(u32::MAX);
            if offset < next {
                self.line += 1;
                (self.start, self.end) = (self.end, next);
                return;
            }
        } else if let Some(line) = self.line.checked_sub(1) {
            let before = self.starts.get(line).copied().unwrap_or(0);
            if offset >= before {
                self.line = line;
                (self.start, self.end) = (before, self.start);
                return;
            }
        }
        self.search(offset);
    }

    /// Goes to the line of an offset, which mostly is near: the search begins with small steps.
    #[cold]
    fn search(&mut self, offset: u32) {
        let is_before = |&start: &u32| start <= offset;
        let mut step = 1;
        if offset >= self.end {
            let behind = self.starts.get(self.line + 1..).unwrap_or(&[]);
            while behind.get(step - 1).is_some_and(is_before) {
                step *= 2;
            }
            let near = behind.get(..step).unwrap_or(behind);
            self.line += near.partition_point(is_before);
        } else {
            let before = self.starts.get(..self.line).unwrap_or(&[]);
            let at = |step: usize| before.len().saturating_sub(step);
            while at(step) > 0 && !before.get(at(step)).is_some_and(is_before) {
                step *= 2;
            }
            let near = before.get(at(step)..).unwrap_or(&[]);
            self.line = (at(step) + near.partition_point(is_before)).saturating_sub(1);
        }
        self.start = self.starts.get(self.line).copied().unwrap_or(0);
        self.end = self.starts.get(self.line + 1).copied().unwrap_or(u32::MAX);
    }

    /// The 1-based line and the 0-based column in bytes.
    #[inline]
    pub(super) fn place(&mut self, offset: TextSize) -> (i32, i32) {
        let offset = u32::from(offset);
        if offset < self.start || offset >= self.end {
            self.seek(offset);
        }
        (self.line as i32 + 1, (offset - self.start) as i32)
    }

    /// The location of a range.
    pub(super) fn loc(&mut self, range: TextRange) -> Loc {
        let start = self.place(range.start());
        self.loc_from(start, range.end())
    }

    /// The location of a range whose beginning was looked up before what is inside, which is not far then.
    pub(super) fn loc_from(&mut self, (line, col): (i32, i32), end: TextSize) -> Loc {
        let (end_line, end_col) = self.place(end);
        Loc {
            line,
            end_line,
            col,
            end_col,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offset_has_its_line_and_column_in_any_order() {
        let text = "a\n\nbcd\n  e\n\n\nf".repeat(9);
        let offsets = 0..=text.len();
        let expected: Vec<(i32, i32)> = offsets
            .clone()
            .map(|offset| {
                let before = &text[..offset];
                let line = before.matches('\n').count() + 1;
                let start = before.rfind('\n').map_or(0, |newline| newline + 1);
                (line as i32, (offset - start) as i32)
            })
            .collect();
        let mut lines = Lines::new(&text);
        for stride in [1, 7, 31, 64, 101] {
            for nth in offsets.clone() {
                let offset = nth * stride % (text.len() + 1);
                let place = lines.place(TextSize::try_from(offset).unwrap());
                assert_eq!(place, expected[offset], "{offset}");
            }
        }
    }
}
