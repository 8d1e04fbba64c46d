//! Constants: what is known about a loaded constant, tuples of constants (3.13), unused constants.

use super::block::{ENTRY, Graph};
use super::fold::Constants;
use crate::compiler::native::ast::Constant;
use crate::compiler::native::constant::Item;
use crate::compiler::native::fold::constant::is_true;
use crate::compiler::native::instruction::{Instr, NONE};
use crate::compiler::native::opcode::Op;

/// How versions differ in what they do with loaded constants.
#[derive(Clone, Copy, Debug)]
pub(super) struct LoadRules {
    /// Small integers have an instruction of their own (3.14).
    pub(super) small_ints: bool,
    /// A constant and `RETURN_VALUE` become one instruction (up to 3.13).
    pub(super) return_const: bool,
}

impl Graph {
    /// Simplifies what follows a loaded constant.
    pub(super) fn optimize_load_const(&mut self, consts: &mut Constants<'_>, rules: LoadRules) {
        self.for_each(|graph, at| {
            if !graph[at].kinds.value_loads() {
                return;
            }
            let done = load_const_in(graph.instrs_mut(at), consts, rules);
            graph.flow_changed |= done.decided;
            if done.changed {
                graph.note_kinds(at);
            }
        });
    }

    /// Drops the constants that no instruction loads; the first one always stays, since it may be
    /// the docstring.
    pub(super) fn remove_unused_consts(&mut self, consts: &mut Vec<Item>) {
        if consts.is_empty() {
            return;
        }
        if consts.len() <= 64 && self.uses_all(consts.len()) {
            return;
        }
        let mut new_index = vec![NONE; consts.len()];
        if let Some(first) = new_index.first_mut() {
            *first = 0;
        }
        self.for_each(|graph, at| {
            if !graph[at].kinds.value_loads() {
                return;
            }
            for instr in graph.instrs(at) {
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
            if !graph[at].kinds.value_loads() {
                return;
            }
            for instr in graph.instrs_mut(at) {
                if instr.op.has_const()
                    && let Some(&index) = new_index.get(instr.arg as usize)
                {
                    instr.arg = index;
                }
            }
        });
    }
}

impl Constants<'_> {
    /// Replaces the loads before a `BUILD_TUPLE` at `index` by one tuple, if all are constants.
    pub(super) fn fold_tuple_of_loads(&mut self, instrs: &mut [Instr], index: usize) {
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
            match self.items.get(load.arg as usize) {
                Some(&Item::Value(value)) => items.push(value),
                _ => return,
            }
        }
        let tuple = self.pool.tuple_constant(&items);
        let tuple = self.add(tuple);
        for load in instrs.get_mut(start..index).unwrap_or(&mut []) {
            load.clear();
        }
        if let Some(build) = instrs.get_mut(index) {
            build.op = Op::LoadConst;
            build.arg = tuple;
        }
    }
}

impl Graph {
    /// Whether each of up to 64 constants but the first is loaded.
    fn uses_all(&self, count: usize) -> bool {
        let mut unused = u64::MAX >> (64 - count) & !1;
        let mut at = ENTRY;
        while at != NONE && unused != 0 {
            if self[at].kinds.value_loads() {
                for instr in self.instrs(at) {
                    if instr.op.has_const() && instr.arg < 64 {
                        unused &= !(1 << instr.arg);
                    }
                }
            }
            at = self[at].next;
        }
        unused == 0
    }
}

/// The truth value of what an instruction loads: code objects are true, and so is NaN.
fn truth(load: &Instr, consts: &Constants<'_>) -> bool {
    consts
        .value(load)
        .is_none_or(|value| is_true(consts.pool, value))
}

/// What became of a block's loads of constants.
#[derive(Clone, Copy, Debug, Default)]
struct Simplified {
    /// Whether a jump was decided.
    decided: bool,
    /// Whether there are instructions of other kinds now.
    changed: bool,
}

fn load_const_in(instrs: &mut [Instr], consts: &mut Constants<'_>, rules: LoadRules) -> Simplified {
    let mut done = Simplified::default();
    // The constant on top of the stack, also behind copies of it.
    let mut top: Option<Instr> = None;
    let mut index = 0;
    loop {
        if top.is_none() {
            let rest = instrs.get(index..).unwrap_or(&[]);
            match rest.iter().position(|instr| instr.op.loads_value()) {
                Some(found) => index += found,
                None => break,
            }
        }
        let Some(instr) = instrs.get_mut(index) else {
            break;
        };
        if rules.small_ints {
            consts.shorten(instr);
        }
        let here = index;
        index += 1;
        if matches!(instr.op, Op::LoadConst | Op::LoadSmallInt) {
            top = Some(*instr);
        } else if instr.op != Op::Copy
            || instr.arg != 1
            || top.is_some_and(|top| top.op != Op::LoadConst)
        {
            top = None;
        }
        let Some(constant) = top else {
            continue;
        };
        let Some([load, next, rest @ ..]) = instrs.get_mut(here..) else {
            continue;
        };
        if !next.op.concerns_constant() {
            top = None;
            continue;
        }
        match next.op {
            Op::PopJumpIfFalse | Op::PopJumpIfTrue | Op::JumpIfFalse | Op::JumpIfTrue => {
                if matches!(next.op, Op::PopJumpIfFalse | Op::PopJumpIfTrue) {
                    load.clear();
                }
                done.decided = true;
                done.changed = true;
                let if_true = matches!(next.op, Op::PopJumpIfTrue | Op::JumpIfTrue);
                if truth(&constant, consts) == if_true {
                    next.op = Op::Jump;
                } else {
                    next.clear();
                }
            }
            Op::IsOp if consts.value(&constant) == Some(Constant::None) => {
                fold_is_none(load, next, rest);
                done.changed = true;
            }
            Op::ReturnValue if rules.return_const => {
                load.clear();
                next.op = Op::ReturnConst;
                next.arg = constant.arg;
                index += 1;
                done.changed = true;
            }
            Op::ToBool => {
                let value = Constant::Bool(truth(&constant, consts));
                load.clear();
                next.op = Op::LoadConst;
                next.arg = consts.add(value);
                done.changed = true;
            }
            _ => {}
        }
    }
    done
}

/// `None`, `IS_OP`, conditional jump becomes one jump.
fn fold_is_none(load: &mut Instr, is: &mut Instr, rest: &mut [Instr]) {
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
