//! One file: whether it is compiled, what is printed about it, what is written.
//!
//! Follows `compile_file` of compileall and `compile` of py_compile. Invariant: whatever the file
//! or the compiler does, there is an outcome; nothing here ends the run.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{FileType, Stat};

use crate::compiler::{Code, Compiler, Job, Refusal};
use crate::pyc::{Header, HeaderError, InvalidationMode, Level, magic_of, source_hash};

use super::options::Options;
use super::paths::{Renaming, base_name, dir_name, pyc_path};
use super::pytext::{OsError, repr};
use super::write::{
    Occupant, ReadError, Source, header_mtime, link_over, make_dirs, occupant, read_source,
    read_start, write_atomic,
};

/// What became of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What compileall prints on stdout: whole lines.
    pub text: Vec<u8>,
    /// Whether the file could not be compiled.
    pub failed: bool,
    /// How many pycs were written.
    pub written: usize,
}

/// Why a file has no pyc.
#[derive(Clone, Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Os(#[from] OsError),
    #[error("OSError: {0}")]
    Unread(ReadError),
    #[error("{0}")]
    Occupied(Occupied),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("Sorry: {0}")]
    Header(#[from] HeaderError),
}

/// A pyc's place is taken by something that must not become a regular file.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "{} is a {what} and will be changed into a regular {noun} if import writes a byte-compiled file to it",
    String::from_utf8_lossy(path)
)]
struct Occupied {
    path: Vec<u8>,
    what: &'static str,
    noun: &'static str,
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Failure {
        match error {
            ReadError::Os(error) => Failure::Os(error),
            ReadError::Changing => Failure::Unread(error),
        }
    }
}

impl Failure {
    /// The message after `*** `, with its line end.
    fn message(&self) -> Vec<u8> {
        let mut text = match self {
            Failure::Occupied(occupied) => {
                let shown = String::from_utf8_lossy(&occupied.path).into_owned();
                let sentence = occupied.to_string();
                let rest = sentence.strip_prefix(&shown).unwrap_or(&sentence);
                [b"FileExistsError: ", &*occupied.path, rest.as_bytes()].concat()
            }
            Failure::Refused(Refusal::Rejected(text)) => text.clone().into_bytes(),
            Failure::Refused(other) => format!("Sorry: {other}").into_bytes(),
            Failure::Os(_) | Failure::Unread(_) | Failure::Header(_) => {
                self.to_string().into_bytes()
            }
        };
        text.push(b'\n');
        text
    }
}

/// Compiles single files with one set of options.
pub struct FileCompiler<'a> {
    options: &'a Options,
    compiler: &'a dyn Compiler,
}

