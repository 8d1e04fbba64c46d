//! Reader threads that read entries all the time and check each answer.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pycfs::pyc::Target;

use crate::common::background::{Background, pyc_in};
use crate::common::{interpreters, run_script};

/// The longest that a reader may wait for anything: the deadline of the mounts here (20 s) and
/// what a machine with too much to do adds.
pub const LONGEST: Duration = Duration::from_secs(60);

/// The newest interpreter of the machine.
pub fn newest() -> Option<(Target, PathBuf)> {
    interpreters().pop()
}

/// Length of the header of a pyc.
pub const HEADER: usize = 16;

/// The marshalled code of each text, compiled by the interpreter itself for the file name.
pub fn codes(interpreter: &Path, texts: &[(String, PathBuf)]) -> Vec<Vec<u8>> {
    const SCRIPT: &str = "
import json, marshal, sys
for text, name in json.load(open(sys.argv[1])):
    # As py_compile does: nothing else refers to the code.
    data = marshal.dumps(compile(text, name, 'exec', dont_inherit=True, optimize=0))
    print(data.hex())";
    let list: Vec<(&str, &str)> = texts
        .iter()
        .map(|(text, name)| (text.as_str(), name.to_str().unwrap()))
        .collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&file, &list).unwrap();
    let output = run_script(interpreter, SCRIPT, &[file.path().to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    let codes: Vec<Vec<u8>> = text.lines().map(crate::common::from_hex).collect();
    assert_eq!(codes.len(), texts.len());
    codes
}

/// Modules of a mount with what their entries must be.
pub struct Modules {
    /// The path of each entry with its right code.
    pub right: Vec<(PathBuf, Vec<u8>)>,
}

impl Modules {
    /// Writes modules `PREFIX0`, `PREFIX1`, …, each with some functions.
    pub fn write(it: &Background, prefix: &str, count: usize) -> Option<Modules> {
        let (target, interpreter) = newest()?;
        let texts: Vec<(String, PathBuf)> = (0..count)
            .map(|number| {
                let stem = format!("{prefix}{number}");
                let mut text = format!("value = '{stem}'\n");
                for function in 0..8 {
                    text += &format!("def f{function}(x):\n    return x + {number}\n");
                }
                let new = it.write(&format!("{stem}.new"), &text);
                fs::rename(new, it.source().join(format!("{stem}.py"))).unwrap();
                (text, it.mount_point().join(format!("{stem}.py")))
            })
            .collect();
        let codes = codes(&interpreter, &texts);
        let paths =
            (0..count).map(|number| pyc_in(it.mount_point(), &format!("{prefix}{number}"), target));
        Some(Modules {
            right: paths.zip(codes).collect(),
        })
    }

    /// Reads an entry: whether it was there. Panics if it is wrong, or the answer is an error or
    /// comes too late.
    pub fn read(&self, number: usize) -> bool {
        let (path, right) = &self.right[number % self.right.len()];
        let start = Instant::now();
        let found = fs::read(path);
        let waited = start.elapsed();
        assert!(waited < LONGEST, "{}: {waited:?}", path.display());
        match found {
            Ok(bytes) => {
                assert!(bytes[HEADER..] == right[..], "{} is wrong", path.display());
                true
            }
            Err(error) => {
                let code = error.raw_os_error();
                assert_eq!(code, Some(libc::ENOENT), "{}: {error}", path.display());
                false
            }
        }
    }

    /// Reads all entries; how many were there.
    pub fn read_all(&self) -> usize {
        (0..self.right.len())
            .filter(|number| self.read(*number))
            .count()
    }
}

/// What readers got.
#[derive(Debug, Default)]
pub struct Tally {
    /// Entries that were there, and right.
    pub present: AtomicU64,
    /// Entries that were absent.
    pub absent: AtomicU64,
}

/// Runs `fault` while eight threads read, each its own way through the modules; ends the readers
/// when it returns.
pub fn under_readers(modules: &Modules, fault: impl FnOnce(&Tally)) -> Tally {
    let (tally, stop) = (Tally::default(), AtomicBool::new(false));
    /// Ends the readers also when the fault panics.
    struct Stop<'a>(&'a AtomicBool);
    impl Drop for Stop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    std::thread::scope(|scope| {
        let ends = Stop(&stop);
        for reader in 0..8_usize {
            let (tally, stop) = (&tally, &stop);
            scope.spawn(move || {
                let mut number = reader * 131;
                while !stop.load(Ordering::SeqCst) {
                    let there = modules.read(number);
                    let count = if there { &tally.present } else { &tally.absent };
                    count.fetch_add(1, Ordering::SeqCst);
                    number += 2 * reader + 1;
                }
            });
        }
        fault(&tally);
        drop(ends);
    });
    tally
}
