//! Which interpreter a command line means that names none, and what it would compile by default.
//!
//! The user's own `python3` is run here, as the user would run it; nothing of a source is.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::pyc::Target;

/// An interpreter and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The version.
    pub target: Target,
    /// The program; not a script that chooses one.
    pub path: PathBuf,
}

/// The first executable file of this name on PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|dir| dir.join(name))
        .find(|path| {
            fs::metadata(path)
                .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        })
}

/// The `python3` of PATH, if its version is covered.
pub fn default_program() -> Option<Program> {
    identify(&on_path("python3")?)
}

/// The `python3.X` of PATH for a target.
pub fn program_for(target: Target) -> Option<Program> {
    identify(&on_path(&format!("python{target}"))?).filter(|program| program.target == target)
}

/// The version of a program: from the name of what it links to, else it is run to tell.
pub fn identify(path: &Path) -> Option<Program> {
    let path = std::path::absolute(path).ok()?;
    let real = path.canonicalize().ok()?;
    let named = real
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.strip_prefix("python"))
        .and_then(|version| version.parse().ok());
    match named {
        Some(target) if !is_script(&real) => Some(Program { target, path }),
        Some(_) | None => ask(&path),
    }
}

fn is_script(path: &Path) -> bool {
    let mut start = [0; 2];
    File::open(path)
        .and_then(|mut file| file.read_exact(&mut start))
        .is_ok_and(|()| &start == b"#!")
}

/// Runs a program for its version and its real path.
fn ask(path: &Path) -> Option<Program> {
    const SCRIPT: &str = "import sys, os; \
        sys.stdout.buffer.write(b'%s %d.%d\\n%s' % (sys.implementation.name.encode(), \
        sys.version_info[0], sys.version_info[1], os.fsencode(sys.executable)))";
    let output = Command::new(path)
        .args(["-I", "-S", "-c", SCRIPT])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let end = output.stdout.iter().position(|byte| *byte == b'\n')?;
    let (version, executable) = output.stdout.split_at_checked(end)?;
    let version = std::str::from_utf8(version).ok()?;
    Some(Program {
        target: version.strip_prefix("cpython ")?.parse().ok()?,
        path: OsStr::from_bytes(executable.get(1..)?).into(),
    })
}

/// The interpreter's `sys.path` as `python -m` would have it here, with its usual environment.
pub fn sys_path(program: &Program) -> Option<Vec<Vec<u8>>> {
    // Run with -c, the first entry is empty where -m puts the current directory.
    const SCRIPT: &str = "import sys, os; \
        dirs = [os.getcwd() if n == 0 and not d else d for n, d in enumerate(sys.path)]; \
        sys.stdout.buffer.write(b'\\0'.join(map(os.fsencode, dirs)))";
    let output = Command::new(&program.path)
        .args(["-c", SCRIPT])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then(|| {
        let dirs = output.stdout.split(|byte| *byte == 0);
        dirs.map(<[u8]>::to_vec).collect()
    })
}
