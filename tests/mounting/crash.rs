//! A daemon that was killed: what readers get, and how the mount is taken away or made anew.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use rustix::process::Signal;

use crate::common::background::{
    Background, PATIENCE, bounded, ends_with, eventually, is_running, mounts_at, pyc_in, signal,
};
use crate::common::interpreters;
use crate::common::mounted::pycfs;

/// A mount whose daemon was just killed.
fn dead() -> Option<Background> {
    let it = Background::prepared()?;
    it.write("mod.py", "value = 1\n");
    let pid = it.mount(&[]);
    signal(pid, Signal::KILL);
    eventually("the daemon has ended", || !is_running(pid));
    Some(it)
}

#[test]
fn readers_of_a_dead_mount_get_enotconn_and_a_new_mount_repairs_it() {
    let Some(it) = dead() else { return };
    let Some((target, _)) = interpreters().pop() else {
        return;
    };
    for path in ["", "mod.py", "__pycache__"] {
        let error = fs::metadata(it.mount_point().join(path)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTCONN), "{path}");
    }
    it.mount(&[]);
    assert!(pyc_in(it.mount_point(), "mod", target).exists());
    assert_eq!(mounts_at(it.mount_point()).len(), 1, "the dead one is gone");
}

#[test]
fn a_new_mount_repairs_a_dead_one_that_is_still_held_open() {
    let Some(it) = Background::prepared() else {
        return;
    };
    it.write("sub/mod.py", "value = 1\n");
    let pid = it.mount(&[]);
    let held = fs::File::open(it.mount_point().join("sub/mod.py")).unwrap();
    signal(pid, Signal::KILL);
    eventually("the daemon has ended", || !is_running(pid));
    it.mount(&[]);
    assert!(it.mount_point().join("sub/mod.py").exists());
    assert!(std::io::read_to_string(held).is_err());
}

#[test]
fn a_dead_mount_over_its_own_source_is_repaired() {
    let Some(it) = Background::prepared() else {
        return;
    };
    it.write("mod.py", "value = 1\n");
    let source = it.source();
    let status = || {
        let output = bounded(pycfs().args(["status", "--json"]).arg(source));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let pid = || u32::try_from(status()["pid"].as_u64().unwrap()).unwrap();
    ends_with(0, it.command().arg(source).arg(source));
    let first = pid();
    signal(first, Signal::KILL);
    eventually("the daemon has ended", || !is_running(first));
    ends_with(0, it.command().arg(source).arg(source));
    assert!(source.join("mod.py").exists());
    let second = pid();
    ends_with(0, pycfs().arg("umount").arg(source));
    eventually("the daemon has ended", || !is_running(second));
}

#[test]
fn umount_takes_a_dead_mount_away() {
    for flags in [&[][..], &["--lazy"]] {
        let Some(it) = dead() else { return };
        ends_with(0, pycfs().arg("umount").args(flags).arg(it.mount_point()));
        assert_eq!(mounts_at(it.mount_point()), []);
    }
}

#[test]
fn status_names_a_dead_mount_and_the_way_out() {
    let Some(it) = dead() else { return };
    let path = it.mount_point().to_str().unwrap();
    let said = ends_with(1, pycfs().args(["status", path]));
    assert!(
        said.contains(path) && said.contains("pycfs umount"),
        "{said}"
    );
    let output = bounded(pycfs().args(["status", "--json"]));
    let list: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let ours = list
        .iter()
        .find(|mount| mount["mount_point"] == path)
        .unwrap();
    assert_eq!(ours["source"], it.source().to_str().unwrap());
    assert!(ours["error"].is_string());
    assert_eq!(output.status.code(), Some(1));
}

/// The sockets of this user's mounts.
fn sockets() -> Vec<PathBuf> {
    let entries = fs::read_dir("/run/pycfs").unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn a_socket_that_a_killed_daemon_left_does_not_disturb() {
    let Some(it) = Background::prepared() else {
        return;
    };
    for _ in 0..3 {
        let pid = it.mount(&[]);
        signal(pid, Signal::KILL);
        eventually("the daemon has ended", || !is_running(pid));
        ends_with(0, pycfs().arg("umount").arg(it.mount_point()));
        assert!(it.status().is_none(), "nobody answers");
    }
    let pid = it.mount(&[]);
    assert_eq!(it.count("/pid"), u64::from(pid));
    ends_with(0, pycfs().arg("umount").arg(it.mount_point()));
}

#[test]
fn a_socket_that_accepts_and_never_answers_does_not_hang_the_commands() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let before = sockets();
    let pid = it.mount(&["--deadline", "1s"]);
    let path = it.mount_point().to_str().unwrap().to_owned();
    signal(pid, Signal::STOP);
    let start = std::time::Instant::now();
    ends_with(1, pycfs().args(["status", &path]));
    assert!(start.elapsed() < PATIENCE);
    signal(pid, Signal::CONT);
    assert!(it.status().is_some());
    ends_with(0, pycfs().args(["umount", &path]));
    eventually("its socket is gone", || {
        sockets()
            .iter()
            .all(|socket| before.contains(socket) || UnixListener::bind(socket).is_err())
    });
}
