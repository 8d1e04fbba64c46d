//! Code objects out of marshal data that was checked.
//!
//! RustPython's own reader makes an object of everything first, then a string or a buffer of that,
//! then what the code object holds; an import spends more on it than on finding the file. Here the
//! parts are read as what they end as, and a name that stands in the data once is looked up once.
//! Invariant: what is returned is what `marshal.loads` returns for the same data; for anything
//! that is rare in code nothing is returned, and the caller asks `marshal.loads`.

use rustpython::vm::builtins::{
    PyBytes, PyCode, PyFrozenSet, PySlice, PyStr, PyStrInterned, PyTuple,
};
use rustpython::vm::bytecode::{
    CO_FAST_CELL, CO_FAST_FREE, CO_FAST_LOCAL, CodeFlags, CodeObject, CodeUnit, CodeUnits,
};
use rustpython::vm::common::wtf8::Wtf8;
use rustpython::vm::compiler::core::OneIndexed;
use rustpython::vm::compiler::core::marshal::{linetable_to_locations, split_localplus};
use rustpython::vm::{AsObject, PyObjectRef, PyPayload, PyRef, VirtualMachine};
use std::rc::Rc;

use crate::pyc::marshal::{FLAG_REF, code};

/// How deep values may be nested here: enough for code that a person wrote.
const MAX_DEPTH: u32 = 200;

/// The code object that `marshal` is; `None` for what is left to `marshal.loads`.
pub(super) fn unmarshal(vm: &VirtualMachine, marshal: &[u8]) -> Option<PyRef<PyCode>> {
    let mut reader = Reader {
        vm,
        rest: marshal,
        refs: Vec::new(),
    };
    reader.object(MAX_DEPTH)?.downcast().ok()
}

type Name = &'static PyStrInterned;

/// Something that the data may refer to later.
#[derive(Clone)]
enum Shared<'a> {
    /// It is being read.
    Unfinished,
    Object(PyObjectRef),
    Name(Name),
    /// A tuple of names that is no object yet.
    Names(Rc<[Name]>),
    /// The same for bytes.
    Bytes(&'a [u8]),
}

struct Reader<'a, 'vm> {
    vm: &'vm VirtualMachine,
    rest: &'a [u8],
    refs: Vec<Shared<'a>>,
}

