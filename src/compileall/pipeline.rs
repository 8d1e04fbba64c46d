//! The run over all paths: one walker, N workers, one ordered voice.
//!
//! Owns the threads. Invariants: reports come in the order of the walk, whatever the number of
//! workers; a bounded number of files is in flight; two files whose pycs may be the same are
//! never in flight together.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::compiler::Compiler;

use super::file::{FileCompiler, Outcome};
use super::options::Options;
use super::paths::{Renaming, base_name, dir_name};
use super::pytext::repr;
use super::walk::{Step, Walk};

/// Receives what happens, in the order of the walk, on the thread that started the run.
pub trait Report {
    /// Text for stdout: whole lines. An error ends the run.
    fn text(&mut self, text: &[u8]) -> io::Result<()>;

    /// A source is done; its text has been given to [`Report::text`].
    fn done(&mut self, outcome: &Outcome);
}

/// A place in the order of reports.
enum Slot {
    Text(Vec<u8>),
    File {
        is_source: bool,
        answer: Receiver<Outcome>,
    },
}

/// A file on its way to a worker.
struct Task<'a> {
    path: Vec<u8>,
    renaming: &'a Renaming,
    answer: Sender<Outcome>,
}

const SOURCE_SUFFIX: &[u8] = b".py";

/// How many sources [`compile_paths`] will report as done, unless the tree changes.
pub fn count_sources(paths: &[Vec<u8>], max_levels: i64) -> u64 {
    let count = |path: &Vec<u8>| {
        if is_file(path) {
            return u64::from(path.ends_with(SOURCE_SUFFIX));
        }
        Walk::new(path, max_levels).fold(0, |count, step| match step {
            Step::File(path) => count + u64::from(path.ends_with(SOURCE_SUFFIX)),
            Step::Listing(_) | Step::Unlistable(_) => count,
        })
    };
    paths.iter().map(count).sum()
}

/// Brings the pycs of all files at or below `paths` up to date. Whether every file could be
/// compiled; the error is [`Report::text`]'s, or that of starting a thread.
pub fn compile_paths(
    paths: &[Vec<u8>],
    options: &Options,
    compiler: &dyn Compiler,
    report: &mut dyn Report,
) -> io::Result<bool> {
    let file_compiler = FileCompiler::new(options, compiler);
    let mut success = true;
    let mut rest = paths;
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(disjoint(rest));
        success &= compile_batch(batch, options, &file_compiler, report)?;
        rest = later;
    }
    Ok(success)
}

/// How many of the first paths have no file in common: at least one. A path given twice must meet
/// its first pyc up to date, as it does in compileall.
fn disjoint(paths: &[Vec<u8>]) -> usize {
    let mut claimed: BTreeSet<PathBuf> = BTreeSet::new();
    for (index, path) in paths.iter().enumerate() {
        let place = place_of(path);
        let is_below = place.ancestors().any(|parent| claimed.contains(parent));
        // The order of paths is by component: what is below a path follows it directly.
        let is_above = claimed
            .range(place.clone()..)
            .next()
            .is_some_and(|next| next.starts_with(&place));
        if index > 0 && (is_below || is_above) {
            return index;
        }
        claimed.insert(place);
    }
    paths.len()
}

/// Where a path given is in the tree without symbolic links.
fn place_of(path: &[u8]) -> PathBuf {
    let resolve = |path: &[u8]| {
        let path = if path.is_empty() { b"." } else { path };
        let path = Path::new(OsStr::from_bytes(path));
        path.canonicalize().unwrap_or_else(|_| path.to_owned())
    };
    // The pyc of a file lies beside its name, also when that is a link.
    if is_file(path) {
        resolve(dir_name(path)).join(OsStr::from_bytes(base_name(path)))
    } else {
        resolve(path)
    }
}

fn is_file(path: &[u8]) -> bool {
    std::fs::metadata(OsStr::from_bytes(path)).is_ok_and(|meta| meta.is_file())
}

