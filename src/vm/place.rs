//! Where the VM thinks it is installed: within its own program, where nothing of the host can be.
//!
//! `sys.prefix` is the program's path itself. A file has no files beneath it, so that neither
//! `lib/python3.14` of the host nor its site-packages are ever found there.

use rustpython::vm::VirtualMachine;
use rustpython::vm::common::rc::PyRc;

/// Sets the paths, before the VM imports anything. `sys.path` is what the command line and the
/// environment say.
pub(super) fn set(vm: &mut VirtualMachine, executable: &str) {
    let Some(state) = PyRc::get_mut(&mut vm.state) else {
        // The hook runs before anything else has the state.
        return;
    };
    let path_list = state.config.settings.path_list.clone();
    let paths = &mut state.config.paths;
    for place in [
        &mut paths.executable,
        &mut paths.base_executable,
        &mut paths.prefix,
        &mut paths.base_prefix,
        &mut paths.exec_prefix,
        &mut paths.base_exec_prefix,
    ] {
        executable.clone_into(place);
    }
    paths.stdlib_dir = Some(format!("{executable}/lib/python3.14"));
    paths.module_search_paths = path_list;
}
