//! Runs what the command line names: a command, a module, a file, standard input.
//!
//! What `sys.path[0]`, `__file__`, messages and exit codes are follows CPython's `Modules/main.c`
//! as its users see it.

use rustpython::vm::builtins::{PyBaseExceptionRef, PyCode, PyDictRef, PyListRef};
use rustpython::vm::scope::Scope;
use rustpython::vm::{AsObject, PyObjectRef, PyRef, PyResult, VirtualMachine};
use std::fs::{self, File};
use std::io::{IsTerminal, Read, stdin};
use std::path::Path;

use super::arguments::Program;
use super::bytecode;
use super::import::{self, Import};
use super::target;
use crate::complaint::complain;
use crate::pyc::{Header, magic_bytes, magic_of};

/// Runs the program; its exception if it ends with one. `name` stands before our own messages.
pub(super) fn run(
    vm: &VirtualMachine,
    program: &Program,
    sites: &[String],
    import: &Import,
    name: &str,
) -> PyResult<()> {
    let scope = vm.new_scope_with_main()?;
    let settings = &vm.state.config.settings;
    prepare(vm, sites)?;
    import.settle(vm)?;
    let interactive =
        matches!(program, Program::Stdin) && (stdin().is_terminal() || settings.inspect);
    if !settings.safe_path
        && let Some(first) = first_path(program)
    {
        vm.insert_sys_path(vm.ctx.new_str(first).into())?;
    }
    let ended = match program {
        Program::Command(text) => command(vm, scope.clone(), text),
        Program::Module(module) => vm.run_module(module),
        Program::Script(path) => script(vm, scope.clone(), path, import, name),
        Program::Stdin if interactive => {
            if !settings.quiet {
                banner();
            }
            Ok(())
        }
        Program::Stdin => standard_input(vm, scope.clone()),
    };
    if interactive {
        return rustpython::run_shell(vm, scope);
    }
    if !settings.inspect {
        return ended;
    }
    if let Err(exception) = ended {
        vm.print_exception(&exception);
    }
    rustpython::run_shell(vm, scope)
}

fn banner() {
    complain(format_args!(
        "Python {} (RustPython, pycfs {})\nType \"help\", \"copyright\", \"credits\" or \"license\" \
         for more information.",
        rustpython::vm::version::RUSTPYTHON_VERSION,
        env!("CARGO_PKG_VERSION")
    ));
}

/// What CPython does before it runs anything: warnings, site, faulthandler.
fn prepare(vm: &VirtualMachine, sites: &[String]) -> PyResult<()> {
    let settings = &vm.state.config.settings;
    if !settings.warnoptions.is_empty() {
        vm.import("warnings", 0)?;
    }
    if settings.import_site || !sites.is_empty() {
        let site = vm.import("site", 0)?;
        for dir in sites {
            vm.call_method(&site, "addsitedir", (dir.clone(),))?;
        }
    }
    if settings.faulthandler {
        let faulthandler = vm.import("faulthandler", 0)?;
        vm.call_method(&faulthandler, "enable", ())?;
    }
    Ok(())
}

/// `sys.path[0]`; a script sets its own.
fn first_path(program: &Program) -> Option<String> {
    match program {
        Program::Command(_) | Program::Stdin => Some(String::new()),
        Program::Module(_) => {
            let dir = std::env::current_dir().ok()?;
            Some(dir.to_string_lossy().into_owned())
        }
        Program::Script(_) => None,
    }
}

fn command(vm: &VirtualMachine, scope: Scope, text: &str) -> PyResult<()> {
    let code = import::compile_text(vm, text, "<string>")?;
    // For the lines in tracebacks.
    let _ = vm.register_code_in_linecache(&code, text);
    vm.run_code_obj(code, scope).map(drop)
}

fn standard_input(vm: &VirtualMachine, scope: Scope) -> PyResult<()> {
    let mut source = Vec::new();
    if let Err(error) = stdin().lock().read_to_end(&mut source) {
        return Err(vm.new_os_error(error.to_string()));
    }
    let code = import::compile(vm, &source, "<stdin>")?;
    if let Ok(text) = std::str::from_utf8(&source) {
        // For the lines in tracebacks.
        let _ = vm.register_code_in_linecache(&code, text);
    }
    vm.run_code_obj(code, scope).map(drop)
}

fn script(
    vm: &VirtualMachine,
    scope: Scope,
    given: &str,
    import: &Import,
    name: &str,
) -> PyResult<()> {
    let path = absolute(given);
    let is_dir = Path::new(&path).is_dir();
    if is_dir || has_importer(vm, &path)? {
        return container(vm, &path, is_dir, name);
    }
    let bytes = match contents(&path) {
        Ok(bytes) => bytes,
        Err(error) => return cannot_open(vm, &path, &error, name),
    };
    if !vm.state.config.settings.safe_path {
        vm.insert_sys_path(vm.ctx.new_str(directory(given)).into())?;
    }
    let globals = scope.globals.clone();
    let is_pyc = path.ends_with(".pyc") || bytes.starts_with(&magic_bytes(magic_of(target())));
    let loader = if is_pyc {
        "SourcelessFileLoader"
    } else {
        "SourceFileLoader"
    };
    set_main(vm, &globals, &path, loader)?;
    let code = if is_pyc {
        pyc(vm, &bytes)?
    } else if let Some(at) = memchr::memchr(0, &bytes) {
        return Err(null_byte(vm, &path, &bytes, at)?);
    } else {
        match import.code_of(vm, &path, Some(&bytes)) {
            Some(code) => code,
            None => import::compile(vm, &bytes, &path)?,
        }
    };
    vm.run_code_obj(code, scope).map(drop)
}

