//! The way of folding through the tree: over its arenas, one node after the other.
//!
//! Invariant: an expression's parts have smaller ids than the expression, so they are folded before it.

use super::Folder;
use crate::compiler::native::ast::{
    ClassDef, CmpOp, Comprehension, Constant, Ctx, Expr, ExprId, ExprKind, ExprList, FunctionDef,
    List, Pattern, PatternKind, Stmt, StmtKind, StmtList, docstring,
};
use crate::compiler::native::error::Pass;
use crate::pyc::Level;

impl Folder<'_> {
    /// Folds all of the tree.
    pub(super) fn tree(&mut self) -> Pass<()> {
        let bodies = self.bodies()?;
        let expressions = self.ast.ids::<Expr>();
        if self.keep_annotations {
            let mut next = 0;
            for kept in self.ast.annotations().to_vec() {
                let before = expressions.clone().take(kept.first as usize).skip(next);
                self.exprs(before)?;
                next = kept.last.index() + 1;
            }
            self.exprs(expressions.skip(next))?;
        } else {
            self.exprs(expressions)?;
        }
        if self.is_314 {
            self.pattern_numbers()?;
        } else {
            self.iterables();
        }
        for body in bodies {
            self.keep_from_docstring(body)?;
        }
        Ok(())
    }

    /// Takes docstrings away where they are not wanted. Returns the bodies that have none, but that
    /// begin with an expression.
    fn bodies(&mut self) -> Pass<Vec<StmtList>> {
        let mut plain = Vec::new();
        self.ast.body = self.body(self.ast.body, &mut plain)?;
        for id in self.ast.ids::<FunctionDef>() {
            let body = self.body(self.ast.get(id).body, &mut plain)?;
            self.ast.get_mut(id).body = body;
        }
        for id in self.ast.ids::<ClassDef>() {
            let body = self.body(self.ast.get(id).body, &mut plain)?;
            self.ast.get_mut(id).body = body;
        }
        Ok(plain)
    }

    fn body(&mut self, body: StmtList, plain: &mut Vec<StmtList>) -> Pass<StmtList> {
        let mut body = body;
        if docstring(self.ast, body).is_some() {
            if !self.is_314 || self.level != Level::O2 {
                return Ok(body);
            }
            body = self.without_docstring(body)?;
        }
        if let Some(&first) = self.ast.slice(body).first()
            && matches!(self.ast.get(first).kind, StmtKind::Expr { .. })
        {
            plain.push(body);
        }
        Ok(body)
    }

    /// What folding made a string must not become a docstring.
    fn keep_from_docstring(&mut self, body: StmtList) -> Pass<()> {
        if let Some((value, _)) = docstring(self.ast, body)
            && let Some(&first) = self.ast.slice(body).first()
        {
            let loc = self.ast.stmt(first).loc;
            let values = self.ast.list(&[value])?;
            let kind = ExprKind::JoinedStr { values };
            let value = self.ast.add(Expr { kind, loc })?;
            self.ast.get_mut(first).kind = StmtKind::Expr { value };
        }
        Ok(())
    }

    fn exprs(&mut self, ids: impl Iterator<Item = ExprId>) -> Pass<()> {
        for id in ids {
            let kind = &self.ast.get(id).kind;
            let is_other_name = matches!(kind, ExprKind::Name { id, .. } if *id != self.debug);
            if may_fold(kind) && !is_other_name {
                self.expr(id)?;
            }
        }
        Ok(())
    }

    fn expr(&mut self, id: ExprId) -> Pass<()> {
        match self.ast.get(id).kind {
            ExprKind::Name {
                id: name,
                ctx: Ctx::Load,
            } if name == self.debug => {
                self.set_constant(id, Constant::Bool(self.level == Level::O0));
                Ok(())
            }
            ExprKind::BinOp { left, op, right } => self.binop(id, left, op, right),
            ExprKind::UnaryOp { op, operand } => self.unary(id, op, operand),
            ExprKind::Compare {
                ops, comparators, ..
            } => {
                self.compare(ops, comparators);
                Ok(())
            }
            ExprKind::Subscript { value, slice, ctx } => self.subscript(id, value, slice, ctx),
            ExprKind::Tuple { elts, ctx } => {
                self.tuple(id, elts, ctx);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn compare(&mut self, ops: List<CmpOp>, comparators: ExprList) {
        let last = (
            self.ast.slice(ops).last().copied(),
            self.ast.slice(comparators).last().copied(),
        );
        if let (Some(CmpOp::In | CmpOp::NotIn), Some(container)) = last {
            self.iterable(container);
        }
    }

    /// What `for` iterates over.
    fn iterables(&mut self) {
        for id in self.ast.ids::<Stmt>() {
            if let StmtKind::For {
                iter,
                is_async: false,
                ..
            } = self.ast.get(id).kind
            {
                self.iterable(iter);
            }
        }
        for id in self.ast.ids::<Comprehension>() {
            let iter = self.ast.get(id).iter;
            if !self.is_kept(iter) {
                self.iterable(iter);
            }
        }
    }

    /// Whether an expression is in an annotation that stays as it is.
    fn is_kept(&self, id: ExprId) -> bool {
        if !self.keep_annotations {
            return false;
        }
        let annotations = self.ast.annotations();
        let at = annotations.partition_point(|kept| kept.last < id);
        annotations
            .get(at)
            .is_some_and(|kept| kept.first as usize <= id.index())
    }

    fn pattern_numbers(&mut self) -> Pass<()> {
        for id in self.ast.ids::<Pattern>() {
            match self.ast.pattern(id).kind {
                PatternKind::Value { value } => self.pattern_number(value)?,
                PatternKind::Mapping { keys, .. } => {
                    for at in 0..keys.len() {
                        if let Some(&key) = self.ast.slice(keys).get(at) {
                            self.pattern_number(key)?;
                        }
                    }
                }
                PatternKind::Singleton { .. }
                | PatternKind::Star { .. }
                | PatternKind::Sequence { .. }
                | PatternKind::Or { .. }
                | PatternKind::Class { .. }
                | PatternKind::As { .. } => {}
            }
        }
        Ok(())
    }
}

/// Whether an expression is one of those that folding looks at.
fn may_fold(kind: &ExprKind) -> bool {
    match kind {
        ExprKind::Name { .. }
        | ExprKind::BinOp { .. }
        | ExprKind::UnaryOp { .. }
        | ExprKind::Compare { .. }
        | ExprKind::Subscript { .. }
        | ExprKind::Tuple { .. } => true,
        ExprKind::BoolOp { .. }
        | ExprKind::NamedExpr { .. }
        | ExprKind::Lambda { .. }
        | ExprKind::IfExp { .. }
        | ExprKind::Dict { .. }
        | ExprKind::Set { .. }
        | ExprKind::ListComp { .. }
        | ExprKind::SetComp { .. }
        | ExprKind::DictComp { .. }
        | ExprKind::GeneratorExp { .. }
        | ExprKind::Await { .. }
        | ExprKind::Yield { .. }
        | ExprKind::YieldFrom { .. }
        | ExprKind::Call { .. }
        | ExprKind::FormattedValue { .. }
        | ExprKind::Interpolation { .. }
        | ExprKind::JoinedStr { .. }
        | ExprKind::TemplateStr { .. }
        | ExprKind::Constant { .. }
        | ExprKind::Attribute { .. }
        | ExprKind::Starred { .. }
        | ExprKind::List { .. }
        | ExprKind::Slice { .. } => false,
    }
}
