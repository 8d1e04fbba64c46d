//! Finds the interpreters of a machine, without running any of them.
//!
//! Invariant: a candidate is a file that looks like an interpreter of some version. What it really
//! is shows when a worker is started from it. For root, only programs that no other user can
//! change are candidates, unless they were named explicitly.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::pyc::Target;

/// Where to look.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Programs named by the user, best first. They may be wrapper scripts of any name.
    pub explicit: Vec<PathBuf>,
    /// Directories that hold `python3.X`, best first.
    pub directories: Vec<PathBuf>,
    /// pyenv's root: its `versions/*/bin` come after the directories.
    pub pyenv: Option<PathBuf>,
    /// Directories to look in at last.
    pub system: Vec<PathBuf>,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Named by the user; their version is not known until they run.
    pub explicit: Vec<PathBuf>,
    /// With the version that their file name says, best first.
    pub named: Vec<(Target, PathBuf)>,
    /// `python3` and `python` whose version shows only when they run.
    pub generic: Vec<PathBuf>,
}

impl Search {
    /// The search of this process: PATH, pyenv, the system's directories.
    pub fn of_process(explicit: Vec<PathBuf>) -> Search {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let pyenv = std::env::var_os("PYENV_ROOT")
            .filter(|root| !root.is_empty())
            .map(PathBuf::from)
            .or_else(|| Some(home()?.join(".pyenv")));
        Search {
            explicit,
            directories: std::env::split_paths(&path).collect(),
            pyenv,
            system: vec!["/usr/local/bin".into(), "/usr/bin".into()],
        }
    }

    /// Looks at the file system; missing and unreadable places are passed over.
    pub fn run(&self) -> Found {
        let explicit = self.explicit.iter().map(|path| absolute(path)).collect();
        let mut directories = self.directories.clone();
        directories.extend(self.pyenv.iter().flat_map(|root| pyenv_directories(root)));
        directories.extend(self.system.iter().cloned());
        // A mount waits for this: what is not there, or there twice, is asked for once.
        let mut known = HashSet::new();
        directories
            .retain(|path| path.is_absolute() && known.insert(path.clone()) && path.is_dir());
        let mut found = Found {
            explicit,
            ..Found::default()
        };
        let mut seen = HashSet::new();
        for directory in &directories {
            for target in Target::all() {
                let path = directory.join(format!("python{target}"));
                if let Some(real) = program(&path)
                    && seen.insert(real)
                {
                    found.named.push((target, path));
                }
            }
        }
        for directory in &directories {
            for name in ["python3", "python"] {
                let path = directory.join(name);
                let Some(real) = program(&path) else { continue };
                match real.file_name().and_then(target_of_name) {
                    _ if !seen.insert(real.clone()) => {}
                    Some(target) => found.named.push((target, path)),
                    None => found.generic.push(path),
                }
            }
        }
        found
    }
}

/// The version in a name like `python3.13`.
fn target_of_name(name: &OsStr) -> Option<Target> {
    name.to_str()?.strip_prefix("python")?.parse().ok()
}

/// The real path of an executable program that is no script: pyenv's shims are scripts, which
/// choose an interpreter by what is in the environment.
fn program(path: &Path) -> Option<PathBuf> {
    let status = path.metadata().ok()?;
    if !status.is_file() || status.permissions().mode() & 0o111 == 0 {
        return None;
    }
    if starts_as_script(path) {
        return None;
    }
    let us = rustix::process::geteuid();
    let safe = (status.uid() == 0 || status.uid() == us.as_raw()) && status.mode() & 0o022 == 0;
    if us.is_root() && !safe {
        log::warn!(
            "{} is not used: users other than root can change it; name it with --interpreter to \
             trust it",
            path.display()
        );
        return None;
    }
    path.canonicalize().ok()
}

fn starts_as_script(path: &Path) -> bool {
    use std::io::Read;
    let mut start = [0; 2];
    std::fs::File::open(path)
        .and_then(|mut file| file.read_exact(&mut start))
        .is_ok_and(|()| &start == b"#!")
}

