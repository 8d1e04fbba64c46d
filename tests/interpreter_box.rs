//! The box that workers of the interpreter backend live in: user, privileges, limits, mounts.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::background::eventually;
use common::{interpreters, skipped};
use pycfs::compiler::{Compiler, Job};
use pycfs::interpreter::{Interpreter, Options, Search};
use pycfs::pyc::{Level, Target};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount,
};

fn backend_of(path: &Path) -> Interpreter {
    Interpreter::open(Options {
        search: Search {
            explicit: vec![path.to_owned()],
            ..Search::default()
        },
        ..Options::default()
    })
}

fn job(target: Target, source: &[u8]) -> Job {
    Job {
        source: Arc::from(source),
        target,
        level: Level::O0,
        timeout: Duration::from_secs(20),
        explain: None,
    }
}

fn assert_works(backend: &Interpreter, target: Target) {
    let answer = backend.compile(&job(target, b"x = 1\n"));
    assert!(
        answer.is_ok(),
        "{target}: {answer:?} {:?}",
        backend.describe()
    );
}

/// Whether this process may do what the test needs; says so if not.
fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skipped("not root");
    }
    root
}

fn proc_text(pid: u32, name: &str) -> String {
    let bytes = std::fs::read(format!("/proc/{pid}/{name}")).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn status_field(pid: u32, name: &str) -> String {
    let status = proc_text(pid, "status");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim_start_matches(':').trim().to_owned()
}

fn mount_points(pid: u32) -> Vec<PathBuf> {
    let field = |line: &str| line.split(' ').nth(4).unwrap().into();
    proc_text(pid, "mountinfo").lines().map(field).collect()
}

#[test]
fn workers_have_no_privileges_no_environment_and_no_foreign_descriptors() {
    let root = is_root();
    // Open without close-on-exec: the worker must not inherit it.
    let leak = std::fs::File::open("/dev/zero").unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    for (target, path) in interpreters() {
        let backend = backend_of(&path);
        assert_works(&backend, target);
        let refusal = backend.compile(&Job {
            explain: Some(b"/x.py".to_vec()),
            ..job(target, b"x = (\n")
        });
        assert!(refusal.is_err());
        eventually("there are a plain worker and a teller", || {
            backend.pids().len() == 2
        });
        for pid in backend.pids() {
            if root {
                assert_eq!(status_field(pid, "Uid"), "65534\t65534\t65534\t65534");
                assert_eq!(status_field(pid, "Gid"), "65534\t65534\t65534\t65534");
                assert_eq!(status_field(pid, "Groups"), "");
                for set in ["CapEff", "CapPrm", "CapAmb", "CapInh"] {
                    assert_eq!(status_field(pid, set), "0000000000000000", "{set}");
                }
            }
            assert_eq!(status_field(pid, "NoNewPrivs"), "1");
            assert_eq!(proc_text(pid, "environ"), "");
            assert_eq!(proc_text(pid, "oom_score_adj").trim(), "900");
            let link = |name: &str| std::fs::read_link(format!("/proc/{pid}/{name}")).unwrap();
            assert_eq!(link("cwd"), Path::new("/"));
            let mut open: Vec<PathBuf> = std::fs::read_dir(format!("/proc/{pid}/fd"))
                .unwrap()
                .map(|entry| entry.unwrap().path())
                .map(|fd| std::fs::read_link(fd).unwrap())
                .collect();
            open.sort();
            assert_eq!(open.len(), 4, "{target}: {open:?}");
            assert_eq!(open[0], Path::new("/dev/null"));
            assert_eq!(open[1], Path::new("/dev/null"));
            assert!(
                open[2].starts_with("/memfd:pycfs-worker (deleted)"),
                "{open:?}"
            );
            assert!(open[3].to_str().unwrap().starts_with("socket:"), "{open:?}");
            let limits = proc_text(pid, "limits");
            let limit = |name: &str| {
                let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
                let mut words = line[name.len()..].split_whitespace();
                words.next().unwrap().to_owned()
            };
            assert_eq!(limit("Max core file size"), "0");
            assert_eq!(limit("Max file size"), "0");
            assert_eq!(limit("Max open files"), "64");
            assert_eq!(limit("Max address space"), (4u64 << 30).to_string());
            let stat = proc_text(pid, "stat");
            let after_name: Vec<&str> = stat.rsplit_once(')').unwrap().1.split(' ').collect();
            assert_eq!(
                after_name[3..5],
                [pid.to_string(), pid.to_string()],
                "group, session"
            );
        }
    }
    assert!(leak.as_raw_fd() > 2);
}

#[test]
fn hidden_mounts_are_out_of_the_workers_sight_and_others_can_be_unmounted() {
    if !is_root() {
        return;
    }
    let (target, path) = interpreters().pop().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let outer = folder.path().canonicalize().unwrap().join("outer");
    std::fs::create_dir(&outer).unwrap();
    let tmpfs = |at: &Path| mount("none", at, "tmpfs", MountFlags::empty(), None);
    if let Err(error) = tmpfs(&outer) {
        skipped(&format!("no mounts here: {error}"));
        return;
    }
    let mounted = Mounted(&outer);
    // Shared, as everything is where systemd runs, so that unmounts reach other namespaces.
    mount_change(&outer, MountPropagationFlags::SHARED).unwrap();
    let [hidden, other] = ["hidden", "other"].map(|name| outer.join(name));
    for place in [&hidden, &other] {
        std::fs::create_dir(place).unwrap();
        tmpfs(place).unwrap();
    }
    let backend = backend_of(&path);
    assert_works(&backend, target);
    let before = backend.pids();
    assert!(mount_points(before[0]).contains(&hidden));
    backend.set_hidden(vec![hidden.clone()]);
    assert_works(&backend, target);
    let pids = backend.pids();
    let pid = *pids.iter().find(|pid| !before.contains(pid)).unwrap();
    assert!(!mount_points(pid).contains(&hidden));
    assert!(mount_points(pid).contains(&other));
    assert!(
        mount_points(std::process::id()).contains(&hidden),
        "ours is still there"
    );

    unmount(&other, UnmountFlags::empty()).unwrap();
    assert!(!mount_points(pid).contains(&other));
    unmount(&hidden, UnmountFlags::empty()).unwrap();
    drop(backend);
    drop(mounted);
}

/// Detaches a mount at the end of a test, also of a failed one.
struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = unmount(self.0, UnmountFlags::DETACH);
    }
}

