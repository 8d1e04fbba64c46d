//! The words of the tree's text form: names of classes, constants.

use super::{Ast, Constant, ExprKind, Pool, StmtKind};
use std::fmt::Write;

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
}

/// A constant as the tests write it.
pub fn constant_text(pool: &Pool, value: Constant) -> String {
    let items = |id| {
        let items: Vec<String> = pool
            .tuple(id)
            .iter()
            .map(|&item| constant_text(pool, item))
            .collect();
        items
    };
    match value {
        Constant::None => "None".to_owned(),
        Constant::Ellipsis => "Ellipsis".to_owned(),
        Constant::Bool(true) => "True".to_owned(),
        Constant::Bool(false) => "False".to_owned(),
        Constant::Int(value) => {
            let sign = if value < 0 { "-" } else { "" };
            format!("{sign}i{:x}", value.unsigned_abs())
        }
        Constant::Big(id) => format!("i{:x}", pool.big(id)).replace("i-", "-i"),
        Constant::Float(bits) => format!("f{bits:016x}"),
        Constant::Complex(id) => {
            let (real, imag) = pool.complex(id);
            format!("c{:016x}{:016x}", real.to_bits(), imag.to_bits())
        }
        Constant::Str(sym) => format!("'{}'", hex(pool.text(sym))),
        Constant::Bytes(id) => format!("b'{}'", hex(pool.bytes(id))),
        Constant::Tuple(id) => format!("({})", items(id).join(",")),
        Constant::FrozenSet(id) => {
            let mut items = items(id);
            items.sort();
            format!("{{{}}}", items.join(","))
        }
        Constant::Slice(id) => format!("[{}]", items(id).join(":")),
    }
}

/// The class of a statement in CPython's `ast`.
pub(super) fn stmt_name(ast: &Ast, kind: &StmtKind) -> &'static str {
    match *kind {
        StmtKind::FunctionDef(id) if ast.get(id).is_async => "AsyncFunctionDef",
        StmtKind::FunctionDef(_) => "FunctionDef",
        StmtKind::ClassDef(_) => "ClassDef",
        StmtKind::Return { .. } => "Return",
        StmtKind::Delete { .. } => "Delete",
        StmtKind::Assign { .. } => "Assign",
        StmtKind::TypeAlias { .. } => "TypeAlias",
        StmtKind::AugAssign { .. } => "AugAssign",
        StmtKind::AnnAssign { .. } => "AnnAssign",
        StmtKind::For { is_async: true, .. } => "AsyncFor",
        StmtKind::For { .. } => "For",
        StmtKind::While { .. } => "While",
        StmtKind::If { .. } => "If",
        StmtKind::With { is_async: true, .. } => "AsyncWith",
        StmtKind::With { .. } => "With",
        StmtKind::Match { .. } => "Match",
        StmtKind::Raise { .. } => "Raise",
        StmtKind::Try(id) if ast.get(id).is_star => "TryStar",
        StmtKind::Try(_) => "Try",
        StmtKind::Assert { .. } => "Assert",
        StmtKind::Import { .. } => "Import",
        StmtKind::ImportFrom { .. } => "ImportFrom",
        StmtKind::Global { .. } => "Global",
        StmtKind::Nonlocal { .. } => "Nonlocal",
        StmtKind::Expr { .. } => "Expr",
        StmtKind::Pass => "Pass",
        StmtKind::Break => "Break",
        StmtKind::Continue => "Continue",
    }
}

/// The class of an expression in CPython's `ast`.
pub(super) fn expr_name(kind: &ExprKind) -> &'static str {
    match kind {
        ExprKind::BoolOp { .. } => "BoolOp",
        ExprKind::NamedExpr { .. } => "NamedExpr",
        ExprKind::BinOp { .. } => "BinOp",
        ExprKind::UnaryOp { .. } => "UnaryOp",
        ExprKind::Lambda { .. } => "Lambda",
        ExprKind::IfExp { .. } => "IfExp",
        ExprKind::Dict { .. } => "Dict",
        ExprKind::Set { .. } => "Set",
        ExprKind::ListComp { .. } => "ListComp",
        ExprKind::SetComp { .. } => "SetComp",
        ExprKind::DictComp { .. } => "DictComp",
        ExprKind::GeneratorExp { .. } => "GeneratorExp",
        ExprKind::Await { .. } => "Await",
        ExprKind::Yield { .. } => "Yield",
        ExprKind::YieldFrom { .. } => "YieldFrom",
        ExprKind::Compare { .. } => "Compare",
        ExprKind::Call { .. } => "Call",
        ExprKind::FormattedValue { .. } => "FormattedValue",
        ExprKind::Interpolation { .. } => "Interpolation",
        ExprKind::JoinedStr { .. } => "JoinedStr",
        ExprKind::TemplateStr { .. } => "TemplateStr",
        ExprKind::Constant { .. } => "Constant",
        ExprKind::Attribute { .. } => "Attribute",
        ExprKind::Subscript { .. } => "Subscript",
        ExprKind::Starred { .. } => "Starred",
        ExprKind::Name { .. } => "Name",
        ExprKind::List { .. } => "List",
        ExprKind::Tuple { .. } => "Tuple",
        ExprKind::Slice { .. } => "Slice",
    }
}
