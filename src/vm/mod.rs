//! The bundled VM: RustPython as one more reader of the caches (`pycfs run`).
//!
//! Owns everything that names RustPython. It calls itself CPython 3.14, so what it runs is what
//! CPython 3.14 would read: the entries of a mounted tree, and code of the store elsewhere. What
//! reaches it is checked first, since bad bytecode can end RustPython where CPython raises.
//! Invariants: nothing is written but to the store; the host's own standard library is never read;
//! whatever is wrong with a cache, the VM compiles for itself.
//!
//! `arguments` reads the command line, `place` says where the VM thinks it is, `program` runs what
//! was asked for, `ending` ends it. `modules` makes the imports that importlib would make the same
//! way, `import` stands between the VM's loaders and `code`, which finds or makes the code of a
//! source; `bytecode` checks it, `unmarshal` makes code objects of it; `rejection` has CPython's
//! words where there is none.

mod arguments;
mod bytecode;
mod code;
mod ending;
mod import;
mod modules;
mod place;
mod program;
mod rejection;
mod tls;
mod unmarshal;

use rustpython::vm::{InterpreterBuilder, Settings};
use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use crate::complaint::complain;
use crate::pyc::{Level, Target};
use crate::sys::{blocks, memory};
use arguments::{Parsed, Stop};
use code::Sources;

/// The version whose bytecode the VM runs.
pub fn target() -> Target {
    // 14 is within the covered range, so the other value is never taken.
    Target::from_minor(14).unwrap_or(Target::NEWEST)
}

/// What the VM has to be told of the machine.
pub struct Surroundings {
    /// The name it was called by, for its messages.
    pub name: String,
    /// The program that runs Python when a script starts `sys.executable`.
    pub executable: PathBuf,
    /// The store's folder if the command line names none; `None` for no store.
    pub store: Option<PathBuf>,
    /// Whether the filesystem of this device number is a pycfs mount, which has an entry for each
    /// source.
    pub is_mirror: Box<dyn Fn(u64) -> bool + Send + Sync>,
}

/// Runs Python with a command line as `python3` has it (without the program's name).
pub fn run(arguments: Vec<OsString>, surroundings: Surroundings) -> ExitCode {
    let parsed = match arguments::parse(arguments) {
        Ok(parsed) => parsed,
        Err(Stop::Told(text)) => {
            // Nobody who still reads it, as with `| head`, is no failure.
            let _ = std::io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(Stop::Wrong(text)) => {
            complain(format_args!("{}: {text}", surroundings.name));
            return ExitCode::from(2);
        }
    };
    let Parsed {
        settings,
        program,
        sites,
        store,
        counters,
        own_compiler,
        import_time,
    } = parsed;
    let dir = store
        .or(surroundings.store)
        .filter(|dir| !dir.as_os_str().is_empty());
    let level = Level::from_number(settings.optimize.min(2)).unwrap_or(Level::O2);
    let sources = Sources::open(dir, surroundings.is_mirror, level, own_compiler);
    let sources = Arc::new(sources);
    let executable = surroundings.executable.to_string_lossy().into_owned();
    memory::heap_in_large_pages();
    blocks::start();
    let interpreter = builder(settings)
        .init_hook(move |vm| place::set(vm, &executable))
        .init_hook(|_| tls::install())
        .interpreter();
    let ours = Arc::clone(&sources);
    let name = surroundings.name;
    let ended = interpreter.enter(move |vm| {
        let import = import::install(vm, &ours)?;
        if import_time {
            import.tell_times(vm)?;
        }
        modules::install(vm, &import)?;
        rejection::install(vm)?;
        program::run(vm, &program, &sites, &import, &name)
    });
    let code = ending::end(interpreter, ended);
    if counters {
        complain(format_args!("{}", sources.counters()));
    }
    rustpython::vm::host_env::os::exit_code(code)
}

/// An interpreter with the bundled standard library, not yet told where it is.
fn builder(settings: Settings) -> InterpreterBuilder {
    let builder = InterpreterBuilder::new().settings(settings);
    let modules = rustpython_stdlib::stdlib_module_defs(&builder.ctx);
    builder
        .add_native_modules(&modules)
        .add_frozen_modules(rustpython::pylib::FROZEN_STDLIB)
}
