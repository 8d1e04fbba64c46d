//! Tools that list and look at everything (`ls -l`, `find`, `du`, `rsync`) have nothing compiled; whoever then reads an
//! entry gets it whole.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::background::{eventually, grow_old};
use common::mounted::{Mounted, pycfs, succeed};
use common::{command, interpreters, skipped};
use pycfs::pyc::Target;

const MODULES: usize = 200;
const MODES: [&str; 4] = ["strict", "watch", "watch/inotify", "ttl"];

/// A mount of [`MODULES`] modules whose listings show one version; `None`, and said so, where the mode is not to be had.
fn mounted(mode: &str, target: Target) -> Option<Mounted> {
    let mut mounted = Mounted::prepared()?;
    for number in 0..MODULES {
        let text = format!("def f(x):\n    return x + {number}\nvalue = f({number})\n");
        mounted.write(&format!("m{number}.py"), text);
    }
    let (kind, events) = mode.split_once('/').unwrap_or((mode, "auto"));
    mounted.start(&[
        "-o",
        &format!("coherence={kind},events={events},python={target},no_ahead"),
    ]);
    let status = mounted.status().unwrap();
    let found = status.pointer("/coherence/mode").unwrap().as_str().unwrap();
    if found != kind {
        skipped(&format!("no {kind} mode here, but {found}"));
        return None;
    }
    Some(mounted)
}

fn newest() -> Option<(Target, PathBuf)> {
    interpreters().pop()
}

fn entry(mounted: &Mounted, module: &str, target: Target) -> PathBuf {
    let name = format!("{module}.{}.pyc", target.cache_tag());
    mounted.mount_point().join("__pycache__").join(name)
}

/// Bytes with one path put in the place of another of the same length.
fn replaced(bytes: &[u8], old: &Path, new: &Path) -> Vec<u8> {
    let (old, new) = (old.as_os_str().as_bytes(), new.as_os_str().as_bytes());
    assert_eq!(old.len(), new.len());
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len() {
        if bytes[at..].starts_with(old) {
            bytes[at..at + old.len()].copy_from_slice(new);
        }
    }
    bytes
}

/// The names that a directory lists.
fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

#[test]
fn tools_that_look_at_every_entry_have_none_compiled() {
    let Some((target, interpreter)) = newest() else {
        return;
    };
    for mode in MODES {
        let Some(mounted) = mounted(mode, target) else {
            continue;
        };
        let place = mounted.mount_point();
        let cache = place.join("__pycache__");
        let listed = succeed(Command::new("ls").arg("-l").arg(&cache));
        let lines = String::from_utf8(listed.stdout).unwrap();
        assert_eq!(lines.matches(".pyc").count(), MODULES, "{mode}");
        succeed(Command::new("find").arg(place).arg("-ls"));
        succeed(Command::new("du").arg("-a").arg(place));
        // One process lists, another one looks: the kernel may have kept the listing too.
        let script = "ls \"$1\" | (cd \"$1\" && xargs stat)";
        succeed(Command::new("sh").args(["-c", script, "sh"]).arg(&cache));
        if has("rsync") {
            let nowhere = mounted.dir().join("nowhere");
            let copy = ["--dry-run", "--archive", "--acls", "--stats"];
            succeed(Command::new("rsync").args(copy).arg(place).arg(nowhere));
        } else {
            skipped("no rsync on this machine");
        }
        let walk = "import os, sys\nfor root, names, files in os.walk(sys.argv[1]):\n    \
                    for name in files: os.stat(os.path.join(root, name))";
        succeed(command(&interpreter).args(["-c", walk]).arg(place));
        assert_eq!(mounted.count("/synthesis/compiles"), 0, "{mode}");
        // Each look-up is answered by the source's text and one look into the store.
        assert!(mounted.count("/synthesis/hashed") <= 2 * MODULES as u64 * 7);

        // One that is asked for by its name is compiled, and what is there is shown with its size.
        let first = fs::read(entry(&mounted, "m0", target)).unwrap();
        succeed(Command::new("ls").arg("-l").arg(&cache));
        assert_eq!(mounted.count("/synthesis/compiles"), 1, "{mode}");
        let size = fs::metadata(entry(&mounted, "m0", target)).unwrap().size();
        assert_eq!(size, first.len() as u64, "{mode}");
    }
}

