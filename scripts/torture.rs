//! Coherence torture: writers edit the modules of a source, readers read source and entry through
//! the mount, and each answer is compared with what was durable before the reader began.
//!
//! `torture SOURCE MOUNT TAG EDITS [strict|sync|watch] [SEED]`. SOURCE is an empty directory that is
//! mounted on MOUNT; TAG is a cache tag, such as `cpython-313`. Each writer also reads what it has just
//! written. `sync` calls the barrier of the mount before each read. `strict` and `sync` allow no stale
//! answer; `watch` allows one for 10 ms after the edit and prints how late they were. Ends with 1 when
//! anything was stale or torn.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant, SystemTime};

use pycfs::control::{self, Request};

const WRITERS: usize = 2;
const READERS: usize = 2;
const MODULES: usize = 8;
/// Versions of a module whose times are remembered.
const REMEMBERED: usize = 1 << 14;
/// How late an answer may be in `watch`.
const LATEST: Duration = Duration::from_millis(10);

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Strict,
    Sync,
    Watch,
}

/// The text of a version: its number at both ends, always of one size.
fn text(version: u64) -> String {
    let rule = "# ----------------------------------------------------------------\n";
    format!(
        "first = 'V{version:010}'\n{}last = 'W{version:010}'\n",
        rule.repeat(4)
    )
}

/// The number behind the first mark of its kind.
fn number_after(bytes: &[u8], mark: u8) -> Option<u64> {
    bytes.windows(11).find_map(|window| {
        let digits = window[1..].iter().all(u8::is_ascii_digit);
        (window[0] == mark && digits)
            .then(|| std::str::from_utf8(&window[1..]).ok()?.parse().ok())
            .flatten()
    })
}

struct Module {
    source: PathBuf,
    through: PathBuf,
    entry: PathBuf,
    /// The version that is being written, and the last one that is in the file.
    begun: AtomicU64,
    durable: AtomicU64,
    /// When each version was in the file, in nanoseconds since the start.
    times: Vec<AtomicU64>,
    /// The last version before which the file was empty for a moment.
    emptied: AtomicU64,
}

impl Module {
    /// When a version was in the file.
    fn time_of(&self, version: u64) -> u64 {
        self.times[version as usize % REMEMBERED].load(SeqCst)
    }
}

/// Whether this is what an empty source is mirrored as, or compiled to: a pyc has its size at byte 12.
fn is_of_nothing(bytes: &[u8], entry: bool) -> bool {
    match entry {
        true => bytes.get(12..16) == Some(&[0; 4]),
        false => bytes.is_empty(),
    }
}

#[derive(Default)]
struct Counts {
    reads: AtomicU64,
    absent: AtomicU64,
    /// No answer although nothing was being written.
    absent_at_rest: AtomicU64,
    /// Both halves of different versions while a write was under way: what the file itself held.
    torn_in_write: AtomicU64,
    torn: AtomicU64,
    stale: AtomicU64,
    late: AtomicU64,
    future: AtomicU64,
    errors: AtomicU64,
    slowest: AtomicU64,
    /// By the power of two of microseconds.
    lags: [AtomicU64; 32],
}

struct Run {
    mode: Mode,
    socket: PathBuf,
    modules: Vec<Module>,
    counts: Counts,
    start: Instant,
}

