//! Annotations up to 3.13: evaluated where they stand, or kept as text (PEP 563).

use super::Compiler;
use super::unit::ScopeType;
use crate::compiler::native::ast::{
    Arg, Arguments, Constant, Ctx, Expr, ExprId, ExprKind, List, Sym,
};
use crate::compiler::native::error::{Loc, Pass, Stop};
use crate::compiler::native::opcode::Op;

impl Compiler<'_> {
    /// Loads the text of an annotation.
    fn annotation_text(&mut self, annotation: ExprId) -> Pass<()> {
        let loc = self.ast.expr(annotation).loc;
        let text = super::unparse::unparse(self.ast, self.pool, annotation)?;
        let text = self.pool.sym_bytes(&text);
        self.load_const(loc, Constant::Str(text));
        Ok(())
    }

    /// Makes a tuple of names and annotations. Whether there are any.
    pub(super) fn function_annotations(
        &mut self,
        loc: Loc,
        args: &Arguments,
        returns: Option<ExprId>,
    ) -> Pass<bool> {
        let ast = self.ast;
        let mut count = 0;
        self.arg_annotations(loc, args.args, &mut count)?;
        self.arg_annotations(loc, args.posonlyargs, &mut count)?;
        if let Some(arg) = args.vararg {
            let Arg {
                name, annotation, ..
            } = *ast.get(arg);
            self.arg_annotation(loc, name, annotation, &mut count)?;
        }
        self.arg_annotations(loc, args.kwonlyargs, &mut count)?;
        if let Some(arg) = args.kwarg {
            let Arg {
                name, annotation, ..
            } = *ast.get(arg);
            self.arg_annotation(loc, name, annotation, &mut count)?;
        }
        let name = self.sym("return");
        self.arg_annotation(loc, name, returns, &mut count)?;
        if count == 0 {
            return Ok(false);
        }
        self.op_count(loc, Op::BuildTuple, count);
        Ok(true)
    }

    fn arg_annotations(&mut self, loc: Loc, args: List<Arg>, count: &mut usize) -> Pass<()> {
        let ast = self.ast;
        for arg in ast.slice(args) {
            self.arg_annotation(loc, arg.name, arg.annotation, count)?;
        }
        Ok(())
    }

    fn arg_annotation(
        &mut self,
        loc: Loc,
        name: Sym,
        annotation: Option<ExprId>,
        count: &mut usize,
    ) -> Pass<()> {
        let Some(annotation) = annotation else {
            return Ok(());
        };
        let name = self.mangle(name);
        self.load_name_const(loc, name);
        if self.future_annotations() {
            self.annotation_text(annotation)?;
        } else if let ExprKind::Starred { value, .. } = self.ast.expr(annotation).kind {
            // `*args: *Ts`
            self.expression(value)?;
            self.op_arg(loc, Op::UnpackSequence, 1);
        } else {
            self.expression(annotation)?;
        }
        *count += 2;
        Ok(())
    }

    fn keeps_annotations(&self) -> bool {
        matches!(self.unit.scope_type, ScopeType::Module | ScopeType::Class)
    }

    pub(super) fn ann_assign(
        &mut self,
        loc: Loc,
        target: ExprId,
        annotation: ExprId,
        value: Option<ExprId>,
        simple: bool,
    ) -> Pass<()> {
        if let Some(value) = value {
            self.expression(value)?;
            self.expression(target)?;
        }
        match self.ast.expr(target).kind {
            ExprKind::Name { id, .. } => {
                self.check_name(loc, id, Ctx::Store)?;
                if simple && self.keeps_annotations() {
                    if self.future_annotations() {
                        self.annotation_text(annotation)?;
                    } else {
                        self.expression(annotation)?;
                    }
                    let annotations = self.sym("__annotations__");
                    self.op_name(loc, Op::LoadName, annotations);
                    let name = self.mangle(id);
                    self.load_name_const(loc, name);
                    self.op(loc, Op::StoreSubscr);
                }
            }
            ExprKind::Attribute {
                value: object,
                attr,
                ..
            } => {
                self.check_name(loc, attr, Ctx::Store)?;
                if value.is_none() {
                    self.evaluate(object)?;
                }
            }
            ExprKind::Subscript {
                value: object,
                slice,
                ..
            } => {
                if value.is_none() {
                    self.evaluate(object)?;
                    self.evaluate_slice(slice)?;
                }
            }
            _ => return Err(Stop::unsure("an annotated assignment to something else")),
        }
        if !simple && !self.future_annotations() && self.keeps_annotations() {
            self.evaluate(annotation)?;
        }
        Ok(())
    }

    /// Evaluates an expression for its effects.
    fn evaluate(&mut self, id: ExprId) -> Pass<()> {
        self.expression(id)?;
        self.op(self.ast.expr(id).loc, Op::PopTop);
        Ok(())
    }

    fn evaluate_slice(&mut self, id: ExprId) -> Pass<()> {
        let ast = self.ast;
        let Expr { kind, .. } = ast.expr(id);
        match kind {
            ExprKind::Slice { lower, upper, step } => {
                for part in [lower, upper, step].into_iter().flatten() {
                    self.evaluate(part)?;
                }
                Ok(())
            }
            ExprKind::Tuple { elts, .. } => {
                for &elt in ast.slice(elts) {
                    self.deeper(|c| c.evaluate_slice(elt))?;
                }
                Ok(())
            }
            _ => self.evaluate(id),
        }
    }
}
