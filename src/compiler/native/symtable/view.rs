//! What a block sees of those around it, while the blocks are visited from the outside in.
//!
//! Invariant: after a block was left, all is as it was before it was entered.

use crate::compiler::native::ast::Sym;

/// What may be known of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// A function around binds it.
    Bound = 1,
    /// It is declared global.
    Global = 2,
    /// It is a type parameter.
    TypeParam = 4,
}

/// What is known of each name, and what to change back.
pub(super) struct View {
    /// By the name's index: the sum of what is known.
    known: Vec<u8>,
    /// The names that were changed, with what was known before.
    changes: Vec<(Sym, u8)>,
}

/// A moment to go back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark(usize);

impl View {
    /// Nothing is known of so many names.
    pub(super) fn new(names: usize) -> View {
        View {
            known: vec![0; names],
            changes: Vec::new(),
        }
    }

    /// Now.
    pub(super) fn mark(&self) -> Mark {
        Mark(self.changes.len())
    }

    /// Whether that is known of a name.
    pub(super) fn has(&self, name: Sym, what: Known) -> bool {
        self.all(name) & what as u8 != 0
    }

    fn all(&self, name: Sym) -> u8 {
        self.known.get(name.index()).copied().unwrap_or(0)
    }

    /// Says whether that is known of a name from now on.
    pub(super) fn set(&mut self, name: Sym, what: Known, on: bool) {
        let before = self.all(name);
        let after = if on {
            before | what as u8
        } else {
            before & !(what as u8)
        };
        if after != before {
            self.changes.push((name, before));
            self.put(name, after);
        }
    }

    fn put(&mut self, name: Sym, all: u8) {
        if name.index() >= self.known.len() {
            self.known.resize(name.index() + 1, 0);
        }
        if let Some(known) = self.known.get_mut(name.index()) {
            *known = all;
        }
    }

    /// Goes back in these respects only. What was changed otherwise can still be changed back.
    pub(super) fn restore(&mut self, mark: Mark, respects: &[Known]) {
        let mask = respects.iter().fold(0, |mask, &what| mask | what as u8);
        for at in (mark.0..self.changes.len()).rev() {
            if let Some(&(name, before)) = self.changes.get(at) {
                self.put(name, self.all(name) & !mask | before & mask);
            }
        }
    }

    /// Goes back.
    pub(super) fn leave(&mut self, mark: Mark) {
        while self.changes.len() > mark.0
            && let Some((name, before)) = self.changes.pop()
        {
            self.put(name, before);
        }
    }
}
