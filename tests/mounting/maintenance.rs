//! `pycfs gc` and `pycfs verify`, on a store that a daemon works with and on one without.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::background::{Background, bounded, ending, ends_with, eventually, pyc_in};
use crate::common::interpreters;
use crate::common::mounted::pycfs;

/// How many modules the store has entries of.
const MODULES: u64 = 12;

/// A mount whose store has entries on disk.
fn filled() -> Option<Background> {
    let it = Background::prepared()?;
    let (target, _) = interpreters().pop()?;
    for number in 0..MODULES {
        it.write(&format!("m{number}.py"), format!("value = {number}\n"));
    }
    it.mount(&[]);
    for number in 0..MODULES {
        assert!(pyc_in(it.mount_point(), &format!("m{number}"), target).exists());
    }
    eventually("all is written", || entries(&it) == Some(MODULES));
    Some(it)
}

/// How many entries the store has, once its daemon knows.
fn entries(it: &Background) -> Option<u64> {
    it.status()?.pointer("/store/entries")?.as_u64()
}

/// The same with the daemon ended.
fn left_alone() -> Option<Background> {
    let it = filled()?;
    ends_with(0, pycfs().arg("umount").arg(it.mount_point()));
    Some(it)
}

fn run(it: &Background, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = bounded(pycfs().args(arguments).arg("--store").arg(it.store()));
    let report = serde_json::from_slice(&output.stdout);
    let (code, said) = ending(&output);
    (
        code,
        report.unwrap_or_else(|_| panic!("{arguments:?}: {said}")),
    )
}

/// The blob files of a store.
fn blobs(store: &Path) -> Vec<PathBuf> {
    let directories = fs::read_dir(store.join("v1/blobs")).unwrap();
    let mut found: Vec<PathBuf> = directories
        .filter_map(|entry| fs::read_dir(entry.unwrap().path()).ok())
        .flatten()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    found
}

/// Changes one bit in the middle of a file.
fn flip(path: &Path) {
    let file = fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let middle = file.metadata().unwrap().len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[byte[0] ^ 0x10], middle).unwrap();
}

fn verify_finds_and_drops_a_flipped_blob(it: &Background) {
    let (code, report) = run(it, &["verify"]);
    assert_eq!((code, &report["bad"]), (Some(0), &0.into()), "{report:#}");
    assert_eq!(report["checked"], MODULES);
    let victim = blobs(it.store()).remove(3);
    flip(&victim);
    let (code, report) = run(it, &["verify"]);
    assert_eq!((code, &report["bad"]), (Some(1), &1.into()), "{report:#}");
    let shown = report["list"][0]["path"].as_str().unwrap();
    assert!(victim.ends_with(shown), "{shown}");
    assert!(!victim.exists(), "it was dropped");
    let (code, report) = run(it, &["verify"]);
    assert_eq!((code, &report["bad"]), (Some(0), &0.into()), "{report:#}");
    assert_eq!(report["checked"], MODULES - 1);
}

#[test]
fn verify_drops_a_flipped_blob_with_a_daemon() {
    let Some(it) = filled() else { return };
    verify_finds_and_drops_a_flipped_blob(&it);
    // The daemon knows of it.
    assert_eq!(entries(&it), Some(MODULES - 1));
}

#[test]
fn verify_drops_a_flipped_blob_without_a_daemon() {
    let Some(it) = left_alone() else { return };
    verify_finds_and_drops_a_flipped_blob(&it);
}

#[test]
fn gc_evicts_down_to_the_size_without_a_daemon() {
    let Some(it) = left_alone() else { return };
    let (code, report) = run(&it, &["gc"]);
    assert_eq!(
        (code, &report["entries"]),
        (Some(0), &MODULES.into()),
        "{report:#}"
    );
    let bytes = report["bytes"].as_u64().unwrap();
    let on_disk: u64 = blobs(it.store())
        .iter()
        .map(|blob| fs::metadata(blob).unwrap().len())
        .sum();
    assert_eq!(bytes, on_disk);
    let half = (bytes / 2).to_string();
    let (code, report) = run(&it, &["gc", "--store-size", &half]);
    assert_eq!(code, Some(0));
    assert!(report["bytes"].as_u64().unwrap() <= bytes / 2, "{report:#}");
    assert_eq!(
        blobs(it.store()).len() as u64,
        report["entries"].as_u64().unwrap()
    );
    assert!(report["evicted"].as_u64().unwrap() > 0);
}

