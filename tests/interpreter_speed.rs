//! Measures the interpreter backend against `compile()` and `marshal.dumps` in one process of the
//! same interpreter. Run by hand, in release:
//! `cargo test --release --test interpreter_speed -- --ignored --nocapture`

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::{interpreters, run_script};
use pycfs::compiler::{Compiler, Job};
use pycfs::interpreter::{Interpreter, Options, Search};
use pycfs::pyc::{Level, Target};

const IN_PROCESS: &str = r"
import glob, marshal, os, sys, time, warnings
warnings.simplefilter('ignore')
library = os.path.dirname(os.path.abspath(os.__file__))
paths = sorted(path for path in glob.glob(library + '/**/*.py', recursive=True) if '/test/' not in path and '-packages/' not in path)
sources = [open(path, 'rb').read() for path in paths]
start, processor = time.perf_counter(), time.process_time()
for path, source in zip(paths, sources):
    try:
        marshal.dumps(compile(source, path, 'exec', dont_inherit=True, optimize=0))
    except (SyntaxError, ValueError):
        pass
print(time.perf_counter() - start)
print(time.process_time() - processor)
print('\n'.join(paths), end='')
";

/// Seconds on the clock, and of processor time of everybody who took part.
#[derive(Clone, Copy)]
struct Cost {
    clock: f64,
    processor: f64,
}

/// User and system time of a process, in seconds.
fn processor_time(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split(' ').collect();
    let ticks: f64 = fields[12..14]
        .iter()
        .map(|n| n.parse::<f64>().unwrap())
        .sum();
    ticks / rustix::param::clock_ticks_per_second() as f64
}

/// Compiles all sources with so many threads and workers.
fn cost_of_backend(target: Target, path: &Path, sources: &[Arc<[u8]>], workers: usize) -> Cost {
    let backend = Interpreter::open(Options {
        search: Search {
            explicit: vec![path.to_owned()],
            ..Search::default()
        },
        workers,
        ..Options::default()
    });
    assert!(backend.build(target).is_some());
    let next = AtomicUsize::new(0);
    let ours = processor_time(std::process::id());
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(source) = sources.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let _ = backend.compile(&Job {
                        source: Arc::clone(source),
                        target,
                        level: Level::O0,
                        timeout: Duration::from_secs(60),
                        explain: None,
                    });
                }
            });
        }
    });
    let clock = start.elapsed().as_secs_f64();
    // Their whole life, start included.
    let theirs: f64 = backend.pids().into_iter().map(processor_time).sum();
    let processor = processor_time(std::process::id()) - ours + theirs;
    Cost { clock, processor }
}

#[test]
#[ignore = "a measurement"]
fn measure_jobs_per_second_against_compile_in_process() {
    println!("files/s of the standard library by the clock (ratio; ratio of processor time)");
    println!("       in process |  1 worker           | 2 workers");
    for (target, path) in interpreters() {
        let output = run_script(&path, IN_PROCESS, &[]).stdout;
        let output = String::from_utf8(output).unwrap();
        let mut lines = output.split('\n');
        let mut seconds = || lines.next().unwrap().parse::<f64>().unwrap();
        let process = Cost {
            clock: seconds(),
            processor: seconds(),
        };
        let sources: Vec<Arc<[u8]>> = lines
            .map(|path| std::fs::read(PathBuf::from(path)).unwrap().into())
            .collect();
        let count = f64::from(u32::try_from(sources.len()).unwrap());
        let show = |cost: Cost| {
            format!(
                "{:5.0} ({:.2}; {:.2})",
                count / cost.clock,
                process.clock / cost.clock,
                process.processor / cost.processor
            )
        };
        println!(
            "{target:>5} {:5.0} | {} | {}",
            count / process.clock,
            show(cost_of_backend(target, &path, &sources, 1)),
            show(cost_of_backend(target, &path, &sources, 2))
        );
    }
}
