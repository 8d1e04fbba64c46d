//! Workers and interpreters that die, stop, or never answer.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::background::{
    Background, children, ends_with, eventually, is_running, pyc_in, signal,
};
use crate::common::mounted::pycfs;
use crate::readers::{LONGEST, Modules, newest, under_readers};

/// The native compiler would leave the workers without work.
const BY_INTERPRETERS: [&str; 2] = ["-o", "backend=interpreter"];

/// Sends a signal to every worker of a daemon; how many there were.
fn signal_workers(daemon: u32, which: Signal) -> usize {
    let workers = children(daemon);
    for worker in &workers {
        let pid = rustix::process::Pid::from_raw(i32::try_from(*worker).unwrap()).unwrap();
        // One that has ended meanwhile is as good.
        let _ = rustix::process::kill_process(pid, which);
    }
    workers.len()
}

#[test]
fn workers_killed_during_and_between_jobs_are_never_an_error_of_a_reader() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some(modules) = Modules::write(&it, "m", 300) else {
        return;
    };
    let daemon = it.mount(&BY_INTERPRETERS);
    let tally = under_readers(&modules, |tally| {
        let mut killed = 0;
        while killed < 20 {
            killed += signal_workers(daemon, Signal::KILL);
            std::thread::sleep(Duration::from_millis(40));
            // New content keeps them at work.
            let number = killed % 7;
            let path = it.source().join(format!("extra{number}.py"));
            fs::write(path, format!("value = {killed}\n")).unwrap();
            let (target, _) = newest().unwrap();
            let _ = fs::read(pyc_in(it.mount_point(), &format!("extra{number}"), target));
        }
        assert!(tally.present.load(Ordering::SeqCst) > 0);
    });
    eventually("all entries are there again", || {
        modules.read_all() == modules.right.len()
    });
    assert!(is_running(daemon));
    println!("{tally:?}");
}

#[test]
fn a_stopped_worker_costs_its_job_no_more_than_the_deadline_and_is_replaced() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some(modules) = Modules::write(&it, "m", 24) else {
        return;
    };
    let daemon = it.mount(&["-o", "backend=interpreter,deadline=1s,compile_timeout=3s"]);
    eventually("a worker is there", || modules.read(0));
    assert!(signal_workers(daemon, Signal::STOP) > 0);
    let start = Instant::now();
    for number in 1..4 {
        modules.read(number);
    }
    assert!(start.elapsed() < LONGEST, "{:?}", start.elapsed());
    eventually("all entries are there", || {
        modules.read_all() == modules.right.len()
    });
}

/// A program that stands in for an interpreter.
fn script(it: &Background, name: &str, text: &str) -> String {
    let path = it.dir().join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn an_interpreter_that_hangs_makes_entries_absent_within_the_deadline() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some((target, _)) = newest() else { return };
    it.write("mod.py", "value = 1\n");
    for (name, text) in [
        ("silent", "#!/bin/sh\nexec sleep 1000\n"),
        (
            "deaf",
            "#!/bin/sh\ntrap '' TERM INT HUP\nwhile :; do sleep 1000; done\n",
        ),
        ("babbling", "#!/bin/sh\nexec yes\n"),
        ("failing", "#!/bin/sh\nexit 3\n"),
        ("missing", ""),
    ] {
        let program = script(&it, name, text);
        if text.is_empty() {
            fs::remove_file(&program).unwrap();
        }
        let mut command = it.command();
        command
            .env("PATH", "/nonexistent")
            .env("PYENV_ROOT", "/nonexistent")
            .args([
                "-o",
                "backend=interpreter,deadline=1s",
                "--interpreter",
                &program,
            ])
            .args([it.source(), it.mount_point()]);
        let start = Instant::now();
        ends_with(0, &mut command);
        assert!(start.elapsed() < LONGEST, "{name}: {:?}", start.elapsed());
        let daemon = it.adopt();
        // An interpreter in the system's directories may well be there for another version.
        for _ in 0..3 {
            let start = Instant::now();
            let pyc = pyc_in(it.mount_point(), "mod", target);
            let there = fs::metadata(&pyc);
            assert!(start.elapsed() < LONGEST, "{name}: {:?}", start.elapsed());
            if let Err(error) = there {
                assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{name}");
            }
        }
        assert!(it.mount_point().join("mod.py").exists());
        let workers = children(daemon);
        ends_with(0, pycfs().arg("umount").arg(it.mount_point()));
        eventually("it has ended with its workers", || {
            !is_running(daemon) && workers.iter().all(|pid| !is_running(*pid))
        });
    }
}

#[test]
fn an_interpreter_that_is_named_and_hangs_does_not_delay_the_others() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some(modules) = Modules::write(&it, "m", 5) else {
        return;
    };
    let program = script(&it, "silent", "#!/bin/sh\nexec sleep 1000\n");
    it.mount(&["-o", "backend=interpreter", "--interpreter", &program]);
    eventually("all entries are there", || {
        modules.read_all() == modules.right.len()
    });
}

#[test]
fn a_daemon_killed_under_readers_leaves_them_enotconn_and_no_worker() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some(modules) = Modules::write(&it, "m", 50) else {
        return;
    };
    let daemon = it.mount(&BY_INTERPRETERS);
    assert_eq!(modules.read_all(), 50);
    let workers = children(daemon);
    assert!(!workers.is_empty());
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..8)
            .map(|reader| {
                let path = &modules.right[reader].0;
                scope.spawn(move || {
                    loop {
                        if let Err(error) = fs::read(path) {
                            return error.raw_os_error().unwrap();
                        }
                    }
                })
            })
            .collect();
        signal(daemon, Signal::KILL);
        for reader in readers {
            let code = reader.join().unwrap();
            // The second one for a request that was under way.
            assert!(
                [libc::ENOTCONN, libc::ECONNABORTED].contains(&code),
                "{code}"
            );
        }
    });
    eventually("its workers have ended", || {
        workers.iter().all(|pid| !is_running(*pid))
    });
    it.mount(&BY_INTERPRETERS);
    assert_eq!(modules.read_all(), 50);
}
