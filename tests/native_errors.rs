//! The errors of rejected programs: CPython's own text, or none.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::reference::{Answer, Reference};
use pycfs::compiler::native::error::Stop;
use pycfs::compiler::native::explain::explain;
use pycfs::compiler::native::pipeline;
use pycfs::pyc::Level;

/// One wrong program a line; `␤` is a newline in it.
const PROGRAMS: &str = "tests/native/wrong_programs.txt";

fn programs() -> Vec<String> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(PROGRAMS);
    std::fs::read_to_string(path)
        .unwrap()
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("# "))
        .map(|line| line.replace('␤', "\n").replace('␉', "\t") + "\n")
        .collect()
}

fn compare(minor: u8, untold_at_most: usize) {
    let Some(mut reference) = Reference::of(minor) else {
        return;
    };
    let (target, profile, name) = (reference.target, reference.profile, reference.name());
    let (mut wrong, mut untold, mut told) = (Vec::new(), Vec::new(), 0);
    for program in programs() {
        let theirs = match reference.ask(program.as_bytes(), Level::O0) {
            Answer::Refused(text) => text,
            Answer::Code(_) => {
                // One version's mistake may be another's program.
                if pipeline::compile(program.as_bytes(), profile, Level::O0).is_err() {
                    wrong.push(format!("{program:?} is no mistake"));
                }
                continue;
            }
        };
        match pipeline::compile(program.as_bytes(), profile, Level::O0) {
            Ok(_) => wrong.push(format!("{program:?}: accepted, but {theirs}")),
            Err(Stop::Unsure(why)) => untold.push(format!("{program:?}: {why}")),
            Err(Stop::Rejected(error)) => {
                match explain(&error, program.as_bytes(), target, &name) {
                    Some(ours) if ours == theirs => told += 1,
                    Some(ours) => wrong.push(format!("{program:?}:\n{ours}but CPython\n{theirs}")),
                    None => untold.push(format!("{program:?}: {}", error.message)),
                }
            }
        }
    }
    println!(
        "CPython {target}: {told} errors told alike, {} not told",
        untold.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(untold.len() <= untold_at_most, "{}", untold.join("\n"));
}

#[test]
fn errors_of_3_13_read_as_cpythons() {
    compare(13, 0);
}

/// 3.14 guesses at misspelt keywords where it has no better message: those are left to it.
#[test]
fn errors_of_3_14_read_as_cpythons() {
    compare(14, 75);
}
