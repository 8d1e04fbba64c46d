//! How a run ends: what a program can see of it, then the rest if that could be seen as well.
//!
//! Taking an interpreter down costs three full collections and the freeing of every object, a tenth
//! of an application's start-up. What a program notices of it is what its objects do when they go:
//! `__del__`, the `finally` of a suspended generator, buffers of files, callbacks of weak
//! references. Invariant: where such an object lives the interpreter is taken down as RustPython
//! does; only where none does the process ends without.

use rustpython::vm::builtins::{PyBaseExceptionRef, PyDict, PyFunction, PyStr};
use rustpython::vm::common::rc::PyRc;
use rustpython::vm::function::FuncArgs;
use rustpython::vm::stdlib::{atexit, sys};
use rustpython::vm::{AsObject, Interpreter, PyObject, PyObjectRef, PyResult, VirtualMachine};
use std::collections::HashSet;

/// Status of a program whose standard output could not be written at the end, as in CPython.
const NOT_FLUSHED: u32 = 120;

/// Modules whose objects do more when they are freed than the kernel does when a process ends, with
/// nothing in their type that says so: a database is closed, a mapped or shared memory given back,
/// foreign code told.
const CLOSERS: [&str; 5] = [
    "_sqlite3",
    "mmap",
    "_posixshmem",
    "_ctypes",
    "_interpreters",
];

/// Ends the run whose program ended so; the exit status.
pub(super) fn end(interpreter: Interpreter, ended: PyResult<()>) -> u32 {
    let (status, all_seen) = interpreter.enter(|vm| {
        let status = last_words(vm, ended.err());
        (status, nothing_to_see(vm))
    });
    if all_seen {
        let flushed = interpreter.enter(flush);
        // Not dropped: that would free what the process gives back at once.
        std::mem::forget(interpreter);
        return match status {
            0 if !flushed => NOT_FLUSHED,
            status => status,
        };
    }
    interpreter.enter(|vm| {
        // What the start froze holds the main program's variables.
        vm.state.gc.unfreeze();
        without_threading(vm);
    });
    let rest = interpreter.finalize(None);
    if status == 0 { rest } else { status }
}

/// What CPython does first when it ends: the exception is told, threads are waited for, functions
/// registered to run at exit are called. The exit status.
fn last_words(vm: &VirtualMachine, exception: Option<PyBaseExceptionRef>) -> u32 {
    let flushed = flush(vm);
    let status = exception.map_or(0, |exception| vm.handle_exit_exception(exception));
    if let Some(threading) = imported(vm, "threading")
        && let Ok(shutdown) = threading.get_attr("_shutdown", vm)
        && let Err(error) = shutdown.call((), vm)
    {
        let message = "Exception ignored in threading shutdown".to_owned();
        vm.run_unraisable(error, Some(message), threading);
    }
    atexit::_run_exitfuncs(vm);
    match status {
        0 if !flushed => NOT_FLUSHED,
        status => status,
    }
}

/// RustPython waits for threads again, and imports `threading` for it: 5 ms for a program that has
/// none. The entry that prevents it is gone before anything else runs.
fn without_threading(vm: &VirtualMachine) {
    if imported(vm, "threading").is_some() {
        return;
    }
    let Ok(modules) = vm.sys_module.get_attr("modules", vm) else {
        return;
    };
    if modules.set_item("threading", vm.ctx.none(), vm).is_ok() {
        let pop = vm.new_function("pop", move |vm: &VirtualMachine| {
            // It may be gone already.
            let _ = modules.del_item("threading", vm);
        });
        let pop = PyRc::new((pop.into(), FuncArgs::default()));
        vm.state.atexit_funcs.lock().insert(0, pop);
    }
}

/// Writes what standard output and standard error hold; whether the former took it.
fn flush(vm: &VirtualMachine) -> bool {
    let open = |file: &PyObjectRef| {
        let closed = file.get_attr("closed", vm);
        !vm.is_none(file) && !closed.is_ok_and(|closed| closed.try_to_bool(vm).unwrap_or(false))
    };
    let mut flushed = true;
    if let Ok(stdout) = sys::get_stdout(vm)
        && open(&stdout)
        && let Err(error) = vm.call_method(&stdout, "flush", ())
    {
        vm.run_unraisable(error, None, stdout);
        flushed = false;
    }
    if let Ok(stderr) = sys::get_stderr(vm)
        && open(&stderr)
    {
        // There is nowhere to tell of it.
        let _ = vm.call_method(&stderr, "flush", ());
    }
    flushed
}

/// Whether nothing that still lives would do anything when it is freed.
fn nothing_to_see(vm: &VirtualMachine) -> bool {
    let state = &vm.state;
    let gc = &state.gc;
    let watched = state.thread_count.load() > 0
        || !gc.get_debug().is_empty()
        || !gc.py_callbacks.borrow_vec().is_empty()
        || !state.config.settings.warnoptions.is_empty()
        || state.config.settings.verbose > 0
        || CLOSERS.iter().any(|name| imported(vm, name).is_some());
    if watched {
        return false;
    }
    let flushed = standard_files(vm);
    let quiet = |object: &PyObjectRef| {
        (object.class().slots.del.load().is_none() || flushed.contains(&object.get_id()))
            && !has_callback(vm, object)
    };
    gc.get_objects(None).iter().all(quiet)
}

fn imported(vm: &VirtualMachine, name: &str) -> Option<PyObjectRef> {
    let modules = vm.sys_module.get_attr("modules", vm).ok()?;
    let module = modules.downcast_ref::<PyDict>()?.get_item_opt(name, vm);
    module.ok()?.filter(|module| !vm.is_none(module))
}

/// The files of the three standard streams, with what they are made of: `flush` has written them.
fn standard_files(vm: &VirtualMachine) -> HashSet<usize> {
    let mut files = HashSet::new();
    for stream in ["__stdin__", "__stdout__", "__stderr__"] {
        let mut file = vm.sys_module.get_attr(stream, vm).ok();
        for part in ["buffer", "raw"] {
            if let Some(whole) = file {
                files.insert(whole.get_id());
                file = whole.get_attr(part, vm).ok();
            }
        }
        files.extend(file.map(|raw| raw.get_id()));
    }
    files
}

/// Whether a weak reference to the object calls a function of the program when the object goes.
/// Functions of the bundled library keep its own tables.
fn has_callback(vm: &VirtualMachine, object: &PyObject) -> bool {
    let references = object.get_weak_references().unwrap_or_default();
    references.iter().any(|reference| {
        let callback = reference.as_object().get_attr("__callback__", vm);
        callback.is_ok_and(|callback| !vm.is_none(&callback) && !is_bundled(vm, &callback))
    })
}

/// Whether this is a function of a module of the bundled library.
fn is_bundled(vm: &VirtualMachine, callback: &PyObject) -> bool {
    let module = callback
        .downcast_ref::<PyFunction>()
        .and_then(|function| function.as_object().get_attr("__module__", vm).ok());
    let module = module
        .as_ref()
        .and_then(|module| module.downcast_ref::<PyStr>());
    module.is_some_and(|module| {
        module
            .to_str()
            .is_some_and(|name| vm.state.frozen.contains_key(name))
    })
}
