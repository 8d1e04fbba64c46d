//! Between the VM's own import system and [`Sources`].
//!
//! `SourceFileLoader.get_code` asks us first; what we have no code for it finds for itself, so
//! that errors are the VM's own. Loaders that read or compile in another way are left alone.

use rustpython::vm::builtins::{PyCode, PyStrRef};
use rustpython::vm::function::{ArgBytesLike, IntoFuncArgs};
use rustpython::vm::scope::Scope;
use rustpython::vm::{AsObject, PyObjectRef, PyRef, PyResult, VirtualMachine, py_compile};
use std::path::Path;
use std::sync::Arc;

use super::bytecode;
use super::code::{self, Found, Sources, Stored};
use super::unmarshal::unmarshal;

/// A change of the hook's file asks for another build.
const _: &str = include_str!("import.py");

/// The import system with the hook in it, and what of the VM is needed for each code object.
pub(super) struct Import {
    sources: Arc<Sources>,
    loads: PyObjectRef,
    fix_file_name: PyObjectRef,
    hook: Scope,
}

/// Puts the hook into the import system.
pub(super) fn install(vm: &VirtualMachine, sources: &Arc<Sources>) -> PyResult<Arc<Import>> {
    let hook = vm.new_scope_with_builtins();
    // Compiled when the program is built. Its frames are left out of tracebacks as those of
    // importlib are, whose name it has.
    let code = py_compile!(
        file = "import.py",
        module_name = "<frozen importlib._bootstrap_external>",
        crate_name = "rustpython::vm"
    );
    let code = PyCode::new_ref_from_frozen(vm, code);
    vm.run_code_obj(code, hook.clone())?;
    let import = Arc::new(Import {
        sources: Arc::clone(sources),
        loads: vm.import("marshal", 0)?.get_attr("loads", vm)?,
        fix_file_name: vm.import("_imp", 0)?.get_attr("_fix_co_filename", vm)?,
        hook,
    });
    let ours = Arc::clone(&import);
    let get_code = vm.new_function(
        "cached_code",
        move |path: PyStrRef, vm: &VirtualMachine| -> PyResult {
            let code = path.to_str().and_then(|path| ours.code_of(vm, path, None));
            Ok(code.map_or_else(|| vm.ctx.none(), PyObjectRef::from))
        },
    );
    let check = vm.new_function(
        "check_code",
        |marshal: ArgBytesLike, vm: &VirtualMachine| -> PyResult<()> {
            bytecode::check(&marshal.borrow_buf())
                .map_err(|unfit| vm.new_value_error(format!("bad marshal data ({unfit})")))
        },
    );
    let external = vm.import("_frozen_importlib_external", 0)?;
    import.call(vm, "install", (external, get_code, check))?;
    Ok(import)
}

impl Import {
    fn call(&self, vm: &VirtualMachine, name: &str, arguments: impl IntoFuncArgs) -> PyResult<()> {
        let function = self.hook.globals.get_item(name, vm)?;
        function.call(arguments, vm).map(drop)
    }

    /// Has the time of each import told from here on.
    pub(super) fn tell_times(&self, vm: &VirtualMachine) -> PyResult<()> {
        let bootstrap = vm.import("_frozen_importlib", 0)?;
        let clock = vm.import("time", 0)?.get_attr("perf_counter_ns", vm)?;
        let write = vm.import("posix", 0)?.get_attr("write", vm)?;
        self.call(vm, "time_imports", (bootstrap, clock, write))
    }

    /// To be called when everything is imported that a start imports.
    pub(super) fn settle(&self, vm: &VirtualMachine) -> PyResult<()> {
        self.call(vm, "settle", (vm.import("gc", 0)?,))
    }

    /// The code of the source at `path`, whose bytes are `source` if they were read already. `None`
    /// when the VM has to do it for itself: the file cannot be read, or it is rejected.
    pub(super) fn code_of(
        &self,
        vm: &VirtualMachine,
        path: &str,
        source: Option<&[u8]>,
    ) -> Option<PyRef<PyCode>> {
        let sources = &self.sources;
        if let Some(found) = sources.mirrored(Path::new(path))
            && let Some(code) = self.load(vm, found, path)
        {
            return Some(code);
        }
        let read;
        let source = match source {
            Some(source) => source,
            None => {
                read = code::read(Path::new(path))?;
                &read
            }
        };
        match sources.stored(Path::new(path), source) {
            Stored::Code(found) => self.load(vm, found, path),
            Stored::Compile(key) => {
                let code = compile(vm, source, path).ok()?;
                match dump(vm, &code) {
                    Some(marshal) => sources.keep(&key, marshal),
                    None => sources.not_kept(),
                }
                Some(code)
            }
        }
    }

    /// The code object of marshal data that was checked.
    fn load(&self, vm: &VirtualMachine, found: Found, path: &str) -> Option<PyRef<PyCode>> {
        let load = || -> PyResult<PyRef<PyCode>> {
            let code = match unmarshal(vm, &found.marshal) {
                Some(code) => code,
                None => {
                    let code = self.loads.call((vm.ctx.new_bytes(found.marshal),), vm)?;
                    code.downcast()
                        .map_err(|_| vm.new_type_error("no code object"))?
                }
            };
            if code.source_path().as_str() != path {
                let name = path.to_owned();
                self.fix_file_name.call((code.clone(), name), vm)?;
            }
            Ok(code)
        };
        load().ok()
    }
}

/// Compiles with RustPython's own compiler, as `SourceLoader.source_to_code` does.
pub(super) fn compile(vm: &VirtualMachine, source: &[u8], path: &str) -> PyResult<PyRef<PyCode>> {
    compile_object(vm, vm.ctx.new_bytes(source.to_vec()).into(), path)
}

/// Compiles text that was decoded already: it may say anything of its coding.
pub(super) fn compile_text(vm: &VirtualMachine, text: &str, path: &str) -> PyResult<PyRef<PyCode>> {
    compile_object(vm, vm.ctx.new_str(text).into(), path)
}

fn compile_object(vm: &VirtualMachine, source: PyObjectRef, path: &str) -> PyResult<PyRef<PyCode>> {
    let compile = vm.builtins.get_attr("compile", vm)?;
    // dont_inherit: nothing of the caller's future statements.
    let code = compile.call((source, path.to_owned(), "exec", 0, true), vm)?;
    code.downcast::<PyCode>()
        .map_err(|_| vm.new_type_error("compile() gave no code object"))
}

/// The code as the VM's marshal writes it.
pub(super) fn dump(vm: &VirtualMachine, code: &PyRef<PyCode>) -> Option<Vec<u8>> {
    let marshal = vm.import("marshal", 0).ok()?;
    let code: PyObjectRef = code.clone().into();
    let bytes = vm.call_method(&marshal, "dumps", (code,)).ok()?;
    let bytes = bytes.as_object().try_bytes_like(vm, <[u8]>::to_vec).ok()?;
    Some(bytes)
}
