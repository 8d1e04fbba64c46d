//! Byte offsets to lines and columns.

use crate::compiler::native::error::Loc;
use ruff_text_size::{TextRange, TextSize};

/// Where each line of a text begins. Lines end in `\n`.
pub(super) struct Lines {
    /// The offset of each line's first byte, ascending; never empty.
    starts: Vec<u32>,
    /// The line that was asked for last: the next question is mostly about the same.
    last: usize,
}

impl Lines {
    pub(super) fn new(text: &str) -> Self {
        let mut starts = Vec::with_capacity(text.len() / 32 + 1);
        starts.push(0);
        for at in memchr::memchr_iter(b'\n', text.as_bytes()) {
            starts.push(u32::try_from(at + 1).unwrap_or(u32::MAX));
        }
        Lines { starts, last: 0 }
    }

    /// The 1-based line and the 0-based column in bytes.
    fn place(&mut self, offset: TextSize) -> (i32, i32) {
        let offset = u32::from(offset);
        let mut line = self.last;
        let begins = |line: usize| self.starts.get(line).copied();
        let inside = begins(line).is_some_and(|start| start <= offset)
            && begins(line + 1).is_none_or(|next| offset < next);
        if !inside {
            line = self
                .starts
                .partition_point(|&start| start <= offset)
                .saturating_sub(1);
            self.last = line;
        }
        let start = self.starts.get(line).copied().unwrap_or(0);
        (
            i32::try_from(line + 1).unwrap_or(i32::MAX),
            i32::try_from(offset - start).unwrap_or(i32::MAX),
        )
    }

    /// The location of a range.
    pub(super) fn loc(&mut self, range: TextRange) -> Loc {
        let (line, col) = self.place(range.start());
        let (end_line, end_col) = self.place(range.end());
        Loc {
            line,
            end_line,
            col,
            end_col,
        }
    }
}
