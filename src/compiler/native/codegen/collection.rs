//! Displays of lists, tuples, sets and dicts, and unpacking.

use super::Compiler;
use super::equality::normal_form;
use super::expression::STACK_USE_GUIDELINE;
use super::intrinsic::one;
use crate::compiler::native::ast::{Constant, Ctx, ExprId, ExprKind, ExprList, List, Sym};
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::opcode::Op;

/// The instructions that build a collection.
#[derive(Clone, Copy)]
pub(super) struct Builder {
    build: Op,
    add: Op,
    extend: Op,
    is_tuple: bool,
}

pub(super) const LIST: Builder = Builder {
    build: Op::BuildList,
    add: Op::ListAppend,
    extend: Op::ListExtend,
    is_tuple: false,
};
pub(super) const TUPLE: Builder = Builder {
    is_tuple: true,
    ..LIST
};
pub(super) const SET: Builder = Builder {
    build: Op::BuildSet,
    add: Op::SetAdd,
    extend: Op::SetUpdate,
    is_tuple: false,
};

impl Compiler<'_> {
    pub(super) fn constant_of(&self, id: ExprId) -> Option<Constant> {
        match self.ast.expr(id).kind {
            ExprKind::Constant { value, .. } => Some(value),
            _ => None,
        }
    }

    fn starred(&self, id: ExprId) -> Option<ExprId> {
        match self.ast.expr(id).kind {
            ExprKind::Starred { value, .. } => Some(value),
            _ => None,
        }
    }

    /// Builds a collection of the `pushed` values on the stack, the elements, and the value of the
    /// name `last`.
    pub(super) fn build(
        &mut self,
        loc: Loc,
        elts: &[ExprId],
        last: Option<Sym>,
        pushed: usize,
        builder: Builder,
    ) -> Pass<()> {
        let Builder {
            build,
            add,
            extend,
            is_tuple,
        } = builder;
        // From 3.14 on the graph passes fold.
        if !self.since(14)
            && elts.len() > 2
            && last.is_none()
            && let Some(values) = elts
                .iter()
                .map(|&elt| self.constant_of(elt))
                .collect::<Option<Vec<Constant>>>()
        {
            return self.build_constants(loc, &values, pushed, builder);
        }
        let count = elts.len() + usize::from(last.is_some());
        let big = count + pushed > STACK_USE_GUIDELINE;
        let any_star = elts.iter().any(|&elt| self.starred(elt).is_some());
        if !any_star && !big {
            for &elt in elts {
                self.expression(elt)?;
            }
            if let Some(name) = last {
                self.name_op(loc, name, Ctx::Load)?;
            }
            let op = if is_tuple { Op::BuildTuple } else { build };
            self.op_count(loc, op, count + pushed);
            return Ok(());
        }
        let mut built = big;
        if big {
            self.op_count(loc, build, pushed);
        }
        for (index, &elt) in elts.iter().enumerate() {
            match self.starred(elt) {
                Some(value) => {
                    if !built {
                        self.op_count(loc, build, index + pushed);
                        built = true;
                    }
                    self.expression(value)?;
                    self.op_arg(loc, extend, 1);
                }
                None => {
                    self.expression(elt)?;
                    if built {
                        self.op_arg(loc, add, 1);
                    }
                }
            }
        }
        if let Some(name) = last {
            self.name_op(loc, name, Ctx::Load)?;
            self.op_arg(loc, add, 1);
        }
        if is_tuple {
            self.op_arg(loc, Op::CallIntrinsic1, one::LIST_TO_TUPLE);
        }
        Ok(())
    }

    fn build_constants(
        &mut self,
        loc: Loc,
        values: &[Constant],
        pushed: usize,
        builder: Builder,
    ) -> Pass<()> {
        if builder.is_tuple && pushed == 0 {
            let tuple = self.pool.tuple_constant(values);
            self.load_const(loc, tuple);
            return Ok(());
        }
        let folded = if builder.add == Op::SetAdd {
            self.frozen_set(values)?
        } else {
            self.pool.tuple_constant(values)
        };
        self.op_count(loc, builder.build, pushed);
        self.load_const(loc, folded);
        self.op_arg(loc, builder.extend, 1);
        if builder.is_tuple {
            self.op_arg(loc, Op::CallIntrinsic1, one::LIST_TO_TUPLE);
        }
        Ok(())
    }

    /// The frozenset of some constants: without those that equal an earlier one, as Python compares
    /// (`1 == 1.0 == True`).
    fn frozen_set(&mut self, values: &[Constant]) -> Pass<Constant> {
        let mut kept: Vec<Constant> = Vec::with_capacity(values.len());
        let mut seen = rustc_hash::FxHashSet::default();
        for &value in values {
            let key = normal_form(value, self.pool)?;
            if seen.insert(key) {
                kept.push(value);
            }
        }
        Ok(Constant::FrozenSet(self.pool.intern_tuple(&kept)))
    }

    pub(super) fn list(&mut self, loc: Loc, elts: ExprList, ctx: Ctx) -> Pass<()> {
        match ctx {
            Ctx::Load => self.build(loc, self.ast.slice(elts), None, 0, LIST),
            Ctx::Store => self.unpack_to(loc, elts),
            Ctx::Del => self.expressions(elts),
        }
    }

    pub(super) fn tuple(&mut self, loc: Loc, elts: ExprList, ctx: Ctx) -> Pass<()> {
        match ctx {
            Ctx::Load => self.build(loc, self.ast.slice(elts), None, 0, TUPLE),
            Ctx::Store => self.unpack_to(loc, elts),
            Ctx::Del => self.expressions(elts),
        }
    }

    pub(super) fn set(&mut self, loc: Loc, elts: ExprList) -> Pass<()> {
        self.build(loc, self.ast.slice(elts), None, 0, SET)
    }

    fn unpack_to(&mut self, loc: Loc, elts: ExprList) -> Pass<()> {
        let ast = self.ast;
        let elts = ast.slice(elts);
        let is_star: Vec<bool> = elts.iter().map(|&e| self.starred(e).is_some()).collect();
        self.unpack_op(loc, &is_star, "star-unpacking assignment", "assignment")?;
        for &elt in elts {
            let target = self.starred(elt).unwrap_or(elt);
            self.expression(target)?;
        }
        Ok(())
    }

    /// Unpacks the value on the stack; at most one target takes the rest.
    pub(super) fn unpack_op(
        &mut self,
        loc: Loc,
        is_star: &[bool],
        too_many_in: &str,
        multiple_in: &str,
    ) -> Pass<()> {
        let count = is_star.len();
        let mut stars = (0..count).filter(|&at| is_star.get(at) == Some(&true));
        let Some(before) = stars.next() else {
            self.op_count(loc, Op::UnpackSequence, count);
            return Ok(());
        };
        let after = count - before - 1;
        if before >= 1 << 8 || after >= (i32::MAX as usize) >> 8 {
            let message = format!("too many expressions in {too_many_in}");
            return Err(Stop::syntax(message, loc));
        }
        if stars.next().is_some() {
            let message = format!("multiple starred expressions in {multiple_in}");
            return Err(Stop::syntax(message, loc));
        }
        self.op_count(loc, Op::UnpackEx, before | after << 8);
        Ok(())
    }

    pub(super) fn dict(
        &mut self,
        loc: Loc,
        keys: List<Option<ExprId>>,
        values: ExprList,
    ) -> Pass<()> {
        let ast = self.ast;
        let keys = ast.slice(keys);
        let values = ast.slice(values);
        let pairs: Vec<(Option<ExprId>, ExprId)> =
            keys.iter().copied().zip(values.iter().copied()).collect();
        let mut have_dict = false;
        let mut pending: Vec<(ExprId, ExprId)> = Vec::new();
        for (key, value) in pairs {
            let Some(key) = key else {
                if !pending.is_empty() {
                    self.sub_dict(loc, &mut pending, &mut have_dict)?;
                }
                if !have_dict {
                    self.op_arg(loc, Op::BuildMap, 0);
                    have_dict = true;
                }
                self.expression(value)?;
                self.op_arg(loc, Op::DictUpdate, 1);
                continue;
            };
            let full = pending.len() * 2 > STACK_USE_GUIDELINE;
            pending.push((key, value));
            if full {
                self.sub_dict(loc, &mut pending, &mut have_dict)?;
            }
        }
        if !pending.is_empty() {
            self.sub_dict(loc, &mut pending, &mut have_dict)?;
        }
        if !have_dict {
            self.op_arg(loc, Op::BuildMap, 0);
        }
        Ok(())
    }

    /// Builds a dict of the pending pairs, and merges it into the one below, if any.
    fn sub_dict(
        &mut self,
        loc: Loc,
        pending: &mut Vec<(ExprId, ExprId)>,
        have_dict: &mut bool,
    ) -> Pass<()> {
        let pairs = std::mem::take(pending);
        let count = pairs.len();
        let big = count * 2 > STACK_USE_GUIDELINE;
        let constants: Option<Vec<Constant>> = pairs
            .iter()
            .map(|&(key, _)| self.constant_of(key))
            .collect();
        if count > 1
            && !big
            && !self.since(14)
            && let Some(keys) = constants
        {
            for &(_, value) in &pairs {
                self.expression(value)?;
            }
            let keys = self.pool.tuple_constant(&keys);
            self.load_const(loc, keys);
            self.op_count(loc, Op::BuildConstKeyMap, count);
        } else {
            if big {
                self.op_arg(loc, Op::BuildMap, 0);
            }
            for &(key, value) in &pairs {
                self.expression(key)?;
                self.expression(value)?;
                if big {
                    self.op_arg(loc, Op::MapAdd, 1);
                }
            }
            if !big {
                self.op_count(loc, Op::BuildMap, count);
            }
        }
        if *have_dict {
            self.op_arg(loc, Op::DictUpdate, 1);
        }
        *have_dict = true;
        Ok(())
    }
}
