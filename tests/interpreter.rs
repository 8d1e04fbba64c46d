//! The interpreter backend against the interpreters themselves: bytes, codecs, error texts.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::background::eventually;
use common::{interpreters, run_script, skipped};
use pycfs::compiler::{Code, Compiler, Job, Refusal};
use pycfs::interpreter::{Form, Interpreter, Options, Search};
use pycfs::pyc::{Level, Target};

/// Each of how many files of the standard library is compiled.
const SAMPLE: usize = 12;

/// Files whose bytes depend on what else the compiling process has loaded or compiled: up to 3.12
/// on one-character strings that an earlier file interned; from 3.13 on, on class qualnames that
/// `py_compile`'s own process interned. The code is equal all the same, which is checked.
const DEPENDS_ON_PROCESS: [&str; 12] = [
    "argparse.py",
    "entities.py",
    "ftplib.py",
    "functools.py",
    "inspect.py",
    "test_external_inspection.py",
    "test_fstring.py",
    "test_live_collector_interaction.py",
    "test_string_literals.py",
    "test_text.py",
    "weakref.py",
    "webbrowser.py",
];

/// Compiles each file in a child that has just been forked from a process that has loaded what
/// `-m py_compile` loads, which is what a fresh process would do at a tenth of the cost.
const PY_COMPILE_ALL: &str = r"
import argparse, os, py_compile, sys, warnings
warnings.simplefilter('ignore')
out = sys.argv[1]
for number, path in enumerate(open(out + '/list').read().split('\n')):
    for level in (0, 1, 2):
        child = os.fork()
        if child == 0:
            try:
                py_compile.compile(path, '%s/%d.%d' % (out, number, level), doraise=True, optimize=level)
            except py_compile.PyCompileError as error:
                with open('%s/%d.%d.error' % (out, number, level), 'wb') as file:
                    file.write(error.msg.encode('utf-8', 'backslashreplace'))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
";

/// Says which of the pairs of marshal files hold code that is not equal.
const COMPARE: &str = r"
import marshal, sys, types
fields = [name for name in dir(types.CodeType) if name.startswith('co_') and name != 'co_lnotab' or sys.version_info < (3, 10) and name == 'co_lnotab']
def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, types.CodeType):
        return all(same(getattr(a, name), getattr(b, name)) for name in fields if not callable(getattr(a, name)))
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, (float, complex)):
        return repr(a) == repr(b)
    return a == b
for pair in sys.argv[1:]:
    ours, theirs = [marshal.loads(open(pair + end, 'rb').read()) for end in ('.ours', '.theirs')]
    if not same(ours, theirs):
        print(pair)
";

fn backend_of(path: &Path, options: Options) -> Interpreter {
    Interpreter::open(Options {
        search: Search {
            explicit: vec![path.to_owned()],
            ..Search::default()
        },
        ..options
    })
}

fn job(target: Target, level: Level, source: &[u8]) -> Job {
    Job {
        source: Arc::from(source),
        target,
        level,
        timeout: Duration::from_secs(60),
        explain: None,
    }
}

fn compile(backend: &Interpreter, target: Target, source: &[u8]) -> Result<Code, Refusal> {
    backend.compile(&job(target, Level::O0, source))
}

/// The `.py` files of an interpreter's standard library, in a fixed order.
fn library(interpreter: &Path) -> Vec<PathBuf> {
    let script = "import os; print(os.path.dirname(os.path.abspath(os.__file__)), end='')";
    let root = run_script(interpreter, script, &[]).stdout;
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(String::from_utf8(root).unwrap())];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            let foreign = ["site-packages", "dist-packages"].map(|name| path.ends_with(name));
            if kind.is_dir() && foreign == [false; 2] {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|end| end == "py") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn header_length(target: Target) -> usize {
    if target.minor() == 6 { 12 } else { 16 }
}

