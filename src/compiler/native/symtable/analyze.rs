//! The second pass: decides how each name is reached, and which comprehensions are inlined.
//!
//! From the outside in each block learns which names functions around it bind, which are declared
//! global, and which are type parameters. From the inside out it learns which names its blocks
//! leave free. A name that a block binds and an inner block leaves free is a cell.

use super::build::Builder;
use super::scope::{BlockId, BlockKind, ComprehensionKind, Flags, Scope, Symbol};
use crate::compiler::native::ast::Sym;
use crate::compiler::native::error::{Pass, Stop};
use rustc_hash::FxHashSet;
use std::rc::Rc;

type Set = FxHashSet<Sym>;

/// What a block sees of those around it. Shared until a block changes its own copy.
#[derive(Clone)]
struct Outer {
    /// The names that functions around bind; `None` in the module.
    bound: Option<Rc<Set>>,
    /// The names that are declared global.
    global: Rc<Set>,
    /// The names of type parameters.
    type_params: Rc<Set>,
    /// The class whose namespace this block can see.
    class: Option<BlockId>,
}

fn add(set: &mut Rc<Set>, name: Sym) {
    if !set.contains(&name) {
        Rc::make_mut(set).insert(name);
    }
}

fn discard(set: &mut Rc<Set>, name: Sym) {
    if set.contains(&name) {
        Rc::make_mut(set).remove(&name);
    }
}

