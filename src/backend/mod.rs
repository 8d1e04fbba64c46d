//! Which compilers this process has, and in which order they are asked.
//!
//! Owns the composition: the native compiler for the versions that it covers, the machine's
//! interpreters for the others and where the native compiler is unsure.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::compiler::native::backend::NativeCompiler;
use crate::compiler::{Compiler, Fallback};
use crate::interpreter::{self, Interpreter};
use crate::pyc::Target;

/// Who compiles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    /// The native compiler where it covers the version and is sure; else an interpreter.
    #[default]
    Auto,
    /// The native compiler only: no interpreter is ever started.
    Native,
    /// Interpreters only: the bytes are those of the very patch release that is found.
    Interpreter,
}

impl Choice {
    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Choice::Auto => "auto",
            Choice::Native => "native",
            Choice::Interpreter => "interpreter",
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no backend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no backend: auto, native or interpreter")]
pub struct UnknownChoice(String);

impl FromStr for Choice {
    type Err = UnknownChoice;

    fn from_str(text: &str) -> Result<Choice, UnknownChoice> {
        [Choice::Auto, Choice::Native, Choice::Interpreter]
            .into_iter()
            .find(|choice| choice.as_str() == text)
            .ok_or_else(|| UnknownChoice(text.to_owned()))
    }
}

/// The compilers of a process.
pub struct Backend {
    /// All of them as one: this is what compiles.
    pub compiler: Arc<dyn Compiler>,
    /// The interpreters behind it, whose processes the mount has to know; `None` when none is
    /// ever started.
    pub interpreter: Option<Arc<Interpreter>>,
}

impl Backend {
    /// Puts the compilers together. Starts no process and no thread.
    pub fn open(choice: Choice, options: interpreter::Options) -> Backend {
        if choice == Choice::Native {
            return Backend {
                compiler: Arc::new(NativeCompiler),
                interpreter: None,
            };
        }
        let interpreter = Arc::new(Interpreter::open(options));
        let last = Arc::clone(&interpreter) as Arc<dyn Compiler>;
        let compiler = match choice {
            Choice::Interpreter => last,
            Choice::Auto | Choice::Native => {
                Arc::new(Fallback::new(Arc::new(NativeCompiler), last))
            }
        };
        Backend {
            compiler,
            interpreter: Some(interpreter),
        }
    }

    /// The newest version that an interpreter of this machine has; without any, the newest that
    /// can be compiled for.
    pub fn newest(&self) -> Option<Target> {
        self.interpreter
            .as_ref()
            .and_then(|interpreter| interpreter.targets().pop())
            .or_else(|| self.compiler.targets().pop())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_choice_is_known_by_its_name() {
        for choice in [Choice::Auto, Choice::Native, Choice::Interpreter] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        assert!("python".parse::<Choice>().is_err());
    }

    #[test]
    fn without_interpreters_the_native_compiler_says_what_can_be_compiled() {
        let backend = Backend::open(Choice::Native, interpreter::Options::default());
        assert!(backend.interpreter.is_none());
        assert_eq!(backend.newest(), NativeCompiler.targets().pop());
    }
}
