//! The synthesized entries against what each interpreter writes and reads itself.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::background::{eventually, grow_old};
use common::mounted::{Mounted, succeed};
use common::{command, interpreters};
use pycfs::pyc::{Level, Target};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Where the pyc of a source is, as CPython names it.
fn pyc_of(source: &Path, target: Target, level: Level) -> PathBuf {
    let stem = source
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .strip_suffix(".py")
        .unwrap();
    let optimized = match level {
        Level::O0 => String::new(),
        Level::O1 | Level::O2 => format!(".opt-{}", level.number()),
    };
    let name = format!("{stem}.{}{optimized}.pyc", target.cache_tag());
    source.parent().unwrap().join("__pycache__").join(name)
}

/// Sources of every shape that compile.
fn sources() -> Vec<(&'static str, Vec<u8>)> {
    let mut large = b"# large\n".to_vec();
    for number in 0..20_000 {
        large
            .extend_from_slice(format!("name_{number} = ({number}, 'text {number}')\n").as_bytes());
    }
    vec![
        (
            "plain.py",
            b"def f(a, b=1):\n    'doc'\n    assert a\n    return a + b\n".to_vec(),
        ),
        ("empty.py", Vec::new()),
        ("no_newline.py", b"x = 1".to_vec()),
        (
            "crlf.py",
            b"x = 1\r\nif x:\r\n    y = '''a\r\nb'''\r\n".to_vec(),
        ),
        ("bom.py", b"\xef\xbb\xbfx = '\xc3\xa9'\n".to_vec()),
        (
            "latin.py",
            b"# -*- coding: latin-1 -*-\nx = '\xe9'\n".to_vec(),
        ),
        ("koi.py", b"# coding: koi8-r\nx = '\xc1\xc2'\n".to_vec()),
        ("pkg/__init__.py", b"from . import sub\n".to_vec()),
        ("pkg/__main__.py", b"print('main')\n".to_vec()),
        (
            "pkg/sub.py",
            b"class C:\n    x: int = 1\n    def m(self):\n        return [i for i in range(3)]\n"
                .to_vec(),
        ),
        (
            "namespace/inner/mod.py",
            b"x = {1, 2, 3} | {'a'}\n".to_vec(),
        ),
        ("conf.test.local.py", b"x = 1\n".to_vec()),
        ("large.py", large),
    ]
}

#[test]
fn entries_equal_what_py_compile_writes_at_every_level() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    let sources = sources();
    for (path, content) in &sources {
        mounted.write(path, content);
    }
    let out = mounted.dir().join("out");
    fs::create_dir(&out).unwrap();
    for (target, interpreter) in interpreters() {
        for level in Level::ALL {
            let mirrored: Vec<PathBuf> = sources
                .iter()
                .map(|(path, _)| mounted.mount_point().join(path))
                .collect();
            succeed(
                command(&interpreter)
                    .args(["-B", "-c", COMPILE_ALL])
                    .arg(&out)
                    .arg(level.number().to_string())
                    .args(&mirrored),
            );
            for (number, source) in mirrored.iter().enumerate() {
                let expected = out.join(number.to_string());
                let pyc = pyc_of(source, target, level);
                let found =
                    fs::read(&pyc).unwrap_or_else(|error| panic!("{}: {error}", pyc.display()));
                assert_eq!(fs::metadata(&pyc).unwrap().len(), found.len() as u64);
                if target.minor() >= 11 {
                    let same = fs::read(&expected).unwrap() == found;
                    assert!(same, "{} differs from {target}'s own", pyc.display());
                } else {
                    same_code(&interpreter, &expected, &pyc, target);
                }
            }
        }
    }
}

/// Compiles the files given after the output directory and the level, each to a number.
const COMPILE_ALL: &str = "
import os, py_compile, sys
for number, path in enumerate(sys.argv[3:]):
    py_compile.compile(path, os.path.join(sys.argv[1], str(number)), doraise=True, optimize=int(sys.argv[2]))";

