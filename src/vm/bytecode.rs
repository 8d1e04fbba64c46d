//! The check of code before RustPython gets it.
//!
//! CPython trusts its caches, and so does RustPython: an opcode that it does not know, an argument
//! out of range or a cut table ends it with a panic. Invariant: code that passes here has only
//! instructions that RustPython executes, whole, with arguments that name something.
//!
//! Of CPython 3.14's opcodes RustPython 0.6.0 lacks three, [`NOT_EXECUTED`]; none of them stands
//! in a pyc. The test below asks RustPython's own table about every other one.

use rustpython::vm::bytecode::Opcode;

use super::target;
use crate::pyc::lines::read_line_table;
use crate::pyc::marshal::{Code, CodeField, CodeNumber, Graph, ReadError, Value, read};

/// Opcodes of CPython 3.14 that RustPython does not execute.
#[cfg(test)]
pub(super) const NOT_EXECUTED: [&str; 3] = ["RESERVED", "INTERPRETER_EXIT", "ENTER_EXECUTOR"];

/// Why code is not handed to the VM.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unfit {
    /// It is no marshal value.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
    /// It is a marshal value, but no code object.
    #[error("the marshal value is not a code object")]
    NotCode,
    /// An instruction that the VM does not execute.
    #[error("opcode {opcode} at byte {offset} of {name}")]
    Opcode {
        opcode: u8,
        offset: usize,
        name: String,
    },
    /// An argument that names nothing.
    #[error("opcode {opcode} at byte {offset} of {name} has the argument {argument}")]
    Argument {
        opcode: u8,
        offset: usize,
        name: String,
        argument: u32,
    },
    /// A table of the code object is cut or does not fit the code.
    #[error("the {field} of {name}")]
    Table { field: &'static str, name: String },
}

/// Checks a marshalled code object of CPython 3.14, all of `marshal`.
pub(super) fn check(marshal: &[u8]) -> Result<(), Unfit> {
    let graph = read(target(), marshal)?;
    let root = graph.root().ok_or(Unfit::NotCode)?;
    graph.code(root).ok_or(Unfit::NotCode)?;
    for (_, object) in graph.iter() {
        if let Value::Code(code) = &object.value {
            Checked::new(&graph, code).check()?;
        }
    }
    Ok(())
}

/// One code object and the lengths that arguments are compared with.
struct Checked<'a> {
    graph: &'a Graph<'a>,
    object: &'a Code,
    code: &'a [u8],
    consts: u32,
    names: u32,
    locals: u32,
}

/// What an instruction's argument names.
enum Argument {
    /// Nothing, or any number.
    Free,
    /// An item of a sequence of this length, after the lowest bits are cut.
    Index { length: u32, shift: u32 },
    /// Two locals, four bits each.
    TwoLocals,
    /// One of a range.
    Within(std::ops::RangeInclusive<u32>),
    /// An instruction, this many units after the instruction's end (its caches counted).
    Forward,
    /// An instruction, this many units before it.
    Backward,
}