/// Compiles paths that have no file in common.
fn compile_batch(
    paths: &[Vec<u8>],
    options: &Options,
    file_compiler: &FileCompiler<'_>,
    report: &mut dyn Report,
) -> io::Result<bool> {
    const FILES_A_WORKER: usize = 16;
    let workers = options.workers.get();
    let window = workers.saturating_mul(FILES_A_WORKER);
    let below: Vec<Renaming> = paths
        .iter()
        .map(|path| options.renaming.below(path))
        .collect();
    thread::scope(|scope| {
        let (slots, ordered) = bounded(window);
        let (tasks, queue) = bounded::<Task<'_>>(window);
        for number in 0..workers {
            let queue = queue.clone();
            thread::Builder::new()
                .name(format!("compile-{number}"))
                .spawn_scoped(scope, move || work(&queue, file_compiler))?;
        }
        drop(queue);
        let below = &below;
        thread::Builder::new()
            .name("walk".to_owned())
            .spawn_scoped(scope, move || {
                let feed = Feed { slots, tasks };
                // A closed channel means that the reporting thread gave up.
                let _ = feed.walk(paths, below, options);
            })?;
        let mut success = true;
        for slot in ordered {
            match slot {
                Slot::Text(text) => report.text(&text)?,
                Slot::File { is_source, answer } => {
                    // A worker answers each task, even one that panics.
                    let outcome = answer.recv().map_err(io::Error::other)?;
                    if !outcome.text.is_empty() {
                        report.text(&outcome.text)?;
                    }
                    success &= !outcome.failed;
                    if is_source {
                        report.done(&outcome);
                    }
                }
            }
        }
        Ok(success)
    })
}

/// A worker: takes tasks until there are no more.
fn work(queue: &Receiver<Task<'_>>, file_compiler: &FileCompiler<'_>) {
    for task in queue {
        let compile = AssertUnwindSafe(|| file_compiler.compile(&task.path, task.renaming));
        let outcome = catch_unwind(compile).unwrap_or_else(|_| Outcome {
            text: format!("*** internal error at {}\n", repr(&task.path)).into_bytes(),
            failed: true,
            written: 0,
        });
        // Nobody waits any more when the run was given up.
        let _ = task.answer.send(outcome);
    }
}

/// The other end of a channel is gone: the run was given up.
struct GivenUp;

/// The walker's ends of the channels.
struct Feed<'a> {
    slots: Sender<Slot>,
    tasks: Sender<Task<'a>>,
}

impl<'a> Feed<'a> {
    fn walk(
        &self,
        paths: &[Vec<u8>],
        below: &'a [Renaming],
        options: &'a Options,
    ) -> Result<(), GivenUp> {
        for (path, below) in paths.iter().zip(below) {
            if is_file(path) {
                self.file(path.clone(), &options.renaming)?;
                continue;
            }
            for step in Walk::new(path, options.max_levels) {
                match step {
                    Step::Listing(dir) if options.quiet == 0 => {
                        self.text(format!("Listing {}...\n", repr(&dir)))?;
                    }
                    Step::Unlistable(dir) if options.quiet < 2 => {
                        self.text(format!("Can't list {}\n", repr(&dir)))?;
                    }
                    Step::Listing(_) | Step::Unlistable(_) => {}
                    // About other files there is nothing to say, but for the strip directory.
                    Step::File(path)
                        if !path.ends_with(SOURCE_SUFFIX) && below.strip_dir.is_none() => {}
                    Step::File(path) => self.file(path, below)?,
                }
            }
        }
        Ok(())
    }

    fn text(&self, text: String) -> Result<(), GivenUp> {
        self.slots
            .send(Slot::Text(text.into_bytes()))
            .map_err(|_| GivenUp)
    }

