//! `pycfs compile`: compileall's command line.
//!
//! Owns the translation of arguments, the choice of the target and the terminal. Exit status: 0
//! all done, 1 some file failed, 2 the command line makes no sense or nothing can compile.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufWriter, IsTerminal, Read, Write};
use std::num::NonZeroUsize;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::fail;
use super::python_choice::{self, Program};
use crate::backend::{self, Backend};
use crate::compileall::{
    BadPattern, Exclude, Layout, Options, Outcome, Renaming, Report, StoredCompiler, compile_paths,
    count_sources, parse_file_list,
};
use crate::complaint::complain;
use crate::interpreter::{self, Search};
use crate::pyc::{InvalidationMode, Level, Target};
use crate::store::{self, Store};

/// Compile source files ahead of time, as `python3 -m compileall` does.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files and directories to compile; without any, the directories of the interpreter's
    /// sys.path, not their subdirectories.
    #[arg(value_name = "FILE|DIR")]
    paths: Vec<OsString>,

    /// Compile for these CPython versions, for example 3.13 or 3.12,3.13, one after the other
    /// [default: that of python3 on PATH, else the newest found].
    #[arg(long, value_name = "X.Y", value_delimiter = ',')]
    python: Vec<Target>,

    /// Compile with this interpreter; the first one given also decides the default of --python.
    #[arg(long, value_name = "PATH")]
    interpreter: Vec<PathBuf>,

    /// Who compiles: auto (natively where possible, else with an interpreter), native or
    /// interpreter [default: auto].
    #[arg(long, value_name = "NAME")]
    backend: Option<backend::Choice>,

    /// Keep compiled code in this directory.
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,

    /// Neither read nor fill the store.
    #[arg(long, conflicts_with = "store")]
    no_store: bool,

    /// Don't go into subdirectories.
    #[arg(short = 'l')]
    no_recursion: bool,

    /// Go at most N directories deep; takes precedence over -l.
    #[arg(short = 'r', value_name = "N", allow_negative_numbers = true)]
    recursion: Option<i64>,

    /// Compile even if timestamps are up to date.
    #[arg(short = 'f')]
    force: bool,

    /// Print error messages only; -qq prints none either.
    #[arg(short = 'q', action = clap::ArgAction::Count)]
    quiet: u8,

    /// Write DIR/NAME.pyc instead of DIR/__pycache__/NAME.TAG.pyc.
    #[arg(short = 'b')]
    legacy: bool,

    /// Embed file names below DESTDIR instead of the directory given.
    #[arg(short = 'd', value_name = "DESTDIR", conflicts_with_all = ["strip_dir", "prepend_dir"])]
    dest_dir: Option<OsString>,

    /// Cut this prefix from embedded file names.
    #[arg(short = 's', value_name = "STRIPDIR")]
    strip_dir: Option<OsString>,

    /// Put this path in front of embedded file names, after -s.
    #[arg(short = 'p', value_name = "PREPENDDIR")]
    prepend_dir: Option<OsString>,

    /// Skip files in whose path this Python regular expression is found (no lookaround, no
    /// backreferences).
    #[arg(short = 'x', value_name = "REGEXP")]
    exclude: Option<String>,

    /// Also compile the files and directories listed in FILE, one a line; - is standard input.
    #[arg(short = 'i', value_name = "FILE")]
    file_list: Option<OsString>,

    /// Compile this many files at a time; 0 is one for each processor.
    #[arg(short = 'j', long, value_name = "N", default_value_t = 1)]
    workers: usize,

    /// Optimization level: 0, 1, 2, or -1 for 0; may be given several times.
    #[arg(short = 'o', value_name = "LEVEL", allow_negative_numbers = true, value_parser = level)]
    levels: Vec<Level>,

    /// Skip symbolic links that point out of this directory.
    #[arg(short = 'e', value_name = "DIR")]
    limit_links: Option<OsString>,

    /// How readers find out whether a pyc fits its source: timestamp, checked-hash or
    /// unchecked-hash [default: checked-hash if SOURCE_DATE_EPOCH is set, else timestamp].
    #[arg(long, value_name = "MODE")]
    invalidation_mode: Option<InvalidationMode>,

    /// Make the pycs of several levels hard links of each other where they are equal.
    #[arg(long)]
    hardlink_dupes: bool,
}

