//! Names, magic numbers, headers and source hashes against CPython's own.

mod common;

use std::fs::{File, FileTimes};
use std::time::{Duration, SystemTime};

use common::{from_hex, interpreters, run_script, to_hex};
use pycfs::pyc::{
    CacheName, Header, InvalidationMode, Level, Validation, magic_bytes, magic_of, mtime_field,
    source_hash,
};

#[test]
fn magic_numbers_are_those_of_the_interpreters() {
    for (target, python) in interpreters() {
        let script = "import importlib.util as u; print(u.MAGIC_NUMBER.hex())";
        let output = run_script(&python, script, &[]);
        let expected = from_hex(String::from_utf8(output.stdout).unwrap().trim());
        assert_eq!(magic_bytes(magic_of(target)), *expected, "{target}");
    }
}

#[test]
fn cache_names_are_those_of_cache_from_source() {
    let script = r#"
import importlib.util as u, os, sys
for stem in sys.argv[1:]:
    source = os.fsdecode(bytes.fromhex(stem)) + '.py'
    for optimization in ('', '1', '2'):
        name = os.path.basename(u.cache_from_source(source, optimization=optimization))
        print(os.fsencode(name).hex())
"#;
    let stems: [&[u8]; 7] = [
        b"m",
        b"__init__",
        b"a.b.c",
        b".hidden",
        "naïve".as_bytes(),
        b"latin-\xe9",
        b"m.cpython-313.opt-1",
    ];
    let stems_hex: Vec<String> = stems.iter().map(|stem| to_hex(stem)).collect();
    let stems_hex: Vec<&str> = stems_hex.iter().map(String::as_str).collect();
    for (target, python) in interpreters() {
        let output = run_script(&python, script, &stems_hex);
        let names = String::from_utf8(output.stdout).unwrap();
        let mut names = names.lines().map(from_hex);
        for stem in stems {
            for level in Level::ALL {
                let name = CacheName {
                    stem: stem.to_owned(),
                    target,
                    level,
                };
                let expected = names.next().unwrap();
                assert_eq!(name.file_name(), expected, "{target}");
                assert_eq!(CacheName::parse(&expected), Some(name), "{target}");
            }
        }
        assert_eq!(names.next(), None);
    }
}

#[test]
fn headers_are_those_that_py_compile_writes() {
    let script = r#"
import py_compile, sys
source, pyc, mode = sys.argv[1:]
if mode == 'timestamp':
    py_compile.compile(source, pyc, doraise=True)
else:
    mode = py_compile.PycInvalidationMode[mode.upper().replace('-', '_')]
    py_compile.compile(source, pyc, doraise=True, invalidation_mode=mode)
"#;
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("m.py");
    let pyc = directory.path().join("m.pyc");
    let text = b"x = 1\n# \xc3\xa9\n";
    std::fs::write(&source, text).unwrap();
    for (target, python) in interpreters() {
        for mode in InvalidationMode::ALL {
            if target.minor() == 6 && mode != InvalidationMode::Timestamp {
                continue;
            }
            run_script(
                &python,
                script,
                &[
                    source.to_str().unwrap(),
                    pyc.to_str().unwrap(),
                    mode.as_str(),
                ],
            );
            let mtime = std::fs::metadata(&source).unwrap().modified().unwrap();
            let mtime = mtime.duration_since(SystemTime::UNIX_EPOCH).unwrap();
            let magic = magic_of(target);
            let hash = source_hash(target, magic, text);
            let header = match mode {
                InvalidationMode::Timestamp => Header::timestamp(
                    target,
                    magic,
                    mtime_field(mtime.as_secs() as i64, mtime.subsec_nanos()),
                    text.len() as u64,
                ),
                InvalidationMode::CheckedHash => Header::hash(target, magic, hash, true).unwrap(),
                InvalidationMode::UncheckedHash => {
                    Header::hash(target, magic, hash, false).unwrap()
                }
            };
            let written = std::fs::read(&pyc).unwrap();
            assert_eq!(header.mode(), mode);
            assert_eq!(
                written[..Header::size(target)],
                header.to_bytes(),
                "{target} {mode}"
            );
            assert_eq!(Header::read(target, &written), Ok(header), "{target}");
        }
    }
}

#[test]
fn mtimes_are_rounded_as_the_interpreters_round_them() {
    let script = r#"
import os, py_compile, sys
for source in sys.argv[1:]:
    py_compile.compile(source, source + 'c', doraise=True)
"#;
    let times: [(i64, u32); 9] = [
        (0, 0),
        (1_700_000_000, 0),
        (1_700_000_000, 499_999_999),
        (1_700_000_000, 999_999_880),
        (1_700_000_000, 999_999_881),
        (1_700_000_000, 999_999_999),
        (-1, 500_000_000),
        (-5, 1),
        (5_000_000_000, 999_999_999),
    ];
    let directory = tempfile::tempdir().unwrap();
    let epoch = SystemTime::UNIX_EPOCH;
    let sources: Vec<_> = times
        .iter()
        .enumerate()
        .map(|(number, (seconds, nanoseconds))| {
            let path = directory.path().join(format!("m{number}.py"));
            let whole = Duration::from_secs(seconds.unsigned_abs());
            let mtime = if *seconds < 0 {
                epoch - whole
            } else {
                epoch + whole
            };
            let mtime = mtime + Duration::from_nanos((*nanoseconds).into());
            let file = File::create(&path).unwrap();
            file.set_times(FileTimes::new().set_modified(mtime))
                .unwrap();
            drop(file);
            let kept = std::fs::metadata(&path).unwrap().modified().unwrap();
            assert_eq!(kept, mtime, "the file system keeps no such mtime");
            path.to_str().unwrap().to_owned()
        })
        .collect();
    let arguments: Vec<&str> = sources.iter().map(String::as_str).collect();
    for (target, python) in interpreters() {
        run_script(&python, script, &arguments);
        for ((seconds, nanoseconds), source) in times.iter().zip(&sources) {
            let written = std::fs::read(format!("{source}c")).unwrap();
            let expected = Validation::Timestamp {
                mtime: mtime_field(*seconds, *nanoseconds),
                size: 0,
            };
            let header = Header::read(target, &written).unwrap();
            assert_eq!(
                header.validation(),
                expected,
                "{target}: {seconds}.{nanoseconds:09}"
            );
        }
    }
}

#[test]
fn source_hashes_are_those_of_the_interpreters() {
    let script = r#"
import importlib.util as u, sys
for source in sys.argv[1:]:
    print(u.source_hash(bytes.fromhex(source)).hex())
"#;
    let long: Vec<u8> = (0..1000u32).map(|n| (n * 7 + n / 256) as u8).collect();
    let mut sources: Vec<&[u8]> = (0..40).map(|length| &long[..length]).collect();
    sources.push(&long);
    sources.push(b"\xef\xbb\xbfx = 1\r\n\0");
    let arguments: Vec<String> = sources.iter().map(|source| to_hex(source)).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    for (target, python) in interpreters() {
        if target.minor() == 6 {
            continue;
        }
        let output = run_script(&python, script, &arguments);
        let hashes = String::from_utf8(output.stdout).unwrap();
        assert_eq!(hashes.lines().count(), sources.len());
        for (source, expected) in sources.iter().zip(hashes.lines()) {
            let hash = source_hash(target, magic_of(target), source);
            assert_eq!(to_hex(&hash), expected, "{target}");
        }
    }
}
