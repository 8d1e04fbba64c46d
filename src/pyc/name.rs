//! The names of cache files: `STEM.TAG.pyc` and `STEM.TAG.opt-N.pyc` (PEP 3147, PEP 488).
//!
//! Invariant: a name that parses is the name that CPython gives to the cache of `STEM.py`, and
//! making the file name again gives the same bytes.

use super::target::{Level, Target};

/// What the name of a cache file says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CacheName {
    /// The source's name without `.py`: not empty, may have dots and bytes that are no UTF-8.
    pub stem: Vec<u8>,
    /// The interpreter version that reads the file.
    pub target: Target,
    /// The optimization level that reads the file.
    pub level: Level,
}

impl CacheName {
    /// Reads a file name (no directory). `None` for every name that CPython 3.6 to 3.15 does not
    /// write by itself, so also for `.opt-0`, for other implementations' tags and for a stem that
    /// is empty.
    pub fn parse(file_name: &[u8]) -> Option<CacheName> {
        if file_name.iter().any(|&byte| byte == b'/' || byte == 0) {
            return None;
        }
        let name = file_name.strip_suffix(b".pyc")?;
        let (name, level) = if let Some(name) = name.strip_suffix(b".opt-1") {
            (name, Level::O1)
        } else if let Some(name) = name.strip_suffix(b".opt-2") {
            (name, Level::O2)
        } else {
            (name, Level::O0)
        };
        let dot = name.iter().rposition(|&byte| byte == b'.')?;
        let (stem, dot_tag) = name.split_at_checked(dot)?;
        let target = Target::from_cache_tag(dot_tag.strip_prefix(b".")?)?;
        (!stem.is_empty()).then(|| CacheName {
            stem: stem.to_owned(),
            target,
            level,
        })
    }

    /// The cache file's name, without directory.
    pub fn file_name(&self) -> Vec<u8> {
        let mut name = self.stem.clone();
        name.push(b'.');
        name.extend_from_slice(self.target.cache_tag().as_bytes());
        name.extend_from_slice(match self.level {
            Level::O0 => b"",
            Level::O1 => b".opt-1",
            Level::O2 => b".opt-2",
        });
        name.extend_from_slice(b".pyc");
        name
    }

    /// The name of the source that the cache file is for: `STEM.py`, in the parent directory.
    pub fn source_name(&self) -> Vec<u8> {
        let mut name = self.stem.clone();
        name.extend_from_slice(b".py");
        name
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_that_cpython_does_not_write_are_no_cache_names() {
        for name in [
            &b"m.pyc"[..],
            b"m.cpython-313.opt-0.pyc",
            b"m.cpython-313.opt-3.pyc",
            b"m.cpython-313.opt-.pyc",
            b"m.cpython-313.opt-1.opt-2.pyc",
            b"m.cpython-313.pyo",
            b"m.cpython-313.pyc.140234",
            b"m.pypy310.pyc",
            b"m.cpython-27.pyc",
            b"m.cpython-316.pyc",
            b".cpython-313.pyc",
            b"cpython-313.pyc",
            b"a/m.cpython-313.pyc",
            b"m\0.cpython-313.pyc",
            b".pyc",
            b"",
        ] {
            assert_eq!(CacheName::parse(name), None, "{}", name.escape_ascii());
        }
    }

    #[test]
    fn a_stem_may_look_like_a_cache_name_itself() {
        let name = CacheName::parse(b"m.cpython-312.opt-1.cpython-313.opt-2.pyc").unwrap();
        assert_eq!(name.stem, b"m.cpython-312.opt-1");
        assert_eq!(name.target.minor(), 13);
        assert_eq!(name.level, Level::O2);
        assert_eq!(name.source_name(), b"m.cpython-312.opt-1.py");
    }

    proptest! {
        #[test]
        fn every_name_round_trips(
            stem in proptest::collection::vec(any::<u8>(), 1..20),
            minor in 6u8..=15,
            level in 0u8..=2,
        ) {
            prop_assume!(!stem.contains(&b'/') && !stem.contains(&0));
            let name = CacheName {
                stem,
                target: Target::from_minor(minor).unwrap(),
                level: Level::from_number(level).unwrap(),
            };
            prop_assert_eq!(CacheName::parse(&name.file_name()), Some(name));
        }

        #[test]
        fn what_parses_is_made_again(bytes in any::<Vec<u8>>(), tail in 0usize..3) {
            let tails = [&b".cpython-38.pyc"[..], b".cpython-310.opt-1.pyc", b".pyc"];
            let bytes = [&bytes, tails[tail]].concat();
            if let Some(name) = CacheName::parse(&bytes) {
                prop_assert_eq!(name.file_name(), bytes);
            }
        }
    }
}