fn level(text: &str) -> Result<Level, String> {
    match text {
        "-1" | "0" => Ok(Level::O0),
        "1" => Ok(Level::O1),
        "2" => Ok(Level::O2),
        _ => Err("not one of -1, 0, 1, 2".to_owned()),
    }
}

/// Why nothing was compiled.
#[derive(Debug, thiserror::Error)]
enum UsageError {
    #[error("{}: cannot be run, or is no CPython 3.6 to 3.15", .0.display())]
    NoInterpreter(PathBuf),
    #[error("no CPython 3.6 to 3.15 was found: give its path with --interpreter")]
    NoTarget,
    #[error("no CPython {0} was found: give its path with --interpreter")]
    NotCovered(Target),
    #[error("CPython {0} does not work: {1}")]
    NotWorking(Target, String),
    #[error("without FILE or DIR, sys.path is compiled: no python{0} is on PATH to tell its own")]
    NoSysPath(Target),
    #[error("without FILE or DIR, sys.path is compiled: give --python one version only")]
    SysPathOfSeveral,
    #[error("-x: {0}")]
    Pattern(#[from] BadPattern),
    #[error(
        "--hardlink-dupes makes sense for more than one optimization level only: give -o twice"
    )]
    OneLevel,
    #[error("-b writes to one place for all versions: give --python one version only")]
    LegacyOfSeveral,
    #[error("CPython 3.6 has no hash-based pycs: leave out --invalidation-mode {0}")]
    HashOf36(InvalidationMode),
}

impl Args {
    /// The options of the run for each target.
    fn options(&self, targets: &[Target]) -> Result<Vec<Options>, UsageError> {
        let mut levels = self.levels.clone();
        levels.sort_unstable();
        levels.dedup();
        if levels.is_empty() {
            levels.push(Level::O0);
        }
        if self.hardlink_dupes && levels.len() < 2 {
            return Err(UsageError::OneLevel);
        }
        if self.legacy && targets.len() > 1 {
            return Err(UsageError::LegacyOfSeveral);
        }
        let exclude = match self.exclude.as_deref() {
            None | Some("") => None,
            Some(pattern) => Some(Exclude::new(pattern)?),
        };
        let max_levels = match (self.recursion, self.no_recursion) {
            (Some(levels), _) => levels,
            (None, true) => 0,
            (None, false) => RECURSION_LIMIT,
        };
        let bytes = |value: &Option<OsString>| value.as_ref().map(|text| text.as_bytes().to_vec());
        let options = |target: &Target| {
            Ok(Options {
                target: *target,
                levels: levels.clone(),
                mode: self.mode(*target)?,
                max_levels,
                force: self.force,
                quiet: self.quiet,
                layout: self.layout(*target),
                renaming: Renaming {
                    dest_dir: bytes(&self.dest_dir),
                    strip_dir: bytes(&self.strip_dir),
                    prepend_dir: bytes(&self.prepend_dir),
                },
                exclude: exclude.clone(),
                limit_links: bytes(&self.limit_links).filter(|dir| !dir.is_empty()),
                hardlink_dupes: self.hardlink_dupes,
                workers: self.worker_count(),
                timeout: COMPILE_TIMEOUT,
            })
        };
        targets.iter().map(options).collect()
    }

    fn worker_count(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.workers)
            .or_else(|| thread::available_parallelism().ok())
            .unwrap_or(NonZeroUsize::MIN)
    }

    fn mode(&self, target: Target) -> Result<InvalidationMode, UsageError> {
        let has_hashes = target.minor() >= 7;
        let epoch = env::var_os("SOURCE_DATE_EPOCH").is_some_and(|epoch| !epoch.is_empty());
        match self.invalidation_mode {
            Some(InvalidationMode::Timestamp) => Ok(InvalidationMode::Timestamp),
            Some(mode) if has_hashes => Ok(mode),
            Some(mode) => Err(UsageError::HashOf36(mode)),
            None if epoch && has_hashes => Ok(InvalidationMode::CheckedHash),
            None => Ok(InvalidationMode::Timestamp),
        }
    }

    fn layout(&self, target: Target) -> Layout {
        const FIRST_WITH_PREFIX: u8 = 8;
        let prefix = env::var_os("PYTHONPYCACHEPREFIX").filter(|prefix| !prefix.is_empty());
        match prefix {
            _ if self.legacy => Layout::Legacy,
            Some(prefix) if target.minor() >= FIRST_WITH_PREFIX => Layout::Prefix {
                prefix: prefix.into_vec(),
                current_dir: env::current_dir()
                    .unwrap_or_default()
                    .into_os_string()
                    .into_vec(),
            },
            Some(_) | None => Layout::Pycache,
        }
    }
}

