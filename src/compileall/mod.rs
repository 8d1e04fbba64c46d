//! `pycfs compile`: what `python3.X -m compileall` does, through a compiler backend and the store.
//!
//! Owns the order of work and every decision of `Lib/compileall.py` and `Lib/py_compile.py` (as of
//! CPython 3.13, for every target): which files, which names, what is up to date, what is printed.
//! Invariant: the tree, the text and the verdict do not depend on the number of threads; they are
//! those of `compileall -j1`.
//!
//! Wanted differences: SyntaxWarnings are not shown; a pyc is never linked onto itself
//! (`--hardlink-dupes` with `-b`); the header's mtime and size are those of the bytes that were
//! compiled, not of the file some time later.

mod exclude;
mod file;
mod file_list;
mod options;
mod paths;
mod pipeline;
mod pytext;
mod stored;
mod walk;
mod write;

pub use exclude::{BadPattern, Exclude};
pub use file::Outcome;
pub use file_list::parse_file_list;
pub use options::Options;
pub use paths::{Layout, Renaming};
pub use pipeline::{Report, compile_paths, count_sources};
pub use stored::StoredCompiler;
