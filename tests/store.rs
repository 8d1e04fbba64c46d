//! The store as its users see it: what is found, what is counted, what is evicted.

// A test ends by panicking.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use common::skipped;
use common::store::*;
use pycfs::store::{Lookup, Miss, State, Store};

/// Longer than the clock tick by which kernels stamp files.
const FILE_CLOCK: Duration = Duration::from_millis(12);

#[test]
fn an_entry_is_found_at_once_and_by_later_runs() {
    let dir = tempfile::tempdir().unwrap();
    let entries = [(0, code()), (1, noise(1, 20_000)), (2, noise(2, 0))];
    let store = open(dir.path());
    for (number, entry) in &entries {
        assert_eq!(store.get(&key(*number)), absent());
        store.put(&key(*number), entry);
        assert_eq!(store.get(&key(*number)), Lookup::Hit(Arc::clone(entry)));
    }
    drop(store);
    let store = open(dir.path());
    wait_for(&store, State::Ready);
    for (number, entry) in &entries {
        assert_eq!(store.get(&key(*number)), Lookup::Hit(Arc::clone(entry)));
    }
    assert_eq!(store.get(&key(3)), absent());
    assert_eq!(account(&store), files(dir.path()));
    let counts = store.status().counts;
    assert_eq!((counts.hits, counts.misses_absent), (3, 1));
}

#[test]
fn everything_in_the_folder_is_for_its_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("new/store");
    let store = open(&root);
    fill(&store, 0..3, 100);
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        // What sled makes follows the umask; its folder keeps everyone out.
        let sled = folder.parent().unwrap().ends_with("v1/index");
        assert!(sled || mode & 0o777 == 0o700, "{folder:?} {mode:o}");
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let mode = entry.metadata().unwrap().permissions().mode();
            if entry.file_type().unwrap().is_dir() && !sled {
                folders.push(entry.path());
            } else if !sled {
                assert_eq!(mode & 0o777, 0o600, "{entry:?}");
            }
        }
    }
}

#[test]
fn a_damaged_blob_is_a_miss_and_goes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_unswept(dir.path());
    fill(&store, 0..2, 600);
    let file = blob_file(dir.path(), 0);
    let good = fs::read(&file).unwrap();
    let mut damaged = 0;
    let mut expect_miss = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let lookup = store.get(&key(0));
        assert!(
            matches!(lookup, Lookup::Miss(Miss::Corrupt(_))),
            "{lookup:?}"
        );
        assert!(!file.exists());
        assert_eq!(store.get(&key(0)), absent());
        damaged += 1;
    };
    for at in (0..good.len()).step_by(7) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        expect_miss(&bad);
    }
    for length in (0..good.len()).step_by(13) {
        expect_miss(&good[..length]);
    }
    assert!(damaged > 100);
    assert_eq!(store.status().counts.misses_corrupt, damaged);
    assert_eq!(store.status().counts.corrupt, damaged);

    let other = fs::read(blob_file(dir.path(), 1)).unwrap();
    fs::write(&file, other).unwrap();
    assert!(matches!(store.get(&key(0)), Lookup::Miss(Miss::Corrupt(_))));
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    assert!(matches!(store.get(&key(0)), Lookup::Miss(Miss::Io(_))));
    fs::remove_dir(&file).unwrap();

    store.put(&key(0), &noise(0, 600));
    assert!(store.flush(PATIENCE));
    // All but the time of creation and the checksum.
    let end = good.len() - 32;
    assert_eq!(fs::read(&file).unwrap()[48..end], good[48..end]);
    assert_eq!(account(&store), files(dir.path()));
}

#[test]
fn a_fifo_in_place_of_a_blob_does_not_stop_a_reader() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_unswept(dir.path());
    fill(&store, 0..1, 100);
    let file = blob_file(dir.path(), 0);
    fs::remove_file(&file).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RUSR).unwrap();
    assert!(matches!(store.get(&key(0)), Lookup::Miss(Miss::Io(_))));
}

