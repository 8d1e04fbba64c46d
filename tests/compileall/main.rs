//! `pycfs compile` against `python3.X -m compileall`, option by option, on one tree: the same
//! files, modes, bytes, text and exit status.

// A test ends by panicking.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod fixture;

#[path = "../common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pycfs::pyc::{Header, Target};
use regex::bytes::Regex;

use fixture::{Entry, build, open_up, snapshot};

/// One command line; `{root}` stands for the absolute path of the tree's parent.
struct Case {
    /// The oldest CPython whose compileall has these options with the meaning of 3.13.
    since: u8,
    args: &'static [&'static str],
    stdin: &'static str,
    env: &'static [(&'static str, &'static str)],
    /// Without root's power to pass permission bits by.
    unprivileged: bool,
    /// The lines on stdout come in another order in compileall: compare them sorted.
    unordered: bool,
}

const fn case(since: u8, args: &'static [&'static str]) -> Case {
    Case {
        since,
        args,
        stdin: "",
        env: &[],
        unprivileged: false,
        unordered: false,
    }
}

const CASES: &[Case] = &[
    case(6, &["src"]),
    case(6, &["{root}/src"]),
    case(6, &["src/", "./src//pkg"]),
    case(6, &["-f", "src"]),
    case(6, &["-l", "src"]),
    case(6, &["-r", "0", "src"]),
    case(6, &["-l", "-r", "1", "src"]),
    case(6, &["-r", "-3", "src"]),
    case(6, &["-q", "src"]),
    case(6, &["-qq", "src"]),
    case(6, &["-q", "-q", "-q", "src"]),
    case(6, &["-b", "src"]),
    case(6, &["-b", "-f", "src"]),
    case(7, &["-d", "/usr/lib", "src"]),
    case(9, &["-d", "", "src/pkg", "src/a.py"]),
    case(6, &["-d", "rel", "src/a.py", "src/bad_syntax.py"]),
    case(13, &["-d", "/usr/lib", "src/"]),
    case(9, &["-s", "{root}", "{root}/src"]),
    case(13, &["-s", "{root}/sr", "{root}/src"]),
    case(13, &["-q", "-s", "pkg", "src"]),
    case(13, &["-qq", "-s", "pkg", "src"]),
    case(9, &["-p", "/", "src"]),
    case(9, &["-p", "/opt", "{root}/src"]),
    case(9, &["-s", "src", "-p", "/opt/lib", "src"]),
    case(6, &["-x", r"bad_|pkg/", "src"]),
    case(6, &["-x", r"/[^/]*\.py\Z", "src/pkg", "src"]),
    case(6, &["-x", r"^src/(.|[[na]+)\.py$", "src"]),
    case(13, &["-e", "src", "src"]),
    case(13, &["-e", "{root}/outside", "src"]),
    case(13, &["-e", "", "src"]),
    case(13, &["-e", "nowhere", "src"]),
    case(
        9,
        &[
            "-e",
            "src",
            "src/link_out.py",
            "src/link.py",
            "src/link_dir",
        ],
    ),
    case(9, &["-o", "1", "src"]),
    case(9, &["-o", "2", "-o", "0", "-o", "1", "-o", "2", "src"]),
    case(9, &["-o", "-1", "-o", "0", "src"]),
    case(9, &["-o0", "-o1", "-o2", "--hardlink-dupes", "src"]),
    case(9, &["-o", "0", "-o", "1", "-b", "src"]),
    case(7, &["--invalidation-mode", "timestamp", "src"]),
    case(7, &["--invalidation-mode", "checked-hash", "src"]),
    case(7, &["--invalidation-mode=unchecked-hash", "src"]),
    Case {
        env: &[("SOURCE_DATE_EPOCH", "1")],
        ..case(7, &["src"])
    },
    Case {
        env: &[("PYTHONPYCACHEPREFIX", "cache/prefix")],
        ..case(8, &["src/pkg", "./src/pkg", "{root}/src/pkg/sub"])
    },
    case(6, &["src/a.py", "src/a.py", "src", "src/pkg", "./src/a.py"]),
    case(
        6,
        &[
            "src/script",
            "src/data.txt",
            "src/window.pyw",
            "src/fifo.py",
        ],
    ),
    case(
        6,
        &[
            "src/link_dir",
            "src/link_dir.py",
            "src/link.py",
            "src/link_broken.py",
        ],
    ),
    case(6, &["nowhere", "src/pkg"]),
    case(6, &["-q", "nowhere", "src/bad_syntax.py"]),
    case(6, &["-qq", "nowhere", "src/bad_syntax.py"]),
    Case {
        stdin: "src/a.py\n  src/pkg \n\nnowhere\r\nsrc/bad_syntax.py",
        ..case(6, &["-i", "-", "src/levels.py"])
    },
    case(6, &["-i", "src/data.txt", "src/a.py"]),
    case(6, &["-i", "no-such-list", "src/a.py"]),
    case(6, &["-q", "-i", "src", "src/a.py"]),
    case(6, &["-qq", "-i", "no-such-list", "src/a.py"]),
    Case {
        unordered: true,
        ..case(6, &["-j", "3", "src"])
    },
    Case {
        unordered: true,
        ..case(6, &["-j0", "-q", "src"])
    },
    Case {
        unprivileged: true,
        ..case(6, &["src"])
    },
    Case {
        unprivileged: true,
        ..case(6, &["-q", "-f", "src"])
    },
];