#[test]
fn code_equals_what_py_compile_writes_at_every_level() {
    for (target, path) in interpreters() {
        let backend = backend_of(&path, Options::default());
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let mut files: Vec<PathBuf> = library(&path).into_iter().step_by(SAMPLE).collect();
        files.retain(|file| file.to_str().is_some());
        let names: Vec<&str> = files.iter().map(|file| file.to_str().unwrap()).collect();
        std::fs::write(out.join("list"), names.join("\n")).unwrap();
        run_script(&path, PY_COMPILE_ALL, &[out.to_str().unwrap()]);

        let (mut equal, mut refused, mut pairs) = (0, 0, Vec::new());
        for (number, file) in files.iter().enumerate() {
            let source = std::fs::read(file).unwrap();
            for level in Level::ALL {
                let place = out.join(format!("{number}.{}", level.number()));
                let expected = std::fs::read(&place);
                let answer = backend.compile(&job(target, level, &source));
                match (answer, expected) {
                    (Ok(code), Ok(expected)) => {
                        let name = file.to_str().unwrap().as_bytes();
                        let ours = code.template.fill(name);
                        let theirs = &expected[header_length(target)..];
                        assert_eq!(code.magic.to_le_bytes(), expected[..2]);
                        if ours == theirs {
                            equal += 1;
                            continue;
                        }
                        let base = file.file_name().unwrap().to_str().unwrap();
                        assert!(
                            target.minor() < 11 || DEPENDS_ON_PROCESS.contains(&base),
                            "{target} {} {level:?}: other bytes",
                            file.display()
                        );
                        std::fs::write(
                            place.with_extension(format!("{}.ours", level.number())),
                            ours,
                        )
                        .unwrap();
                        std::fs::write(
                            place.with_extension(format!("{}.theirs", level.number())),
                            theirs,
                        )
                        .unwrap();
                        pairs.push(place);
                    }
                    (Err(Refusal::Rejected(_)), Err(_)) => refused += 1,
                    (answer, expected) => panic!(
                        "{target} {} {level:?}: {answer:?}, py_compile: {:?}",
                        file.display(),
                        expected.map(|bytes| bytes.len())
                    ),
                }
            }
        }
        let arguments: Vec<&str> = pairs.iter().map(|pair| pair.to_str().unwrap()).collect();
        let different = run_script(&path, COMPARE, &arguments).stdout;
        assert!(
            different.is_empty(),
            "{target}: {}",
            String::from_utf8_lossy(&different)
        );
        println!(
            "{target}: {equal} equal in bytes, {} equal as code, {refused} refused by both",
            pairs.len()
        );
        assert!(equal > 0);
    }
}

#[test]
fn sources_in_every_codec_give_their_text() {
    let cases: [(&str, &[u8]); 10] = [
        ("iso-8859-2", b"\xb1"),
        ("koi8-r", b"\xc1"),
        ("euc_jp", b"\xa4\xa2"),
        ("cp1252", b"\x80"),
        ("utf-7", b"+AOk-"),
        ("shift_jis", b"\x82\xa0"),
        ("latin-1", b"\xe9"),
        ("gb18030", b"\xc4\xe3"),
        ("utf-8-sig", b"\xc3\xa9"),
        ("utf-8", b"\xc3\xa9"),
    ];
    for (target, path) in interpreters() {
        let backend = backend_of(&path, Options::default());
        let folder = tempfile::tempdir().unwrap();
        for (codec, text) in cases {
            let mut source = format!("# coding: {codec}\nx = '").into_bytes();
            source.extend_from_slice(text);
            source.extend_from_slice(b"'\n");
            let code = compile(&backend, target, &source)
                .unwrap_or_else(|refusal| panic!("{target} {codec}: {refusal}"));
            let file = folder.path().join("code");
            std::fs::write(&file, code.template.fill(b"/x.py")).unwrap();
            let script = "import marshal, sys; space = {}; \
                          exec(marshal.loads(open(sys.argv[1], 'rb').read()), space); \
                          print(ascii(space['x']))";
            let got = run_script(&path, script, &[file.to_str().unwrap()]).stdout;
            std::fs::write(&file, text).unwrap();
            let script =
                "import sys; print(ascii(open(sys.argv[1], 'rb').read().decode(sys.argv[2])))";
            let expected = run_script(&path, script, &[file.to_str().unwrap(), codec]).stdout;
            assert_eq!(got, expected, "{target} {codec}");
        }
        let names = "\u{fb01}x = '\\N{BULLET}'\n".as_bytes();
        assert!(compile(&backend, target, names).is_ok(), "{target}");
        let unknown = compile(&backend, target, b"# coding: klingon\nx = 1\n");
        assert!(matches!(unknown, Err(Refusal::Rejected(_))), "{unknown:?}");
    }
}

/// Sources that are refused, one per kind of message.
const BAD: [&[u8]; 29] = [
    b"# coding: latin-1\nclass A:\r\n    if 1:\r\n       return   \"\xe9\"\r\n",
    b"\xef\xbb\xbfreturn 1\n",
    b"return '\xc3\xa9'\n",
    b"x = (\n",
    b"def f(:\n    pass\n",
    b"if True:\npass\n",
    b"if True:\n        x = 1\n    y = 2\n",
    b"  x = 1\n",
    b"def f():\n    pass\n\n\nreturn 1\n",
    b"class A:\n    if 1:\n        return   \n",
    b"break\n",
    b"def f():\n\tx = 1\n        y = 2\n",
    b"x = 'abc\n",
    b"x = '''abc\n",
    b"\xff\xfe = 1\n",
    b"# coding: klingon\nx = 1\n",
    b"# coding: ascii\nx = '\xe9'\n",
    b"x = 1\x00\n",
    b"print 1\n",
    b"fro x in y:\n    pass\n",
    b"whille True:\n    pass\n",
    b"f() = 1\n",
    b"def f(a, a): pass\n",
    b"from __future__ import nothing\n",
    b"x = 1\nfrom __future__ import annotations, nothing\n",
    b"def f():\n    x = 1\n    global x\n",
    b"x = 5\xe2\x82\xac\n",
    b"async def f():\r\n    await = 1\r\n",
    b"nonlocal x",
];

