//! Parsing: the decoded text to ruff's syntax tree.

use crate::compiler::native::error::{Pass, Stop, SyntaxError};
use crate::pyc::Target;
use ruff_python_ast::{self as ruff, PythonVersion};
use ruff_python_parser::{Mode, ParseOptions, Parsed, parse_unchecked};

/// Parses a module; any error of the parser's ends the compile.
pub fn parse(source: &str, target: Target) -> Pass<Parsed<ruff::ModModule>> {
    let version = PythonVersion {
        major: 3,
        minor: target.minor(),
    };
    let options = ParseOptions::from(Mode::Module).with_target_version(version);
    let parsed = parse_unchecked(source, options);
    let message = match (parsed.errors(), parsed.unsupported_syntax_errors()) {
        ([], []) => None,
        ([first, ..], _) => Some(first.error.to_string()),
        ([], [first, ..]) => Some(first.to_string()),
    };
    if let Some(message) = message {
        return Err(Stop::Rejected(Box::new(SyntaxError {
            kind: "SyntaxError",
            message,
            loc: None,
            exact: false,
        })));
    }
    parsed
        .try_into_module()
        .ok_or_else(|| Stop::unsure("the source is no module"))
}