/// `sys.getrecursionlimit()`: compileall's depth without `-r` and `-l`.
const RECURSION_LIMIT: i64 = 1000;

/// compileall has no limit; this one is for a compiler that hangs.
const COMPILE_TIMEOUT: Duration = Duration::from_secs(300);

/// The paths to compile: those given and those listed in `-i`'s file.
fn paths(args: &Args) -> io::Result<Vec<Vec<u8>>> {
    let mut paths: Vec<Vec<u8>> = args
        .paths
        .iter()
        .map(|path| path.as_bytes().to_vec())
        .collect();
    if let Some(name) = args.file_list.as_deref().filter(|name| !name.is_empty()) {
        let mut list = Vec::new();
        if name == OsStr::new("-") {
            io::stdin().read_to_end(&mut list)?;
        } else {
            std::fs::File::open(name)?.read_to_end(&mut list)?;
        }
        paths.extend(parse_file_list(&list));
    }
    Ok(paths)
}

/// The text on stdout and, where a person looks on, a bar on stderr.
struct Console {
    out: BufWriter<io::Stdout>,
    bar: Option<ProgressBar>,
    failed: u64,
}

impl Console {
    fn new(quiet: u8) -> Console {
        let wanted = quiet < 2 && io::stderr().is_terminal();
        Console {
            out: BufWriter::new(io::stdout()),
            bar: wanted.then(bar),
            failed: 0,
        }
    }

    /// Counts the sources ahead of the compile, on a thread of its own, for the bar's length.
    fn expect(&self, paths: &[Vec<u8>], options: &[Options]) {
        let (Some(bar), Some(first)) = (self.bar.clone(), options.first()) else {
            return;
        };
        let paths = paths.to_vec();
        let max_levels = first.max_levels;
        let targets = u64::try_from(options.len()).unwrap_or(u64::MAX);
        let count = move || {
            bar.set_length(count_sources(&paths, max_levels).saturating_mul(targets));
        };
        // Without the thread the bar has no length.
        let _ = thread::Builder::new().name("count".to_owned()).spawn(count);
    }

    /// Says that the file of `-i` cannot be read, as compileall does, which then fails.
    fn list_error(&mut self, args: &Args) -> io::Result<bool> {
        if args.quiet < 2 {
            let name = args.file_list.as_deref().unwrap_or_default();
            self.text(&[b"Error reading file list ", name.as_bytes(), b"\n"].concat())?;
        }
        self.finish()?;
        Ok(false)
    }

