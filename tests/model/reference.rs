//! The model: a small tree in memory, kept equal to the real source step by step.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::views::View;

/// The directories of the model, parents first.
pub const DIRECTORIES: [&str; 4] = ["", "a", "a/b", "c"];
/// The names of files and links in each.
pub const NAMES: [&str; 4] = ["m.py", "n.py", "text", "__init__.py"];
/// What links point to.
pub const LINK_TARGETS: [&str; 6] = [
    "n.py",
    "../n.py",
    "a/m.py",
    "missing.py",
    "/etc/passwd",
    "../../../../etc/passwd",
];

/// A name in a directory, by their positions above.
pub type At = (usize, usize);

/// One change of the source.
#[derive(Clone, Debug)]
pub enum Step {
    /// Writes a file in place (truncate and write).
    Write { at: At, content: u16 },
    /// Renames a new file over the name.
    Replace { at: At, content: u16 },
    /// Replaces the file by one of the same size and modification time.
    SameSizeAndTime { at: At, content: u16 },
    /// Writes what no interpreter compiles.
    Broken { at: At },
    /// Cuts a file to nothing.
    Truncate { at: At },
    /// Sets a file's modification time.
    Touch { at: At, time: u32 },
    /// Sets a file's permissions.
    Mode { at: At, mode: u32 },
    /// Removes a file or link.
    Remove { at: At },
    /// Renames a file or link over another name.
    Rename { from: At, to: At },
    /// Makes a symbolic link, over whatever file was there.
    Link { at: At, target: usize },
    /// Makes a directory.
    MakeDirectory { directory: usize },
    /// Removes a directory with all in it.
    RemoveDirectory { directory: usize },
    /// Renames a directory to another one's name, if that is free.
    MoveDirectory { from: usize, to: usize },
    /// Puts a real `__pycache__` with a wrong entry beside the sources.
    RealCache { directory: usize },
    /// Replaces the whole source directory by a copy of itself.
    ReplaceRoot,
    /// Takes the view away and makes it anew.
    Remount,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    File { text: String, mode: u32 },
    Link(&'static str),
}

/// The model and the source it follows.
pub struct Reference {
    source: PathBuf,
    directories: BTreeSet<String>,
    nodes: BTreeMap<String, Node>,
}

fn join(directory: &str, name: &str) -> String {
    match directory {
        "" => name.to_owned(),
        _ => format!("{directory}/{name}"),
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// A module whose code contains the number, always of one size.
fn text(content: u16) -> String {
    format!("value = 'mark{content:05}'\n\n\ndef f(x):\n    return x, value\n")
}

impl Reference {
    /// An empty tree.
    pub fn new(source: &Path) -> Reference {
        Reference {
            source: source.to_owned(),
            directories: BTreeSet::from([String::new()]),
            nodes: BTreeMap::new(),
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.source.join(path)
    }

    /// The path of a name, if its directory is there.
    fn at(&self, at: At) -> Option<String> {
        let directory = DIRECTORIES[at.0];
        self.directories
            .contains(directory)
            .then(|| join(directory, NAMES[at.1]))
    }

    fn file(&self, at: At) -> Option<(String, String)> {
        let path = self.at(at)?;
        match self.nodes.get(&path)? {
            Node::File { text, .. } => Some((path, text.clone())),
            Node::Link(_) => None,
        }
    }

    /// Makes the change, in the source and in the model.
    pub fn apply(&mut self, step: &Step) {
        match step {
            Step::Write { at, content } => self.write(*at, &text(*content)),
            Step::Broken { at } => self.write(*at, "def f(:\n"),
            Step::Replace { at, content } => {
                if let Some(path) = self.at(*at) {
                    self.replace(&path, &text(*content), None);
                }
            }
            Step::SameSizeAndTime { at, content } => {
                if let Some((path, old)) = self.file(*at)
                    && old.len() == text(0).len()
                {
                    let time = fs::metadata(self.path(&path)).unwrap().modified().unwrap();
                    self.replace(&path, &text(*content), Some(time));
                }
            }
            Step::Truncate { at } => {
                if self.file(*at).is_some() {
                    self.write(*at, "");
                }
            }
            Step::Touch { at, time } => {
                if let Some((path, _)) = self.file(*at) {
                    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::from(*time));
                    File::open(self.path(&path))
                        .unwrap()
                        .set_times(FileTimes::new().set_modified(time))
                        .unwrap();
                }
            }
            Step::Mode { at, mode } => {
                if let Some((path, text)) = self.file(*at) {
                    fs::set_permissions(self.path(&path), fs::Permissions::from_mode(*mode))
                        .unwrap();
                    self.nodes.insert(path, Node::File { text, mode: *mode });
                }
            }
            Step::Remove { at } => {
                if let Some(path) = self.at(*at)
                    && self.nodes.remove(&path).is_some()
                {
                    fs::remove_file(self.path(&path)).unwrap();
                }
            }
            Step::Rename { from, to } => {
                if let (Some(from), Some(to)) = (self.at(*from), self.at(*to))
                    && let Some(node) = self.nodes.remove(&from)
                {
                    fs::rename(self.path(&from), self.path(&to)).unwrap();
                    self.nodes.insert(to, node);
                }
            }
            Step::Link { at, target } => {
                if let Some(path) = self.at(*at) {
                    let target = LINK_TARGETS[*target];
                    let _ = fs::remove_file(self.path(&path));
                    symlink(target, self.path(&path)).unwrap();
                    self.nodes.insert(path, Node::Link(target));
                }
            }
            Step::MakeDirectory { directory } => {
                let path = DIRECTORIES[*directory];
                if self.directories.contains(parent(path)) && !self.directories.contains(path) {
                    fs::create_dir(self.path(path)).unwrap();
                    self.directories.insert(path.to_owned());
                }
            }
            Step::RemoveDirectory { directory } => {
                let path = DIRECTORIES[*directory];
                if !path.is_empty() && self.directories.contains(path) {
                    fs::remove_dir_all(self.path(path)).unwrap();
                    self.forget_directory(path);
                }
            }
            Step::MoveDirectory { from, to } => {
                self.move_directory(DIRECTORIES[*from], DIRECTORIES[*to]);
            }
            Step::RealCache { directory } => {
                let path = DIRECTORIES[*directory];
                if self.directories.contains(path) {
                    let cache = self.path(path).join("__pycache__");
                    fs::create_dir_all(&cache).unwrap();
                    fs::write(cache.join("m.cpython-313.pyc"), "no code at all").unwrap();
                }
            }
            Step::ReplaceRoot => {
                let new = self.source.with_extension("new");
                let old = self.source.with_extension("old");
                copy(&self.source, &new);
                fs::rename(&self.source, &old).unwrap();
                fs::rename(&new, &self.source).unwrap();
                fs::remove_dir_all(&old).unwrap();
            }
            Step::Remount => unreachable!("the view's business"),
        }
    }

    fn write(&mut self, at: At, text: &str) {
        let Some(path) = self.at(at) else { return };
        let mode = match self.nodes.get(&path) {
            // Writing through a link would change another name.
            Some(Node::Link(_)) => return,
            Some(Node::File { mode, .. }) => *mode,
            None => 0o644,
        };
        let full = self.path(&path);
        fs::write(&full, text).unwrap();
        fs::set_permissions(&full, fs::Permissions::from_mode(mode)).unwrap();
        let text = text.to_owned();
        self.nodes.insert(path, Node::File { text, mode });
    }

    fn replace(&mut self, path: &str, text: &str, time: Option<SystemTime>) {
        let new = self.source.with_extension("file");
        let mut file = File::create(&new).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.set_permissions(fs::Permissions::from_mode(0o644))
            .unwrap();
        if let Some(time) = time {
            file.set_modified(time).unwrap();
        }
        fs::rename(&new, self.path(path)).unwrap();
        let (text, mode) = (text.to_owned(), 0o644);
        self.nodes
            .insert(path.to_owned(), Node::File { text, mode });
    }

    fn within(&self, path: &str, directory: &str) -> bool {
        path == directory || path.starts_with(&format!("{directory}/"))
    }

    fn forget_directory(&mut self, directory: &str) {
        let inside =
            |path: &String| path == directory || path.starts_with(&format!("{directory}/"));
        self.directories.retain(|path| !inside(path));
        self.nodes.retain(|path, _| !inside(path));
    }

    fn move_directory(&mut self, from: &str, to: &str) {
        let possible = !from.is_empty()
            && !to.is_empty()
            && self.directories.contains(from)
            && !self.directories.contains(to)
            && self.directories.contains(parent(to))
            && !self.within(to, from);
        if !possible {
            return;
        }
        fs::rename(self.path(from), self.path(to)).unwrap();
        let moved = |path: &str| format!("{to}{}", &path[from.len()..]);
        let directories: Vec<String> = self
            .directories
            .iter()
            .filter(|path| self.within(path, from))
            .map(|path| moved(path))
            .collect();
        let nodes: Vec<(String, Node)> = self
            .nodes
            .iter()
            .filter(|(path, _)| self.within(path, from))
            .map(|(path, node)| (moved(path), node.clone()))
            .collect();
        self.forget_directory(from);
        self.directories.extend(directories);
        self.nodes.extend(nodes);
    }

    /// The file that a path leads to, links followed; `None` where it leads to none beneath the
    /// root.
    fn resolve(&self, path: &str, depth: usize) -> Option<(&str, u32)> {
        if depth > 8 {
            return None;
        }
        match self.nodes.get(path)? {
            Node::File { text, mode } => Some((text, *mode)),
            Node::Link(target) if target.starts_with('/') => None,
            Node::Link(target) => {
                let mut place: Vec<&str> = match parent(path) {
                    "" => Vec::new(),
                    directory => directory.split('/').collect(),
                };
                for part in target.split('/') {
                    match part {
                        ".." => {
                            place.pop()?;
                        }
                        part => place.push(part),
                    }
                }
                self.resolve(&place.join("/"), depth + 1)
            }
        }
    }

    /// Compares everything that the view shows with the model; how many comparisons were made, or
    /// the first difference.
    pub fn compare(&self, view: &dyn View) -> Result<usize, String> {
        let mut count = 0;
        let mut check = |what: String, same: bool| {
            count += 1;
            if same { Ok(()) } else { Err(what) }
        };
        for directory in DIRECTORIES {
            let there = self.directories.contains(directory);
            let listed = view.list(directory);
            check(
                format!("{directory:?} is there: {there}, listed: {listed:?}"),
                listed.is_some() == there,
            )?;
            let Some(mut listed) = listed else { continue };
            let has_cache = listed.remove("__pycache__");
            let expected: BTreeSet<String> = self
                .directories
                .iter()
                .chain(self.nodes.keys())
                .filter(|path| !path.is_empty() && parent(path) == directory)
                .map(|path| path.rsplit('/').next().unwrap().to_owned())
                .collect();
            check(
                format!("{directory:?} lists {listed:?}, not {expected:?}"),
                listed == expected,
            )?;
            let sources = expected.iter().any(|name| name.ends_with(".py"));
            check(
                format!("{directory:?} lists a __pycache__: {has_cache}"),
                has_cache == sources,
            )?;
            for name in NAMES {
                let path = join(directory, name);
                self.compare_name(view, &path, &mut check)?;
            }
        }
        Ok(count)
    }

    fn compare_name(
        &self,
        view: &dyn View,
        path: &str,
        check: &mut impl FnMut(String, bool) -> Result<(), String>,
    ) -> Result<(), String> {
        let seen = view.stat(path);
        let real = fs::symlink_metadata(self.path(path)).ok();
        let node = self.nodes.get(path);
        check(
            format!("{path}: {seen:?} for {node:?}"),
            seen.is_some() == node.is_some() && real.is_some() == node.is_some(),
        )?;
        if let (Some(seen), Some(real)) = (seen, real) {
            let expected = (
                real.mode() & 0o7777,
                real.size(),
                real.mtime_nsec(),
                real.mtime(),
            );
            let found = (seen.mode & 0o7777, seen.size, seen.mtime_nsec, seen.mtime);
            check(
                format!("{path}: mode, size, time are {found:?}, not {expected:?}"),
                found == expected,
            )?;
        }
        if let Some(Node::File { text, .. }) = node {
            let read = view.read(path);
            check(
                format!("{path} reads {read:?}, not {text:?}"),
                read.as_deref() == Some(text.as_bytes()),
            )?;
        }
        if !path.ends_with(".py") {
            return Ok(());
        }
        let entry = view.entry(path);
        let compiled = self
            .resolve(path, 0)
            .filter(|(text, _)| !text.starts_with("def f("));
        check(
            format!(
                "{path}: there is an entry: {}, for {node:?}",
                entry.is_some()
            ),
            entry.is_some() == compiled.is_some(),
        )?;
        if let (Some(entry), Some((text, _))) = (entry, compiled) {
            let size = u32::from_le_bytes(entry[12..16].try_into().unwrap());
            check(
                format!("{path}: its entry is for {size} bytes"),
                size as usize == text.len(),
            )?;
            let mark = text.get(9..18).unwrap_or("value");
            let holds = |mark: &str| {
                entry
                    .windows(mark.len())
                    .any(|window| window == mark.as_bytes())
            };
            check(
                format!("{path}: its entry has {mark}"),
                holds(mark) != text.is_empty(),
            )?;
        }
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) {
    let done = std::process::Command::new("cp")
        .arg("-a")
        .args([from, to])
        .status();
    assert!(done.unwrap().success());
}
