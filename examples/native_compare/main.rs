//! Development: the native compiler against a reference interpreter, over files or mutants of files.
//!
//! usage: native_compare PYTHON files LIST LEVELS [OUTDIR]
//!        native_compare PYTHON mutants LIST LEVELS SEED COUNT [OUTDIR]
//!
//! PYTHON must be the patch release of a profile. LEVELS is for example `012`; a mutant is compiled at
//! one of them. Counts go to stdout, then each source that is not answered alike, one a line. Those
//! of mutants are kept in OUTDIR.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic
)]

mod mutant;
mod reference;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use mutant::Mutator;
use pycfs::compiler::native::profile::Profile;
use pycfs::pyc::{Level, Target};
use reference::Reference;
use verdict::{Tally, Verdict};

struct Run {
    reference: Reference,
    target: Target,
    profile: &'static Profile,
    python: PathBuf,
    tally: Tally,
    out: Option<PathBuf>,
}

impl Run {
    fn one(&mut self, name: &str, source: &[u8], levels: &[Level]) -> bool {
        let answers = self.reference.ask(source, levels);
        let mut alike = true;
        for (&level, theirs) in levels.iter().zip(answers) {
            let verdict = Verdict::of(
                source,
                self.target,
                self.profile,
                level,
                theirs,
                &self.python,
            );
            alike &= verdict.is_alike();
            self.tally.count(name, level, verdict);
        }
        alike
    }

    fn keep(&self, name: &str, source: &[u8]) {
        if let Some(out) = &self.out {
            std::fs::create_dir_all(out).unwrap();
            std::fs::write(out.join(format!("{name}.py")), source).unwrap();
        }
    }
}

fn levels(text: &str) -> Vec<Level> {
    text.bytes()
        .map(|digit| Level::from_number(digit - b'0').expect("a level"))
        .collect()
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let [_, python, mode, list, level_digits, rest @ ..] = args.as_slice() else {
        panic!("see the head of the source");
    };
    let levels = levels(level_digits);
    let list = std::fs::read_to_string(list).unwrap();
    let paths: Vec<&Path> = list.lines().map(Path::new).collect();
    let (minor, patch) = reference::version(Path::new(python));
    let target = Target::from_minor(minor).unwrap();
    let profile = Profile::of(target, Some(patch)).expect("a covered version");
    assert_eq!(
        profile.patch, patch,
        "the reference is another patch release"
    );
    let mut run = Run {
        reference: Reference::start(Path::new(python)),
        target,
        profile,
        python: python.into(),
        tally: Tally::default(),
        out: None,
    };
    match (mode.as_str(), rest) {
        ("files", out) => {
            run.out = out.first().map(PathBuf::from);
            for (number, path) in paths.iter().enumerate() {
                let Ok(source) = std::fs::read(path) else {
                    continue;
                };
                if !run.one(&path.display().to_string(), &source, &levels) {
                    run.keep(&number.to_string(), &source);
                }
            }
        }
        ("mutants", [seed, count, out @ ..]) => {
            run.out = out.first().map(PathBuf::from);
            let mut mutator = Mutator::new(seed.parse().unwrap());
            for number in 0..count.parse::<u64>().unwrap() {
                let path = paths[mutator.below(paths.len())];
                let level = levels[mutator.below(levels.len())];
                let Ok(source) = std::fs::read(path) else {
                    continue;
                };
                let source = mutator.mutate(&source);
                let name = format!("{seed}-{number}");
                if !run.one(&name, &source, &[level]) {
                    run.keep(&name, &source);
                }
            }
        }
        _ => panic!("see the head of the source"),
    }
    run.tally.print();
    ExitCode::from(u8::from(!run.tally.is_clean()))
}
