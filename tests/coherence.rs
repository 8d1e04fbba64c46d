//! The coherence modes on real mounts: what a warm import asks for, and what an edit takes back.
//!
//! `pycfs sync` stands between each change and its reader, as in a deploy script; how soon a change
//! is visible without it is measured by `scripts/bench/edits.sh`.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use rustix::fs::{Advice, fadvise};
use std::fs;
use std::io::{IsTerminal, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::background::{PATIENCE, eventually, signal};
use common::mounted::{Mounted, pycfs, succeed};
use common::{command, interpreters, skipped};
use pycfs::pyc::Target;
use rustix::process::Signal;

/// Mounts in a mode; `None`, and said so, where there is no such mode here.
fn mounted(mode: &str) -> Option<Mounted> {
    let mut mounted = Mounted::prepared()?;
    // A kind of events may be named after the mode.
    let (mode, events) = mode.split_once('/').unwrap_or((mode, "auto"));
    mounted.start(&["-o", &format!("coherence={mode},events={events}")]);
    let found = mode_of(&mounted);
    if found != mode {
        skipped(&format!("no {mode} mode here, but {found}"));
        return None;
    }
    Some(mounted)
}

fn mode_of(mounted: &Mounted) -> String {
    let status = mounted.status().unwrap();
    let mode = status.pointer("/coherence/mode").unwrap();
    mode.as_str().unwrap().to_owned()
}

fn newest() -> Option<(Target, PathBuf)> {
    interpreters().pop()
}

fn pyc(directory: &Path, stem: &str, target: Target) -> PathBuf {
    let name = format!("{stem}.{}.pyc", target.cache_tag());
    directory.join("__pycache__").join(name)
}

/// All requests so far, but those that `status` itself causes (it asks for the figures of the
/// mount to see whether its daemon lives).
fn requests(mounted: &Mounted) -> (u64, serde_json::Value) {
    let requests = mounted.status().unwrap()["requests"].clone();
    let counts = requests.as_object().unwrap();
    let background = ["statfs", "forget", "release", "releasedir"];
    let counted = counts
        .iter()
        .filter(|(name, _)| !background.contains(&name.as_str()));
    let sum = counted.map(|(_, count)| count.as_u64().unwrap()).sum();
    (sum, requests)
}

#[test]
fn a_warm_import_costs_at_most_one_request_a_module() {
    let Some((_, interpreter)) = newest() else {
        return;
    };
    for mode in ["watch", "watch/inotify"] {
        if let Some(mounted) = mounted(mode) {
            warm_import(&mounted, &interpreter);
        }
    }
}

fn warm_import(mounted: &Mounted, interpreter: &Path) {
    const PACKAGES: u64 = 10;
    const MODULES: u64 = 20;
    let mut script = String::new();
    for package in 0..PACKAGES {
        mounted.write(&format!("p{package}/__init__.py"), "");
        for module in 0..MODULES {
            mounted.write(
                &format!("p{package}/m{module}.py"),
                format!("x = {module}\n"),
            );
            script.push_str(&format!("import p{package}.m{module}\n"));
        }
    }
    let import = || {
        succeed(
            command(interpreter)
                .args(["-S", "-c", &script])
                .env("PYTHONPATH", mounted.mount_point()),
        );
    };
    // The lease is 10 s; a slow machine may need more than one try to be within it.
    let mut seen = Vec::new();
    for _ in 0..5 {
        import();
        let (before, _) = requests(mounted);
        import();
        let (after, counts) = requests(mounted);
        seen.push(after - before);
        if after - before <= PACKAGES * (MODULES + 1) {
            return;
        }
        eprintln!("{counts}");
    }
    panic!(
        "requests for {} modules: {seen:?}",
        PACKAGES * (MODULES + 1)
    );
}

/// CPython from 3.8 to 3.13 asks of each open file whether it is a terminal. Rust does not, so the question is asked for it.
#[test]
fn a_pyc_is_given_with_the_answer_that_it_is_no_terminal() {
    for mode in ["watch", "strict"] {
        let Some(mounted) = mounted(mode) else {
            continue;
        };
        const SOURCES: u64 = 20;
        for number in 0..SOURCES {
            // One takes more than a page, and not a whole number of them.
            let text = format!("value = '{}'\n", "x".repeat(number as usize * 1000));
            mounted.write(&format!("m{number}.py"), text);
        }
        mounted.settle();
        let entry = |number: u64| {
            let name = format!("__pycache__/m{number}.cpython-313.pyc");
            mounted.mount_point().join(name)
        };
        let mut asked = Vec::new();
        for number in 0..SOURCES {
            let Ok(mut file) = fs::File::open(entry(number)) else {
                return skipped("nothing compiles for CPython 3.13 here");
            };
            assert!(!file.is_terminal());
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            asked.push((file, bytes));
        }
        let reads = mounted.count("/requests/read");
        assert_eq!(reads, 0, "{mode}: reads that were requests");
        // The same bytes as those that are asked for once the kernel has dropped them.
        for (number, (file, bytes)) in (0..).zip(&asked) {
            fadvise(file, 0, None, Advice::DontNeed).unwrap();
            assert_eq!(&fs::read(entry(number)).unwrap(), bytes, "{mode}");
        }
        assert!(mounted.count("/requests/read") > reads, "{mode}");
    }
}

#[test]
fn a_missing_name_is_asked_for_once_and_found_when_it_comes() {
    let Some(mounted) = mounted("watch") else {
        return;
    };
    mounted.write("a", "");
    mounted.settle();
    let missing = mounted.mount_point().join("missing");
    assert!(!missing.exists());
    let before = mounted.count("/requests/lookup");
    for _ in 0..100 {
        assert!(!missing.exists());
    }
    assert!(mounted.count("/requests/lookup") < before + 50);
    mounted.write("missing", "no more");
    mounted.settle();
    assert_eq!(fs::read_to_string(&missing).unwrap(), "no more");
    fs::remove_file(mounted.source().join("missing")).unwrap();
    mounted.settle();
    assert!(!missing.exists());
}

#[test]
fn after_a_barrier_nothing_is_stale_however_many_events_wait() {
    // Many reads' worth, and fewer than a queue holds.
    const FILES: usize = 4000;
    for mode in ["watch", "watch/inotify"] {
        let Some(mounted) = mounted(mode) else {
            continue;
        };
        fs::create_dir(mounted.source().join("many")).unwrap();
        mounted.write("m.txt", "0");
        mounted.settle();
        // The directory is held, so that its events count with inotify too.
        let many = mounted.mount_point().join("many");
        assert_eq!(fs::read_dir(many).unwrap().count(), 0);
        let text = || fs::read_to_string(mounted.mount_point().join("m.txt")).unwrap();
        assert_eq!(text(), "0");
        for round in 1..=3_u32 {
            let new = format!("new{round}");
            let is_there = || mounted.mount_point().join(&new).exists();
            assert!(!is_there());
            // What the kernel keeps stays until the daemon, which rests meanwhile, has read of the edit.
            signal(mounted.pid(), Signal::STOP);
            for number in 0..FILES {
                mounted.write(&format!("many/{number}"), "");
            }
            mounted.write("m.txt", round.to_string());
            mounted.write(&new, "");
            // Asked while all of it waits: it is there when the daemon goes on.
            let mut sync = pycfs()
                .arg("sync")
                .arg(mounted.mount_point())
                .spawn()
                .unwrap();
            std::thread::sleep(Duration::from_millis(200));
            signal(mounted.pid(), Signal::CONT);
            assert!(sync.wait().unwrap().success());
            assert!(is_there(), "{mode} {round}: a name that came is missing");
            assert_eq!(text(), round.to_string(), "{mode}");
        }
    }
}

/// Edits that leave size and times as they were, by every way, in every mode.
#[test]
fn after_a_barrier_no_edit_is_stale_in_any_mode() {
    let Some((target, _)) = newest() else { return };
    for mode in ["watch", "watch/inotify", "strict", "ttl"] {
        let Some(mounted) = mounted(mode) else {
            continue;
        };
        let path = mounted.write("pkg/mod.py", "value = 1000\n");
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        let mirror = mounted.mount_point().join("pkg/mod.py");
        let entry = pyc(&mounted.mount_point().join("pkg"), "mod", target);
        let mut codes = Vec::new();
        for number in 1001..1031_u32 {
            let text = format!("value = {number}\n");
            match number % 3 {
                0 => fs::write(&path, &text).unwrap(),
                1 => {
                    mounted.write("pkg/new", &text);
                    fs::rename(mounted.source().join("pkg/new"), &path).unwrap();
                }
                _ => {
                    fs::remove_file(&path).unwrap();
                    fs::write(&path, &text).unwrap();
                }
            }
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(modified).unwrap();
            drop(file);
            mounted.settle();
            assert_eq!(fs::read_to_string(&mirror).unwrap(), text, "{mode}");
            let code = fs::read(&entry).unwrap();
            assert!(!codes.contains(&code), "{mode}: an old entry for {text}");
            codes.push(code);
        }
    }
}

#[test]
fn a_busy_writer_on_the_filesystem_holds_up_neither_an_edit_nor_the_barrier() {
    let Some(mounted) = mounted("watch") else {
        return;
    };
    mounted.write("m.txt", "0");
    // Beside the source: its events are of no interest, and there is no end of them.
    let noise = mounted.dir().join("noise");
    let stopped = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = fs::File::create(&noise).unwrap();
            while !stopped.load(Ordering::Relaxed) {
                file.write_all(b"noise").unwrap();
                file.set_len(0).unwrap();
            }
        });
        let seen = (1..=20).all(|edit: u32| {
            mounted.write("m.txt", edit.to_string());
            let began = Instant::now();
            if catch_unwind(AssertUnwindSafe(|| mounted.settle())).is_err() {
                return false;
            }
            let text = fs::read_to_string(mounted.mount_point().join("m.txt")).unwrap();
            text == edit.to_string() && began.elapsed() < PATIENCE
        });
        stopped.store(true, Ordering::Relaxed);
        assert!(seen, "an edit was not seen after the barrier, or too late");
    });
}