#[test]
fn looking_at_entries_reads_nothing_ahead() {
    let Some((target, _)) = newest() else { return };
    let Some(mut mounted) = Mounted::prepared() else {
        return;
    };
    mounted.write("first.py", "import package.second\n");
    mounted.write("package/__init__.py", "");
    mounted.write("package/second.py", "");
    mounted.start(&[]);
    fs::read(entry(&mounted, "first", target)).unwrap();
    assert_eq!(mounted.stop(), Some(0));
    // What changed but now is read at each request.
    grow_old();
    mounted.start(&["-o", &format!("python={target}")]);
    mounted.store_opened();
    let cache = mounted.mount_point().join("__pycache__");
    // The entry is in the store, so it is found there and shown with its size.
    succeed(Command::new("ls").arg("-l").arg(&cache));
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(mounted.count("/synthesis/store_hits"), 1);
    assert_eq!(mounted.count("/synthesis/hashed"), 1);
    assert_eq!(mounted.count("/synthesis/compiles"), 0);
}

#[test]
fn a_listing_keeps_nothing_from_being_compiled_ahead() {
    let Some((target, _)) = newest() else { return };
    for mode in MODES {
        let Some(mounted) = mounted(mode, target) else {
            continue;
        };
        let cache = mounted.mount_point().join("__pycache__");
        succeed(Command::new("ls").arg("-l").arg(&cache));
        let version = target.to_string();
        succeed(
            pycfs()
                .args(["warm", "--quiet", "--python", &version])
                .arg(mounted.mount_point()),
        );
        let compiles = mounted.count("/synthesis/compiles");
        assert_eq!(compiles, MODULES as u64, "{mode}");
    }
}

#[test]
fn what_is_read_after_a_listing_is_the_same_as_without_one() {
    let Some((target, _)) = newest() else { return };
    for mode in MODES {
        let Some(mounted) = mounted(mode, target) else {
            continue;
        };
        let right: Vec<Vec<u8>> = (0..20)
            .map(|number| fs::read(entry(&mounted, &format!("m{number}"), target)).unwrap())
            .collect();
        let before = mounted.mount_point().to_owned();
        // A mount that holds none of it yet.
        let Some(mounted) = self::mounted(mode, target) else {
            continue;
        };
        let cache = mounted.mount_point().join("__pycache__");
        for seen in fs::read_dir(&cache).unwrap() {
            assert_eq!(seen.unwrap().metadata().unwrap().size(), 0, "{mode}");
        }
        assert_eq!(mounted.count("/synthesis/compiles"), 0);
        for (number, right) in right.iter().enumerate() {
            let path = entry(&mounted, &format!("m{number}"), target);
            let mut file = File::open(&path).unwrap();
            // Who trusts the size of what is open finds the right one.
            let size = file.metadata().unwrap().size();
            assert_eq!(size, right.len() as u64, "{mode} {number}");
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            // The same but for the source's time and the path of the mount.
            let code = replaced(&bytes[16..], mounted.mount_point(), &before);
            assert!(
                bytes[..8] == right[..8] && code == right[16..],
                "{mode} {number}"
            );
            assert_eq!(fs::metadata(&path).unwrap().size(), size, "{mode}");
        }
        assert_eq!(mounted.count("/synthesis/compiles"), 20, "{mode}");
        let copies = mounted.dir().join("copies");
        succeed(Command::new("cp").arg("-r").arg(&cache).arg(&copies));
        assert_eq!(
            mounted.count("/synthesis/compiles"),
            MODULES as u64,
            "{mode}"
        );
        for copy in fs::read_dir(&copies).unwrap() {
            let copy = copy.unwrap();
            let served = fs::read(cache.join(copy.file_name())).unwrap();
            assert_eq!(fs::read(copy.path()).unwrap(), served, "{mode}");
        }
    }
}

#[test]
fn every_interpreter_uses_what_it_has_listed_before() {
    for (target, interpreter) in interpreters() {
        for mode in ["strict", "watch"] {
            let Some(mounted) = mounted(mode, target) else {
                continue;
            };
            let script = "import os, sys\n\
                root = sys.argv[1]\n\
                for name in os.listdir(root + '/__pycache__'): os.stat(root + '/__pycache__/' + name)\n\
                sys.path.insert(0, root)\n\
                for n in range(50): __import__('m%d' % n)\n";
            let output = succeed(
                command(&interpreter)
                    .args(["-v", "-c", script])
                    .arg(mounted.mount_point()),
            );
            let told = String::from_utf8_lossy(&output.stderr);
            let used = used_entries(&told, mounted.mount_point());
            assert_eq!(used, 50, "{target} {mode}: {told}");
            assert_eq!(mounted.count("/synthesis/compiles"), 50, "{target} {mode}");
        }
    }
}