#[test]
fn gc_with_a_daemon_is_done_by_it() {
    let Some(it) = filled() else { return };
    // The daemon's own first sweep would take the stray, too.
    it.store_ready();
    let stray = it.store().join("v1/blobs/00");
    fs::create_dir_all(&stray).unwrap();
    fs::write(stray.join("stray"), "x").unwrap();
    let (code, report) = run(&it, &["gc"]);
    assert_eq!(
        (code, &report["entries"]),
        (Some(0), &MODULES.into()),
        "{report:#}"
    );
    assert_eq!(report["strays"], 1);
    assert!(!stray.join("stray").exists());
    // A size that is asked for counts, whoever does it.
    let (code, report) = run(&it, &["gc", "--store-size", "0"]);
    assert_eq!(
        (code, &report["entries"]),
        (Some(0), &0.into()),
        "{report:#}"
    );
    assert_eq!(entries(&it), Some(0));
    // And the readers are served as before.
    let (target, _) = interpreters().pop().unwrap();
    assert!(pyc_in(it.mount_point(), "m1", target).exists());
}

#[test]
fn with_two_daemons_on_one_store_the_owner_of_the_index_is_asked() {
    let Some(it) = filled() else { return };
    let other = it.dir().join("other");
    fs::create_dir(&other).unwrap();
    it.also_unmount(&other);
    ends_with(0, it.command().arg(it.source()).arg(&other));
    let (code, report) = run(&it, &["gc"]);
    assert_eq!(
        (code, &report["entries"]),
        (Some(0), &MODULES.into()),
        "{report:#}"
    );
    let (code, report) = run(&it, &["verify"]);
    assert_eq!(
        (code, &report["checked"]),
        (Some(0), &MODULES.into()),
        "{report:#}"
    );
    ends_with(0, pycfs().arg("umount").arg(&other));
}

#[test]
fn a_store_that_is_not_there_is_told() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let missing = it.dir().join("missing");
    for command in ["gc", "verify"] {
        let said = ends_with(1, pycfs().arg(command).arg("--store").arg(&missing));
        assert!(said.contains(missing.to_str().unwrap()), "{said}");
        assert!(!missing.exists(), "nothing is made");
    }
    ends_with(
        1,
        pycfs()
            .args(["gc", "--store-size", "much", "--store"])
            .arg(it.store()),
    );
}

#[test]
fn warm_compiles_each_source_once_and_says_what_has_no_entry() {
    let Some(it) = Background::prepared() else {
        return;
    };
    it.write("pkg/__init__.py", "");
    it.write("pkg/sub.py", "value = 1\n");
    it.write("broken.py", "def f(:\n");
    it.write("notes.txt", "no source");
    it.mount(&["--backend", "native"]);
    let place = it.mount_point();
    let warm = |rest: &[&str]| {
        let output = bounded(pycfs().arg("warm").arg(place).args(rest));
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let compiled = || it.count("/synthesis/compiled");
    let said = warm(&["--python", "3.13,3.14", "pkg"]);
    assert_eq!(said, "2 sources: 4 entries are there, 0 are absent\n");
    assert_eq!(compiled(), 4);
    let said = warm(&["--python", "3.13"]);
    assert_eq!(said, "3 sources: 2 entries are there, 1 are absent\n");
    assert_eq!(compiled(), 4, "what is there is not compiled again");
    for (path, why) in [("missing", "No such file"), ("/etc", "is not below")] {
        let said = ends_with(1, pycfs().arg("warm").arg(place).arg(path));
        assert!(said.contains(path) && said.contains(why), "{said}");
    }
}
