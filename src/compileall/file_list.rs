//! The file that `-i` names: one path a line.

/// Whether `str.strip()` removes the character.
fn is_python_space(character: char) -> bool {
    character.is_whitespace() || ('\x1c'..='\x1f').contains(&character)
}

/// The paths in a list: each line without the white space around it. An empty line is an empty
/// path, as in compileall (which then cannot list it). Lines end in `\n`, `\r` or `\r\n`.
///
/// Unlike compileall's, the list may name paths that are no UTF-8.
pub fn parse_file_list(list: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<&[u8]> = Vec::new();
    let mut rest = list;
    while !rest.is_empty() {
        let end = rest
            .iter()
            .position(|byte| matches!(byte, b'\n' | b'\r'))
            .unwrap_or(rest.len());
        let (line, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        lines.push(line);
        rest = tail
            .strip_prefix(b"\r\n")
            .or_else(|| tail.get(1..))
            .unwrap_or_default();
    }
    lines
        .into_iter()
        .map(|line| match std::str::from_utf8(line) {
            Ok(text) => text.trim_matches(is_python_space).as_bytes().to_vec(),
            Err(_) => line.trim_ascii().to_vec(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_stripped_and_may_end_in_any_way() {
        let list = b" a.py \r\nb\t\rc d\n\n\xff.py \n\x1ce\xc2\xa0";
        let expected: [&[u8]; 6] = [b"a.py", b"b", b"c d", b"", b"\xff.py", b"e"];
        assert_eq!(parse_file_list(list), expected);
        assert!(parse_file_list(b"").is_empty());
    }
}