/// Before 3.11 two processes of one CPython differ in which strings are written by reference: what
/// must be equal is the header and the code that comes out.
fn same_code(interpreter: &Path, expected: &Path, found: &Path, target: Target) {
    let header = if target == Target::OLDEST { 12 } else { 16 };
    let (a, b) = (fs::read(expected).unwrap(), fs::read(found).unwrap());
    assert_eq!(a[..header], b[..header], "{}", found.display());
    succeed(
        command(interpreter)
            .args(["-B", "-c", SAME_CODE])
            .args([expected.as_os_str(), found.as_os_str()])
            .arg(header.to_string()),
    );
}

const SAME_CODE: &str = "
import marshal, sys, types
def form(value):
    if isinstance(value, types.CodeType):
        return tuple(form(getattr(value, name)) for name in sorted(dir(value)) if name.startswith('co_')
                     and not callable(getattr(value, name)))
    if isinstance(value, tuple):
        return (tuple, tuple(form(item) for item in value))
    if isinstance(value, frozenset):
        return (frozenset, frozenset(form(item) for item in value))
    return (type(value), repr(value))
load = lambda path: form(marshal.loads(open(path, 'rb').read()[int(sys.argv[3]):]))
sys.exit(load(sys.argv[1]) != load(sys.argv[2]))";

#[test]
fn imports_take_every_entry_from_the_mount_and_leave_the_source_alone() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    for (path, content) in sources() {
        mounted.write(path, content);
    }
    let before = inventory(mounted.source());
    for (target, interpreter) in interpreters() {
        let output = succeed(
            command(&interpreter)
                .args([
                    "-v",
                    "-c",
                    "import plain, pkg.sub, namespace.inner.mod, crlf, latin, empty, large",
                ])
                .env("PYTHONPATH", mounted.mount_point()),
        );
        let log = String::from_utf8_lossy(&output.stderr);
        let mount = mounted.mount_point().to_str().unwrap();
        let ours = |line: &&str| line.contains(mount);
        let matched = log
            .lines()
            .filter(ours)
            .filter(|line| line.contains(".pyc matches "))
            .count();
        assert_eq!(matched, 8, "{target}: {log}");
        let compiled = log
            .lines()
            .filter(ours)
            .filter(|line| line.starts_with("# code object from") && !line.contains(".pyc"));
        assert_eq!(compiled.count(), 0, "{target}");
        assert!(
            !log.contains("# wrote") && !log.contains("could not create"),
            "{target}"
        );
    }
    assert_eq!(before, inventory(mounted.source()));
}

/// Names, sizes, modes, times and content of everything below a directory.
fn inventory(root: &Path) -> String {
    let script = "cd \"$1\" && find . -printf '%p %y %m %s %T@ %C@\\n' | sort && find . -type f -exec sha256sum {} + | sort";
    let output = succeed(Command::new("sh").args(["-c", script, "sh"]).arg(root));
    String::from_utf8(output.stdout).unwrap()
}

/// The newest interpreter of the machine.
fn newest() -> Option<(Target, PathBuf)> {
    interpreters().pop()
}

