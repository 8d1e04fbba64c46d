//! The interpreter backend under hostile sources, dying workers and broken interpreters: each job
//! ends in time, with the right code or a refusal, and the next job works.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::background::{PATIENCE, eventually};
use common::interpreters;
use pycfs::compiler::{Compiler, Job, Refusal};
use pycfs::interpreter::{Interpreter, Options, Search};
use pycfs::pyc::{Level, Target};
use rustix::process::Signal;

/// What a refusal may take beyond the job's timeout.
const SLACK: Duration = Duration::from_secs(10);

fn backend_of(paths: &[&Path], options: Options) -> Interpreter {
    Interpreter::open(Options {
        search: Search {
            explicit: paths.iter().map(|path| path.to_path_buf()).collect(),
            ..Search::default()
        },
        ..options
    })
}

/// The newest interpreter of this machine.
fn newest() -> (Target, PathBuf) {
    interpreters().pop().unwrap()
}

fn job(target: Target, source: &[u8], timeout: Duration) -> Job {
    Job {
        source: Arc::from(source),
        target,
        level: Level::O0,
        timeout,
        explain: None,
    }
}

fn assert_works(backend: &Interpreter, target: Target) {
    let answer = backend.compile(&job(target, b"x = 1\n", Duration::from_secs(30)));
    let code = answer.unwrap_or_else(|refusal| panic!("{target}: {refusal}"));
    assert!(code.template.verify(target).is_ok());
}

fn repeated(part: &str, count: usize) -> String {
    part.repeat(count)
}

fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}

fn signal(pid: u32, signal: Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, signal);
}

fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn hostile_sources_end_in_time_and_the_next_job_works() {
    let timeout = Duration::from_secs(4);
    let refused: Vec<(&str, Vec<u8>)> = vec![
        (
            "parentheses",
            [repeated("(", 100_000), repeated(")", 100_000)]
                .concat()
                .into(),
        ),
        ("open brackets", repeated("[", 100_000).into()),
        ("nul byte", b"x = 1\0\n".to_vec()),
        ("nul bytes", vec![0; 1 << 20]),
        ("undecodable", b"x = '\xff\xff'\n".to_vec()),
        (
            "indentation",
            (0..300)
                .map(|depth| format!("{}if x:\n", " ".repeat(depth)))
                .collect::<String>()
                .into(),
        ),
        (
            "noise",
            (0..1_000_000u32)
                .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8 | 128)
                .collect(),
        ),
        (
            "unclosed",
            [b"x = '''".to_vec(), vec![b'a'; 10 << 20]].concat(),
        ),
    ];
    let either: Vec<(&str, Vec<u8>)> = vec![
        ("unary", format!("x = {}1\n", repeated("-", 10_000)).into()),
        (
            "attributes",
            format!("x{}\n", repeated(".a", 100_000)).into(),
        ),
        (
            "operands",
            format!("x = 1{}\n", repeated(" + a", 100_000)).into(),
        ),
        (
            "lambdas",
            format!("x = {}1\n", repeated("lambda: ", 50_000)).into(),
        ),
        ("power", b"x = 2 ** 10 ** 9\n".to_vec()),
        ("powers", b"x = ((7 ** 7777777) ** 7) ** 77\n".to_vec()),
        (
            "tuple",
            b"x = ((((0,) * 5000,) * 5000,) * 5000,) * 5000\n".to_vec(),
        ),
        ("text", b"x = 'a' * 10 ** 12\n".to_vec()),
        (
            "digits",
            format!("x = {}\n", repeated("7", 2_000_000)).into(),
        ),
        (
            "elif",
            format!("if a: pass\n{}", repeated("elif a: pass\n", 20_000)).into(),
        ),
        (
            "names",
            (0..200_000)
                .map(|n| format!("a{n} = {n}.5\n"))
                .collect::<String>()
                .into(),
        ),
    ];
    for (target, path) in interpreters() {
        let backend = backend_of(&[&path], Options::default());
        assert_works(&backend, target);
        for (must_refuse, (what, source)) in refused
            .iter()
            .map(|case| (true, case))
            .chain(either.iter().map(|case| (false, case)))
        {
            let start = Instant::now();
            let answer = backend.compile(&job(target, source, timeout));
            let took = start.elapsed();
            assert!(took < timeout + SLACK, "{target} {what}: {took:?}");
            match answer {
                Ok(code) => {
                    assert!(!must_refuse, "{target} {what}: accepted");
                    assert!(code.template.verify(target).is_ok(), "{target} {what}");
                }
                Err(refusal) => println!(
                    "{target} {what}: {took:.0?} {}",
                    refusal.to_string().chars().take(80).collect::<String>()
                ),
            }
            assert_works(&backend, target);
        }
    }
}