impl<'a> Reader<'a, '_> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        self.rest.split_off(..length)
    }

    fn byte(&mut self) -> Option<u8> {
        self.rest.split_off_first().copied()
    }

    fn number(&mut self) -> Option<i32> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(i32::from_le_bytes(*bytes))
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    fn float(&mut self) -> Option<f64> {
        let (bytes, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(f64::from_le_bytes(*bytes))
    }

    /// The kind of the next value, and its place among what is referred to if it has one.
    fn kind(&mut self) -> Option<(u8, Option<usize>)> {
        let byte = self.byte()?;
        let place = (byte & FLAG_REF != 0).then(|| {
            self.refs.push(Shared::Unfinished);
            self.refs.len() - 1
        });
        Some((byte & !FLAG_REF, place))
    }

    fn share(&mut self, place: Option<usize>, value: Shared<'a>) {
        if let Some(slot) = place.and_then(|place| self.refs.get_mut(place)) {
            *slot = value;
        }
    }

    fn shared(&mut self) -> Option<Shared<'a>> {
        let place = self.length()?;
        self.refs.get(place).cloned()
    }

    fn shared_object(&mut self) -> Option<PyObjectRef> {
        let place = self.length()?;
        let slot = self.refs.get_mut(place)?;
        let object: PyObjectRef = match slot {
            Shared::Unfinished => return None,
            Shared::Object(object) => return Some(object.clone()),
            Shared::Name(name) => return Some((*name).to_owned().into()),
            Shared::Names(names) => {
                let names = names.iter().map(|&name| name.to_owned().into());
                self.vm.ctx.new_tuple(names.collect()).into()
            }
            Shared::Bytes(bytes) => self.vm.ctx.new_bytes(bytes.to_vec()).into(),
        };
        *slot = Shared::Object(object.clone());
        Some(object)
    }

    /// The bytes of a string of this kind, and whether it is interned; `None` for other kinds.
    fn text(&mut self, kind: u8) -> Option<(&'a Wtf8, bool)> {
        let length = match kind {
            code::SHORT_ASCII | code::SHORT_ASCII_INTERNED => usize::from(self.byte()?),
            code::ASCII | code::ASCII_INTERNED | code::UNICODE_INTERNED | code::UNICODE => {
                self.length()?
            }
            _ => return None,
        };
        let text = Wtf8::from_bytes(self.take(length)?)?;
        Some((
            text,
            matches!(
                kind,
                code::SHORT_ASCII_INTERNED | code::ASCII_INTERNED | code::UNICODE_INTERNED
            ),
        ))
    }

    fn object(&mut self, depth: u32) -> Option<PyObjectRef> {
        let depth = depth.checked_sub(1)?;
        let (kind, place) = self.kind()?;
        let ctx = &self.vm.ctx;
        let object: PyObjectRef = match kind {
            code::REF => return self.shared_object(),
            code::SHORT_ASCII
            | code::SHORT_ASCII_INTERNED
            | code::ASCII
            | code::ASCII_INTERNED
            | code::UNICODE_INTERNED
            | code::UNICODE => {
                let (text, interned) = self.text(kind)?;
                if interned {
                    let name = ctx.intern_str(text);
                    self.share(place, Shared::Name(name));
                    return Some(name.to_owned().into());
                }
                ctx.new_str(text).into()
            }
            code::NONE => ctx.none(),
            code::TRUE => ctx.new_bool(true).into(),
            code::FALSE => ctx.new_bool(false).into(),
            code::ELLIPSIS => ctx.ellipsis.clone().into(),
            code::INT => ctx.new_int(self.number()?).into(),
            code::LONG => self.long()?,
            code::FLOAT => ctx.new_float(self.float()?).into(),
            code::COMPLEX => {
                let parts = (self.float()?, self.float()?);
                ctx.types
                    .complex_type
                    .as_object()
                    .call(parts, self.vm)
                    .ok()?
            }
            code::BYTES => {
                let length = self.length()?;
                ctx.new_bytes(self.take(length)?.to_vec()).into()
            }
            code::SMALL_TUPLE | code::TUPLE => ctx.new_tuple(self.items(kind, depth)?).into(),
            code::FROZEN_SET => {
                let items = self.items(kind, depth)?;
                let set = PyFrozenSet::from_iter(self.vm, items).ok()?;
                set.into_ref(ctx).into()
            }
            code::SLICE => {
                let (start, stop, step) = (
                    self.object(depth)?,
                    self.object(depth)?,
                    self.object(depth)?,
                );
                let slice = PySlice {
                    start: self.vm.option_if_none(start),
                    stop,
                    step: self.vm.option_if_none(step),
                };
                slice.into_ref(ctx).into()
            }
            code::CODE => self.code(depth)?.into(),
            _ => return None,
        };
        if place.is_some() {
            self.share(place, Shared::Object(object.clone()));
        }
        Some(object)
    }

    fn count(&mut self, kind: u8) -> Option<usize> {
        match kind {
            code::SMALL_TUPLE => self.byte().map(usize::from),
            _ => self.length(),
        }
    }

    fn items(&mut self, kind: u8, depth: u32) -> Option<Vec<PyObjectRef>> {
        let count = self.count(kind)?;
        // Each item has a byte at least: a wrong count takes no memory.
        let mut items = Vec::with_capacity(count.min(self.rest.len()));
        for _ in 0..count {
            items.push(self.object(depth)?);
        }
        Some(items)
    }

    /// An integer of more than 32 bits: digits of 15 bits, the lowest first.
    fn long(&mut self) -> Option<PyObjectRef> {
        let count = self.number()?;
        let digits = self.take(usize::try_from(count.unsigned_abs()).ok()?.checked_mul(2)?)?;
        let mut bytes = Vec::with_capacity(digits.len());
        let (mut bits, mut held) = (0_u32, 0);
        for digit in digits.as_chunks::<2>().0 {
            bits |= u32::from(u16::from_le_bytes(*digit)) << held;
            held += 15;
            while held >= 8 {
                bytes.push(bits.to_le_bytes()[0]);
                bits >>= 8;
                held -= 8;
            }
        }
        bytes.push(bits.to_le_bytes()[0]);
        let vm = self.vm;
        let int = vm.ctx.types.int_type.as_object();
        let bytes = vm.ctx.new_bytes(bytes);
        let size = vm.call_method(int, "from_bytes", (bytes, "little")).ok()?;
        if count < 0 {
            vm._neg(&size).ok()
        } else {
            Some(size)
        }
    }

    /// What `make` makes of bytes that need be no object.
    fn bytes<T>(&mut self, make: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let (kind, place) = self.kind()?;
        match kind {
            code::BYTES => {
                let length = self.length()?;
                let bytes = self.take(length)?;
                self.share(place, Shared::Bytes(bytes));
                Some(make(bytes))
            }
            code::REF => match self.shared()? {
                Shared::Bytes(bytes) => Some(make(bytes)),
                Shared::Object(object) => Some(make(object.downcast_ref::<PyBytes>()?.as_bytes())),
                Shared::Unfinished | Shared::Name(_) | Shared::Names(_) => None,
            },
            _ => None,
        }
    }

    /// A string that is interned whatever the data says.
    fn name(&mut self) -> Option<Name> {
        let (kind, place) = self.kind()?;
        if kind == code::REF {
            return match self.shared()? {
                Shared::Name(name) => Some(name),
                Shared::Object(object) => self.interned(&object),
                Shared::Unfinished | Shared::Names(_) | Shared::Bytes(_) => None,
            };
        }
        let (text, _) = self.text(kind)?;
        let name = self.vm.ctx.intern_str(text.as_str().ok()?);
        self.share(place, Shared::Name(name));
        Some(name)
    }

    fn interned(&self, object: &PyObjectRef) -> Option<Name> {
        let text = object.downcast_ref::<PyStr>()?.to_str()?;
        Some(self.vm.ctx.intern_str(text))
    }

    fn names(&mut self) -> Option<Vec<Name>> {
        let (kind, place) = self.kind()?;
        match kind {
            code::SMALL_TUPLE | code::TUPLE => {
                let count = self.count(kind)?;
                let mut names = Vec::with_capacity(count.min(self.rest.len()));
                for _ in 0..count {
                    names.push(self.name()?);
                }
                if place.is_some() {
                    self.share(place, Shared::Names(names.as_slice().into()));
                }
                Some(names)
            }
            code::REF => match self.shared()? {
                Shared::Names(names) => Some(names.to_vec()),
                Shared::Object(object) => {
                    let tuple = object.downcast_ref::<PyTuple>()?.as_slice();
                    tuple.iter().map(|name| self.interned(name)).collect()
                }
                Shared::Unfinished | Shared::Name(_) | Shared::Bytes(_) => None,
            },
            _ => None,
        }
    }

    /// The constants of a code object, without a tuple around them if nothing refers to it.
    fn constants(&mut self, depth: u32) -> Option<Vec<PyObjectRef>> {
        let (kind, place) = self.kind()?;
        match kind {
            code::SMALL_TUPLE | code::TUPLE => {
                let items = self.items(kind, depth.checked_sub(1)?)?;
                if place.is_some() {
                    let tuple = self.vm.ctx.new_tuple(items.clone());
                    self.share(place, Shared::Object(tuple.into()));
                }
                Some(items)
            }
            code::REF => {
                let tuple = self.shared_object()?;
                Some(tuple.downcast_ref::<PyTuple>()?.as_slice().to_vec())
            }
            _ => None,
        }
    }

    /// A code object after its kind: the fields in CPython 3.14's order.
    fn code(&mut self, depth: u32) -> Option<PyRef<PyCode>> {
        let mut number = || self.number().map(i32::cast_unsigned);
        let arg_count = number()?;
        let posonlyarg_count = number()?;
        let kwonlyarg_count = number()?;
        let max_stackdepth = number()?;
        let flags = CodeFlags::from_bits_truncate(number()?);
        let instructions = self.bytes(instructions)??;
        let constants = self.constants(depth)?;
        let names = self.names()?;
        let locals = self.names()?;
        let kinds: Box<[u8]> = self.bytes(|bytes| bytes.into())?;
        let source_path = self.name()?;
        let obj_name = self.name()?;
        let qualname = self.name()?;
        let first_line = self.number()?;
        let linetable: Box<[u8]> = self.bytes(|bytes| bytes.into())?;
        let exceptiontable: Box<[u8]> = self.bytes(|bytes| bytes.into())?;
        let plain =
            |&kind: &u8| kind & (CO_FAST_LOCAL | CO_FAST_CELL | CO_FAST_FREE) == CO_FAST_LOCAL;
        let (varnames, cellvars, freevars) =
            if kinds.len() == locals.len() && kinds.iter().all(plain) {
                (locals, Vec::new(), Vec::new())
            } else {
                let split = split_localplus(&locals, &kinds, arg_count, kwonlyarg_count, flags);
                let split = split.ok()?;
                (split.varnames, split.cellvars, split.freevars)
            };
        let locations = linetable_to_locations(&linetable, first_line, instructions.len());
        let first_line = usize::try_from(first_line).ok();
        let code = CodeObject {
            instructions,
            locations,
            flags,
            posonlyarg_count,
            arg_count,
            kwonlyarg_count,
            source_path,
            first_line_number: first_line.and_then(OneIndexed::new),
            max_stackdepth,
            obj_name,
            qualname,
            constants: constants.into_iter().map(Into::into).collect(),
            names: names.into(),
            varnames: varnames.into(),
            cellvars: cellvars.into(),
            freevars: freevars.into(),
            localspluskinds: kinds,
            linetable,
            exceptiontable,
        };
        Some(PyCode::new_ref_with_bag(self.vm, code))
    }
}

