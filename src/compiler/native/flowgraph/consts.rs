//! Constants: what is known about a loaded constant, tuples of constants, unused constants.

use super::block::{BlockIndex, CfgInstr, Graph};
use crate::compiler::native::ast::{Constant, Pool};
use crate::compiler::native::constant::Item;
use crate::compiler::native::instruction::NONE;
use crate::compiler::native::opcode::Op;

/// The truth value of a constant.
fn is_true(item: Item, pool: &Pool) -> bool {
    let Item::Value(value) = item else {
        return true;
    };
    match value {
        Constant::None => false,
        Constant::Ellipsis | Constant::Big(_) | Constant::Slice(_) => true,
        Constant::Bool(value) => value,
        Constant::Int(value) => value != 0,
        Constant::Float(bits) => f64::from_bits(bits) != 0.0,
        Constant::Complex(id) => pool.complex(id) != (0.0, 0.0),
        Constant::Str(sym) => !pool.text(sym).is_empty(),
        Constant::Bytes(id) => !pool.bytes(id).is_empty(),
        Constant::Tuple(id) | Constant::FrozenSet(id) => !pool.tuple(id).is_empty(),
    }
}

/// The index of a constant, which is added if it is new.
fn add_const(item: Item, consts: &mut Vec<Item>) -> u32 {
    let at = consts.iter().position(|&other| other == item);
    let at = at.unwrap_or_else(|| {
        consts.push(item);
        consts.len() - 1
    });
    at as u32
}

impl Graph {
    /// Simplifies what follows a loaded constant.
    pub(super) fn optimize_load_const(&mut self, consts: &mut Vec<Item>, pool: &Pool) {
        self.for_each(|graph, at| {
            load_const_in(&mut graph[at].instrs, consts, pool);
        });
    }

    /// Replaces the loads before a `BUILD_TUPLE` at `index` by one tuple, if all are constants.
    pub(super) fn fold_tuple(
        &mut self,
        at: BlockIndex,
        index: usize,
        consts: &mut Vec<Item>,
        pool: &mut Pool,
    ) {
        let instrs = &mut self[at].instrs;
        let Some(&build) = instrs.get(index) else {
            return;
        };
        let count = build.arg as usize;
        let Some(start) = index.checked_sub(count) else {
            return;
        };
        let mut items = Vec::with_capacity(count);
        for load in instrs.get(start..index).unwrap_or(&[]) {
            if load.op != Op::LoadConst {
                return;
            }
            match consts.get(load.arg as usize) {
                Some(&Item::Value(value)) => items.push(value),
                _ => return,
            }
        }
        let tuple = add_const(Item::Value(pool.tuple_constant(&items)), consts);
        for load in instrs.get_mut(start..index).unwrap_or(&mut []) {
            load.clear();
        }
        if let Some(build) = instrs.get_mut(index) {
            build.op = Op::LoadConst;
            build.arg = tuple;
        }
    }

    /// Drops the constants that no instruction loads; the first one always stays, since it may be
    /// the docstring.
    pub(super) fn remove_unused_consts(&mut self, consts: &mut Vec<Item>) {
        if consts.is_empty() {
            return;
        }
        let mut new_index = vec![NONE; consts.len()];
        if let Some(first) = new_index.first_mut() {
            *first = 0;
        }
        self.for_each(|graph, at| {
            for instr in &graph[at].instrs {
                if instr.op.has_const()
                    && let Some(used) = new_index.get_mut(instr.arg as usize)
                {
                    *used = 0;
                }
            }
        });
        let mut kept = 0;
        for (at, index) in new_index.iter_mut().enumerate() {
            if *index == NONE {
                continue;
            }
            *index = kept;
            if let Some(&item) = consts.get(at)
                && let Some(slot) = consts.get_mut(kept as usize)
            {
                *slot = item;
            }
            kept += 1;
        }
        if kept as usize == consts.len() {
            return;
        }
        consts.truncate(kept as usize);
        self.for_each(|graph, at| {
            for instr in &mut graph[at].instrs {
                if instr.op.has_const()
                    && let Some(&index) = new_index.get(instr.arg as usize)
                {
                    instr.arg = index;
                }
            }
        });
    }
}

fn load_const_in(instrs: &mut [CfgInstr], consts: &mut Vec<Item>, pool: &Pool) {
    // The constant on top of the stack, also behind copies of it.
    let mut top: Option<u32> = None;
    let mut index = 0;
    while let Some(&instr) = instrs.get(index) {
        let here = index;
        index += 1;
        let copies_top = top.is_some() && instr.op == Op::Copy && instr.arg == 1;
        if !copies_top {
            top = (instr.op == Op::LoadConst).then_some(instr.arg);
        }
        let Some(constant) = top else {
            continue;
        };
        let Some(&item) = consts.get(constant as usize) else {
            continue;
        };
        let Some([load, next, rest @ ..]) = instrs.get_mut(here..) else {
            continue;
        };
        match next.op {
            Op::PopJumpIfFalse | Op::PopJumpIfTrue => {
                load.clear();
                if is_true(item, pool) == (next.op == Op::PopJumpIfTrue) {
                    next.op = Op::Jump;
                } else {
                    next.clear();
                }
            }
            Op::IsOp => fold_is_none(item, load, next, rest),
            Op::ReturnValue => {
                load.clear();
                next.op = Op::ReturnConst;
                next.arg = constant;
                index += 1;
            }
            Op::ToBool => {
                let value = Constant::Bool(is_true(item, pool));
                load.clear();
                next.op = Op::LoadConst;
                next.arg = add_const(Item::Value(value), consts);
            }
            _ => {}
        }
    }
}

/// `None`, `IS_OP`, conditional jump becomes one jump.
fn fold_is_none(item: Item, load: &mut CfgInstr, is: &mut CfgInstr, rest: &mut [CfgInstr]) {
    if item != Item::Value(Constant::None) {
        return;
    }
    let jump = match rest {
        [to_bool, rest @ ..] if to_bool.op == Op::ToBool => {
            to_bool.clear();
            rest.first_mut()
        }
        rest => rest.first_mut(),
    };
    let Some(jump) = jump else {
        return;
    };
    let if_true = match jump.op {
        Op::PopJumpIfTrue => true,
        Op::PopJumpIfFalse => false,
        _ => return,
    };
    let is_not = is.arg != 0;
    load.clear();
    is.clear();
    jump.op = if if_true == is_not {
        Op::PopJumpIfNotNone
    } else {
        Op::PopJumpIfNone
    };
}