#[test]
fn a_literal_of_ten_megabytes_compiles() {
    let mut source = b"x = '".to_vec();
    source.resize(10 << 20, b'a');
    source.extend_from_slice(b"'\n");
    for (target, path) in interpreters() {
        let backend = backend_of(&[&path], Options::default());
        let answer = backend.compile(&job(target, &source, Duration::from_secs(30)));
        let code = answer.unwrap_or_else(|refusal| panic!("{target}: {refusal}"));
        assert!(code.template.fill(b"/x.py").len() > 10 << 20);
    }
}

#[test]
fn nothing_of_a_source_is_executed() {
    let folder = tempfile::tempdir().unwrap();
    rustix::fs::chmod(folder.path(), rustix::fs::Mode::from_raw_mode(0o777)).unwrap();
    let trace = folder.path().join("trace");
    let source = format!(
        "open({trace:?}, 'w').close()\nimport os\nos.system('touch {0}')\n\
         class A(print(open({trace:?}, 'w'))):\n    x = open({trace:?}, 'w')\n\
         @open({trace:?}, 'w')\ndef f(a=open({trace:?}, 'w')): pass\n",
        trace.display()
    );
    for (target, path) in interpreters() {
        let backend = backend_of(&[&path], Options::default());
        let job = job(target, source.as_bytes(), Duration::from_secs(30));
        assert!(backend.compile(&job).is_ok());
        let broken = Job {
            source: Arc::from(format!("{source}x = (\n").as_bytes()),
            explain: Some(b"/x.py".to_vec()),
            ..job
        };
        assert!(backend.compile(&broken).is_err());
        assert!(!trace.exists(), "{target}");
    }
}

#[test]
fn an_idle_worker_that_was_killed_is_replaced_unnoticed() {
    for (target, path) in interpreters() {
        let backend = backend_of(&[&path], Options::default());
        for _ in 0..3 {
            assert_works(&backend, target);
            let pids = backend.pids();
            assert!(!pids.is_empty());
            for pid in pids {
                kill(pid);
            }
            assert_works(&backend, target);
        }
    }
}

#[test]
fn workers_killed_in_the_middle_of_jobs_cost_refusals_at_most() {
    let (target, path) = newest();
    let backend = backend_of(&[&path], Options::default());
    assert_works(&backend, target);
    let source: String = (0..5_000).map(|n| format!("a{n} = {n}.5\n")).collect();
    let work = job(target, source.as_bytes(), Duration::from_secs(20));
    let expected = backend.compile(&work).unwrap();
    let over = AtomicBool::new(false);
    let (right, mut refused) = (AtomicUsize::new(0), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut pause = Duration::from_millis(170);
            while !over.load(Ordering::Relaxed) {
                let before = right.load(Ordering::Relaxed);
                std::thread::sleep(pause);
                // On a slow machine a worker needs longer than that to come to a job's end.
                if right.load(Ordering::Relaxed) == before {
                    pause *= 2;
                }
                for pid in backend.pids() {
                    kill(pid);
                }
            }
        });
        let deaths = || backend.counters()[0].1.deaths;
        let enough = || right.load(Ordering::Relaxed) > 20 && deaths() > 3;
        let start = Instant::now();
        let mut wrong = None;
        while wrong.is_none()
            && (start.elapsed() < Duration::from_secs(6) || !enough() && start.elapsed() < PATIENCE)
        {
            match backend.compile(&work) {
                Ok(code) if code == expected => {
                    right.fetch_add(1, Ordering::Relaxed);
                }
                Err(Refusal::Died(_) | Refusal::Failed(_)) => refused += 1,
                other => wrong = Some(other),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // Whatever happened, or the other thread never ends.
        over.store(true, Ordering::Relaxed);
        assert!(wrong.is_none(), "{wrong:?}");
        assert!(enough(), "{right:?} right, {refused} refused");
    });
    println!(
        "{right:?} right, {refused} refused; {:?}",
        backend.counters()
    );
    // A start that was killed makes the pool pause for a moment.
    eventually("a job works again", || backend.compile(&work).is_ok());
}

