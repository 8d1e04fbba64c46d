//! What the store's tests share: entries, a store that is quick to notice things, its files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use pycfs::compiler::BuildId;
use pycfs::pyc::{Level, Target, Template};
use pycfs::store::{Digest, Entry, Key, Lookup, Miss, Options, Pace, State, Store};

use super::{from_hex, skipped};

pub use super::background::{PATIENCE, eventually};

/// A key that differs for each number.
pub fn key(number: u64) -> Key {
    Key::new(
        Target::NEWEST,
        Level::O0,
        &BuildId("test".to_owned()),
        &Digest::of(&number.to_le_bytes()),
    )
}

/// An entry with `length` bytes of noise for code, which hardly compress.
pub fn noise(number: u64, length: usize) -> Arc<Entry> {
    let mut bytes = Vec::with_capacity(length + 8);
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    entry(Template::from_parts(bytes, length / 2, number.is_multiple_of(2), true).unwrap())
}

/// An entry with the code of `x = 1`, as CPython 3.12 marshals it.
pub fn code() -> Arc<Entry> {
    let marshal = from_hex(
        "630000000000000000000000000100000000000000f308000000970064005a0079012902e9010000004e29\
         01da0178a900f300000000fa012dfa083c6d6f64756c653e720600000001000000730a000000f003010101\
         d8040581017204000000",
    );
    let target = Target::from_minor(12).unwrap();
    entry(Template::cut(target, &marshal, b"-").unwrap())
}

fn entry(template: Template) -> Arc<Entry> {
    Arc::new(Entry {
        target: Target::from_minor(12).unwrap(),
        level: Level::O1,
        magic: 3531,
        template,
    })
}

/// A store that looks at its folder and records uses often.
pub fn options(dir: &Path) -> Options {
    let mut options = Options::new(dir);
    options.pace = Pace {
        touch: Duration::ZERO,
        retry: Duration::from_millis(100),
        sweep: Duration::from_millis(500),
        first_sweep: Duration::ZERO,
        ..Pace::default()
    };
    options
}

pub fn open(dir: &Path) -> Arc<Store> {
    Store::open(options(dir))
}

/// Opens a store whose sweeps are over, so that what a test puts there stays.
pub fn open_unswept(dir: &Path) -> Arc<Store> {
    let mut options = options(dir);
    options.pace.sweep = Duration::from_secs(600);
    let store = Store::open(options);
    wait_for(&store, State::Ready);
    store
}

/// Opens a store with a limit.
pub fn open_with_limit(dir: &Path, limit: u64) -> Arc<Store> {
    Store::open(Options {
        limit,
        ..options(dir)
    })
}

/// Waits until the store is in that state and has counted its blobs.
pub fn wait_for(store: &Store, state: State) {
    eventually(&format!("{state:?}, but {:?}", store.status()), || {
        let status = store.status();
        status.state == state && (state != State::Ready || !status.counting)
    });
}

/// Puts `noise` entries and waits until they are on disk.
pub fn fill(store: &Store, numbers: std::ops::Range<u64>, length: usize) {
    for number in numbers {
        put(store, number, &noise(number, length));
    }
    assert!(store.flush(PATIENCE));
}

/// Puts an entry, waiting while the queue is full.
pub fn put(store: &Store, number: u64, entry: &Arc<Entry>) {
    eventually("room in the queue", || store.status().queued < 400);
    store.put(&key(number), entry);
}

pub fn is_hit(store: &Store, number: u64) -> bool {
    matches!(store.get(&key(number)), Lookup::Hit(_))
}

pub fn hits(store: &Store, numbers: std::ops::Range<u64>) -> Vec<u64> {
    numbers.filter(|number| is_hit(store, *number)).collect()
}

pub fn absent() -> Lookup {
    Lookup::Miss(Miss::Absent)
}

/// The file of a key's blob.
pub fn blob_file(dir: &Path, number: u64) -> PathBuf {
    let name = key(number).to_string();
    dir.join("v1/blobs").join(&name[..2]).join(&name[2..32])
}

/// Number of blob files and the sum of their lengths.
pub fn files(dir: &Path) -> (u64, u64) {
    let (mut entries, mut bytes) = (0, 0);
    for shard in fs::read_dir(dir.join("v1/blobs")).into_iter().flatten() {
        for file in fs::read_dir(shard.unwrap().path()).into_iter().flatten() {
            if let Ok(metadata) = file.unwrap().metadata() {
                entries += 1;
                bytes += metadata.len();
            }
        }
    }
    (entries, bytes)
}

/// What the store says of its blobs.
pub fn account(store: &Store) -> (u64, u64) {
    let status = store.status();
    (status.entries.unwrap(), status.bytes.unwrap())
}

/// A filesystem mounted for a test; unmounted at the end.
pub struct Mounted {
    pub dir: tempfile::TempDir,
}

impl Mounted {
    /// A tmpfs with these mount options; `None`, and said so, where mounting is not allowed.
    pub fn tmpfs(options: &str) -> Option<Mounted> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = mount(&["-t", "tmpfs", "-o", options, "pycfs-test"], dir.path());
        if !mounted {
            skipped("a tmpfs cannot be mounted here (root is needed)");
        }
        mounted.then_some(Mounted { dir })
    }

    pub fn remount(&self, options: &str) {
        assert!(mount(
            &["-o", &format!("remount,{options}")],
            self.dir.path()
        ));
    }
}

fn mount(arguments: &[&str], dir: &Path) -> bool {
    let mut command = Command::new("mount");
    let output = command.args(arguments).arg(dir).output();
    output.is_ok_and(|output| output.status.success())
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.dir.path())
            .status();
    }
}
