//! What was found out about names in the code object that is being generated, by the name's number, so
//! that a name is looked up once in each code object.
//!
//! Invariant: a code object's serial number is larger than those of the code objects that were begun
//! before it. So a mark of an older one says that the current one has not met the name yet, and a mark of
//! a newer one, which is inside, says nothing.

use std::cell::Cell;

use super::Compiler;
use super::indexed::Indexed;
use super::unit::Unit;
use crate::compiler::native::ast::{Constant, Sym};
use crate::compiler::native::constant::{Item, Origin};
use crate::compiler::native::symtable::{BlockId, Flags, Scope};

/// The number of a name that has to be looked up.
const UNKNOWN: u32 = u32::MAX;
/// The number of a name that is not in the list.
const NEW: u32 = u32::MAX - 1;

/// With more names than this there are no marks, for the sake of memory.
const MANY: usize = 1 << 16;

/// What is known about a name.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    /// The serial number of the code object.
    unit: u32,
    /// The number in `co_names`.
    name: u32,
    /// The number of the fast local.
    local: u32,
    /// The number in `co_consts`, as a string.
    constant: u32,
    /// How the code object's block uses and reaches it.
    symbol: Option<(Flags, Scope)>,
    /// The same of the module, whatever the code object is.
    module: Option<(Flags, Scope)>,
}

/// The marks of all names that the program had when code generation began.
#[derive(Debug, Default)]
pub(super) struct Marks(Vec<Cell<Mark>>);

impl Marks {
    /// Marks for so many names.
    pub(super) fn new(names: usize) -> Marks {
        let names = if names > MANY { 0 } else { names };
        Marks(vec![Cell::default(); names])
    }

    /// The mark of a name in the code object `unit`, to be put back when it was changed.
    #[inline]
    fn of(&self, name: Sym, unit: u32) -> Option<(&Cell<Mark>, Mark)> {
        let cell = self.0.get(name.index())?;
        let mark = cell.get();
        if mark.unit == unit {
            return Some((cell, mark));
        }
        let list = if mark.unit < unit { NEW } else { UNKNOWN };
        let fresh = Mark {
            unit,
            name: list,
            constant: list,
            // Parameters are in the list from the beginning.
            local: UNKNOWN,
            symbol: None,
            module: mark.module,
        };
        Some((cell, fresh))
    }
}

/// The number of a name in a list, of which it is known as `known`.
#[inline]
fn number_in(list: &mut Indexed<Sym>, name: Sym, known: u32) -> u32 {
    match known {
        UNKNOWN => list.add(name),
        NEW => list.push(name),
        at => at,
    }
}

impl Compiler<'_> {
    /// The number of a string in `co_consts`, where it is added if it is new.
    pub(super) fn string_number(&mut self, text: Sym, origin: Origin) -> u32 {
        let value = Constant::Str(text);
        let unit = &mut *self.unit;
        let Some((cell, mut mark)) = self.marks.of(text, unit.serial) else {
            return self.constant_number(value, origin);
        };
        if mark.constant < NEW {
            return mark.constant;
        }
        let known = match mark.constant {
            NEW => None,
            _ => unit.consts.find(Item::Value(value)),
        };
        mark.constant = known.unwrap_or_else(|| {
            self.heap.constant(value, origin, self.pool);
            unit.consts.push(Item::Value(value))
        });
        cell.set(mark);
        mark.constant
    }

    /// The number of a mangled name in `co_names`.
    pub(super) fn name_number(&mut self, name: Sym) -> u32 {
        self.number_of(name, |mark| &mut mark.name, |unit| &mut unit.names)
    }

    /// The number of a fast local, by its mangled name.
    pub(super) fn local_number(&mut self, name: Sym) -> u32 {
        self.number_of(name, |mark| &mut mark.local, |unit| &mut unit.varnames)
    }

    /// The number of a name in a list of the code object, which its mark keeps.
    #[inline]
    fn number_of(
        &mut self,
        name: Sym,
        kept: impl FnOnce(&mut Mark) -> &mut u32,
        list: impl FnOnce(&mut Unit) -> &mut Indexed<Sym>,
    ) -> u32 {
        let unit = &mut *self.unit;
        let Some((cell, mut mark)) = self.marks.of(name, unit.serial) else {
            return list(unit).add(name);
        };
        let kept = kept(&mut mark);
        let known = *kept;
        let number = number_in(list(unit), name, known);
        *kept = number;
        if number != known {
            cell.set(mark);
        }
        number
    }

    /// Flags and scope of a mangled name in the current block.
    pub(super) fn symbol(&self, name: Sym) -> (Flags, Scope) {
        if !self.unit.overrides.is_empty()
            && let Some(&changed) = self.unit.overrides.get(&name)
        {
            return changed;
        }
        self.marked_symbol(name, self.unit.block, |mark| &mut mark.symbol)
    }

    /// Flags and scope of a name in the module, as the program has it.
    pub(super) fn own_module_symbol(&self, name: Sym) -> (Flags, Scope) {
        self.marked_symbol(name, BlockId::MODULE, |mark| &mut mark.module)
    }

    /// Flags and scope of a name in a block, which its mark keeps.
    #[inline]
    fn marked_symbol(
        &self,
        name: Sym,
        block: BlockId,
        kept: impl FnOnce(&mut Mark) -> &mut Option<(Flags, Scope)>,
    ) -> (Flags, Scope) {
        let Some((cell, mut mark)) = self.marks.of(name, self.unit.serial) else {
            return self.look_up(block, name);
        };
        let kept = kept(&mut mark);
        if let Some(symbol) = *kept {
            return symbol;
        }
        let symbol = self.look_up(block, name);
        *kept = Some(symbol);
        cell.set(mark);
        symbol
    }

    fn look_up(&self, block: BlockId, name: Sym) -> (Flags, Scope) {
        match self.table.block(block).symbol(name) {
            Some(symbol) => (symbol.flags, symbol.scope),
            None => (Flags(0), Scope::Unknown),
        }
    }
}