#[test]
fn a_job_killed_once_is_done_by_another_worker() {
    let (target, path) = newest();
    let backend = Arc::new(backend_of(&[&path], Options::default()));
    assert_works(&backend, target);
    let source: String = (0..100_000).map(|n| format!("a{n} = {n}.5\n")).collect();
    // It cannot come to the job's end before it is killed.
    for pid in backend.pids() {
        signal(pid, Signal::STOP);
    }
    let working = {
        let backend = Arc::clone(&backend);
        std::thread::spawn(move || {
            backend.compile(&job(target, source.as_bytes(), Duration::from_secs(60)))
        })
    };
    eventually("the worker is busy", || {
        backend.counters().iter().any(|(_, count)| count.busy == 1)
    });
    std::thread::sleep(Duration::from_millis(30));
    for pid in backend.pids() {
        kill(pid);
    }
    assert!(working.join().unwrap().is_ok());
    assert_eq!(backend.counters()[0].1.deaths, 1);
}

#[test]
fn sixteen_threads_get_their_own_code() {
    for (target, path) in interpreters() {
        let backend = backend_of(
            &[&path],
            Options {
                workers: 4,
                ..Options::default()
            },
        );
        let source = |n: usize| format!("def f{n}(a):\n    return a, {n}.5, 'text {n}'\n");
        let fill = |n: usize| {
            let job = job(target, source(n).as_bytes(), Duration::from_secs(60));
            backend
                .compile(&job)
                .map(|code| code.template.fill(b"/x.py"))
        };
        std::thread::scope(|scope| {
            for thread in 0..16 {
                let fill = &fill;
                scope.spawn(move || {
                    for round in 0..200 {
                        let n = 100_000 + thread * 1000 + round;
                        let code = fill(n).unwrap_or_else(|refusal| panic!("{target}: {refusal}"));
                        let text = format!("text {n}");
                        assert!(code.windows(text.len()).any(|part| part == text.as_bytes()));
                    }
                });
            }
        });
        let count = backend.counters()[0].1;
        assert_eq!(
            (count.jobs, count.deaths, count.timeouts),
            (3200, 0, 0),
            "{target}"
        );
        assert!(count.starts <= 4, "{target}: {count:?}");
        assert_eq!(count.busy, 0);
    }
}

