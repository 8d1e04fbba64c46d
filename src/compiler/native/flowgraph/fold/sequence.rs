//! Tuples, lists and sets whose elements are constants.

use super::{Constants, MAX_LOADS, drop_instr, is_only_read};
use crate::compiler::native::ast::Constant;
use crate::compiler::native::error::{Pass, Stop};
use crate::compiler::native::fold::constant::{self, Folded};
use crate::compiler::native::instruction::Instr;
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
    pub(super) fn fold_tuple(&mut self, instrs: &mut [Instr], index: usize) -> Pass<()> {
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
        instrs: &mut [Instr],
        index: usize,
        next: Option<Op>,
    ) -> Pass<()> {
        let Some(&build) = instrs.get(index) else {
            return Ok(());
        };
        let count = build.arg as usize;
        let only_read = is_only_read(next);
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

    /// A list that is built from constants one by one and then made a tuple. Whether it was folded.
    pub(super) fn fold_list_to_tuple(&mut self, instrs: &mut [Instr], index: usize) -> Pass<bool> {
        let Some((start, values)) = self.built_one_by_one(instrs, index, Op::BuildList) else {
            return Ok(false);
        };
        check_elements(&values)?;
        let tuple = self.pool.tuple_constant(&values);
        drop_all(instrs, start, index);
        if let Some(instr) = instrs.get_mut(index) {
            self.make_load(instr, tuple);
        }
        Ok(true)
    }

    /// A list or set that is built from constants one by one, the last of them at `index`, and then
    /// only iterated over or searched. Its load has no place.
    pub(super) fn fold_last_element(
        &mut self,
        instrs: &mut [Instr],
        index: usize,
        build: Op,
    ) -> Pass<()> {
        let Some((start, values)) = self.built_one_by_one(instrs, index + 1, build) else {
            return Ok(());
        };
        check_elements(&values)?;
        let constant = if build == Op::BuildSet {
            constant::frozenset(self.pool, &values)
        } else {
            self.pool.tuple_constant(&values)
        };
        drop_all(instrs, start, index + 1);
        if let Some(instr) = instrs.get_mut(index) {
            self.make_load(instr, constant);
        }
        Ok(())
    }

    /// Where a list or set begins whose constant elements are added one by one up to `end`, and the
    /// elements.
    fn built_one_by_one(
        &self,
        instrs: &[Instr],
        end: usize,
        build: Op,
    ) -> Option<(usize, Vec<Constant>)> {
        let add = if build == Op::BuildSet {
            Op::SetAdd
        } else {
            Op::ListAppend
        };
        let mut values = Vec::new();
        let mut wants_add = true;
        for (at, instr) in instrs.get(..end)?.iter().enumerate().rev() {
            match instr.op {
                Op::Nop => continue,
                op if op == build && instr.arg == 0 => {
                    values.reverse();
                    return wants_add.then_some((at, values));
                }
                op if op == add && wants_add && instr.arg == 1 => {}
                Op::LoadConst | Op::LoadSmallInt if !wants_add => values.push(self.value(instr)?),
                _ => return None,
            }
            wants_add = !wants_add;
        }
        None
    }
}

/// Drops the instructions from `start` to before `end`.
fn drop_all(instrs: &mut [Instr], start: usize, end: usize) {
    for instr in instrs.get_mut(start..end).unwrap_or(&mut []) {
        if instr.op != Op::Nop {
            drop_instr(instr);
        }
    }
}
