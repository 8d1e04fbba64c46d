//! Simple statements.

use super::node::{Shape, Tree};
use super::parser::{At, Memo, Parser, Rule, either, want};
use super::target::Use;
use super::token::Kind;

const AUGMENTED: [&str; 13] = [
    "+=", "-=", "*=", "@=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=", "**=", "//=",
];

impl Parser<'_> {
    /// Simple statements up to the end of their line.
    pub(super) fn simple_statements(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            let first = p.mark;
            want!(p.simple_statement());
            want!(p.unless(|p| p.op(";")));
            want!(p.kind(Kind::Newline));
            Ok(Some(p.node(Shape::Other, first, Vec::new())))
        });
        let first = self.mark;
        want!(self.simple_statement());
        while self
            .alternative(|p| {
                want!(p.op(";"));
                p.simple_statement()
            })?
            .is_some()
        {}
        self.maybe(|p| p.op(";"))?;
        want!(self.kind(Kind::Newline));
        Ok(Some(self.node(Shape::Other, first, Vec::new())))
    }

    pub(super) fn simple_statement(&mut self) -> Rule {
        self.remembered(Memo::SimpleStatement, |p| {
            either!(p, Self::assignment);
            if p.sees(|p| p.word("type"))? {
                either!(p, Self::type_alias);
            }
            either!(p, Self::star_expressions);
            let token = p.peek()?;
            let (kind, from, to) = (token.kind, token.from, token.to);
            if kind != Kind::Name {
                return Ok(None);
            }
            let word = p.text(from, to).to_owned();
            match word.as_str() {
                "return" => {
                    want!(p.word("return"));
                    p.maybe(Self::star_expressions)?;
                    Ok(Some(p.node(Shape::Other, p.mark, Vec::new())))
                }
                "import" | "from" => p.import_statement(),
                "raise" => p.raise_statement(),
                "del" => p.del_statement(),
                "yield" => p.yield_expression(),
                "assert" => {
                    want!(p.word("assert"));
                    want!(p.expression());
                    p.maybe(|p| {
                        want!(p.op(","));
                        p.expression()
                    })?;
                    Ok(Some(p.node(Shape::Other, p.mark, Vec::new())))
                }
                "pass" | "break" | "continue" => p.word(&word),
                "global" | "nonlocal" => {
                    want!(p.word(&word));
                    want!(p.commas(Self::name));
                    Ok(Some(p.node(Shape::Other, p.mark, Vec::new())))
                }
                _ => Ok(None),
            }
        })
    }

    fn assigned_value(&mut self) -> Rule<()> {
        self.maybe(|p| {
            want!(p.op("="));
            p.annotated_rhs()
        })?;
        Ok(Some(()))
    }

    fn assignment(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            let name = want!(p.name());
            want!(p.op(":"));
            want!(p.expression());
            want!(p.assigned_value());
            Ok(Some(name))
        });
        either!(self, |p: &mut Self| {
            let target = match p.maybe(|p| {
                want!(p.op("("));
                let target = want!(p.single_target());
                want!(p.op(")"));
                Ok(Some(target))
            })? {
                Some(target) => target,
                None => want!(p.attribute_or_subscript()),
            };
            want!(p.op(":"));
            want!(p.expression());
            want!(p.assigned_value());
            Ok(Some(target))
        });
        either!(self, |p: &mut Self| {
            want!(p.some(Self::assigned_target));
            let value = want!(p.annotated_rhs());
            want!(p.unless(|p| p.op("=")));
            Ok(Some(value))
        });
        let mut cut = false;
        let augmented = self.alternative(|p| {
            let target = want!(p.single_target());
            want!(p.any_op(&AUGMENTED));
            cut = true;
            want!(p.annotated_rhs());
            Ok(Some(target))
        })?;
        if augmented.is_some() || cut {
            return Ok(augmented);
        }
        if self.mistakes {
            return self.invalid_assignment();
        }
        Ok(None)
    }

    fn assigned_target(&mut self) -> Rule {
        let target = want!(self.star_targets());
        want!(self.op("="));
        Ok(Some(target))
    }

    fn annotated_list_or_tuple(&mut self) -> Rule {
        either!(self, Self::list);
        either!(self, Self::tuple);
        want!(self.op("("));
        let inner = want!(self.annotated_list_or_tuple());
        want!(self.op(")"));
        Ok(Some(inner))
    }

    fn invalid_assignment(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            let target = want!(p.annotated_list_or_tuple());
            want!(p.op(":"));
            want!(p.expression());
            let message = format!(
                "only single target (not {}) can be annotated",
                target.name()
            );
            p.raise(At::Node(&target), message)
        });
        either!(self, |p: &mut Self| {
            let first = want!(p.star_named_expression());
            want!(p.op(","));
            while p.alternative(Self::star_named_expressions)?.is_some() {}
            want!(p.op(":"));
            want!(p.expression());
            let message = "only single target (not tuple) can be annotated";
            p.raise(At::Node(&first), message)
        });
        either!(self, |p: &mut Self| {
            let target = want!(p.expression());
            want!(p.op(":"));
            want!(p.expression());
            p.raise(At::Node(&target), "illegal target for annotation")
        });
        either!(self, |p: &mut Self| {
            p.many(Self::assigned_target)?;
            let target = want!(p.star_expressions());
            want!(p.op("="));
            p.raise_target(Use::Assign, &target)
        });
        either!(self, |p: &mut Self| {
            p.many(Self::assigned_target)?;
            let target = want!(p.yield_expression());
            want!(p.op("="));
            p.raise(
                At::Node(&target),
                "assignment to yield expression not possible",
            )
        });
        let target = want!(self.star_expressions());
        want!(self.any_op(&AUGMENTED));
        want!(self.annotated_rhs());
        let message = format!(
            "'{}' is an illegal expression for augmented assignment",
            target.name()
        );
        self.raise(At::Node(&target), message)
    }

    fn type_alias(&mut self) -> Rule {
        let word = want!(self.word("type"));
        want!(self.name());
        self.maybe(Self::type_parameters)?;
        want!(self.op("="));
        want!(self.expression());
        Ok(Some(word))
    }

    fn raise_statement(&mut self) -> Rule {
        let word = want!(self.word("raise"));
        let value = self.maybe(Self::expression)?;
        if value.is_some() {
            self.maybe(|p| {
                want!(p.word("from"));
                p.expression()
            })?;
        }
        Ok(Some(word))
    }

    fn del_statement(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            let word = want!(p.word("del"));
            want!(p.del_targets());
            want!(p.if_sees(|p| {
                either!(p, |p: &mut Self| p.op(";"));
                p.kind(Kind::Newline)
            }));
            Ok(Some(word))
        });
        if self.mistakes {
            want!(self.word("del"));
            let targets = want!(self.star_expressions());
            return self.raise_target(Use::Delete, &targets);
        }
        Ok(None)
    }

    fn import_statement(&mut self) -> Rule {
        if self.mistakes {
            either!(self, |p: &mut Self| {
                let word = want!(p.word("import"));
                want!(p.commas(Self::dotted_name));
                want!(p.word("from"));
                want!(p.dotted_name());
                p.raise(
                    At::From(&word),
                    "Did you mean to use 'from ... import ...' instead?",
                )
            });
            either!(self, |p: &mut Self| {
                want!(p.word("import"));
                p.no_names()
            });
        }
        either!(self, |p: &mut Self| {
            let word = want!(p.word("import"));
            want!(p.commas(Self::dotted_as_name));
            Ok(Some(word))
        });
        either!(self, |p: &mut Self| {
            let word = want!(p.word("from"));
            p.many(|p| p.any_op(&[".", "..."]))?;
            want!(p.dotted_name());
            want!(p.word("import"));
            want!(p.imported());
            Ok(Some(word))
        });
        let word = want!(self.word("from"));
        want!(self.some(|p| p.any_op(&[".", "..."])));
        want!(self.word("import"));
        want!(self.imported());
        Ok(Some(word))
    }

    fn no_names(&mut self) -> Rule {
        let newline = want!(self.kind(Kind::Newline));
        self.raise(
            At::From(&newline),
            "Expected one or more names after 'import'",
        )
    }

    fn imported(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            want!(p.op("("));
            want!(p.commas(Self::import_as_name));
            p.maybe(|p| p.op(","))?;
            p.op(")")
        });
        either!(self, |p: &mut Self| {
            let names = want!(p.commas(Self::import_as_name));
            want!(p.unless(|p| p.op(",")));
            Ok(names.into_iter().next())
        });
        either!(self, |p: &mut Self| p.op("*"));
        if !self.mistakes {
            return Ok(None);
        }
        either!(self, |p: &mut Self| {
            want!(p.commas(Self::import_as_name));
            want!(p.op(","));
            want!(p.kind(Kind::Newline));
            p.raise(
                At::Here,
                "trailing comma not allowed without surrounding parentheses",
            )
        });
        self.no_names()
    }

    fn import_as_name(&mut self) -> Rule {
        self.as_name(Self::name)
    }

    fn dotted_as_name(&mut self) -> Rule {
        self.as_name(Self::dotted_name)
    }

    fn as_name(&mut self, name: fn(&mut Self) -> Rule) -> Rule {
        if self.mistakes && self.minor >= 14 {
            either!(self, |p: &mut Self| {
                want!(name(p));
                want!(p.word("as"));
                want!(p.unless(|p| {
                    want!(p.name());
                    either!(p, |p: &mut Self| p.any_op(&[",", ")", ";"]));
                    p.kind(Kind::Newline)
                }));
                let target = want!(p.expression());
                let message = format!("cannot use {} as import target", target.name());
                p.raise(At::Node(&target), message)
            });
        }
        let found = want!(name(self));
        self.maybe(|p| {
            want!(p.word("as"));
            p.name()
        })?;
        Ok(Some(found))
    }

    fn dotted_name(&mut self) -> Rule {
        let first: Tree = want!(self.name());
        while self
            .alternative(|p| {
                want!(p.op("."));
                p.name()
            })?
            .is_some()
        {}
        Ok(Some(first))
    }
}
