//! The order in which compileall visits a tree.
//!
//! Owns directory reading. Invariant: the steps come one at a time in compileall's order, and no
//! more than the listings of one chain of directories is held.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::paths::join;
use super::pytext;

/// One step of the walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A directory is about to be listed.
    Listing(Vec<u8>),
    /// The directory could not be listed; compileall counts it as empty.
    Unlistable(Vec<u8>),
    /// Something that is no directory.
    File(Vec<u8>),
}

/// An entry that waits for its turn.
enum Pending {
    File(Vec<u8>),
    Dir { path: Vec<u8>, levels: i64 },
}

/// Walks a directory: entries sorted as Python sorts them, `__pycache__` and symbolic links to
/// directories left out, subdirectories at their place among the files.
pub struct Walk {
    /// For each directory that is open its entries that are left, last first.
    stack: Vec<Vec<Pending>>,
    /// The outcome of the listing that was announced.
    announced: Option<(Vec<u8>, i64)>,
}

impl Walk {
    /// A walk that starts at `dir` and goes down at most `levels` directories below it.
    pub fn new(dir: &[u8], levels: i64) -> Walk {
        Walk {
            stack: vec![vec![Pending::Dir {
                path: dir.to_vec(),
                levels,
            }]],
            announced: None,
        }
    }
}

impl Iterator for Walk {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if let Some((dir, levels)) = self.announced.take() {
            match list(&dir, levels) {
                Ok(entries) => self.stack.push(entries),
                Err(_) => return Some(Step::Unlistable(dir)),
            }
        }
        loop {
            let entries = self.stack.last_mut()?;
            match entries.pop() {
                Some(Pending::File(path)) => return Some(Step::File(path)),
                Some(Pending::Dir { path, levels }) => {
                    self.announced = Some((path.clone(), levels));
                    return Some(Step::Listing(path));
                }
                None => {
                    self.stack.pop();
                }
            }
        }
    }
}

/// The entries of a directory, in reverse order of visit.
fn list(dir: &[u8], levels: i64) -> io::Result<Vec<Pending>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(Path::new(OsStr::from_bytes(dir)))? {
        let entry = entry?;
        let name = entry.file_name().into_vec();
        if name != b"__pycache__" {
            names.push((name, entry.file_type()));
        }
    }
    names.sort_by(|(left, _), (right, _)| pytext::order(right, left));
    let mut entries = Vec::with_capacity(names.len());
    for (name, kind) in names {
        let path = join(dir, &name);
        match kind {
            Ok(kind) if kind.is_dir() => {
                if levels > 0 {
                    entries.push(Pending::Dir {
                        path,
                        levels: levels - 1,
                    });
                }
            }
            Ok(kind) if !kind.is_symlink() => entries.push(Pending::File(path)),
            Ok(_) | Err(_) => {
                let is_dir = fs::metadata(OsStr::from_bytes(&path)).is_ok_and(|meta| meta.is_dir());
                if !is_dir {
                    entries.push(Pending::File(path));
                }
            }
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn entries_are_visited_in_sorted_order_with_subdirectories_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for sub in ["b", "b/__pycache__", "b/deep"] {
            fs::create_dir(root.join(sub)).unwrap();
        }
        for file in [
            "a.py",
            "c.py",
            "b/x.py",
            "b/__pycache__/x.pyc",
            "b/deep/y.py",
        ] {
            fs::write(root.join(file), "").unwrap();
        }
        symlink("b", root.join("link")).unwrap();
        symlink("nowhere", root.join("broken.py")).unwrap();
        let text = root.to_str().unwrap();
        let at = |name: &str| format!("{text}/{name}").into_bytes();
        let all: Vec<Step> = Walk::new(text.as_bytes(), 1000).collect();
        assert_eq!(
            all,
            [
                Step::Listing(text.into()),
                Step::File(at("a.py")),
                Step::Listing(at("b")),
                Step::Listing(at("b/deep")),
                Step::File(at("b/deep/y.py")),
                Step::File(at("b/x.py")),
                Step::File(at("broken.py")),
                Step::File(at("c.py")),
            ]
        );
        let top: Vec<Step> = Walk::new(text.as_bytes(), 0).collect();
        assert_eq!(
            top,
            [
                Step::Listing(text.into()),
                Step::File(at("a.py")),
                Step::File(at("broken.py")),
                Step::File(at("c.py")),
            ]
        );
    }

    #[test]
    fn a_missing_directory_is_reported_and_counts_as_empty() {
        let steps: Vec<Step> = Walk::new(b"/no/such/dir", 5).collect();
        assert_eq!(
            steps,
            [
                Step::Listing(b"/no/such/dir".to_vec()),
                Step::Unlistable(b"/no/such/dir".to_vec()),
            ]
        );
    }
}
