//! `match` (PEP 634).
//!
//! Each pattern takes the subject from the top of the stack and goes on where it matches. Where it
//! does not, it jumps to code that pops what the pattern has left on the stack. Captured values
//! wait on the stack, below what is still to be matched, until the whole pattern has matched.

use super::Compiler;
use super::equality::normal_form;
use crate::compiler::native::ast::{
    CmpOp, Constant, Ctx, ExprId, ExprKind, ExprList, List, MatchCase, Operator, Pattern,
    PatternId, PatternKind, PatternList, Sym,
};
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::instruction::Label;
use crate::compiler::native::opcode::Op;

/// The state of the pattern of one `case`.
#[derive(Default)]
struct Matching {
    /// The captured names in the order of their values on the stack.
    stores: Vec<Sym>,
    /// Whether a pattern that always matches is fine here.
    allow_irrefutable: bool,
    /// Where to jump to pop that many values and fail.
    fail_pop: Vec<Label>,
    /// How many values are above the captured ones.
    on_top: usize,
}

impl Compiler<'_> {
    fn is_wildcard(&self, id: PatternId) -> bool {
        matches!(
            self.ast.pattern(id).kind,
            PatternKind::As {
                pattern: None,
                name: None
            }
        )
    }

    pub(super) fn match_statement(&mut self, subject: ExprId, cases: List<MatchCase>) -> Pass<()> {
        self.expression(subject)?;
        let end = self.label();
        let ast = self.ast;
        let cases = ast.slice(cases);
        let default = cases
            .last()
            .filter(|case| cases.len() > 1 && self.is_wildcard(case.pattern));
        let tested = cases.len() - usize::from(default.is_some());
        for (index, case) in cases.iter().take(tested).enumerate() {
            let loc = ast.pattern(case.pattern).loc;
            let last = index + 1 == tested;
            if !last {
                self.op_arg(loc, Op::Copy, 1);
            }
            let mut matching = Matching {
                allow_irrefutable: case.guard.is_some() || index + 1 == cases.len(),
                ..Matching::default()
            };
            self.pattern(case.pattern, &mut matching)?;
            for name in std::mem::take(&mut matching.stores) {
                self.name_op(loc, name, Ctx::Store)?;
            }
            if let Some(guard) = case.guard {
                let fail = self.fail_label(&mut matching, 0);
                self.jump_if(loc, guard, fail, false)?;
            }
            if !last {
                // So that a matched case counts for the line of its body.
                let loc = if self.since(14) { Loc::NEXT } else { loc };
                self.op(loc, Op::PopTop);
            }
            self.statements(case.body)?;
            self.jump(Loc::NONE, Op::Jump, end);
            self.emit_fail_pops(loc, &mut matching);
        }
        if let Some(case) = default {
            let loc = ast.pattern(case.pattern).loc;
            self.op(loc, Op::Nop);
            if let Some(guard) = case.guard {
                self.jump_if(loc, guard, end, false)?;
            }
            self.statements(case.body)?;
        }
        self.place(end);
        Ok(())
    }

    /// Where `pops` values are popped before the next case is tried.
    fn fail_label(&mut self, matching: &mut Matching, pops: usize) -> Label {
        while matching.fail_pop.len() <= pops {
            let label = self.label();
            matching.fail_pop.push(label);
        }
        let label = matching.fail_pop.get(pops).copied();
        label.unwrap_or_else(|| self.label())
    }

    fn jump_to_fail(&mut self, loc: Loc, matching: &mut Matching, op: Op) {
        let pops = matching.on_top + matching.stores.len();
        let label = self.fail_label(matching, pops);
        self.jump(loc, op, label);
    }

    fn emit_fail_pops(&mut self, loc: Loc, matching: &mut Matching) {
        let labels = std::mem::take(&mut matching.fail_pop);
        for (pops, &label) in labels.iter().enumerate().rev() {
            self.place(label);
            if pops > 0 {
                self.op(loc, Op::PopTop);
            }
        }
    }

    /// Moves the top of the stack below `count - 1` values.
    fn rotate(&mut self, loc: Loc, count: usize) {
        for count in (2..=count).rev() {
            self.op_count(loc, Op::Swap, count);
        }
    }

    fn capture(&mut self, loc: Loc, name: Option<Sym>, matching: &mut Matching) -> Pass<()> {
        let Some(name) = name else {
            self.op(loc, Op::PopTop);
            return Ok(());
        };
        self.check_name(loc, name, Ctx::Store)?;
        self.check_new_capture(loc, name, matching)?;
        self.rotate(loc, matching.on_top + matching.stores.len() + 1);
        matching.stores.push(name);
        Ok(())
    }

    fn check_new_capture(&self, loc: Loc, name: Sym, matching: &Matching) -> Pass<()> {
        if matching.stores.contains(&name) {
            let name = self.text_of(name);
            let message = format!("multiple assignments to name '{name}' in pattern");
            return Err(Stop::syntax(message, loc));
        }
        Ok(())
    }

    fn pattern(&mut self, id: PatternId, matching: &mut Matching) -> Pass<()> {
        self.deeper(|c| c.pattern_inner(id, matching))
    }

    /// A pattern inside of another one may always match.
    fn subpattern(&mut self, id: PatternId, matching: &mut Matching) -> Pass<()> {
        let before = std::mem::replace(&mut matching.allow_irrefutable, true);
        self.pattern(id, matching)?;
        matching.allow_irrefutable = before;
        Ok(())
    }

    fn pattern_inner(&mut self, id: PatternId, matching: &mut Matching) -> Pass<()> {
        let Pattern { kind, loc } = self.ast.pattern(id);
        match kind {
            PatternKind::Value { value } => {
                if !matches!(
                    self.ast.expr(value).kind,
                    ExprKind::Constant { .. } | ExprKind::Attribute { .. }
                ) {
                    let message = "patterns may only match literals and attribute lookups";
                    return Err(Stop::syntax(message, loc));
                }
                self.expression(value)?;
                self.compare_op(loc, CmpOp::Eq);
                self.op(loc, Op::ToBool);
                self.jump_to_fail(loc, matching, Op::PopJumpIfFalse);
                Ok(())
            }
            PatternKind::Singleton { value } => {
                self.load_const(loc, value);
                self.compare_op(loc, CmpOp::Is);
                self.jump_to_fail(loc, matching, Op::PopJumpIfFalse);
                Ok(())
            }
            PatternKind::Sequence { patterns } => self.sequence_pattern(loc, patterns, matching),
            PatternKind::Mapping {
                keys,
                patterns,
                rest,
            } => self.mapping_pattern(loc, keys, patterns, rest, matching),
            PatternKind::Class {
                cls,
                patterns,
                kwd_attrs,
                kwd_patterns,
            } => self.class_pattern(loc, cls, patterns, kwd_attrs, kwd_patterns, matching),
            PatternKind::Star { name } => self.capture(loc, name, matching),
            PatternKind::As { pattern, name } => self.as_pattern(loc, pattern, name, matching),
            PatternKind::Or { patterns } => self.or_pattern(loc, patterns, matching),
        }
    }

    fn as_pattern(
        &mut self,
        loc: Loc,
        pattern: Option<PatternId>,
        name: Option<Sym>,
        matching: &mut Matching,
    ) -> Pass<()> {
        let Some(pattern) = pattern else {
            if !matching.allow_irrefutable {
                let message = match name {
                    Some(name) => format!(
                        "name capture '{}' makes remaining patterns unreachable",
                        self.text_of(name)
                    ),
                    None => "wildcard makes remaining patterns unreachable".to_owned(),
                };
                return Err(Stop::syntax(message, loc));
            }
            return self.capture(loc, name, matching);
        };
        matching.on_top += 1;
        self.op_arg(loc, Op::Copy, 1);
        self.pattern(pattern, matching)?;
        matching.on_top -= 1;
        self.capture(loc, name, matching)
    }

    fn check_length(&mut self, loc: Loc, length: usize, op: CmpOp, matching: &mut Matching) {
        self.op(loc, Op::GetLen);
        self.load_const(loc, Constant::Int(length as i64));
        self.compare_op(loc, op);
        self.jump_to_fail(loc, matching, Op::PopJumpIfFalse);
    }

    fn sequence_pattern(
        &mut self,
        loc: Loc,
        patterns: PatternList,
        matching: &mut Matching,
    ) -> Pass<()> {
        let ast = self.ast;
        let patterns = ast.slice(patterns);
        let mut star = None;
        let mut star_wildcard = false;
        let mut only_wildcards = true;
        for (index, &pattern) in patterns.iter().enumerate() {
            if let PatternKind::Star { name } = ast.pattern(pattern).kind {
                if star.is_some() {
                    let message = "multiple starred names in sequence pattern";
                    return Err(Stop::syntax(message, loc));
                }
                star = Some(index);
                star_wildcard = name.is_none();
                only_wildcards &= star_wildcard;
            } else {
                only_wildcards &= self.is_wildcard(pattern);
            }
        }
        matching.on_top += 1;
        self.op(loc, Op::MatchSequence);
        self.jump_to_fail(loc, matching, Op::PopJumpIfFalse);
        let size = patterns.len();
        if star.is_none() {
            self.check_length(loc, size, CmpOp::Eq, matching);
        } else if size > 1 {
            self.check_length(loc, size - 1, CmpOp::GtE, matching);
        }
        matching.on_top -= 1;
        match star {
            _ if only_wildcards => {
                self.op(loc, Op::PopTop);
                Ok(())
            }
            Some(star) if star_wildcard => self.match_items(loc, patterns, star, matching),
            _ => self.match_unpacked(loc, patterns, matching),
        }
    }

    fn match_unpacked(
        &mut self,
        loc: Loc,
        patterns: &[PatternId],
        matching: &mut Matching,
    ) -> Pass<()> {
        let ast = self.ast;
        let is_star: Vec<bool> = patterns
            .iter()
            .map(|&pattern| matches!(ast.pattern(pattern).kind, PatternKind::Star { .. }))
            .collect();
        let (too_many, multiple) = ("star-unpacking sequence pattern", "sequence pattern");
        self.unpack_op(loc, &is_star, too_many, multiple)?;
        matching.on_top += patterns.len();
        for &pattern in patterns {
            matching.on_top -= 1;
            self.subpattern(pattern, matching)?;
        }
        Ok(())
    }

    /// With `*_`: takes single items instead of unpacking all.
    fn match_items(
        &mut self,
        loc: Loc,
        patterns: &[PatternId],
        star: usize,
        matching: &mut Matching,
    ) -> Pass<()> {
        matching.on_top += 1;
        let size = patterns.len();
        for (index, &pattern) in patterns.iter().enumerate() {
            if index == star || self.is_wildcard(pattern) {
                continue;
            }
            self.op_arg(loc, Op::Copy, 1);
            if index < star {
                self.load_const(loc, Constant::Int(index as i64));
            } else {
                self.op(loc, Op::GetLen);
                self.load_const(loc, Constant::Int((size - index) as i64));
                self.binary_op(loc, Operator::Sub, false);
            }
            self.binary_subscript(loc);
            self.subpattern(pattern, matching)?;
        }
        matching.on_top -= 1;
        self.op(loc, Op::PopTop);
        Ok(())
    }

    fn check_not_none(&mut self, loc: Loc, matching: &mut Matching) {
        self.op_arg(loc, Op::Copy, 1);
        self.load_none(loc);
        self.op_arg(loc, Op::IsOp, 1);
        self.jump_to_fail(loc, matching, Op::PopJumpIfFalse);
    }

    fn check_attributes(&self, attrs: &[Sym], patterns: &[PatternId]) -> Pass<()> {
        for (index, (&attr, &pattern)) in attrs.iter().zip(patterns).enumerate() {
            self.check_name(self.ast.pattern(pattern).loc, attr, Ctx::Store)?;
            let later = attrs.iter().zip(patterns).skip(index + 1);
            if let Some((_, &other)) = { later }.find(|&(&other, _)| other == attr) {
                let name = self.text_of(attr);
                let message = format!("attribute name repeated in class pattern: {name}");
                return Err(Stop::syntax(message, self.ast.pattern(other).loc));
            }
        }
        Ok(())
    }

    fn class_pattern(
        &mut self,
        loc: Loc,
        cls: ExprId,
        patterns: PatternList,
        attrs: List<Sym>,
        attr_patterns: PatternList,
        matching: &mut Matching,
    ) -> Pass<()> {
        let ast = self.ast;
        let attrs = ast.slice(attrs);
        let attr_patterns = ast.slice(attr_patterns);
        let patterns = ast.slice(patterns);
        self.check_attributes(attrs, attr_patterns)?;
        self.expression(cls)?;
        self.load_names_const(loc, attrs);
        self.op_count(loc, Op::MatchClass, patterns.len());
        matching.on_top += 1;
        self.op_arg(loc, Op::Copy, 1);
        self.load_none(loc);
        self.op_arg(loc, Op::IsOp, 1);
        self.jump_to_fail(loc, matching, Op::PopJumpIfFalse);
        let count = patterns.len() + attrs.len();
        self.op_count(loc, Op::UnpackSequence, count);
        matching.on_top += count;
        matching.on_top -= 1;
        for &pattern in patterns.iter().chain(attr_patterns) {
            matching.on_top -= 1;
            if self.is_wildcard(pattern) {
                self.op(loc, Op::PopTop);
            } else {
                self.subpattern(pattern, matching)?;
            }
        }
        Ok(())
    }

    fn check_keys(&mut self, loc: Loc, keys: &[ExprId]) -> Pass<()> {
        let mut seen = Vec::new();
        for &key in keys {
            match self.ast.expr(key).kind {
                ExprKind::Constant { value, .. } => {
                    let value = normal_form(value, self.pool)?;
                    if seen.contains(&value) {
                        // The message has the key's repr, which is not worth making here.
                        let mut error = Stop::syntax("mapping pattern checks duplicate key", loc);
                        if let Stop::Rejected(error) = &mut error {
                            error.exact = false;
                        }
                        return Err(error);
                    }
                    seen.push(value);
                }
                ExprKind::Attribute { .. } => {}
                _ => {
                    let message =
                        "mapping pattern keys may only match literals and attribute lookups";
                    return Err(Stop::syntax(message, loc));
                }
            }
        }
        Ok(())
    }

    fn mapping_pattern(
        &mut self,
        loc: Loc,
        keys: ExprList,
        patterns: PatternList,
        rest: Option<Sym>,
        matching: &mut Matching,
    ) -> Pass<()> {
        let ast = self.ast;
        let size = keys.len();
        matching.on_top += 1;
        self.op(loc, Op::MatchMapping);
        self.jump_to_fail(loc, matching, Op::PopJumpIfFalse);
        if size == 0 && rest.is_none() {
            matching.on_top -= 1;
            self.op(loc, Op::PopTop);
            return Ok(());
        }
        if size > 0 {
            self.check_length(loc, size, CmpOp::GtE, matching);
        }
        self.check_keys(loc, ast.slice(keys))?;
        self.expressions(keys)?;
        self.op_count(loc, Op::BuildTuple, size);
        self.op(loc, Op::MatchKeys);
        matching.on_top += 2;
        self.check_not_none(loc, matching);
        self.op_count(loc, Op::UnpackSequence, size);
        matching.on_top += size;
        matching.on_top -= 1;
        for &pattern in ast.slice(patterns) {
            matching.on_top -= 1;
            self.subpattern(pattern, matching)?;
        }
        matching.on_top -= 2;
        if rest.is_none() {
            self.op(loc, Op::PopTop);
            self.op(loc, Op::PopTop);
            return Ok(());
        }
        // A copy of the subject without the keys.
        self.op_arg(loc, Op::BuildMap, 0);
        self.op_arg(loc, Op::Swap, 3);
        self.op_arg(loc, Op::DictUpdate, 2);
        self.op_count(loc, Op::UnpackSequence, size);
        for left in (1..=size).rev() {
            self.op_count(loc, Op::Copy, left + 1);
            self.op_arg(loc, Op::Swap, 2);
            self.op(loc, Op::DeleteSubscr);
        }
        self.capture(loc, rest, matching)
    }

    fn or_pattern(&mut self, loc: Loc, patterns: PatternList, matching: &mut Matching) -> Pass<()> {
        let end = self.label();
        let ast = self.ast;
        let patterns = ast.slice(patterns);
        // What the first alternative captures; the others have to bring theirs into that order.
        let mut control: Option<Vec<Sym>> = None;
        for (index, &alternative) in patterns.iter().enumerate() {
            let at = ast.pattern(alternative).loc;
            let mut inner = Matching {
                allow_irrefutable: index + 1 == patterns.len() && matching.allow_irrefutable,
                ..Matching::default()
            };
            self.op_arg(at, Op::Copy, 1);
            self.pattern(alternative, &mut inner)?;
            match &control {
                None => control = Some(std::mem::take(&mut inner.stores)),
                Some(control) => self.reorder(loc, at, &mut inner.stores, control)?,
            }
            self.jump(at, Op::Jump, end);
            self.emit_fail_pops(at, &mut inner);
        }
        self.op(loc, Op::PopTop);
        self.jump_to_fail(loc, matching, Op::Jump);
        self.place(end);
        let control = control.unwrap_or_default();
        let rotation = control.len() + 1 + matching.on_top + matching.stores.len();
        for name in control {
            self.rotate(loc, rotation);
            self.check_new_capture(loc, name, matching)?;
            matching.stores.push(name);
        }
        self.op(loc, Op::PopTop);
        Ok(())
    }

    fn reorder(
        &mut self,
        pattern: Loc,
        alternative: Loc,
        stores: &mut Vec<Sym>,
        control: &[Sym],
    ) -> Pass<()> {
        let differ = || Stop::syntax("alternative patterns bind different names", pattern);
        if stores.len() != control.len() {
            return Err(differ());
        }
        for (wanted, name) in control.iter().enumerate().rev() {
            let found = stores.iter().position(|other| other == name);
            let found = found.ok_or_else(differ)?;
            if found == wanted {
                continue;
            }
            let rotations = found + 1;
            let moved: Vec<Sym> = stores.drain(..rotations).collect();
            let target = wanted.saturating_sub(found).min(stores.len());
            stores.splice(target..target, moved);
            for _ in 0..rotations {
                self.rotate(alternative, wanted + 1);
            }
        }
        Ok(())
    }
}