/// What a run printed, how it ended and what it left.
struct Run {
    stdout: Vec<u8>,
    stderr: String,
    status: Option<i32>,
    tree: BTreeMap<Vec<u8>, Entry>,
}

impl Run {
    /// Runs a command in a fresh tree at `place`, always the same, since names are embedded.
    fn new(place: &Path, target: Target, case: &Case, program: &[OsString]) -> Run {
        if place.exists() {
            open_up(place);
            fs::remove_dir_all(place).unwrap();
        }
        fs::create_dir(place).unwrap();
        build(place, target);
        let (first, rest) = program.split_first().unwrap();
        let mut command = if case.unprivileged {
            let mut command = common::command(Path::new("setpriv"));
            command
                .args(["--inh-caps=-all", "--bounding-set=-all", "--"])
                .arg(first);
            command
        } else {
            common::command(Path::new(first))
        };
        let root = place.to_str().unwrap();
        let mut child = command
            .args(rest)
            .args(case.args.iter().map(|arg| arg.replace("{root}", root)))
            .envs(case.env.iter().copied())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(place)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that does not read it closes it.
        let _ = child.stdin.take().unwrap().write_all(case.stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        Run {
            stdout: comparable_text(&output.stdout, case.unordered),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            status: output.status.code(),
            tree: snapshot(place),
        }
    }
}

/// The text without the digits of temporary names, which are object ids in CPython.
fn comparable_text(text: &[u8], unordered: bool) -> Vec<u8> {
    let temporary = Regex::new(r"\.pyc\.[0-9]+").unwrap();
    let text = temporary
        .replace_all(text, b".pyc.N".as_slice())
        .into_owned();
    if !unordered {
        return text;
    }
    let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    lines.join(&b'\n')
}

/// Shows the meaning of pycs whose bytes CPython itself does not repeat (before 3.11): one line of
/// hexadecimal digits for each path on stdin (in hexadecimal), a digest of header and code.
const DIGEST: &str = r"
import hashlib, marshal, sys, types

def shown(value):
    if isinstance(value, types.CodeType):
        names = sorted(name for name in dir(value) if name.startswith('co_'))
        fields = [(name, getattr(value, name)) for name in names]
        return [(name, shown(field)) for name, field in fields if not callable(field)]
    if isinstance(value, tuple):
        return ('tuple', [shown(item) for item in value])
    if isinstance(value, frozenset):
        return ('frozenset', sorted(repr(shown(item)) for item in value))
    return (type(value).__name__, repr(value))

header = int(sys.argv[1])
for line in sys.stdin:
    with open(bytes.fromhex(line.strip()), 'rb') as file:
        pyc = file.read()
    meaning = repr((pyc[:header], shown(marshal.loads(pyc[header:]))))
    print(hashlib.sha256(meaning.encode('utf-8', 'surrogatepass')).hexdigest())
";

/// Replaces the content of each code-bearing pyc by a digest of what it means.
fn digest_pycs(interpreter: &Path, target: Target, scratch: &Path, run: &mut Run) {
    let garbage = b"garbage";
    let header = Header::size(target);
    let pycs: Vec<Vec<u8>> = run
        .tree
        .iter()
        .filter(|(name, entry)| {
            let is_code = |content: &Vec<u8>| content.len() > header && !content.ends_with(garbage);
            name.ends_with(b".pyc") && entry.content.as_ref().is_some_and(is_code)
        })
        .map(|(name, _)| name.clone())
        .collect();
    let mut list = String::new();
    for (number, name) in pycs.iter().enumerate() {
        let path = scratch.join(format!("{number}"));
        fs::write(&path, run.tree[name].content.as_ref().unwrap()).unwrap();
        list.push_str(&common::to_hex(path.as_os_str().as_bytes()));
        list.push('\n');
    }
    let mut child = common::command(interpreter)
        .args(["-S", "-c", DIGEST, &header.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(list.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let digests = String::from_utf8(output.stdout).unwrap();
    assert_eq!(digests.lines().count(), pycs.len());
    for (name, digest) in pycs.iter().zip(digests.lines()) {
        run.tree.get_mut(name).unwrap().content = Some(digest.into());
    }
}

/// Says how two runs differ; empty when they do not.
fn differences(expected: &Run, actual: &Run) -> Vec<String> {
    let mut found = Vec::new();
    if expected.status != actual.status {
        found.push(format!(
            "status {:?}, not {:?}",
            actual.status, expected.status
        ));
    }
    if expected.stdout != actual.stdout {
        let lines = |text: &[u8]| -> Vec<String> {
            String::from_utf8_lossy(text)
                .lines()
                .map(str::to_owned)
                .collect()
        };
        let (expected, actual) = (lines(&expected.stdout), lines(&actual.stdout));
        let first = expected
            .iter()
            .zip(&actual)
            .position(|(left, right)| left != right)
            .unwrap_or(expected.len().min(actual.len()));
        let around = |lines: &[String]| {
            lines[first.saturating_sub(1).min(lines.len())..(first + 4).min(lines.len())]
                .join("\n    ")
        };
        found.push(format!(
            "stdout differs from line {first}:\n  CPython:\n    {}\n  pycfs:\n    {}",
            around(&expected),
            around(&actual)
        ));
    }
    let names: std::collections::BTreeSet<&Vec<u8>> =
        expected.tree.keys().chain(actual.tree.keys()).collect();
    for name in names {
        let shown = name.escape_ascii();
        match (expected.tree.get(name), actual.tree.get(name)) {
            (Some(_), None) => found.push(format!("{shown} is missing")),
            (None, Some(_)) => found.push(format!("{shown} should not be there")),
            (Some(left), Some(right)) => {
                if left.description != right.description {
                    found.push(format!(
                        "{shown}: {}, not {}",
                        right.description, left.description
                    ));
                }
                if left.content != right.content {
                    found.push(format!("{shown}: other content"));
                }
            }
            (None, None) => {}
        }
    }
    found
}

fn pycfs(target: Target, interpreter: &Path, store: &[&OsStr]) -> Vec<OsString> {
    let mut program: Vec<OsString> = vec![
        env!("CARGO_BIN_EXE_pycfs").into(),
        "compile".into(),
        "--python".into(),
        target.to_string().into(),
        "--interpreter".into(),
        interpreter.into(),
    ];
    program.extend(store.iter().map(OsString::from));
    program
}

fn compileall(interpreter: &Path) -> Vec<OsString> {
    vec![interpreter.into(), "-m".into(), "compileall".into()]
}

fn has_setpriv() -> bool {
    let found = Command::new("setpriv").arg("--version").output().is_ok();
    let root = rustix::process::geteuid().is_root();
    if !found || !root {
        common::skipped("the cases without privileges: setpriv or root is missing");
    }
    found && root
}

/// Runs every case for one interpreter; the differences.
fn run_cases(target: Target, interpreter: &Path, setpriv: bool) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("place");
    let scratch = dir.path().join("scratch");
    fs::create_dir(&scratch).unwrap();
    let store = dir.path().join("store");
    let mut found = Vec::new();
    let mut count = 0;
    for case in CASES {
        if target.minor() < case.since || (case.unprivileged && !setpriv) {
            continue;
        }
        count += 1;
        let mut expected = Run::new(&place, target, case, &compileall(interpreter));
        let stores: [&[&OsStr]; 2] = [
            &[OsStr::new("--no-store")],
            &[OsStr::new("--store"), store.as_os_str()],
        ];
        // Each case with an empty hand, the odd ones through a store that fills up on the way.
        let store = stores[count % 2];
        let mut actual = Run::new(&place, target, case, &pycfs(target, interpreter, store));
        if target.minor() < 11 {
            digest_pycs(interpreter, target, &scratch, &mut expected);
            digest_pycs(interpreter, target, &scratch, &mut actual);
        }
        let differences = differences(&expected, &actual);
        if !differences.is_empty() {
            found.push(format!(
                "CPython {target}, {:?} {:?}:\n  {}\n  stderr: {}",
                case.args,
                case.env,
                differences.join("\n  "),
                actual.stderr
            ));
        }
    }
    assert!(count > 20, "only {count} cases for {target}");
    open_up(&place);
    found
}

#[test]
fn every_option_does_what_compileall_does() {
    let setpriv = has_setpriv();
    let threads: Vec<_> = common::interpreters()
        .into_iter()
        .map(|(target, path): (Target, PathBuf)| {
            std::thread::spawn(move || run_cases(target, &path, setpriv))
        })
        .collect();
    let found: Vec<String> = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect();
    assert!(
        found.is_empty(),
        "{} differences:\n{}",
        found.len(),
        found.join("\n")
    );
}
