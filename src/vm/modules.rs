//! Imports of source files without importlib's own code.
//!
//! importlib is Python; for a module whose code is cached, running it is most of what an import
//! costs in this VM. Here is the one way that nearly all imports take: a source file in a directory
//! of `sys.path` or of its package, found by the finders and the loader that a start installs.
//! Invariant: what a program can see of an import (modules, specs, loaders, the finders' caches,
//! what is there while the module runs, tracebacks) is what importlib leaves; where anything was
//! replaced, or is not that plain, importlib's function is called before anything is changed.

use rustpython::vm::builtins::{
    PyDict, PyDictRef, PyFloat, PyList, PyListRef, PyModule, PySet, PyStr, PyStrInterned, PyStrRef,
    PyTypeRef,
};
use rustpython::vm::function::FuncArgs;
use rustpython::vm::{AsObject, PyObject, PyObjectRef, PyRef, PyResult, VirtualMachine};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use super::import::Import;

/// What of importlib's classes an import calls; none of it may have been replaced.
const CALLED: [(&str, &[&str]); 5] = [
    ("BuiltinImporter", &["find_spec"]),
    ("FrozenImporter", &["find_spec"]),
    (
        "PathFinder",
        &["find_spec", "_get_spec", "_path_importer_cache"],
    ),
    ("FileFinder", &["find_spec", "_get_spec", "_fill_cache"]),
    (
        "SourceFileLoader",
        &[
            "create_module",
            "exec_module",
            "get_code",
            "get_filename",
            "get_data",
            "path_stats",
            "source_to_code",
            "_cache_bytecode",
            "set_data",
        ],
    ),
];

/// The parts of importlib that are used, as the start left them.
struct Modules {
    import: Arc<Import>,
    /// The functions of [`CALLED`].
    called: Vec<(PyTypeRef, &'static PyStrInterned, PyObjectRef)>,
    /// What `sys.meta_path` has to be.
    meta_path: [PyTypeRef; 3],
    file_finder: PyTypeRef,
    loader: PyTypeRef,
    spec: PyObjectRef,
    without_frames: PyObjectRef,
    exec: PyObjectRef,
}

/// Where a module is.
struct Place {
    file: String,
    /// The directory, if it is a package.
    package: Option<String>,
}

/// What a finder says.
enum Answer {
    Here(Place),
    NotHere,
    /// importlib has to ask it.
    Unsure,
}

/// The package of a module, imported already.
struct Parent {
    name: PyStrRef,
    path: PyListRef,
    submodules: PyListRef,
}

/// Puts the way into importlib.
pub(super) fn install(vm: &VirtualMachine, import: &Arc<Import>) -> PyResult<()> {
    let bootstrap = vm.import("_frozen_importlib", 0)?;
    let external = vm.import("_frozen_importlib_external", 0)?;
    let class = |name: &str| -> PyResult<PyTypeRef> {
        let name = vm.ctx.intern_str(name);
        let class = bootstrap
            .get_attr(name, vm)
            .or_else(|_| external.get_attr(name, vm))?;
        class
            .downcast()
            .map_err(|_| vm.new_type_error("importlib has no such class"))
    };
    let mut called = Vec::new();
    for (owner, names) in CALLED {
        let owner = class(owner)?;
        for name in names {
            let name = vm.ctx.intern_str(*name);
            let part = owner
                .get_attr(name)
                .ok_or_else(|| vm.new_type_error("importlib has no such function"))?;
            called.push((owner.clone(), name, part));
        }
    }
    let modules = Modules {
        import: Arc::clone(import),
        called,
        meta_path: [
            class("BuiltinImporter")?,
            class("FrozenImporter")?,
            class("PathFinder")?,
        ],
        file_finder: class("FileFinder")?,
        loader: class("SourceFileLoader")?,
        spec: class("ModuleSpec")?.into(),
        without_frames: bootstrap.get_attr("_call_with_frames_removed", vm)?,
        exec: vm.builtins.get_attr("exec", vm)?,
    };
    let name = "_find_and_load_unlocked";
    let importlibs = bootstrap.get_attr(name, vm)?;
    let ours = vm.new_function(
        name,
        move |arguments: FuncArgs, vm: &VirtualMachine| -> PyResult {
            if let [name, _] = arguments.args.as_slice()
                && let Ok(name) = name.clone().downcast::<PyStr>()
                && let Some(module) = modules.import(vm, &name)
            {
                return module;
            }
            importlibs.call(arguments, vm)
        },
    );
    bootstrap.set_attr(name, ours, vm)
}

impl Modules {
    /// The module of that name, imported; `None` where importlib has to do it.
    fn import(&self, vm: &VirtualMachine, name: &PyStrRef) -> Option<PyResult> {
        let text = name.to_str()?;
        let settings = &vm.state.config.settings;
        if settings.verbose > 0
            || vm.state.module_defs.contains_key(text)
            || vm.state.frozen.contains_key(text)
            || !self.is_untouched(vm)
        {
            return None;
        }
        let modules = dict(vm, "modules")?;
        if modules.contains_key(&**name, vm) {
            return None;
        }
        let (parent, tail) = match text.rsplit_once('.') {
            Some((parent, tail)) => (Some(self.parent(vm, &modules, parent)?), tail),
            None => (None, text),
        };
        let path = match &parent {
            Some(parent) => parent.path.clone(),
            None => list(vm, vm.sys_module.get_attr("path", vm).ok()?)?,
        };
        let place = self.find(vm, tail, &path)?;
        let cached = cached(vm, &place.file)?;
        Some(self.load(vm, &modules, name, tail, parent.as_ref(), &place, &cached))
    }