#[test]
fn what_cannot_be_served_is_absent_and_the_interpreter_behaves_as_without_us() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    let broken: [(&str, &[u8]); 5] = [
        ("syntax.py", b"def f(:\n    pass\n"),
        ("undecodable.py", b"x = '\xff\xfe'\n"),
        ("unknown_cookie.py", b"# coding: no-such-codec\nx = 1\n"),
        ("nul.py", b"x = 1\0\n"),
        ("indent.py", b"if True:\nx = 1\n"),
    ];
    for (path, content) in broken {
        mounted.write(path, content);
    }
    fs::create_dir(mounted.source().join("directory.py")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        mounted.source().join("fifo.py"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    for (target, interpreter) in interpreters() {
        for (path, _) in broken {
            let module = path.strip_suffix(".py").unwrap();
            let run = |root: &Path| {
                let output = command(&interpreter)
                    .args(["-B", "-c", &format!("import {module}")])
                    .env("PYTHONPATH", root)
                    .output()
                    .unwrap();
                let text =
                    String::from_utf8_lossy(&output.stderr).replace(root.to_str().unwrap(), "ROOT");
                (output.status.code(), text)
            };
            assert_eq!(
                run(mounted.source()),
                run(mounted.mount_point()),
                "{target} {module}"
            );
            assert!(
                !pyc_of(&mounted.mount_point().join(path), target, Level::O0).exists(),
                "{target} {module}"
            );
        }
        for special in ["directory.py", "fifo.py"] {
            assert!(!pyc_of(&mounted.mount_point().join(special), target, Level::O0).exists());
        }
    }
    let cache = mounted.mount_point().join("__pycache__");
    for name in [
        "syntax.cpython-35.pyc",
        "syntax.cpython-316.pyc",
        "syntax.pypy39.pyc",
        "missing.cpython-313.pyc",
        "syntax.pyc",
        "x",
        "syntax.cpython-313.opt-3.pyc",
        ".cpython-313.pyc",
    ] {
        let error = fs::metadata(cache.join(name)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{name}");
    }
    assert_eq!(mounted.count("/synthesis/absent_failed"), 0);
}

/// What a fresh interpreter sees as `mod.value` through the mount.
fn value(interpreter: &Path, root: &Path, import: &str) -> String {
    let script = format!("from {import} import value; print(value)");
    let output = succeed(
        command(interpreter)
            .args(["-c", &script])
            .env("PYTHONPATH", root),
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_next_reader_sees_each_kind_of_edit() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    let Some((_, interpreter)) = newest() else {
        return;
    };
    let (root, source) = (mounted.mount_point(), mounted.source());
    let path = mounted.write("mod.py", "value = 1000\n");
    let see = || {
        mounted.settle();
        value(&interpreter, root, "mod")
    };
    let mtime = fs::metadata(&path).unwrap().modified().unwrap();
    let keep_time = || {
        fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(mtime)
            .unwrap()
    };
    assert_eq!(see(), "1000");
    for number in 1001..1011 {
        // Same size, same time to the nanosecond.
        mounted.write("mod.py", format!("value = {number}\n"));
        keep_time();
        assert_eq!(see(), number.to_string(), "rewritten in place");
        // The same by another file renamed over it.
        mounted.write("new.py", format!("value = {}\n", number + 1000));
        fs::rename(source.join("new.py"), &path).unwrap();
        keep_time();
        assert_eq!(see(), (number + 1000).to_string(), "renamed over");
        fs::remove_file(&path).unwrap();
        mounted.write("mod.py", format!("value = {}\n", number + 2000));
        keep_time();
        assert_eq!(see(), (number + 2000).to_string(), "deleted and recreated");
    }
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(std::time::UNIX_EPOCH)
        .unwrap();
    assert_eq!(see(), "3010", "time set back");
    // A parent that is a symlink, and one that is replaced by another directory.
    for (release, number) in [("one", 1), ("two", 2)] {
        mounted.write(
            &format!("{release}/pkg/mod.py"),
            format!("value = {number}\n"),
        );
    }
    let current = source.join("current");
    for number in [1, 2, 1, 2] {
        let release = if number == 1 { "one" } else { "two" };
        let _ = fs::remove_file(&current);
        symlink(release, &current).unwrap();
        mounted.settle();
        assert_eq!(
            value(&interpreter, &root.join("current"), "pkg.mod"),
            number.to_string(),
            "symlink flip"
        );
    }
    for number in [1, 2, 1] {
        assert_eq!(
            value(&interpreter, &root.join("one"), "pkg.mod"),
            number.to_string(),
            "directories swapped"
        );
        fs::rename(source.join("one"), source.join("swap")).unwrap();
        fs::rename(source.join("two"), source.join("one")).unwrap();
        fs::rename(source.join("swap"), source.join("two")).unwrap();
        mounted.settle();
    }
}

#[test]
fn a_replaced_source_directory_is_followed() {
    let Some(mut mounted) = Mounted::prepared() else {
        return;
    };
    let Some((_, interpreter)) = newest() else {
        return;
    };
    mounted.write("mod.py", "value = 1\n");
    mounted.start(&[]);
    assert_eq!(value(&interpreter, mounted.mount_point(), "mod"), "1");
    for number in 2..5 {
        fs::rename(mounted.source(), mounted.dir().join(format!("old{number}"))).unwrap();
        fs::create_dir(mounted.source()).unwrap();
        mounted.write("mod.py", format!("value = {number}\n"));
        mounted.settle();
        assert_eq!(
            value(&interpreter, mounted.mount_point(), "mod"),
            number.to_string()
        );
    }
}

#[test]
fn symlinked_sources_are_followed_within_the_tree_only() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    let Some((target, interpreter)) = newest() else {
        return;
    };
    mounted.write("real/target.py", "value = 7\n");
    let outside = mounted.dir().join("outside.py");
    fs::write(&outside, "value = 8\n").unwrap();
    let source = mounted.source();
    symlink("real/target.py", source.join("link.py")).unwrap();
    symlink("link.py", source.join("chain.py")).unwrap();
    symlink("../outside.py", source.join("escape.py")).unwrap();
    symlink(&outside, source.join("absolute.py")).unwrap();
    let root = mounted.mount_point();
    let exists = |name: &str| pyc_of(&root.join(name), target, Level::O0).exists();
    assert!(exists("link.py") && exists("chain.py"));
    assert!(!exists("escape.py") && !exists("absolute.py"));
    assert_eq!(value(&interpreter, root, "chain"), "7");
    assert_eq!(
        value(&interpreter, root, "absolute"),
        "8",
        "without an entry, as without us"
    );
}

#[test]
fn fifty_readers_of_a_cold_module_cause_one_compile() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    let Some((target, _)) = newest() else { return };
    for module in 0..4 {
        let mut text = format!("# {module}\n");
        for number in 0..5000 {
            text.push_str(&format!("def f{number}(x):\n    return x + {number}\n"));
        }
        // Hard links and other mounts aside, one name is one kernel look-up: ask by many names. Each
        // is there with all of its text at once: what is not is a source of its own to whoever
        // works ahead after the last module, and another compile.
        let whole = mounted.write("whole", text);
        let names: Vec<String> = (0..9)
            .map(|copy| format!("m{module}_{copy}.py"))
            .chain([format!("m{module}.py")])
            .collect();
        for name in &names {
            fs::hard_link(&whole, mounted.source().join(name)).unwrap();
        }
        fs::remove_file(whole).unwrap();
        std::thread::scope(|scope| {
            for reader in 0..50 {
                let source = mounted.mount_point().join(&names[reader % names.len()]);
                scope.spawn(move || fs::read(pyc_of(&source, target, Level::O0)).unwrap());
            }
        });
        let status = mounted.status().unwrap();
        let compiles = status["synthesis"]["compiles"].as_u64();
        assert_eq!(compiles, Some(module + 1), "{}", status["synthesis"]);
    }
}

#[test]
fn the_same_source_in_many_trees_is_one_entry_of_the_store() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    let Some((target, _)) = newest() else { return };
    for copy in 0..20 {
        mounted.write(&format!("tree{copy}/pkg/mod.py"), "value = 'shared'\n");
    }
    for copy in 0..20 {
        let source = mounted.mount_point().join(format!("tree{copy}/pkg/mod.py"));
        let pyc = fs::read(pyc_of(&source, target, Level::O0)).unwrap();
        let name = source.to_str().unwrap().as_bytes();
        assert!(
            pyc.windows(name.len()).any(|window| window == name),
            "its own file name stands in each"
        );
    }
    assert_eq!(mounted.count("/synthesis/compiles"), 1);
    eventually("the store has one entry", || {
        mounted.status().unwrap()["store"]["entries"].as_u64() == Some(1)
    });
}

