//! Working ahead: the modules that a reader will ask for next, which are those that its modules
//! import and those that are likely ([`super::siblings`]), are read from the store, or compiled,
//! while it is busy with this one.
//!
//! Invariants: only a request for code starts it, and it goes no further than a number of modules
//! for each; it has no more than a fixed number of modules in mind and one under way, so that
//! readers keep the other threads; a failure is nobody's business.

use hashlink::LruCache;
use parking_lot::{Condvar, Mutex};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::imports::{Import, guess};
use super::siblings::{self, Likely, Siblings};
use super::synthesis::{Ask, Want};
use crate::pyc::{CacheName, Level, Target};
use crate::tree::symlink::{join, split};
use crate::tree::{Dir, RootDir};

/// How many modules may wait.
const WAITING: usize = 1024;
/// How many sources may wait whose imports were not looked for yet.
const NOTED: usize = 64;
/// How much of a source is looked at: imports come first.
const HEAD: usize = 64 << 10;
/// How many modules may be prepared for each request of a reader.
const EACH: usize = 3;
/// How many at most without a further request: what is prepared is to be in memory still when it is
/// asked for.
const LEAD: usize = 96;
/// After so long without a request all that waits is dropped: it keeps a root, which may be replaced.
const PATIENCE: Duration = Duration::from_secs(10);
/// A source that is larger is not compiled because it is likely to be asked for: it may be data.
const LARGE: u64 = 256 << 10;
/// How many modules that had their turn are remembered, not to be looked at again.
const REMEMBERED: usize = 16_384;

/// A module that may exist: `PATH.py` or `PATH/__init__.py`.
#[derive(Clone)]
struct Module {
    root: Arc<RootDir>,
    path: OsString,
    target: Target,
    level: Level,
    /// How large its source may be, in bytes.
    largest: u64,
}

/// A source whose imports are to be looked for.
struct Noted {
    root: Arc<RootDir>,
    /// Of its directory.
    path: OsString,
    target: Target,
    level: Level,
    head: Vec<u8>,
}

/// A module that was asked for, and what is likely to be next.
struct Asked {
    root: Arc<RootDir>,
    /// Of its directory.
    path: OsString,
    stem: Vec<u8>,
    target: Target,
    level: Level,
    likely: Likely,
}

struct Waiting {
    noted: Vec<Noted>,
    asked: Vec<Asked>,
    siblings: Siblings,
    stack: Vec<Module>,
    /// How many modules may be prepared.
    credit: usize,
    /// Modules that had their turn, and whether a reader asked for them.
    seen: LruCache<(OsString, Target, Level), bool>,
    stopped: bool,
}

impl Waiting {
    /// Puts a module on the stack unless it had its turn.
    fn push(&mut self, module: Module) {
        let key = (module.path.clone(), module.target, module.level);
        if !self.seen.contains_key(&key) {
            self.seen.insert(key, false);
            self.stack.push(module);
        }
    }

    /// Drops what waits longest, if too much does.
    fn shorten(&mut self) {
        let excess = self.stack.len().saturating_sub(WAITING);
        self.stack.drain(..excess);
    }
}

enum Next {
    Source(Noted),
    Asked(Asked),
    Module(Module),
}

/// The modules to prepare, the next one last.
pub struct Ahead {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Default for Ahead {
    fn default() -> Ahead {
        Ahead {
            waiting: Mutex::new(Waiting {
                noted: Vec::new(),
                asked: Vec::new(),
                siblings: Siblings::default(),
                stack: Vec::new(),
                credit: LEAD,
                seen: LruCache::new(REMEMBERED),
                stopped: false,
            }),
            changed: Condvar::new(),
        }
    }
}

impl Ahead {
    /// Notes that a reader asked for code.
    pub fn asked(&self, ask: &Ask) {
        let CacheName {
            ref stem,
            target,
            level,
        } = ask.name;
        let (directory, name) = siblings::member(&ask.path, stem);
        let key = (join(directory, OsStr::from_bytes(name)), target, level);
        let mut waiting = self.waiting.lock();
        let mut waits = waiting.credit == 0;
        waiting.credit = (waiting.credit + EACH).min(LEAD);
        // Each module counts once, however often it is asked for.
        let likely = match waiting.seen.insert(key, true) {
            Some(true) => Likely::default(),
            Some(false) | None => waiting.siblings.asked(&ask.path, stem, target, level),
        };
        if likely != Likely::default() && waiting.asked.len() < NOTED {
            waits = true;
            waiting.asked.push(Asked {
                root: Arc::clone(&ask.root),
                path: ask.path.clone(),
                stem: stem.clone(),
                target,
                level,
                likely,
            });
        }
        drop(waiting);
        if waits {
            self.changed.notify_one();
        }
    }

    /// Notes a source: what it imports will be asked for next.
    pub fn note(&self, ask: &Ask, source: &[u8]) {
        let noted = Noted {
            root: Arc::clone(&ask.root),
            path: ask.path.clone(),
            target: ask.name.target,
            level: ask.name.level,
            head: source.get(..HEAD).unwrap_or(source).to_vec(),
        };
        let mut waiting = self.waiting.lock();
        waiting.noted.push(noted);
        let excess = waiting.noted.len().saturating_sub(NOTED);
        waiting.noted.drain(..excess);
        drop(waiting);
        self.changed.notify_one();
    }