#[test]
fn permissions_follow_at_the_barrier() {
    let Some(mounted) = mounted("watch") else {
        return;
    };
    let Some((target, _)) = newest() else { return };
    let path = mounted.write("pkg/mod.py", "value = 1\n");
    let entry = pyc(&mounted.mount_point().join("pkg"), "mod", target);
    for mode in [0o644, 0o600, 0o640, 0o444] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        mounted.settle();
        let seen = fs::metadata(mounted.mount_point().join("pkg/mod.py")).unwrap();
        assert_eq!(seen.mode() & 0o777, mode);
        assert_eq!(fs::metadata(&entry).unwrap().mode() & 0o777, mode & 0o444);
    }
    let directory = mounted.source().join("pkg");
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    mounted.settle();
    for name in ["pkg", "pkg/__pycache__"] {
        let seen = fs::metadata(mounted.mount_point().join(name)).unwrap();
        assert_eq!(seen.mode() & 0o077, 0, "{name}");
    }
}

#[test]
fn a_file_that_is_edited_by_its_name_outside_the_tree_is_fresh() {
    let Some((target, _)) = newest() else { return };
    for mode in ["watch", "watch/inotify", "strict"] {
        let Some(mounted) = mounted(mode) else {
            continue;
        };
        let path = mounted.write("mod.py", "value = 1000\n");
        if mode == "watch/inotify" {
            // It has no event for a link that is made elsewhere: the file has two names before.
            fs::hard_link(&path, mounted.dir().join("other.py")).unwrap();
        }
        let outside = mounted.dir().join("outside.py");
        let mirror = mounted.mount_point().join("mod.py");
        let entry = pyc(mounted.mount_point(), "mod", target);
        // Once the kernel has it as a file with one name.
        mounted.settle();
        fs::read(&mirror).unwrap();
        let mut before = fs::read(&entry).unwrap();
        fs::hard_link(&path, &outside).unwrap();
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        for number in 1001..1010 {
            let text = format!("value = {number}\n");
            fs::write(&outside, &text).unwrap();
            let file = fs::File::options().write(true).open(&outside).unwrap();
            file.set_modified(modified).unwrap();
            drop(file);
            mounted.settle();
            assert_eq!(fs::read_to_string(&mirror).unwrap(), text, "{mode}");
            let code = fs::read(&entry).unwrap();
            assert_ne!(code, before, "{mode}: {text}");
            before = code;
        }
    }
}