#[test]
fn a_warm_store_serves_a_fresh_mount_without_a_compile() {
    let Some(mut mounted) = Mounted::prepared() else {
        return;
    };
    let Some((target, _)) = newest() else { return };
    mounted.write("mod.py", "value = 1\n");
    mounted.start(&[]);
    let pyc = pyc_of(&mounted.mount_point().join("mod.py"), target, Level::O0);
    let first = fs::read(&pyc).unwrap();
    assert_eq!(mounted.stop(), Some(0));
    mounted.start(&[]);
    mounted.store_opened();
    assert_eq!(fs::read(&pyc).unwrap(), first);
    assert_eq!(mounted.count("/synthesis/compiles"), 0);
    assert_eq!(mounted.count("/synthesis/store_hits"), 1);
}

#[test]
fn what_a_module_of_the_store_imports_is_in_memory_before_it_is_asked_for() {
    let Some(mut mounted) = Mounted::prepared() else {
        return;
    };
    let Some((target, _)) = newest() else { return };
    mounted.write("first.py", "import second\n");
    mounted.write("second.py", "import package.third\n");
    mounted.write("package/__init__.py", "");
    mounted.write("package/third.py", "");
    let paths = [
        "first.py",
        "second.py",
        "package/__init__.py",
        "package/third.py",
    ];
    mounted.start(&[]);
    let pycs = paths.map(|path| pyc_of(&mounted.mount_point().join(path), target, Level::O0));
    let contents = pycs.each_ref().map(|pyc| fs::read(pyc).unwrap());
    assert_eq!(mounted.stop(), Some(0));
    // What changed but now is read at each request.
    grow_old();
    mounted.start(&[]);
    mounted.store_opened();
    assert_eq!(fs::read(&pycs[0]).unwrap(), contents[0]);
    // Each is read once, and there is nothing after the last one.
    // Two of them are equal, so that three are in the store.
    eventually("all is read ahead", || {
        mounted.count("/synthesis/hashed") >= 4 && mounted.count("/store/hits") >= 3
    });
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(pycs.each_ref().map(|pyc| fs::read(pyc).unwrap()), contents);
    assert_eq!(mounted.count("/synthesis/hashed"), 4);
    assert_eq!(mounted.count("/synthesis/store_hits"), 1);
    assert_eq!(mounted.count("/synthesis/memory_hits"), 3);
    assert_eq!(mounted.count("/synthesis/compiles"), 0);
}