    /// Puts what a source imports on the stack.
    fn look_for_imports(&self, noted: &Noted) {
        let mut modules: Vec<OsString> = Vec::new();
        let home = top_of_packages(&noted.root, &noted.path);
        for import in guess(&noted.head) {
            modules.extend(candidates(&import, &noted.path, &home));
        }
        let mut waiting = self.waiting.lock();
        // What is imported first is to be on top.
        for path in modules.into_iter().rev() {
            waiting.push(Module {
                root: Arc::clone(&noted.root),
                path,
                target: noted.target,
                level: noted.level,
                largest: u64::MAX,
            });
        }
        waiting.shorten();
    }

    /// Puts what is likely to be asked for after a module on the stack.
    fn look_for_likely(&self, asked: &Asked) {
        let (directory, name) = siblings::member(&asked.path, &asked.stem);
        let mut paths = Vec::new();
        let package = |paths: &mut Vec<OsString>, path: &OsStr| {
            paths.extend(asked.likely.common.iter().map(|name| join(path, name)));
        };
        if siblings::is_package(&asked.path, &asked.stem) {
            package(&mut paths, &asked.path);
        }
        if asked.likely.next > 0 {
            let next = Dir::open(&*asked.root, directory)
                .and_then(|dir| siblings::next(&dir, name, asked.likely.next));
            match next {
                Ok(Some(names)) => {
                    for (name, is_package) in names {
                        let path = join(directory, &name);
                        paths.push(path.clone());
                        if is_package {
                            package(&mut paths, &path);
                        }
                    }
                }
                Ok(None) => {
                    let mut waiting = self.waiting.lock();
                    waiting.siblings.leave(directory, asked.target, asked.level);
                }
                Err(_) => {}
            }
        }
        let mut waiting = self.waiting.lock();
        for path in paths.into_iter().rev() {
            waiting.push(Module {
                root: Arc::clone(&asked.root),
                path,
                target: asked.target,
                level: asked.level,
                largest: LARGE,
            });
        }
        waiting.shorten();
    }

    /// Hands out modules to `prepare`, one after the other, until [`Ahead::stop`]. A panic costs one
    /// module's turn.
    pub fn run(&self, prepare: impl Fn(Ask)) {
        while let Some(next) = self.next() {
            let outcome = catch_unwind(AssertUnwindSafe(|| match next {
                Next::Source(noted) => self.look_for_imports(&noted),
                Next::Asked(asked) => self.look_for_likely(&asked),
                Next::Module(module) => {
                    if let Some(ask) = find(&module) {
                        self.pay();
                        prepare(ask);
                    }
                }
            }));
            if outcome.is_err() {
                log::error!("working ahead panicked");
            }
        }
    }

    fn pay(&self) {
        let mut waiting = self.waiting.lock();
        waiting.credit = waiting.credit.saturating_sub(1);
    }

    fn next(&self) -> Option<Next> {
        let mut waiting = self.waiting.lock();
        loop {
            if waiting.stopped {
                return None;
            }
            if let Some(noted) = waiting.noted.pop() {
                return Some(Next::Source(noted));
            }
            if let Some(asked) = waiting.asked.pop() {
                return Some(Next::Asked(asked));
            }
            if waiting.credit > 0
                && let Some(module) = waiting.stack.pop()
            {
                return Some(Next::Module(module));
            }
            if waiting.stack.is_empty() {
                self.changed.wait(&mut waiting);
            } else if self.changed.wait_for(&mut waiting, PATIENCE).timed_out() {
                waiting.stack.clear();
            }
        }
    }

