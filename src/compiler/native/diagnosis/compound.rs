//! Compound statements, blocks and the module.

use super::node::{Shape, Tree};
use super::parser::{At, Memo, Parser, Rule, either, want};
use super::token::Kind;

impl Parser<'_> {
    /// The whole module.
    pub(super) fn file(&mut self) -> Rule {
        self.maybe(Self::statements)?;
        self.kind(Kind::End)
    }

    fn statements(&mut self) -> Rule {
        let first = self.mark;
        want!(self.alternative(Self::statement));
        while self.alternative(Self::statement)?.is_some() {}
        Ok(Some(self.node(Shape::Other, first, Vec::new())))
    }

    fn statement(&mut self) -> Rule {
        either!(self, Self::compound_statement);
        self.simple_statements()
    }

    fn compound_statement(&mut self) -> Rule {
        let token = self.peek()?;
        let (kind, from, to) = (token.kind, token.from, token.to);
        let word = self.text(from, to).to_owned();
        match (kind, word.as_str()) {
            (Kind::Operator, "@") => {
                either!(self, Self::function);
                self.class()
            }
            (Kind::Name, "def") => self.function(),
            (Kind::Name, "if") => self.if_statement("if"),
            (Kind::Name, "class") => self.class(),
            (Kind::Name, "async") => {
                either!(self, Self::function);
                either!(self, Self::with_statement);
                self.for_statement()
            }
            (Kind::Name, "with") => self.with_statement(),
            (Kind::Name, "for") => self.for_statement(),
            (Kind::Name, "try") => self.try_statement(),
            (Kind::Name, "while") => self.while_statement(),
            _ => self.match_statement(),
        }
    }

    pub(super) fn block(&mut self) -> Rule {
        self.remembered(Memo::Block, |p| {
            either!(p, |p: &mut Self| {
                want!(p.kind(Kind::Newline));
                want!(p.kind(Kind::Indent));
                let body = want!(p.statements());
                want!(p.kind(Kind::Dedent));
                Ok(Some(body))
            });
            either!(p, Self::simple_statements);
            if p.mistakes {
                return p.no_block_at_all();
            }
            Ok(None)
        })
    }

    fn decorators(&mut self) -> Rule<Vec<Tree>> {
        self.some(|p| {
            want!(p.op("@"));
            let value = want!(p.named_expression());
            want!(p.kind(Kind::Newline));
            Ok(Some(value))
        })
    }

    fn class(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            want!(p.decorators());
            p.bare_class()
        });
        self.bare_class()
    }

    fn class_head(&mut self) -> Rule {
        let word = want!(self.word("class"));
        want!(self.name());
        self.maybe(Self::type_parameters)?;
        self.maybe(Self::call_brackets)?;
        Ok(Some(word))
    }

    fn bare_class(&mut self) -> Rule {
        if self.mistakes {
            either!(self, |p: &mut Self| {
                want!(p.class_head());
                p.no_colon()
            });
            either!(self, |p: &mut Self| {
                let word = want!(p.class_head());
                want!(p.op(":"));
                p.no_block("class definition", &word)
            });
        }
        want!(self.class_head());
        want!(self.op(":"));
        self.block()
    }

    fn function(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            want!(p.decorators());
            p.bare_function()
        });
        self.bare_function()
    }

    fn bare_function(&mut self) -> Rule {
        if self.mistakes {
            either!(self, |p: &mut Self| {
                p.maybe(|p| p.word("async"))?;
                let word = want!(p.word("def"));
                want!(p.name());
                p.maybe(Self::type_parameters)?;
                want!(p.op("("));
                p.maybe(Self::parameters)?;
                want!(p.op(")"));
                p.maybe(Self::returned)?;
                want!(p.op(":"));
                p.no_block("function definition", &word)
            });
            either!(self, |p: &mut Self| {
                p.maybe(|p| p.word("async"))?;
                want!(p.word("def"));
                want!(p.name());
                p.maybe(Self::type_parameters)?;
                want!(p.forced("("));
                p.maybe(Self::parameters)?;
                want!(p.op(")"));
                p.maybe(Self::returned)?;
                want!(p.forced(":"));
                want!(p.block());
                Ok(None)
            });
        }
        for is_async in [false, true] {
            either!(self, |p: &mut Self| {
                if is_async {
                    want!(p.word("async"));
                }
                want!(p.word("def"));
                want!(p.name());
                p.maybe(Self::type_parameters)?;
                want!(p.op("("));
                p.maybe(Self::parameters)?;
                want!(p.op(")"));
                p.maybe(Self::returned)?;
                want!(p.op(":"));
                p.block()
            });
        }
        Ok(None)
    }

    fn returned(&mut self) -> Rule {
        want!(self.op("->"));
        self.expression()
    }

    fn test_head(&mut self, word: &str) -> Rule {
        let head = want!(self.word(word));
        want!(self.named_expression());
        Ok(Some(head))
    }

    /// `if`, `elif` and `while`: their common mistakes.
    fn invalid_test(&mut self, word: &str) -> Rule {
        either!(self, |p: &mut Self| {
            want!(p.test_head(word));
            p.no_colon()
        });
        let head = want!(self.test_head(word));
        want!(self.op(":"));
        self.no_block(&format!("'{word}' statement"), &head)
    }

    fn if_statement(&mut self, word: &'static str) -> Rule {
        if self.mistakes {
            either!(self, |p: &mut Self| p.invalid_test(word));
        }
        either!(self, |p: &mut Self| {
            want!(p.test_head(word));
            want!(p.op(":"));
            want!(p.block());
            p.elif_statement()
        });
        want!(self.test_head(word));
        want!(self.op(":"));
        let block = want!(self.block());
        self.maybe(Self::else_block)?;
        Ok(Some(block))
    }

    fn elif_statement(&mut self) -> Rule {
        self.remembered(Memo::Elif, |p| p.if_statement("elif"))
    }

    fn else_block(&mut self) -> Rule {
        if self.mistakes {
            either!(self, |p: &mut Self| {
                let word = want!(p.word("else"));
                want!(p.op(":"));
                p.no_block("'else' statement", &word)
            });
            if self.minor >= 14 {
                either!(self, |p: &mut Self| {
                    want!(p.word("else"));
                    want!(p.op(":"));
                    want!(p.block());
                    want!(p.word("elif"));
                    p.raise(At::Here, "'elif' block follows an 'else' block")
                });
            }
        }
        want!(self.word("else"));
        want!(self.forced(":"));
        self.block()
    }

    fn while_statement(&mut self) -> Rule {
        if self.mistakes {
            either!(self, |p: &mut Self| p.invalid_test("while"));
        }
        want!(self.test_head("while"));
        want!(self.op(":"));
        let block = want!(self.block());
        self.maybe(Self::else_block)?;
        Ok(Some(block))
    }

    fn for_head(&mut self) -> Rule {
        self.maybe(|p| p.word("async"))?;
        let word = want!(self.word("for"));
        want!(self.star_targets());
        want!(self.word("in"));
        want!(self.star_expressions());
        Ok(Some(word))
    }

    fn for_statement(&mut self) -> Rule {
        if self.mistakes {
            either!(self, |p: &mut Self| {
                want!(p.for_head());
                p.no_colon()
            });
            either!(self, |p: &mut Self| {
                let word = want!(p.for_head());
                want!(p.op(":"));
                p.no_block("'for' statement", &word)
            });
        }
        for is_async in [false, true] {
            let mut cut = false;
            let statement = self.alternative(|p| {
                if is_async {
                    want!(p.word("async"));
                }
                want!(p.word("for"));
                want!(p.star_targets());
                want!(p.word("in"));
                cut = true;
                want!(p.star_expressions());
                want!(p.op(":"));
                let block = want!(p.block());
                p.maybe(Self::else_block)?;
                Ok(Some(block))
            })?;
            if statement.is_some() || cut {
                return Ok(statement);
            }
        }
        if self.mistakes {
            return self.invalid_for_target();
        }
        Ok(None)
    }

    fn loose_item(&mut self) -> Rule {
        self.loosely(Self::expression)
    }

    fn loose_items(&mut self) -> Rule {
        self.loosely(Self::expressions)
    }

    fn loosely(&mut self, value: fn(&mut Self) -> Rule) -> Rule {
        let value = want!(value(self));
        self.maybe(|p| {
            want!(p.word("as"));
            p.star_target()
        })?;
        Ok(Some(value))
    }

    fn with_word(&mut self) -> Rule {
        self.maybe(|p| p.word("async"))?;
        self.word("with")
    }

    fn with_brackets(&mut self, item: fn(&mut Self) -> Rule) -> Rule {
        want!(self.op("("));
        want!(self.commas(item));
        self.maybe(|p| p.op(","))?;
        self.op(")")
    }

    fn with_statement(&mut self) -> Rule {
        if self.mistakes {
            either!(self, |p: &mut Self| {
                let word = want!(p.with_word());
                want!(p.commas(Self::loose_item));
                want!(p.op(":"));
                p.no_block("'with' statement", &word)
            });
            either!(self, |p: &mut Self| {
                let word = want!(p.with_word());
                want!(p.with_brackets(Self::loose_items));
                want!(p.op(":"));
                p.no_block("'with' statement", &word)
            });
        }
        for is_async in [false, true] {
            for brackets in [true, false] {
                either!(self, |p: &mut Self| {
                    if is_async {
                        want!(p.word("async"));
                    }
                    want!(p.word("with"));
                    if brackets {
                        want!(p.with_brackets(Self::with_item));
                    } else {
                        want!(p.commas(Self::with_item));
                    }
                    want!(p.op(":"));
                    p.block()
                });
            }
        }
        if !self.mistakes {
            return Ok(None);
        }
        either!(self, |p: &mut Self| {
            want!(p.with_word());
            want!(p.commas(Self::loose_item));
            p.no_colon()
        });
        want!(self.with_word());
        want!(self.with_brackets(Self::loose_items));
        self.no_colon()
    }

    fn with_item(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            let value = want!(p.expression());
            want!(p.word("as"));
            want!(p.star_target());
            want!(p.if_sees(|p| p.any_op(&[",", ")", ":"])));
            Ok(Some(value))
        });
        if self.mistakes {
            either!(self, |p: &mut Self| {
                want!(p.expression());
                want!(p.word("as"));
                let target = want!(p.expression());
                want!(p.if_sees(|p| p.any_op(&[",", ")", ":"])));
                p.raise_target(super::target::Use::Assign, &target)
            });
        }
        self.expression()
    }

    fn try_statement(&mut self) -> Rule {
        if self.mistakes {
            either!(self, Self::invalid_try);
        }
        either!(self, |p: &mut Self| {
            want!(p.try_block());
            p.finally_block()
        });
        for star in [false, true] {
            either!(self, |p: &mut Self| {
                let block = want!(p.try_block());
                let handler = if star {
                    Self::except_star_block
                } else {
                    Self::except_block
                };
                want!(p.some(handler));
                p.maybe(Self::else_block)?;
                p.maybe(Self::finally_block)?;
                Ok(Some(block))
            });
        }
        Ok(None)
    }

    fn try_block(&mut self) -> Rule {
        want!(self.word("try"));
        want!(self.forced(":"));
        self.block()
    }

    fn invalid_try(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            let word = want!(p.word("try"));
            want!(p.op(":"));
            p.no_block("'try' statement", &word)
        });
        either!(self, |p: &mut Self| {
            want!(p.word("try"));
            want!(p.op(":"));
            want!(p.block());
            want!(p.unless(|p| {
                either!(p, |p: &mut Self| p.word("except"));
                p.word("finally")
            }));
            p.raise(At::Here, "expected 'except' or 'finally' block")
        });
        let message = "cannot have both 'except' and 'except*' on the same 'try'";
        either!(self, |p: &mut Self| {
            want!(p.word("try"));
            want!(p.op(":"));
            p.many(Self::block)?;
            want!(p.some(Self::except_block));
            let word = want!(p.word("except"));
            let star = want!(p.op("*"));
            want!(p.expression());
            p.maybe(Self::as_name_of_handler)?;
            want!(p.op(":"));
            p.raise(At::Range(&word, &star), message)
        });
        want!(self.word("try"));
        want!(self.op(":"));
        self.many(Self::block)?;
        want!(self.some(Self::except_star_block));
        let word = want!(self.word("except"));
        self.maybe(|p| {
            want!(p.expression());
            p.maybe(Self::as_name_of_handler)?;
            Ok(Some(()))
        })?;
        want!(self.op(":"));
        self.raise(At::Node(&word), message)
    }

    fn as_name_of_handler(&mut self) -> Rule {
        want!(self.word("as"));
        self.name()
    }

    fn except_block(&mut self) -> Rule {
        self.handler(false)
    }

    fn except_star_block(&mut self) -> Rule {
        self.handler(true)
    }

    fn except_head(&mut self, star: bool) -> Rule {
        let word = want!(self.word("except"));
        if star {
            want!(self.op("*"));
        }
        Ok(Some(word))
    }

    fn handler(&mut self, star: bool) -> Rule {
        if self.mistakes {
            let what = if star {
                "'except*' statement"
            } else {
                "'except' statement"
            };
            either!(self, |p: &mut Self| {
                let word = want!(p.except_head(star));
                want!(p.expression());
                p.maybe(Self::as_name_of_handler)?;
                want!(p.op(":"));
                p.no_block(what, &word)
            });
            if !star {
                either!(self, |p: &mut Self| {
                    let word = want!(p.word("except"));
                    want!(p.op(":"));
                    p.no_block(what, &word)
                });
            }
        }
        either!(self, |p: &mut Self| {
            want!(p.except_head(star));
            want!(p.expression());
            p.maybe(Self::as_name_of_handler)?;
            want!(p.op(":"));
            p.block()
        });
        if self.minor >= 14 {
            either!(self, |p: &mut Self| {
                want!(p.except_head(star));
                want!(p.expressions());
                want!(p.op(":"));
                p.block()
            });
        }
        if !star {
            either!(self, |p: &mut Self| {
                want!(p.word("except"));
                want!(p.op(":"));
                p.block()
            });
        }
        if self.mistakes {
            return self.invalid_handler(star);
        }
        Ok(None)
    }

    fn invalid_handler(&mut self, star: bool) -> Rule {
        let newer = self.minor >= 14;
        // Up to 3.13 one rule serves both kinds.
        let head = move |p: &mut Self| -> Rule {
            let word = want!(p.word("except"));
            if newer {
                if star {
                    want!(p.op("*"));
                }
            } else {
                p.maybe(|p| p.op("*"))?;
            }
            Ok(Some(word))
        };
        either!(self, |p: &mut Self| {
            want!(head(p));
            let first = want!(p.expression());
            want!(p.op(","));
            want!(p.expressions());
            if newer {
                want!(p.as_name_of_handler());
            } else {
                p.maybe(Self::as_name_of_handler)?;
            }
            want!(p.op(":"));
            let message = if newer {
                "multiple exception types must be parenthesized when using 'as'"
            } else {
                "multiple exception types must be parenthesized"
            };
            p.raise(At::From(&first), message)
        });
        either!(self, |p: &mut Self| {
            want!(head(p));
            want!(p.expression());
            p.maybe(Self::as_name_of_handler)?;
            p.no_colon()
        });
        if !star || !newer {
            either!(self, |p: &mut Self| {
                want!(p.word("except"));
                p.no_colon()
            });
        }
        if star || !newer {
            either!(self, |p: &mut Self| {
                want!(p.word("except"));
                want!(p.op("*"));
                if p.maybe(|p| p.kind(Kind::Newline))?.is_none() {
                    want!(p.op(":"));
                }
                p.raise(At::Here, "expected one or more exception types")
            });
        }
        if newer {
            want!(head(self));
            want!(self.expression());
            want!(self.word("as"));
            let target = want!(self.expression());
            want!(self.op(":"));
            want!(self.block());
            let word = if star { "except*" } else { "except" };
            let message = format!("cannot use {word} statement with {}", target.name());
            return self.raise(At::Node(&target), message);
        }
        Ok(None)
    }

    fn finally_block(&mut self) -> Rule {
        if self.mistakes {
            either!(self, |p: &mut Self| {
                let word = want!(p.word("finally"));
                want!(p.op(":"));
                p.no_block("'finally' statement", &word)
            });
        }
        want!(self.word("finally"));
        want!(self.forced(":"));
        self.block()
    }
}
