//! Trees and clients that mean no good: the daemon answers them, and has nothing left of them.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::common::background::{Background, eventually, pyc_in};
use crate::common::{command, skipped};
use crate::readers::{LONGEST, Modules, newest};

/// Less than a reader waits at most, which is 20 s.
const DEADLINE: Duration = Duration::from_secs(18);

/// Descriptors, threads, resident memory in kB.
type Footprint = (usize, usize, usize);

/// What a process has.
fn footprint(pid: u32) -> Footprint {
    let count = |what: &str| fs::read_dir(format!("/proc/{pid}/{what}")).unwrap().count();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let memory = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|line| line.split_whitespace().next()?.parse().ok());
    (count("fd"), count("task"), memory.unwrap())
}

/// What a daemon has when it is up: the index of its store is open, which has threads of its own.
fn settled(it: &Background, pid: u32) -> Footprint {
    it.store_ready();
    footprint(pid)
}

/// That a daemon has, in the end, about what it had before.
fn has_no_more_than(pid: u32, before: Footprint) {
    const THREADS: usize = 8;
    const DESCRIPTORS: usize = 16;
    const MEMORY_KB: usize = 48 << 10;
    let what = format!("the daemon has what it had before, descriptors, threads, kB: {before:?}");
    eventually(&what, || {
        let now = footprint(pid);
        now.0 <= before.0 + DESCRIPTORS
            && now.1 <= before.1 + THREADS
            && now.2 <= before.2 + MEMORY_KB
    });
    println!(
        "descriptors, threads, kB: {before:?}, then {:?}",
        footprint(pid)
    );
}

#[test]
fn ten_thousand_open_files_leave_nothing_behind() {
    const OPEN: usize = 10_000;
    let limit = getrlimit(Resource::Nofile);
    if limit
        .maximum
        .is_some_and(|maximum| maximum < OPEN as u64 + 500)
    {
        return skipped("the hard limit of descriptors is too low for 10,000 open files");
    }
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    // In the first the daemon keeps each file open that a reader has open, in the second one for
    // each version that was found.
    for mode in ["ttl", "strict"] {
        let Some(it) = Background::prepared() else {
            return;
        };
        let Some(modules) = Modules::write(&it, "m", 20) else {
            return;
        };
        let pid = it.mount(&["-o", &format!("coherence={mode}")]);
        assert_eq!(modules.read_all(), 20);
        let before = settled(&it, pid);
        let open: Vec<File> = (0..OPEN)
            .map(|number| match number % 2 {
                0 => File::open(&modules.right[number % 20].0).unwrap(),
                _ => File::open(it.mount_point().join(format!("m{}.py", number % 20))).unwrap(),
            })
            .collect();
        if mode == "ttl" {
            assert_eq!(it.count("/open_handles"), OPEN as u64);
        }
        assert_eq!(modules.read_all(), 20, "others are served meanwhile");
        drop(open);
        eventually("all handles are closed", || it.count("/open_handles") == 0);
        has_no_more_than(pid, before);
    }
}

#[test]
fn readers_killed_in_the_middle_of_a_request_leave_nothing_behind() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some((target, _)) = newest() else { return };
    let Some(modules) = Modules::write(&it, "m", 10) else {
        return;
    };
    // Compiling one of these takes long enough for its reader to be killed.
    let large: String = (0..30_000)
        .map(|number| format!("name_{number} = [{number}, 'text {number}']\n"))
        .collect();
    let pid = it.mount(&[]);
    assert_eq!(modules.read_all(), 10);
    // Compiling what is large leaves as much memory as it leaves without anybody killed.
    let kill_readers_of = |numbers: std::ops::Range<u64>| {
        let mut killed = 0;
        for number in numbers {
            it.write(&format!("large{number}.py"), format!("# {number}\n{large}"));
            let entry = pyc_in(it.mount_point(), &format!("large{number}"), target);
            let mut readers: Vec<_> = (0..3)
                .map(|_| {
                    Command::new("cat")
                        .arg(&entry)
                        .stdout(Stdio::null())
                        .stderr(Stdio::null())
                        .spawn()
                        .unwrap()
                })
                .collect();
            std::thread::sleep(Duration::from_millis(10 + 3 * (number % 20)));
            for reader in &mut readers {
                let _ = reader.kill();
                killed += usize::from(reader.wait().unwrap().signal().is_some());
            }
            if number % 4 == 3 {
                eventually("they are compiled", || it.count("/compiling") == 0);
            }
        }
        eventually("nothing is left of them", || {
            it.count("/open_handles") == 0 && it.count("/compiling") == 0
        });
        killed
    };
    kill_readers_of(0..20);
    let before = settled(&it, pid);
    let killed = kill_readers_of(20..40);
    println!("{killed} of 60 were killed before they had their answer");
    assert!(killed > 0);
    assert_eq!(modules.read_all(), 10);
    has_no_more_than(pid, before);
}

