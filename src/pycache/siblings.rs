//! Modules that nothing imports by name, and that are likely to be asked for nevertheless: the next
//! ones of a directory of which one after the other is asked for, and in a package what the packages
//! beside it had, as the `models` of one application after the other.
//!
//! Invariants: what is asked for once leads to nothing, and what is likely grows with what was asked
//! for, so that it is never many times as much.

use hashlink::LruCache;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::pyc::{Level, Target};
use crate::tree::symlink::split;
use crate::tree::{self, Dir, Error, Kind};

/// How many directories are remembered.
const REMEMBERED: usize = 1024;
/// When so many modules of a directory were asked for, the next ones are likely to be.
const FEW: usize = 2;
/// How many are likely at once, at first and at most.
const WINDOW: std::ops::RangeInclusive<usize> = 4..=32;
/// In a directory with more names nothing is likely.
const LARGE: usize = 4096;
/// Of so many names of modules it is counted how many packages of a directory have them.
const COMMON: usize = 16;

#[derive(Default)]
struct Run {
    asked: usize,
    /// How many may be asked for until more are likely.
    left: usize,
    window: usize,
    packages: usize,
    /// Modules of its packages by name, and in how many they were asked for.
    common: Vec<(OsString, usize)>,
}

impl Run {
    /// Says how many of the next ones are likely now.
    fn step(&mut self) -> usize {
        self.asked += 1;
        if self.asked < FEW {
            return 0;
        }
        if self.left > 0 {
            self.left -= 1;
            return 0;
        }
        self.window = (self.window * 2).clamp(*WINDOW.start(), *WINDOW.end());
        // While there are still some of the last ones.
        self.left = self.window / 2;
        self.window
    }

    fn count(&mut self, stem: &OsStr) {
        if let Some((_, count)) = self.common.iter_mut().find(|(name, _)| name == stem) {
            *count += 1;
            return;
        }
        if self.common.len() >= COMMON {
            let rarest = self.common.iter().position(|(_, count)| *count == 1);
            let Some(rarest) = rarest else { return };
            self.common.remove(rarest);
        }
        self.common.push((stem.to_owned(), 1));
    }

    fn common(&self) -> Vec<OsString> {
        let usual = |count: usize| count > 1 && count * 3 >= self.packages;
        let names = self.common.iter().filter(|(_, count)| usual(*count));
        names.map(|(name, _)| name.clone()).collect()
    }
}

/// What is likely to be asked for after a module.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Likely {
    /// How many of the modules that come next in its directory; 0: none.
    pub next: usize,
    /// Modules that packages of that directory have in common.
    pub common: Vec<OsString>,
}

/// What was asked for in each directory.
pub(super) struct Siblings {
    runs: LruCache<(OsString, Target, Level), Run>,
}

impl Default for Siblings {
    fn default() -> Siblings {
        Siblings {
            runs: LruCache::new(REMEMBERED),
        }
    }
}

impl Siblings {
    /// Notes that the source `STEM.py` in the directory `path` was asked for.
    pub fn asked(&mut self, path: &OsStr, stem: &[u8], target: Target, level: Level) -> Likely {
        let (directory, _) = member(path, stem);
        let is_package = is_package(path, stem);
        if !is_package && !path.is_empty() {
            let above = split(path).0;
            self.run(above, target, level)
                .count(OsStr::from_bytes(stem));
        }
        let run = self.run(directory, target, level);
        run.packages += usize::from(is_package);
        let next = run.step();
        let common = match is_package || next > 0 {
            true => run.common(),
            false => Vec::new(),
        };
        Likely { next, common }
    }

    /// From now on no module is likely because it is in this directory.
    pub fn leave(&mut self, directory: &OsStr, target: Target, level: Level) {
        self.run(directory, target, level).left = usize::MAX;
    }

    fn run(&mut self, directory: &OsStr, target: Target, level: Level) -> &mut Run {
        let key = (directory.to_owned(), target, level);
        self.runs.entry(key).or_insert_with(Run::default)
    }
}

/// Whether the source `STEM.py` makes its directory a package; the root is none.
pub(super) fn is_package(path: &OsStr, stem: &[u8]) -> bool {
    stem == b"__init__" && !path.is_empty()
}

/// The directory that a source is a module of, and the module's name there: a package is one of
/// the directory that it lies in.
pub(super) fn member<'a>(path: &'a OsStr, stem: &'a [u8]) -> (&'a OsStr, &'a [u8]) {
    if !is_package(path, stem) {
        return (path, stem);
    }
    let (parent, name) = split(path);
    (parent, name.as_bytes())
}

