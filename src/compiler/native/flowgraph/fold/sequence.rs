//! Tuples, lists and sets whose elements are constants.

use super::{Constants, LIST_TO_TUPLE, MAX_LOADS, drop_instr};
use crate::compiler::native::ast::Constant;
use crate::compiler::native::error::{Pass, Stop};
use crate::compiler::native::flowgraph::block::CfgInstr;
use crate::compiler::native::fold::constant::{self, Folded};
use crate::compiler::native::opcode::Op;

/// Shorter lists and sets are built element by element.
const MIN_ELEMENTS: usize = 3;

/// A tuple with a NaN in it would have to keep the very object.
fn check_elements(values: &[Constant]) -> Pass<()> {
    let is_nan =
        |value: &Constant| matches!(value, Constant::Float(bits) if f64::from_bits(*bits).is_nan());
    if values.iter().any(is_nan) {
        return Err(Stop::unsure("a NaN in a constant tuple"));
    }
    Ok(())
}

impl Constants<'_> {
    /// `BUILD_TUPLE` of constants.
    pub(super) fn fold_tuple(&mut self, instrs: &mut [CfgInstr], index: usize) -> Pass<()> {
        let count = instrs.get(index).map_or(0, |instr| instr.arg as usize);
        if count > MAX_LOADS || !self.find_loads(instrs, index, count) {
            return Ok(());
        }
        let Some(values) = self.values(instrs) else {
            return Ok(());
        };
        check_elements(&values)?;
        let tuple = self.pool.tuple_constant(&values);
        self.put(instrs, index, Folded::Value(tuple))
    }

    /// `BUILD_LIST` or `BUILD_SET` of constants: a constant where it is only iterated over or
    /// searched, else one that extends an empty list or set.
    pub(super) fn fold_list_or_set(
        &mut self,
        instrs: &mut [CfgInstr],
        index: usize,
        next: Option<Op>,
    ) -> Pass<()> {
        let Some(&build) = instrs.get(index) else {
            return Ok(());
        };
        let count = build.arg as usize;
        let only_read = matches!(next, Some(Op::GetIter | Op::ContainsOp));
        if count > MAX_LOADS || (count < MIN_ELEMENTS && !only_read) {
            return Ok(());
        }
        let values = if self.find_loads(instrs, index, count) {
            self.values(instrs)
        } else {
            None
        };
        let is_list = build.op == Op::BuildList;
        let Some(values) = values else {
            if only_read
                && is_list
                && let Some(build) = instrs.get_mut(index)
            {
                build.op = Op::BuildTuple;
            }
            return Ok(());
        };
        check_elements(&values)?;
        let constant = if is_list {
            self.pool.tuple_constant(&values)
        } else {
            constant::frozenset(self.pool, &values)
        };
        let added = self.add(constant);
        self.drop_loads(instrs);
        if only_read {
            if let Some(build) = instrs.get_mut(index) {
                build.op = Op::LoadConst;
                build.arg = added;
            }
            return Ok(());
        }
        let Some([empty, load, extend]) = instrs.get_mut(index.saturating_sub(2)..=index) else {
            return Ok(());
        };
        empty.op = build.op;
        empty.arg = 0;
        empty.loc = build.loc;
        load.op = Op::LoadConst;
        load.arg = added;
        extend.op = if is_list {
            Op::ListExtend
        } else {
            Op::SetUpdate
        };
        extend.arg = 1;
        Ok(())
    }

    /// A list that is built from constants one by one and then made a tuple.
    pub(super) fn fold_list_to_tuple(&mut self, instrs: &mut [CfgInstr], index: usize) -> Pass<()> {
        let mut values = Vec::new();
        let mut wants_append = true;
        let mut start = None;
        for (at, instr) in instrs.get(..index).unwrap_or(&[]).iter().enumerate().rev() {
            match instr.op {
                Op::Nop => continue,
                Op::BuildList if instr.arg == 0 => {
                    start = wants_append.then_some(at);
                    break;
                }
                Op::ListAppend if wants_append && instr.arg == 1 => {}
                Op::LoadConst | Op::LoadSmallInt if !wants_append => match self.value(instr) {
                    Some(value) => values.push(value),
                    None => return Ok(()),
                },
                _ => return Ok(()),
            }
            wants_append = !wants_append;
        }
        let Some(start) = start else {
            return Ok(());
        };
        debug_assert!(
            instrs
                .get(index)
                .is_some_and(|instr| instr.arg == LIST_TO_TUPLE)
        );
        check_elements(&values)?;
        values.reverse();
        let tuple = self.pool.tuple_constant(&values);
        for instr in instrs.get_mut(start..index).unwrap_or(&mut []) {
            if instr.op != Op::Nop {
                drop_instr(instr);
            }
        }
        self.places.clear();
        self.put(instrs, index, Folded::Value(tuple))
    }
}
