//! `pycfs run`: the bundled VM's command line, and the names under which the program is Python.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

/// Run Python 3.14 code with the bundled VM: `pycfs run SCRIPT`, `-m MODULE`, `-c CODE`, or a
/// session. `pycfs run -h` lists the options.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    /// What `python3` takes.
    #[arg(
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "ARG"
    )]
    arguments: Vec<OsString>,
}

/// Runs it.
pub fn run(args: Args) -> ExitCode {
    run_with(OsStr::new("pycfs"), args.arguments)
}

/// The arguments for Python, if the command line is one for Python without `run`: the program was
/// called `python…`, or its first word is no command of ours. `sys.executable` is run like that.
pub fn python_arguments(
    arguments: &[OsString],
    is_command: impl Fn(&str) -> bool,
) -> Option<Vec<OsString>> {
    let (program, rest) = arguments.split_first()?;
    let name = std::path::Path::new(program).file_name()?.to_str()?;
    if name.starts_with("python") {
        return Some(rest.to_vec());
    }
    let first = rest.first()?.to_str()?;
    if first == "run" {
        // Not through clap: it has no part in what Python's options look like.
        return rest.get(1..).map(<[OsString]>::to_vec);
    }
    let ours = is_command(first) || matches!(first, "-h" | "--help" | "-V" | "--version" | "help");
    (!ours && cfg!(feature = "vm")).then(|| rest.to_vec())
}

/// Runs Python under the program's name `program`.
#[cfg(feature = "vm")]
pub fn run_with(program: &OsStr, arguments: Vec<OsString>) -> ExitCode {
    use super::python_choice::on_path;
    use crate::store;
    use crate::vm::{self, Surroundings};
    use std::path::Path;

    let named = Path::new(program);
    let name = named.file_name().unwrap_or(program);
    let name = name.to_string_lossy().into_owned();
    let own = std::env::current_exe().unwrap_or_else(|_| named.to_owned());
    // A link called python… makes the same program Python; scripts start it by that name.
    let executable = match name.starts_with("python") {
        true if named.components().count() > 1 => std::path::absolute(named).unwrap_or(own),
        true => on_path(&name).unwrap_or(own),
        false => own,
    };
    let surroundings = Surroundings {
        name,
        executable,
        store: store::default_dir(),
        is_mirror: Box::new(is_mirror),
    };
    vm::run(arguments, surroundings)
}

/// Whether the filesystem of this device number is a pycfs mount.
#[cfg(feature = "vm")]
fn is_mirror(device: u64) -> bool {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let device = format!("{major}:{minor}");
    crate::mount::ours().is_ok_and(|mounts| mounts.iter().any(|mount| mount.device == device))
}

/// Says that this build has no VM.
#[cfg(not(feature = "vm"))]
pub fn run_with(_program: &OsStr, _arguments: Vec<OsString>) -> ExitCode {
    const WRONG_USE: u8 = 2;
    crate::complaint::complain(
        "pycfs: built without the VM; 'cargo vm-install' in its source installs it with it",
    );
    ExitCode::from(WRONG_USE)
}
