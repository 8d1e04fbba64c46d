//! Sets of names.

use crate::compiler::native::ast::Sym;

/// A set of names.
#[derive(Debug, Default)]
pub struct Names {
    /// By the name's index: whether it is in the set.
    members: Vec<bool>,
}

impl Names {
    /// Adds a name.
    pub fn insert(&mut self, name: Sym) {
        let at = name.index();
        if at >= self.members.len() {
            self.members.resize(at + 1, false);
        }
        if let Some(member) = self.members.get_mut(at) {
            *member = true;
        }
    }

    /// Whether a name is in it.
    pub fn contains(&self, name: Sym) -> bool {
        self.members.get(name.index()) == Some(&true)
    }
}

impl Extend<Sym> for Names {
    fn extend<T: IntoIterator<Item = Sym>>(&mut self, names: T) {
        for name in names {
            self.insert(name);
        }
    }
}
