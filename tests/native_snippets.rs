//! The native compiler against CPython on small programs, each about one thing.
//!
//! A program that was compiled wrong once, or might easily be, belongs into `native/snippets`. Only
//! the reference of the profile's patch release is asked.

#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pycfs::compiler::native::pipeline;
use pycfs::compiler::native::profile::Profile;
use pycfs::pyc::{Level, Target};

fn snippets() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/native/snippets");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

fn compare(minor: u8) {
    let target = Target::from_minor(minor).unwrap();
    let profile = Profile::of(target, None).unwrap();
    let python = common::references().join(format!("bin/python{target}"));
    if !python.is_file() {
        common::skipped(&format!("no reference of CPython {target}"));
        return;
    }
    let version = "import sys; print('%d.%d.%d' % sys.version_info[:3])";
    let version = Command::new(&python)
        .args(["-c", version])
        .output()
        .unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let ours = format!("{target}.{}", profile.patch);
    if version.trim() != ours {
        common::skipped(&format!("the reference is CPython {version}, not {ours}"));
        return;
    }
    let paths = snippets();
    assert!(!paths.is_empty());
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("snippets-{target}"));
    fs::create_dir_all(&folder).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/native_reference.py");
    let mut wrong = Vec::new();
    for path in &paths {
        let source = fs::read(path).unwrap();
        for level in Level::ALL {
            // In a process of its own: what was compiled before leaves its strings behind.
            let mut child = Command::new(&python)
                .arg(&script)
                .arg(&folder)
                .arg(level.number().to_string())
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdin = child.stdin.take().unwrap();
            writeln!(stdin, "{}", path.display()).unwrap();
            drop(stdin);
            assert!(child.wait().unwrap().success());
            let theirs = fs::read(folder.join(format!("0.{}", level.number()))).unwrap();
            match pipeline::compile(&source, profile, level) {
                Ok(ours) if ours.with_filename(path.to_str().unwrap().as_bytes()) == theirs => {}
                Ok(_) => wrong.push(format!("{} at -O{}", path.display(), level.number())),
                Err(stop) => wrong.push(format!("{}: {stop:?}", path.display())),
            }
        }
    }
    fs::remove_dir_all(&folder).unwrap();
    assert!(wrong.is_empty(), "CPython {target}:\n{}", wrong.join("\n"));
}

#[test]
fn snippets_compile_to_the_bytes_of_cpython_3_13() {
    compare(13);
}

#[test]
fn snippets_compile_to_the_bytes_of_cpython_3_14() {
    compare(14);
}
