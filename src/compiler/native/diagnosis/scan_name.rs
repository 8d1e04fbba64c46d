//! The tokenizer: names, and the prefixes of strings that begin like names.

use super::scan::{Scanner, in_name};
use super::token::{Fault, Kind, Token};

impl Scanner<'_> {
    pub(super) fn name_or_prefix(&mut self) -> Result<Token, Fault> {
        let from = self.at;
        let start = self.place(from);
        let mut seen = String::new();
        while let Some(byte) = self.peek() {
            if matches!(byte, b'"' | b'\'') && !seen.is_empty() {
                self.check_prefix(&seen, from)?;
                if let Some(letter) = seen.chars().find(|letter| "ft".contains(*letter)) {
                    return self.format_start(from, start, letter, seen.contains('r'));
                }
                return self.string(from, start);
            }
            let lower = byte.to_ascii_lowercase();
            if !self.may_follow(lower, &seen) {
                break;
            }
            seen.push(char::from(lower));
            self.at += 1;
        }
        let mut ascii = true;
        while let Some(byte) = self.peek().filter(|&byte| in_name(byte)) {
            ascii &= byte < 0x80;
            self.at += 1;
        }
        if !ascii {
            self.verify_name(from)?;
        }
        Ok(self.token(Kind::Name, from, start))
    }

    fn may_follow(&self, letter: u8, seen: &str) -> bool {
        let has = |letter| seen.contains(letter);
        let formats = has('f') || has('t');
        if self.minor >= 14 {
            return matches!(letter, b'b' | b'u' | b'r' | b'f' | b't') && !has(char::from(letter));
        }
        match letter {
            b'b' => !(has('b') || has('u') || formats),
            b'u' => !(has('b') || has('u') || has('r') || formats),
            b'r' => !(has('r') || has('u')),
            b'f' => !(formats || has('b') || has('u')),
            _ => false,
        }
    }

    /// 3.14 tells which two letters do not go together.
    fn check_prefix(&self, seen: &str, from: usize) -> Result<(), Fault> {
        if self.minor < 14 {
            return Ok(());
        }
        let clash = ["ub", "ur", "uf", "ut", "bf", "bt", "ft"];
        for pair in clash {
            let (one, other) = pair.split_at(1);
            if seen.contains(one) && seen.contains(other) {
                let message = format!("'{one}' and '{other}' prefixes are incompatible");
                let start = self.chars(self.line_start, from) + 1;
                let end = self.chars(self.line_start, self.at) + 1;
                return Err(self.error_at(message, self.line, start, end));
            }
        }
        Ok(())
    }

    fn verify_name(&mut self, from: usize) -> Result<(), Fault> {
        let name = self.text.get(from..self.at).ok_or(Fault::Unknown)?;
        for (index, letter) in name.char_indices() {
            if letter.is_ascii()
                || unicode_ident::is_xid_start(letter)
                || index > 0 && unicode_ident::is_xid_continue(letter)
            {
                continue;
            }
            if !is_surely_no_letter(letter) {
                return Err(Fault::Unknown);
            }
            self.at = from + index + letter.len_utf8();
            let code = u32::from(letter);
            let message = if is_printable(letter) {
                format!("invalid character '{letter}' (U+{code:04X})")
            } else {
                format!("invalid non-printable character U+{code:04X}")
            };
            return Err(self.error(message));
        }
        Ok(())
    }
}

/// Whether a character is certainly in no identifier, whatever the Unicode version.
fn is_surely_no_letter(letter: char) -> bool {
    matches!(u32::from(letter),
        0x80..=0xa9 | 0xab..=0xb4 | 0xb6 | 0xb8..=0xb9 | 0xbb..=0xbf | 0xd7 | 0xf7
        | 0x2000..=0x203e | 0x2041..=0x2053 | 0x2055..=0x206f | 0x20a0..=0x20c0
        | 0x2190..=0x2426 | 0x2500..=0x2bff | 0x3000..=0x3004 | 0x3008..=0x3020
        | 0xe000..=0xf8ff | 0xfeff | 0xff01..=0xff0f | 0xff1a..=0xff20 | 0xfffc..=0xfffd
        | 0x1f300..=0x1f6c0)
}

fn is_printable(letter: char) -> bool {
    !matches!(u32::from(letter),
        0x80..=0xa0 | 0xad | 0x2000..=0x200f | 0x2028..=0x202f | 0x205f..=0x206f | 0x3000
        | 0xe000..=0xf8ff | 0xfeff)
}
