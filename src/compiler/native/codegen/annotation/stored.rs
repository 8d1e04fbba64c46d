//! Annotations up to 3.13: evaluated where they stand, or kept as text (PEP 563), and stored.

use super::super::Compiler;
use super::super::intrinsic::function;
use crate::compiler::native::ast::{Arguments, ExprId, ExprKind};
use crate::compiler::native::error::{Loc, Pass};
use crate::compiler::native::opcode::Op;

impl Compiler<'_> {
    /// Makes a tuple of the names and annotations of parameters. Returns the flags of what is on the
    /// stack.
    pub(in super::super) fn stored_annotations(
        &mut self,
        loc: Loc,
        args: &Arguments,
        returns: Option<ExprId>,
    ) -> Pass<u32> {
        let count = self.parameter_annotations(loc, args, returns)?;
        if count == 0 {
            return Ok(0);
        }
        self.op_count(loc, Op::BuildTuple, 2 * count);
        Ok(function::ANNOTATIONS)
    }

    pub(in super::super) fn ann_assign(
        &mut self,
        loc: Loc,
        target: ExprId,
        annotation: ExprId,
        value: Option<ExprId>,
        simple: bool,
    ) -> Pass<()> {
        self.annotated_value(loc, target, value)?;
        match self.ast.expr(target).kind {
            ExprKind::Name { id, .. } if simple && self.keeps_annotations() => {
                if self.future_annotations() {
                    self.annotation_text(annotation)?;
                } else {
                    self.expression(annotation)?;
                }
                self.store_annotation(loc, id);
            }
            _ => {}
        }
        self.annotated_parts(target, value)?;
        if !simple && !self.future_annotations() && self.keeps_annotations() {
            self.evaluate(annotation)?;
        }
        Ok(())
    }
}
