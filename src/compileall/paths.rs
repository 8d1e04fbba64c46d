//! Python's arithmetic on path texts: `os.path.join`, `cache_from_source`, the embedded name.
//!
//! Owns no file access. Works on bytes exactly as CPython works on the decoded text, because the
//! results are printed, embedded in code objects and compared with what CPython writes.

use crate::pyc::{Level, Target};

/// `os.path.join(base, name)`.
pub fn join(base: &[u8], name: &[u8]) -> Vec<u8> {
    if name.starts_with(b"/") {
        return name.to_vec();
    }
    let mut path = base.to_vec();
    if !path.is_empty() && !path.ends_with(b"/") {
        path.push(b'/');
    }
    path.extend_from_slice(name);
    path
}

/// `os.path.basename(path)`.
pub fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// The part before the last slash, empty when there is none: importlib's `_path_split`.
fn head(path: &[u8]) -> &[u8] {
    let name = base_name(path).len();
    path.get(..path.len().saturating_sub(name + 1))
        .unwrap_or_default()
}

/// `os.path.dirname(path)`, which keeps a root slash.
pub fn dir_name(path: &[u8]) -> &[u8] {
    let end = path.len() - base_name(path).len();
    let dir = path.get(..end).unwrap_or_default();
    let trimmed = trim_slashes(dir);
    if trimmed.is_empty() { dir } else { trimmed }
}

fn trim_slashes(path: &[u8]) -> &[u8] {
    let kept = path.iter().rposition(|byte| *byte != b'/').map(|at| at + 1);
    path.get(..kept.unwrap_or(0)).unwrap_or_default()
}

/// importlib's `_path_join`: empty parts are dropped, trailing slashes too.
fn import_join(parts: &[&[u8]]) -> Vec<u8> {
    let kept: Vec<&[u8]> = parts
        .iter()
        .filter(|part| !part.is_empty())
        .map(|part| trim_slashes(part))
        .collect();
    kept.join(&b'/')
}

/// Where the pyc of a source goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// `DIR/__pycache__/STEM.TAG[.opt-N].pyc` (PEP 3147, PEP 488).
    Pycache,
    /// `DIR/STEM.pyc` for every level: compileall's `-b`.
    Legacy,
    /// `PREFIX/ABSOLUTE-DIR/STEM.TAG[.opt-N].pyc`: `sys.pycache_prefix` of CPython 3.8 and newer.
    Prefix {
        /// The value of `PYTHONPYCACHEPREFIX`.
        prefix: Vec<u8>,
        /// The directory that relative sources are taken from.
        current_dir: Vec<u8>,
    },
}

/// The path of the pyc for a source, as `importlib.util.cache_from_source` builds it.
///
/// Like CPython's, the answer for a source directly in `/` is relative to the current directory.
pub fn pyc_path(source: &[u8], target: Target, level: Level, layout: &Layout) -> Vec<u8> {
    let name = base_name(source);
    let stem = match name.iter().rposition(|byte| *byte == b'.') {
        // A name such as `.py` has no stem: CPython then takes what follows the dot.
        Some(0) => [name.get(1..).unwrap_or_default(), b"."].concat(),
        Some(dot) => name.get(..=dot).unwrap_or_default().to_vec(),
        None => name.to_vec(),
    };
    let mut file = stem;
    file.extend_from_slice(target.cache_tag().as_bytes());
    match level {
        Level::O0 => {}
        Level::O1 => file.extend_from_slice(b".opt-1"),
        Level::O2 => file.extend_from_slice(b".opt-2"),
    }
    file.extend_from_slice(b".pyc");
    match layout {
        Layout::Pycache => import_join(&[head(source), b"__pycache__", &file]),
        Layout::Legacy => [source, b"c"].concat(),
        Layout::Prefix {
            prefix,
            current_dir,
        } => {
            let dir = head(source);
            let absolute = if dir.starts_with(b"/") {
                dir.to_vec()
            } else {
                let dir = dir.strip_prefix(b"./").unwrap_or(dir);
                import_join(&[current_dir, dir])
            };
            let below: Vec<u8> = absolute.into_iter().skip_while(|b| *b == b'/').collect();
            import_join(&[prefix, &below, &file])
        }
    }
}

/// What `-d`, `-s` and `-p` make of a source's path before it is embedded as `co_filename`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renaming {
    /// The directory that replaces the source's own: `-d` for a single file.
    pub dest_dir: Option<Vec<u8>>,
    /// The prefix that is cut off, by whole path components.
    pub strip_dir: Option<Vec<u8>>,
    /// The path that is put in front afterwards.
    pub prepend_dir: Option<Vec<u8>>,
}

/// The name to embed, and whether `strip_dir` was found to be no prefix of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renamed {
    /// The purported file name.
    pub name: Vec<u8>,
    /// The strip directory that compileall complains about and ignores.
    pub bad_prefix: Option<Vec<u8>>,
}

