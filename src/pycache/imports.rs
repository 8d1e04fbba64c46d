//! Which modules a source seems to import when it is loaded, read off its text.
//!
//! A guess that costs microseconds and may be wrong in both directions: its only use is to decide
//! what to compile ahead. Statements inside functions and classes are passed over, since they do
//! not run when the module is loaded.

/// How many imports of one source are looked at.
const MOST: usize = 200;
/// How far a parenthesized list of names may reach, in bytes.
const LONGEST_LIST: usize = 4096;

/// One guessed import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// Leading dots: 0 for an absolute import.
    pub level: usize,
    /// The dotted name after the dots, split at its dots; may be empty.
    pub module: Vec<String>,
    /// The names after `import` in a `from` statement: each may be a submodule.
    pub names: Vec<String>,
}

/// The imports of a source, in the order of its text.
pub fn guess(source: &[u8]) -> Vec<Import> {
    let text = String::from_utf8_lossy(source);
    let mut found = Vec::new();
    let mut in_body = false;
    let mut position = 0;
    for line in text.split_inclusive('\n') {
        let start = position;
        position += line.len();
        let statement = line.trim_start_matches([' ', '\t']);
        if statement.trim().is_empty() || statement.starts_with('#') {
            continue;
        }
        if statement.len() == line.len() {
            in_body = ["def ", "class ", "async def ", "@"]
                .iter()
                .any(|word| line.starts_with(word));
        }
        if in_body {
            continue;
        }
        if let Some(names) = statement.strip_prefix("import ") {
            found.extend(names.split(',').filter_map(absolute));
        } else if let Some(rest) = statement.strip_prefix("from ") {
            let tail = text.get(start + line.len()..).unwrap_or_default();
            found.extend(from(rest, tail));
        }
        if found.len() >= MOST {
            break;
        }
    }
    found.truncate(MOST);
    found
}

/// `a.b as c` of an `import` statement.
fn absolute(part: &str) -> Option<Import> {
    let name = part.split_whitespace().next()?;
    Some(Import {
        level: 0,
        module: dotted(name)?,
        names: Vec::new(),
    })
}

/// What follows `from`; `tail` is the text after that line.
fn from(rest: &str, tail: &str) -> Option<Import> {
    let (module, names) = rest
        .split_once(" import ")
        .or_else(|| rest.split_once(" import("))?;
    let module = module.trim();
    let undotted = module.trim_start_matches('.');
    let level = module.len() - undotted.len();
    let mut list = names.trim_start_matches([' ', '(']).to_owned();
    let parenthesized = names.trim_start().starts_with('(') || rest.contains("import(");
    if parenthesized && !list.contains(')') {
        let window = tail
            .char_indices()
            .nth(LONGEST_LIST)
            .map_or(tail, |(end, _)| tail.get(..end).unwrap_or(tail));
        list.push_str(window.split(')').next().unwrap_or_default());
    }
    let list = list.split(')').next().unwrap_or_default();
    let names = list
        .lines()
        .flat_map(|line| line.split('#').next().unwrap_or_default().split(','))
        .filter_map(|part| part.split_whitespace().next())
        .filter(|name| is_name(name))
        .map(str::to_owned)
        .collect();
    let module = if undotted.is_empty() {
        Vec::new()
    } else {
        dotted(undotted)?
    };
    Some(Import {
        level,
        module,
        names,
    })
}

fn dotted(name: &str) -> Option<Vec<String>> {
    let parts: Vec<String> = name.split('.').map(str::to_owned).collect();
    parts.iter().all(|part| is_name(part)).then_some(parts)
}

fn is_name(text: &str) -> bool {
    let mut letters = text.chars();
    letters
        .next()
        .is_some_and(|first| first.is_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(level: usize, module: &str, names: &[&str]) -> Import {
        Import {
            level,
            module: module
                .split('.')
                .filter(|part| !part.is_empty())
                .map(str::to_owned)
                .collect(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn imports_that_run_at_load_time_are_found_in_order() {
        let source = b"'''doc'''\nimport os, a.b as c\nfrom . import x, y as z\nfrom ..p.q import (\n    m,  # why\n    n,\n)\n\
            try:\n    from fast import f\nexcept ImportError:\n    import slow\nclass C:\n    import never\ndef g():\n    import later\nimport last\n";
        let expected = [
            import(0, "os", &[]),
            import(0, "a.b", &[]),
            import(1, "", &["x", "y"]),
            import(2, "p.q", &["m", "n"]),
            import(0, "fast", &["f"]),
            import(0, "slow", &[]),
            import(0, "last", &[]),
        ];
        assert_eq!(guess(source), expected);
    }

    #[test]
    fn anything_else_gives_no_import_and_no_panic() {
        for source in [
            "import",
            "from",
            "from x",
            "import ..",
            "from . import (",
            "from 1 import 2",
            "import \u{e9},",
            "\u{ff}\0",
        ] {
            let names: usize = guess(source.as_bytes())
                .iter()
                .map(|import| import.names.len())
                .sum();
            assert_eq!(names, 0, "{source:?}");
        }
    }
}