impl<'a> Checked<'a> {
    fn new(graph: &'a Graph<'a>, object: &'a Code) -> Checked<'a> {
        let length = |field| {
            let items = match object.field(field).and_then(|id| graph.value(id)) {
                Some(value) => value.children().len(),
                None => 0,
            };
            u32::try_from(items).unwrap_or(u32::MAX)
        };
        Checked {
            graph,
            object,
            code: bytes(graph, object, CodeField::Code).unwrap_or_default(),
            consts: length(CodeField::Consts),
            names: length(CodeField::Names),
            locals: length(CodeField::LocalsPlusNames),
        }
    }

    fn name(&self) -> String {
        let id = self.object.field(CodeField::QualName);
        match id.and_then(|id| self.graph.value(id)) {
            Some(Value::Text(text)) => String::from_utf8_lossy(text.bytes()).into_owned(),
            _ => "?".to_owned(),
        }
    }

    fn bad_table(&self, field: CodeField) -> Unfit {
        Unfit::Table {
            field: field.attribute(),
            name: self.name(),
        }
    }

    fn check(&self) -> Result<(), Unfit> {
        let starts = self.instructions()?;
        self.jumps(&starts)?;
        let kinds = bytes(self.graph, self.object, CodeField::LocalsPlusKinds).unwrap_or_default();
        if u32::try_from(kinds.len()) != Ok(self.locals) {
            return Err(self.bad_table(CodeField::LocalsPlusKinds));
        }
        let arguments = [CodeNumber::ArgCount, CodeNumber::KwOnlyArgCount]
            .map(|number| self.object.number(number).unwrap_or(0));
        let whole = arguments.iter().try_fold(0u32, |sum, &number| {
            sum.checked_add(u32::try_from(number).ok()?)
        });
        if whole.is_none_or(|whole| whole > self.locals) {
            return Err(self.bad_table(CodeField::LocalsPlusNames));
        }
        let first_line = self.object.number(CodeNumber::FirstLineNo).unwrap_or(0);
        let lines = bytes(self.graph, self.object, CodeField::LineTable).unwrap_or_default();
        if read_line_table(target(), first_line, lines).is_err() {
            return Err(self.bad_table(CodeField::LineTable));
        }
        self.exceptions(&starts)
    }

    /// Checks opcodes and arguments; where instructions start, by units.
    fn instructions(&self) -> Result<Vec<bool>, Unfit> {
        let (units, odd) = self.code.as_chunks::<2>();
        if units.is_empty() || !odd.is_empty() {
            return Err(self.bad_table(CodeField::Code));
        }
        let mut starts = vec![false; units.len()];
        let mut rest = units.iter().enumerate();
        let mut extended: Option<u32> = None;
        while let Some((unit, &[number, low])) = rest.next() {
            let offset = unit * 2;
            let unknown = || Unfit::Opcode {
                opcode: number,
                offset,
                name: self.name(),
            };
            let opcode = executed(number).ok_or_else(unknown)?;
            if let (Some(start), None) = (starts.get_mut(unit), extended) {
                *start = true;
            }
            let argument = extended.unwrap_or(0) << 8 | u32::from(low);
            if opcode == Opcode::ExtendedArg {
                extended = Some(argument);
                continue;
            }
            extended = None;
            let caches = opcode.cache_entries();
            for _ in 0..caches {
                rest.next().ok_or_else(|| self.bad_table(CodeField::Code))?;
            }
            let fits = match self.argument(opcode) {
                Argument::Free => true,
                Argument::Index { length, shift } => argument >> shift < length,
                Argument::TwoLocals => argument >> 4 < self.locals && argument & 15 < self.locals,
                Argument::Within(range) => range.contains(&argument),
                // Seen to when all starts are known.
                Argument::Forward | Argument::Backward => true,
            };
            if !fits {
                return Err(Unfit::Argument {
                    opcode: number,
                    offset,
                    name: self.name(),
                    argument,
                });
            }
        }
        if extended.is_some() {
            return Err(self.bad_table(CodeField::Code));
        }
        Ok(starts)
    }

    /// Checks that each jump leads to an instruction.
    fn jumps(&self, starts: &[bool]) -> Result<(), Unfit> {
        let (units, _) = self.code.as_chunks::<2>();
        let mut rest = units.iter().enumerate();
        let mut extended = 0;
        while let Some((unit, &[number, low])) = rest.next() {
            let Some(opcode) = executed(number) else {
                continue;
            };
            let argument = extended << 8 | u32::from(low);
            if opcode == Opcode::ExtendedArg {
                extended = argument;
                continue;
            }
            extended = 0;
            let caches = opcode.cache_entries();
            for _ in 0..caches {
                rest.next();
            }
            let next = unit + 1 + caches;
            let distance = usize::try_from(argument).unwrap_or(usize::MAX);
            let leads_to = match self.argument(opcode) {
                Argument::Forward => next.checked_add(distance),
                Argument::Backward => next.checked_sub(distance),
                Argument::Free
                | Argument::Index { .. }
                | Argument::TwoLocals
                | Argument::Within(_) => continue,
            };
            if leads_to.is_none_or(|to| starts.get(to) != Some(&true)) {
                return Err(Unfit::Argument {
                    opcode: number,
                    offset: unit * 2,
                    name: self.name(),
                    argument,
                });
            }
        }
        Ok(())
    }

    /// Checks the exception table: varints of start, length, target, and depth with lasti.
    fn exceptions(&self, starts: &[bool]) -> Result<(), Unfit> {
        let table = bytes(self.graph, self.object, CodeField::ExceptionTable).unwrap_or_default();
        let bad = || self.bad_table(CodeField::ExceptionTable);
        let stack = self.object.number(CodeNumber::StackSize).unwrap_or(0);
        let mut rest = table;
        while !rest.is_empty() {
            let mut number = || varint(&mut rest).ok_or_else(bad);
            let (start, length, handler, depth) = (number()?, number()?, number()?, number()?);
            let end = start.checked_add(length).ok_or_else(bad)?;
            let fits = usize::try_from(end).is_ok_and(|end| end <= starts.len())
                && usize::try_from(handler).is_ok_and(|at| starts.get(at) == Some(&true))
                && i64::from(depth >> 1) <= i64::from(stack);
            if !fits {
                return Err(bad());
            }
        }
        Ok(())
    }

    /// What an opcode's argument names.
    fn argument(&self, opcode: Opcode) -> Argument {
        let index = |length, shift| Argument::Index { length, shift };
        match opcode {
            Opcode::LoadConst => index(self.consts, 0),
            Opcode::LoadName
            | Opcode::StoreName
            | Opcode::DeleteName
            | Opcode::StoreGlobal
            | Opcode::DeleteGlobal
            | Opcode::StoreAttr
            | Opcode::DeleteAttr
            | Opcode::ImportName
            | Opcode::ImportFrom
            | Opcode::LoadFromDictOrGlobals => index(self.names, 0),
            Opcode::LoadGlobal | Opcode::LoadAttr => index(self.names, 1),
            Opcode::LoadSuperAttr => index(self.names, 2),
            Opcode::LoadFast
            | Opcode::LoadFastBorrow
            | Opcode::LoadFastCheck
            | Opcode::LoadFastAndClear
            | Opcode::StoreFast
            | Opcode::DeleteFast
            | Opcode::MakeCell
            | Opcode::LoadDeref
            | Opcode::StoreDeref
            | Opcode::DeleteDeref
            | Opcode::LoadFromDictOrDeref => index(self.locals, 0),
            Opcode::LoadFastLoadFast
            | Opcode::LoadFastBorrowLoadFastBorrow
            | Opcode::StoreFastLoadFast
            | Opcode::StoreFastStoreFast => Argument::TwoLocals,
            Opcode::CopyFreeVars => Argument::Within(0..=self.locals),
            Opcode::BinaryOp => Argument::Within(0..=26),
            Opcode::CallIntrinsic1 => Argument::Within(1..=11),
            Opcode::CallIntrinsic2 => Argument::Within(1..=5),
            Opcode::LoadCommonConstant => Argument::Within(0..=6),
            Opcode::LoadSpecial => Argument::Within(0..=3),
            Opcode::BuildSlice => Argument::Within(2..=3),
            Opcode::ConvertValue => Argument::Within(1..=3),
            Opcode::RaiseVarargs => Argument::Within(0..=2),
            Opcode::JumpForward
            | Opcode::PopJumpIfFalse
            | Opcode::PopJumpIfTrue
            | Opcode::PopJumpIfNone
            | Opcode::PopJumpIfNotNone
            | Opcode::ForIter
            | Opcode::Send => Argument::Forward,
            Opcode::JumpBackward | Opcode::JumpBackwardNoInterrupt => Argument::Backward,
            // RustPython's enum has every specialized form too, so that this cannot name all.
            _ => Argument::Free,
        }
    }
}

/// The opcode that a byte of `co_code` stands for, if the VM executes it and a compiler writes it.
fn executed(number: u8) -> Option<Opcode> {
    let opcode = Opcode::try_from(number).ok()?;
    // The numbers from 129 on are forms that an interpreter writes into running code.
    let written = matches!(number, 0..=120 | 128) && opcode.deoptimize() == opcode;
    let lacking = matches!(
        opcode,
        Opcode::Reserved | Opcode::InterpreterExit | Opcode::EnterExecutor | Opcode::Cache
    );
    (written && !lacking).then_some(opcode)
}

fn bytes<'a>(graph: &'a Graph<'a>, code: &Code, field: CodeField) -> Option<&'a [u8]> {
    match graph.value(code.field(field)?)? {
        Value::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

/// One number of an exception table: six bits a byte, the highest first, bit 6 for "more".
fn varint(rest: &mut &[u8]) -> Option<u32> {
    let mut number: u32 = 0;
    loop {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        number = number.checked_mul(64)? | u32::from(byte & 63);
        if byte & 64 == 0 {
            return Some(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustpython::vm::compiler::Mode;

    const SOURCE: &str = r#"
import os.path as p
from sys import argv
x: int = 1
def f(a, /, b=2, *c, d, **e):
    """Doc."""
    with open(a) as g, g:
        try:
            yield from (h for h in c if h not in e)
        except* (OSError, KeyError) as error:
            raise ValueError(f"{error!r:>{b}}") from error
        finally:
            del e
    for i, (j, *k) in enumerate(zip(c, c)):
        while i < j and (y := k):
            if y is None: continue
            break
    return lambda: (a, b, *c, {**e}, {1, 2}, [z for z in d], c[1:2], -b, not b)
class C[T](list):
    async def m(self, v: T):
        match v:
            case {"a": [1, *_], **rest} | C(q=rest): return super().m(await rest)
            case _: assert v, "no"
        async with v as w: self.n += w @ v
"#;

    /// Marshal data as the VM's own compiler and writer make it.
    fn with_code(then: impl FnOnce(&rustpython::vm::VirtualMachine, Vec<u8>)) {
        crate::vm::builder(Default::default())
            .interpreter()
            .enter(|vm| {
                let code = vm.compile(SOURCE, Mode::Exec, "name.py");
                let code = code.unwrap_or_else(|error| panic!("{error}"));
                let marshal = crate::vm::import::dump(vm, &code).unwrap();
                then(vm, marshal);
            });
    }

    #[test]
    fn the_vm_executes_every_opcode_that_cpython_3_14_writes() {
        // Those of `opcode.opmap`: up to 120, and RESUME.
        let missing: Vec<u8> = (0..=120)
            .chain([128])
            .filter(|&number| executed(number).is_none())
            .collect();
        let named: Vec<String> = missing
            .iter()
            .map(|&number| format!("{:?}", Opcode::try_from(number).unwrap()))
            .collect();
        // The second is a specialized form, which stands among the others for its number's sake.
        let expected = [
            "Cache",
            "BinaryOpInplaceAddUnicode",
            "Reserved",
            "InterpreterExit",
        ];
        assert_eq!(named, expected);
        assert_eq!(executed(255), None, "{}", NOT_EXECUTED[2]);
        // Specialized and instrumented forms are no compiler's.
        assert!((129..=254).all(|number| executed(number).is_none()));
    }

    #[test]
    fn code_is_fit_and_its_damage_never_ends_the_vm() {
        with_code(|vm, marshal| {
            assert_eq!(check(&marshal), Ok(()));
            let loads = vm.import("marshal", 0).ok().unwrap();
            let mut passed = 0;
            for at in 0..marshal.len() {
                for flip in [1, 4, 0x80, 0xff] {
                    let mut damaged = marshal.clone();
                    damaged[at] ^= flip;
                    if check(&damaged).is_ok() {
                        passed += 1;
                        let _ = crate::vm::unmarshal::unmarshal(vm, &damaged);
                        let bytes = vm.ctx.new_bytes(damaged);
                        // An exception is a way to say no; a panic would end the test.
                        let _ = vm.call_method(&loads, "loads", (bytes,));
                    }
                }
                assert!(check(&marshal[..at]).is_err(), "cut at {at}");
            }
            // Names and constants may be others; instructions and tables are not damaged unseen.
            assert!(passed < marshal.len() * 4, "{passed}");
        });
    }

    #[test]
    fn an_index_out_of_range_an_unknown_opcode_and_a_wild_jump_are_unfit() {
        with_code(|_, marshal| {
            let graph = read(target(), &marshal).unwrap();
            let root = graph.code(graph.root().unwrap()).unwrap();
            let code = bytes(&graph, root, CodeField::Code).unwrap().to_vec();
            let at = marshal.windows(code.len()).position(|part| part == code);
            let at = at.unwrap();
            let with = |unit: [u8; 2]| {
                let mut damaged = marshal.clone();
                // The second instruction: the first is RESUME.
                damaged[at + 2..at + 4].copy_from_slice(&unit);
                check(&damaged)
            };
            let (load_const, jump) = (Opcode::LoadConst as u8, Opcode::JumpForward as u8);
            for unit in [[load_const, 250], [jump, 250], [255, 0], [17, 0], [129, 0]] {
                let unfit = with(unit).unwrap_err();
                assert!(
                    matches!(unfit, Unfit::Opcode { .. } | Unfit::Argument { .. }),
                    "{unfit}"
                );
            }
        });
    }
}
