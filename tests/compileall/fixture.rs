//! The tree that both sides compile, and what is left of it afterwards.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pycfs::pyc::{Header, Target, magic_of};

const MTIME: Duration = Duration::from_secs(1_700_000_000);

/// The sources of the tree: path below the root, content.
fn sources(target: Target) -> Vec<(&'static [u8], Vec<u8>)> {
    let text = |text: &str| text.as_bytes().to_vec();
    let levels = text(
        "\"\"\"Module docstring.\"\"\"\n\n\nclass Shape:\n    \"\"\"A shape.\"\"\"\n\n    \
         def area(self, factor=2.5, *, unit='m', **rest):\n        \"\"\"Its area.\"\"\"\n        \
         assert factor > 0, 'factor'\n        return [(unit, i * factor) for i in range(10) \
         if i not in {1, 2, 3}]\n\n\nif __debug__:\n    NAMES = ('alpha', 'beta', b'gamma', 1j, \
         None, ...)\n",
    );
    let mut sources: Vec<(&[u8], Vec<u8>)> = vec![
        (b"src/__init__.py", Vec::new()),
        (b"src/a.py", text("x = 1\n")),
        (b"src/levels.py", levels),
        (b"src/no_newline.py", text("x = 1")),
        (
            b"src/crlf.py",
            text("def f():\r\n    return 'a'\r\n\r\ny = 2\r\n"),
        ),
        (b"src/bom.py", text("\u{feff}greeting = 'h\u{e9}llo'\n")),
        (
            b"src/cookie.py",
            b"# -*- coding: latin-1 -*-\nname = 'caf\xe9'\n".to_vec(),
        ),
        (
            b"src/unicode.py",
            text("\u{fc}ber = '\u{4e2d}\u{6587} \u{1f600}'\n"),
        ),
        (b"src/bad_syntax.py", text("def f(:\n    pass\n")),
        (b"src/bad_indent.py", text("if 1:\nx = 1\n")),
        (b"src/bad_tab.py", text("if 1:\n        x = 1\n\ty = 2\n")),
        (b"src/bad_return.py", text("x = 1\nreturn x\n")),
        (
            b"src/bad_cookie.py",
            text("# coding: no-such-codec\nx = 1\n"),
        ),
        (b"src/bad_utf8.py", b"x = '\xe9'\n".to_vec()),
        (b"src/bad_unicode.py", text("x = 1\ny = \u{20ac}\n")),
        (b"src/pkg/__init__.py", text("from . import sub\n")),
        (b"src/pkg/sub/__init__.py", Vec::new()),
        (b"src/pkg/sub/deep.py", text("from ... import a\n")),
        (b"src/ns/mod.py", text("z = 3\n")),
        (b"src/ns/__pycache__/inside.py", text("never = True\n")),
        (b"src/caf\xe9.py", text("n = 1\n")),
        (b"src/bad_\xff.py", text("n = = 1\n")),
        ("src/na\u{ef}ve.py".as_bytes(), text("n = 2\n")),
        ("src/\u{1f600}.py".as_bytes(), text("n = 2\n")),
        ("src/\u{200b}.py".as_bytes(), text("n = 2\n")),
        (b"src/it's.py", text("n = 3\n")),
        (b"src/both'\".py", text("n = 3\n")),
        (b"src/with space\n.py", text("n = 4\n")),
        (b"src/a.b.py", text("n = 5\n")),
        (b"src/.py", text("n = 6\n")),
        (b"src/.hidden.py", text("n = 7\n")),
        (b"src/dir.py/inner.py", text("n = 8\n")),
        (b"src/data.txt", text("no source\n")),
        (b"src/script", text("n = 9\n")),
        (b"src/window.pyw", text("n = 10\n")),
        (b"src/UPPER.PY", text("n = 11\n")),
        (b"src/fresh.py", text("n = 12\n")),
        (b"src/stale.py", text("n = 13\n")),
        (b"src/magic.py", text("n = 14\n")),
        (b"src/short.py", text("n = 15\n")),
        (b"src/linked_pyc.py", text("n = 16\n")),
        (b"src/dir_pyc.py", text("n = 17\n")),
        (b"src/mode444.py", text("n = 18\n")),
        (b"src/mode755.py", text("n = 19\n")),
        (b"src/mode600.py", text("n = 20\n")),
        (b"src/mode4755.py", text("n = 21\n")),
        (b"src/no_cache/m.py", text("n = 22\n")),
        (b"src/readonly/m.py", text("n = 23\n")),
        (b"src/unreadable.py", text("n = 24\n")),
        (b"src/closed/m.py", text("n = 25\n")),
        (b"src/rounded.py", text("n = 26\n")),
        (b"src/epoch.py", text("n = 27\n")),
        (b"src/before.py", text("n = 28\n")),
        (b"outside/o.py", text("o = 1\n")),
        (b"outside/d/p.py", text("p = 1\n")),
    ];
    // Before 3.12 the error for a nul byte comes from elsewhere and has other words, but it is
    // an error all the same.
    sources.push((b"src/nul.py", b"x = 1\0\n".to_vec()));
    if target.minor() >= 9 {
        // Older ones cannot pack an mtime of more than 32 bits and end there.
        sources.push((b"src/future.py", text("n = 29\n")));
    }
    sources
}

