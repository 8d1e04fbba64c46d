//! Between the VM's own import system and [`Sources`].
//!
//! `SourceFileLoader.get_code` asks us first; what we have no code for it finds for itself, so
//! that errors are the VM's own. Loaders that read or compile in another way are left alone.

use rustpython::vm::builtins::{PyCode, PyStrRef};
use rustpython::vm::compiler::Mode;
use rustpython::vm::function::ArgBytesLike;
use rustpython::vm::{AsObject, PyObjectRef, PyRef, PyResult, VirtualMachine};
use std::path::Path;
use std::sync::Arc;

use super::bytecode;
use super::code::{self, Found, Sources, Stored};

/// The frames of the hook are left out of tracebacks as those of importlib are.
const FILE_NAME: &str = "<frozen importlib._bootstrap_external>";

/// Puts the hook into the import system.
pub(super) fn install(vm: &VirtualMachine, sources: &Arc<Sources>) -> PyResult<()> {
    let ours = Arc::clone(sources);
    let get_code = vm.new_function(
        "cached_code",
        move |path: PyStrRef, vm: &VirtualMachine| -> PyResult {
            Ok(match path.to_str() {
                Some(path) => match code_of(vm, &ours, path, None)? {
                    Some(code) => code.into(),
                    None => vm.ctx.none(),
                },
                None => vm.ctx.none(),
            })
        },
    );
    let check = vm.new_function(
        "check_code",
        |marshal: ArgBytesLike, vm: &VirtualMachine| -> PyResult<()> {
            bytecode::check(&marshal.borrow_buf())
                .map_err(|unfit| vm.new_value_error(format!("bad marshal data ({unfit})")))
        },
    );
    let scope = vm.new_scope_with_builtins();
    let hook = vm
        .compile(include_str!("import.py"), Mode::Exec, FILE_NAME)
        .map_err(|error| error.into_pyexception(vm, None))?;
    vm.run_code_obj(hook, scope.clone())?;
    let install = scope.globals.get_item("install", vm)?;
    let external = vm.import("_frozen_importlib_external", 0)?;
    install.call((external, get_code, check), vm)?;
    Ok(())
}

/// The code of the source at `path`, whose bytes are `source` if they were read already. `None`
/// when the VM has to do it for itself: the file cannot be read, or it is rejected.
pub(super) fn code_of(
    vm: &VirtualMachine,
    sources: &Sources,
    path: &str,
    source: Option<&[u8]>,
) -> PyResult<Option<PyRef<PyCode>>> {
    if let Some(found) = sources.mirrored(Path::new(path))
        && let Some(code) = load(vm, &found, path)
    {
        return Ok(Some(code));
    }
    let read;
    let source = match source {
        Some(source) => source,
        None => match code::read(Path::new(path)) {
            Some(bytes) => {
                read = bytes;
                &read
            }
            None => return Ok(None),
        },
    };
    match sources.stored(Path::new(path), source) {
        Stored::Code(found) => Ok(load(vm, &found, path)),
        Stored::Compile(key) => {
            let Ok(code) = compile(vm, source, path) else {
                return Ok(None);
            };
            match dump(vm, &code) {
                Some(marshal) => sources.keep(&key, marshal),
                None => sources.not_kept(),
            }
            Ok(Some(code))
        }
    }
}

/// The code object of marshal data that was checked.
fn load(vm: &VirtualMachine, found: &Found, path: &str) -> Option<PyRef<PyCode>> {
    let load = || -> PyResult<PyRef<PyCode>> {
        let marshal = vm.import("marshal", 0)?;
        let bytes = vm.ctx.new_bytes(found.marshal.clone());
        let code = vm.call_method(&marshal, "loads", (bytes,))?;
        if found.nameless {
            let imp = vm.import("_imp", 0)?;
            vm.call_method(&imp, "_fix_co_filename", (code.clone(), path.to_owned()))?;
        }
        code.downcast::<PyCode>()
            .map_err(|_| vm.new_type_error("no code object"))
    };
    load().ok()
}

/// Compiles with RustPython's own compiler, as `SourceLoader.source_to_code` does.
pub(super) fn compile(vm: &VirtualMachine, source: &[u8], path: &str) -> PyResult<PyRef<PyCode>> {
    let compile = vm.builtins.get_attr("compile", vm)?;
    let source: PyObjectRef = vm.ctx.new_bytes(source.to_vec()).into();
    // dont_inherit: nothing of the caller's future statements.
    let code = compile.call((source, path.to_owned(), "exec", 0, true), vm)?;
    code.downcast::<PyCode>()
        .map_err(|_| vm.new_type_error("compile() gave no code object"))
}

fn dump(vm: &VirtualMachine, code: &PyRef<PyCode>) -> Option<Vec<u8>> {
    let marshal = vm.import("marshal", 0).ok()?;
    let code: PyObjectRef = code.clone().into();
    let bytes = vm.call_method(&marshal, "dumps", (code,)).ok()?;
    let bytes = bytes.as_object().try_bytes_like(vm, <[u8]>::to_vec).ok()?;
    Some(bytes)
}
