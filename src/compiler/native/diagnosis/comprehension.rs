//! Displays and comprehensions.

use super::node::{Shape, Tree};
use super::parser::{At, Halt, Parser, Rule, either, want};

impl Parser<'_> {
    pub(super) fn list(&mut self) -> Rule {
        let first = self.mark;
        want!(self.op("["));
        let items = self
            .maybe(Self::star_named_expressions)?
            .unwrap_or_default();
        want!(self.op("]"));
        Ok(Some(self.node(Shape::List, first, items)))
    }

    pub(super) fn tuple(&mut self) -> Rule {
        let first = self.mark;
        want!(self.op("("));
        let items = self.maybe(|p| {
            let mut items = vec![want!(p.star_named_expression())];
            want!(p.op(","));
            items.extend(p.maybe(Self::star_named_expressions)?.unwrap_or_default());
            Ok(Some(items))
        })?;
        want!(self.op(")"));
        Ok(Some(self.node(
            Shape::Tuple,
            first,
            items.unwrap_or_default(),
        )))
    }

    pub(super) fn group(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            want!(p.op("("));
            let value = match p.maybe(Self::yield_expression)? {
                Some(value) => value,
                None => want!(p.named_expression()),
            };
            want!(p.op(")"));
            Ok(Some(value))
        });
        if !self.mistakes {
            return Ok(None);
        }
        either!(self, |p: &mut Self| {
            want!(p.op("("));
            let starred = want!(p.starred_expression());
            want!(p.op(")"));
            p.raise(At::Node(&starred), "cannot use starred expression here")
        });
        want!(self.op("("));
        let stars = want!(self.op("**"));
        want!(self.expression());
        want!(self.op(")"));
        self.raise(
            At::Node(&stars),
            "cannot use double starred expression here",
        )
    }

    pub(super) fn set(&mut self) -> Rule {
        let first = self.mark;
        want!(self.op("{"));
        let items = want!(self.star_named_expressions());
        want!(self.op("}"));
        Ok(Some(self.node(Shape::Set, first, items)))
    }

    pub(super) fn dict(&mut self) -> Rule {
        let first = self.mark;
        either!(self, |p: &mut Self| {
            want!(p.op("{"));
            p.maybe(Self::pairs)?;
            want!(p.op("}"));
            Ok(Some(p.node(Shape::Dict, first, Vec::new())))
        });
        // In the first pass, too.
        want!(self.op("{"));
        want!(self.invalid_pairs());
        want!(self.op("}"));
        Ok(None)
    }

    fn pairs(&mut self) -> Rule<()> {
        want!(self.commas(Self::starred_pair));
        self.maybe(|p| p.op(","))?;
        Ok(Some(()))
    }

    fn starred_pair(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            want!(p.op("**"));
            p.bitwise_or()
        });
        self.pair()
    }

    fn pair(&mut self) -> Rule {
        want!(self.expression());
        want!(self.op(":"));
        self.expression()
    }

    fn invalid_pairs(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            want!(p.commas(Self::starred_pair));
            want!(p.op(","));
            p.invalid_pair()
        });
        either!(self, Self::starred_value);
        self.no_value()
    }

    fn starred_value(&mut self) -> Rule {
        want!(self.expression());
        want!(self.op(":"));
        let star = want!(self.op("*"));
        want!(self.bitwise_or());
        self.raise(
            At::From(&star),
            "cannot use a starred expression in a dictionary value",
        )
    }

    fn no_value(&mut self) -> Rule {
        want!(self.expression());
        let colon = want!(self.op(":"));
        want!(self.if_sees(|p| p.any_op(&["}", ","])));
        self.raise(
            At::Node(&colon),
            "expression expected after dictionary key and ':'",
        )
    }

    fn invalid_pair(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            let key = want!(p.expression());
            want!(p.unless(|p| p.op(":")));
            p.raise_behind(&key, "':' expected after dictionary key")
        });
        either!(self, Self::starred_value);
        self.no_value()
    }

    pub(super) fn for_if_clauses(&mut self) -> Rule<Vec<Tree>> {
        self.some(Self::for_if_clause)
    }

    fn for_if_clause(&mut self) -> Rule {
        for is_async in [true, false] {
            let mark = self.mark;
            let mut cut = false;
            let clause = self.alternative(|p| {
                let first = p.mark;
                if is_async {
                    want!(p.word("async"));
                }
                want!(p.word("for"));
                want!(p.star_targets());
                want!(p.word("in"));
                cut = true;
                let mut last = want!(p.disjunction());
                while let Some(test) = p.alternative(|p| {
                    want!(p.word("if"));
                    p.disjunction()
                })? {
                    last = test;
                }
                Ok(Some(p.node(Shape::Other, first, vec![last])))
            })?;
            if clause.is_some() || cut {
                if clause.is_none() {
                    self.mark = mark;
                }
                return Ok(clause);
            }
        }
        if self.mistakes {
            {
                either!(self, |p: &mut Self| {
                    p.maybe(|p| p.word("async"))?;
                    want!(p.word("for"));
                    want!(p.commas(Self::bitwise_or));
                    p.maybe(|p| p.op(","))?;
                    want!(p.unless(|p| p.word("in")));
                    p.raise(At::Here, "'in' expected after for-loop variables")
                });
            }
            return self.invalid_for_target();
        }
        Ok(None)
    }

    pub(super) fn list_comprehension(&mut self) -> Rule {
        let first = self.mark;
        either!(self, |p: &mut Self| {
            want!(p.op("["));
            want!(p.named_expression());
            want!(p.for_if_clauses());
            want!(p.op("]"));
            Ok(Some(p.node(Shape::ListComprehension, first, Vec::new())))
        });
        self.invalid_comprehension()
    }

    pub(super) fn set_comprehension(&mut self) -> Rule {
        let first = self.mark;
        either!(self, |p: &mut Self| {
            want!(p.op("{"));
            want!(p.named_expression());
            want!(p.for_if_clauses());
            want!(p.op("}"));
            Ok(Some(p.node(Shape::SetComprehension, first, Vec::new())))
        });
        self.invalid_comprehension()
    }

    pub(super) fn generator(&mut self) -> Rule {
        let first = self.mark;
        either!(self, |p: &mut Self| {
            want!(p.op("("));
            match p.maybe(Self::assignment_expression)? {
                Some(_) => {}
                None => drop(want!(p.expression_no_walrus())),
            }
            want!(p.for_if_clauses());
            want!(p.op(")"));
            Ok(Some(p.node(Shape::Generator, first, Vec::new())))
        });
        self.invalid_comprehension()
    }

    pub(super) fn dict_comprehension(&mut self) -> Rule {
        let first = self.mark;
        either!(self, |p: &mut Self| {
            want!(p.op("{"));
            want!(p.pair());
            want!(p.for_if_clauses());
            want!(p.op("}"));
            Ok(Some(p.node(Shape::DictComprehension, first, Vec::new())))
        });
        if !self.mistakes {
            return Ok(None);
        }
        want!(self.op("{"));
        let stars = want!(self.op("**"));
        want!(self.bitwise_or());
        want!(self.for_if_clauses());
        want!(self.op("}"));
        self.raise(
            At::Node(&stars),
            "dict unpacking cannot be used in dict comprehension",
        )
    }

    fn invalid_comprehension(&mut self) -> Rule {
        if !self.mistakes {
            return Ok(None);
        }
        either!(self, |p: &mut Self| {
            want!(p.any_op(&["[", "(", "{"]));
            let starred = want!(p.starred_expression());
            want!(p.for_if_clauses());
            p.raise(
                At::Node(&starred),
                "iterable unpacking cannot be used in comprehension",
            )
        });
        let message = "did you forget parentheses around the comprehension target?";
        either!(self, |p: &mut Self| {
            want!(p.any_op(&["[", "{"]));
            let target = want!(p.star_named_expression());
            want!(p.op(","));
            let others = want!(p.star_named_expressions());
            want!(p.for_if_clauses());
            let last = others.last().ok_or(Halt::Unknown)?;
            p.raise(At::Range(&target, last), message)
        });
        want!(self.any_op(&["[", "{"]));
        let target = want!(self.star_named_expression());
        let comma = want!(self.op(","));
        want!(self.for_if_clauses());
        self.raise(At::Range(&target, &comma), message)
    }
}
