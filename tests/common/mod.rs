//! What integration tests share: the CPython interpreters of this machine, and running them.
//!
//! Invariant: nothing that is missing goes unsaid. Each lack prints a line `SKIPPED: reason`.

// Each test binary uses its own part of this module.
#![allow(dead_code)]
// A test ends by panicking.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

pub mod background;
pub mod mounted;
pub mod reference;
pub mod store;

use std::collections::BTreeMap;
use std::env;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use pycfs::pyc::Target;

/// One working CPython for each covered version that this machine has, oldest first.
///
/// Looked for, in this order: `$PYCFS_REFERENCES/bin/python3.X` (default `/opt/pycfs-references`;
/// the patch releases whose bytes the native compiler makes), `python3.X` on PATH,
/// `$PYENV_ROOT/versions/*/bin/python3.X`. Says for each version that
/// is missing that it is skipped; the caller tests the others.
pub fn interpreters() -> Vec<(Target, PathBuf)> {
    let found = interpreters_quietly();
    for target in Target::all().filter(|target| !found.iter().any(|(other, _)| other == target)) {
        skipped(&format!("no CPython {target} found"));
    }
    found
}

/// As [`interpreters`], without a word about those that are missing.
pub fn interpreters_quietly() -> Vec<(Target, PathBuf)> {
    static FOUND: OnceLock<BTreeMap<Target, PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        Target::all()
            .filter_map(|target| Some((target, find_interpreter(target)?)))
            .collect()
    });
    found
        .iter()
        .map(|(target, path)| (*target, path.clone()))
        .collect()
}

/// Says that a test, or a part of one, does not run, and why.
pub fn skipped(reason: &str) {
    println!("SKIPPED: {reason}");
    eprintln!("SKIPPED: {reason}");
}

/// Where `scripts/references.sh` puts the reference interpreters.
pub fn references() -> PathBuf {
    env::var_os("PYCFS_REFERENCES").map_or_else(|| "/opt/pycfs-references".into(), PathBuf::from)
}

fn find_interpreter(target: Target) -> Option<PathBuf> {
    let name = format!("python{target}");
    let path = env::var_os("PATH").unwrap_or_default();
    let mut candidates = vec![references().join("bin").join(&name)];
    candidates.extend(env::split_paths(&path).map(|dir| dir.join(&name)));
    if let Some(root) = env::var_os("PYENV_ROOT") {
        let mut versions: Vec<PathBuf> = std::fs::read_dir(Path::new(&root).join("versions"))
            .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
            .unwrap_or_default();
        versions.sort();
        candidates.extend(versions.iter().map(|dir| dir.join("bin").join(&name)));
    }
    candidates
        .iter()
        .filter(|candidate| candidate.is_file())
        .find_map(|candidate| executable_of(candidate, target))
}

/// The real executable behind a candidate (which may be a shim), if it is a CPython of `target`.
fn executable_of(candidate: &Path, target: Target) -> Option<PathBuf> {
    let script = "import sys, os; print(sys.implementation.name, '%d.%d' % sys.version_info[:2]); \
                  print(os.path.abspath(sys.executable))";
    let output = command(candidate)
        .args(["-S", "-c", script])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let answer = String::from_utf8(output.stdout).ok()?;
    let (implementation, executable) = answer.trim_end().split_once('\n')?;
    (output.status.success() && implementation == format!("cpython {target}"))
        .then(|| PathBuf::from(executable))
}

/// A command for an interpreter, free of the caller's `PYTHON*` variables: UTF-8 file names and
/// hash seed 0.
pub fn command(interpreter: &Path) -> Command {
    let mut command = Command::new(interpreter);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("PYTHON") {
            command.env_remove(name);
        }
    }
    command
        .env("LC_ALL", "C.UTF-8")
        .env("PYTHONHASHSEED", "0")
        .env("PYTHONUTF8", "1");
    command
}

/// Runs a script with arguments; panics with its standard error if it fails.
pub fn run_script(interpreter: &Path, script: &str, arguments: &[&str]) -> Output {
    let output = command(interpreter)
        .arg("-B")
        .arg("-c")
        .arg(script)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", interpreter.display()));
    assert!(
        output.status.success(),
        "{}: {}",
        interpreter.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// The `.py` files of a library of at most `largest` bytes each, without its site-packages, in an
/// order that is the same on each run.
pub fn library_sources(folder: &Path, largest: u64) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    let mut found = Vec::new();
    for path in entries {
        let kind = std::fs::symlink_metadata(&path).unwrap();
        if kind.is_dir() && !path.ends_with("site-packages") {
            found.append(&mut library_sources(&path, largest));
        } else if kind.is_file()
            && kind.len() <= largest
            && path.extension().is_some_and(|extension| extension == "py")
        {
            found.push(path);
        }
    }
    found
}

/// Compiles an interpreter's standard library and gives `visit` each source's path, optimization
/// level and marshal data. `choice` is `all` (each file at each level) or `N` (about N files, each
/// at one level). Every second root code object is marshalled while something else refers to it,
/// as an import does. Returns the number of sources that the interpreter itself refused.
pub fn compile_library(
    interpreter: &Path,
    hash_seed: &str,
    choice: &str,
    mut visit: impl FnMut(&str, u8, &[u8]),
) -> u64 {
    const SCRIPT: &str = r#"
import marshal, os, struct, sys, warnings
warnings.simplefilter('ignore')
library = os.path.dirname(os.__file__)
files = []
for root, directories, names in os.walk(library):
    directories[:] = sorted(set(directories) - {'site-packages', 'dist-packages', '__pycache__'})
    files += [os.path.join(root, name) for name in sorted(names) if name.endswith('.py')]
if sys.argv[1] == 'all':
    jobs = [(file, level) for file in files for level in (0, 1, 2)]
else:
    step = max(1, len(files) // int(sys.argv[1]))
    jobs = [(file, number % 3) for number, file in enumerate(files[::step])]
out, refused = sys.stdout.buffer, 0
for number, (file, level) in enumerate(jobs):
    with open(file, 'rb') as stream:
        source = stream.read()
    name = '<hole>'
    try:
        if number % 2:
            code = compile(source, name, 'exec', dont_inherit=True, optimize=level)
            data = marshal.dumps(code)
        else:
            data = marshal.dumps(compile(source, name, 'exec', dont_inherit=True, optimize=level))
    except (SyntaxError, ValueError):
        refused += 1
        continue
    path = os.fsencode(file)
    out.write(struct.pack('<BII', level, len(path), len(data)) + path + data)
out.write(struct.pack('<BII', 255, refused, 0))
out.flush()
"#;
    let mut child = command(interpreter)
        .env("PYTHONHASHSEED", hash_seed)
        .args(["-B", "-c", SCRIPT, choice])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", interpreter.display()));
    let mut stream = BufReader::new(child.stdout.take().unwrap());
    let refused = loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        let [level, a, b, c, d, e, f, g, h] = head;
        let first = u32::from_le_bytes([a, b, c, d]);
        if level == 255 {
            break first.into();
        }
        let mut path = vec![0; first as usize];
        let mut data = vec![0; u32::from_le_bytes([e, f, g, h]) as usize];
        stream.read_exact(&mut path).unwrap();
        stream.read_exact(&mut data).unwrap();
        visit(&String::from_utf8_lossy(&path), level, &data);
    };
    assert!(child.wait().unwrap().success());
    refused
}

/// The bytes that a text of hexadecimal digits stands for.
pub fn from_hex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "odd hex: {text}");
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// Bytes as hexadecimal digits.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
