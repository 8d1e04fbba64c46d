//! The native compiler behind the compiler trait.
//!
//! A panic ends one compile only. A large source has a thread to itself ([`workers`]), which is left
//! behind when it takes too long; what cannot take long is compiled by the thread that asks.

use super::constant::Marshalled;
use super::decode::decode;
use super::error::Stop;
use super::explain::{explain, locate};
use super::pipeline;
use super::profile::Profile;
use super::workers::{self, Unanswered};
use crate::compiler::{BuildId, Code, Compiler, Job, QUICK, Refusal};
use crate::pyc::{Level, Target, Template};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// Raised whenever the bytes that are made for some program change.
const REVISION: u32 = 4;

/// A timeout shorter than this one is kept for small sources, too.
const SHORT: Duration = Duration::from_secs(1);

/// The compiler written in Rust: no interpreter is needed.
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeCompiler;

fn profile(target: Target) -> Option<&'static Profile> {
    Profile::of(target, None).filter(|profile| profile.is_released)
}

fn failed(why: impl std::fmt::Display) -> Refusal {
    Refusal::Failed(why.to_string())
}

/// `name`: the text of an error is wanted, with this file name in it.
fn refusal(stop: Stop, source: &[u8], target: Target, name: Option<&[u8]>) -> Refusal {
    match (stop, name) {
        (Stop::Unsure(why), _) => Refusal::Unsure(*why),
        (Stop::Rejected(error), Some(name)) => explain(&error, source, target, name).map_or_else(
            || Refusal::Unsure(format!("the text of the error: {}", error.message)),
            Refusal::Rejected,
        ),
        (Stop::Rejected(error), None) => {
            let line = error.loc.map(|loc| format!(" (line {})", loc.line));
            let line = line.unwrap_or_default();
            Refusal::Rejected(format!("{}: {}{line}", error.kind, error.message))
        }
    }
}

/// CPython's error for a source that it rejects, as the attributes of a `SyntaxError` have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// `SyntaxError`, `IndentationError` or `TabError`.
    pub kind: &'static str,
    /// `msg`.
    pub message: String,
    /// `lineno`.
    pub line: i64,
    /// `offset`.
    pub offset: i64,
    /// `end_lineno`.
    pub end_line: i64,
    /// `end_offset`.
    pub end_offset: i64,
    /// The line, with its newline if it has one.
    pub text: Option<String>,
    /// Whether the parser raises it; else it is an error of a later pass.
    pub by_parser: bool,
}

/// The error that CPython of the version `target` raises for a source; `None` if it accepts it, if
/// the error is not known for sure, or after `timeout`.
pub fn rejection(source: &[u8], target: Target, timeout: Duration) -> Option<Rejection> {
    let profile = profile(target)?;
    let source = source.to_vec();
    let task = move || -> Option<Rejection> {
        let Err(Stop::Rejected(error)) = pipeline::compile(&source, profile, Level::O0) else {
            return None;
        };
        let found = locate(&error, &source, target)?;
        let text = decode(&source, target).ok()?;
        let line = text.split_inclusive('\n').nth(found.line.checked_sub(1)?);
        Some(Rejection {
            kind: found.kind,
            message: found.message,
            line: i64::try_from(found.line).ok()?,
            offset: found.offset,
            end_line: i64::try_from(found.end_line).ok()?,
            end_offset: found.end_offset,
            text: line.map(str::to_owned),
            by_parser: !error.exact,
        })
    };
    workers::run(timeout, task).ok()?
}

fn code(marshalled: Marshalled, profile: &Profile) -> Result<Code, Refusal> {
    let template = Template::from_parts(marshalled.bytes, marshalled.hole, true, true);
    Ok(Code {
        magic: profile.magic,
        template: template.map_err(failed)?,
    })
}

impl Compiler for NativeCompiler {
    fn name(&self) -> &'static str {
        "native"
    }

    fn targets(&self) -> Vec<Target> {
        Target::all()
            .filter(|&target| profile(target).is_some())
            .collect()
    }

    fn build(&self, target: Target) -> Option<BuildId> {
        let profile = profile(target)?;
        let version = env!("CARGO_PKG_VERSION");
        Some(BuildId(format!(
            "native {version}.{REVISION} as CPython 3.{}.{}",
            profile.minor, profile.patch
        )))
    }

    fn compile(&self, job: &Job) -> Result<Code, Refusal> {
        let profile = profile(job.target).ok_or(Refusal::NotCovered(job.target))?;
        let source = job.source.clone();
        let (level, target, name) = (job.level, job.target, job.explain.clone());
        let task = move || {
            pipeline::compile(&source, profile, level)
                .map_err(|stop| refusal(stop, &source, target, name.as_deref()))
        };
        let outcome = match job.source.len() <= QUICK && job.timeout >= SHORT {
            true => catch_unwind(AssertUnwindSafe(task)).map_err(|_| Unanswered::Panicked),
            false => workers::run(job.timeout, task),
        };
        match outcome {
            Ok(Ok(marshalled)) => code(marshalled, profile),
            Ok(Err(refusal)) => Err(refusal),
            Err(Unanswered::TimedOut) => Err(Refusal::TimedOut(job.timeout)),
            Err(Unanswered::NoThread(why)) => Err(failed(why)),
            Err(Unanswered::Panicked) => {
                Err(Refusal::Died("the native compiler panicked".to_owned()))
            }
        }
    }

    fn describe(&self) -> Vec<(Target, String)> {
        let describe = |target| {
            let profile = profile(target)?;
            let text = format!("native, as CPython 3.{}.{}", profile.minor, profile.patch);
            Some((target, text))
        };
        Target::all().filter_map(describe).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(source: &str) -> Job {
        Job {
            source: source.as_bytes().into(),
            target: Target::from_minor(13).unwrap(),
            level: Level::O0,
            timeout: Duration::from_secs(30),
            explain: None,
        }
    }

    #[test]
    fn a_program_becomes_a_template_that_is_whole_for_any_name() {
        let code = NativeCompiler
            .compile(&job("def f(x):\n    return x + 1\n"))
            .unwrap();
        assert_eq!(code.magic, 3571);
        code.template
            .verify(Target::from_minor(13).unwrap())
            .unwrap();
    }

    #[test]
    fn a_syntax_error_is_a_property_of_the_source() {
        let refusal = NativeCompiler.compile(&job("break\n")).unwrap_err();
        assert!(refusal.is_about_source(), "{refusal}");
    }

    #[test]
    fn deep_nesting_is_an_error_or_a_result() {
        for source in [
            format!("x = {}1\n", "-".repeat(100_000)),
            format!("x = 1{}\n", "+1".repeat(100_000)),
            format!("x = {}1{}\n", "(".repeat(100_000), ")".repeat(100_000)),
            format!("x = {}0\n", "lambda: ".repeat(50_000)),
            format!("if x: pass\n{}", "elif x: pass\n".repeat(50_000)),
        ] {
            match NativeCompiler.compile(&job(&source)) {
                Ok(_) | Err(Refusal::Rejected(_) | Refusal::Unsure(_)) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
}
