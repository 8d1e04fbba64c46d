//! The end of a code object: graph passes, assembly, and the object.

use super::Compiler;
use super::identifiers::identifiers;
use super::unit::Spare;
use crate::compiler::native::assemble::assemble;
use crate::compiler::native::ast::{Constant, Sym};
use crate::compiler::native::constant::{CodeObject, Item, ObjectId};
use crate::compiler::native::error::{Loc, Pass};
use crate::compiler::native::flowgraph::{self, Constants, Graph, Locals, UnitFacts};
use crate::compiler::native::opcode::Op;
use crate::compiler::native::profile::Profile;
use crate::compiler::native::symtable::Block;

const CO_OPTIMIZED: u32 = 0x1;
const CO_NEWLOCALS: u32 = 0x2;
const CO_VARARGS: u32 = 0x4;
const CO_VARKEYWORDS: u32 = 0x8;
const CO_NESTED: u32 = 0x10;
const CO_GENERATOR: u32 = 0x20;
const CO_COROUTINE: u32 = 0x80;
const CO_ASYNC_GENERATOR: u32 = 0x200;
/// 3.14
const CO_HAS_DOCSTRING: u32 = 0x400_0000;
/// 3.14
const CO_METHOD: u32 = 0x800_0000;

/// 3.14: a parameter that can be given by place, by name, that takes all that are left.
const KIND_BY_PLACE: u8 = 0x02;
const KIND_BY_NAME: u8 = 0x04;
const KIND_REST: u8 = 0x08;
const KIND_HIDDEN: u8 = 0x10;
const KIND_LOCAL: u8 = 0x20;
const KIND_CELL: u8 = 0x40;
const KIND_FREE: u8 = 0x80;

/// A code object that is done.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) id: ObjectId,
    pub(super) freevars: Vec<Sym>,
}

impl Finished {
    pub(super) fn item(&self) -> Item {
        Item::Object(self.id)
    }
}

fn flags_of(block: &Block, profile: &Profile) -> u32 {
    if !block.is_function_like() {
        return 0;
    }
    let since_3_14 = profile.since(14);
    let mut flags = CO_NEWLOCALS | CO_OPTIMIZED;
    flags |= match (block.generator, block.coroutine) {
        (true, false) => CO_GENERATOR,
        (false, true) => CO_COROUTINE,
        (true, true) => CO_ASYNC_GENERATOR,
        (false, false) => 0,
    };
    for (on, flag) in [
        (block.nested, CO_NESTED),
        (block.varargs, CO_VARARGS),
        (block.varkeywords, CO_VARKEYWORDS),
        (since_3_14 && block.has_docstring, CO_HAS_DOCSTRING),
        (since_3_14 && block.method, CO_METHOD),
    ] {
        if on {
            flags |= flag;
        }
    }
    flags
}

