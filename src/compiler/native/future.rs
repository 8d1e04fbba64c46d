//! `from __future__ import …`: which features a module switches on.

use crate::compiler::native::ast::{Ast, Pool, StmtId, StmtKind, docstring};
use crate::compiler::native::error::{Loc, Pass, Stop};

/// The features of a module that change how it compiles.
#[derive(Clone, Copy, Debug)]
pub struct Future {
    /// `annotations` (PEP 563): annotations are kept as strings.
    pub annotations: bool,
    /// The last future statement; [`Loc::NONE`] without one.
    pub loc: Loc,
}

/// Reads the future statements at the head of a module.
pub fn future(ast: &Ast, pool: &Pool) -> Pass<Future> {
    let mut future = Future {
        annotations: false,
        loc: Loc::NONE,
    };
    let body = ast.slice(ast.body);
    let first = usize::from(docstring(ast, ast.body).is_some());
    for &id in body.get(first..).unwrap_or_default() {
        if !is_future_import(ast, pool, id) {
            break;
        }
        let stmt = ast.stmt(id);
        if let StmtKind::ImportFrom { names, .. } = stmt.kind {
            for alias in ast.slice(names) {
                match pool.str(alias.name).unwrap_or_default() {
                    "nested_scopes" | "generators" | "division" | "absolute_import"
                    | "with_statement" | "print_function" | "unicode_literals"
                    | "generator_stop" => {}
                    "annotations" => future.annotations = true,
                    "barry_as_FLUFL" => return Err(Stop::unsure("barry_as_FLUFL")),
                    "braces" => return Err(Stop::syntax("not a chance", alias.loc)),
                    unknown => {
                        let message = format!("future feature {unknown:.100} is not defined");
                        return Err(Stop::syntax(message, alias.loc));
                    }
                }
            }
        }
        future.loc = stmt.loc;
    }
    Ok(future)
}

/// Whether a statement imports from `__future__`.
pub fn is_future_import(ast: &Ast, pool: &Pool, id: StmtId) -> bool {
    match ast.stmt(id).kind {
        StmtKind::ImportFrom {
            module: Some(module),
            level: 0,
            ..
        } => pool.text(module) == b"__future__",
        _ => false,
    }
}