#[test]
fn hash_based_headers_are_those_of_the_interpreter() {
    for mode in ["checked-hash", "unchecked-hash"] {
        let Some(mounted) = Mounted::new(&["--invalidation-mode", mode]) else {
            return;
        };
        let source = mounted.write("mod.py", "value = 1\n");
        let out = mounted.dir().join("out.pyc");
        for (target, interpreter) in interpreters() {
            if target == Target::OLDEST {
                continue; // 3.6 knows no hash-based pycs.
            }
            let script = "import py_compile, sys; py_compile.compile(sys.argv[1], sys.argv[2], doraise=True, \
                          invalidation_mode=py_compile.PycInvalidationMode[sys.argv[3]])";
            succeed(
                command(&interpreter)
                    .args(["-B", "-c", script])
                    .args([source.as_os_str(), out.as_os_str()])
                    .arg(mode.to_uppercase().replace('-', "_")),
            );
            let found = fs::read(pyc_of(
                &mounted.mount_point().join("mod.py"),
                target,
                Level::O0,
            ))
            .unwrap();
            assert_eq!(
                fs::read(&out).unwrap()[..16],
                found[..16],
                "{mode} {target}"
            );
            assert_eq!(value(&interpreter, mounted.mount_point(), "mod"), "1");
        }
    }
}

#[test]
fn an_mtime_that_rounds_up_as_a_double_still_matches() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    for (name, seconds, nanoseconds) in [
        ("up", 1_700_000_000, 999_999_999),
        ("before", -3, 500_000_000),
        ("zero", 0, 0),
    ] {
        let path = mounted.write(&format!("{name}.py"), "value = 5\n");
        let time = rustix::fs::Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds,
        };
        let times = rustix::fs::Timestamps {
            last_access: time,
            last_modification: time,
        };
        rustix::fs::utimensat(rustix::fs::CWD, &path, &times, rustix::fs::AtFlags::empty())
            .unwrap();
        mounted.settle();
        for (target, interpreter) in interpreters() {
            if target == Target::OLDEST && seconds < 0 {
                continue; // 3.6 compares a signed time with an unsigned one: it never matches.
            }
            let output = succeed(
                command(&interpreter)
                    .args(["-v", "-c", &format!("import {name}")])
                    .env("PYTHONPATH", mounted.mount_point()),
            );
            let log = String::from_utf8_lossy(&output.stderr);
            let matched = log.lines().any(|line| {
                line.contains(".pyc matches ") && line.contains(&format!("/{name}.py"))
            });
            assert!(matched, "{target} {name}");
        }
    }
}