/// How many entries below `place` an interpreter that was started with `-v` says it took code from.
fn used_entries(told: &str, place: &Path) -> usize {
    let from = format!("# code object from '{}/__pycache__", place.display());
    told.lines().filter(|line| line.starts_with(&from)).count()
}

#[test]
fn one_that_does_not_compile_is_listed_and_the_interpreter_says_why() {
    let Some((target, interpreter)) = newest() else {
        return;
    };
    for mode in MODES {
        let Some(mounted) = mounted(mode, target) else {
            continue;
        };
        mounted.write("wrong.py", "x = (\n");
        mounted.settle();
        let cache = mounted.mount_point().join("__pycache__");
        let count = fs::read_dir(&cache)
            .unwrap()
            .filter(|each| each.as_ref().unwrap().metadata().is_ok())
            .count();
        assert_eq!(count, MODULES + 1, "{mode}");
        let error = fs::read(entry(&mounted, "wrong", target)).unwrap_err();
        let code = error.raw_os_error();
        assert!(
            code == Some(libc::ENOENT) || code == Some(libc::ESTALE),
            "{mode}: {error}"
        );
        let output = command(&interpreter)
            .args([
                "-c",
                "import sys; sys.path.insert(0, sys.argv[1]); import wrong",
            ])
            .arg(mounted.mount_point())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("SyntaxError"), "{mode}: {told}");
    }
}

#[test]
fn entries_of_another_version_are_listed_once_it_is_asked_for() {
    let mut versions = interpreters();
    let (Some((newest, _)), Some((other, _))) = (versions.pop(), versions.pop()) else {
        return;
    };
    for mode in MODES {
        let Some(mounted) = mounted(mode, newest) else {
            continue;
        };
        let cache = mounted.mount_point().join("__pycache__");
        let listed = || {
            let names = fs::read_dir(&cache).unwrap();
            let names = names.map(|each| each.unwrap().file_name());
            names
                .filter(|name| name.to_string_lossy().contains(&other.cache_tag()))
                .count()
        };
        assert_eq!(listed(), 0, "{mode}");
        assert!(fs::read(entry(&mounted, "m0", other)).is_ok(), "{mode}");
        eventually("all are listed", || listed() == MODULES);
    }
}

/// What a `__pycache__` lists may come from the listing of its directory. That one has to be older than two seconds, or
/// nothing is concluded from its times.
#[test]
fn a_pycache_lists_what_its_directory_holds_now_after_the_directory_was_listed() {
    let Some((target, _)) = newest() else { return };
    for mode in ["strict", "watch"] {
        let Some(mounted) = mounted(mode, target) else {
            continue;
        };
        let place = mounted.mount_point();
        let listed = || names(&place.join("__pycache__"));
        let expected = || -> BTreeSet<String> {
            let sources = names(mounted.source());
            let stems = sources.iter().filter_map(|name| name.strip_suffix(".py"));
            stems
                .map(|stem| format!("{stem}.{}.pyc", target.cache_tag()))
                .collect()
        };
        grow_old();
        assert!(names(place).contains("m0.py"));
        assert_eq!(listed(), expected(), "{mode}");
        mounted.write("late.py", "value = 1\n");
        fs::remove_file(mounted.source().join("m0.py")).unwrap();
        mounted.settle();
        assert_eq!(listed(), expected(), "{mode}");
        grow_old();
        assert!(names(place).contains("late.py"));
        assert_eq!(listed(), expected(), "{mode}");
        fs::rename(
            mounted.source().join("m1.py"),
            mounted.source().join("other"),
        )
        .unwrap();
        fs::create_dir(mounted.source().join("folder.py")).unwrap();
        mounted.settle();
        let mut expected = expected();
        expected.remove(&format!("folder.{}.pyc", target.cache_tag()));
        assert_eq!(listed(), expected, "{mode}");
    }
}

/// A directory that was just used is held open, not walked to: another one in its place is another directory.
#[test]
fn a_directory_that_was_replaced_after_it_was_used_shows_the_new_one() {
    let Some((target, _)) = newest() else { return };
    for mode in ["strict", "watch"] {
        let Some(mounted) = mounted(mode, target) else {
            continue;
        };
        let place = mounted.mount_point();
        let source = mounted.source();
        mounted.write("pkg/old.py", "value = 1\n");
        mounted.write("next/new.py", "value = 2\n");
        assert!(place.join("pkg/old.py").exists());
        assert!(place.join("pkg/__pycache__").exists());
        fs::rename(source.join("pkg"), source.join("moved")).unwrap();
        fs::rename(source.join("next"), source.join("pkg")).unwrap();
        mounted.settle();
        assert!(!place.join("pkg/old.py").exists(), "{mode}");
        assert!(place.join("pkg/new.py").exists(), "{mode}");
        assert!(place.join("moved/old.py").exists(), "{mode}");
        fs::remove_dir_all(source.join("moved")).unwrap();
        mounted.settle();
        assert!(!place.join("moved").exists(), "{mode}");
    }
}

