//! The names that CPython's parser interns while it reads a module.

use crate::compiler::native::ast::{
    Alias, Arg, Ast, ClassDef, ExceptHandler, Expr, ExprKind, FunctionDef, Keyword, Node, Pattern,
    PatternKind, Pool, Stmt, StmtKind, Sym, TypeParam,
};
use crate::compiler::native::constant::Names;

/// All names of a module's tree.
pub(super) fn identifiers(ast: &Ast, pool: &mut Pool) -> Names {
    let mut names = Names::default();
    for expr in Expr::arena(ast) {
        match expr.kind {
            ExprKind::Name { id: name, .. } | ExprKind::Attribute { attr: name, .. } => {
                names.insert(name);
            }
            _ => {}
        }
    }
    for pattern in Pattern::arena(ast) {
        match pattern.kind {
            PatternKind::Star { name } | PatternKind::As { name, .. } => names.extend(name),
            PatternKind::Mapping { rest, .. } => names.extend(rest),
            _ => {}
        }
    }
    // Global and nonlocal names, keywords of class patterns.
    names.extend(Sym::arena(ast).iter().copied());
    names.extend(FunctionDef::arena(ast).iter().map(|def| def.name));
    names.extend(ClassDef::arena(ast).iter().map(|def| def.name));
    names.extend(Arg::arena(ast).iter().map(|arg| arg.name));
    names.extend(Keyword::arena(ast).iter().filter_map(|key| key.name));
    names.extend(
        ExceptHandler::arena(ast)
            .iter()
            .filter_map(|part| part.name),
    );
    names.extend(TypeParam::arena(ast).iter().map(|param| param.name));
    let mut dotted: Vec<Sym> = Alias::arena(ast).iter().map(|alias| alias.name).collect();
    names.extend(Alias::arena(ast).iter().filter_map(|alias| alias.asname));
    for stmt in Stmt::arena(ast) {
        if let StmtKind::ImportFrom { module, .. } = stmt.kind {
            dotted.extend(module);
        }
    }
    for name in dotted {
        let text = pool.text(name).to_vec();
        for part in text.split(|&byte| byte == b'.') {
            names.insert(pool.sym_bytes(part));
        }
    }
    names
}
