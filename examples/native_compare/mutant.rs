//! Files with a few lines or tokens deleted, doubled, swapped or replaced. The seed decides.

/// Makes mutants.
pub struct Mutator(u64);

impl Mutator {
    pub fn new(seed: u64) -> Mutator {
        let mut mutator = Mutator(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            mutator.next();
        }
        mutator
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `bound`, or 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from((self.next() >> 11) % bound.max(1) as u64).unwrap()
    }

    /// One mutant of a source: a stretch of it, with one to three changes.
    pub fn mutate(&mut self, source: &[u8]) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> = source
            .split_inclusive(|&byte| byte == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        let most = 150;
        if lines.len() > most {
            // From a line that stands at the left margin, so that indentation fits.
            let mut start = self.below(lines.len() - most / 2);
            while start > 0 && !starts_statement(&lines[start]) {
                start -= 1;
            }
            lines.drain(..start);
            lines.truncate(most);
            while lines.len() > 1 && !starts_statement(lines.last().unwrap()) {
                lines.pop();
            }
            lines.pop();
        }
        for _ in 0..=self.below(3) {
            if lines.is_empty() {
                break;
            }
            let at = self.below(lines.len());
            match self.below(10) {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, lines[at].clone()),
                2 => {
                    let other = self.below(lines.len());
                    lines.swap(at, other);
                }
                3 => {
                    let line = &mut lines[at];
                    if self.below(2) == 0 {
                        line.splice(0..0, *b"    ");
                    } else {
                        let blank = line.iter().take(4).take_while(|&&byte| byte == b' ');
                        let blank = blank.count();
                        line.drain(..blank);
                    }
                }
                _ => {
                    let other = self.below(lines.len());
                    self.change_tokens(&mut lines, at, other);
                }
            }
        }
        lines.concat()
    }

    fn change_tokens(&mut self, lines: &mut [Vec<u8>], at: usize, other: usize) {
        let mut tokens = tokens(&lines[at]);
        let solid: Vec<usize> = (0..tokens.len())
            .filter(|&index| !tokens[index].iter().all(u8::is_ascii_whitespace))
            .collect();
        if solid.is_empty() {
            return;
        }
        let index = solid[self.below(solid.len())];
        match self.below(4) {
            0 => drop(tokens.remove(index)),
            1 => tokens.insert(index, [b" ", tokens[index].as_slice()].concat()),
            2 => {
                let second = solid[self.below(solid.len())];
                tokens.swap(index, second);
            }
            _ => {
                let theirs = self::tokens(&lines[other]);
                if let Some(token) = theirs.get(self.below(theirs.len())) {
                    tokens[index].clone_from(token);
                }
            }
        }
        lines[at] = tokens.concat();
    }
}

fn starts_statement(line: &[u8]) -> bool {
    line.first()
        .is_some_and(|&byte| byte.is_ascii_alphabetic() || byte == b'@' || byte == b'_')
}

/// Words, stretches of blanks, and single other bytes.
fn tokens(line: &[u8]) -> Vec<Vec<u8>> {
    let class = |byte: u8| match byte {
        b' ' | b'\t' => 0,
        _ if byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80 => 1,
        _ => 2,
    };
    let mut tokens: Vec<Vec<u8>> = Vec::new();
    for &byte in line {
        match tokens.last_mut() {
            Some(last) if class(byte) < 2 && class(last[0]) == class(byte) => last.push(byte),
            _ => tokens.push(vec![byte]),
        }
    }
    tokens
}
