//! Sequences of edits of a source, with remounts among them, against a reference model in memory:
//! after each step the view agrees with the model in every name, attribute, content and entry.
//! Once through the operations alone, once through a real mount.

// A test ends by panicking.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "../common/mod.rs"]
mod common;

mod reference;
mod views;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::common::mounted::can_mount;
use crate::common::skipped;
use reference::{DIRECTORIES, LINK_TARGETS, NAMES, Reference, Step};
use views::{Direct, Mounted, View};

fn step() -> impl Strategy<Value = Step> {
    let directory = || 0..DIRECTORIES.len();
    let name = || 0..NAMES.len();
    let place = || (directory(), name());
    prop_oneof![
        4 => (place(), any::<u16>()).prop_map(|(at, content)| Step::Write { at, content }),
        4 => (place(), any::<u16>()).prop_map(|(at, content)| Step::Replace { at, content }),
        3 => (place(), any::<u16>()).prop_map(|(at, content)| Step::SameSizeAndTime { at, content }),
        2 => place().prop_map(|at| Step::Broken { at }),
        1 => place().prop_map(|at| Step::Truncate { at }),
        1 => (place(), 0..2_000_000_000_u32).prop_map(|(at, time)| Step::Touch { at, time }),
        1 => (place(), prop_oneof![Just(0o644), Just(0o600), Just(0o444)])
            .prop_map(|(at, mode)| Step::Mode { at, mode }),
        2 => place().prop_map(|at| Step::Remove { at }),
        2 => (place(), place()).prop_map(|(from, to)| Step::Rename { from, to }),
        2 => (place(), 0..LINK_TARGETS.len()).prop_map(|(at, target)| Step::Link { at, target }),
        2 => directory().prop_map(|directory| Step::MakeDirectory { directory }),
        1 => directory().prop_map(|directory| Step::RemoveDirectory { directory }),
        1 => (directory(), directory()).prop_map(|(from, to)| Step::MoveDirectory { from, to }),
        1 => directory().prop_map(|directory| Step::RealCache { directory }),
        1 => Just(Step::ReplaceRoot),
        1 => Just(Step::Remount),
    ]
}

fn run(cases: u32, length: usize, make: impl Fn() -> Box<dyn View>) {
    let cases = std::env::var("PYCFS_MODEL_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(cases);
    let config = Config {
        cases,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    };
    let steps = std::cell::Cell::new(0_usize);
    let compared = std::cell::Cell::new(0_usize);
    let sequences = proptest::collection::vec(step(), 1..length);
    let outcome = TestRunner::new(config).run(&sequences, |sequence| {
        let mut view = make();
        let mut reference = Reference::new(view.source());
        for step in &sequence {
            if let Step::Remount = step {
                view.remount();
            } else {
                reference.apply(step);
                view.settle();
            }
            steps.set(steps.get() + 1);
            match reference.compare(view.as_ref()) {
                Ok(count) => compared.set(compared.get() + count),
                Err(difference) => return Err(TestCaseError::fail(difference)),
            }
        }
        Ok(())
    });
    println!("{cases} sequences, {steps:?} steps, {compared:?} comparisons");
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    assert!(compared.get() > steps.get());
}

#[test]
fn the_operations_agree_with_the_model_after_each_edit_and_remount() {
    run(200, 30, || Box::new(Direct::new()));
}

fn through_a_mount(mode: &'static str) {
    if !can_mount() {
        return;
    }
    if crate::common::interpreters().is_empty() {
        return skipped("no CPython for the entries");
    }
    run(20, 25, || Box::new(Mounted::new(mode)));
}

#[test]
fn a_strict_mount_agrees_with_the_model_after_each_edit_and_remount() {
    through_a_mount("strict");
}

#[test]
fn a_watching_mount_agrees_with_the_model_after_each_edit_barrier_and_remount() {
    through_a_mount("watch");
}
