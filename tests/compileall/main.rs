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
    case(7, &["-x", "bad_return", "-d", "/usr/lib", "src"]),
    case(9, &["-d", "", "src/pkg", "src/a.py"]),
    case(6, &["-d", "rel", "src/a.py", "src/bad_syntax.py"]),
    case(13, &["-x", "bad_return", "-d", "/usr/lib", "src/"]),
    case(9, &["-s", "{root}", "{root}/src"]),
    case(13, &["-s", "{root}/sr", "{root}/src"]),
    case(13, &["-q", "-s", "pkg", "src"]),
    case(13, &["-qq", "-s", "pkg", "src"]),
    case(9, &["-x", "bad_return", "-p", "/", "src"]),
    case(9, &["-p", "/opt", "{root}/src"]),
    case(
        9,
        &["-x", "bad_return", "-s", "src", "-p", "/opt/lib", "src"],
    ),
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

/// Whether a case is run for a target: all are for the versions whose compileall changed most, a
/// third for the others (each another third), since a case takes half a second.
fn is_due(target: Target, number: usize) -> bool {
    const WHOLE: [u8; 4] = [6, 9, 13, 15];
    std::env::var_os("PYCFS_ALL_CASES").is_some()
        || WHOLE.contains(&target.minor())
        || (number + usize::from(target.minor())).is_multiple_of(3)
}

/// Runs the cases for one interpreter; the differences.
fn run_cases(target: Target, interpreter: &Path, setpriv: bool) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("place");
    let scratch = dir.path().join("scratch");
    fs::create_dir(&scratch).unwrap();
    let store = dir.path().join("store");
    let mut found = Vec::new();
    let mut count = 0;
    for (number, case) in CASES.iter().enumerate() {
        if target.minor() < case.since || (case.unprivileged && !setpriv) {
            continue;
        }
        if !is_due(target, number) {
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
        let mut differences = differences(&expected, &actual);
        if actual.stderr.contains("panicked") {
            differences.push("it panicked".to_owned());
        }
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
    assert!(count > 10, "only {count} cases for {target}");
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

/// Runs pycfs in a directory with some arguments; the exit status, stdout and stderr.
fn run_pycfs(dir: &Path, args: &[&OsStr]) -> (Option<i32>, String, String) {
    let output = common::command(Path::new(env!("CARGO_BIN_EXE_pycfs")))
        .arg("compile")
        .args(args)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

#[test]
fn senseless_command_lines_are_refused_before_anything_is_written() {
    let Some((target, interpreter)) = common::interpreters().pop() else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("m.py"), "x = 1\n").unwrap();
    let target = target.to_string();
    for args in [
        &["-d", "a", "-s", "b", "m.py"][..],
        &["-d", "a", "-p", "b", "m.py"],
        &["--hardlink-dupes", "m.py"],
        &["--hardlink-dupes", "-o", "1", "m.py"],
        &["-o", "3", "m.py"],
        &["-o", "-2", "m.py"],
        &["-r", "x", "m.py"],
        &["-j", "-1", "m.py"],
        &["-x", "(", "m.py"],
        &["-x", "(?=a)", "m.py"],
        &["--invalidation-mode", "never", "m.py"],
        &["--python", "3.5", "m.py"],
        &["--python", "3.12,3.13", "-b", "m.py"],
        &[
            "--python",
            "3.6",
            "--invalidation-mode",
            "checked-hash",
            "m.py",
        ],
        &["--no-store", "--store", "s", "m.py"],
        &["--interpreter", "/bin/cat", "m.py"],
        &["--interpreter", "/no/such/python", "m.py"],
        &["--no-such-option", "m.py"],
    ] {
        let mut all: Vec<&OsStr> = Vec::new();
        if !args.contains(&"--interpreter") {
            all.extend([OsStr::new("--interpreter"), interpreter.as_os_str()]);
        }
        if !args.contains(&"--python") && !args.contains(&"--interpreter") {
            all.extend([OsStr::new("--python"), OsStr::new(&target)]);
        }
        if !args.contains(&"--store") {
            all.push(OsStr::new("--no-store"));
        }
        all.extend(args.iter().map(OsStr::new));
        let (status, stdout, stderr) = run_pycfs(dir.path(), &all);
        assert_eq!(status, Some(2), "{args:?}: {stdout}{stderr}");
        assert!(
            !stderr.is_empty() && stdout.is_empty(),
            "{args:?}: {stdout}"
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{args:?}");
    }
}

#[test]
fn several_versions_are_compiled_one_after_the_other() {
    let found = common::interpreters();
    let Some([first, second]) = found.last_chunk() else {
        common::skipped("two interpreters are needed");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("src")).unwrap();
    fs::write(dir.path().join("src/m.py"), "x = 1\n").unwrap();
    let python = format!("{},{}", first.0, second.0);
    let args: Vec<&OsStr> = vec![
        "--no-store".as_ref(),
        "--python".as_ref(),
        python.as_ref(),
        "--interpreter".as_ref(),
        first.1.as_ref(),
        "--interpreter".as_ref(),
        second.1.as_ref(),
        "src".as_ref(),
    ];
    let (status, stdout, stderr) = run_pycfs(dir.path(), &args);
    assert_eq!(status, Some(0), "{stderr}");
    let pass = "Listing 'src'...\nCompiling 'src/m.py'...\n";
    assert_eq!(stdout, pass.repeat(2));
    for (target, interpreter) in [first, second] {
        let pyc = format!("src/__pycache__/m.{}.pyc", target.cache_tag());
        let check = "import sys, os; os.chdir(sys.argv[1]); sys.path.insert(0, 'src'); import m; \
                     assert m.x == 1 and m.__spec__.cached.endswith(sys.argv[2]), m.__spec__";
        common::run_script(interpreter, check, &[dir.path().to_str().unwrap(), &pyc]);
        assert!(dir.path().join(pyc).is_file());
    }
}

#[test]
fn without_a_path_the_directories_of_sys_path_are_compiled() {
    let found = common::interpreters();
    let Some((target, interpreter)) = found.iter().rfind(|(target, _)| target.minor() >= 8) else {
        common::skipped("an interpreter with a cache prefix is needed");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (here, extra) = (dir.path().join("here"), dir.path().join("extra"));
    for place in [&here, &extra] {
        fs::create_dir_all(place.join("pkg")).unwrap();
        fs::write(place.join("m.py"), "x = 1\n").unwrap();
        fs::write(place.join("pkg/deep.py"), "x = 1\n").unwrap();
    }
    // The library's own directories are among them: what is compiled there must not stay there.
    let run = |program: &[OsString], prefix: &str| {
        let (first, rest) = program.split_first().unwrap();
        let output = common::command(Path::new(first))
            .args(rest)
            .env("PYTHONPATH", &extra)
            .env("PYTHONPYCACHEPREFIX", dir.path().join(prefix))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(&here)
            .output()
            .unwrap();
        let tree = snapshot(&dir.path().join(prefix));
        let names: Vec<Vec<u8>> = tree.into_keys().collect();
        (output.status.code(), output.stdout, names)
    };
    let expected = run(&compileall(interpreter), "expected");
    let actual = run(
        &pycfs(*target, interpreter, &[OsStr::new("--no-store")]),
        "actual",
    );
    assert!(expected.2.iter().any(|name| name.ends_with(b".pyc")));
    assert_eq!(expected.0, actual.0);
    assert_eq!(
        String::from_utf8_lossy(&expected.1),
        String::from_utf8_lossy(&actual.1)
    );
    assert_eq!(expected.2, actual.2);
}