/// Where directories are opened by asking: the kernel keeps a listing, and each open says whether it still is right.
#[test]
fn a_listing_is_kept_until_its_directory_changes_and_no_longer() {
    let Some((target, _)) = newest() else { return };
    for mode in ["strict", "ttl"] {
        let Some(mounted) = mounted(mode, target) else {
            continue;
        };
        let (source, place) = (mounted.source(), mounted.mount_point());
        let expected = || {
            let mut names = names(source);
            names.insert("__pycache__".to_owned());
            names
        };
        grow_old();
        assert_eq!(names(place), expected(), "{mode}");
        let before = mounted.count("/requests/readdir");
        for _ in 0..5 {
            assert_eq!(names(place), expected(), "{mode}");
        }
        let after = mounted.count("/requests/readdir");
        assert_eq!(after, before, "{mode}: listings that were requests");

        // Somebody is half-way through the old listing, and goes on later.
        let mut slow = fs::read_dir(place).unwrap();
        slow.next().unwrap().unwrap();
        let old = fs::metadata(source).unwrap().modified().unwrap();
        for round in 0..60 {
            let name = source.join(format!("new{round}.py"));
            match round % 3 {
                0 => fs::write(name, "").unwrap(),
                1 => fs::rename(source.join(format!("new{}.py", round - 1)), name).unwrap(),
                _ => fs::remove_file(source.join(format!("new{}.py", round - 1))).unwrap(),
            }
            // The time of the content alone does not tell the versions apart.
            File::open(source).unwrap().set_modified(old).unwrap();
            if round % 30 == 29 {
                grow_old();
                assert_eq!(names(place), expected(), "{mode}, settled");
                slow.by_ref().take(20).for_each(|entry| {
                    entry.unwrap();
                });
            }
            assert_eq!(names(place), expected(), "{mode}, round {round}");
        }
        slow.for_each(|entry| {
            entry.unwrap();
        });
        grow_old();
        for number in 0..2 {
            for _ in 0..2 {
                assert_eq!(names(place), expected(), "{mode}, {number} at last");
            }
            // Nobody lists until the change is old, and the time of the content is as it was.
            mounted.write(&format!("last{number}.py"), "");
            File::open(source).unwrap().set_modified(old).unwrap();
            grow_old();
        }
        assert_eq!(names(place), expected(), "{mode}, in the end");
    }
}

/// In `strict`, a directory that was just used is looked for at its place in one step, in which symlinks on the way are
/// followed: one that leads to another directory is no place of the old one.
#[test]
fn a_directory_behind_a_symlink_that_took_the_place_of_another_is_the_one_it_leads_to() {
    let Some((target, _)) = newest() else { return };
    let Some(mounted) = mounted("strict", target) else {
        return;
    };
    let (source, place) = (mounted.source(), mounted.mount_point());
    mounted.write("a/b/m.py", "value = 1\n");
    mounted.write("c/b/m.py", "value = 'other'\n");
    let reads = |expected: &str| {
        let module = fs::read_to_string(place.join("a/b/m.py")).unwrap();
        assert_eq!(module, expected);
        let listed = fs::read_dir(place.join("a/b/__pycache__")).unwrap().count();
        let code = place.join(format!("a/b/__pycache__/m.{}.pyc", target.cache_tag()));
        assert_eq!(
            fs::metadata(code).unwrap().mtime(),
            fs::metadata(source.join("a/b/m.py")).unwrap().mtime()
        );
        assert_eq!(listed, 1);
    };
    for _ in 0..20 {
        reads("value = 1\n");
        fs::rename(source.join("a"), source.join("moved")).unwrap();
        std::os::unix::fs::symlink("c", source.join("a")).unwrap();
        reads("value = 'other'\n");
        fs::remove_file(source.join("a")).unwrap();
        std::os::unix::fs::symlink("moved", source.join("a")).unwrap();
        reads("value = 1\n");
        fs::remove_file(source.join("a")).unwrap();
        fs::rename(source.join("moved"), source.join("a")).unwrap();
    }
}