#[test]
fn a_moved_directory_has_its_new_path_in_its_code() {
    let Some((target, _)) = newest() else { return };
    for mode in ["watch", "watch/inotify"] {
        if let Some(mounted) = mounted(mode) {
            moved_directory(&mounted, target);
        }
    }
}

fn moved_directory(mounted: &Mounted, target: Target) {
    mounted.write("one/mod.py", "value = 1\n");
    mounted.settle();
    for (from, to) in [("one", "two"), ("two", "three")] {
        let directory = mounted.mount_point().join(from);
        let old = fs::read(pyc(&directory, "mod", target)).unwrap();
        // Somebody is in it.
        let _held = fs::File::open(&directory).unwrap();
        fs::rename(mounted.source().join(from), mounted.source().join(to)).unwrap();
        mounted.settle();
        assert!(!directory.exists());
        let new = fs::read(pyc(&mounted.mount_point().join(to), "mod", target)).unwrap();
        assert_ne!(new, old, "{from} to {to}");
        let path = mounted.mount_point().join(to).join("mod.py");
        let path = path.to_str().unwrap().as_bytes();
        assert!(new.windows(path.len()).any(|part| part == path));
    }
}

#[test]
fn a_flipped_symlink_on_the_way_to_the_source_is_followed() {
    for mode in ["watch", "strict"] {
        let Some(mut mounted) = Mounted::prepared() else {
            return;
        };
        let releases = mounted.dir().join("releases");
        for release in ["1", "2"] {
            fs::create_dir_all(releases.join(release)).unwrap();
            fs::write(releases.join(release).join("m.py"), release).unwrap();
        }
        fs::remove_dir(mounted.source()).unwrap();
        symlink("releases/1", mounted.source()).unwrap();
        mounted.start(&["-o", &format!("coherence={mode}")]);
        let mirror = mounted.mount_point().join("m.py");
        for release in ["1", "2", "1"] {
            let new = mounted.dir().join("new");
            symlink(format!("releases/{release}"), &new).unwrap();
            fs::rename(&new, mounted.source()).unwrap();
            mounted.settle();
            assert_eq!(fs::read_to_string(&mirror).unwrap(), release, "{mode}");
            // Its events are followed too.
            let text = format!("edit of {release}");
            fs::write(releases.join(release).join("m.py"), &text).unwrap();
            mounted.settle();
            assert_eq!(fs::read_to_string(&mirror).unwrap(), text, "{mode}");
            fs::write(releases.join(release).join("m.py"), release).unwrap();
        }
    }
}

