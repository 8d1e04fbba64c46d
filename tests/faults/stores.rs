//! Stores that vanish, are damaged, fill up or are shared: readers are served all the same, and
//! the status says what is the matter.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::sync::atomic::Ordering;

use crate::common::background::{Background, bounded, ends_with, eventually};
use crate::common::mounted::pycfs;
use crate::readers::{Modules, under_readers};

/// How the store is doing, in the daemon's words.
fn state(it: &Background) -> String {
    let status = it.status().unwrap();
    status["store"]["state"].as_str().unwrap().to_owned()
}

/// Writes modules nobody has read yet and reads them all: each must be there.
fn served(it: &Background, prefix: &str) {
    let modules = Modules::write(it, prefix, 30).unwrap();
    assert_eq!(
        modules.read_all(),
        modules.right.len(),
        "{prefix}: {}",
        state(it)
    );
}

/// A mount that has served something.
fn serving(options: &[&str]) -> Option<(Background, Modules)> {
    let it = Background::prepared()?;
    let modules = Modules::write(&it, "m", 60)?;
    it.mount(options);
    assert_eq!(modules.read_all(), 60);
    it.store_opened();
    Some((it, modules))
}

#[test]
fn a_store_that_is_deleted_under_readers_is_made_again() {
    let Some((it, modules)) = serving(&[]) else {
        return;
    };
    let tally = under_readers(&modules, |_| {
        for round in 0..3 {
            let _ = fs::remove_dir_all(it.store());
            served(&it, &format!("deleted{round}_"));
        }
    });
    assert!(tally.present.load(Ordering::SeqCst) > 0);
    assert_eq!(tally.absent.load(Ordering::SeqCst), 0);
    assert_eq!(modules.read_all(), 60);
}

#[test]
fn a_store_replaced_by_a_file_costs_no_entry_and_is_told() {
    let Some((it, modules)) = serving(&[]) else {
        return;
    };
    // The daemon may be writing to it, or make it again.
    eventually("a file is in its place", || {
        let _ = fs::remove_dir_all(it.store());
        fs::write(it.store(), "not a directory").is_ok()
    });
    served(&it, "file");
    assert_eq!(modules.read_all(), 60);
    eventually("the status says so", || {
        ["lost", "memory-only"].contains(&state(&it).as_str())
    });
    let output = bounded(pycfs().arg("status").arg(it.mount_point()));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("reason"), "{text}");
    // Started with it, the same.
    ends_with(0, pycfs().arg("umount").arg(it.mount_point()));
    it.mount(&[]);
    served(&it, "again");
    it.store_opened();
    assert!(it.status().unwrap()["store"]["reason"].is_string());
    assert_eq!(
        fs::read(it.store()).unwrap(),
        b"not a directory",
        "it is left alone"
    );
}

#[test]
fn a_store_that_is_read_only_is_read_and_costs_no_entry() {
    let Some((it, modules)) = serving(&[]) else {
        return;
    };
    eventually("all is written", || it.count("/store/written") >= 60);
    ends_with(0, pycfs().arg("umount").arg(it.mount_point()));
    let store = it.store();
    ends_with(0, Command::new("mount").arg("--bind").args([store, store]));
    it.also_unmount(store);
    ends_with(
        0,
        Command::new("mount")
            .args(["-o", "remount,bind,ro"])
            .arg(store),
    );
    it.mount(&[]);
    it.store_opened();
    assert_eq!(modules.read_all(), 60);
    assert_eq!(it.count("/synthesis/compiles"), 0, "it is read");
    served(&it, "ro");
    assert_eq!(state(&it), "read-only");
    ends_with(0, pycfs().arg("umount").arg(it.mount_point()));
    ends_with(0, Command::new("umount").arg(store));
}

#[test]
fn a_store_whose_modes_are_taken_away_costs_no_entry() {
    let Some((it, modules)) = serving(&[]) else {
        return;
    };
    for directory in [
        it.store().to_owned(),
        it.store().join("v1"),
        it.store().join("v1/blobs"),
    ] {
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o000)).unwrap();
        served(&it, &format!("mode{}_", directory.components().count()));
    }
    assert_eq!(modules.read_all(), 60);
}

