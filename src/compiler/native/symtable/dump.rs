//! A text form of the symbol table for tests; `tests/native/reference.py` writes the same.

use super::{Block, BlockId, BlockKind, Flags, Scope, SymbolTable};
use crate::compiler::native::ast::{Pool, Sym};
use crate::compiler::native::recursion;
use std::fmt::Write;

/// The text form: what CPython's `_symtable` shows of each block.
pub fn dump(table: &SymbolTable, pool: &Pool) -> String {
    let mut out = String::new();
    write_block(table, pool, BlockId::MODULE, 0, &mut out);
    out
}

fn text(pool: &Pool, name: Sym) -> String {
    String::from_utf8_lossy(pool.text(name)).into_owned()
}

fn joined(pool: &Pool, names: impl Iterator<Item = Sym>) -> String {
    let names: Vec<String> = names.map(|name| text(pool, name)).collect();
    names.join(" ")
}

fn write_block(table: &SymbolTable, pool: &Pool, id: BlockId, depth: usize, out: &mut String) {
    let block = table.block(id);
    let indent = "  ".repeat(depth);
    let kind = match block.kind {
        BlockKind::Function => 0,
        BlockKind::Class => 1,
        BlockKind::Module => 2,
        BlockKind::Annotation => 3,
        BlockKind::TypeAlias => 4,
        BlockKind::TypeParameters => 5,
        BlockKind::TypeVariable => 6,
    };
    let name = text(pool, block.name);
    let varnames = joined(pool, block.varnames.iter().copied());
    let bound = block.symbols.iter().filter(|s| s.flags.any(Flags::BOUND));
    let order = joined(pool, bound.map(|symbol| symbol.name));
    let nested = u8::from(block.nested);
    let line = block.loc.line;
    let _ = writeln!(
        out,
        "{indent}{name} type={kind} line={line} nested={nested}"
    );
    let _ = writeln!(out, "{indent} varnames={varnames}");
    let _ = writeln!(out, "{indent} order={order}");
    let mut symbols: Vec<String> = block
        .symbols
        .iter()
        .map(|s| symbol(block, pool, s.name))
        .collect();
    symbols.sort();
    for symbol in symbols {
        let _ = writeln!(out, "{indent} {symbol}");
    }
    for &child in &block.children {
        if is_bare(table.block(child), pool) {
            continue;
        }
        recursion::with_stack(|| {
            write_block(table, pool, child, depth + 1, out);
        });
    }
}

/// A block of annotations that uses no names. This compiler makes none for a function without annotations.
fn is_bare(block: &Block, pool: &Pool) -> bool {
    let implied: [&[u8]; 2] = [b".format", b"__classdict__"];
    block.kind == BlockKind::Annotation
        && (block.symbols.iter()).all(|symbol| implied.contains(&pool.text(symbol.name)))
}

fn symbol(block: &Block, pool: &Pool, name: Sym) -> String {
    let scope = match block.scope(name) {
        Scope::Unknown => 0,
        Scope::Local => 1,
        Scope::GlobalExplicit => 2,
        Scope::GlobalImplicit => 3,
        Scope::Free => 4,
        Scope::Cell => 5,
    };
    let flags = block.flags(name).0 | (scope << 12);
    format!("{} {flags:#x}", text(pool, name))
}