impl Compiler<'_> {
    /// Optimizes and assembles the current code object. `add_none`: falling off the end returns
    /// `None`, not the value on the stack.
    pub(super) fn finish(&mut self, add_none: bool) -> Pass<Finished> {
        if add_none {
            self.load_none(Loc::NONE);
        }
        self.op(Loc::NONE, Op::ReturnValue);
        if self.listing {
            return self.finish_listing();
        }
        let code = std::mem::take(&mut self.unit.annotations_code);
        if !code.is_empty() {
            // Behind the module's RESUME.
            self.unit.sequence.insert(1, &code);
        }

        let block = self.table.block(self.unit.block);
        let flags = flags_of(block, self.profile) | self.features.flags;
        let is_generator = flags & (CO_GENERATOR | CO_COROUTINE | CO_ASYNC_GENERATOR) != 0;
        let unit = &mut self.unit;
        let mut consts: Vec<Item> = unit.consts.take_keys();
        let mut locals = Locals {
            varnames: unit.varnames.keys(),
            cellvars: unit.cellvars.keys(),
            freevars: unit.freevars.keys(),
            shared: 0,
        };
        let facts = UnitFacts {
            local_count: unit.varnames.len(),
            param_count: block.varnames.len(),
            first_line: unit.first_line,
            is_generator,
        };
        let stack_depth = flowgraph::optimize(
            &mut self.graph,
            &mut unit.sequence,
            &mut Constants::new(&mut consts, self.pool, &mut self.heap),
            self.profile,
            facts,
            &mut locals,
        )?;
        let assembled = assemble(&mut self.graph, self.profile, unit.first_line)?;
        let is_large = self.graph.is_large();
        if is_large {
            // Not kept for the next code object.
            self.graph = Graph::new();
        }
        let is_set = |item: &Item| matches!(item, Item::Value(Constant::FrozenSet(_)));
        if consts.iter().any(is_set) {
            self.note_names();
        }
        let (mut variables, kinds) = self.variables();
        let pool = &mut *self.pool;
        let heap = &mut self.heap;
        let unit = &self.unit;
        let bytecode = heap.keep(assembled.code)?;
        let exceptiontable = heap.bytes(&assembled.exceptiontable, pool);
        let linetable = heap.bytes(&assembled.linetable, pool);
        let names = heap.names(unit.names.keys(), pool);
        let consts_tuple = heap.consts(&consts, pool);
        let localsplusnames = match unit.public_parameter {
            Some(name) => {
                variables.splice(..1, [name]);
                heap.own_names(&variables)
            }
            None => heap.names(&variables, pool),
        };
        let localspluskinds = heap.own_bytes(&kinds, pool)?;
        let code = CodeObject {
            argcount: unit.posonlyargcount + unit.argcount,
            posonlyargcount: unit.posonlyargcount,
            kwonlyargcount: unit.kwonlyargcount,
            stacksize: stack_depth.max(1),
            flags,
            code: bytecode,
            consts: consts_tuple,
            names,
            localsplusnames,
            localspluskinds,
            name: heap.name(unit.name),
            qualname: heap.name(unit.qualname),
            firstlineno: unit.first_line,
            linetable,
            exceptiontable,
        };
        let finished = Finished {
            id: heap.code(code),
            freevars: unit.freevars.keys().to_vec(),
        };
        if !is_large {
            let unit = &mut *self.unit;
            self.spare.push(Spare {
                sequence: std::mem::take(&mut unit.sequence),
                consts,
                names: std::mem::take(&mut unit.names),
                varnames: std::mem::take(&mut unit.varnames),
            });
        }
        Ok(finished)
    }

    /// Lets the heap know the names of the program.
    pub(super) fn note_names(&mut self) {
        if self.heap.wants_names() {
            let names = identifiers(self.ast, self.pool);
            self.heap.set_names(names);
        }
    }

    /// How the `at`th local variable is passed, as far as the version notes it.
    fn parameter_kind(&self, at: usize) -> u8 {
        let unit = &self.unit;
        let block = self.table.block(unit.block);
        let mut at = at as u32;
        let mut kinds = [
            (unit.posonlyargcount, KIND_BY_PLACE),
            (unit.argcount, KIND_BY_PLACE | KIND_BY_NAME),
            (unit.kwonlyargcount, KIND_BY_NAME),
            (u32::from(block.varargs), KIND_BY_PLACE | KIND_REST),
            (u32::from(block.varkeywords), KIND_BY_NAME | KIND_REST),
        ]
        .into_iter();
        if !self.since(14) {
            return 0;
        }
        let found = kinds.find(|&(count, _)| {
            let here = at < count;
            at = at.wrapping_sub(count);
            here
        });
        found.map_or(0, |(_, kind)| kind)
    }

    /// Names and kinds of the frame's variables.
    fn variables(&self) -> (Vec<Sym>, Vec<u8>) {
        let unit = &self.unit;
        let mut names = unit.varnames.keys().to_vec();
        let mut kinds: Vec<u8> = names
            .iter()
            .enumerate()
            .map(|(at, &name)| {
                let mut kind = KIND_LOCAL | self.parameter_kind(at);
                if unit.fast_hidden.contains_key(&name) {
                    kind |= KIND_HIDDEN;
                }
                if unit.cellvars.find(name).is_some() {
                    kind |= KIND_CELL;
                }
                kind
            })
            .collect();
        for &name in unit.cellvars.keys() {
            if unit.varnames.find(name).is_none() {
                names.push(name);
                kinds.push(KIND_CELL);
            }
        }
        for &name in unit.freevars.keys() {
            names.push(name);
            kinds.push(KIND_FREE);
        }
        (names, kinds)
    }
}