#[test]
fn the_least_recently_used_blobs_are_evicted_and_the_account_is_exact() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with_limit(dir.path(), 100_000);
    wait_for(&store, State::Ready);
    // About 1,112 bytes each: 89 fit.
    for number in 0..80 {
        fill(&store, number..number + 1, 1000);
        thread::sleep(FILE_CLOCK);
    }
    assert_eq!(store.status().counts.evicted, 0);
    for number in 0..20 {
        assert!(is_hit(&store, number));
    }
    assert!(store.flush(PATIENCE));
    fill(&store, 80..100, 1000);
    assert_eq!(account(&store), files(dir.path()));
    let status = store.status();
    assert!(status.bytes.unwrap() <= 100_000);
    assert!(status.counts.evicted >= 10, "{status:?}");
    // Of those that were not used again, the oldest are gone.
    let first_kept = (20..100).find(|number| is_hit(&store, *number)).unwrap();
    let kept: Vec<u64> = (0..20).chain(first_kept..100).collect();
    assert_eq!(hits(&store, 0..100), kept);
    assert_eq!(status.counts.evicted, first_kept - 20);
}

#[test]
fn uses_are_remembered_across_runs_and_lost_indexes() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    for number in 0..30 {
        fill(&store, number..number + 1, 1000);
        thread::sleep(FILE_CLOCK);
    }
    assert_eq!(hits(&store, 0..10).len(), 10);
    drop(store);
    for lose_index in [false, true] {
        if lose_index {
            fs::remove_dir_all(dir.path().join("v1/index")).unwrap();
        }
        let store = open(dir.path());
        wait_for(&store, State::Ready);
        let (_, bytes) = account(&store);
        let report = store.gc(bytes - 4000).unwrap();
        assert_eq!(report.evicted, 4);
        assert_eq!((report.entries, report.bytes), files(dir.path()));
        let gone: u64 = if lose_index { 18 } else { 14 };
        assert_eq!(
            hits(&store, 0..30),
            (0..10).chain(gone..30).collect::<Vec<_>>()
        );
        // Reading them made all of them recent: put the order back.
        let start = SystemTime::now() - Duration::from_secs(1000);
        assert!(store.flush(PATIENCE));
        drop(store);
        for number in (0..10).chain(gone..30) {
            let age = if number < 10 { 900 } else { number };
            let file = File::options()
                .write(true)
                .open(blob_file(dir.path(), number))
                .unwrap();
            file.set_modified(start + Duration::from_secs(age)).unwrap();
        }
    }
}

#[test]
fn any_limit_works_and_may_shrink_between_runs() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with_limit(dir.path(), 1 << 20);
    fill(&store, 0..100, 5000);
    assert_eq!(account(&store).0, 100);
    drop(store);

    let store = open_with_limit(dir.path(), 100_000);
    eventually("evicted to the limit", || files(dir.path()).1 <= 100_000);
    eventually("counted", || {
        store.status().bytes == Some(files(dir.path()).1)
    });
    drop(store);

    // Smaller than one blob: nothing fits, what is put is held in memory.
    let store = open_with_limit(dir.path(), 500);
    eventually("emptied", || files(dir.path()) == (0, 0));
    fill(&store, 200..201, 5000);
    assert!(is_hit(&store, 200));
    assert_eq!(files(dir.path()), (0, 0));
    assert_eq!(store.status().counts.dropped_large, 1);
    drop(store);

    let store = open_with_limit(dir.path(), 0);
    fill(&store, 300..310, 5000);
    assert_eq!(hits(&store, 300..310).len(), 10);
    assert_eq!(files(dir.path()), (0, 0));
}

#[test]
fn the_sweep_adopts_orphans_and_removes_what_is_no_blob() {
    let dir = tempfile::tempdir().unwrap();
    let away = tempfile::tempdir().unwrap();
    let store = open(away.path());
    fill(&store, 0..50, 700);
    drop(store);
    let store = open(dir.path());
    // What will vanish has another size than what will come: the sums agree when all is swept, and
    // not when as many of the ones as of the others are left.
    fill(&store, 50..60, 1000);
    fill(&store, 60..100, 700);

    // Blobs of another process, one cut short, each whole at once: a sweep may come any time.
    let short = blob_file(dir.path(), 0);
    File::options()
        .write(true)
        .open(blob_file(away.path(), 0))
        .unwrap()
        .set_len(10)
        .unwrap();
    for number in 0..50 {
        let to = blob_file(dir.path(), number);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::rename(blob_file(away.path(), number), to).unwrap();
    }
    // Blobs that vanish, files that are none.
    for number in 50..60 {
        fs::remove_file(blob_file(dir.path(), number)).unwrap();
    }
    fs::write(short.with_file_name("README"), "x").unwrap();
    let link = short.with_file_name("0".repeat(30));
    std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();

    eventually("the account agrees", || {
        account(&store) == files(dir.path())
    });
    eventually("89 blobs", || account(&store).0 == 89);
    assert!(fs::symlink_metadata(&link).is_err());
    assert!(store.status().counts.adopted >= 49);
    let report = store.gc(u64::MAX).unwrap();
    assert_eq!(report.agreement, Default::default());
    assert_eq!(report.entries, 89);
}