#[test]
fn a_full_disk_costs_no_entry_and_is_told() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let store = it.store();
    fs::create_dir(store).unwrap();
    ends_with(
        0,
        Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m,mode=700", "none"])
            .arg(store),
    );
    it.also_unmount(store);
    it.mount(&[]);
    let (target, _) = crate::readers::newest().unwrap();
    let told = || {
        let status = it.status().unwrap();
        let store = &status["store"];
        let number = |name: &str| store[name].as_u64().unwrap();
        store["state"] == "full" || number("dropped_full") > 0 || number("evicted") > 0
    };
    // Code that hardly compresses, 1 MB at a time. The store may leave some of it out, when it has much to write.
    let mut seed = 1_u64;
    for number in 0.. {
        assert!(number < 60, "the status never says so");
        let mut text = String::from("x = [\n");
        while text.len() < 1 << 20 {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            text += &format!(
                "'{:016x}{:016x}',\n",
                seed ^ (seed >> 33),
                seed.rotate_left(17)
            );
        }
        text += "]\n";
        it.write(&format!("big{number}.py"), &text);
        let pyc =
            crate::common::background::pyc_in(it.mount_point(), &format!("big{number}"), target);
        eventually("the entry is there", || fs::read(&pyc).is_ok());
        if told() {
            break;
        }
    }
    served(&it, "small");
    ends_with(0, pycfs().arg("umount").arg(it.mount_point()));
    // And a daemon that starts on the full disk serves.
    it.mount(&[]);
    served(&it, "later");
}

#[test]
fn a_damaged_store_costs_no_entry() {
    let Some((it, modules)) = serving(&[]) else {
        return;
    };
    eventually("all is written", || it.count("/store/written") >= 60);
    ends_with(0, pycfs().arg("umount").arg(it.mount_point()));
    // Every file of it overwritten with noise of the same length.
    let script = "find \"$1\" -type f -size +0 | while read -r f; do \
                  head -c $(stat -c %s \"$f\") /dev/urandom > \"$f.n\"; cat \"$f.n\" > \"$f\"; rm \"$f.n\"; done";
    ends_with(
        0,
        Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(it.store()),
    );
    it.mount(&[]);
    assert_eq!(modules.read_all(), 60);
    served(&it, "new");
    // Nothing that was there is used: each module was compiled again. Hits are no measure of that, since one that
    // was compiled ahead of its reader may still wait to be written, and that is a hit, too.
    assert_eq!(it.count("/synthesis/compiles"), 90);
}

#[test]
fn two_daemons_on_one_store_share_its_entries() {
    let Some((it, modules)) = serving(&[]) else {
        return;
    };
    eventually("all is written", || it.count("/store/written") >= 60);
    let other = it.dir().join("other");
    fs::create_dir(&other).unwrap();
    it.also_unmount(&other);
    ends_with(0, it.command().arg(it.source()).arg(&other));
    let status = || -> serde_json::Value {
        let output = bounded(pycfs().args(["status", "--json"]).arg(&other));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let read = |prefix: &str, modules: &Modules, root: &std::path::Path| {
        for (path, _) in &modules.right {
            let path = root.join(path.strip_prefix(it.mount_point()).unwrap());
            fs::read(&path).unwrap_or_else(|error| panic!("{prefix} {}: {error}", path.display()));
        }
    };
    eventually("the store is open", || {
        status()["store"]["state"] == "shared"
    });
    read("second", &modules, &other);
    assert_eq!(status()["synthesis"]["compiles"], 0);
    // What the second one compiles is the first one's too.
    let more = Modules::write(&it, "more", 20).unwrap();
    let before = it.count("/synthesis/compiles");
    read("second", &more, &other);
    eventually("it is written", || {
        status()["store"]["written"].as_u64() >= Some(20)
    });
    assert_eq!(more.read_all(), 20);
    assert_eq!(it.count("/synthesis/compiles"), before);
    ends_with(0, pycfs().arg("umount").arg(&other));
    assert_eq!(modules.read_all(), 60);
}

#[test]
fn a_store_that_others_can_write_is_not_used_and_costs_no_entry() {
    let Some(it) = Background::prepared() else {
        return;
    };
    fs::create_dir(it.store()).unwrap();
    fs::set_permissions(it.store(), fs::Permissions::from_mode(0o1777)).unwrap();
    it.mount(&[]);
    served(&it, "m");
    it.store_opened();
    assert_eq!(state(&it), "memory-only");
    let reason = it.status().unwrap()["store"]["reason"].to_string();
    assert!(reason.contains("chmod"), "{reason}");
    assert_eq!(fs::read_dir(it.store()).unwrap().count(), 0);
}