/// CPython's error for a null byte in its main program, at this offset.
fn null_byte(
    vm: &VirtualMachine,
    path: &str,
    source: &[u8],
    at: usize,
) -> PyResult<PyBaseExceptionRef> {
    let before = source.get(..at).unwrap_or_default();
    let line = before.rsplit(|&byte| byte == b'\n').next();
    let number = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
    let error = vm.new_exception_msg(
        vm.ctx.exceptions.syntax_error.to_owned(),
        "source code cannot contain null bytes".into(),
    );
    let text = format!("{}\n", String::from_utf8_lossy(line.unwrap_or_default()));
    let object = error.as_object();
    object.set_attr("filename", vm.ctx.new_str(path), vm)?;
    object.set_attr("lineno", vm.ctx.new_int(number), vm)?;
    object.set_attr("text", vm.ctx.new_str(text), vm)?;
    Ok(error)
}

/// The whole file. A pipe is read too: `/dev/fd/3` may be a script.
fn contents(path: &str) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The working directory's path with this one after it; not normalized, as CPython leaves it.
fn absolute(path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    match std::env::current_dir() {
        Ok(dir) => format!("{}/{path}", dir.to_string_lossy().trim_end_matches('/')),
        Err(_) => path.to_owned(),
    }
}

/// The directory of the script, its links resolved.
fn directory(path: &str) -> String {
    let real = fs::canonicalize(path);
    let real = real.as_deref().unwrap_or(Path::new(path));
    real.parent()
        .map(|dir| dir.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Whether one of `sys.path_hooks` takes the path: a zip file.
fn has_importer(vm: &VirtualMachine, path: &str) -> PyResult<bool> {
    let mut start = [0; 2];
    // A zip file may have a shebang line or a program before it; both end in a directory "PK".
    let may_be = File::open(path).is_ok_and(|mut file| {
        file.metadata().is_ok_and(|meta| meta.is_file()) && file.read_exact(&mut start).is_ok()
    });
    if !may_be || path.ends_with(".py") || path.ends_with(".pyc") {
        return Ok(false);
    }
    let hooks: PyListRef = vm
        .sys_module
        .get_attr("path_hooks", vm)?
        .downcast()
        .map_err(|_| vm.new_type_error("sys.path_hooks is no list"))?;
    let hooks: Vec<PyObjectRef> = hooks.borrow_vec().to_vec();
    for hook in hooks {
        match hook.call((path.to_owned(),), vm) {
            Ok(_) => return Ok(true),
            Err(error) if error.fast_isinstance(vm.ctx.exceptions.import_error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Runs the `__main__` of a directory or zip file.
fn container(vm: &VirtualMachine, path: &str, is_dir: bool, name: &str) -> PyResult<()> {
    let main = |suffix: &str| Path::new(path).join(format!("__main__.{suffix}")).exists();
    if is_dir && !main("py") && !main("pyc") {
        complain(format_args!(
            "{name}: can't find '__main__' module in {}",
            quoted(vm, path)?
        ));
        return exit(vm, 1);
    }
    vm.insert_sys_path(vm.ctx.new_str(path).into())?;
    let runpy = vm.import("runpy", 0)?;
    let run = runpy.get_attr("_run_module_as_main", vm)?;
    run.call(("__main__", false), vm).map(drop)
}

fn cannot_open(
    vm: &VirtualMachine,
    path: &str,
    error: &std::io::Error,
    name: &str,
) -> PyResult<()> {
    let number = error.raw_os_error().unwrap_or(libc::EIO);
    let errno = rustix::io::Errno::from_raw_os_error(number);
    let text = std::io::Error::from(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let path = quoted(vm, path)?;
    complain(format_args!(
        "{name}: can't open file {path}: [Errno {number}] {text}"
    ));
    exit(vm, 2)
}

fn quoted(vm: &VirtualMachine, path: &str) -> PyResult<String> {
    let repr = vm.ctx.new_str(path).as_object().repr(vm)?;
    Ok(repr.to_string())
}

fn exit(vm: &VirtualMachine, code: i32) -> PyResult<()> {
    Err(vm.new_system_exit(vec![vm.ctx.new_int(code).into()].into()))
}

/// Sets `__file__`, `__cached__` and `__loader__` of `__main__`.
fn set_main(vm: &VirtualMachine, globals: &PyDictRef, path: &str, loader: &str) -> PyResult<()> {
    globals.set_item("__file__", vm.ctx.new_str(path).into(), vm)?;
    globals.set_item("__cached__", vm.ctx.none(), vm)?;
    let external = vm.import("_frozen_importlib_external", 0)?;
    let loader = external.get_attr(vm.ctx.intern_str(loader), vm)?;
    let loader = loader.call(("__main__", path.to_owned()), vm)?;
    globals.set_item("__loader__", loader, vm)
}

/// The code of a pyc that is the main program, with CPython's errors.
fn pyc(vm: &VirtualMachine, bytes: &[u8]) -> PyResult<PyRef<PyCode>> {
    if !bytes.starts_with(&magic_bytes(magic_of(target()))) {
        return Err(vm.new_runtime_error("Bad magic number in .pyc file"));
    }
    let marshal = bytes.get(Header::size(target())..).unwrap_or_default();
    if let Err(unfit) = bytecode::check(marshal) {
        log::info!("the pyc is not run: {unfit}");
        return Err(vm.new_runtime_error("Bad code object in .pyc file"));
    }
    let loads = vm.import("marshal", 0)?;
    let code = vm.call_method(&loads, "loads", (vm.ctx.new_bytes(marshal.to_vec()),))?;
    code.downcast()
        .map_err(|_| vm.new_runtime_error("Bad code object in .pyc file"))
}