fn fake(folder: &Path, name: &str, script: &str) -> PathBuf {
    let path = folder.join(name);
    // By another process: one that a test beside this one forks while the file is open for writing
    // keeps it so, and then it cannot be run.
    let mut install = Command::new("install")
        .args(["-m", "755", "/dev/stdin"])
        .arg(&path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = install.stdin.take().unwrap();
    write!(text, "#!/bin/sh\n{script}\n").unwrap();
    drop(text);
    assert!(install.wait().unwrap().success());
    path
}

/// Makes a search that finds `path` by its name, python3.X, which must not start with `#!`.
fn named(path: &Path) -> Options {
    Options {
        search: Search {
            directories: vec![path.parent().unwrap().to_owned()],
            ..Search::default()
        },
        start_time: Duration::from_secs(2),
        ..Options::default()
    }
}

#[test]
fn broken_interpreters_are_refusals_in_bounded_time() {
    let target: Target = "3.13".parse().unwrap();
    // The file descriptor of the socket is the second argument after the flags.
    let scripts = [
        ("exits", "exit 3"),
        ("exits well", "exit 0"),
        ("hangs", "exec sleep 1000"),
        ("garbage on stdout", "echo garbage; exec sleep 1000"),
        ("garbage", "eval \"cat /bin/sh >&$6\"; exec sleep 1000"),
        ("short garbage", "eval \"echo hello >&$6\"; exec sleep 1000"),
        ("endless garbage", "eval \"exec cat /dev/zero >&$6\""),
        ("a child that stays", "sleep 1000 & exit 0"),
    ];
    for (what, script) in scripts {
        let folder = tempfile::tempdir().unwrap();
        let path = fake(folder.path(), "python3.13", script);
        let backend = backend_of(&[&path], named(&path));
        // Explicit ones are run to learn their version: this one never becomes a candidate.
        let backend_by_name = {
            // A program of that name that is no script starts the script.
            let bin = folder.path().join("bin");
            std::fs::create_dir(&bin).unwrap();
            let shell = Path::new("/bin/sh").canonicalize().unwrap();
            std::fs::copy(shell, bin.join("python3.13")).unwrap();
            Interpreter::open(named(&bin.join("python3.13")))
        };
        for backend in [&backend, &backend_by_name] {
            let start = Instant::now();
            let answer = backend.compile(&job(target, b"x = 1\n", Duration::from_secs(1)));
            assert!(answer.is_err(), "{what}");
            let first = start.elapsed();
            assert!(first < SLACK, "{what}: {first:?}");
            assert_eq!(backend.build(target), None, "{what}");
            // From now on it is known: no more starts, no waiting.
            let start = Instant::now();
            let starts = |backend: &Interpreter| backend.counters().first().map(|c| c.1.starts);
            let before = starts(backend);
            for _ in 0..100 {
                let answer = backend.compile(&job(target, b"x = 1\n", Duration::from_secs(1)));
                assert!(
                    matches!(answer, Err(Refusal::Failed(_) | Refusal::NotCovered(_))),
                    "{what}: {answer:?}"
                );
            }
            let rest = start.elapsed();
            assert!(rest < SLACK, "{what}: {rest:?}");
            let more = starts(backend).unwrap_or(0) - before.unwrap_or(0);
            assert!(more <= 3, "{what}: {more} starts");
        }
    }
}

/// The running processes of a session.
fn session(leader: u32) -> Vec<u32> {
    let mut members = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((start, end)) = stat.rsplit_once(')') else {
            continue;
        };
        let fields: Vec<&str> = end.split(' ').collect();
        if fields[4] == leader.to_string() && fields[1] != "Z" {
            members.push(start.split(' ').next().unwrap().parse().unwrap());
        }
    }
    members
}

#[test]
fn a_wrapper_script_works_when_it_is_named_and_leaves_no_process() {
    let (target, path) = newest();
    let folder = tempfile::tempdir().unwrap();
    for (name, run) in [("replaced", "exec"), ("waiting", "")] {
        let script = format!("here=$(cd / && pwd)\n{run} {} \"$@\"", path.display());
        let wrapper = fake(folder.path(), name, &script);
        let backend = backend_of(&[&wrapper], Options::default());
        assert_eq!(backend.targets(), [target], "{name}");
        assert_works(&backend, target);
        let pids = backend.pids();
        assert!(pids.iter().all(|pid| backend.is_worker(*pid)));
        assert!(pids.iter().any(|pid| !session(*pid).is_empty()));
        drop(backend);
        eventually("no process is left", || {
            pids.iter().all(|pid| session(*pid).is_empty())
        });
    }
}

#[test]
fn an_interpreter_that_fails_gives_way_to_the_next() {
    let (target, path) = newest();
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken");
    let good = folder.path().join("good");
    for place in [&broken, &good] {
        std::fs::create_dir(place).unwrap();
    }
    let name = format!("python{target}");
    let shell = Path::new("/bin/sh").canonicalize().unwrap();
    std::fs::copy(shell, broken.join(&name)).unwrap();
    std::os::unix::fs::symlink(&path, good.join(&name)).unwrap();
    let backend = Interpreter::open(Options {
        search: Search {
            directories: vec![broken, good],
            ..Search::default()
        },
        ..Options::default()
    });
    assert_eq!(backend.targets(), [target]);
    assert_works(&backend, target);
    assert!(backend.build(target).is_some());
}