#[test]
fn explained_errors_read_as_py_compile_words_them() {
    for (target, path) in interpreters() {
        let backend = backend_of(&path, Options::default());
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        let files: Vec<String> = (0..BAD.len())
            .map(|number| format!("{}/bad{number}.py", out.display()))
            .collect();
        for (file, source) in files.iter().zip(BAD) {
            std::fs::write(file, source).unwrap();
        }
        std::fs::write(out.join("list"), files.join("\n")).unwrap();
        run_script(&path, PY_COMPILE_ALL, &[out.to_str().unwrap()]);
        let mut differing = Vec::new();
        for (number, (file, source)) in files.iter().zip(BAD).enumerate() {
            let explained = Job {
                explain: Some(file.as_bytes().to_vec()),
                ..job(target, Level::O0, source)
            };
            let expected = std::fs::read_to_string(out.join(format!("{number}.0.error")));
            match (backend.compile(&explained), expected) {
                (Err(Refusal::Rejected(text)), Ok(expected)) if text == expected => {}
                // Some of these are fine for some versions.
                (Ok(_), Err(_)) => {}
                (got, expected) => differing.push((String::from_utf8_lossy(source), got, expected)),
            }
        }
        assert!(differing.is_empty(), "{target}: {differing:#?}");
    }
}

#[test]
fn an_error_that_nobody_reads_is_one_line() {
    for (target, path) in interpreters() {
        let backend = backend_of(&path, Options::default());
        match compile(&backend, target, b"x = 1\nx = (\n") {
            Err(Refusal::Rejected(text)) => {
                assert!(text.starts_with("SyntaxError: "), "{text}");
                assert_eq!(text.lines().count(), 1);
            }
            other => panic!("{target}: {other:?}"),
        }
    }
}

#[test]
fn the_import_form_is_what_an_import_writes() {
    let source = b"import sys\nclass A:\n    def f(self):\n        return 'a b', A\n";
    let import = "import sys; sys.dont_write_bytecode = False; sys.path.insert(0, sys.argv[1]); import module_under_test";
    for (target, path) in interpreters() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("module_under_test.py");
        std::fs::write(&file, source).unwrap();
        run_script(&path, import, &[folder.path().to_str().unwrap()]);
        let cached = folder
            .path()
            .join("__pycache__")
            .join(format!("module_under_test.{}.pyc", target.cache_tag()));
        let expected = std::fs::read(cached).unwrap();
        let options = Options {
            form: Form::Import,
            ..Options::default()
        };
        let imported = compile(&backend_of(&path, options), target, source).unwrap();
        let compiled = compile(&backend_of(&path, Options::default()), target, source).unwrap();
        if target.minor() < 11 {
            continue;
        }
        let name = file.to_str().unwrap().as_bytes();
        assert_eq!(imported.template.fill(name), expected[16..], "{target}");
        assert_eq!(imported == compiled, target.minor() < 15, "{target}");
    }
}

#[test]
fn the_ordinary_search_finds_interpreters_without_running_them() {
    // Once it is so quick that no interpreter can have run, which on a busy machine may not be at once.
    let mut found = None;
    eventually("they are found within 100 ms", || {
        let start = std::time::Instant::now();
        let backend = Interpreter::open(Options::default());
        let targets = backend.targets();
        let took = start.elapsed();
        found = Some((backend, targets));
        took < Duration::from_millis(100)
    });
    let (backend, targets) = found.unwrap();
    assert!(backend.pids().is_empty());
    if targets.is_empty() {
        skipped("no interpreter on PATH, in pyenv or in the system's directories");
    }
    backend.probe_all();
    let builds: BTreeSet<_> = targets
        .iter()
        .filter_map(|target| backend.build(*target))
        .map(|build| build.0)
        .collect();
    assert_eq!(builds.len(), targets.len(), "{:?}", backend.describe());
    for target in targets {
        assert!(compile(&backend, target, b"x = 1\n").is_ok(), "{target}");
    }
    for (target, line) in backend.describe() {
        println!("{target}: {line}");
    }
}