#[test]
fn verify_reports_and_drops_bad_blobs() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_unswept(dir.path());
    for number in 0..20 {
        store.put(&key(number), &code());
    }
    // Whole and checked, but no code object.
    store.put(&key(20), &noise(20, 500));
    assert!(store.flush(PATIENCE));
    let file = blob_file(dir.path(), 3);
    let mut bytes = fs::read(&file).unwrap();
    bytes[100] ^= 1;
    fs::write(&file, bytes).unwrap();
    fs::write(file.with_file_name("stray"), "").unwrap();

    let report = store.verify();
    assert_eq!(
        (report.checked, report.bad, report.removed),
        (21, 3, 3),
        "{report:?}"
    );
    assert_eq!(report.list.len(), 3);
    let named = |number: u64| {
        let file = blob_file(dir.path(), number);
        let path = file.strip_prefix(dir.path().join("v1/blobs")).unwrap();
        report
            .list
            .iter()
            .any(|bad| bad.path == path.to_str().unwrap())
    };
    assert!(named(3) && named(20));
    assert_eq!(account(&store), (19, files(dir.path()).1));
    let again = store.verify();
    assert_eq!((again.checked, again.bad), (19, 0));
    assert_eq!(again.agreement, Some(Default::default()));
}

#[test]
fn the_status_is_written_as_json_with_names_for_states() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    wait_for(&store, State::Ready);
    let status = serde_json::to_value(store.status()).unwrap();
    assert_eq!(status["state"], "ready");
    assert_eq!(status["limit"], 5u64 << 30);
    assert_eq!(status["hits"], 0);
    let states = [State::ReadOnly, State::MemoryOnly].map(|s| serde_json::to_value(s).unwrap());
    assert_eq!(states, ["read-only", "memory-only"]);
}

#[test]
fn many_threads_get_put_and_collect_together() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_with_limit(dir.path(), 300_000);
    thread::scope(|scope| {
        for thread in 0..8u64 {
            let store: &Store = &store;
            scope.spawn(move || {
                for round in 0..300 {
                    let number = (round * 7 + thread * 31) % 400;
                    match store.get(&key(number)) {
                        Lookup::Hit(entry) => assert_eq!(entry, noise(number, 2000)),
                        Lookup::Miss(Miss::Absent) => {
                            store.put(&key(number), &noise(number, 2000));
                        }
                        Lookup::Miss(other) => panic!("{other:?}"),
                    }
                    if thread == 0 && round % 50 == 0 {
                        store.gc(100_000).unwrap();
                    }
                    if thread == 1 && round % 50 == 0 {
                        store.status();
                    }
                }
            });
        }
    });
    assert!(store.flush(PATIENCE));
    let report = store.gc(u64::MAX).unwrap();
    assert_eq!(report.agreement, Default::default());
    assert_eq!((report.entries, report.bytes), files(dir.path()));
    assert!(report.bytes <= 300_000);
    assert!(store.status().counts.evicted > 0);
}

#[test]
fn a_full_queue_drops_and_counts() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let large = noise(1, 6 << 20);
    for number in 0..20 {
        store.put(&key(number), &large);
    }
    assert!(store.flush(PATIENCE));
    let counts = store.status().counts;
    assert_eq!(counts.puts, 20);
    assert!(counts.dropped_queue > 0);
    assert_eq!(counts.dropped_queue + counts.written, 20);
}

#[test]
fn the_default_folder_follows_the_user() {
    if !rustix::process::geteuid().is_root() {
        skipped("the default folder of root is checked as root only");
        return;
    }
    let default = pycfs::store::default_dir();
    assert_eq!(default, Some("/var/cache/pycfs".into()));
}
