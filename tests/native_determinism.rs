//! The native compiler gives the same bytes on each run, whatever the number of threads and the
//! order of the files.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use pycfs::compiler::native::error::Stop;
use pycfs::compiler::native::pipeline;
use pycfs::compiler::native::profile::Profile;
use pycfs::pyc::{Level, Target};

/// How many files are compiled, and the largest of them: debug builds are slow.
const FILES: usize = 300;
const LARGEST: u64 = 40_000;

/// The numbers below `count`, shuffled.
fn shuffled(count: usize, mut seed: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for at in (1..count).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        order.swap(at, (seed >> 33) as usize % (at + 1));
    }
    order
}

type Answers = Vec<Option<Result<Vec<u8>, Stop>>>;

/// Compiles the sources in an order on some threads.
fn compile_all(sources: &[Vec<u8>], order: &[usize], threads: usize, minor: u8) -> Answers {
    let target = Target::from_minor(minor).unwrap();
    let profile = Profile::of(target, None).unwrap();
    let next = AtomicUsize::new(0);
    let answers: Mutex<Answers> = Mutex::new(vec![None; sources.len()]);
    let work = || {
        while let Some(&at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
            let answer = pipeline::compile(&sources[at], profile, Level::O0);
            let answer = answer.map(|code| code.with_filename(b"module.py"));
            answers.lock().unwrap()[at] = Some(answer);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    answers.into_inner().unwrap()
}

#[test]
fn bytes_depend_neither_on_the_run_nor_on_threads_nor_on_the_order() {
    let libraries = ["sid/usr/lib/python3.13", "sid/usr/lib/python3.14"];
    let libraries = libraries.map(|library| common::references().join(library));
    let system = PathBuf::from("/usr/lib/python3");
    let Some(library) = libraries.into_iter().chain([system]).find(|l| l.is_dir()) else {
        common::skipped("no standard library of a reference");
        return;
    };
    let paths = common::library_sources(&library, LARGEST);
    let step = (paths.len() / FILES).max(1);
    let paths = paths.iter().step_by(step).take(FILES);
    let sources: Vec<Vec<u8>> = paths.map(|path| std::fs::read(path).unwrap()).collect();
    assert!(sources.len() >= 100, "{} files", sources.len());
    for minor in [13, 14] {
        let in_order: Vec<usize> = (0..sources.len()).collect();
        let first = compile_all(&sources, &in_order, 1, minor);
        let compiled = first.iter().flatten().filter(|answer| answer.is_ok());
        assert!(compiled.count() * 10 >= sources.len() * 9);
        for (threads, order) in [
            (1, in_order.iter().rev().copied().collect()),
            (2, shuffled(sources.len(), 2)),
            (8, shuffled(sources.len(), 8)),
        ] {
            let again = compile_all(&sources, &order, threads, minor);
            for (at, (one, other)) in first.iter().zip(&again).enumerate() {
                assert!(one == other, "3.{minor}, {threads} threads: source {at}");
            }
        }
    }
}