/// Up to `most` modules and packages of a directory that come after `last`, as those do who sort
/// them: their names, and whether each is a package. `None` if the directory is too large.
pub(super) fn next(
    dir: &Dir,
    last: &[u8],
    most: usize,
) -> Result<Option<Vec<(OsString, bool)>>, Error> {
    let mut names = Vec::new();
    let mut seen = 0;
    tree::list(dir, |entry| {
        seen += 1;
        let (name, is_package) = match entry.kind {
            Some(Kind::Directory) => (Some(entry.name.as_bytes()), true),
            _ => (entry.source_stem(), false),
        };
        let is_module =
            |name: &&[u8]| *name > last && !name.contains(&b'.') && *name != b"__pycache__";
        names.extend(
            name.filter(is_module)
                .map(|name| (name.to_vec(), is_package)),
        );
        seen <= LARGE
    })?;
    if seen > LARGE {
        return Ok(None);
    }
    names.sort_unstable();
    names.truncate(most);
    let named = |(name, is_package)| (OsString::from_vec(name), is_package);
    Ok(Some(names.into_iter().map(named).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Root;

    fn asked(siblings: &mut Siblings, path: &str, stem: &str) -> Likely {
        let target = Target::from_minor(13).unwrap();
        siblings.asked(OsStr::new(path), stem.as_bytes(), target, Level::O0)
    }

    #[test]
    fn a_directory_of_which_few_were_asked_for_is_left_alone_and_others_grow_in_steps() {
        let mut siblings = Siblings::default();
        let mut ask = |directory: &str| asked(&mut siblings, directory, "m").next;
        let told: Vec<usize> = (0..9).map(|_| ask("a")).collect();
        assert_eq!(told, [0, 4, 0, 0, 8, 0, 0, 0, 0]);
        assert_eq!(ask("b"), 0);
        let most = (0..200).map(|_| ask("a")).max();
        assert_eq!(most, Some(32));
        siblings.leave(OsStr::new("a"), Target::from_minor(13).unwrap(), Level::O0);
        let most = (0..200).map(|_| asked(&mut siblings, "a", "m").next).max();
        assert_eq!(most, Some(0));
    }

    #[test]
    fn what_packages_side_by_side_have_in_common_is_likely_in_the_next_one() {
        let mut siblings = Siblings::default();
        for package in ["apps/a", "apps/b"] {
            assert_eq!(asked(&mut siblings, package, "__init__").common, [""; 0]);
            asked(&mut siblings, package, "models");
            asked(
                &mut siblings,
                package,
                package.strip_prefix("apps/").unwrap(),
            );
        }
        assert_eq!(
            asked(&mut siblings, "apps/c", "__init__").common,
            ["models"]
        );
        assert_eq!(asked(&mut siblings, "other/c", "__init__").common, [""; 0]);
        // What most of them lack is not.
        for number in 0..10 {
            asked(&mut siblings, &format!("apps/d{number}"), "__init__");
        }
        assert_eq!(asked(&mut siblings, "apps/e", "__init__").common, [""; 0]);
    }

    #[test]
    fn the_next_names_are_those_that_a_sorted_walk_comes_to() {
        let tree = tempfile::tempdir().unwrap();
        for name in ["b.py", "a.py", "d.py", "d.txt", "e.x.py", "z"] {
            std::fs::write(tree.path().join(name), "").unwrap();
        }
        for name in ["c", "__pycache__"] {
            std::fs::create_dir(tree.path().join(name)).unwrap();
        }
        let root = Root::open(tree.path(), false).unwrap().current();
        let dir = Dir::open(&*root, OsStr::new("")).unwrap();
        let [b, c, d] = [("b", false), ("c", true), ("d", false)]
            .map(|(name, is_package)| (OsString::from(name), is_package));
        assert_eq!(
            next(&dir, b"a", 9).unwrap().unwrap(),
            [b.clone(), c.clone(), d]
        );
        assert_eq!(next(&dir, b"a", 2).unwrap().unwrap(), [b, c]);
        for number in 0..LARGE {
            std::fs::create_dir(tree.path().join(format!("x{number}"))).unwrap();
        }
        assert_eq!(next(&dir, b"a", 2).unwrap(), None);
        let path = OsStr::new("lib/pkg");
        assert_eq!(member(path, b"mod"), (path, &b"mod"[..]));
        assert_eq!(member(path, b"__init__"), (OsStr::new("lib"), &b"pkg"[..]));
        assert_eq!(member(OsStr::new(""), b"__init__").1, b"__init__");
    }
}
