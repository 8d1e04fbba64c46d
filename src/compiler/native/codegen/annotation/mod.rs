//! Annotations of names and parameters: stored at once (`stored`, up to 3.13), or put into an
//! `__annotate__` function (`deferred`, from 3.14 on, PEP 649). Here is what both do alike.

mod deferred;
mod stored;

pub(super) use deferred::Deferred;

use super::Compiler;
use super::unit::ScopeType;
use crate::compiler::native::ast::{
    Arg, Arguments, Constant, Ctx, Expr, ExprId, ExprKind, Id, List, Sym,
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

    /// Loads the names and annotations of parameters. How many there are.
    fn parameter_annotations(
        &mut self,
        loc: Loc,
        args: &Arguments,
        returns: Option<ExprId>,
    ) -> Pass<usize> {
        let ast = self.ast;
        let mut count = 0;
        let single = |arg: Option<Id<Arg>>| arg.map(|arg| *ast.get(arg));
        self.arg_annotations(loc, args.args, &mut count)?;
        self.arg_annotations(loc, args.posonlyargs, &mut count)?;
        if let Some(arg) = single(args.vararg) {
            self.arg_annotation(loc, arg.name, arg.annotation, &mut count)?;
        }
        self.arg_annotations(loc, args.kwonlyargs, &mut count)?;
        if let Some(arg) = single(args.kwarg) {
            self.arg_annotation(loc, arg.name, arg.annotation, &mut count)?;
        }
        let name = self.sym("return");
        self.arg_annotation(loc, name, returns, &mut count)?;
        Ok(count)
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
        *count += 1;
        Ok(())
    }

    fn keeps_annotations(&self) -> bool {
        matches!(self.unit.scope_type, ScopeType::Module | ScopeType::Class)
    }

    /// The assignment of an annotated assignment.
    fn annotated_value(&mut self, loc: Loc, target: ExprId, value: Option<ExprId>) -> Pass<()> {
        if let Some(value) = value {
            self.expression(value)?;
            self.expression(target)?;
        }
        match self.ast.expr(target).kind {
            ExprKind::Name { id, .. } => self.check_name(loc, id, Ctx::Store),
            ExprKind::Attribute { attr, .. } => self.check_name(loc, attr, Ctx::Store),
            ExprKind::Subscript { .. } => Ok(()),
            _ => Err(Stop::unsure("an annotated assignment to something else")),
        }
    }

    /// Evaluates the parts of an annotated target that nothing is assigned to.
    fn annotated_parts(&mut self, target: ExprId, value: Option<ExprId>) -> Pass<()> {
        match self.ast.expr(target).kind {
            ExprKind::Attribute { value: object, .. } if value.is_none() => self.evaluate(object),
            ExprKind::Subscript {
                value: object,
                slice,
                ..
            } if value.is_none() => {
                self.evaluate(object)?;
                self.evaluate_slice(slice)
            }
            _ => Ok(()),
        }
    }

    /// Stores the annotation on the stack into `__annotations__`.
    fn store_annotation(&mut self, loc: Loc, name: Sym) {
        let annotations = self.sym("__annotations__");
        self.op_name(loc, Op::LoadName, annotations);
        let name = self.mangle(name);
        self.load_name_const(loc, name);
        self.op(loc, Op::StoreSubscr);
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
