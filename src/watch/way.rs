//! The way to the source: each name that its path consults, symlinks included.

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// A name that decides where the source is, in the directory that holds it.
pub(super) struct Step {
    /// The directory.
    pub directory: OwnedFd,
    /// The name in it.
    pub name: OsString,
}

/// The steps of an absolute path, as far as it leads.
pub(super) fn steps(path: &Path) -> Vec<Step> {
    const MOST: usize = 256;
    let mut steps = Vec::new();
    let mut rest: VecDeque<OsString> = VecDeque::new();
    let mut at = PathBuf::from("/");
    push(&mut rest, path);
    while let Some(name) = rest.pop_front() {
        if steps.len() == MOST {
            break;
        }
        if name == ".." {
            at.pop();
            continue;
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(directory) = rustix::fs::open(&at, flags, Mode::empty()) else {
            break;
        };
        let target = rustix::fs::readlinkat(&directory, &name, Vec::new());
        match target {
            Ok(target) => {
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                push(&mut rest, &target);
            }
            Err(Errno::INVAL) => at.push(&name),
            Err(_) => rest.clear(),
        }
        steps.push(Step { directory, name });
    }
    steps
}

/// Puts the names of a path before what is left.
fn push(rest: &mut VecDeque<OsString>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::Normal(name) => rest.push_front(name.to_owned()),
            Component::ParentDir => rest.push_front(OsString::from("..")),
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symlink_on_the_way_is_a_step_and_so_is_what_it_leads_through() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("releases/1")).unwrap();
        std::os::unix::fs::symlink("releases/1", base.join("current")).unwrap();
        let names: Vec<_> = steps(&base.join("current"))
            .into_iter()
            .map(|step| step.name)
            .collect();
        assert!(names.ends_with(&["current".into(), "releases".into(), "1".into()]));
    }

    #[test]
    fn a_loop_of_symlinks_ends() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("b", dir.path().join("a")).unwrap();
        std::os::unix::fs::symlink("a", dir.path().join("b")).unwrap();
        assert!(steps(&dir.path().join("a")).len() <= 256);
    }
}