/// Mounts a FUSE file system at which every access waits for ever.
fn mount_silent_fuse(at: &Path) -> std::io::Result<std::fs::File> {
    let device = std::fs::File::options()
        .read(true)
        .write(true)
        .open("/dev/fuse")?;
    let options = format!(
        "fd={},rootmode=40000,user_id=0,group_id=0",
        device.as_raw_fd()
    );
    let options = std::ffi::CString::new(options).unwrap();
    mount(
        "silent",
        at,
        "fuse",
        MountFlags::empty(),
        Some(options.as_c_str()),
    )?;
    Ok(device)
}

#[test]
fn a_library_beneath_a_mount_that_never_answers_does_not_block_its_worker() {
    if !is_root() {
        return;
    }
    for (target, path) in interpreters() {
        let script = "import sys, os; print(os.path.dirname(os.path.abspath(os.__file__)), end='')";
        let library = common::run_script(&path, script, &[]).stdout;
        let library = PathBuf::from(String::from_utf8(library).unwrap());
        // In a thread with a mount namespace of its own: others go on using the interpreter.
        let test = std::thread::spawn(move || {
            #[allow(deprecated)]
            let unshared = rustix::thread::unshare(rustix::thread::UnshareFlags::NEWNS);
            if let Err(error) = unshared {
                skipped(&format!("no mount namespaces here: {error}"));
                return;
            }
            let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", private).unwrap();
            let device = match mount_silent_fuse(&library) {
                Ok(device) => device,
                Err(error) => {
                    skipped(&format!("no FUSE here: {error}"));
                    return;
                }
            };
            let backend = backend_of(&path);
            backend.set_hidden(vec![library.clone()]);
            let start = Instant::now();
            assert_works(&backend, target);
            assert!(start.elapsed() < Duration::from_secs(30));
            drop(backend);
            // Closing the device ends the connection, so that nothing is left to wait for.
            drop(device);
            unmount(&library, UnmountFlags::DETACH).unwrap();
        });
        test.join().unwrap();
    }
}

