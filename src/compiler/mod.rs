//! The compiler trait: source bytes in, a code template or a refusal out.
//!
//! Contract: for each source either the bytes that `python3.X -m py_compile` of the reference
//! interpreter would marshal in a fresh process, or a refusal. Never a third thing.
//! Nothing of the source is executed.

mod fallback;
pub mod native;

use std::sync::Arc;
use std::time::Duration;

pub use fallback::Fallback;

use crate::pyc::{Level, Target, Template};

/// Sources of so many bytes take the native compiler a few milliseconds, whatever is in them: the
/// waking of other threads is a good part of what most of them take, so who asks compiles them.
pub const QUICK: usize = 64 << 10;

/// One source to compile for one target and level.
#[derive(Clone, Debug)]
pub struct Job {
    /// The whole file as it is on disk: undecoded, with its BOM, cookie and newlines.
    pub source: Arc<[u8]>,
    /// The interpreter version the code is for.
    pub target: Target,
    /// The optimization level the code is for.
    pub level: Level,
    /// How long the compile may take; past it the answer is [`Refusal::TimedOut`].
    pub timeout: Duration,
    /// `Some(name)` asks for the full text of a syntax error as compileall prints it, with this
    /// file name in it. `None` saves that work where nobody reads it.
    pub explain: Option<Vec<u8>>,
}

/// The result of a compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// The first two bytes of the pyc, little endian, as the compiling interpreter has them.
    pub magic: u16,
    /// The marshalled code object without its file name.
    pub template: Template,
}

/// What made a backend's bytes: part of every store key, so that another compiler or another
/// patch release under one magic number never answers for this one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BuildId(pub String);

/// Why there is no code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The interpreter rejects the source (syntax, encoding, nul bytes, nesting). The text is what
    /// `py_compile` puts in its `PyCompileError` when the job asked to explain, else one line.
    #[error("{0}")]
    Rejected(String),
    /// This compiler does not know what CPython would make of the source; another one may.
    #[error("unsure: {0}")]
    Unsure(String),
    /// No backend makes code for this target.
    #[error("no compiler for CPython {0}")]
    NotCovered(Target),
    /// The compile did not end within the job's timeout.
    #[error("compiling took longer than {0:?}")]
    TimedOut(Duration),
    /// The compiling process died or ran out of memory.
    #[error("the compiler died: {0}")]
    Died(String),
    /// The backend answered something that is no code object, or could not be asked at all.
    #[error("the compiler failed: {0}")]
    Failed(String),
}

impl Refusal {
    /// Whether the same bytes would be refused again by the same build: a property of the source,
    /// not of the moment. Only such refusals may be remembered.
    pub fn is_about_source(&self) -> bool {
        match self {
            Refusal::Rejected(_) => true,
            Refusal::Unsure(_)
            | Refusal::NotCovered(_)
            | Refusal::TimedOut(_)
            | Refusal::Died(_)
            | Refusal::Failed(_) => false,
        }
    }
}

/// A compiler backend. Calls block until there is an answer and may come from any thread.
pub trait Compiler: Send + Sync {
    /// A short name for `status`, for example `interpreter`.
    fn name(&self) -> &'static str;

    /// The targets that this backend covers now, oldest first.
    fn targets(&self) -> Vec<Target>;

    /// The identity of what would compile for `target`; `None` when it is not covered.
    /// Cheap once it has been answered; the first call for a target may start a process.
    fn build(&self, target: Target) -> Option<BuildId>;

    /// Compiles one source. Returns within `job.timeout` plus a small constant.
    fn compile(&self, job: &Job) -> Result<Code, Refusal>;

    /// One line for `status` about the state behind each target (path, version, processes).
    fn describe(&self) -> Vec<(Target, String)>;
}