    fn is_untouched(&self, vm: &VirtualMachine) -> bool {
        let meta_path = vm.sys_module.get_attr("meta_path", vm).ok();
        let meta_path = meta_path.and_then(|meta_path| list(vm, meta_path));
        meta_path.is_some_and(|meta_path| {
            let finders = meta_path.borrow_vec();
            finders.len() == self.meta_path.len()
                && finders.iter().zip(&self.meta_path).all(|(a, b)| a.is(b))
        }) && self
            .called
            .iter()
            .all(|(class, name, part)| class.get_attr(name).is_some_and(|now| now.is(part)))
    }

    /// The package of that name, if it is there and nothing has to be waited for.
    fn parent(&self, vm: &VirtualMachine, modules: &PyDictRef, name: &str) -> Option<Parent> {
        let module = modules.get_item_opt(name, vm).ok()??;
        let path = list(vm, module.get_attr("__path__", vm).ok()?)?;
        let spec = module.get_attr("__spec__", vm).ok()?;
        if !spec.class().is(&self.spec) {
            return None;
        }
        // importlib waits until whoever imports the package has done so. Without other threads
        // that is this one.
        if vm.state.thread_count.load() > 0 {
            return None;
        }
        Some(Parent {
            name: vm.ctx.new_str(name),
            path,
            submodules: list(vm, spec.get_attr("_uninitialized_submodules", vm).ok()?)?,
        })
    }

    /// Where the module of this last name is, in the first directory that has it.
    fn find(&self, vm: &VirtualMachine, tail: &str, path: &PyListRef) -> Option<Place> {
        let finders = dict(vm, "path_importer_cache")?;
        let entries = path.borrow_vec().to_vec();
        for entry in entries {
            let entry = entry.downcast_ref::<PyStr>()?;
            let finder = finders.get_item_opt(entry, vm).ok()??;
            if vm.is_none(&finder) {
                continue;
            }
            if !finder.class().is(&self.file_finder) {
                return None;
            }
            match look(vm, &finder, tail).unwrap_or(Answer::Unsure) {
                Answer::Here(place) => return Some(place),
                Answer::NotHere => {}
                Answer::Unsure => return None,
            }
        }
        None
    }

