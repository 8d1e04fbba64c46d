//! In `strict`, where nobody tells when a file changes and the kernel opens without asking: each
//! version of a file is an inode of its own, and nobody sees that but by what is fresh.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use rustix::fs::{Advice, Timespec, Timestamps, fadvise, futimens};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use common::background::{eventually, grow_old};
use common::mounted::{Mounted, succeed};
use common::{command, interpreters};

fn mounted() -> Option<Mounted> {
    Mounted::new(&["-o", "coherence=strict"])
}

/// A file through the mount: its number by name and by descriptor, and what it holds.
fn seen(path: &Path) -> (u64, u64, Vec<u8>) {
    let by_name = fs::metadata(path).unwrap().ino();
    let mut file = File::open(path).unwrap();
    let by_descriptor = file.metadata().unwrap().ino();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    (by_name, by_descriptor, bytes)
}

/// What the daemon has open of files that have no name any more.
fn held_without_a_name(mounted: &Mounted) -> usize {
    let of_source = mounted.source().display().to_string();
    fs::read_dir(format!("/proc/{}/fd", mounted.pid()))
        .unwrap()
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .map(|target| target.display().to_string())
        .filter(|target| target.starts_with(&of_source) && target.ends_with(" (deleted)"))
        .count()
}

#[test]
fn an_import_asks_nothing_when_it_opens() {
    let Some((_, interpreter)) = interpreters().pop() else {
        return;
    };
    let Some(mounted) = mounted() else { return };
    const MODULES: u64 = 30;
    let mut script = String::new();
    for module in 0..MODULES {
        mounted.write(&format!("m{module}.py"), format!("x = {module}\n"));
        script.push_str(&format!("import m{module}\n"));
    }
    let mut import = command(&interpreter);
    import
        .args(["-S", "-c", &script])
        .env("PYTHONPATH", mounted.mount_point());
    succeed(&mut import);
    grow_old();
    succeed(&mut import);
    let before = mounted.count("/requests/lookup");
    succeed(&mut import);
    // Twice the source, once the entry; more for the path's directory.
    let names = mounted.count("/requests/lookup") - before;
    assert!((3 * MODULES..4 * MODULES).contains(&names), "{names}");
    assert!(mounted.count("/requests/open") <= 1);
    assert_eq!(mounted.count("/requests/release"), 0);
}

#[test]
fn each_edit_is_seen_at_once_under_the_number_of_the_source() {
    let Some(mounted) = mounted() else { return };
    let source = mounted.write("m.py", "first");
    let mirror = mounted.mount_point().join("m.py");
    let time = Timespec {
        tv_sec: 1_700_000_000,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    let mut still_open = Vec::new();
    for round in 0..60 {
        let text = format!("text {round:02}");
        match round % 3 {
            // In place, with the same size and time as the one before.
            0 | 1 => {
                let mut file = File::options().write(true).open(&source).unwrap();
                file.write_all(text.as_bytes()).unwrap();
                futimens(&file, &times).unwrap();
            }
            _ => {
                let new = mounted.write("new", &text);
                fs::rename(new, &source).unwrap();
            }
        }
        let number = fs::metadata(&source).unwrap().ino();
        assert_eq!(seen(&mirror), (number, number, text.into_bytes()));
        if round % 7 == 0 {
            still_open.push(File::open(&mirror).unwrap());
        }
        if round % 30 == 29 {
            grow_old();
            let (by_name, by_descriptor, _) = seen(&mirror);
            assert_eq!((by_name, by_descriptor), (number, number));
        }
    }
}

#[test]
fn an_edit_after_a_pause_is_seen_at_the_next_open() {
    let Some(mounted) = mounted() else { return };
    let source = mounted.write("data", "one");
    let mirror = mounted.mount_point().join("data");
    assert_eq!(fs::read(&mirror).unwrap(), b"one");
    grow_old();
    for text in ["two", "six", "ten"] {
        assert_ne!(fs::read(&mirror).unwrap(), text.as_bytes());
        let mut file = File::options().write(true).open(&source).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        assert_eq!(fs::read(&mirror).unwrap(), text.as_bytes());
        grow_old();
    }
}

#[test]
fn a_deleted_file_is_let_go_unless_somebody_has_it_open() {
    let Some(mounted) = mounted() else { return };
    let names = ["looked at", "read", "open"];
    for name in names {
        mounted.write(name, vec![b'x'; 300_000]);
    }
    mounted.write("kept", "text");
    grow_old();
    let mirror = |name: &str| mounted.mount_point().join(name);
    fs::metadata(mirror("looked at")).unwrap();
    fs::read(mirror("read")).unwrap();
    let mut open = File::open(mirror("open")).unwrap();
    for name in names {
        fs::remove_file(mounted.source().join(name)).unwrap();
    }
    assert_eq!(held_without_a_name(&mounted), names.len());
    let kept = File::open(mirror("kept")).unwrap();
    eventually("what nobody has open is let go", || {
        held_without_a_name(&mounted) == 1
    });
    // Whatever the kernel was asked to forget, who has it open finds its place.
    let place = fs::read_link(format!("/proc/self/fd/{}", kept.as_raw_fd())).unwrap();
    assert_eq!(place, mirror("kept"));
    let mut bytes = Vec::new();
    fadvise(&open, 0, None, Advice::DontNeed).unwrap();
    open.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes, vec![b'x'; 300_000]);
    drop(open);
    eventually("what was closed is let go", || {
        held_without_a_name(&mounted) == 0
    });
}