impl Run {
    fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap()
    }

    fn barrier(&self) {
        if self.mode == Mode::Sync {
            let answer = control::ask(&self.socket, Request::Sync, Duration::from_secs(60));
            let answer = answer.unwrap();
            assert!(answer.get("error").is_none(), "{answer}");
        }
    }

    fn check(&self, module: &Module, entry: bool) {
        let counts = &self.counts;
        let oldest = module.durable.load(SeqCst);
        let quiet = module.begun.load(SeqCst) == oldest;
        self.barrier();
        let began = self.now();
        let path = if entry {
            &module.entry
        } else {
            &module.through
        };
        let found = fs::read(path);
        counts.slowest.fetch_max(self.now() - began, SeqCst);
        let newest = module.begun.load(SeqCst);
        let at_rest = quiet && newest == oldest;
        counts.reads.fetch_add(1, SeqCst);
        let bytes = match found {
            Ok(bytes) => bytes,
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT)) => {
                counts.absent.fetch_add(1, SeqCst);
                if at_rest {
                    counts.absent_at_rest.fetch_add(1, SeqCst);
                    if !entry {
                        let filled = module.emptied.load(SeqCst).min(oldest);
                        self.note_stale(path, "absent", oldest, began, module.time_of(filled));
                    }
                }
                return;
            }
            Err(error) => {
                counts.errors.fetch_add(1, SeqCst);
                eprintln!("{}: {error}", path.display());
                return;
            }
        };
        let (first, last) = (number_after(&bytes, b'V'), number_after(&bytes, b'W'));
        let version = match (first, last) {
            (Some(first), Some(last)) if first == last => first,
            (None, None) if !at_rest => {
                // Between truncation and write.
                counts.absent.fetch_add(1, SeqCst);
                return;
            }
            _ if !at_rest => {
                counts.torn_in_write.fetch_add(1, SeqCst);
                return;
            }
            (None, None) if self.mode == Mode::Watch && is_of_nothing(&bytes, entry) => {
                // As it was when it was truncated or created: old, not torn.
                let filled = module.emptied.load(SeqCst).min(oldest);
                self.note_stale(path, "empty", oldest, began, module.time_of(filled));
                return;
            }
            _ => {
                counts.torn.fetch_add(1, SeqCst);
                eprintln!(
                    "torn: {}: {first:?} {last:?} in {} bytes, {oldest} was durable",
                    path.display(),
                    bytes.len()
                );
                return;
            }
        };
        if version > newest {
            counts.future.fetch_add(1, SeqCst);
        }
        if version < oldest {
            self.note_stale(
                path,
                &version.to_string(),
                oldest,
                began,
                module.time_of(version + 1),
            );
        }
    }

    /// Notes an answer that was no longer the source's content since `replaced`.
    fn note_stale(&self, path: &Path, found: &str, oldest: u64, began: u64, replaced: u64) {
        let counts = &self.counts;
        let lag = began.saturating_sub(replaced);
        let power = (64 - (lag / 1000).leading_zeros() as usize).min(31);
        counts.lags[power].fetch_add(1, SeqCst);
        counts.stale.fetch_add(1, SeqCst);
        if self.mode != Mode::Watch || lag > LATEST.as_nanos() as u64 {
            counts.late.fetch_add(1, SeqCst);
            eprintln!(
                "stale: {}: {found}, {oldest} was durable; {} us late",
                path.display(),
                lag / 1000
            );
        }
    }

    /// One edit. All but a mere touch make a new version.
    fn edit(&self, module: &Module, kind: u64) {
        let path = &module.source;
        if kind == 7 {
            File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_modified(SystemTime::now())
                .unwrap();
            return;
        }
        let version = module.begun.load(SeqCst) + 1;
        if kind > 4 {
            module.emptied.store(version, SeqCst);
        }
        module.begun.store(version, SeqCst);
        let text = text(version);
        let before = fs::metadata(path).unwrap().modified().unwrap();
        match kind {
            // Rename over.
            0 | 1 => self.rename_over(path, &text, None),
            // The same with the time of the file before: same size, same time.
            2 => self.rename_over(path, &text, Some(before)),
            // In place.
            3 => {
                let file = File::options().write(true).open(path).unwrap();
                file.write_all_at(text.as_bytes(), 0).unwrap();
            }
            // In place, and the time set back.
            4 => {
                let file = File::options().write(true).open(path).unwrap();
                file.write_all_at(text.as_bytes(), 0).unwrap();
                file.set_times(FileTimes::new().set_modified(before))
                    .unwrap();
            }
            // Truncate, then write.
            5 => {
                let mut file = File::create(path).unwrap();
                file.write_all(text.as_bytes()).unwrap();
            }
            // Delete, then create.
            _ => {
                fs::remove_file(path).unwrap();
                fs::write(path, &text).unwrap();
            }
        }
        module.times[version as usize % REMEMBERED].store(self.now(), SeqCst);
        module.durable.store(version, SeqCst);
    }

    fn rename_over(&self, path: &Path, text: &str, time: Option<SystemTime>) {
        let new = path.with_extension("new");
        let mut file = File::create(&new).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        if let Some(time) = time {
            file.set_modified(time).unwrap();
        }
        drop(file);
        fs::rename(&new, path).unwrap();
    }
}

