//! Folding of constants on the graph (3.14 and later): loads of constants and the instruction that
//! takes them become one load.
//!
//! Input: a block in which control runs from the top to the bottom. An instruction is folded when
//! everything that it takes is loaded right before it, with nothing but `NOP`s between. Output: the
//! loads are `NOP`s without a place, the instruction is a load at its own place. The constant is
//! added behind the others; those that nobody loads any more go later.
//!
//! What the operators make, and when they are too large, is `native::fold::constant`'s business.

mod operator;
mod sequence;

use crate::compiler::native::ast::{Constant, Pool};
use crate::compiler::native::constant::{Heap, Item, Object};
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::fold::constant::Folded;
use crate::compiler::native::instruction::Instr;
use crate::compiler::native::opcode::Op;
use rustc_hash::FxHashMap;

/// The most loads that become one constant: CPython's guideline for the use of the stack.
const MAX_LOADS: usize = 30;
/// Integers from 0 up to here are arguments of `LOAD_SMALL_INT`.
const MAX_SMALL_INT: i64 = 255;

/// `CALL_INTRINSIC_1`: `+value`
const UNARY_POSITIVE: u32 = 5;
/// `CALL_INTRINSIC_1`: the tuple of a list
const LIST_TO_TUPLE: u32 = 6;

/// The constants of a code object, and what is needed to make new ones.
#[derive(Debug)]
pub struct Constants<'a> {
    /// The entries of `co_consts` so far.
    pub items: &'a mut Vec<Item>,
    /// The values.
    pub pool: &'a mut Pool,
    /// The objects that no value stands for.
    pub heap: &'a mut Heap,
    /// Scratch: where the operands are loaded.
    places: Vec<usize>,
    /// The first index of each of the first `tabled` items, once there are many.
    table: FxHashMap<Item, u32>,
    tabled: usize,
}

/// Up to so many constants a search is faster than a table.
const FEW: usize = 32;

