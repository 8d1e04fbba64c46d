//! Which interpreter a pyc is for: CPython's minor version and the optimization level.

use std::fmt;
use std::str::FromStr;

/// A CPython minor version, 3.6 to 3.15. Bytecode is specific to it (PEP 3147's cache tag).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Target {
    minor: u8,
}

/// The text named no CPython from 3.6 to 3.15.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a CPython version from 3.6 to 3.15")]
pub struct UnknownTarget(pub String);

impl Target {
    /// The oldest minor version that is covered.
    pub const OLDEST: Target = Target { minor: 6 };
    /// The newest minor version that is covered.
    pub const NEWEST: Target = Target { minor: 15 };

    /// The target of CPython 3.`minor`, if it is covered.
    pub fn from_minor(minor: u8) -> Option<Target> {
        let target = Target { minor };
        (Self::OLDEST..=Self::NEWEST)
            .contains(&target)
            .then_some(target)
    }

    /// Every covered target, oldest first.
    pub fn all() -> impl DoubleEndedIterator<Item = Target> {
        (Self::OLDEST.minor..=Self::NEWEST.minor).map(|minor| Target { minor })
    }

    /// The `Y` of `3.Y`.
    pub fn minor(self) -> u8 {
        self.minor
    }

    /// `sys.implementation.cache_tag`, for example `cpython-313`.
    pub fn cache_tag(self) -> String {
        format!("cpython-3{}", self.minor)
    }

    /// The target whose cache tag this is.
    pub fn from_cache_tag(tag: &[u8]) -> Option<Target> {
        let minor = std::str::from_utf8(tag.strip_prefix(b"cpython-3")?).ok()?;
        let canonical = !minor.starts_with('0') && minor.bytes().all(|b| b.is_ascii_digit());
        if !canonical {
            return None;
        }
        Target::from_minor(minor.parse().ok()?)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "3.{}", self.minor)
    }
}

impl FromStr for Target {
    type Err = UnknownTarget;

    fn from_str(text: &str) -> Result<Target, UnknownTarget> {
        text.strip_prefix("3.")
            .filter(|minor| minor.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|minor| minor.parse().ok())
            .and_then(Target::from_minor)
            .ok_or_else(|| UnknownTarget(text.to_owned()))
    }
}

/// An optimization level: none, `-O` (no asserts), `-OO` (no docstrings either).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// No optimization: the file name has no `.opt-` part.
    O0,
    /// `-O`: `.opt-1`.
    O1,
    /// `-OO`: `.opt-2`.
    O2,
}

impl Level {
    /// Every level, in order.
    pub const ALL: [Level; 3] = [Level::O0, Level::O1, Level::O2];

    /// The number `compile(optimize=…)` takes.
    pub fn number(self) -> u8 {
        match self {
            Level::O0 => 0,
            Level::O1 => 1,
            Level::O2 => 2,
        }
    }

    /// The level of that number.
    pub fn from_number(number: u8) -> Option<Level> {
        Level::ALL
            .into_iter()
            .find(|level| level.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_tags_round_trip_for_every_target() {
        for target in Target::all() {
            assert_eq!(
                Target::from_cache_tag(target.cache_tag().as_bytes()),
                Some(target)
            );
            assert_eq!(target.to_string().parse::<Target>(), Ok(target));
        }
    }

    #[test]
    fn foreign_tags_are_no_target() {
        for tag in [
            "cpython-35",
            "cpython-316",
            "cpython-306",
            "cpython-3+8",
            "cpython-3",
            "pypy310",
            "",
        ] {
            assert_eq!(Target::from_cache_tag(tag.as_bytes()), None, "{tag}");
        }
    }
}