    /// Makes the module and runs it, with its package knowing of it.
    #[expect(clippy::too_many_arguments)]
    fn load(
        &self,
        vm: &VirtualMachine,
        modules: &PyDictRef,
        name: &PyStrRef,
        tail: &str,
        parent: Option<&Parent>,
        place: &Place,
        cached: &str,
    ) -> PyResult {
        let tail = vm.ctx.intern_str(tail).to_owned();
        let (spec, module) = self.make(vm, name, parent, place, cached)?;
        if let Some(parent) = parent {
            parent.submodules.borrow_vec_mut().push(tail.clone().into());
        }
        let loaded = self.run(vm, modules, name, &spec, module, place);
        if let Some(parent) = parent {
            parent.submodules.borrow_vec_mut().pop();
        }
        let module = loaded?;
        if let Some(parent) = parent {
            let package = modules.get_item(&*parent.name, vm)?;
            set_on_package(vm, &package, parent, &tail, &module)?;
        }
        Ok(module)
    }

    /// A module that has not run yet, with all that importlib puts into it.
    fn make(
        &self,
        vm: &VirtualMachine,
        name: &PyStrRef,
        parent: Option<&Parent>,
        place: &Place,
        cached: &str,
    ) -> PyResult<(PyObjectRef, PyRef<PyModule>)> {
        let file: PyObjectRef = vm.ctx.new_str(place.file.as_str()).into();
        let cached: PyObjectRef = vm.ctx.new_str(cached).into();
        let loader = self
            .loader
            .as_object()
            .call((name.clone(), file.clone()), vm)?;
        let spec = self.spec.call((name.clone(), loader.clone()), vm)?;
        spec.set_attr("origin", file.clone(), vm)?;
        spec.set_attr("_set_fileattr", vm.ctx.new_bool(true), vm)?;
        spec.set_attr("_cached", cached.clone(), vm)?;
        let module = vm.ctx.types.module_type.as_object();
        let module = module
            .call((name.clone(),), vm)?
            .downcast::<PyModule>()
            .map_err(|_| vm.new_type_error("not a module"))?;
        let dict = module.dict();
        dict.set_item("__loader__", loader, vm)?;
        let package = match (&place.package, parent) {
            (Some(_), _) => name.clone(),
            (None, Some(parent)) => parent.name.clone(),
            (None, None) => vm.ctx.new_str(""),
        };
        dict.set_item("__package__", package.into(), vm)?;
        dict.set_item("__spec__", spec.clone(), vm)?;
        if let Some(directory) = &place.package {
            let directory = vm.ctx.new_str(directory.as_str());
            let path = vm.ctx.new_list(vec![directory.into()]);
            spec.set_attr("submodule_search_locations", path.clone(), vm)?;
            dict.set_item("__path__", path.into(), vm)?;
        }
        dict.set_item("__file__", file, vm)?;
        dict.set_item("__cached__", cached, vm)?;
        Ok((spec, module))
    }

