//! Why a pass of the native compiler stops: the program is wrong, or the compiler is not sure.

/// A place in the source. Lines are 1-based; columns are 0-based and count the bytes of the line in
/// UTF-8, as `lineno` and `col_offset` of CPython's nodes do. Line -1: no place in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Loc {
    /// The first line.
    pub line: i32,
    /// The last line.
    pub end_line: i32,
    /// The column of the first byte.
    pub col: i32,
    /// The column behind the last byte.
    pub end_col: i32,
}

impl Loc {
    /// What CPython gives to code that stands for nothing in the source.
    pub const NONE: Loc = Loc {
        line: -1,
        end_line: -1,
        col: -1,
        end_col: -1,
    };

    /// What CPython gives to code that gets the place of the next instruction in the end (3.14).
    pub const NEXT: Loc = Loc {
        line: -2,
        end_line: -2,
        col: -2,
        end_col: -2,
    };

    /// Whether two places are the same, found out without branches.
    #[inline]
    pub fn is_same(&self, other: &Loc) -> bool {
        let word = |low: i32, high: i32| u64::from(low as u32) | u64::from(high as u32) << 32;
        let lines = word(self.line, self.end_line) ^ word(other.line, other.end_line);
        let columns = word(self.col, self.end_col) ^ word(other.col, other.end_col);
        lines | columns == 0
    }
}

/// An error that CPython raises for this source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// `SyntaxError`, `IndentationError`, `TabError`, `ValueError`, `UnicodeDecodeError`, …
    pub kind: &'static str,
    /// The message as CPython words it.
    pub message: String,
    /// Where, when CPython says where.
    pub loc: Option<Loc>,
    /// Whether kind, message and place are known to be CPython's own. If not, only the verdict
    /// (rejected) is.
    pub exact: bool,
}

/// The end of a compile without code. Two words, so that passes return it in registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// CPython rejects the program too.
    Rejected(Box<SyntaxError>),
    /// A construct or limit for which this compiler does not know what CPython does. Says which.
    #[allow(clippy::box_collection)] // See above.
    Unsure(Box<String>),
}

impl Stop {
    /// A `SyntaxError` with CPython's message at a place.
    pub fn syntax(message: impl Into<String>, loc: Loc) -> Stop {
        Stop::Rejected(Box::new(SyntaxError {
            kind: "SyntaxError",
            message: message.into(),
            loc: Some(loc),
            exact: true,
        }))
    }

    /// A refusal that says nothing about the program.
    pub fn unsure(why: impl Into<String>) -> Stop {
        Stop::Unsure(Box::new(why.into()))
    }
}

/// The result of a pass.
pub type Pass<T> = Result<T, Stop>;