#[test]
fn a_reader_waits_no_longer_than_the_deadline_and_the_next_one_is_served() {
    let Some(mounted) = Mounted::new(&["--deadline", "300ms"]) else {
        return;
    };
    let Some((target, _)) = newest() else { return };
    let mut text = String::new();
    for number in 0..20_000 {
        text.push_str(&format!(
            "def f{number}(x, y={number}):\n    return [x + {number} for x in y if x]\n"
        ));
    }
    mounted.write("slow.py", text);
    let pyc = pyc_of(&mounted.mount_point().join("slow.py"), target, Level::O0);
    let start = Instant::now();
    let error = fs::metadata(&pyc).unwrap_err();
    let waited = start.elapsed();
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    eventually("the compile has ended", || pyc.exists());
    let took = start.elapsed();
    println!("{waited:?} of {took:?}");
    assert!(waited < took / 2, "{waited:?} of {took:?}");
    assert_eq!(mounted.count("/synthesis/compiles"), 1);
    assert!(mounted.count("/synthesis/absent_deadline") >= 1);
}

#[test]
fn a_10_mb_source_is_served() {
    let Some(mounted) = Mounted::new(&["--deadline", "100s"]) else {
        return;
    };
    let Some((target, interpreter)) = newest() else {
        return;
    };
    let mut text = String::from("value = 9\ndata = [\n");
    while text.len() < 10 << 20 {
        text.push_str(&format!("    '{}',\n", "x".repeat(1000)));
    }
    text.push_str("]\n");
    mounted.write("big.py", text);
    assert!(pyc_of(&mounted.mount_point().join("big.py"), target, Level::O0).exists());
    assert_eq!(value(&interpreter, mounted.mount_point(), "big"), "9");
}

/// What the native compiler covers now, newest first, with a reference that reads it.
fn natively_covered() -> Vec<(Target, PathBuf)> {
    use pycfs::compiler::Compiler;
    let covered = pycfs::compiler::native::backend::NativeCompiler.targets();
    let mut found = interpreters();
    found.retain(|(target, _)| covered.contains(target));
    found.reverse();
    found
}

#[test]
fn without_any_interpreter_the_native_compiler_serves_what_it_covers() {
    let Some(mounted) = Mounted::new(&["--backend", "native"]) else {
        return;
    };
    mounted.write("pkg/__init__.py", "from .sub import value\n");
    mounted.write("pkg/sub.py", "value = 1234\n");
    // A charset that only an interpreter decodes.
    mounted.write("unsure.py", "# coding: euc-jp\nvalue = 1\n");
    for (target, interpreter) in natively_covered() {
        assert_eq!(
            value(&interpreter, mounted.mount_point(), "pkg"),
            "1234",
            "{target}"
        );
        for name in ["pkg/__init__.py", "pkg/sub.py"] {
            assert!(pyc_of(&mounted.mount_point().join(name), target, Level::O0).exists());
        }
        let before = mounted.count("/synthesis/absent_unsure");
        assert!(!pyc_of(&mounted.mount_point().join("unsure.py"), target, Level::O0).exists());
        assert_eq!(mounted.count("/synthesis/absent_unsure"), before + 1);
    }
}

#[test]
fn what_the_native_compiler_is_unsure_of_an_interpreter_compiles() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    mounted.write("unsure.py", b"# coding: euc-jp\nvalue = '\xa4\xa2'\n");
    for (target, interpreter) in natively_covered() {
        assert!(
            pyc_of(&mounted.mount_point().join("unsure.py"), target, Level::O0).exists(),
            "{target}"
        );
        let shown = value(&interpreter, mounted.mount_point(), "unsure");
        assert_eq!(shown, "\u{3042}", "{target}");
    }
}
