//! The layout of a frame's variables: cells of parameters share the parameter's place, and the
//! first instructions make the generator and the cells.

use super::UnitFacts;
use super::block::{ENTRY, Graph};
use crate::compiler::native::ast::Sym;
use crate::compiler::native::error::Loc;
use crate::compiler::native::instruction::Instr;
use crate::compiler::native::opcode::Op;

/// The variables of a code object: in code generation locals count from 0, cells and free variables
/// together from 0.
#[derive(Debug)]
pub struct Locals<'a> {
    /// Fast locals.
    pub varnames: &'a [Sym],
    /// Cells.
    pub cellvars: &'a [Sym],
    /// Free variables.
    pub freevars: &'a [Sym],
    /// Set by [`Locals::prepare`]: how many cells are parameters or other locals.
    pub shared: usize,
}

impl Locals<'_> {
    /// Inserts the first instructions and gives cells and free variables their final places.
    pub(super) fn prepare(&mut self, graph: &mut Graph, facts: UnitFacts) {
        let locals = self.varnames.len();
        let mut place: Vec<usize> = (locals..)
            .take(self.cellvars.len() + self.freevars.len())
            .collect();
        for (cell, slot) in self.cellvars.iter().zip(&mut place) {
            if let Some(local) = self.varnames.iter().position(|name| name == cell) {
                *slot = local;
            }
        }
        self.insert_prefix(graph, &place, facts);
        self.shared = 0;
        if place.is_empty() {
            return;
        }
        for (index, slot) in place.iter_mut().enumerate() {
            if *slot == index + locals {
                *slot -= self.shared;
            } else {
                self.shared += 1;
            }
        }
        graph.for_each(|graph, at| {
            for instr in graph.instrs_mut(at) {
                if matches!(
                    instr.op,
                    Op::MakeCell
                        | Op::LoadClosure
                        | Op::LoadDeref
                        | Op::StoreDeref
                        | Op::DeleteDeref
                        | Op::LoadFromDictOrDeref
                ) && let Some(&slot) = place.get(instr.arg as usize)
                {
                    instr.arg = slot as u32;
                }
            }
        });
    }

    fn insert_prefix(&self, graph: &mut Graph, place: &[usize], facts: UnitFacts) {
        if place.is_empty() && !facts.is_generator {
            return;
        }
        let mut prefix = Vec::new();
        if !self.freevars.is_empty() {
            let count = self.freevars.len() as u32;
            prefix.push(Instr::new(Op::CopyFreeVars, count, Loc::NONE));
        }
        let mut cells: Vec<(usize, u32)> = place.iter().copied().zip(0..).collect();
        cells.truncate(self.cellvars.len());
        cells.sort_unstable();
        for (_, cell) in cells {
            prefix.push(Instr::new(Op::MakeCell, cell, Loc::NONE));
        }
        if facts.is_generator {
            let loc = Loc {
                line: facts.first_line,
                end_line: facts.first_line,
                col: -1,
                end_col: -1,
            };
            prefix.push(Instr::new(Op::ReturnGenerator, 0, loc));
            prefix.push(Instr::new(Op::PopTop, 0, loc));
        }
        graph.insert(ENTRY, 0, &prefix);
    }
}
