//! Taking a mount away: by umount(8), by `pycfs umount`, by a signal; and what is never taken.

use std::fs::{self, File};
use std::process::Command;

use rustix::process::Signal;

use crate::common::background::{Background, ends_with, eventually, is_running, mounts_at, signal};
use crate::common::mounted::{Mounted, pycfs};

/// A daemon in the foreground, to see its exit code, that logs into a file.
fn foreground() -> Option<Background> {
    let mut it = Background::prepared()?;
    it.write("mod.py", "value = 1\n");
    let log = it.log_file().to_str().unwrap().to_owned();
    it.start(&["--log", &log]);
    Some(it)
}

#[test]
fn umount_ends_the_daemon_with_0() {
    let Some(mut it) = foreground() else { return };
    ends_with(0, Command::new("umount").arg(it.mount_point()));
    assert_eq!(it.wait(), Some(0));
    assert!(it.log().contains("is unmounted"));
}

#[test]
fn the_terminating_signals_unmount_and_end_the_daemon_with_0() {
    for which in [Signal::TERM, Signal::INT] {
        let Some(mut it) = foreground() else { return };
        signal(it.pid(), which);
        assert_eq!(it.wait(), Some(0), "{which:?}");
        assert_eq!(mounts_at(it.mount_point()), []);
    }
}

#[test]
fn a_signal_leaves_a_busy_mount_and_a_second_one_detaches_it() {
    for which in [Signal::TERM, Signal::INT] {
        let Some(mut it) = foreground() else { return };
        let user = File::open(it.mount_point().join("mod.py")).unwrap();
        signal(it.pid(), which);
        eventually("the log says that it is busy", || {
            it.log().contains("is busy")
        });
        assert!(it.mount_point().join("mod.py").exists(), "it still serves");
        assert!(is_running(it.pid()));
        signal(it.pid(), which);
        eventually("it is detached", || mounts_at(it.mount_point()).is_empty());
        // Its last user keeps it until the end.
        assert_eq!(std::io::read_to_string(&user).unwrap(), "value = 1\n");
        assert!(is_running(it.pid()));
        drop(user);
        assert_eq!(it.wait(), Some(0));
    }
}

#[test]
fn a_signal_that_comes_after_the_mount_was_detached_ends_the_daemon_at_the_latest() {
    let Some(mut it) = foreground() else { return };
    let user = File::open(it.mount_point().join("mod.py")).unwrap();
    ends_with(0, Command::new("umount").arg("-l").arg(it.mount_point()));
    signal(it.pid(), Signal::TERM);
    eventually("the log tells of it", || it.log().contains("detached"));
    signal(it.pid(), Signal::TERM);
    assert_eq!(it.wait(), Some(0));
    assert!(std::io::read_to_string(&user).is_err(), "cut off");
}

#[test]
fn hanging_up_the_terminal_does_not_end_a_daemon_in_the_background() {
    let Some(it) = Background::mounted(&[]) else {
        return;
    };
    let pid = it.count("/pid") as u32;
    signal(pid, Signal::HUP);
    assert!(it.status().is_some());
    assert!(is_running(pid));
}

#[test]
fn a_busy_mount_is_left_with_32_and_the_way_out() {
    let Some(it) = Background::mounted(&[]) else {
        return;
    };
    it.write("mod.py", "value = 1\n");
    let pid = it.count("/pid") as u32;
    let path = it.mount_point().to_str().unwrap();
    let user = File::open(it.mount_point().join("mod.py")).unwrap();
    let said = ends_with(32, pycfs().arg("umount").arg(path));
    assert!(said.contains("busy") && said.contains(path), "{said}");
    assert!(
        said.contains("--lazy") && said.contains("fuser -vm"),
        "{said}"
    );
    assert!(it.status().is_some(), "it still serves");
    ends_with(0, pycfs().args(["umount", "--lazy", path]));
    assert_eq!(mounts_at(it.mount_point()), []);
    assert_eq!(std::io::read_to_string(&user).unwrap(), "value = 1\n");
    drop(user);
    eventually("the daemon has ended", || !is_running(pid));
}

#[test]
fn umount_returns_when_the_daemon_has_ended() {
    let Some(it) = Background::mounted(&[]) else {
        return;
    };
    for path in [it.mount_point().to_owned(), it.dir().join("mnt/../mnt/")] {
        if it.status().is_none() {
            it.mount(&[]);
        }
        let pid = it.count("/pid") as u32;
        ends_with(0, pycfs().arg("umount").arg(path));
        assert!(!is_running(pid));
        assert_eq!(mounts_at(it.mount_point()), []);
    }
}

