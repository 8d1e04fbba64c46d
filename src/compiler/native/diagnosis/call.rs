//! Arguments of calls and class statements.

use super::node::{Node, Shape, Tree};
use super::parser::{At, Halt, Memo, NO_END, Parser, Rule, either, want};
use std::rc::Rc;

impl Parser<'_> {
    pub(super) fn arguments(&mut self) -> Rule {
        self.remembered(Memo::Arguments, |p| {
            either!(p, |p: &mut Self| {
                let args = want!(p.args());
                p.maybe(|p| p.op(","))?;
                want!(p.if_sees(|p| p.op(")")));
                Ok(Some(args))
            });
            if p.mistakes {
                return p.invalid_arguments();
            }
            Ok(None)
        })
    }

    /// A node whose parts are positional arguments; keywords have the shape `Other`.
    fn args(&mut self) -> Rule {
        let first = self.mark;
        either!(self, |p: &mut Self| {
            let mut all = want!(p.commas(Self::positional));
            let more = p.maybe(|p| {
                want!(p.op(","));
                p.keywords()
            })?;
            all.extend(more.unwrap_or_default());
            Ok(Some(p.node(Shape::Other, first, all)))
        });
        let all = want!(self.keywords());
        Ok(Some(self.node(Shape::Other, first, all)))
    }

    fn positional(&mut self) -> Rule {
        either!(self, Self::starred_expression);
        let value = match self.maybe(Self::assignment_expression)? {
            Some(value) => value,
            None => want!(self.expression_no_walrus()),
        };
        want!(self.unless(|p| p.op("=")));
        Ok(Some(value))
    }

    fn keywords(&mut self) -> Rule<Vec<Tree>> {
        either!(self, |p: &mut Self| {
            let mut all = want!(p.commas(Self::keyword_or_starred));
            want!(p.op(","));
            all.extend(want!(p.commas(Self::keyword_or_double_starred)));
            Ok(Some(all))
        });
        either!(self, |p: &mut Self| p.commas(Self::keyword_or_starred));
        self.commas(Self::keyword_or_double_starred)
    }

    pub(super) fn starred_expression(&mut self) -> Rule {
        let first = self.mark;
        if self.mistakes {
            either!(self, |p: &mut Self| {
                let star = want!(p.op("*"));
                want!(p.expression());
                want!(p.op("="));
                let value = want!(p.expression());
                p.raise(
                    At::Range(&star, &value),
                    "cannot assign to iterable argument unpacking",
                )
            });
        }
        either!(self, |p: &mut Self| {
            want!(p.op("*"));
            let value = want!(p.expression());
            Ok(Some(p.node(Shape::Starred, first, vec![value])))
        });
        // Before 3.14 in the first pass, too.
        if !self.mistakes && self.minor >= 14 {
            return Ok(None);
        }
        want!(self.op("*"));
        self.raise(At::Here, "Invalid star expression")
    }

    fn keyword(&mut self) -> Rule {
        let first = self.mark;
        want!(self.name());
        want!(self.op("="));
        want!(self.expression());
        Ok(Some(self.node(Shape::Other, first, Vec::new())))
    }

    fn keyword_or_starred(&mut self) -> Rule {
        if self.mistakes {
            either!(self, Self::invalid_keyword);
        }
        either!(self, Self::keyword);
        self.starred_expression()
    }

    fn keyword_or_double_starred(&mut self) -> Rule {
        if self.mistakes {
            either!(self, Self::invalid_keyword);
        }
        either!(self, Self::keyword);
        let first = self.mark;
        want!(self.op("**"));
        let value = want!(self.expression());
        // Told from `name=value` by its part.
        Ok(Some(self.node(Shape::Other, first, vec![value])))
    }

    fn invalid_keyword(&mut self) -> Rule {
        for word in ["True", "False", "None"] {
            either!(self, |p: &mut Self| {
                let constant = want!(p.word(word));
                let equals = want!(p.op("="));
                p.raise(
                    At::Range(&constant, &equals),
                    format!("cannot assign to {word}"),
                )
            });
        }
        either!(self, Self::keyword_generator);
        either!(self, |p: &mut Self| {
            want!(p.unless(|p| {
                want!(p.name());
                p.op("=")
            }));
            let value = want!(p.expression());
            let equals = want!(p.op("="));
            p.raise(
                At::Range(&value, &equals),
                "expression cannot contain assignment, perhaps you meant \"==\"?",
            )
        });
        let stars = want!(self.op("**"));
        want!(self.expression());
        want!(self.op("="));
        let value = want!(self.expression());
        self.raise(
            At::Range(&stars, &value),
            "cannot assign to keyword argument unpacking",
        )
    }

    fn keyword_generator(&mut self) -> Rule {
        let name = want!(self.name());
        let equals = want!(self.op("="));
        want!(self.expression());
        want!(self.for_if_clauses());
        self.raise(
            At::Range(&name, &equals),
            "invalid syntax. Maybe you meant '==' or ':=' instead of '='?",
        )
    }

    fn invalid_arguments(&mut self) -> Rule {
        let message = "iterable argument unpacking follows keyword argument unpacking";
        either!(self, |p: &mut Self| {
            let mut matched = p
                .maybe(|p| {
                    want!(p.commas(Self::positional));
                    want!(p.op(","));
                    want!(p.keywords());
                    Ok(Some(()))
                })?
                .is_some();
            if !matched {
                matched = p.maybe(Self::keywords)?.is_some();
            }
            if !matched {
                return Ok(None);
            }
            let comma = want!(p.op(","));
            want!(p.commas(|p| {
                let starred = want!(p.starred_expression());
                want!(p.unless(|p| p.op("=")));
                Ok(Some(starred))
            }));
            p.raise(At::From(&comma), message)
        });
        let unbracketed = "Generator expression must be parenthesized";
        either!(self, |p: &mut Self| {
            let value = want!(p.expression());
            let clauses = want!(p.for_if_clauses());
            want!(p.op(","));
            p.maybe(|p| {
                either!(p, |p: &mut Self| {
                    want!(p.args());
                    Ok(Some(()))
                });
                want!(p.expression());
                want!(p.for_if_clauses());
                Ok(Some(()))
            })?;
            let last = last_of(&clauses)?;
            p.raise(At::Range(&value, &last), unbracketed)
        });
        either!(self, Self::keyword_generator);
        either!(self, |p: &mut Self| {
            p.maybe(|p| {
                want!(p.args());
                p.op(",")
            })?;
            let name = want!(p.name());
            let equals = want!(p.op("="));
            want!(p.if_sees(|p| p.any_op(&[",", ")"])));
            p.raise(
                At::Range(&name, &equals),
                "expected argument value expression",
            )
        });
        either!(self, |p: &mut Self| {
            let args = want!(p.args());
            let clauses = want!(p.for_if_clauses());
            let positional: Vec<&Tree> = args.parts.iter().collect();
            // A sole argument is the generator's, which is no mistake.
            if positional.len() <= 1 {
                return Ok(None);
            }
            let Some(value) = args.parts.iter().rfind(|part| part.shape != Shape::Other) else {
                return Ok(None);
            };
            let last = last_of(&clauses)?;
            p.raise(At::Range(value, &last), unbracketed)
        });
        either!(self, |p: &mut Self| {
            want!(p.args());
            want!(p.op(","));
            let value = want!(p.expression());
            let clauses = want!(p.for_if_clauses());
            let last = last_of(&clauses)?;
            p.raise(At::Range(&value, &last), unbracketed)
        });
        let args = want!(self.args());
        want!(self.op(","));
        want!(self.args());
        let unpacked = args
            .parts
            .iter()
            .any(|part| part.shape == Shape::Other && !part.parts.is_empty());
        let message = if unpacked {
            "positional argument follows keyword argument unpacking"
        } else {
            "positional argument follows keyword argument"
        };
        self.raise(At::Here, message)
    }

    /// An error at the last character of a node, without an end.
    pub(super) fn raise_behind(&mut self, node: &Tree, message: &str) -> Rule {
        let mut place = node.end;
        place.col -= 1;
        let mark = Node {
            shape: Shape::Other,
            start: super::token::Place {
                line: node.start.line,
                col: place.col,
            },
            end: super::token::Place {
                line: node.end.line,
                col: NO_END,
            },
            parts: Vec::new(),
            text: (0, 0),
        };
        self.raise(At::Node(&Rc::new(mark)), message)
    }
}

/// The last item of the last clause of a comprehension.
fn last_of(clauses: &[Tree]) -> Result<Tree, Halt> {
    let clause = clauses.last().ok_or(Halt::Unknown)?;
    clause.parts.first().cloned().ok_or(Halt::Unknown)
}
