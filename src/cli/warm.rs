//! `pycfs warm`: asks a mount for the entries of a tree before its readers do.
//!
//! It is a reader like any other, so the daemon's own bounds hold, and readers that come meanwhile
//! share each compile that is under way.

use indicatif::{ProgressBar, ProgressStyle};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::{fail, show};
use crate::control::{Request, ask};
use crate::mount;
use crate::pyc::{CacheName, Level, Target};
use crate::watch::is_source_name;

/// How many entries are asked for at once.
const AT_ONCE: usize = 4;

/// The arguments of `pycfs warm`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Compile for these CPython versions, for example 3.13 or 3.12,3.13; those in use without one.
    #[arg(long = "python", value_name = "X.Y", value_delimiter = ',')]
    versions: Vec<Target>,
    /// No progress bar and no summary.
    #[arg(short, long)]
    quiet: bool,
    /// Where it is mounted.
    mount_point: PathBuf,
    /// Directories or files below the mount point to compile; all of it without one.
    paths: Vec<PathBuf>,
}

/// Compiles ahead. Fails only if the mount cannot be asked: what does not compile is absent, as
/// it is for readers.
pub fn run(args: &Args) -> ExitCode {
    let entry = match mount::find(&args.mount_point) {
        Ok(Some(entry)) => entry,
        Ok(None) => return fail(mount::Error::NotMounted(args.mount_point.clone())),
        Err(error) => return fail(format!("cannot read the mount table: {error}")),
    };
    let wanted = match wanted(&args.versions, &entry) {
        Ok(wanted) => wanted,
        Err(error) => return fail(error),
    };
    let roots: VecDeque<PathBuf> = match args.paths.as_slice() {
        [] => VecDeque::from([entry.mount_point.clone()]),
        paths => paths
            .iter()
            .map(|path| entry.mount_point.join(path))
            .collect(),
    };
    if let Some(outside) = roots
        .iter()
        .find(|path| !path.starts_with(&entry.mount_point))
    {
        let place = entry.mount_point.display();
        return fail(format!("{} is not below {place}", outside.display()));
    }
    if let Some((path, error)) = roots
        .iter()
        .find_map(|path| Some((path, path.metadata().err()?)))
    {
        return fail(format!("{}: {error}", path.display()));
    }
    let sources = sources(roots);
    let bar = bar(args.quiet, sources.len() * wanted.len());
    let (there, absent) = ask_for_all(&sources, &wanted, &bar);
    bar.finish_and_clear();
    if args.quiet {
        return ExitCode::SUCCESS;
    }
    show(format_args!(
        "{} sources: {there} entries are there, {absent} are absent\n",
        sources.len()
    ))
}

/// The versions and levels to compile for.
fn wanted(versions: &[Target], entry: &mount::Entry) -> Result<Vec<(Target, Level)>, String> {
    const PATIENCE: Duration = Duration::from_secs(5);
    if !versions.is_empty() {
        return Ok(versions.iter().map(|target| (*target, Level::O0)).collect());
    }
    let status = ask(&entry.socket(), Request::Status, PATIENCE)
        .map_err(|error| format!("{}: {error}", entry.mount_point.display()))?;
    let in_use = status.get("in_use").and_then(|list| list.as_array());
    let parsed = in_use.into_iter().flatten().filter_map(|pair| {
        let (target, level) = pair.as_str()?.split_once("-O")?;
        let level = Level::ALL
            .into_iter()
            .find(|each| each.number().to_string() == level)?;
        Some((target.parse().ok()?, level))
    });
    let parsed: Vec<(Target, Level)> = parsed.collect();
    match parsed.is_empty() {
        true => Err("no version is in use yet; name one with --python".to_owned()),
        false => Ok(parsed),
    }
}

/// All sources below these paths. Symlinks to directories are not followed.
fn sources(mut rest: VecDeque<PathBuf>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    while let Some(path) = rest.pop_front() {
        let Ok(entries) = std::fs::read_dir(&path) else {
            if path.file_name().is_some_and(is_source_name) {
                found.push(path);
            }
            continue;
        };
        for entry in entries.flatten() {
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_directory && entry.file_name() != "__pycache__" {
                rest.push_back(entry.path());
            } else if is_source_name(&entry.file_name()) {
                found.push(entry.path());
            }
        }
    }
    found
}

fn ask_for_all(sources: &[PathBuf], wanted: &[(Target, Level)], bar: &ProgressBar) -> (u64, u64) {
    let (there, absent) = (AtomicU64::new(0), AtomicU64::new(0));
    let pairs = sources
        .iter()
        .flat_map(|source| wanted.iter().map(move |pair| (source, pair)));
    let pairs = Mutex::new(pairs);
    let next = || pairs.lock().ok()?.next();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((source, (target, level))) = next() {
                    let count = match is_there(source, *target, *level) {
                        true => &there,
                        false => &absent,
                    };
                    count.fetch_add(1, Relaxed);
                    bar.inc(1);
                }
            });
        }
    });
    (there.into_inner(), absent.into_inner())
}

/// Asks for one entry.
fn is_there(source: &Path, target: Target, level: Level) -> bool {
    let stem = source
        .file_name()
        .and_then(|name| name.as_bytes().strip_suffix(b".py"));
    let (Some(stem), Some(directory)) = (stem, source.parent()) else {
        return false;
    };
    let name = CacheName {
        stem: stem.to_vec(),
        target,
        level,
    };
    let name = OsString::from_vec(name.file_name());
    let path = directory.join(OsStr::new("__pycache__")).join(name);
    // After a listing a look-up alone compiles nothing, and shows no size.
    std::fs::File::open(path)
        .and_then(|file| file.metadata())
        .is_ok_and(|found| found.len() > 0)
}

fn bar(quiet: bool, length: usize) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length as u64);
    let template = "{bar:30} {pos}/{len} entries, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