    fn file(&self, path: Vec<u8>, renaming: &'a Renaming) -> Result<(), GivenUp> {
        let (answer, receiver) = bounded(1);
        let slot = Slot::File {
            is_source: path.ends_with(SOURCE_SUFFIX),
            answer: receiver,
        };
        self.slots.send(slot).map_err(|_| GivenUp)?;
        let task = Task {
            path,
            renaming,
            answer,
        };
        self.tasks.send(task).map_err(|_| GivenUp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::num::NonZeroUsize;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use crate::compileall::Layout;
    use crate::compiler::{BuildId, Code, Job, Refusal};
    use crate::pyc::{InvalidationMode, Level, Target, Template, magic_of};

    /// Answers by what the source says; the code is the source.
    #[derive(Default)]
    struct Fake {
        calls: AtomicUsize,
    }

    impl Compiler for Fake {
        fn name(&self) -> &'static str {
            "fake"
        }

        fn targets(&self) -> Vec<Target> {
            Target::all().collect()
        }

        fn build(&self, _: Target) -> Option<BuildId> {
            Some(BuildId("fake".to_owned()))
        }

        fn compile(&self, job: &Job) -> Result<Code, Refusal> {
            self.calls.fetch_add(1, Ordering::Relaxed);
            match &*job.source {
                b"rejected" => Err(Refusal::Rejected(
                    String::from_utf8(job.explain.clone().unwrap_or_default()).unwrap(),
                )),
                b"late" => Err(Refusal::TimedOut(job.timeout)),
                b"panic" => panic!("the fake compiler panics"),
                source => {
                    if source == b"slow" {
                        std::thread::sleep(Duration::from_millis(50));
                    }
                    Ok(Code {
                        magic: magic_of(job.target),
                        template: Template::from_parts(source.to_vec(), 0, false, false).unwrap(),
                    })
                }
            }
        }

        fn describe(&self) -> Vec<(Target, String)> {
            Vec::new()
        }
    }

    #[derive(Default)]
    struct Record {
        text: String,
        files: usize,
        written: usize,
        /// Refuse text after this many calls.
        text_limit: Option<usize>,
    }

    impl Report for Record {
        fn text(&mut self, text: &[u8]) -> io::Result<()> {
            match &mut self.text_limit {
                Some(0) => return Err(io::ErrorKind::BrokenPipe.into()),
                Some(left) => *left -= 1,
                None => {}
            }
            self.text.push_str(std::str::from_utf8(text).unwrap());
            Ok(())
        }

        fn done(&mut self, outcome: &Outcome) {
            self.files += 1;
            self.written += outcome.written;
        }
    }

    fn options(workers: usize) -> Options {
        Options {
            target: Target::from_minor(13).unwrap(),
            levels: vec![Level::O0],
            mode: InvalidationMode::Timestamp,
            max_levels: 1000,
            force: false,
            quiet: 0,
            layout: Layout::Pycache,
            renaming: Renaming::default(),
            exclude: None,
            limit_links: None,
            hardlink_dupes: false,
            workers: NonZeroUsize::new(workers).unwrap(),
            timeout: Duration::from_secs(5),
        }
    }

    fn path(dir: &tempfile::TempDir) -> Vec<u8> {
        dir.path().as_os_str().as_bytes().to_vec()
    }

    #[test]
    fn the_report_is_the_same_for_any_number_of_workers() {
        let mut texts = Vec::new();
        for workers in [1, 2, 9] {
            let dir = tempfile::tempdir().unwrap();
            let root = dir.path();
            for sub in ["a", "b", "c"] {
                fs::create_dir(root.join(sub)).unwrap();
                for number in 0..40 {
                    let source = match number {
                        3 => "slow",
                        7 => "rejected",
                        11 => "late",
                        _ => "x = 1",
                    };
                    fs::write(root.join(sub).join(format!("{number:02}.py")), source).unwrap();
                }
            }
            let mut record = Record::default();
            let compiler = Fake::default();
            let success =
                compile_paths(&[path(&dir)], &options(workers), &compiler, &mut record).unwrap();
            assert!(!success);
            assert_eq!((record.files, record.written), (120, 114));
            assert!(root.join("c/__pycache__/39.cpython-313.pyc").is_file());
            texts.push(record.text.replace(root.to_str().unwrap(), "ROOT"));
        }
        assert!(
            texts[0].starts_with(
                "Listing 'ROOT'...\nListing 'ROOT/a'...\nCompiling 'ROOT/a/00.py'...\n"
            )
        );
        assert!(texts[0].contains("Compiling 'ROOT/b/07.py'...\n*** ROOT/b/07.py\n"));
        assert!(texts[0].contains("*** Sorry: compiling took longer than 5s\n"));
        assert_eq!(texts[0], texts[1]);
        assert_eq!(texts[0], texts[2]);
    }

    #[test]
    fn a_path_given_twice_is_up_to_date_the_second_time() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("m.py"), "slow").unwrap();
        let file = dir
            .path()
            .join("m.py")
            .into_os_string()
            .into_encoded_bytes();
        let mut record = Record::default();
        let compiler = Fake::default();
        let paths = [path(&dir), file, path(&dir)];
        assert!(compile_paths(&paths, &options(4), &compiler, &mut record).unwrap());
        assert_eq!(compiler.calls.load(Ordering::Relaxed), 1);
        assert_eq!(record.text.matches("Compiling").count(), 1);
        assert_eq!(record.text.matches("Listing").count(), 2);
    }

    #[test]
    fn a_panic_while_compiling_costs_one_file() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.py"), "panic").unwrap();
        fs::write(dir.path().join("b.py"), "x = 1").unwrap();
        let mut record = Record::default();
        let compiler = Fake::default();
        assert!(!compile_paths(&[path(&dir)], &options(1), &compiler, &mut record).unwrap());
        assert_eq!(record.written, 1);
        assert!(record.text.contains("*** internal error at "));
    }

    #[test]
    fn a_closed_output_ends_the_run() {
        let dir = tempfile::tempdir().unwrap();
        for number in 0..200 {
            fs::write(dir.path().join(format!("{number}.py")), "x = 1").unwrap();
        }
        let mut record = Record {
            text_limit: Some(3),
            ..Record::default()
        };
        let compiler = Fake::default();
        let result = compile_paths(&[path(&dir)], &options(2), &compiler, &mut record);
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert!(compiler.calls.load(Ordering::Relaxed) < 200);
    }
}