    /// Ends [`Ahead::run`] after the module it is at.
    pub fn stop(&self) {
        self.waiting.lock().stopped = true;
        self.changed.notify_all();
    }
}

/// The request for a module's entry, if the module is a source of the tree.
fn find(module: &Module) -> Option<Ask> {
    let (parent, stem) = split(&module.path);
    let plain = request(module, parent, stem.as_bytes());
    plain.or_else(|| request(module, &module.path, b"__init__"))
}

fn request(module: &Module, path: &OsStr, stem: &[u8]) -> Option<Ask> {
    let dir = Dir::open(&*module.root, path).ok()?;
    let name = CacheName {
        stem: stem.to_vec(),
        target: module.target,
        level: module.level,
    };
    let source = dir.stat(OsStr::from_bytes(&name.source_name())).ok()?;
    if source.size > module.largest {
        return None;
    }
    Some(Ask {
        root: Arc::clone(&module.root),
        dir,
        path: path.to_owned(),
        // Nobody is answered with this entry, so it has no directory of the mount.
        directory: 0,
        name,
        want: Want::Code,
    })
}

/// The paths that an import of a module in the directory `path` may lead to, without suffix.
fn candidates(import: &Import, path: &OsStr, home: &OsStr) -> Vec<OsString> {
    let mut base = home.to_owned();
    if import.level > 0 {
        base = path.to_owned();
        for _ in 1..import.level {
            base = split(&base).0.to_owned();
        }
    }
    let mut found = Vec::new();
    for part in &import.module {
        base = join(&base, OsStr::new(part));
        found.push(base.clone());
    }
    found.extend(
        import
            .names
            .iter()
            .map(|name| join(&base, OsStr::new(name))),
    );
    found
}

/// The directory that the outermost package around `path` lies in: what absolute imports in it
/// are relative to, as far as they concern this tree.
fn top_of_packages(root: &RootDir, path: &OsStr) -> OsString {
    let mut top = path.to_owned();
    while !top.is_empty() {
        let package = Dir::open(root, &top).and_then(|dir| dir.stat(OsStr::new("__init__.py")));
        if package.is_err() {
            break;
        }
        top = split(&top).0.to_owned();
    }
    top
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Root;
    use std::os::unix::ffi::OsStringExt;
    use std::time::Instant;

    /// Waits until something holds.
    fn until(what: &str, holds: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(30);
        while !holds() {
            assert!(Instant::now() < end, "never: {what}");
            std::thread::yield_now();
        }
    }

    fn ask(tree: &tempfile::TempDir, path: &str, stem: &str) -> Ask {
        let root = Root::open(tree.path(), false).unwrap().current();
        let name = format!("{stem}.cpython-313.pyc");
        Ask {
            dir: Dir::open(&*root, OsStr::new(path)).unwrap(),
            root,
            path: OsString::from(path),
            directory: 0,
            name: CacheName::parse(name.as_bytes()).unwrap(),
            want: Want::Code,
        }
    }

    #[test]
    fn what_is_likely_is_prepared_unless_it_is_large() {
        let tree = tempfile::tempdir().unwrap();
        let write = |path: &str, size: usize| {
            let path = tree.path().join(format!("{path}.py"));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "#".repeat(size)).unwrap();
        };
        for path in [
            "a",
            "b",
            "d",
            "apps/k/models",
            "apps/l/models",
            "apps/m/__init__",
        ] {
            write(path, 1);
        }
        write("apps/m/models", 1);
        write("apps/m/other", 1);
        write("c", 1 + usize::try_from(LARGE).unwrap());
        let ahead = Ahead::default();
        let prepared = Mutex::new(Vec::new());
        let note = |ask: Ask| {
            let name = OsString::from_vec(ask.name.stem);
            prepared.lock().push(join(&ask.path, &name));
        };
        std::thread::scope(|scope| {
            scope.spawn(|| ahead.run(note));
            // Asked for again, `a` alone leads to nothing.
            for stem in ["a", "a", "b"] {
                ahead.asked(&ask(&tree, "", stem));
            }
            until("the next is there", || *prepared.lock() == ["d"]);
            for package in ["apps/k", "apps/l"] {
                ahead.asked(&ask(&tree, package, "models"));
            }
            ahead.asked(&ask(&tree, "apps/m", "__init__"));
            until("so is what others had", || {
                *prepared.lock() == ["d", "apps/m/models"]
            });
            ahead.stop();
        });
    }

    #[test]
    fn it_goes_no_further_than_its_lead_until_a_reader_asks_again() {
        let tree = tempfile::tempdir().unwrap();
        let mut source = String::new();
        for number in 0..2 * LEAD {
            source.push_str(&format!("import m{number}\n"));
            std::fs::write(tree.path().join(format!("m{number}.py")), "").unwrap();
        }
        let ask = ask(&tree, "", "main");
        let ahead = Ahead::default();
        let prepared = Mutex::new(Vec::new());
        let count = || prepared.lock().len();
        std::thread::scope(|scope| {
            scope.spawn(|| ahead.run(|ask| prepared.lock().push(ask.name.stem)));
            ahead.note(&ask, source.as_bytes());
            until("the lead is used", || count() == LEAD);
            ahead.asked(&ask);
            until("a request is worth some more", || count() == LEAD + EACH);
            ahead.stop();
        });
        let expected: Vec<_> = (0..LEAD + EACH)
            .map(|number| format!("m{number}").into_bytes())
            .collect();
        assert_eq!(*prepared.lock(), expected);
    }

    #[test]
    fn relative_and_absolute_imports_lead_to_paths_in_the_tree() {
        let import = |level, module: &[&str], names: &[&str]| Import {
            level,
            module: module.iter().map(|part| (*part).to_owned()).collect(),
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        let paths = |import| candidates(&import, OsStr::new("lib/pkg/sub"), OsStr::new("lib"));
        assert_eq!(paths(import(0, &["a", "b"], &[])), ["lib/a", "lib/a/b"]);
        assert_eq!(paths(import(1, &[], &["x"])), ["lib/pkg/sub/x"]);
        assert_eq!(
            paths(import(2, &["y"], &["z"])),
            ["lib/pkg/y", "lib/pkg/y/z"]
        );
        assert_eq!(paths(import(9, &[], &["w"])), ["w"]);
    }
}
