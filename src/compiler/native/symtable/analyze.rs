//! The second pass: decides how each name is reached, and which comprehensions are inlined.
//!
//! From the outside in each block learns which names functions around it bind, which are declared
//! global, and which are type parameters. From the inside out it learns which names its blocks
//! leave free. A name that a block binds and an inner block leaves free is a cell.

use super::build::Builder;
use super::scope::{BlockId, BlockKind, ComprehensionKind, Flags, Scope, Symbol};
use super::view::{Known, View};
use crate::compiler::native::ast::Sym;
use crate::compiler::native::error::{Pass, Stop};
use rustc_hash::FxHashSet;

type Set = FxHashSet<Sym>;

impl Builder<'_> {
    pub(super) fn analyze(&mut self) -> Pass<()> {
        let mut view = View::new(self.pool.text_count());
        self.analyze_block(BlockId::MODULE, None, &mut view)?;
        Ok(())
    }

    /// Analyses a block and those inside; returns the names that it leaves free, in the order in
    /// which they were found. `class`: the class whose namespace the block can see.
    fn analyze_block(
        &mut self,
        id: BlockId,
        class: Option<BlockId>,
        view: &mut View,
    ) -> Pass<Vec<Sym>> {
        let kind = self.block(id).kind;
        let is_class = kind == BlockKind::Class;
        let outside = view.mark();
        let mut local: Vec<Sym> = Vec::new();
        let mut free: Vec<Sym> = Vec::new();
        for at in 0..self.block(id).symbols.len() {
            let Some(&symbol) = self.block(id).symbols.get(at) else {
                break;
            };
            let scope = self.analyze_name(id, symbol, class, view)?;
            match scope {
                Scope::Local => local.push(symbol.name),
                Scope::Free => free.push(symbol.name),
                Scope::Unknown | Scope::GlobalExplicit | Scope::GlobalImplicit | Scope::Cell => {}
            }
            if let Some(symbol) = self.block_mut(id).symbols.get_mut(at) {
                symbol.scope = scope;
            }
        }
        if is_class {
            // What a class binds is not visible inside; what it declares global is neither.
            view.restore(outside, &[Known::Bound, Known::Global]);
            view.set(self.names.class, Known::Bound, true);
            view.set(self.names.classdict, Known::Bound, true);
            if self.is_314 {
                view.set(self.names.conditional_annotations, Known::Bound, true);
            }
        } else if self.block(id).is_function_like() {
            for &name in &local {
                view.set(name, Known::Bound, true);
            }
        }

        let mut new_free = FreeNames::default();
        let class_of_methods = if is_class { Some(id) } else { class };
        if self.draft(id).plain_methods {
            let classdict = Symbol::new(self.names.classdict, Flags::USE);
            if self.analyze_name(id, classdict, class_of_methods, view)? == Scope::Free {
                new_free.add(classdict.name);
            }
        }
        let mut inlined_cells = Set::default();
        let can_see_class = self.block(id).can_see_class_scope;
        let children = self.block(id).children.clone();
        for &child in &children {
            let entry = self.block(child);
            let class = class_of_methods.filter(|_| entry.can_see_class_scope);
            let inline = entry.comprehension != ComprehensionKind::None
                && !entry.generator
                && !can_see_class;
            let mut child_free = self.deeper(|this| this.analyze_block(child, class, view))?;
            if inline {
                self.inline_comprehension(id, child, &mut child_free, &mut inlined_cells);
                self.block_mut(child).comp_inlined = true;
            }
            for name in child_free {
                new_free.add(name);
            }
        }
        view.leave(outside);
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
        self.update_symbols(id, view, &new_free, &inlined_cells);
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

    fn analyze_name(
        &mut self,
        id: BlockId,
        symbol: Symbol,
        class: Option<BlockId>,
        view: &mut View,
    ) -> Pass<Scope> {
        let Symbol { name, flags, .. } = symbol;
        if flags.any(Flags::GLOBAL) {
            if flags.any(Flags::NONLOCAL) {
                let message = format!("name {} is nonlocal and global", self.quoted(name));
                return Err(self.error_at_directive(id, name, message));
            }
            view.set(name, Known::Global, true);
            view.set(name, Known::Bound, false);
            return Ok(Scope::GlobalExplicit);
        }
        if flags.any(Flags::NONLOCAL) {
            let message = if id == BlockId::MODULE {
                "nonlocal declaration not allowed at module level".to_owned()
            } else if !view.has(name, Known::Bound) {
                format!("no binding for nonlocal {} found", self.quoted(name))
            } else if view.has(name, Known::TypeParam) {
                format!(
                    "nonlocal binding not allowed for type parameter {}",
                    self.quoted(name)
                )
            } else {
                return Ok(Scope::Free);
            };
            return Err(self.error_at_directive(id, name, message));
        }
        if flags.any(Flags::BOUND) {
            view.set(name, Known::Global, false);
            let is_type_param = flags.any(Flags::TYPE_PARAM);
            view.set(name, Known::TypeParam, is_type_param);
            return Ok(Scope::Local);
        }
        if let Some(class) = class {
            let class_flags = self.block(class).flags(name);
            if class_flags.any(Flags::GLOBAL) {
                return Ok(Scope::GlobalExplicit);
            }
            if class_flags.any(Flags::BOUND) && !class_flags.any(Flags::NONLOCAL) {
                return Ok(Scope::GlobalImplicit);
            }
        }
        if view.has(name, Known::Bound) {
            Ok(Scope::Free)
        } else {
            Ok(Scope::GlobalImplicit)
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

    /// Notes names that pass through a block. `view`: what is around it.
    fn update_symbols(&mut self, id: BlockId, view: &View, free: &FreeNames, inlined_cells: &Set) {
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
                None if id != BlockId::MODULE && !view.has(name, Known::Bound) => {}
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

/// From so many free names on a table is faster than a search.
const MANY_FREE: usize = 16;

/// Free names in the order in which they were found.
#[derive(Default)]
struct FreeNames {
    order: Vec<Sym>,
    /// The same names, once there were many.
    known: Set,
}

impl FreeNames {
    fn add(&mut self, name: Sym) {
        if self.contains(name) {
            return;
        }
        self.order.push(name);
        if self.is_known() {
            self.known.insert(name);
        } else if self.order.len() == MANY_FREE {
            self.known.extend(&self.order);
        }
    }

    fn is_known(&self) -> bool {
        !self.known.is_empty()
    }

    fn contains(&self, name: Sym) -> bool {
        if self.is_known() {
            self.known.contains(&name)
        } else {
            self.order.contains(&name)
        }
    }

    fn remove(&mut self, name: Sym) -> bool {
        let was = self.contains(name);
        if was {
            self.known.remove(&name);
            self.order.retain(|&free| free != name);
        }
        was
    }
}
