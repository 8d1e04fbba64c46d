//! CPython's words for the programs that RustPython rejects.
//!
//! RustPython decides that a program is wrong; our compiler, where it rejects the program too and
//! knows CPython's error for sure, says how: kind, message and place. Invariant: no program is
//! rejected here, and an error that is not known is RustPython's own.

use rustpython::vm::builtins::{PyBaseExceptionRef, PyStr};
use rustpython::vm::function::{FuncArgs, ItemDoc, PyMethodFlags};
use rustpython::vm::{AsObject, PyObject, PyObjectRef, PyResult, VirtualMachine};
use std::time::Duration;

use super::target;
use crate::compiler::native::backend::{Rejection, rejection};

/// How long our compiler may take; its answer is worth a wait, but no more.
const PATIENCE: Duration = Duration::from_secs(5);
/// `PyCF_ONLY_AST`: what only the symbol table or the code generator rejects is no error then.
const ONLY_AST: i32 = 0x400;

/// Puts the functions that compile text, `compile` and `exec`, under ours, which change nothing but
/// the words of a syntax error.
pub(super) fn install(vm: &VirtualMachine) -> PyResult<()> {
    for name in ["compile", "exec"] {
        let builtins: PyObjectRef = vm.builtins.clone().into();
        let original = builtins.get_attr(name, vm)?;
        let doc = documentation(vm, name, &original);
        let compile = move |mut given: FuncArgs, vm: &VirtualMachine| -> PyResult {
            // The module, which stands before the caller's arguments.
            given.args.remove(0);
            let asked = Asked::of(&given, name == "exec");
            original
                .call(given, vm)
                .map_err(|error| match asked.source(vm, &error) {
                    Some(source) => reworded(vm, error, &source, asked.only_parsed(vm)),
                    None => error,
                })
        };
        let method = vm
            .ctx
            .new_method_def(name, compile, PyMethodFlags::empty(), doc);
        let function = method.build_function(vm, Some(builtins.clone()));
        function
            .as_object()
            .set_attr("__module__", vm.ctx.new_str("builtins"), vm)?;
        builtins.set_attr(name, function, vm)?;
    }
    Ok(())
}

/// The signature and the text that a function of this module has, so that `help` and `inspect` see
/// no difference.
fn documentation(vm: &VirtualMachine, name: &str, function: &PyObject) -> ItemDoc {
    let text = |attribute: &'static str| -> Option<String> {
        let text = function.get_attr(attribute, vm).ok()?;
        Some(text.downcast_ref::<PyStr>()?.to_str()?.to_owned())
    };
    let signature = text("__text_signature__").unwrap_or_default();
    let body = text("__doc__").unwrap_or_default();
    ItemDoc {
        // Once for each function and process.
        text: Some(Box::leak(
            format!("{name}{signature}\n--\n\n{body}").into_boxed_str(),
        )),
        ..ItemDoc::NONE
    }
}

/// What a call of `compile` or `exec` has to compile.
struct Asked {
    source: Option<PyObjectRef>,
    /// `None`: a whole file, as `exec` always takes it.
    mode: Option<PyObjectRef>,
    flags: Option<PyObjectRef>,
}

impl Asked {
    fn of(given: &FuncArgs, is_exec: bool) -> Asked {
        let argument = |place: usize, name: &str| {
            let by_name = || given.kwargs.get(name);
            given.args.get(place).or_else(by_name).cloned()
        };
        Asked {
            source: argument(0, "source"),
            mode: argument(2, "mode").filter(|_| !is_exec),
            flags: argument(3, "flags").filter(|_| !is_exec),
        }
    }

    /// The bytes that were rejected, where that is the text of a whole file.
    fn source(&self, vm: &VirtualMachine, error: &PyBaseExceptionRef) -> Option<Vec<u8>> {
        if !error.fast_isinstance(vm.ctx.exceptions.syntax_error) {
            return None;
        }
        let is_file = match &self.mode {
            None => true,
            Some(mode) => mode.downcast_ref::<PyStr>()?.to_str()? == "exec",
        };
        let source = self.source.as_ref().filter(|_| is_file)?;
        match source.downcast_ref::<PyStr>() {
            Some(text) => {
                let text = text.to_str()?;
                // Our compiler takes bytes, and would read them as such a line says.
                let mut lines = text.lines().take(2);
                let as_it_is = text.is_ascii() || !lines.any(|line| line.contains("coding"));
                as_it_is.then(|| text.as_bytes().to_vec())
            }
            None => source.try_bytes_like(vm, <[u8]>::to_vec).ok(),
        }
    }

    fn only_parsed(&self, vm: &VirtualMachine) -> bool {
        let flags = self.flags.as_ref().and_then(|flags| {
            let flags = flags.try_int(vm).ok()?;
            flags.try_to_primitive::<i32>(vm).ok()
        });
        flags.is_some_and(|flags| flags & ONLY_AST != 0)
    }
}

/// The error as CPython has it for this source, where that is known.
fn reworded(
    vm: &VirtualMachine,
    error: PyBaseExceptionRef,
    source: &[u8],
    only_parsed: bool,
) -> PyBaseExceptionRef {
    match rejection(source, target(), PATIENCE) {
        Some(found) if found.by_parser || !only_parsed => made(vm, &error, &found).unwrap_or(error),
        _ => error,
    }
}

/// The error of this rejection, for the file that `error` names.
fn made(
    vm: &VirtualMachine,
    error: &PyBaseExceptionRef,
    found: &Rejection,
) -> PyResult<PyBaseExceptionRef> {
    let exceptions = &vm.ctx.exceptions;
    let class = match found.kind {
        "SyntaxError" => exceptions.syntax_error,
        "IndentationError" => exceptions.indentation_error,
        "TabError" => exceptions.tab_error,
        _ => return Ok(error.clone()),
    };
    let rejected = error.as_object();
    let text = rejected.get_attr("text", vm)?;
    // Where RustPython has no line to show, CPython has none: what is not in a file.
    let text: PyObjectRef = match &found.text {
        Some(line) if found.by_parser || !vm.is_none(&text) => {
            let line = match is_of_tokenizer(&found.message) {
                true => line.trim_end_matches('\n'),
                false => line,
            };
            vm.ctx.new_str(line).into()
        }
        _ => vm.ctx.none(),
    };
    let number = |number: i64| -> PyObjectRef { vm.ctx.new_int(number).into() };
    let place = vm.ctx.new_tuple(vec![
        rejected.get_attr("filename", vm)?,
        number(found.line),
        number(found.offset),
        text,
        number(found.end_line),
        number(found.end_offset),
    ]);
    let made = class.as_object().call((found.message.clone(), place), vm)?;
    made.downcast()
        .map_err(|_| vm.new_type_error("an exception's class gave no exception"))
}

/// Whether CPython's tokenizer raises it, which shows the line without its end.
fn is_of_tokenizer(message: &str) -> bool {
    let starts = [
        "unterminated ",
        "f-string: expecting '}'",
        "leading zeros ",
        "unmatched ",
        "closing parenthesis ",
    ];
    starts.iter().any(|start| message.starts_with(start))
        || message.starts_with("invalid ") && message.ends_with(" literal")
}