    fn finish(&mut self) -> io::Result<()> {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        self.out.flush()
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::no_length();
    let template = "{bar:30} {pos}/{len} files, {per_sec}, {eta} left{msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

impl Report for Console {
    fn text(&mut self, text: &[u8]) -> io::Result<()> {
        match &self.bar {
            Some(bar) => bar.suspend(|| {
                self.out.write_all(text)?;
                self.out.flush()
            }),
            None => self.out.write_all(text),
        }
    }

    fn done(&mut self, outcome: &Outcome) {
        let Some(bar) = &self.bar else {
            return;
        };
        bar.inc(1);
        if outcome.failed {
            self.failed += 1;
            bar.set_message(format!(", {} failed", self.failed));
        }
    }
}

/// The interpreters to prefer and the targets to compile for.
struct Choice {
    programs: Vec<Program>,
    targets: Vec<Target>,
}

impl Choice {
    fn new(args: &Args) -> Result<Choice, UsageError> {
        let identify = |path: &PathBuf| {
            python_choice::identify(path).ok_or_else(|| UsageError::NoInterpreter(path.clone()))
        };
        let mut programs: Vec<Program> = args
            .interpreter
            .iter()
            .map(identify)
            .collect::<Result<_, _>>()?;
        let mut targets: Vec<Target> = Vec::new();
        for target in &args.python {
            if !targets.contains(target) {
                targets.push(*target);
            }
        }
        if targets.is_empty() {
            if programs.is_empty() {
                programs.extend(python_choice::default_program());
            }
            targets.extend(programs.first().map(|program| program.target));
        }
        Ok(Choice { programs, targets })
    }

    /// The backend that asks the chosen interpreters first, then those that are found.
    fn backend(&mut self, args: &Args, workers: usize) -> Result<Backend, UsageError> {
        // As they were named: a wrapper script stays one.
        let explicit = if args.interpreter.is_empty() {
            self.programs
                .iter()
                .map(|program| program.path.clone())
                .collect()
        } else {
            args.interpreter.clone()
        };
        let backend = Backend::open(
            args.backend.unwrap_or_default(),
            interpreter::Options {
                search: Search::of_process(explicit),
                workers,
                ..interpreter::Options::default()
            },
        );
        if self.targets.is_empty() {
            self.targets
                .push(backend.newest().ok_or(UsageError::NoTarget)?);
        }
        Ok(backend)
    }

    /// The directories of the target's `sys.path`.
    fn sys_path(&self) -> Result<Vec<Vec<u8>>, UsageError> {
        let [target] = self.targets.as_slice() else {
            return Err(UsageError::SysPathOfSeveral);
        };
        let chosen = self
            .programs
            .iter()
            .find(|program| program.target == *target);
        chosen
            .cloned()
            .or_else(|| python_choice::program_for(*target))
            .and_then(|program| python_choice::sys_path(&program))
            .ok_or(UsageError::NoSysPath(*target))
    }
}

/// Runs `pycfs compile`.
pub fn run(args: Args) -> ExitCode {
    // Whether a logger was there before does not matter.
    let _ = env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("error"))
        .try_init();
    match compile(&args) {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        Ok(Ok(false)) => ExitCode::FAILURE,
        Ok(Err(error)) => fail(format!("cannot go on: {error}")),
        Err(error) => {
            complain(format_args!("pycfs compile: {error}"));
            ExitCode::from(2)
        }
    }
}

/// Compiles what the arguments name: whether all went well, or why the run ended early.
fn compile(args: &Args) -> Result<io::Result<bool>, UsageError> {
    let mut choice = Choice::new(args)?;
    let workers = args.worker_count();
    let backend = choice.backend(args, workers.get())?.compiler;
    let mut options = args.options(&choice.targets)?;
    let mut console = Console::new(args.quiet);
    let mut paths = match paths(args) {
        Ok(paths) => paths,
        Err(_) => return Ok(console.list_error(args)),
    };
    if paths.is_empty() {
        paths = choice.sys_path()?;
        for options in &mut options {
            options.max_levels = 0;
        }
    }
    let store_dir = match (args.no_store, &args.store) {
        (true, _) => None,
        (false, Some(dir)) => Some(dir.clone()),
        (false, None) => store::default_dir(),
    };
    let store = store_dir.map(|dir| Store::open(store::Options::new(dir)));
    console.expect(&paths, &options);
    let mut success = true;
    for options in &options {
        let target = options.target;
        let not_covered = || {
            let described = backend.describe();
            let about = described.into_iter().find(|(other, _)| *other == target);
            about.map_or(UsageError::NotCovered(target), |(_, text)| {
                UsageError::NotWorking(target, text)
            })
        };
        let result = match &store {
            Some(store) => {
                let stored =
                    StoredCompiler::new(backend.as_ref(), store, target).ok_or_else(not_covered)?;
                compile_paths(&paths, options, &stored, &mut console)
            }
            None => {
                backend.build(target).ok_or_else(not_covered)?;
                compile_paths(&paths, options, backend.as_ref(), &mut console)
            }
        };
        match result {
            Ok(all) => success &= all,
            Err(error) => return Ok(Err(error)),
        }
    }
    let finished = console.finish();
    if let Some(store) = &store
        && !store.flush(FLUSH_TIMEOUT)
    {
        log::warn!("not everything that was compiled is in the store");
    }
    Ok(finished.map(|()| success))
}

/// How long what was compiled is waited for to be in the store, at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(60);
