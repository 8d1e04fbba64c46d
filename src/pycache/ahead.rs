//! Compiling ahead: the modules that a reader will ask for next, while it is busy with this one.
//!
//! Invariants: only a compile for a reader starts it; it never has more than a fixed number of
//! modules in mind and one compile under way, so that readers keep the other threads; a failure
//! is nobody's business.

use hashlink::LruCache;
use parking_lot::{Condvar, Mutex};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use super::imports::{Import, guess};
use super::synthesis::{Ask, Want};
use crate::pyc::{CacheName, Level, Target};
use crate::tree::symlink::join;
use crate::tree::{Dir, RootDir};

/// How many modules may wait.
const WAITING: usize = 1024;
/// How many modules that had their turn are remembered, not to be looked at again.
const REMEMBERED: usize = 16_384;

/// A module that may exist: `PATH.py` or `PATH/__init__.py`.
#[derive(Clone)]
struct Module {
    root: Arc<RootDir>,
    path: OsString,
    target: Target,
    level: Level,
}

struct Waiting {
    stack: Vec<Module>,
    seen: LruCache<(OsString, Target, Level), ()>,
    stopped: bool,
}

/// The modules to compile ahead, the next one last.
pub struct Ahead {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

impl Default for Ahead {
    fn default() -> Ahead {
        Ahead {
            waiting: Mutex::new(Waiting {
                stack: Vec::new(),
                seen: LruCache::new(REMEMBERED),
                stopped: false,
            }),
            changed: Condvar::new(),
        }
    }
}

impl Ahead {
    /// Notes what the source of a request imports.
    pub fn note(&self, ask: &Ask, source: &[u8]) {
        let mut modules: Vec<OsString> = Vec::new();
        let home = top_of_packages(&ask.root, &ask.path);
        for import in guess(source) {
            modules.extend(candidates(&import, &ask.path, &home));
        }
        let mut waiting = self.waiting.lock();
        // What is imported first is to be on top.
        for path in modules.into_iter().rev() {
            let key = (path, ask.name.target, ask.name.level);
            if waiting.seen.contains_key(&key) {
                continue;
            }
            waiting.seen.insert(key.clone(), ());
            let (path, target, level) = key;
            let root = Arc::clone(&ask.root);
            waiting.stack.push(Module {
                root,
                path,
                target,
                level,
            });
        }
        let excess = waiting.stack.len().saturating_sub(WAITING);
        waiting.stack.drain(..excess);
        drop(waiting);
        self.changed.notify_one();
    }

    /// Hands out modules to `compile`, one after the other, until [`Ahead::stop`].
    pub fn run(&self, compile: impl Fn(Ask)) {
        loop {
            let module = {
                let mut waiting = self.waiting.lock();
                loop {
                    if waiting.stopped {
                        return;
                    }
                    match waiting.stack.pop() {
                        Some(module) => break module,
                        None => self.changed.wait(&mut waiting),
                    }
                }
            };
            if let Some(ask) = find(&module) {
                compile(ask);
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
    dir.stat(OsStr::from_bytes(&name.source_name())).ok()?;
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

/// A path's directory (empty for the root) and its last component.
fn split(path: &OsStr) -> (&OsStr, &OsStr) {
    let bytes = path.as_bytes();
    match bytes.iter().rposition(|byte| *byte == b'/') {
        Some(at) => {
            let (parent, name) = bytes.split_at(at);
            (
                OsStr::from_bytes(parent),
                OsStr::from_bytes(name.get(1..).unwrap_or_default()),
            )
        }
        None => (OsStr::new(""), path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