#[test]
fn names_of_255_bytes_and_longer_are_answered_as_by_the_source() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some((_, interpreter)) = newest() else {
        return;
    };
    let directory = "d".repeat(255);
    let stem = "m".repeat(252);
    it.write(&format!("{directory}/{stem}.py"), "value = 'long'\n");
    it.write(&format!("{directory}/__init__.py"), "");
    it.mount(&[]);
    for name in [
        "x".repeat(255),
        "x".repeat(256),
        "x".repeat(1000),
        "x".repeat(2000),
    ] {
        for place in ["", "__pycache__", directory.as_str()] {
            let code = |root: &Path| {
                let error = fs::metadata(root.join(place).join(&name)).unwrap_err();
                error.raw_os_error().unwrap()
            };
            let (ours, theirs) = (code(it.mount_point()), code(it.source()));
            let absent = [ours, theirs]
                .iter()
                .all(|code| [libc::ENOENT, libc::ENAMETOOLONG].contains(code));
            assert!(ours == theirs || absent, "{place}/{}: {ours}", name.len());
        }
    }
    let output = command(&interpreter)
        .args([
            "-c",
            "import sys, importlib; sys.path.insert(0, sys.argv[1]); \
               print(importlib.import_module(sys.argv[2]).value)",
        ])
        .arg(it.mount_point())
        .arg(format!("{directory}.{stem}"))
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "long\n",
        "{output:?}"
    );
}

#[test]
fn links_in_a_circle_special_files_and_two_gigabytes_have_no_entry_and_cost_nothing() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some((target, _)) = newest() else { return };
    it.write("right.py", "value = 1\n");
    let source = it.source();
    symlink("loop.py", source.join("loop.py")).unwrap();
    symlink("two.py", source.join("one.py")).unwrap();
    symlink("one.py", source.join("two.py")).unwrap();
    symlink(".", source.join("here")).unwrap();
    symlink("here/here/here/right.py", source.join("around.py")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, source.join("fifo.py"), Mode::RUSR).unwrap();
    let device = rustix::fs::makedev(1, 5);
    let kind = rustix::fs::FileType::CharacterDevice;
    let name = source.join("zero.py");
    rustix::fs::mknodat(rustix::fs::CWD, name, kind, Mode::RUSR, device).unwrap();
    fs::create_dir(source.join("directory.py")).unwrap();
    let huge = File::create(source.join("huge.py")).unwrap();
    huge.set_len(2 << 30).unwrap();
    let pid = it.mount(&[]);
    assert!(pyc_in(it.mount_point(), "right", target).exists());
    let before = settled(&it, pid);
    for _ in 0..20 {
        for stem in ["loop", "one", "two", "fifo", "zero", "directory", "huge"] {
            let start = Instant::now();
            let error = fs::read(pyc_in(it.mount_point(), stem, target)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{stem}: {error}");
            assert!(start.elapsed() < DEADLINE, "{stem}");
        }
    }
    let error = fs::metadata(it.mount_point().join("loop.py")).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
    assert_eq!(
        fs::metadata(it.mount_point().join("huge.py"))
            .unwrap()
            .len(),
        2 << 30
    );
    let start = Instant::now();
    fs::read_dir(it.mount_point().join("__pycache__"))
        .unwrap()
        .count();
    assert!(start.elapsed() < DEADLINE);
    has_no_more_than(pid, before);
}

