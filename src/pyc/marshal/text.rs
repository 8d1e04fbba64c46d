//! Strings as marshal has them: UTF-8 in which lone surrogates are let through.

use std::borrow::Cow;

use super::{FLAG_REF, code};

/// Which of the three records a string is written as; CPython chooses by the string alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TextForm {
    /// ASCII, less than 256 characters.
    ShortAscii,
    /// ASCII, longer.
    Ascii,
    /// Everything else.
    Unicode,
}

/// A string object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Text<'a> {
    bytes: Cow<'a, [u8]>,
    form: TextForm,
    /// Whether the string is interned, which is part of the record's type byte.
    pub interned: bool,
}

impl<'a> Text<'a> {
    /// A string of UTF-8 with lone surrogates encoded as `surrogatepass` does, in the record that
    /// CPython writes for it. `None` if the bytes are no such text.
    pub fn new(bytes: impl Into<Cow<'a, [u8]>>, interned: bool) -> Option<Text<'a>> {
        let bytes = bytes.into();
        let form = match (bytes.is_ascii(), bytes.len()) {
            (true, ..256) => TextForm::ShortAscii,
            (true, 256..) => TextForm::Ascii,
            (false, _) => TextForm::Unicode,
        };
        Text::with_form(bytes, form, interned)
    }

    /// A string in a given record form. `None` if that form cannot hold the bytes.
    pub fn with_form(
        bytes: impl Into<Cow<'a, [u8]>>,
        form: TextForm,
        interned: bool,
    ) -> Option<Text<'a>> {
        let bytes = bytes.into();
        let fits = match form {
            TextForm::ShortAscii => bytes.is_ascii() && bytes.len() < 256,
            TextForm::Ascii => bytes.is_ascii(),
            TextForm::Unicode => is_text(&bytes),
        };
        fits.then_some(Text {
            bytes,
            form,
            interned,
        })
    }

    /// The string that `os.fsdecode` makes of a file name under UTF-8: bytes that are no UTF-8
    /// become surrogates U+DC80 to U+DCFF.
    pub fn of_file_name(name: &'a [u8], interned: bool) -> Text<'a> {
        let bytes = match std::str::from_utf8(name) {
            Ok(_) => Cow::Borrowed(name),
            Err(_) => Cow::Owned(escape_surrogates(name)),
        };
        let form = match (bytes.is_ascii(), bytes.len()) {
            (true, ..256) => TextForm::ShortAscii,
            (true, 256..) => TextForm::Ascii,
            (false, _) => TextForm::Unicode,
        };
        Text {
            bytes,
            form,
            interned,
        }
    }

    /// The text: UTF-8, lone surrogates as three bytes each.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The record it is written as.
    pub fn form(&self) -> TextForm {
        self.form
    }

    /// The same text, owned.
    pub fn into_owned(self) -> Text<'static> {
        Text {
            bytes: Cow::Owned(self.bytes.into_owned()),
            form: self.form,
            interned: self.interned,
        }
    }

    /// The size in bytes of the whole record.
    pub fn record_len(&self) -> usize {
        let length_field = match self.form {
            TextForm::ShortAscii => 1,
            TextForm::Ascii | TextForm::Unicode => 4,
        };
        1 + length_field + self.bytes.len()
    }

    /// Appends the whole record.
    pub(in crate::pyc) fn write_record(&self, flag_ref: bool, out: &mut Vec<u8>) {
        let code = match (self.form, self.interned) {
            (TextForm::ShortAscii, false) => code::SHORT_ASCII,
            (TextForm::ShortAscii, true) => code::SHORT_ASCII_INTERNED,
            (TextForm::Ascii, false) => code::ASCII,
            (TextForm::Ascii, true) => code::ASCII_INTERNED,
            (TextForm::Unicode, false) => code::UNICODE,
            (TextForm::Unicode, true) => code::UNICODE_INTERNED,
        };
        out.push(if flag_ref { code | FLAG_REF } else { code });
        // A form is only made for bytes whose length fits; marshal ends at 2 GiB as CPython does.
        let [low, rest @ ..] = (self.bytes.len() as u32).to_le_bytes();
        out.push(low);
        match self.form {
            TextForm::ShortAscii => {}
            TextForm::Ascii | TextForm::Unicode => out.extend_from_slice(&rest),
        }
        out.extend_from_slice(&self.bytes);
    }
}

/// Whether the bytes are UTF-8 in which surrogates may be encoded like other characters.
fn is_text(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    loop {
        let valid = match std::str::from_utf8(rest) {
            Ok(_) => return true,
            Err(error) => error.valid_up_to(),
        };
        rest = match rest.get(valid..) {
            Some([0xED, 0xA0..=0xBF, 0x80..=0xBF, rest @ ..]) => rest,
            _ => return false,
        };
    }
}

/// Each byte that is no part of valid UTF-8 becomes the surrogate U+DC00 + byte.
fn escape_surrogates(name: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(name.len() * 2);
    for chunk in name.utf8_chunks() {
        text.extend_from_slice(chunk.valid().as_bytes());
        for byte in chunk.invalid() {
            text.extend([0xED, 0xB0 | byte >> 6, 0x80 | byte & 0x3F]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn undecodable_file_name_bytes_become_surrogates() {
        let text = Text::of_file_name(b"a\x80\xffb\xed\xa0\x80", false);
        assert_eq!(
            text.bytes(),
            b"a\xed\xb2\x80\xed\xb3\xbfb\xed\xb3\xad\xed\xb2\xa0\xed\xb2\x80"
        );
        assert!(is_text(text.bytes()));
    }

    #[test]
    fn text_is_utf8_and_surrogates_and_nothing_else() {
        for text in [
            &b""[..],
            b"abc",
            "é€𝄞".as_bytes(),
            b"\xed\xa0\x80",
            b"x\xed\xbf\xbfy",
        ] {
            assert!(is_text(text), "{}", text.escape_ascii());
        }
        for bytes in [
            &b"\x80"[..],
            b"\xed\xa0",
            b"\xed\xa0\xed",
            b"\xc0\x80",
            b"\xf5\x80\x80\x80",
        ] {
            assert!(!is_text(bytes), "{}", bytes.escape_ascii());
        }
    }
}
