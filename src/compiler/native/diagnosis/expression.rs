//! Expressions, and what is known to go wrong in them.

use super::node::{Shape, Tree};
use super::parser::{At, Memo, Parser, Rule, either, want};
use super::token::Kind;

/// The left-associative operators, loosest first.
const LEVELS: [&[&str]; 6] = [
    &["|"],
    &["^"],
    &["&"],
    &["<<", ">>"],
    &["+", "-"],
    &["*", "/", "//", "%", "@"],
];

/// The level of the shifts.
const SHIFT: usize = 3;

impl Parser<'_> {
    pub(super) fn expressions(&mut self) -> Rule {
        self.listed(Self::expression)
    }

    pub(super) fn star_expressions(&mut self) -> Rule {
        self.listed(Self::star_expression)
    }

    /// One item, or a tuple of several.
    fn listed(&mut self, item: fn(&mut Self) -> Rule) -> Rule {
        let first = self.mark;
        let one = want!(item(self));
        let mut items = vec![one.clone()];
        let mut is_tuple = false;
        while let Some(next) = self.alternative(|p| {
            want!(p.op(","));
            item(p)
        })? {
            is_tuple = true;
            items.push(next);
        }
        is_tuple |= self.maybe(|p| p.op(","))?.is_some();
        if is_tuple {
            return Ok(Some(self.node(Shape::Tuple, first, items)));
        }
        Ok(Some(one))
    }

    pub(super) fn star_expression(&mut self) -> Rule {
        self.remembered(Memo::StarExpression, |p| {
            either!(p, Self::starred_operand);
            p.expression()
        })
    }

    fn starred_operand(&mut self) -> Rule {
        let first = self.mark;
        want!(self.op("*"));
        let value = want!(self.bitwise_or());
        Ok(Some(self.node(Shape::Starred, first, vec![value])))
    }

    pub(super) fn star_named_expression(&mut self) -> Rule {
        either!(self, Self::starred_operand);
        self.named_expression()
    }

    /// Several with commas, and maybe one behind the last.
    pub(super) fn star_named_expressions(&mut self) -> Rule<Vec<Tree>> {
        let all = want!(self.commas(Self::star_named_expression));
        self.maybe(|p| p.op(","))?;
        Ok(Some(all))
    }

    pub(super) fn assignment_expression(&mut self) -> Rule {
        let first = self.mark;
        let name = want!(self.name());
        want!(self.op(":="));
        let value = want!(self.expression());
        Ok(Some(self.node(Shape::Named, first, vec![name, value])))
    }

    pub(super) fn expression_no_walrus(&mut self) -> Rule {
        let value = want!(self.expression());
        want!(self.unless(|p| p.op(":=")));
        Ok(Some(value))
    }

    pub(super) fn named_expression(&mut self) -> Rule {
        self.remembered(Memo::NamedExpression, |p| {
            either!(p, Self::assignment_expression);
            if p.mistakes {
                either!(p, |p: &mut Self| p
                    .remembered(Memo::InvalidNamed, Self::invalid_named_expression));
            }
            p.expression_no_walrus()
        })
    }

    fn invalid_named_expression(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            let target = want!(p.expression());
            want!(p.op(":="));
            want!(p.expression());
            let message = format!("cannot use assignment expressions with {}", target.name());
            p.raise(At::Node(&target), message)
        });
        either!(self, |p: &mut Self| {
            let name = want!(p.name());
            want!(p.op("="));
            let value = want!(p.bitwise_or());
            want!(p.unless(|p| p.any_op(&["=", ":="])));
            let message = "invalid syntax. Maybe you meant '==' or ':=' instead of '='?";
            p.raise(At::Range(&name, &value), message)
        });
        want!(self.unless(|p| {
            either!(p, Self::list);
            either!(p, Self::tuple);
            either!(p, Self::generator);
            either!(p, |p: &mut Self| p.word("True"));
            either!(p, |p: &mut Self| p.word("None"));
            p.word("False")
        }));
        let target = want!(self.bitwise_or());
        want!(self.op("="));
        want!(self.bitwise_or());
        want!(self.unless(|p| p.any_op(&["=", ":="])));
        let message = format!(
            "cannot assign to {} here. Maybe you meant '==' instead of '='?",
            target.name()
        );
        self.raise(At::Node(&target), message)
    }

    pub(super) fn expression(&mut self) -> Rule {
        self.remembered(Memo::Expression, |p| {
            if p.mistakes {
                either!(p, Self::invalid_expression);
                either!(p, Self::invalid_legacy_expression);
            }
            p.plain_expression()
        })
    }

    fn plain_expression(&mut self) -> Rule {
        either!(self, Self::conditional);
        either!(self, Self::disjunction);
        self.lambda()
    }

    /// `a if b else c`
    pub(super) fn conditional(&mut self) -> Rule {
        let first = self.mark;
        let value = want!(self.disjunction());
        want!(self.word("if"));
        let test = want!(self.disjunction());
        want!(self.word("else"));
        let other = want!(self.expression());
        Ok(Some(self.node(
            Shape::Conditional,
            first,
            vec![value, test, other],
        )))
    }

    fn expression_without_invalid(&mut self) -> Rule {
        self.without_mistakes(Self::plain_expression)
    }

    fn invalid_expression(&mut self) -> Rule {
        if self.minor >= 14 {
            either!(self, |p: &mut Self| {
                want!(p.kind(Kind::String));
                let inner = want!(p.some(|p| {
                    want!(p.unless(|p| p.kind(Kind::String)));
                    p.expression_without_invalid()
                }));
                want!(p.kind(Kind::String));
                let message = "invalid syntax. Is this intended to be part of the string?";
                match (inner.first(), inner.last()) {
                    (Some(first), Some(last)) => p.raise(At::Range(first, last), message),
                    _ => Ok(None),
                }
            });
        }
        either!(self, |p: &mut Self| {
            want!(p.unless(|p| {
                either!(p, |p: &mut Self| {
                    want!(p.name());
                    p.kind(Kind::String)
                });
                p.soft_keyword()
            }));
            let left = want!(p.disjunction());
            let right = want!(p.expression_without_invalid());
            if p.is_legacy(&left) || p.level() == 0 {
                return Ok(None);
            }
            p.raise(
                At::Range(&left, &right),
                "invalid syntax. Perhaps you forgot a comma?",
            )
        });
        either!(self, |p: &mut Self| {
            let value = want!(p.disjunction());
            want!(p.word("if"));
            let test = want!(p.disjunction());
            want!(p.unless(|p| {
                either!(p, |p: &mut Self| p.word("else"));
                p.op(":")
            }));
            p.raise(
                At::Range(&value, &test),
                "expected 'else' after 'if' expression",
            )
        });
        if self.minor >= 14 {
            either!(self, |p: &mut Self| {
                want!(p.disjunction());
                want!(p.word("if"));
                want!(p.disjunction());
                want!(p.word("else"));
                want!(p.unless(Self::expression));
                p.raise(
                    At::Next,
                    "expected expression after 'else', but statement is given",
                )
            });
            either!(self, |p: &mut Self| {
                let first = p.mark;
                let mut word = None;
                for each in ["pass", "break", "continue"] {
                    if word.is_none() {
                        word = p.maybe(|p| p.word(each))?;
                    }
                }
                want!(Ok(word));
                let statement = p.node(Shape::Other, first, Vec::new());
                want!(p.word("if"));
                want!(p.disjunction());
                want!(p.word("else"));
                want!(p.simple_statement());
                p.raise(
                    At::Node(&statement),
                    "expected expression before 'if', but statement is given",
                )
            });
        }
        let word = want!(self.word("lambda"));
        self.maybe(Self::lambda_parameters)?;
        let colon = want!(self.op(":"));
        for template in [false, true] {
            if self.sees(|p| p.format_kind(Kind::FormatMiddle, template))? {
                let letter = if template { 't' } else { 'f' };
                let message = format!(
                    "{letter}-string: lambda expressions are not allowed without parentheses"
                );
                return self.raise(At::Range(&word, &colon), message);
            }
        }
        Ok(None)
    }

    fn is_legacy(&self, node: &Tree) -> bool {
        node.shape == Shape::Name && matches!(self.text(node.text.0, node.text.1), "print" | "exec")
    }

    fn invalid_legacy_expression(&mut self) -> Rule {
        let name = want!(self.name());
        want!(self.unless(|p| p.op("(")));
        let value = want!(self.star_expressions());
        if !self.is_legacy(&name) {
            return Ok(None);
        }
        let text = self.text(name.text.0, name.text.1);
        let message = format!("Missing parentheses in call to '{text}'. Did you mean {text}(...)?");
        self.raise(At::Range(&name, &value), message)
    }

    pub(super) fn yield_expression(&mut self) -> Rule {
        let first = self.mark;
        want!(self.word("yield"));
        let from = self.maybe(|p| {
            want!(p.word("from"));
            p.expression()
        })?;
        if from.is_none() {
            self.maybe(Self::star_expressions)?;
        }
        Ok(Some(self.node(Shape::Yield, first, Vec::new())))
    }

    fn lambda(&mut self) -> Rule {
        let first = self.mark;
        want!(self.word("lambda"));
        self.maybe(Self::lambda_parameters)?;
        want!(self.op(":"));
        want!(self.expression());
        Ok(Some(self.node(Shape::Lambda, first, Vec::new())))
    }

    pub(super) fn disjunction(&mut self) -> Rule {
        self.remembered(Memo::Disjunction, |p| p.words("or", Self::conjunction))
    }

    fn conjunction(&mut self) -> Rule {
        self.remembered(Memo::Conjunction, |p| p.words("and", Self::inversion))
    }

    fn words(&mut self, word: &str, operand: fn(&mut Self) -> Rule) -> Rule {
        let first = self.mark;
        let mut left = want!(operand(self));
        while self
            .alternative(|p| {
                want!(p.word(word));
                operand(p)
            })?
            .is_some()
        {
            left = self.node(Shape::Operation, first, Vec::new());
        }
        Ok(Some(left))
    }

    fn inversion(&mut self) -> Rule {
        self.remembered(Memo::Inversion, |p| {
            either!(p, |p: &mut Self| {
                let first = p.mark;
                want!(p.word("not"));
                want!(p.inversion());
                Ok(Some(p.node(Shape::Operation, first, Vec::new())))
            });
            p.comparison()
        })
    }

    fn comparison(&mut self) -> Rule {
        let first = self.mark;
        let left = want!(self.bitwise_or());
        let mut is_in = None;
        while let Some(operator) = self.alternative(Self::compared)? {
            is_in.get_or_insert(self.text(operator.text.0, operator.text.1) == "in");
        }
        match is_in {
            // A tuple of `in` says so by a second part.
            Some(true) => Ok(Some(self.node(
                Shape::Comparison,
                first,
                vec![left.clone(), left],
            ))),
            Some(false) => Ok(Some(self.node(Shape::Comparison, first, vec![left]))),
            None => Ok(Some(left)),
        }
    }

    fn compared(&mut self) -> Rule {
        for operator in ["==", "!=", "<=", "<", ">=", ">"] {
            either!(self, |p: &mut Self| {
                let found = want!(p.op(operator));
                want!(p.bitwise_or());
                Ok(Some(found))
            });
        }
        either!(self, |p: &mut Self| {
            let found = want!(p.word("not"));
            want!(p.word("in"));
            want!(p.bitwise_or());
            Ok(Some(found))
        });
        either!(self, |p: &mut Self| {
            let found = want!(p.word("in"));
            want!(p.bitwise_or());
            Ok(Some(found))
        });
        let found = want!(self.word("is"));
        either!(self, |p: &mut Self| {
            want!(p.word("not"));
            want!(p.bitwise_or());
            Ok(Some(found.clone()))
        });
        want!(self.bitwise_or());
        Ok(Some(found))
    }

    pub(super) fn bitwise_or(&mut self) -> Rule {
        self.remembered(Memo::BitwiseOr, |p| p.binary(0))
    }

    fn binary(&mut self, level: usize) -> Rule {
        let Some(&operators) = LEVELS.get(level) else {
            if self.mistakes {
                either!(self, Self::not_in_factor);
            }
            return self.factor();
        };
        if level == SHIFT && self.mistakes {
            either!(self, Self::not_in_sum);
        }
        if level == 4 {
            return self.remembered(Memo::Sum, |p| p.left_associative(4, &["+", "-"]));
        }
        self.left_associative(level, operators)
    }

    fn not_in_sum(&mut self) -> Rule {
        want!(self.binary(SHIFT + 1));
        want!(self.any_op(&["+", "-", "*", "/", "%", "//", "@"]));
        let word = want!(self.word("not"));
        let operand = want!(self.inversion());
        self.raise(
            At::Range(&word, &operand),
            "'not' after an operator must be parenthesized",
        )
    }

    fn not_in_factor(&mut self) -> Rule {
        want!(self.any_op(&["+", "-", "~"]));
        let word = want!(self.word("not"));
        let operand = want!(self.factor());
        self.raise(
            At::Range(&word, &operand),
            "'not' after an operator must be parenthesized",
        )
    }

    fn left_associative(&mut self, level: usize, operators: &[&str]) -> Rule {
        let first = self.mark;
        let mut left = want!(self.binary(level + 1));
        while self
            .alternative(|p| {
                want!(p.any_op(operators));
                p.binary(level + 1)
            })?
            .is_some()
        {
            left = self.node(Shape::Operation, first, Vec::new());
        }
        Ok(Some(left))
    }

    fn factor(&mut self) -> Rule {
        self.remembered(Memo::Factor, |p| {
            either!(p, |p: &mut Self| {
                let first = p.mark;
                want!(p.any_op(&["+", "-", "~"]));
                want!(p.factor());
                Ok(Some(p.node(Shape::Operation, first, Vec::new())))
            });
            let first = p.mark;
            let base = want!(p.await_primary());
            let power = p.maybe(|p| {
                want!(p.op("**"));
                p.factor()
            })?;
            Ok(Some(match power {
                Some(_) => p.node(Shape::Operation, first, Vec::new()),
                None => base,
            }))
        })
    }

    fn await_primary(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            let first = p.mark;
            want!(p.word("await"));
            want!(p.primary());
            Ok(Some(p.node(Shape::Await, first, Vec::new())))
        });
        self.primary()
    }

    fn primary(&mut self) -> Rule {
        self.remembered(Memo::Primary, |p| {
            let first = p.mark;
            let mut value = want!(p.memo_atom());
            while let Some(shape) = p.trailer(|p| p.name())? {
                value = p.node(shape, first, Vec::new());
            }
            Ok(Some(value))
        })
    }

    /// What may follow a primary; `attribute` takes the name behind a dot.
    pub(super) fn trailer(
        &mut self,
        attribute: fn(&mut Self) -> Rule,
    ) -> Result<Option<Shape>, super::parser::Halt> {
        if self
            .alternative(|p| {
                want!(p.op("."));
                attribute(p)
            })?
            .is_some()
        {
            return Ok(Some(Shape::Attribute));
        }
        if self.alternative(Self::generator)?.is_some()
            || self.alternative(Self::call_brackets)?.is_some()
        {
            return Ok(Some(Shape::Call));
        }
        let subscript = self.alternative(|p| {
            want!(p.op("["));
            want!(p.slices());
            p.op("]")
        })?;
        Ok(subscript.map(|_| Shape::Subscript))
    }

    pub(super) fn call_brackets(&mut self) -> Rule {
        want!(self.op("("));
        self.maybe(Self::arguments)?;
        self.op(")")
    }

    pub(super) fn slices(&mut self) -> Rule {
        self.remembered(Memo::Slices, |p| {
            either!(p, |p: &mut Self| {
                let slice = want!(p.slice());
                want!(p.unless(|p| p.op(",")));
                Ok(Some(slice))
            });
            let first = p.mark;
            want!(p.commas(|p| {
                either!(p, Self::slice);
                p.starred_expression()
            }));
            p.maybe(|p| p.op(","))?;
            Ok(Some(p.node(Shape::Tuple, first, Vec::new())))
        })
    }

    fn slice(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            let first = p.mark;
            p.maybe(Self::expression)?;
            want!(p.op(":"));
            p.maybe(Self::expression)?;
            p.maybe(|p| {
                want!(p.op(":"));
                p.maybe(Self::expression)?;
                Ok(Some(()))
            })?;
            Ok(Some(p.node(Shape::Other, first, Vec::new())))
        });
        self.named_expression()
    }

    pub(super) fn atom(&mut self) -> Rule {
        either!(self, Self::name);
        for (word, shape) in [
            ("True", Shape::True),
            ("False", Shape::False),
            ("None", Shape::None),
        ] {
            let first = self.mark;
            if self.alternative(|p| p.word(word))?.is_some() {
                return Ok(Some(self.node(shape, first, Vec::new())));
            }
        }
        let kind = self.peek()?.kind;
        if matches!(kind, Kind::String | Kind::FormatStart) {
            return self.strings();
        }
        either!(self, Self::number);
        if self.sees(|p| p.op("("))? {
            either!(self, Self::tuple);
            either!(self, Self::group);
            return self.generator();
        }
        if self.sees(|p| p.op("["))? {
            either!(self, Self::list);
            return self.list_comprehension();
        }
        if self.sees(|p| p.op("{"))? {
            either!(self, Self::dict);
            either!(self, Self::set);
            either!(self, Self::dict_comprehension);
            return self.set_comprehension();
        }
        let first = self.mark;
        want!(self.op("..."));
        Ok(Some(self.node(Shape::Ellipsis, first, Vec::new())))
    }
}