#[test]
fn a_directory_that_becomes_a_link_out_of_the_root_never_shows_what_is_there() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some((target, _)) = newest() else { return };
    let outside = it.dir().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("mod.py"), "value = 'the secret'\n").unwrap();
    it.write("sub/mod.py", "value = 'the module'\n");
    it.mount(&[]);
    let (place, aside) = (it.source().join("sub"), it.source().join("aside"));
    let link = it.source().join("link");
    let done = AtomicBool::new(false);
    let mount = File::open(it.mount_point()).unwrap();
    let entry = pyc_in(Path::new("sub"), "mod", target);
    let (mut present, mut absent) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                symlink(&outside, &link).unwrap();
                fs::rename(&place, &aside).unwrap();
                fs::rename(&link, &place).unwrap();
                std::thread::sleep(Duration::from_micros(300));
                fs::remove_file(&place).unwrap();
                fs::rename(&aside, &place).unwrap();
                std::thread::sleep(Duration::from_micros(300));
            }
        });
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(3)
            || (present == 0 || absent == 0) && start.elapsed() < LONGEST
        {
            for path in [entry.as_path(), Path::new("sub/mod.py")] {
                // This reader follows no link itself: what it reads came from the daemon.
                let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
                let flags = OFlags::RDONLY | OFlags::CLOEXEC;
                match rustix::fs::openat2(&mount, path, flags, Mode::empty(), resolve) {
                    Ok(file) => {
                        let bytes = std::io::read_to_string(File::from(file));
                        let bytes = match bytes {
                            Ok(text) => text.into_bytes(),
                            // An entry is no text.
                            Err(_) => continue,
                        };
                        let found = bytes.windows(6).any(|window| window == b"secret");
                        assert!(!found, "{}", path.display());
                        present += 1;
                    }
                    Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::STALE) => absent += 1,
                    Err(errno) => panic!("{}: {errno}", path.display()),
                }
            }
        }
        done.store(true, Ordering::SeqCst);
    });
    println!("{present} times there, {absent} times not");
    assert!(present > 0 && absent > 0);
}

#[test]
fn a_source_filesystem_that_is_taken_away_and_comes_back_is_followed() {
    for mode in ["strict", "watch"] {
        is_taken_away_and_comes_back(mode);
    }
}

fn is_taken_away_and_comes_back(mode: &str) {
    let Some(it) = Background::prepared() else {
        return;
    };
    let fill = || {
        let none = c"size=16m";
        rustix::mount::mount("none", it.source(), "tmpfs", MountFlags::empty(), none).unwrap();
        Modules::write(&it, "m", 10)
    };
    let Some(modules) = fill() else { return };
    it.mount(&["-o", &format!("coherence={mode}")]);
    // With `strict` a change is visible at the next use, with `watch` after the barrier.
    let settle = || {
        if mode == "watch" {
            it.settle();
        }
    };
    assert_eq!(modules.read_all(), 10);
    for _ in 0..3 {
        rustix::mount::unmount(it.source(), UnmountFlags::DETACH).unwrap();
        settle();
        // Each read is of an absent entry: no error, and nobody waits for a deadline.
        let start = Instant::now();
        assert_eq!(modules.read_all(), 0, "{mode}");
        assert!(start.elapsed() < DEADLINE, "{mode}");
        fill().unwrap();
        settle();
        assert_eq!(modules.read_all(), 10, "{mode}");
    }
    assert!(it.status().is_some());
}

#[test]
fn a_source_whose_filesystem_has_no_acls_is_read_by_those_whom_its_modes_allow() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some((target, _)) = newest() else { return };
    // It answers each question for an extended attribute with EOPNOTSUPP.
    rustix::mount::mount("none", it.source(), "ramfs", MountFlags::empty(), None).unwrap();
    let module = it.write("sub/mod.py", "value = 1\n");
    let (user, group) = (Some(12_345), Some(65_534));
    for path in [&module, &it.source().join("sub"), &it.source().to_owned()] {
        std::os::unix::fs::chown(path, user, group).unwrap();
        let mode = if path == &module { 0o640 } else { 0o750 };
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    }
    it.mount(&[]);
    let reads = |group: &str, path: &Path| {
        let status = Command::new("setpriv")
            .args(["--reuid=65534", group, "--clear-groups", "cat"])
            .arg(path)
            .stdout(Stdio::null())
            .status();
        status.unwrap().success()
    };
    let sub = it.mount_point().join("sub");
    for path in [sub.join("mod.py"), pyc_in(&sub, "mod", target)] {
        assert!(reads("--regid=65534", &path), "{}", path.display());
        assert!(!reads("--regid=65533", &path), "{}", path.display());
    }
}

#[test]
fn what_another_user_may_not_read_has_no_entry_for_him() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some((target, _)) = newest() else { return };
    it.write("open.py", "value = 1\n");
    let secret = it.write("secret.py", "password = 'x'\n");
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    it.mount(&[]);
    // Compiled for root first: that the code is in the store helps nobody else.
    assert!(fs::read(pyc_in(it.mount_point(), "secret", target)).is_ok());
    let reads = |stem: &str| {
        let status = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "cat"])
            .arg(pyc_in(it.mount_point(), stem, target))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        status.unwrap().success()
    };
    assert!(reads("open"));
    assert!(!reads("secret"));
}