/// The `bin` directories of pyenv's versions, newest version first.
fn pyenv_directories(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root.join("versions")) else {
        return Vec::new();
    };
    let mut versions: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
    versions.sort_by_cached_key(|name| std::cmp::Reverse(version_key(name)));
    versions
        .into_iter()
        .map(|name| root.join("versions").join(name).join("bin"))
        .collect()
}

/// Orders `3.9.18` before `3.10.2`, and names that are no plain version before both.
fn version_key(name: &OsStr) -> (Vec<u32>, OsString) {
    let numbers = name
        .to_string_lossy()
        .split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<Vec<u32>>>();
    (numbers.unwrap_or_default(), name.to_owned())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The home directory of this process's user: `$HOME`, which services may lack, or the password
/// file's.
fn home() -> Option<PathBuf> {
    if let Some(home) = std::env::var_os("HOME").filter(|home| !home.is_empty()) {
        return Some(home.into());
    }
    let uid = rustix::process::geteuid().as_raw().to_string();
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(2) == Some(&uid.as_str())).then(|| fields.get(5).map(PathBuf::from))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &Path, content: &[u8]) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn target(text: &str) -> Target {
        text.parse().unwrap()
    }

    #[test]
    fn directories_come_before_pyenv_and_its_newest_patch_first() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        place(&at("bin/python3.12"), b"\x7fELF a");
        for version in ["3.13.2", "3.13.10"] {
            place(
                &at(&format!("pyenv/versions/{version}/bin/python3.13")),
                b"\x7fELF",
            );
        }
        place(&at("pyenv/versions/3.12.1/bin/python3.12"), b"\x7fELF b");
        let found = Search {
            directories: vec![at("bin"), at("missing")],
            pyenv: Some(at("pyenv")),
            ..Search::default()
        }
        .run();
        let expected = [
            (target("3.12"), at("bin/python3.12")),
            (target("3.13"), at("pyenv/versions/3.13.10/bin/python3.13")),
            (target("3.13"), at("pyenv/versions/3.13.2/bin/python3.13")),
            (target("3.12"), at("pyenv/versions/3.12.1/bin/python3.12")),
        ];
        assert_eq!(found.named, expected);
    }

    #[test]
    fn scripts_and_files_without_the_execute_bit_are_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        place(&at("python3.12"), b"#!/bin/sh\nexec pyenv");
        place(&at("python3.11"), b"\x7fELF");
        std::fs::set_permissions(at("python3.11"), PermissionsExt::from_mode(0o644)).unwrap();
        std::fs::create_dir(at("python3.10")).unwrap();
        let found = Search {
            directories: vec![root.path().to_owned()],
            ..Search::default()
        }
        .run();
        assert_eq!(found, Found::default());
    }

    #[test]
    fn a_python3_counts_by_what_it_links_to_and_once() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        place(&at("lib/python3.11"), b"\x7fELF");
        place(&at("a/python"), b"\x7fELF");
        std::os::unix::fs::symlink(at("lib/python3.11"), at("a/python3")).unwrap();
        std::fs::create_dir(at("b")).unwrap();
        std::os::unix::fs::symlink(at("lib/python3.11"), at("b/python3")).unwrap();
        let found = Search {
            directories: vec![at("a"), at("b")],
            ..Search::default()
        }
        .run();
        assert_eq!(found.named, [(target("3.11"), at("a/python3"))]);
        assert_eq!(found.generic, [at("a/python")]);
    }

    #[test]
    fn a_program_that_others_can_write_is_no_candidate_for_root() {
        if !rustix::process::geteuid().is_root() {
            println!("SKIPPED: not root");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("python3.12");
        place(&path, b"\x7fELF");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
        let search = Search {
            directories: vec![root.path().to_owned()],
            explicit: vec![path.clone()],
            ..Search::default()
        };
        let found = search.run();
        assert!(found.named.is_empty());
        assert_eq!(found.explicit, [path]);
    }
}
