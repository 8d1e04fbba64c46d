//! Measures the native compiler; `scripts/bench/native.sh` runs it beside CPython's.
//!
//! usage: native_bench speed MINOR LIST THREADS      all files of LIST, read beforehand: bytes, seconds
//!        native_bench memory MINOR LIST             all files, one after the other: peak kB
//!        native_bench file MINOR PATH               one file: bytes, seconds, peak kB above the start
//!        native_bench latency MINOR LIST            single files of 10 to 20 KB through the trait, in µs
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use pycfs::compiler::native::backend::NativeCompiler;
use pycfs::compiler::native::error::Stop;
use pycfs::compiler::native::pipeline;
use pycfs::compiler::native::profile::Profile;
use pycfs::compiler::{Compiler, Job};
use pycfs::pyc::{Level, Target};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let [mode, minor, path, ref rest @ ..] = args[..] else {
        panic!("speed, memory, file or latency; a minor version; a path");
    };
    let target = Target::from_minor(minor.parse().expect("a minor version")).unwrap();
    let profile = Profile::of(target, None).expect("a version that is covered");
    let text = || std::fs::read_to_string(path).expect("a list of paths");
    match (mode, rest) {
        ("speed", [threads]) => speed(profile, &text(), threads.parse().expect("a number")),
        ("memory", []) => memory(profile, &text()),
        ("file", []) => file(profile, path),
        ("latency", []) => latency(target, &text()),
        _ => panic!("unknown mode {mode}"),
    }
}

/// The largest resident memory so far, in kB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let field = line.and_then(|line| line.split_whitespace().nth(1));
    field.unwrap().parse().unwrap()
}

/// A compile with the stack that a thread has by default.
fn in_threads<T: Send>(count: usize, work: impl Fn() -> T + Sync) -> Vec<T> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(&work)).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, T>| thread.join().unwrap();
        threads.into_iter().map(join).collect()
    })
}

fn speed(profile: &'static Profile, list: &str, threads: usize) {
    let sources: Vec<Vec<u8>> = list
        .lines()
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    let bytes: usize = sources.iter().map(Vec::len).sum();
    let next = AtomicUsize::new(0);
    let start = Instant::now();
    let made = in_threads(threads, || {
        let mut made = 0;
        while let Some(source) = sources.get(next.fetch_add(1, Ordering::Relaxed)) {
            let code = pipeline::compile(source, profile, Level::O0);
            made += usize::from(std::hint::black_box(code).is_ok());
        }
        made
    });
    let spent = start.elapsed().as_secs_f64();
    let made: usize = made.into_iter().sum();
    println!("{bytes} {spent:.4} {made}");
}

fn memory(profile: &'static Profile, list: &str) {
    in_threads(1, || {
        for path in list.lines() {
            let source = std::fs::read(path).unwrap();
            let _ = std::hint::black_box(pipeline::compile(&source, profile, Level::O0));
        }
    });
    println!("{}", peak());
}

fn file(profile: &'static Profile, path: &str) {
    let source = std::fs::read(path).unwrap();
    let before = peak();
    let start = Instant::now();
    let result = in_threads(1, || pipeline::compile(&source, profile, Level::O0));
    let spent = start.elapsed().as_secs_f64();
    let verdict = match &result[0] {
        Ok(code) => format!("{} bytes of code", code.bytes.len()),
        Err(Stop::Rejected(error)) => format!("rejected: {}", error.message),
        Err(Stop::Unsure(why)) => format!("unsure: {why}"),
    };
    let above = peak() - before;
    println!("{} {spent:.4} {above} {verdict}", source.len());
}

fn latency(target: Target, list: &str) {
    let mut spent = Vec::new();
    for path in list.lines() {
        let source = std::fs::read(path).unwrap();
        if !(10_000..=20_000).contains(&source.len()) {
            continue;
        }
        let job = Job {
            source: source.into(),
            target,
            level: Level::O0,
            timeout: Duration::from_secs(60),
            explain: None,
        };
        let start = Instant::now();
        if std::hint::black_box(NativeCompiler.compile(&job)).is_ok() {
            spent.push(start.elapsed().as_micros());
        }
        // A lookup comes now and then, not in a row.
        std::thread::sleep(Duration::from_millis(1));
    }
    spent.sort_unstable();
    let at = |part: usize| spent[(spent.len() - 1) * part / 100];
    println!("{} {} {} {}", spent.len(), at(50), at(90), at(99));
}