impl Builder<'_> {
    pub(super) fn analyze(&mut self) -> Pass<()> {
        let outer = Outer {
            bound: None,
            global: Rc::default(),
            type_params: Rc::default(),
            class: None,
        };
        self.analyze_block(BlockId::MODULE, outer)?;
        Ok(())
    }

    /// Analyses a block and those inside; returns the names that it leaves free, in the order in
    /// which they were found.
    fn analyze_block(&mut self, id: BlockId, mut outer: Outer) -> Pass<Vec<Sym>> {
        let kind = self.block(id).kind;
        let is_class = kind == BlockKind::Class;
        // What a class binds is not visible inside; what it declares global is neither.
        let mut inner = outer.clone();
        let mut local: Vec<Sym> = Vec::new();
        let mut free: Vec<Sym> = Vec::new();
        for at in 0..self.block(id).symbols.len() {
            let Some(&symbol) = self.block(id).symbols.get(at) else {
                break;
            };
            let scope = self.analyze_name(id, symbol, &mut outer)?;
            match scope {
                Scope::Local => local.push(symbol.name),
                Scope::Free => free.push(symbol.name),
                Scope::Unknown | Scope::GlobalExplicit | Scope::GlobalImplicit | Scope::Cell => {}
            }
            if let Some(symbol) = self.block_mut(id).symbols.get_mut(at) {
                symbol.scope = scope;
            }
        }
        inner.type_params = Rc::clone(&outer.type_params);
        if is_class {
            let mut bound = inner.bound.take().unwrap_or_default();
            add(&mut bound, self.names.class);
            add(&mut bound, self.names.classdict);
            if self.is_314 {
                add(&mut bound, self.names.conditional_annotations);
            }
            inner.bound = Some(bound);
        } else {
            inner.global = Rc::clone(&outer.global);
            let mut bound = outer.bound.clone().unwrap_or_default();
            if self.block(id).is_function_like() {
                for &name in &local {
                    add(&mut bound, name);
                }
            }
            inner.bound = Some(bound);
        }

        let mut new_free = FreeNames::default();
        if self.draft(id).plain_methods {
            inner.class = if is_class { Some(id) } else { outer.class };
            let classdict = Symbol::new(self.names.classdict, Flags::USE);
            if self.analyze_name(id, classdict, &mut inner)? == Scope::Free {
                new_free.add(classdict.name);
            }
        }
        let mut inlined_cells = Set::default();
        let can_see_class = self.block(id).can_see_class_scope;
        let children = self.block(id).children.clone();
        for &child in &children {
            let entry = self.block(child);
            inner.class = if !entry.can_see_class_scope {
                None
            } else if is_class {
                Some(id)
            } else {
                outer.class
            };
            let inline = entry.comprehension != ComprehensionKind::None
                && !entry.generator
                && !can_see_class;
            let view = inner.clone();
            let mut child_free = self.deeper(|this| this.analyze_block(child, view))?;
            if inline {
                self.inline_comprehension(id, child, &mut child_free, &mut inlined_cells);
                self.block_mut(child).comp_inlined = true;
            }
            for name in child_free {
                new_free.add(name);
            }
        }
        self.splice_inlined(id, &children);

        if self.block(id).is_function_like() {
            for symbol in &mut self.block_mut(id).symbols {
                let is_cell = symbol.scope == Scope::Local
                    && (new_free.contains(symbol.name) || inlined_cells.contains(&symbol.name));
                if is_cell {
                    symbol.scope = Scope::Cell;
                    new_free.remove(symbol.name);
                }
            }
        } else if is_class {
            self.drop_class_free(id, &mut new_free);
        }
        self.update_symbols(id, outer.bound.as_deref(), &new_free, &inlined_cells);
        for name in new_free.order {
            if !free.contains(&name) {
                free.push(name);
            }
        }
        Ok(free)
    }

    fn error_at_directive(&mut self, id: BlockId, name: Sym, message: String) -> Stop {
        let place = self
            .draft(id)
            .directives
            .iter()
            .find(|(directive, _)| *directive == name)
            .map(|&(_, loc)| loc);
        match place {
            Some(loc) => Stop::syntax(message, loc),
            None => Stop::unsure("a declaration without a place"),
        }
    }

    fn analyze_name(&mut self, id: BlockId, symbol: Symbol, outer: &mut Outer) -> Pass<Scope> {
        let Symbol { name, flags, .. } = symbol;
        if flags.any(Flags::GLOBAL) {
            if flags.any(Flags::NONLOCAL) {
                let message = format!("name {} is nonlocal and global", self.quoted(name));
                return Err(self.error_at_directive(id, name, message));
            }
            add(&mut outer.global, name);
            if let Some(bound) = &mut outer.bound {
                discard(bound, name);
            }
            return Ok(Scope::GlobalExplicit);
        }
        if flags.any(Flags::NONLOCAL) {
            let message = match &outer.bound {
                None => "nonlocal declaration not allowed at module level".to_owned(),
                Some(bound) if !bound.contains(&name) => {
                    format!("no binding for nonlocal {} found", self.quoted(name))
                }
                Some(_) if outer.type_params.contains(&name) => format!(
                    "nonlocal binding not allowed for type parameter {}",
                    self.quoted(name)
                ),
                Some(_) => return Ok(Scope::Free),
            };
            return Err(self.error_at_directive(id, name, message));
        }
        if flags.any(Flags::BOUND) {
            discard(&mut outer.global, name);
            if flags.any(Flags::TYPE_PARAM) {
                add(&mut outer.type_params, name);
            } else {
                discard(&mut outer.type_params, name);
            }
            return Ok(Scope::Local);
        }
        if let Some(class) = outer.class {
            let class_flags = self.block(class).flags(name);
            if class_flags.any(Flags::GLOBAL) {
                return Ok(Scope::GlobalExplicit);
            }
            if class_flags.any(Flags::BOUND) && !class_flags.any(Flags::NONLOCAL) {
                return Ok(Scope::GlobalImplicit);
            }
        }
        match &outer.bound {
            Some(bound) if bound.contains(&name) => Ok(Scope::Free),
            _ => Ok(Scope::GlobalImplicit),
        }
    }

    /// Merges a comprehension's names into the block around it (PEP 709).
    fn inline_comprehension(
        &mut self,
        id: BlockId,
        comp: BlockId,
        comp_free: &mut Vec<Sym>,
        inlined_cells: &mut Set,
    ) {
        let is_class = self.block(id).kind == BlockKind::Class;
        let mut removed = Vec::new();
        for at in 0..self.block(comp).symbols.len() {
            let Some(&symbol) = self.block(comp).symbols.get(at) else {
                break;
            };
            let Symbol { name, flags, .. } = symbol;
            let mut scope = symbol.scope;
            if flags.any(Flags::PARAM) {
                continue;
            }
            if scope == Scope::Cell || flags.any(Flags::COMP_CELL) {
                inlined_cells.insert(name);
            }
            let children = &self.block(comp).children;
            let free_in_child = children
                .iter()
                .any(|&child| self.block(child).scope(name) == Scope::Free);
            // What a class keeps in cells for its functions is never free through it. Up to 3.13 that
            // takes the cell also from a function inside the comprehension.
            if scope == Scope::Free && is_class && self.is_class_cell(name) {
                scope = Scope::GlobalImplicit;
                if !(self.is_314 && free_in_child) {
                    comp_free.retain(|&free| free != name);
                }
                removed.push(name);
            }
            let is_314 = self.is_314;
            let block = self.block_mut(id);
            match block.symbol_mut(name) {
                None => {
                    block.set_flags(name, flags);
                    if let Some(symbol) = block.symbol_mut(name) {
                        symbol.scope = scope;
                    }
                }
                Some(existing) if !is_class => {
                    if is_314 && scope == Scope::Free && flags.any(Flags::USE) {
                        existing.flags |= Flags::USE;
                    }
                    // Free in the comprehension and local around it: now simply local, unless a
                    // scope inside the comprehension needs the cell.
                    if existing.flags.any(Flags::BOUND) && !free_in_child {
                        comp_free.retain(|&free| free != name);
                    }
                }
                Some(_) => {}
            }
        }
        for name in removed {
            self.block_mut(comp).remove_symbol(name);
        }
    }

    fn is_class_cell(&self, name: Sym) -> bool {
        name == self.names.class
            || name == self.names.classdict
            || (self.is_314 && name == self.names.conditional_annotations)
    }

    /// Puts the children of inlined comprehensions in their place.
    fn splice_inlined(&mut self, id: BlockId, children: &[BlockId]) {
        if !children.iter().any(|&child| self.block(child).comp_inlined) {
            return;
        }
        let mut spliced = Vec::with_capacity(children.len());
        for &child in children {
            if self.block(child).comp_inlined {
                spliced.extend_from_slice(&self.block(child).children);
            } else {
                spliced.push(child);
            }
        }
        self.block_mut(id).children = spliced.into();
    }

    fn drop_class_free(&mut self, id: BlockId, free: &mut FreeNames) {
        if free.remove(self.names.class) {
            self.block_mut(id).needs_class_closure = true;
        }
        if free.remove(self.names.classdict) {
            self.block_mut(id).needs_classdict = true;
        }
        if self.is_314 && free.remove(self.names.conditional_annotations) {
            self.block_mut(id).has_conditional_annotations = true;
        }
    }

    fn update_symbols(
        &mut self,
        id: BlockId,
        bound: Option<&Set>,
        free: &FreeNames,
        inlined_cells: &Set,
    ) {
        let block = self.block_mut(id);
        if !inlined_cells.is_empty() {
            for symbol in &mut block.symbols {
                if inlined_cells.contains(&symbol.name) {
                    symbol.flags |= Flags::COMP_CELL;
                }
            }
        }
        let sees_class = block.kind == BlockKind::Class || block.can_see_class_scope;
        for &name in &free.order {
            match block.symbol_mut(name) {
                Some(symbol) => {
                    if sees_class {
                        symbol.flags |= Flags::FREE_CLASS;
                    }
                }
                None if bound.is_some_and(|bound| !bound.contains(&name)) => {}
                None => {
                    block.set_flags(name, Flags(0));
                    if let Some(symbol) = block.symbol_mut(name) {
                        symbol.scope = Scope::Free;
                    }
                }
            }
        }
    }
}

/// Free names in the order in which they were found.
#[derive(Default)]
struct FreeNames {
    order: Vec<Sym>,
    known: Set,
}

impl FreeNames {
    fn add(&mut self, name: Sym) {
        if self.known.insert(name) {
            self.order.push(name);
        }
    }

    fn contains(&self, name: Sym) -> bool {
        self.known.contains(&name)
    }

    fn remove(&mut self, name: Sym) -> bool {
        let was = self.known.remove(&name);
        if was {
            self.order.retain(|&free| free != name);
        }
        was
    }
}