#[test]
fn a_filesystem_mounted_over_a_directory_of_the_source_is_seen() {
    let Some(mounted) = mounted("watch") else {
        return;
    };
    mounted.write("pkg/below.py", "value = 1\n");
    let (over, mirror) = (
        mounted.source().join("pkg"),
        mounted.mount_point().join("pkg"),
    );
    mounted.settle();
    assert!(mirror.join("below.py").exists());
    let status = Command::new("mount")
        .args(["-t", "tmpfs", "pycfs-test"])
        .arg(&over)
        .status()
        .unwrap();
    assert!(status.success());
    let seen = std::panic::catch_unwind(|| {
        mounted.settle();
        assert!(!mirror.join("below.py").exists());
        // No event tells of another filesystem: its files are asked for at each use.
        for number in 0..20 {
            let text = format!("value = {number}\n");
            fs::write(over.join("above.py"), &text).unwrap();
            assert_eq!(fs::read_to_string(mirror.join("above.py")).unwrap(), text);
        }
    });
    succeed(Command::new("umount").arg("-l").arg(&over));
    if let Err(panic) = seen {
        std::panic::resume_unwind(panic);
    }
    mounted.settle();
    assert!(mirror.join("below.py").exists());
}

#[test]
fn a_reader_keeps_the_file_it_opened_whatever_its_name_gets() {
    let Some(mounted) = mounted("watch") else {
        return;
    };
    const LENGTH: usize = 3_000_000;
    mounted.write("f", vec![b'a'; LENGTH]);
    mounted.settle();
    let mirror = mounted.mount_point().join("f");
    let mut open = fs::File::open(&mirror).unwrap();
    for round in 0..10_u8 {
        mounted.write("new", vec![b'b' + round; LENGTH]);
        fs::rename(mounted.source().join("new"), mounted.source().join("f")).unwrap();
        mounted.settle();
        let mut bytes = Vec::new();
        open.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len(), LENGTH);
        let first = bytes[0];
        assert_eq!(first, b'a' + round);
        assert!(bytes.iter().all(|byte| *byte == first), "torn");
        open = fs::File::open(&mirror).unwrap();
    }
}

