//! The ratchet: how many files of a fixed sample of each reference's standard library compile to
//! CPython's very bytes. These counts may not fall. The whole libraries are `native_bytes`' business.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs;

use common::reference::{Answer, Reference};
use pycfs::compiler::native::error::Stop;
use pycfs::compiler::native::pipeline;
use pycfs::pyc::{Level, diff, marshal, normalise};

/// Each file of this many, in order of their paths, is in the sample.
const STEP: usize = 9;
/// Larger files take a debug build too long.
const LARGEST: u64 = 40_000;

/// The least number of files of the sample, in hundredths, that must be identical at each level.
const LEAST_3_13: usize = 100;
const LEAST_3_14: usize = 100;

/// Class e: the worker has loaded these itself, so that the names of their classes are other objects
/// there than in a fresh process. They need be equal in the normal form only.
const LOADED_BY_THE_WORKER: [&str; 5] = [
    "annotationlib.py",
    "argparse.py",
    "functools.py",
    "inspect.py",
    "weakref.py",
];

/// Where the bytes differ first, with the source line.
fn difference(reference: &Reference, ours: &[u8], theirs: &[u8]) -> String {
    let Ok(ours) = marshal::read(reference.target, ours) else {
        return "our bytes are no marshal data".to_owned();
    };
    let theirs = marshal::read(reference.target, theirs).unwrap();
    diff::first_difference(&ours, &theirs).map_or_else(
        || "other references to equal objects".to_owned(),
        |difference| difference.to_string(),
    )
}

fn equal_in_the_normal_form(reference: &Reference, ours: &[u8], theirs: &[u8]) -> bool {
    let read = |data| marshal::read(reference.target, data).unwrap();
    normalise::equal(&read(ours), &read(theirs))
}

fn count(minor: u8, least: usize) {
    let Some(mut reference) = Reference::of(minor) else {
        return;
    };
    let paths = common::library_sources(&reference.library, LARGEST);
    let name = reference.name();
    let mut identical = [0; 3];
    let mut all = [0; 3];
    let mut wrong = Vec::new();
    for (index, path) in paths.iter().step_by(STEP).enumerate() {
        // Each file at one level, and the levels in turn.
        let level = Level::ALL[index % 3];
        let slot = usize::from(level.number());
        let source = fs::read(path).unwrap();
        let shown = path
            .strip_prefix(&reference.library)
            .unwrap()
            .display()
            .to_string();
        let theirs = reference.ask(&source, level);
        all[slot] += 1;
        match (pipeline::compile(&source, reference.profile, level), theirs) {
            (Ok(ours), Answer::Code(theirs)) => {
                let ours = ours.with_filename(&name);
                if ours == theirs
                    || LOADED_BY_THE_WORKER.contains(&shown.as_str())
                        && equal_in_the_normal_form(&reference, &ours, &theirs)
                {
                    identical[slot] += 1;
                } else {
                    let what = difference(&reference, &ours, &theirs);
                    wrong.push(format!("-O{slot} {shown}: {what}"));
                }
            }
            (Err(Stop::Rejected(_)), Answer::Refused(_)) => identical[slot] += 1,
            (Err(Stop::Unsure(why)), _) => wrong.push(format!("-O{slot} {shown}: unsure: {why}")),
            (Ok(_), Answer::Refused(text)) => wrong.push(format!("-O{slot} {shown}: {text}")),
            (Err(Stop::Rejected(error)), Answer::Code(_)) => {
                wrong.push(format!("-O{slot} {shown}: rejected: {}", error.message));
            }
        }
    }
    println!(
        "CPython {}.{}: identical at each level: {identical:?} of {all:?}",
        reference.target, reference.profile.patch
    );
    for each in &wrong {
        println!("{each}");
    }
    for (identical, all) in identical.iter().zip(all) {
        assert!(all >= 40, "a sample of {all} files");
        assert!(identical * 100 >= all * least, "{}", wrong.join("\n"));
    }
}

#[test]
fn the_sample_of_3_13_is_identical() {
    count(13, LEAST_3_13);
}

#[test]
fn the_sample_of_3_14_is_identical() {
    count(14, LEAST_3_14);
}