#[test]
fn an_unprivileged_daemon_has_workers_of_its_own_user() {
    if !is_root() {
        return;
    }
    // The binary again, as nobody, from a place that nobody can reach.
    let folder = tempfile::tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let copy = folder.path().join("test");
    // By another process: one that a test beside this one forks while the copy is open for writing
    // keeps it so, and then it cannot be run.
    let mut cp = Command::new("cp");
    cp.arg(std::env::current_exe().unwrap()).arg(&copy);
    assert!(cp.status().unwrap().success());
    let output = Command::new(&copy)
        .args(["--ignored", "--exact", "--nocapture", "as_nobody"])
        .uid(65534)
        .gid(65534)
        .current_dir("/")
        .env("TMPDIR", "/tmp")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text} {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
#[ignore = "run by an_unprivileged_daemon_has_workers_of_its_own_user"]
fn as_nobody() {
    assert!(!rustix::process::geteuid().is_root());
    let found = interpreters();
    if found.is_empty() {
        skipped("no interpreter that nobody can reach");
    }
    for (target, path) in found {
        let backend = backend_of(&path);
        assert_works(&backend, target);
        for codec in ["koi8-r", "euc_jp"] {
            let source = format!("# coding: {codec}\nx = 'x'\n");
            assert!(backend.compile(&job(target, source.as_bytes())).is_ok());
        }
        let pids = backend.pids();
        drop(backend);
        assert!(!pids.is_empty());
        eventually("they are gone", || {
            pids.iter()
                .all(|pid| !Path::new(&format!("/proc/{pid}")).exists())
        });
    }
}

#[test]
fn a_daemon_that_is_killed_leaves_no_worker() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("pids");
    let mut daemon = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "endless_daemon"])
        .env("PYCFS_TEST_PIDS", &list)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let pids: Vec<u32> = loop {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(20));
        if let Ok(text) = std::fs::read_to_string(&list)
            && let Some(text) = text.strip_suffix("end")
        {
            break text
                .split_whitespace()
                .map(|pid| pid.parse().unwrap())
                .collect();
        }
    };
    assert!(!pids.is_empty());
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    let alive = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.contains(") Z "))
    };
    while pids.iter().any(alive) {
        assert!(Instant::now() < deadline, "{pids:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
#[ignore = "run by a_daemon_that_is_killed_leaves_no_worker"]
fn endless_daemon() {
    let list = PathBuf::from(std::env::var_os("PYCFS_TEST_PIDS").unwrap());
    let mut backends = Vec::new();
    let mut pids = String::new();
    for (target, path) in interpreters() {
        let backend = Arc::new(backend_of(&path));
        assert_works(&backend, target);
        // One of them in a job that would take a minute.
        let source: String = (0..900_000).map(|n| format!("a{n} = {n}.5\n")).collect();
        let work = Job {
            timeout: Duration::from_secs(4),
            ..job(target, source.as_bytes())
        };
        let busy = Arc::clone(&backend);
        std::thread::spawn(move || busy.compile(&work));
        pids.extend(backend.pids().iter().map(|pid| format!("{pid} ")));
        backends.push(backend);
    }
    std::fs::write(&list, pids + "end").unwrap();
    std::thread::sleep(Duration::from_secs(600));
}