impl<'a> FileCompiler<'a> {
    /// A compiler of files that asks `compiler` for the code.
    pub fn new(options: &'a Options, compiler: &'a dyn Compiler) -> FileCompiler<'a> {
        FileCompiler { options, compiler }
    }

    /// Brings the pycs of the file at `path` up to date, as compileall's `compile_file`.
    pub fn compile(&self, path: &[u8], renaming: &Renaming) -> Outcome {
        let mut outcome = Outcome::default();
        let mut text = String::new();
        let renamed = renaming.apply(path);
        if let Some(strip) = &renamed.bad_prefix
            && self.options.quiet < 2
        {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "The stripdir path {} is not a valid prefix for source path {}; ignoring",
                repr(strip),
                repr(path)
            );
        }
        if let Some(stat) = self.stat_of_candidate(path)
            && base_name(path).ends_with(b".py")
            && (self.options.force || !self.is_up_to_date(path, &stat))
        {
            if self.options.quiet == 0 {
                let _ = writeln!(text, "Compiling {}...", repr(path));
            }
            let result = self.write_levels(path, &renamed.name, &mut outcome.written);
            if let Err(failure) = result {
                outcome.failed = true;
                outcome.text = text.into_bytes();
                match self.options.quiet {
                    0 => outcome.text.extend_from_slice(b"*** "),
                    1 => {
                        let line = format!("*** Error compiling {}...\n", repr(path));
                        outcome.text.extend_from_slice(line.as_bytes());
                    }
                    _ => return outcome,
                }
                outcome.text.extend_from_slice(&failure.message());
                return outcome;
            }
        }
        outcome.text = text.into_bytes();
        outcome
    }

    /// The stat of a regular file that the options do not leave out.
    fn stat_of_candidate(&self, path: &[u8]) -> Option<Stat> {
        let options = self.options;
        if options
            .exclude
            .as_ref()
            .is_some_and(|exclude| exclude.is_match(path))
        {
            return None;
        }
        if let Some(limit) = &options.limit_links
            && leads_out_of(path, limit)
        {
            return None;
        }
        let stat = rustix::fs::stat(path).ok()?;
        (FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile).then_some(stat)
    }

    fn pyc_path(&self, path: &[u8], level: Level) -> Vec<u8> {
        pyc_path(path, self.options.target, level, &self.options.layout)
    }

    /// compileall's test: each pyc starts with the magic number, no flags and the source's mtime.
    /// The size is not compared, and hash-based pycs are never up to date.
    fn is_up_to_date(&self, path: &[u8], stat: &Stat) -> bool {
        let target = self.options.target;
        let mut expected =
            Header::timestamp(target, magic_of(target), header_mtime(stat), 0).to_bytes();
        const SIZE_FIELD: usize = 4;
        expected.truncate(expected.len().saturating_sub(SIZE_FIELD));
        self.options.levels.iter().all(|level| {
            let pyc = self.pyc_path(path, *level);
            read_start(&pyc, expected.len()).is_some_and(|start| start == expected)
        })
    }

    /// Writes the pyc of each level, lowest first, until one fails.
    fn write_levels(
        &self,
        path: &[u8],
        embedded_name: &[u8],
        written: &mut usize,
    ) -> Result<(), Failure> {
        let mut source: Option<Source> = None;
        let mut previous: Option<(Vec<u8>, Vec<u8>)> = None;
        for level in &self.options.levels {
            let pyc = self.pyc_path(path, *level);
            check_place(&pyc)?;
            let source = match &source {
                Some(source) => source,
                None => source.insert(read_source(path)?),
            };
            let bytes = self.pyc_bytes(source, *level, embedded_name)?;
            make_dirs(dir_name(&pyc))?;
            match &previous {
                Some((twin, twin_bytes))
                    if self.options.hardlink_dupes && *twin != pyc && *twin_bytes == bytes =>
                {
                    link_over(twin, &pyc)?;
                }
                _ => write_atomic(&pyc, &bytes, source.mode)?,
            }
            *written += 1;
            previous = Some((pyc, bytes));
        }
        Ok(())
    }

    /// The whole pyc of a source.
    fn pyc_bytes(
        &self,
        source: &Source,
        level: Level,
        embedded_name: &[u8],
    ) -> Result<Vec<u8>, Failure> {
        let target = self.options.target;
        let explain = (self.options.quiet < 2).then(|| embedded_name.to_vec());
        let Code { magic, template } = self.compiler.compile(&Job {
            source: source.bytes.clone(),
            target,
            level,
            timeout: self.options.timeout,
            explain,
        })?;
        let header = match self.options.mode {
            InvalidationMode::Timestamp => {
                let size = u64::try_from(source.bytes.len()).unwrap_or(u64::MAX);
                Header::timestamp(target, magic, source.mtime, size)
            }
            InvalidationMode::CheckedHash | InvalidationMode::UncheckedHash => {
                let checked = self.options.mode == InvalidationMode::CheckedHash;
                let hash = source_hash(target, magic, &source.bytes);
                Header::hash(target, magic, hash, checked)?
            }
        };
        let mut bytes = header.to_bytes();
        bytes.extend_from_slice(&template.fill(embedded_name));
        Ok(bytes)
    }
}

/// Refuses to replace a link or a special file, with py_compile's words.
fn check_place(pyc: &[u8]) -> Result<(), Failure> {
    let (what, noun) = match occupant(pyc) {
        Occupant::Replaceable => return Ok(()),
        Occupant::Symlink => ("symlink", "file"),
        Occupant::Other => ("non-regular file", "one"),
    };
    Err(Failure::Occupied(Occupied {
        path: pyc.to_vec(),
        what,
        noun,
    }))
}

/// Whether `path` is a symbolic link that ends outside of the directory `limit`.
fn leads_out_of(path: &[u8], limit: &[u8]) -> bool {
    let is_link = rustix::fs::lstat(path)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
    if !is_link {
        return false;
    }
    let resolve = |name: &[u8]| {
        let name = if name.is_empty() { b"." } else { name };
        Path::new(OsStr::from_bytes(name)).canonicalize().ok()
    };
    match (resolve(limit), resolve(path)) {
        (Some(limit), Some(end)) => end == limit || !end.starts_with(limit),
        // A broken link is no file to compile; a missing directory holds nothing.
        (None, _) | (_, None) => true,
    }
}