#[test]
fn what_is_not_ours_is_left_with_32() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let path = it.mount_point().to_str().unwrap();
    for flags in [&[][..], &["--lazy"]] {
        let said = ends_with(32, pycfs().arg("umount").args(flags).arg(path));
        assert!(
            said.contains(path) && said.contains("not a pycfs mount"),
            "{said}"
        );
        ends_with(
            32,
            pycfs()
                .arg("umount")
                .args(flags)
                .arg(it.dir().join("missing")),
        );
    }
    // Another filesystem.
    ends_with(0, Command::new("mount").args(["-t", "tmpfs", "none", path]));
    ends_with(32, pycfs().args(["umount", path]));
    ends_with(32, pycfs().args(["umount", "--lazy", path]));
    assert_eq!(mounts_at(it.mount_point()).len(), 1);
    // A place within a mount of ours is not the mount.
    ends_with(0, Command::new("umount").arg(path));
    it.write("sub/mod.py", "");
    it.mount(&[]);
    ends_with(32, pycfs().arg("umount").arg(it.mount_point().join("sub")));
    assert!(it.status().is_some());
}

#[test]
fn the_end_of_a_daemon_leaves_what_lies_beneath_and_what_was_mounted_on_top() {
    let Some(mut it) = Background::prepared() else {
        return;
    };
    it.write("mod.py", "value = 1\n");
    let place = it.mount_point().to_owned();
    let table = || -> Vec<String> {
        mounts_at(&place)
            .into_iter()
            .map(|(kind, _)| kind)
            .collect()
    };
    ends_with(
        0,
        Command::new("mount")
            .args(["-t", "tmpfs", "beneath"])
            .arg(&place),
    );
    fs::write(place.join("beneath"), "").unwrap();
    let log = it.log_file().to_str().unwrap().to_owned();
    it.start(&["--log", &log]);
    assert_eq!(table(), ["tmpfs", "fuse.pycfs"]);
    // On top of a daemon's mount: its signal must not touch the successor.
    ends_with(
        0,
        Command::new("mount")
            .args(["-t", "tmpfs", "on-top"])
            .arg(&place),
    );
    let pid = it.pid();
    signal(pid, Signal::TERM);
    eventually("the log says why", || it.log().contains("covered"));
    assert_eq!(table(), ["tmpfs", "fuse.pycfs", "tmpfs"]);
    assert!(is_running(pid));
    ends_with(0, Command::new("umount").arg(&place));
    // Taken from outside: nothing more goes than that one.
    ends_with(0, Command::new("umount").arg(&place));
    assert_eq!(it.wait(), Some(0));
    assert_eq!(table(), ["tmpfs"]);
    assert!(place.join("beneath").exists());
    // By a signal.
    it.start(&["--log", &log]);
    signal(it.pid(), Signal::TERM);
    assert_eq!(it.wait(), Some(0));
    assert_eq!(table(), ["tmpfs"]);
}

#[test]
fn a_daemon_killed_while_its_successor_serves_takes_nothing_with_it() {
    let Some(it) = Background::mounted(&[]) else {
        return;
    };
    let first = it.count("/pid") as u32;
    // The successor mirrors another tree on the same place.
    let other = it.dir().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("successor.py"), "value = 2\n").unwrap();
    ends_with(0, it.command().arg(&other).arg(it.mount_point()));
    let second = it.adopt();
    assert_ne!(first, second);
    signal(first, Signal::TERM);
    eventually("the log says why", || it.log().contains("covered"));
    signal(first, Signal::KILL);
    eventually("the first one has ended", || !is_running(first));
    assert!(it.mount_point().join("successor.py").exists());
    assert_eq!(it.count("/pid"), u64::from(second));
    ends_with(0, pycfs().arg("umount").arg(it.mount_point()));
    eventually("the second one has ended", || !is_running(second));
}

#[test]
fn two_daemons_on_one_place_are_both_told_apart() {
    let Some(it) = Background::mounted(&[]) else {
        return;
    };
    let first = it.count("/pid");
    let other = it.dir().join("other");
    fs::create_dir(&other).unwrap();
    ends_with(0, it.command().arg(&other).arg(it.mount_point()));
    let second = it.adopt();
    assert_eq!(
        it.count("/pid"),
        u64::from(second),
        "the one on top answers"
    );
    ends_with(0, pycfs().arg("umount").arg(it.mount_point()));
    assert!(!is_running(second), "it was waited for");
    assert_eq!(it.count("/pid"), first, "the one beneath answers again");
    ends_with(0, pycfs().arg("umount").arg(it.mount_point()));
    let first = u32::try_from(first).unwrap();
    eventually("it has ended", || !is_running(first));
}

/// The fixture's own promise.
#[test]
fn a_dropped_fixture_leaves_no_mount_and_no_process() {
    let Some(mounted) = Mounted::new(&[]) else {
        return;
    };
    let (pid, place) = (mounted.pid(), mounted.mount_point().to_owned());
    drop(mounted);
    assert!(!is_running(pid));
    assert_eq!(mounts_at(&place), []);
}