fn at(root: &Path, name: &[u8]) -> std::path::PathBuf {
    root.join(OsStr::from_bytes(name))
}

fn set_mtime(path: &Path, mtime: SystemTime) {
    File::open(path).unwrap().set_modified(mtime).unwrap();
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Makes the tree in the empty directory `root`.
pub fn build(root: &Path, target: Target) {
    for (name, content) in sources(target) {
        let path = at(root, name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        let special = match name {
            b"src/rounded.py" => Some(UNIX_EPOCH + MTIME + Duration::from_nanos(999_999_999)),
            b"src/epoch.py" => Some(UNIX_EPOCH),
            b"src/before.py" => Some(UNIX_EPOCH - Duration::from_millis(1500)),
            b"src/future.py" => Some(UNIX_EPOCH + Duration::from_secs((1 << 32) + 17)),
            _ => None,
        };
        set_mtime(&path, special.unwrap_or(UNIX_EPOCH + MTIME));
    }
    for (name, to) in [
        ("src/link.py", "a.py"),
        ("src/link_out.py", "../outside/o.py"),
        ("src/link_broken.py", "nowhere"),
        ("src/link_loop.py", "link_loop.py"),
        ("src/link_dir", "pkg"),
        ("src/link_dir_out", "../outside/d"),
        ("src/link_dir.py", "pkg"),
    ] {
        symlink(to, root.join(name)).unwrap();
    }
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("src/fifo.py"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    build_pycs(root, target);
    for (name, mode) in [
        ("src/mode444.py", 0o444),
        ("src/mode755.py", 0o755),
        ("src/mode600.py", 0o600),
        ("src/mode4755.py", 0o4755),
        ("src/unreadable.py", 0o000),
        ("src/readonly", 0o555),
        ("src/closed", 0o000),
    ] {
        chmod(&root.join(name), mode);
    }
}

/// The pycs that are there before the run.
fn build_pycs(root: &Path, target: Target) {
    let cache = root.join("src/__pycache__");
    fs::create_dir_all(&cache).unwrap();
    let tag = target.cache_tag();
    let seconds = u32::try_from(MTIME.as_secs()).unwrap();
    let magic = magic_of(target);
    let headers = [
        ("fresh", Header::timestamp(target, magic, seconds, 999)),
        ("stale", Header::timestamp(target, magic, seconds - 1, 999)),
        ("magic", Header::timestamp(target, magic - 1, seconds, 999)),
    ];
    for (stem, header) in headers {
        let content = [&header.to_bytes()[..], b"garbage"].concat();
        fs::write(cache.join(format!("{stem}.{tag}.pyc")), &content).unwrap();
        fs::write(root.join(format!("src/{stem}.pyc")), &content).unwrap();
    }
    fs::write(cache.join(format!("short.{tag}.pyc")), b"abc").unwrap();
    symlink("elsewhere", cache.join(format!("linked_pyc.{tag}.pyc"))).unwrap();
    fs::create_dir(cache.join(format!("dir_pyc.{tag}.pyc"))).unwrap();
    fs::write(root.join("src/no_cache/__pycache__"), "a file\n").unwrap();
}

/// Makes a tree that [`build`] made deletable.
pub fn open_up(root: &Path) {
    for name in ["src/readonly", "src/closed"] {
        if root.join(name).is_dir() {
            chmod(&root.join(name), 0o755);
        }
    }
}

/// What a file is, with its content where bytes can be compared.
#[derive(Clone, PartialEq, Eq)]
pub struct Entry {
    /// Type, permission bits, number of links, link target: as text.
    pub description: String,
    /// The content of a regular file.
    pub content: Option<Vec<u8>>,
}

/// Everything below a directory.
pub fn snapshot(root: &Path) -> BTreeMap<Vec<u8>, Entry> {
    let mut entries = BTreeMap::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let kind = meta.file_type();
            let mode = meta.mode() & 0o7777;
            let mut content = None;
            let description = if kind.is_symlink() {
                format!("link to {}", fs::read_link(&path).unwrap().display())
            } else if kind.is_dir() {
                dirs.push(path.clone());
                format!("directory {mode:o}")
            } else if kind.is_fifo() {
                format!("fifo {mode:o}")
            } else {
                content = Some(fs::read(&path).unwrap());
                format!("file {mode:o}, {} links", meta.nlink())
            };
            let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes();
            entries.insert(
                name.to_vec(),
                Entry {
                    description,
                    content,
                },
            );
        }
    }
    entries
}
