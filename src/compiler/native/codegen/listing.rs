//! The instruction sequences before the graph passes, as text: what `_testinternalcapi.compiler_codegen`
//! shows of CPython's own, so that code generation is compared alone.

use std::fmt::Write;

use super::finish::Finished;
use super::unit::Unit;
use super::{Compiler, Features};
use crate::compiler::native::ast::{Ast, Pool};
use crate::compiler::native::constant::CodeObject;
use crate::compiler::native::error::{Loc, Pass};
use crate::compiler::native::profile::Profile;
use crate::compiler::native::symtable::SymbolTable;
use crate::pyc::Level;

/// The sequences of a module and of the code objects inside, one instruction a line: index, name,
/// argument or index of the target, place. A sequence begins with `==`; those inside follow it.
pub fn listing(
    ast: &Ast,
    pool: &mut Pool,
    table: &SymbolTable,
    profile: &'static Profile,
    level: Level,
    features: Features,
) -> Pass<String> {
    let mut compiler = Compiler::new(ast, pool, table, profile, level, features)?;
    compiler.listing = true;
    compiler.module()?;
    compiler.finish(true)?;
    Ok(text(&compiler.unit))
}

fn text(unit: &Unit) -> String {
    let mut out = String::from("==\n");
    let sequence = &unit.sequence;
    for (at, instr) in sequence.instrs.iter().enumerate() {
        let arg = if instr.op.has_target() {
            let end = sequence.instrs.len() as u32;
            sequence.position(instr.arg).unwrap_or(end)
        } else {
            instr.arg
        };
        let Loc {
            line,
            end_line,
            col,
            end_col,
        } = instr.loc;
        let name = instr.op.name();
        let _ = writeln!(out, "{at} {name} {arg} {line}:{col}-{end_line}:{end_col}");
    }
    out.extend(unit.nested.iter().map(String::as_str));
    out
}

impl Compiler<'_> {
    /// A code object in name only, equal to those with the same text.
    pub(super) fn finish_listing(&mut self) -> Pass<Finished> {
        let nothing = self.heap.names(&[], self.pool);
        let code = CodeObject {
            argcount: 0,
            posonlyargcount: 0,
            kwonlyargcount: 0,
            stacksize: 0,
            flags: 0,
            code: self.heap.keep(text(&self.unit).into_bytes())?,
            consts: nothing,
            names: nothing,
            localsplusnames: nothing,
            localspluskinds: nothing,
            name: nothing,
            qualname: nothing,
            firstlineno: 0,
            linetable: nothing,
            exceptiontable: nothing,
        };
        Ok(Finished {
            id: self.heap.code(code),
            freevars: self.unit.freevars.keys().to_vec(),
        })
    }

    /// Gives the text of a code object that is left to the one around it.
    pub(super) fn hand_over_listing(&mut self, nested: Box<Unit>) {
        if self.listing {
            self.unit.nested.push(text(&nested));
        }
    }
}
