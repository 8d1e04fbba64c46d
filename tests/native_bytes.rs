//! The native compiler against CPython: the marshalled code of every file of the reference's
//! standard library, at each level.
//!
//! Only the reference of the profile's patch release is asked: other patch releases have other
//! bytes. What it says is kept in the target directory, so that a second run is quick.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pycfs::compiler::native::error::Stop;
use pycfs::compiler::native::pipeline;
use pycfs::compiler::native::profile::Profile;
use pycfs::pyc::{Level, Target};

/// Files whose bytes depend on the compiling process, with their class in the notes: (d) a set of
/// strings in several code objects.
const PROCESS_DEPENDENT: [&str; 1] = ["test/test_tkinter/test_text.py"];

/// Asks the reference to compile every path; returns the folder with an answer for each.
fn ask(python: &Path, version: &str, paths: &[PathBuf]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bytes-{version}"));
    let complete = folder.join("complete");
    if complete.is_file() {
        return folder;
    }
    fs::create_dir_all(&folder).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/native_reference.py");
    let mut child = Command::new(python)
        .arg(script)
        .arg(&folder)
        .arg("012")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for path in paths {
        writeln!(stdin, "{}", path.display()).unwrap();
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
    fs::write(complete, "").unwrap();
    folder
}

fn compare(minor: u8, level: Level) {
    let target = Target::from_minor(minor).unwrap();
    let profile = Profile::of(target, None).unwrap();
    let python = common::references().join(format!("bin/python{target}"));
    if !python.is_file() {
        common::skipped(&format!("no reference of CPython {target}"));
        return;
    }
    let facts =
        "import sys, os; print('%d.%d.%d' % sys.version_info[:3], os.path.dirname(os.__file__))";
    let facts = Command::new(&python).args(["-c", facts]).output().unwrap();
    let facts = String::from_utf8(facts.stdout).unwrap();
    let (version, library) = facts.trim().split_once(' ').unwrap();
    let ours = format!("{target}.{}", profile.patch);
    if version != ours {
        common::skipped(&format!("the reference is CPython {version}, not {ours}"));
        return;
    }
    let paths = common::library_sources(Path::new(library), u64::MAX);
    let folder = ask(&python, version, &paths);
    let (mut identical, mut refused) = (0, 0);
    let (mut wrong, mut unsure) = (Vec::new(), Vec::new());
    for (number, path) in paths.iter().enumerate() {
        let name = format!("{number}.{}", level.number());
        let theirs = fs::read(folder.join(name)).unwrap();
        let rejected = theirs.starts_with(b"error");
        let shown = path.strip_prefix(library).unwrap().display().to_string();
        match pipeline::compile(&fs::read(path).unwrap(), profile, level) {
            Ok(_) if rejected => wrong.push(format!("{shown}: accepted")),
            Ok(ours) => {
                let ours = ours.with_filename(path.to_str().unwrap().as_bytes());
                if ours == theirs {
                    identical += 1;
                } else if !PROCESS_DEPENDENT.contains(&shown.as_str()) {
                    wrong.push(format!("{shown}: other bytes"));
                }
            }
            Err(Stop::Rejected(_)) if rejected => refused += 1,
            Err(Stop::Rejected(error)) => {
                wrong.push(format!("{shown}: rejected: {}", error.message));
            }
            Err(Stop::Unsure(why)) => unsure.push(format!("{shown}: {why}")),
        }
    }
    println!(
        "CPython {version}, level {}: {identical} of {} files identical, {refused} rejected by \
         both, unsure: {unsure:?}",
        level.number(),
        paths.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(unsure.len() <= 2, "{}", unsure.join("\n"));
}

#[test]
#[ignore = "a whole standard library in minutes: run with --ignored"]
fn the_standard_library_compiles_to_cpythons_bytes() {
    for level in Level::ALL {
        compare(13, level);
        compare(14, level);
    }
}