/// The instructions of `co_code`. Their number is known, which a fallible collection forgets.
fn instructions(code: &[u8]) -> Option<CodeUnits> {
    let (pairs, []) = code.as_chunks::<2>() else {
        return None;
    };
    let mut units = Vec::with_capacity(pairs.len());
    for &pair in pairs {
        units.push(CodeUnit::try_from(pair).ok()?);
    }
    Some(units.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compiler::native::backend::NativeCompiler;
    use crate::compiler::{Compiler, Job};
    use crate::pyc::Level;
    use crate::vm::{builder, target};
    use rustpython::vm::Settings;
    use std::time::Duration;

    const SOURCES: [&str; 4] = [
        "",
        include_str!("../../scripts/vm/make_app.py"),
        include_str!("../../scripts/vm/opcodes.py"),
        r#"
"""Doc, not ASCII: é"""
numbers = 0, -1, 2**31, -2**31, 2**45, -2**45, 2**60 + 1, 10**40, -10**40, 1.5, -0.0, 1e400, 2j, 3 - 4j
texts = "", "a", "name", "two words", "é", "\udc80", "x" * 300, b"", b"bytes", ..., None, True, False
slices = texts[1:2], texts[:], texts[::-1], texts[1:]
def f(name, other=("name", ("name", 1)), *, key="two words"):
    def inner(value):
        nonlocal name
        return value in {1, 2, "name"} or name in {"a", b"bytes"} or other or key
    return inner, lambda: (name, other), [name for name in other]
class C:
    __slots__ = ("name",)
    def name(self): return __class__, f
"#,
    ];

    #[test]
    fn code_is_what_marshal_loads_returns() {
        let interpreter = builder(Settings::default()).interpreter();
        interpreter.enter(|vm| {
            let marshal = vm.import("marshal", 0).unwrap();
            let dumps = |code: PyObjectRef| {
                let bytes = vm.call_method(&marshal, "dumps", (code,)).unwrap();
                bytes.downcast_ref::<PyBytes>().unwrap().as_bytes().to_vec()
            };
            for source in SOURCES {
                let job = Job {
                    source: source.as_bytes().into(),
                    target: target(),
                    level: Level::O0,
                    timeout: Duration::from_secs(60),
                    explain: None,
                };
                let code = NativeCompiler.compile(&job).unwrap();
                let data = code.template.fill(b"/a/file.py");
                let ours = unmarshal(vm, &data).expect("nothing is left to marshal.loads");
                let bytes = vm.ctx.new_bytes(data.clone());
                let theirs = vm.call_method(&marshal, "loads", (bytes,)).unwrap();
                assert_eq!(dumps(ours.into()), dumps(theirs), "of {source:.40}");
                for cut in 0..data.len() {
                    assert!(
                        unmarshal(vm, data.get(..cut).unwrap()).is_none(),
                        "cut at {cut}"
                    );
                }
            }
        });
    }
}