impl Renaming {
    /// The renaming for the files below a directory given on the command line: there, compileall
    /// takes `-d DEST` as `-s DIR -p DEST`.
    pub fn below(&self, dir: &[u8]) -> Renaming {
        match &self.dest_dir {
            Some(dest) => Renaming {
                dest_dir: None,
                strip_dir: Some(dir.to_vec()),
                prepend_dir: Some(dest.clone()),
            },
            None => self.clone(),
        }
    }

    /// The name embedded in the code of the source at `path`.
    pub fn apply(&self, path: &[u8]) -> Renamed {
        let mut name = self
            .dest_dir
            .as_ref()
            .map(|dest| join(dest, base_name(path)));
        let mut bad_prefix = None;
        if let Some(strip) = &self.strip_dir {
            let mut rest = path.split(|byte| *byte == b'/');
            let is_prefix = strip
                .split(|byte| *byte == b'/')
                .all(|part| rest.next() == Some(part));
            if is_prefix {
                name = Some(rest.fold(Vec::new(), |joined, part| join(&joined, part)));
            } else {
                bad_prefix = Some(strip.clone());
            }
        }
        if let Some(prepend) = &self.prepend_dir {
            name = Some(join(prepend, name.as_deref().unwrap_or(path)));
        }
        // `dfile or file`: an empty name counts as none.
        let name = name.filter(|name| !name.is_empty());
        Renamed {
            name: name.unwrap_or_else(|| path.to_vec()),
            bad_prefix,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pyc(source: &str, level: Level, layout: &Layout) -> String {
        let target = Target::from_minor(13).unwrap();
        String::from_utf8(pyc_path(source.as_bytes(), target, level, layout)).unwrap()
    }

    #[test]
    fn pyc_paths_are_those_of_cache_from_source() {
        // The expected values were printed by CPython 3.13.
        for (source, expected) in [
            ("a/b.py", "a/__pycache__/b.cpython-313.pyc"),
            ("b.py", "__pycache__/b.cpython-313.pyc"),
            ("./b.py", "./__pycache__/b.cpython-313.pyc"),
            ("a//b.py", "a/__pycache__/b.cpython-313.pyc"),
            ("/x.py", "__pycache__/x.cpython-313.pyc"),
            ("a/.py", "a/__pycache__/py.cpython-313.pyc"),
            ("a.b.py", "__pycache__/a.b.cpython-313.pyc"),
        ] {
            assert_eq!(pyc(source, Level::O0, &Layout::Pycache), expected);
        }
        assert_eq!(
            pyc("a/b.py", Level::O2, &Layout::Pycache),
            "a/__pycache__/b.cpython-313.opt-2.pyc"
        );
        assert_eq!(pyc("a/b.py", Level::O2, &Layout::Legacy), "a/b.pyc");
        let prefix = Layout::Prefix {
            prefix: b"/cache/".to_vec(),
            current_dir: b"/home/me".to_vec(),
        };
        assert_eq!(
            pyc("./a/b.py", Level::O1, &prefix),
            "/cache/home/me/a/b.cpython-313.opt-1.pyc"
        );
        assert_eq!(
            pyc("/srv/b.py", Level::O0, &prefix),
            "/cache/srv/b.cpython-313.pyc"
        );
    }

    fn renamed(renaming: &Renaming, path: &str) -> (String, bool) {
        let renamed = renaming.apply(path.as_bytes());
        (
            String::from_utf8(renamed.name).unwrap(),
            renamed.bad_prefix.is_some(),
        )
    }

    #[test]
    fn strip_and_prepend_work_on_whole_components() {
        let strip = Renaming {
            strip_dir: Some(b"/build/root".to_vec()),
            ..Renaming::default()
        };
        assert_eq!(
            renamed(&strip, "/build/root/usr/a.py"),
            ("usr/a.py".into(), false)
        );
        assert_eq!(
            renamed(&strip, "/build/rootling/a.py"),
            ("/build/rootling/a.py".into(), true)
        );
        let both = Renaming {
            prepend_dir: Some(b"/".to_vec()),
            ..strip
        };
        assert_eq!(
            renamed(&both, "/build/root/usr/a.py"),
            ("/usr/a.py".into(), false)
        );
        let prepend = Renaming {
            prepend_dir: Some(b"/opt".to_vec()),
            ..Renaming::default()
        };
        assert_eq!(renamed(&prepend, "/a.py"), ("/a.py".into(), false));
        assert_eq!(renamed(&prepend, "a.py"), ("/opt/a.py".into(), false));
    }

    #[test]
    fn a_destination_replaces_the_directory_given() {
        let renaming = Renaming {
            dest_dir: Some(b"/usr/lib".to_vec()),
            ..Renaming::default()
        };
        assert_eq!(
            renamed(&renaming, "src/pkg/a.py"),
            ("/usr/lib/a.py".into(), false)
        );
        let below = renaming.below(b"src");
        assert_eq!(
            renamed(&below, "src/pkg/a.py"),
            ("/usr/lib/pkg/a.py".into(), false)
        );
        // CPython 3.13 does not see through the trailing slash either.
        let below = renaming.below(b"src/");
        assert_eq!(
            renamed(&below, "src/pkg/a.py"),
            ("/usr/lib/src/pkg/a.py".into(), true)
        );
    }
}
