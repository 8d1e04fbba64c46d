//! The command line: one file a subcommand, dispatched here and by the name the program has.
//!
//! Exit codes: 0 done; `mount`, `umount` and the mount helpers use those of mount(8) (1 wrong use,
//! 2 system error, 4 bug, 32 mount failure); the others 1 for a failure and 2 for wrong use.

mod compile;
mod gc;
mod mount;
mod mount_helper;
mod python_choice;
mod run;
mod status;
mod store_owner;
mod sync;
mod umount;
mod verify;
mod warm;

use crate::complaint::complain;
use clap::{CommandFactory, Parser, Subcommand};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Fresh bytecode for every reader of a Python tree, without writing into it.
#[derive(Debug, Parser)]
#[command(name = "pycfs", version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Mirror a source tree at a mount point, with a fresh __pycache__ in every directory.
    Mount(mount::Args),
    /// Unmount and wait until the daemon has ended.
    Umount(umount::Args),
    /// Show what is mounted and how it is doing.
    Status(status::Args),
    /// Wait until every earlier change of the source is visible through a mount.
    Sync(sync::Args),
    /// Have the entries of a mounted tree compiled before its readers ask.
    Warm(warm::Args),
    /// Compile files as `python -m compileall` does.
    Compile(compile::Args),
    /// Run Python 3.14 code with the bundled VM.
    Run(run::Args),
    /// Evict the store down to its limit and remove what belongs to nothing.
    Gc(gc::Args),
    /// Check every entry of the store and drop bad ones.
    Verify(verify::Args),
}

/// Runs the program with these arguments, the program's own name first.
pub fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.collect();
    if arguments
        .first()
        .is_some_and(|name| is_mount_helper(Path::new(name)))
    {
        return ExitCode::from(mount_helper::run(arguments.get(1..).unwrap_or_default()));
    }
    if let Some(python) = run::python_arguments(&arguments, is_command) {
        let program = arguments.first().cloned().unwrap_or_default();
        return run::run_with(&program, python);
    }
    let parsed = match Arguments::try_parse_from(&arguments) {
        Ok(parsed) => parsed,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(usage_code(&arguments, error.exit_code()));
        }
    };
    match parsed.command {
        Command::Mount(args) => ExitCode::from(mount::run(args)),
        Command::Umount(args) => ExitCode::from(umount::run(&args)),
        Command::Status(args) => status::run(&args),
        Command::Warm(args) => warm::run(&args),
        Command::Sync(args) => sync::run(&args),
        Command::Compile(args) => compile::run(args),
        Command::Run(args) => run::run(args),
        Command::Gc(args) => gc::run(&args),
        Command::Verify(args) => verify::run(&args),
    }
}

/// Whether a word is one of our commands.
fn is_command(word: &str) -> bool {
    Arguments::command()
        .get_subcommands()
        .any(|command| command.get_name() == word)
}

/// The exit code for arguments that cannot be parsed, or that ask for help (`code` is 0).
fn usage_code(arguments: &[OsString], code: i32) -> u8 {
    const WRONG_USE: u8 = 2;
    const WRONG_USE_OF_MOUNT: u8 = 1;
    let command = arguments.get(1).and_then(|word| word.to_str());
    match (code, command) {
        (0, _) => 0,
        (_, Some("mount" | "umount")) => WRONG_USE_OF_MOUNT,
        (_, _) => WRONG_USE,
    }
}

/// Whether the program was called by mount(8): as `mount.pycfs` or `mount.fuse.pycfs`.
fn is_mount_helper(program: &Path) -> bool {
    matches!(
        program.file_name().and_then(|name| name.to_str()),
        Some("mount.pycfs" | "mount.fuse.pycfs")
    )
}

/// Prints text to the standard output. That nobody reads any more, as with `| head`, is no failure.
fn show(text: impl std::fmt::Display) -> ExitCode {
    let mut out = io::stdout().lock();
    match write!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(error),
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}

/// Prints an error and gives the exit code for a failure.
fn fail(error: impl std::fmt::Display) -> ExitCode {
    complain(format_args!("pycfs: {error}"));
    ExitCode::FAILURE
}
