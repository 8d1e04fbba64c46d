//! Name mangling: `__spam` in a class `Eggs` is `_Eggs__spam`.

use super::Block;
use crate::compiler::native::ast::{Pool, Sym};

/// A name as the class named `private` spells it.
pub fn mangle(pool: &mut Pool, private: Option<Sym>, name: Sym) -> Sym {
    match private {
        Some(class) if name.is_private() => mangle_private(pool, class, name),
        _ => name,
    }
}

#[inline(never)]
fn mangle_private(pool: &mut Pool, class: Sym, name: Sym) -> Sym {
    let text = pool.text(name);
    if text.ends_with(b"__") || text.contains(&b'.') {
        return name;
    }
    let class = pool.text(class);
    let underscores = class.iter().take_while(|&&byte| byte == b'_').count();
    let class = class.get(underscores..).unwrap_or_default();
    if class.is_empty() {
        return name;
    }
    let mut mangled = Vec::with_capacity(1 + class.len() + text.len());
    mangled.push(b'_');
    mangled.extend_from_slice(class);
    mangled.extend_from_slice(text);
    pool.sym_bytes(&mangled)
}

/// A name as it is spelled in a block. In the type parameters of a class only the names of the
/// parameters are mangled.
pub fn maybe_mangle(pool: &mut Pool, private: Option<Sym>, block: &Block, name: Sym) -> Sym {
    match &block.mangled_names {
        Some(names) if !names.contains(&name) => name,
        _ => mangle(pool, private, name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_names_take_the_class_name_without_its_underscores() {
        let mut pool = Pool::new();
        for (class, name, expected) in [
            ("Eggs", "__spam", "_Eggs__spam"),
            ("__Eggs", "__spam_", "_Eggs__spam_"),
            ("Eggs", "__spam__", "__spam__"),
            ("Eggs", "_spam", "_spam"),
            ("___", "__spam", "__spam"),
            ("Eggs", "__a.b", "__a.b"),
        ] {
            let class = pool.sym(class);
            let name = pool.sym(name);
            let mangled = mangle(&mut pool, Some(class), name);
            assert_eq!(pool.str(mangled), Some(expected));
            assert_eq!(mangle(&mut pool, None, name), name);
        }
    }
}
