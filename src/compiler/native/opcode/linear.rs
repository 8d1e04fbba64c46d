//! What grows with an instruction's argument, or with the lowest bit of it: a table of that answers without
//! a branch for each opcode.

/// A multiple of the argument, or of its lowest bit, and a number.
#[derive(Clone, Copy)]
pub(super) struct Linear {
    fixed: i8,
    factor: i8,
    /// What of the argument counts.
    mask: u32,
}

/// The arguments that tell which form it is.
pub(super) const SAMPLES: [u32; 8] = [0, 1, 2, 3, 4, 5, 0x100, 0x101];

impl Linear {
    /// No such form.
    pub(super) const OTHER: Linear = Linear {
        fixed: i8::MIN,
        factor: 0,
        mask: 0,
    };

    /// The form that has these values at [`SAMPLES`].
    pub(super) const fn fit(values: [i64; SAMPLES.len()]) -> Linear {
        let [fixed, one, ..] = values;
        let factor = one - fixed;
        let whole = Linear {
            fixed: fixed as i8,
            factor: factor as i8,
            mask: u32::MAX,
        };
        let lowest_bit = Linear { mask: 1, ..whole };
        if whole.has(values) {
            whole
        } else if lowest_bit.has(values) {
            lowest_bit
        } else {
            Linear::OTHER
        }
    }

    #[allow(clippy::indexing_slicing)] // Only while the program is built.
    const fn has(self, values: [i64; SAMPLES.len()]) -> bool {
        let mut at = 0;
        while at < SAMPLES.len() {
            if self.of(SAMPLES[at]) != values[at] {
                return false;
            }
            at += 1;
        }
        true
    }

    /// Whether it is [`Linear::OTHER`].
    #[inline]
    pub(super) fn is_other(self) -> bool {
        self.fixed == i8::MIN
    }

    /// The value for an argument.
    #[inline]
    pub(super) const fn of(self, arg: u32) -> i64 {
        self.fixed as i64 + self.factor as i64 * (arg & self.mask) as i64
    }
}

/// The forms of all opcodes, by opcode, while the program is built: of an expression that gives the
/// value of an opcode for an argument.
macro_rules! tabled {
    (|$op:ident, $arg:ident| $value:expr) => {{
        use $crate::compiler::native::opcode::{linear, table};

        #[allow(clippy::indexing_slicing)] // Only while the program is built.
        const FORMS: [linear::Linear; 256] = {
            let mut forms = [linear::Linear::OTHER; 256];
            let mut at = 0;
            while at < table::ALL.len() {
                let $op = table::ALL[at];
                let mut values = [0; linear::SAMPLES.len()];
                let mut sample = 0;
                while sample < linear::SAMPLES.len() {
                    let $arg = linear::SAMPLES[sample];
                    values[sample] = $value;
                    sample += 1;
                }
                forms[$op as usize] = linear::Linear::fit(values);
                at += 1;
            }
            forms
        };
        FORMS
    }};
}
pub(super) use tabled;