impl<'a> Constants<'a> {
    /// The constants of one code object.
    pub fn new(items: &'a mut Vec<Item>, pool: &'a mut Pool, heap: &'a mut Heap) -> Constants<'a> {
        Constants {
            items,
            pool,
            heap,
            places: Vec::new(),
            table: FxHashMap::default(),
            tabled: 0,
        }
    }

    /// The index of a constant, which is added if it is new.
    pub(super) fn add(&mut self, value: Constant) -> u32 {
        let item = match value {
            // Not equal to itself, so never merged.
            Constant::Float(bits) if f64::from_bits(bits).is_nan() => {
                Item::Object(self.heap.nan(bits))
            }
            value => Item::Value(Heap::canonical(value, self.pool)),
        };
        self.find(item).unwrap_or_else(|| {
            self.items.push(item);
            self.items.len() as u32 - 1
        })
    }

    fn find(&mut self, item: Item) -> Option<u32> {
        if self.items.len() <= FEW {
            let known = self.items.iter().position(|&other| other == item);
            return known.map(|at| at as u32);
        }
        let new = self.items.get(self.tabled..).unwrap_or(&[]);
        for (&item, at) in new.iter().zip(self.tabled as u32..) {
            self.table.entry(item).or_insert(at);
        }
        self.tabled = self.items.len();
        self.table.get(&item).copied()
    }

    /// The item that an instruction loads.
    fn loaded(&self, load: &Instr) -> Option<Item> {
        match load.op {
            Op::LoadConst => self.items.get(load.arg as usize).copied(),
            Op::LoadSmallInt => Some(Item::Value(Constant::Int(i64::from(load.arg)))),
            _ => None,
        }
    }

    /// The value that an instruction loads, if it is one: code objects are none.
    pub(super) fn value(&self, load: &Instr) -> Option<Constant> {
        match self.loaded(load)? {
            Item::Value(value) => Some(value),
            Item::Object(id) => match self.heap.get(id) {
                Object::Float(bits) => Some(Constant::Float(*bits)),
                Object::None
                | Object::Ellipsis
                | Object::Bool(_)
                | Object::Int(_)
                | Object::Big(_)
                | Object::Complex(_)
                | Object::Str { .. }
                | Object::Bytes(_)
                | Object::OwnBytes(_)
                | Object::Tuple(_)
                | Object::FrozenSet(_)
                | Object::Slice(_)
                | Object::Code(_) => None,
            },
        }
    }

    /// Turns the load of a small integer into `LOAD_SMALL_INT`.
    pub(super) fn shorten(&self, load: &mut Instr) {
        if load.op == Op::LoadConst
            && let Some(&Item::Value(value)) = self.items.get(load.arg as usize)
            && let Some(small) = small_int(value)
        {
            load.op = Op::LoadSmallInt;
            load.arg = small;
        }
    }

    /// Turns an instruction into the load of a value.
    fn make_load(&mut self, instr: &mut Instr, value: Constant) {
        match small_int(value) {
            Some(small) => {
                instr.op = Op::LoadSmallInt;
                instr.arg = small;
            }
            None => {
                instr.arg = self.add(value);
                instr.op = Op::LoadConst;
            }
        }
    }

    /// Finds the `count` loads of constants right before `end`, and keeps their places.
    fn find_loads(&mut self, instrs: &[Instr], end: usize, count: usize) -> bool {
        self.places.clear();
        let before = instrs.get(..end).unwrap_or(&[]).iter().enumerate().rev();
        for (at, instr) in before {
            if self.places.len() == count {
                break;
            }
            match instr.op {
                Op::Nop => {}
                Op::LoadConst | Op::LoadSmallInt => self.places.push(at),
                _ => return false,
            }
        }
        self.places.reverse();
        self.places.len() == count
    }

    /// The values at the places that were found. `None` if one is a code object.
    fn values(&self, instrs: &[Instr]) -> Option<Vec<Constant>> {
        let loads = self.places.iter().map(|&at| instrs.get(at));
        loads.map(|load| self.value(load?)).collect()
    }

    /// Drops the loads that were found.
    fn drop_loads(&self, instrs: &mut [Instr]) {
        for &at in &self.places {
            if let Some(load) = instrs.get_mut(at) {
                drop_instr(load);
            }
        }
    }

    /// Puts what became of an operation in the place of the instruction and its loads.
    fn put(&mut self, instrs: &mut [Instr], index: usize, folded: Folded) -> Pass<()> {
        match folded {
            Folded::Value(value) => {
                self.drop_loads(instrs);
                if let Some(instr) = instrs.get_mut(index) {
                    self.make_load(instr, value);
                }
                Ok(())
            }
            Folded::Not => Ok(()),
            Folded::Unsure(why) => Err(Stop::unsure(why)),
        }
    }

    /// Folds the instruction at `index` of a block, if it can be.
    pub(super) fn fold(&mut self, instrs: &mut [Instr], index: usize) -> Pass<()> {
        let Some(&instr) = instrs.get(index) else {
            return Ok(());
        };
        let next = instrs.get(index + 1).map(|next| next.op);
        match instr.op {
            Op::BuildTuple => self.fold_tuple(instrs, index),
            Op::BuildList | Op::BuildSet => self.fold_list_or_set(instrs, index, next),
            Op::UnaryNot | Op::UnaryInvert | Op::UnaryNegative => self.fold_unary(instrs, index),
            Op::BinaryOp => self.fold_binary(instrs, index),
            Op::CallIntrinsic1 if instr.arg == UNARY_POSITIVE => self.fold_unary(instrs, index),
            Op::CallIntrinsic1 if instr.arg == LIST_TO_TUPLE => {
                let folded = self.fold_list_to_tuple(instrs, index)?;
                if !folded
                    && next == Some(Op::GetIter)
                    && let Some(instr) = instrs.get_mut(index)
                {
                    // A list is as good as a tuple to iterate over.
                    instr.clear();
                }
                Ok(())
            }
            Op::ListAppend if is_only_read(next) => {
                self.fold_last_element(instrs, index, Op::BuildList)
            }
            Op::SetAdd if is_only_read(next) => self.fold_last_element(instrs, index, Op::BuildSet),
            _ => Ok(()),
        }
    }
}

/// Whether the instruction that follows iterates over or searches what is on the stack.
fn is_only_read(next: Option<Op>) -> bool {
    matches!(next, Some(Op::GetIter | Op::ContainsOp))
}

fn small_int(value: Constant) -> Option<u32> {
    match value {
        Constant::Int(value) if (0..=MAX_SMALL_INT).contains(&value) => u32::try_from(value).ok(),
        _ => None,
    }
}

/// Turns it into a `NOP` that no line needs.
fn drop_instr(instr: &mut Instr) {
    instr.clear();
    instr.loc = Loc::NONE;
}