#[test]
fn looking_at_a_tree_compiles_nothing() {
    let Some(mounted) = mounted("watch") else {
        return;
    };
    for number in 0..200 {
        mounted.write(&format!("p{}/m{number}.py", number % 10), "x = 1\n");
    }
    mounted.settle();
    let place = mounted.mount_point();
    succeed(Command::new("find").arg(place));
    succeed(
        Command::new("ls")
            .arg("-lR")
            .arg(place)
            .arg("--ignore=*.pyc"),
    );
    succeed(Command::new("ls").arg(place.join("p1/__pycache__")));
    succeed(Command::new("du").arg("--exclude=*.pyc").arg(place));
    assert_eq!(mounted.count("/synthesis/compiles"), 0);
}

#[test]
fn a_lease_ends_what_no_event_reports() {
    let Some(mut mounted) = Mounted::prepared() else {
        return;
    };
    let path = mounted.write("data", vec![b'a'; 8192]);
    mounted.start(&["-o", "coherence=watch,lease=500ms"]);
    if mode_of(&mounted) != "watch" {
        return skipped("no watch mode here");
    }
    let mirror = mounted.mount_point().join("data");
    assert_eq!(fs::read(&mirror).unwrap()[0], b'a');
    let script = "import mmap, sys\n\
                  with open(sys.argv[1], 'r+b') as f:\n    \
                  m = mmap.mmap(f.fileno(), 0); m[0] = 98; m.flush(); input()\n";
    let Some((_, interpreter)) = newest() else {
        return;
    };
    let mut writer = command(&interpreter)
        .args(["-c", script])
        .arg(&path)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    eventually("the change is seen", || {
        fs::read(&mirror).unwrap()[0] == b'b'
    });
    drop(writer.stdin.take());
    let _ = writer.wait();
}

#[test]
fn without_watches_the_tree_is_asked_for_at_each_use() {
    let Some(mounted) = mounted("strict") else {
        return;
    };
    let path = mounted.write("m", "0");
    let mirror = mounted.mount_point().join("m");
    for number in 0..200 {
        fs::write(&path, number.to_string()).unwrap();
        assert_eq!(fs::read_to_string(&mirror).unwrap(), number.to_string());
    }
}
