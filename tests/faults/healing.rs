//! Mounts that are replaced, and daemons that are killed and started again, under readers.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use rustix::process::Signal;

use crate::common::background::{
    Background, ends_with, eventually, is_running, mounts_at, pyc_in, signal,
};
use crate::common::mounted::pycfs;
use crate::readers::{LONGEST, Modules, newest, under_readers};

/// Mounts once more in the place of the mount that is there; gives the new daemon's process id.
fn replace(it: &Background, source: &Path) -> u32 {
    let mut command = it.command();
    command.arg("--replace").arg(source).arg(it.mount_point());
    ends_with(0, &mut command);
    it.adopt()
}

fn parent_of(pid: u32) -> u32 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    fields.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn readers_see_no_error_while_a_mount_is_replaced() {
    const TIMES: usize = 8;
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some(modules) = Modules::write(&it, "m", 20) else {
        return;
    };
    let mut daemons = vec![it.mount(&[])];
    assert_eq!(modules.read_all(), 20);
    // Panics in a reader upon any error but an absent entry.
    let tally = under_readers(&modules, |tally| {
        for _ in 0..TIMES {
            daemons.push(replace(&it, it.source()));
            let before = tally.present.load(Ordering::SeqCst);
            eventually("the readers go on", || {
                tally.present.load(Ordering::SeqCst) > before + 20
            });
        }
    });
    assert_eq!(tally.absent.into_inner(), 0);
    assert_eq!(mounts_at(it.mount_point()).len(), 1);
    let last = daemons.pop().unwrap();
    eventually("the replaced daemons end", || {
        daemons.iter().all(|pid| !is_running(*pid))
    });
    assert_eq!(it.count("/pid"), u64::from(last));
}

#[test]
fn a_replaced_daemon_serves_those_who_use_its_mount_and_never_unmounts_the_successor() {
    let Some(it) = Background::prepared() else {
        return;
    };
    it.write("sub/mod.py", "value = 1\n");
    let first = it.mount(&[]);
    let mut user = Command::new("sh")
        .args(["-c", "cd \"$0\" && echo in && read line && cat mod.py"])
        .arg(it.mount_point().join("sub"))
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = std::io::BufReader::new(user.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut said, &mut line).unwrap();
    let second = replace(&it, it.source());
    assert!(is_running(first), "it still has a user");
    signal(first, Signal::TERM);
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert_eq!(it.count("/pid"), u64::from(second));
    // Its input ends: the shell goes on in the old mount.
    drop(user.stdin.take());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut said, &mut rest).unwrap();
    user.wait().unwrap();
    eventually("the replaced daemon ends", || !is_running(first));
    assert!(it.mount_point().join("sub/mod.py").exists());
    assert!(is_running(second));
}

#[test]
fn a_mount_over_its_own_source_and_one_of_another_source_are_replaced() {
    let Some(it) = Background::prepared() else {
        return;
    };
    it.write("mod.py", "value = 1\n");
    let other = it.dir().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("mod.py"), "value = 2\n").unwrap();
    it.mount(&[]);
    replace(&it, &other);
    assert_eq!(
        fs::read_to_string(it.mount_point().join("mod.py")).unwrap(),
        "value = 2\n"
    );
    let source = it.source();
    let over = |flags: &[&str]| {
        ends_with(0, it.command().args(flags).arg(source).arg(source));
        let output = pycfs().args(["status", "--json"]).arg(source).output();
        let status: serde_json::Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
        u32::try_from(status["pid"].as_u64().unwrap()).unwrap()
    };
    let first = over(&[]);
    let second = over(&["--replace"]);
    assert_eq!(mounts_at(source).len(), 1);
    assert_eq!(
        fs::read_to_string(source.join("mod.py")).unwrap(),
        "value = 1\n"
    );
    eventually("the replaced daemon ends", || !is_running(first));
    ends_with(0, pycfs().arg("umount").arg(source));
    eventually("the second daemon ends", || !is_running(second));
}

