//! Measures the store: `cargo run --release --example store_bench -- DIR [ENTRIES]`.
//!
//! Prints the median and the 99th percentile of a get of an entry of about 20 KB, the rate of puts
//! and the daemon-like memory, before and after. DIR should be new.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

use pycfs::compiler::BuildId;
use pycfs::pyc::{Level, Target, Template};
use pycfs::store::{Digest, Entry, Key, Lookup, Options, Store};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Resident memory in KB: all of it, and the part that is not of files.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let fields = status
        .lines()
        .filter(|line| line.starts_with("VmRSS") || line.starts_with("RssAnon"));
    fields
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join(", ")
}

fn key(number: u64) -> Key {
    let build = BuildId("bench".to_owned());
    Key::new(
        Target::NEWEST,
        Level::O0,
        &build,
        &Digest::of(&number.to_le_bytes()),
    )
}

/// About 20 KB that compress about 2.7 times, as marshalled code does.
fn entry(number: u64) -> Arc<Entry> {
    let mut bytes = Vec::with_capacity(20_000);
    let mut state = number | 1;
    while bytes.len() < 20_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
        bytes.extend_from_slice(b"\xa9\x00r\x01\x00\x00\x00z\x08__name__\xda");
    }
    let template = Template::from_parts(bytes, 100, true, false).unwrap();
    Arc::new(Entry {
        target: Target::NEWEST,
        level: Level::O0,
        magic: 3571,
        template,
    })
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let dir = arguments.next().expect("a folder");
    let entries: u64 = arguments
        .next()
        .map_or(1000, |count| count.parse().expect("a number"));
    println!("start: {}", memory());
    let start = Instant::now();
    let store = Store::open(Options::new(&dir));
    println!("open: {:?}", start.elapsed());
    while store.status().counting {
        std::thread::sleep(Duration::from_millis(1));
    }
    println!("ready: {:?}, {}", start.elapsed(), memory());

    let missing = (0..entries).filter(|number| matches!(store.get(&key(*number)), Lookup::Miss(_)));
    let missing: Vec<u64> = missing.collect();
    let start = Instant::now();
    for number in &missing {
        while store.status().queued > 20 {
            std::thread::sleep(Duration::from_micros(200));
        }
        store.put(&key(*number), &entry(*number));
    }
    store.flush(Duration::from_secs(600));
    println!(
        "{} puts: {:?}, {}",
        missing.len(),
        start.elapsed(),
        memory()
    );

    let mut times = Vec::new();
    for round in 0..20 {
        for number in 0..entries.min(1000) {
            let key = key(number);
            let start = Instant::now();
            let lookup = store.get(&key);
            times.push(start.elapsed());
            assert!(
                matches!(lookup, Lookup::Hit(_)),
                "round {round}, entry {number}"
            );
        }
    }
    times.sort_unstable();
    let at = |part: usize| times[times.len() * part / 100];
    println!("get: median {:?}, 99% {:?}, {}", at(50), at(99), memory());
    let status = store.status();
    println!(
        "{} blobs, {} bytes",
        status.entries.unwrap_or(0),
        status.bytes.unwrap_or(0)
    );
    let start = Instant::now();
    drop(store);
    println!("close: {:?}", start.elapsed());
}
