//! Template strings (PEP 750, 3.14).

use super::Compiler;
use super::expression::conversion_number;
use crate::compiler::native::ast::{Constant, Conversion, ExprId, ExprKind, ExprList, Sym};
use crate::compiler::native::error::{Loc, Pass};
use crate::compiler::native::opcode::Op;

impl Compiler<'_> {
    /// A tuple of the texts, one more than there are replacement fields, and a tuple of the fields.
    pub(super) fn template_str(&mut self, loc: Loc, values: ExprList) -> Pass<()> {
        let ast = self.ast;
        let empty = Constant::Str(self.sym(""));
        let is_field = |id: ExprId| matches!(ast.expr(id).kind, ExprKind::Interpolation { .. });
        let mut needs_text = true;
        let mut texts = 0;
        for &value in ast.slice(values) {
            if is_field(value) {
                if needs_text {
                    self.load_const(loc, empty);
                    texts += 1;
                }
                needs_text = true;
            } else {
                self.expression(value)?;
                texts += 1;
                needs_text = false;
            }
        }
        if needs_text {
            self.load_const(loc, empty);
            texts += 1;
        }
        self.op_arg(loc, Op::BuildTuple, texts);
        let mut fields = 0;
        for &value in ast.slice(values) {
            if is_field(value) {
                self.expression(value)?;
                fields += 1;
            }
        }
        self.op_arg(loc, Op::BuildTuple, fields);
        self.op(loc, Op::BuildTemplate);
        Ok(())
    }

    pub(super) fn interpolation(
        &mut self,
        loc: Loc,
        value: ExprId,
        text: Sym,
        conversion: Conversion,
        format_spec: Option<ExprId>,
    ) -> Pass<()> {
        self.expression(value)?;
        self.load_const(loc, Constant::Str(text));
        let mut arg = 2 | conversion_number(conversion) << 2;
        if let Some(spec) = format_spec {
            self.expression(spec)?;
            arg |= 1;
        }
        self.op_arg(loc, Op::BuildInterpolation, arg);
        Ok(())
    }
}
