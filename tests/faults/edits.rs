//! Sources that change while they are read.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::common::background::{Background, eventually, pyc_in};
use crate::readers::{HEADER, LONGEST, Modules, codes, newest};

/// How often the source is rewritten.
const EDITS: u64 = 1500;

#[test]
fn an_entry_read_while_its_source_is_rewritten_is_of_one_version_and_never_an_old_one() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some((target, interpreter)) = newest() else {
        return;
    };
    // All of one size, so that neither size nor time tells them apart.
    let text = |version: u64| {
        format!(
            "value = {}\ndef f():\n    return {}\n",
            version + 100_000,
            version + 200_000
        )
    };
    let name = it.mount_point().join("mod.py");
    let texts: Vec<(String, PathBuf)> = (0..=EDITS)
        .map(|version| (text(version), name.clone()))
        .collect();
    let codes = codes(&interpreter, &texts);
    let empty = codes_of_empty(&interpreter, &name);
    let versions: HashMap<&[u8], u64> = codes.iter().map(Vec::as_slice).zip(0..).collect();
    it.write("mod.py", text(0));
    it.mount(&["-o", "coherence=strict"]);
    let pyc = pyc_in(it.mount_point(), "mod", target);
    assert!(pyc.exists());
    // Before `begun` is raised a version is in no file; once `durable` is, every reader gets it.
    let (begun, durable, done) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let (present, absent) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while !done.load(Ordering::SeqCst) {
                    let oldest = durable.load(Ordering::SeqCst);
                    let start = Instant::now();
                    let found = fs::read(&pyc);
                    assert!(start.elapsed() < LONGEST, "{:?}", start.elapsed());
                    let newest = begun.load(Ordering::SeqCst);
                    match found {
                        Ok(bytes) => {
                            present.fetch_add(1, Ordering::SeqCst);
                            if bytes[HEADER..] == empty[..] {
                                // Between truncation and the write.
                                continue;
                            }
                            let version = versions.get(&bytes[HEADER..]);
                            let version = *version.expect("torn: the code of no version");
                            assert!(version >= oldest, "stale: {version}, {oldest} was durable");
                            assert!(version <= newest, "{version} before {newest}");
                            let size = u32::from_le_bytes(bytes[12..16].try_into().unwrap());
                            assert_eq!(size as usize, texts[0].0.len());
                        }
                        Err(error) => {
                            assert_eq!(error.raw_os_error(), Some(libc::ENOENT), "{error}");
                            absent.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }
            });
        }
        struct Done<'a>(&'a AtomicBool);
        impl Drop for Done<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let _ends = Done(&done);
        let path = it.source().join("mod.py");
        for version in 1..=EDITS {
            begun.store(version, Ordering::SeqCst);
            match version % 3 {
                0 => fs::write(&path, text(version)).unwrap(),
                1 => {
                    let new = it.source().join("new");
                    fs::write(&new, text(version)).unwrap();
                    fs::rename(&new, &path).unwrap();
                }
                _ => {
                    fs::remove_file(&path).unwrap();
                    let new = it.source().join("new");
                    fs::write(&new, text(version)).unwrap();
                    fs::rename(&new, &path).unwrap();
                }
            }
            durable.store(version, Ordering::SeqCst);
            if version % 8 == 0 {
                // Readers get their turn too.
                let seen = present.load(Ordering::SeqCst) + absent.load(Ordering::SeqCst);
                let until = Instant::now() + Duration::from_millis(50);
                while present.load(Ordering::SeqCst) + absent.load(Ordering::SeqCst) < seen + 2
                    && Instant::now() < until
                {
                    std::thread::yield_now();
                }
            }
        }
    });
    let last = fs::read(&pyc).unwrap();
    assert_eq!(versions.get(&last[HEADER..]), Some(&EDITS));
    println!("{present:?} present, {absent:?} absent");
    assert!(present.into_inner() > 50);
}

fn codes_of_empty(interpreter: &std::path::Path, name: &std::path::Path) -> Vec<u8> {
    codes(interpreter, &[(String::new(), name.to_owned())]).remove(0)
}

#[test]
fn a_source_tree_deleted_and_recreated_under_readers_is_served_again() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some(modules) = Modules::write(&it, "m", 20) else {
        return;
    };
    it.mount(&[]);
    assert_eq!(modules.read_all(), 20);
    let tally = crate::readers::under_readers(&modules, |_| {
        for _ in 0..10 {
            fs::remove_dir_all(it.source()).unwrap();
            fs::create_dir(it.source()).unwrap();
            Modules::write(&it, "m", 20).unwrap();
        }
    });
    eventually("all is served", || modules.read_all() == 20);
    println!("{tally:?}");
}

#[test]
fn a_source_that_is_replaced_by_a_file_and_back_is_served_again() {
    let Some(it) = Background::prepared() else {
        return;
    };
    let Some(modules) = Modules::write(&it, "m", 5) else {
        return;
    };
    it.mount(&[]);
    assert_eq!(modules.read_all(), 5);
    let aside = it.dir().join("aside");
    fs::rename(it.source(), &aside).unwrap();
    fs::write(it.source(), "").unwrap();
    modules.read_all();
    assert!(it.status().is_some());
    fs::remove_file(it.source()).unwrap();
    fs::rename(&aside, it.source()).unwrap();
    assert_eq!(modules.read_all(), 5);
}