/// A small generator (xorshift): the order of edits is the seed's.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % bound
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [source, mount, tag, edits, rest @ ..] = arguments.as_slice() else {
        eprintln!("usage: torture SOURCE MOUNT TAG EDITS [strict|sync|watch] [SEED]");
        return ExitCode::from(2);
    };
    let mode = match rest.first().map(String::as_str) {
        None | Some("strict") => Mode::Strict,
        Some("sync") => Mode::Sync,
        Some("watch") => Mode::Watch,
        Some(other) => {
            eprintln!("unknown mode {other}");
            return ExitCode::from(2);
        }
    };
    let edits: u64 = edits.parse().unwrap();
    let seed: u64 = rest.get(1).map_or(1, |seed| seed.parse().unwrap());
    let (source, mount) = (Path::new(source), Path::new(mount));
    let Ok(Some(mounted)) = pycfs::mount::find(mount) else {
        eprintln!("{} is no pycfs mount", mount.display());
        return ExitCode::from(2);
    };
    let socket = mounted.socket();
    let run = Run {
        mode,
        socket,
        modules: (0..MODULES)
            .map(|number| {
                let path = source.join(format!("m{number}.py"));
                fs::write(&path, text(0)).unwrap();
                Module {
                    source: path,
                    through: mount.join(format!("m{number}.py")),
                    entry: mount.join(format!("__pycache__/m{number}.{tag}.pyc")),
                    begun: AtomicU64::new(0),
                    durable: AtomicU64::new(0),
                    times: (0..REMEMBERED).map(|_| AtomicU64::new(0)).collect(),
                    emptied: AtomicU64::new(0),
                }
            })
            .collect(),
        counts: Counts::default(),
        start: Instant::now(),
    };
    let done = AtomicBool::new(false);
    let made = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (run, made) = (&run, &made);
                scope.spawn(move || {
                    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9) + writer as u64 + 1);
                    for _ in 0..edits / WRITERS as u64 {
                        // Each writer has modules of its own.
                        let number = dice.below((MODULES / WRITERS) as u64) as usize;
                        let module = &run.modules[number * WRITERS + writer];
                        run.edit(module, dice.below(8));
                        run.check(module, dice.below(4) != 0);
                        let made = made.fetch_add(1, SeqCst) + 1;
                        if made.is_multiple_of(100_000) {
                            println!("{made} edits after {} s", run.start.elapsed().as_secs());
                        }
                    }
                })
            })
            .collect();
        for reader in 0..READERS {
            let (run, done) = (&run, &done);
            scope.spawn(move || {
                let mut dice = Dice(seed.wrapping_mul(0x1234_5677) + reader as u64 + 99);
                while !done.load(SeqCst) {
                    let module = &run.modules[dice.below(MODULES as u64) as usize];
                    run.check(module, dice.below(4) != 0);
                }
            });
        }
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, SeqCst);
    });
    let counts = &run.counts;
    let get = |count: &AtomicU64| count.load(SeqCst);
    println!(
        "edits {}  reads {}  absent {} (at rest {})  torn {} (in the middle of a write {})  stale {}  later than allowed {}  \
         of the future {}  errors {}  slowest {} ms  seconds {}",
        made.load(SeqCst),
        get(&counts.reads),
        get(&counts.absent),
        get(&counts.absent_at_rest),
        get(&counts.torn),
        get(&counts.torn_in_write),
        get(&counts.stale),
        get(&counts.late),
        get(&counts.future),
        get(&counts.errors),
        get(&counts.slowest) / 1_000_000,
        run.start.elapsed().as_secs()
    );
    for (power, count) in counts.lags.iter().enumerate() {
        if get(count) > 0 {
            println!("late by less than {:>8} us: {}", 1_u64 << power, get(count));
        }
    }
    let bad = [&counts.torn, &counts.late, &counts.future, &counts.errors];
    match bad.iter().all(|count| get(count) == 0) && get(&counts.reads) > 0 {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
