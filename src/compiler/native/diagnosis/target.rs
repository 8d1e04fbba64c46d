//! What is assigned to, deleted or looped over.

use super::node::{Shape, Tree};
use super::parser::{At, Memo, Parser, Rule, either, want};

/// For what a target is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Assign,
    Delete,
    Loop,
}

impl Parser<'_> {
    pub(super) fn star_targets(&mut self) -> Rule {
        let first = self.mark;
        let one = want!(self.star_target());
        if !self.sees(|p| p.op(","))? {
            return Ok(Some(one));
        }
        while self
            .alternative(|p| {
                want!(p.op(","));
                p.star_target()
            })?
            .is_some()
        {}
        self.maybe(|p| p.op(","))?;
        Ok(Some(self.node(Shape::Tuple, first, Vec::new())))
    }

    pub(super) fn star_target(&mut self) -> Rule {
        self.remembered(Memo::StarTarget, |p| {
            either!(p, |p: &mut Self| {
                want!(p.op("*"));
                want!(p.unless(|p| p.op("*")));
                p.star_target()
            });
            either!(p, Self::attribute_or_subscript);
            p.star_atom()
        })
    }

    fn star_atom(&mut self) -> Rule {
        either!(self, Self::name);
        either!(self, |p: &mut Self| {
            want!(p.op("("));
            match p.maybe(Self::attribute_or_subscript)? {
                Some(_) => {}
                None => drop(want!(p.star_atom())),
            }
            p.op(")")
        });
        either!(self, |p: &mut Self| {
            want!(p.op("("));
            p.maybe(|p| {
                want!(p.star_target());
                want!(p.op(","));
                p.maybe(|p| {
                    want!(p.commas(Self::star_target));
                    p.maybe(|p| p.op(","))?;
                    Ok(Some(()))
                })?;
                Ok(Some(()))
            })?;
            p.op(")")
        });
        want!(self.op("["));
        self.maybe(|p| {
            want!(p.commas(Self::star_target));
            p.maybe(|p| p.op(","))?;
            Ok(Some(()))
        })?;
        self.op("]")
    }

    pub(super) fn single_target(&mut self) -> Rule {
        either!(self, Self::attribute_or_subscript);
        either!(self, Self::name);
        want!(self.op("("));
        let target = want!(self.single_target());
        want!(self.op(")"));
        Ok(Some(target))
    }

    pub(super) fn attribute_or_subscript(&mut self) -> Rule {
        let first = self.mark;
        either!(self, |p: &mut Self| {
            want!(p.target_primary());
            want!(p.op("."));
            want!(p.name());
            want!(p.unless(Self::opens_trailer));
            Ok(Some(p.node(Shape::Attribute, first, Vec::new())))
        });
        want!(self.target_primary());
        want!(self.op("["));
        want!(self.slices());
        want!(self.op("]"));
        want!(self.unless(Self::opens_trailer));
        Ok(Some(self.node(Shape::Subscript, first, Vec::new())))
    }

    fn opens_trailer(&mut self) -> Rule {
        self.any_op(&["(", "[", "."])
    }

    /// A primary behind which another trailer comes.
    fn target_primary(&mut self) -> Rule {
        self.remembered(Memo::TargetPrimary, |p| {
            let first = p.mark;
            let mut value = want!(p.memo_atom());
            want!(p.if_sees(Self::opens_trailer));
            loop {
                let mark = p.mark;
                let Some(shape) = p.trailer(Self::name)? else {
                    return Ok(Some(value));
                };
                if !p.sees(Self::opens_trailer)? {
                    p.mark = mark;
                    return Ok(Some(value));
                }
                value = p.node(shape, first, Vec::new());
            }
        })
    }

    pub(super) fn del_targets(&mut self) -> Rule<()> {
        want!(self.commas(Self::del_target));
        self.maybe(|p| p.op(","))?;
        Ok(Some(()))
    }

    fn del_target(&mut self) -> Rule {
        self.remembered(Memo::DelTarget, |p| {
            either!(p, Self::attribute_or_subscript);
            either!(p, Self::name);
            either!(p, |p: &mut Self| {
                want!(p.op("("));
                want!(p.del_target());
                p.op(")")
            });
            either!(p, |p: &mut Self| {
                want!(p.op("("));
                p.maybe(Self::del_targets)?;
                p.op(")")
            });
            want!(p.op("["));
            p.maybe(Self::del_targets)?;
            p.op("]")
        })
    }

    /// Raises for the first part of an expression that is no target, if there is one.
    pub(super) fn raise_target(&mut self, wanted: Use, tree: &Tree) -> Rule {
        let Some(wrong) = no_target(wanted, tree) else {
            return Ok(None);
        };
        let message = match wanted {
            Use::Assign | Use::Loop => format!("cannot assign to {}", wrong.name()),
            Use::Delete => format!("cannot delete {}", wrong.name()),
        };
        self.raise(At::Node(&wrong), message)
    }

    pub(super) fn invalid_for_target(&mut self) -> Rule {
        self.maybe(|p| p.word("async"))?;
        want!(self.word("for"));
        let target = want!(self.star_expressions());
        self.raise_target(Use::Loop, &target)
    }
}

fn no_target(wanted: Use, tree: &Tree) -> Option<Tree> {
    match tree.shape {
        Shape::List | Shape::Tuple => tree.parts.iter().find_map(|part| no_target(wanted, part)),
        Shape::Starred if wanted != Use::Delete => no_target(wanted, tree.parts.first()?),
        // `a in b` of `for a in b` was read as a comparison.
        Shape::Comparison if wanted == Use::Loop => match tree.parts.as_slice() {
            [left, _] => no_target(wanted, left),
            _ => None,
        },
        Shape::Name | Shape::Attribute | Shape::Subscript => None,
        _ => Some(tree.clone()),
    }
}