#[test]
fn an_interpreter_of_another_version_than_its_name_is_not_used() {
    let found = interpreters();
    let (target, path) = found.first().unwrap();
    let other = found.last().unwrap().0;
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(path, folder.path().join(format!("python{other}"))).unwrap();
    let backend = Interpreter::open(Options {
        search: Search {
            directories: vec![folder.path().to_owned()],
            ..Search::default()
        },
        ..Options::default()
    });
    let answer = backend.compile(&job(other, b"x = 1\n", Duration::from_secs(10)));
    assert!(
        matches!(answer, Err(Refusal::Failed(_))),
        "{target}: {answer:?}"
    );
}

#[test]
fn a_late_job_is_timed_out_and_its_worker_gone() {
    let (target, path) = newest();
    let backend = backend_of(&[&path], Options::default());
    assert_works(&backend, target);
    let pids = backend.pids();
    let source: String = (0..400_000).map(|n| format!("a{n} = {n}.5\n")).collect();
    let start = Instant::now();
    let timeout = Duration::from_millis(200);
    let answer = backend.compile(&job(target, source.as_bytes(), timeout));
    assert_eq!(answer, Err(Refusal::TimedOut(timeout)));
    assert!(start.elapsed() < timeout + SLACK, "{:?}", start.elapsed());
    eventually("the worker is gone", || {
        pids.iter().all(|pid| !is_running(*pid))
    });
    assert_works(&backend, target);
}

#[test]
fn a_job_too_hasty_for_a_start_does_not_keep_the_worker_from_starting() {
    let (target, path) = newest();
    let backend = backend_of(&[&path], Options::default());
    let mut refusals = HashMap::new();
    let deadline = Instant::now() + PATIENCE;
    loop {
        match backend.compile(&job(target, b"x = 1\n", Duration::from_millis(4))) {
            Ok(_) => break,
            Err(refusal) => *refusals.entry(refusal.to_string()).or_insert(0) += 1,
        }
        assert!(Instant::now() < deadline, "{refusals:?}");
    }
    println!("{refusals:?}");
}

#[test]
fn a_stopped_worker_is_a_timeout() {
    let (target, path) = newest();
    let backend = backend_of(&[&path], Options::default());
    assert_works(&backend, target);
    for pid in backend.pids() {
        let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    }
    let timeout = Duration::from_millis(300);
    let answer = backend.compile(&job(target, b"x = 1\n", timeout));
    assert_eq!(answer, Err(Refusal::TimedOut(timeout)));
    assert_works(&backend, target);
}

#[test]
fn workers_without_work_end() {
    let (target, path) = newest();
    let options = Options {
        workers: 3,
        spare_time: Duration::from_millis(200),
        idle_time: Duration::from_secs(10),
        ..Options::default()
    };
    let backend = backend_of(&[&path], options);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..100).for_each(|_| assert_works(&backend, target)));
        }
    });
    eventually("one is left", || backend.pids().len() == 1);
    eventually("none is left", || backend.pids().is_empty());
    assert_works(&backend, target);
}

#[test]
fn a_worker_is_replaced_after_its_number_of_jobs() {
    let (target, path) = newest();
    let options = Options {
        jobs_per_worker: 10,
        ..Options::default()
    };
    let backend = backend_of(&[&path], options);
    for _ in 0..35 {
        assert_works(&backend, target);
    }
    assert_eq!(backend.counters()[0].1.starts, 4);
}

#[test]
fn no_worker_outlives_the_backend() {
    for (target, path) in interpreters() {
        let backend = backend_of(&[&path], Options::default());
        assert_works(&backend, target);
        let pids = backend.pids();
        assert!(!pids.is_empty());
        drop(backend);
        eventually("they are gone", || pids.iter().all(|pid| !is_running(*pid)));
    }
}

#[test]
fn a_program_that_does_not_exist_covers_nothing() {
    let missing = Path::new("/nonexistent/python3.13");
    let backend = backend_of(&[missing], Options::default());
    assert!(backend.targets().is_empty());
    let target: Target = "3.13".parse().unwrap();
    let answer = backend.compile(&job(target, b"x = 1\n", Duration::from_secs(5)));
    assert_eq!(answer, Err(Refusal::NotCovered(target)));
}