#[test]
fn a_source_of_a_long_path_is_mounted_and_replaced() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let long = it.dir().join("d".repeat(200)).join("e".repeat(200));
    fs::create_dir_all(&long).unwrap();
    fs::write(long.join("mod.py"), "value = 1\n").unwrap();
    ends_with(0, it.command().arg(&long).arg(it.mount_point()));
    it.adopt();
    let ours = [("fuse.pycfs".to_owned(), long.to_str().unwrap().to_owned())];
    assert_eq!(mounts_at(it.mount_point()), ours);
    // The same once more is refused, as for any source.
    ends_with(32, it.command().arg(&long).arg(it.mount_point()));
    replace(&it, &long);
    assert_eq!(mounts_at(it.mount_point()), ours);
    assert!(it.mount_point().join("mod.py").exists());
}

#[test]
fn a_supervised_daemon_that_is_killed_is_back_and_readers_wait_for_it() {
    const TIMES: u64 = 5;
    const READERS: usize = 4;
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some((target, _)) = newest() else { return };
    it.write("mod.py", "value = 1\n");
    let mut daemon = it.mount(&["--supervise"]);
    let supervisor = parent_of(daemon);
    let pyc = pyc_in(it.mount_point(), "mod", target);
    let right = fs::read(&pyc).unwrap();
    let (stop, reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let errors = Mutex::new(BTreeMap::<i32, u64>::new());
    std::thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    let start = Instant::now();
                    match fs::read(&pyc) {
                        Ok(bytes) => assert!(bytes == right),
                        Err(error) => {
                            let code = error.raw_os_error().unwrap_or(0);
                            *errors.lock().unwrap().entry(code).or_default() += 1;
                        }
                    }
                    assert!(start.elapsed() < LONGEST);
                    reads.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        for _ in 0..TIMES {
            signal(daemon, Signal::KILL);
            let before = daemon;
            eventually("another daemon answers", || {
                it.status()
                    .and_then(|status| status["pid"].as_u64())
                    .is_some_and(|pid| pid != u64::from(before))
            });
            daemon = it.adopt();
            let count = reads.load(Ordering::SeqCst);
            eventually("the readers go on", || {
                reads.load(Ordering::SeqCst) > count + 20
            });
        }
        stop.store(true, Ordering::SeqCst);
    });
    let errors = errors.into_inner().unwrap();
    println!("{reads:?} reads, errors by errno: {errors:?}");
    let all: u64 = errors.values().sum();
    // Of each reader, at most what it was in the middle of.
    assert!(all <= TIMES * READERS as u64, "{errors:?}");
    assert_eq!(mounts_at(it.mount_point()).len(), 1);
    assert_eq!(parent_of(daemon), supervisor);
    ends_with(0, pycfs().arg("umount").arg(it.mount_point()));
    eventually("both have ended", || {
        !is_running(daemon) && !is_running(supervisor)
    });
    assert_eq!(mounts_at(it.mount_point()), []);
}

#[test]
fn a_supervisor_that_is_told_to_end_unmounts_and_one_whose_mount_was_replaced_starts_nothing() {
    let Some(it) = Background::prepared() else {
        return;
    };
    it.write("mod.py", "value = 1\n");
    let daemon = it.mount(&["--supervise"]);
    let supervisor = parent_of(daemon);
    // Somebody lives in the first mount, so that its daemon stays after it was replaced.
    let held = fs::File::open(it.mount_point().join("mod.py")).unwrap();
    let second = replace(&it, it.source());
    signal(daemon, Signal::KILL);
    eventually("the supervisor ends too", || !is_running(supervisor));
    drop(held);
    assert_eq!(it.count("/pid"), u64::from(second));
    assert_eq!(mounts_at(it.mount_point()).len(), 1);
    ends_with(0, pycfs().arg("umount").arg(it.mount_point()));

    let daemon = it.mount(&["-o", "supervise"]);
    let supervisor = parent_of(daemon);
    signal(supervisor, Signal::TERM);
    eventually("both have ended", || {
        !is_running(daemon) && !is_running(supervisor)
    });
    assert_eq!(mounts_at(it.mount_point()), []);
}

#[test]
fn a_supervised_mount_that_cannot_be_made_is_an_error_at_once() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let mut command = it.command();
    command
        .args(["--supervise", "-o", "context=no_such_label"])
        .arg(it.source())
        .arg(it.mount_point());
    let said = ends_with(32, &mut command);
    assert!(said.contains("cannot mount"), "{said}");
    assert_eq!(mounts_at(it.mount_point()), []);
}