    /// Runs the module; what stands in `sys.modules` under its name afterwards.
    fn run(
        &self,
        vm: &VirtualMachine,
        modules: &PyDictRef,
        name: &PyStrRef,
        spec: &PyObject,
        module: PyRef<PyModule>,
        place: &Place,
    ) -> PyResult {
        let initializing = |is: bool| spec.set_attr("_initializing", vm.ctx.new_bool(is), vm);
        initializing(true)?;
        modules.set_item(&**name, module.clone().into(), vm)?;
        let ran = match self.import.code_of(vm, &place.file, None) {
            Some(code) => {
                let arguments = (self.exec.clone(), code, module.dict());
                self.without_frames.call(arguments, vm)
            }
            None => {
                let loader = spec.get_attr("loader", vm)?;
                vm.call_method(&loader, "exec_module", (module,))
            }
        };
        let placed = match ran {
            Ok(_) => match modules.pop_item(&**name, vm) {
                // The last one imported stands last.
                Ok(Some(placed)) => modules
                    .set_item(&**name, placed.clone(), vm)
                    .map(|()| placed),
                Ok(None) => Err(vm.new_key_error(name.clone().into())),
                Err(error) => Err(error),
            },
            Err(error) => {
                // The module may have removed itself.
                let _ = modules.pop_item(&**name, vm);
                Err(error)
            }
        };
        initializing(false)?;
        placed
    }
}

/// Makes the module an attribute of its package, or warns that it cannot be one.
fn set_on_package(
    vm: &VirtualMachine,
    package: &PyObject,
    parent: &Parent,
    tail: &PyStrRef,
    module: &PyObjectRef,
) -> PyResult<()> {
    match package.set_attr(&**tail, module.clone(), vm) {
        Err(error) if error.fast_isinstance(vm.ctx.exceptions.attribute_error) => {
            let repr = |text: &PyStrRef| text.as_object().repr(vm);
            let (parent, tail) = (repr(&parent.name)?, repr(tail)?);
            let message = format!("Cannot set an attribute on {parent} for child module {tail}");
            let category = vm.builtins.get_attr("ImportWarning", vm)?;
            let warnings = vm.import("_warnings", 0)?;
            vm.call_method(&warnings, "warn", (message, category))?;
            Ok(())
        }
        set => set,
    }
}

/// What a `FileFinder` of importlib's knows of a module by what it has listed.
fn look(vm: &VirtualMachine, finder: &PyObject, tail: &str) -> Option<Answer> {
    let directory = finder.get_attr("path", vm).ok()?;
    let directory = directory.downcast_ref::<PyStr>()?.to_str()?;
    if !directory.starts_with('/') || directory.ends_with('/') {
        return None;
    }
    let changed = fs::metadata(directory).ok()?;
    let changed = changed.mtime() as f64 + changed.mtime_nsec() as f64 / 1e9;
    let listed = finder.get_attr("_path_mtime", vm).ok()?;
    if listed.downcast_ref::<PyFloat>()?.to_f64() != changed {
        return None;
    }
    let names = finder.get_attr("_path_cache", vm).ok()?;
    let names = names.downcast_ref::<PySet>()?;
    let lists = |name: &str| names.contains(vm.ctx.new_str(name).as_object(), vm).ok();
    let here = |file: String, package| match Path::new(&file).is_file() {
        true => Answer::Here(Place { file, package }),
        false => Answer::Unsure,
    };
    Some(if lists(tail)? {
        let package = format!("{directory}/{tail}");
        here(format!("{package}/__init__.py"), Some(package))
    } else if lists(&format!("{tail}.py"))? {
        here(format!("{directory}/{tail}.py"), None)
    } else if lists(&format!("{tail}.pyc"))? {
        Answer::Unsure
    } else {
        Answer::NotHere
    })
}

/// `__cached__` of a source, where it is in `__pycache__`.
fn cached(vm: &VirtualMachine, file: &str) -> Option<String> {
    let prefix = vm.sys_module.get_attr("pycache_prefix", vm).ok()?;
    if !vm.is_none(&prefix) {
        return None;
    }
    let implementation = vm.sys_module.get_attr("implementation", vm).ok()?;
    let tag = implementation.get_attr("cache_tag", vm).ok()?;
    let tag = tag.downcast_ref::<PyStr>()?.to_str()?;
    let (directory, name) = file.strip_suffix(".py")?.rsplit_once('/')?;
    let optimized = match vm.state.config.settings.optimize {
        0 => String::new(),
        level => format!(".opt-{level}"),
    };
    Some(format!(
        "{directory}/__pycache__/{name}.{tag}{optimized}.pyc"
    ))
}

/// A dictionary of `sys`, unless it was replaced by something else.
fn dict(vm: &VirtualMachine, name: &'static str) -> Option<PyDictRef> {
    let dict = vm.sys_module.get_attr(name, vm).ok()?;
    let dict = dict.downcast::<PyDict>().ok()?;
    dict.class().is(vm.ctx.types.dict_type).then_some(dict)
}

/// A list, and no subclass of it.
fn list(vm: &VirtualMachine, object: PyObjectRef) -> Option<PyListRef> {
    let list = object.downcast::<PyList>().ok()?;
    list.class().is(vm.ctx.types.list_type).then_some(list)
}
