//! `match` statements, their patterns, and type parameters.

use super::node::{Shape, Tree};
use super::parser::{At, Halt, Memo, Parser, Rule, either, want};
use super::token::Kind;

impl Parser<'_> {
    pub(super) fn match_statement(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            let word = want!(p.word("match"));
            want!(p.subject());
            want!(p.op(":"));
            want!(p.kind(Kind::Newline));
            want!(p.kind(Kind::Indent));
            want!(p.some(Self::case_block));
            want!(p.kind(Kind::Dedent));
            Ok(Some(word))
        });
        if !self.mistakes {
            return Ok(None);
        }
        either!(self, |p: &mut Self| {
            want!(p.word("match"));
            want!(p.subject());
            p.no_colon()
        });
        let word = want!(self.word("match"));
        want!(self.subject());
        want!(self.op(":"));
        self.no_block("'match' statement", &word)
    }

    fn subject(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            let first = want!(p.star_named_expression());
            want!(p.op(","));
            p.maybe(Self::star_named_expressions)?;
            Ok(Some(first))
        });
        self.named_expression()
    }

    fn case_head(&mut self) -> Rule {
        let word = want!(self.word("case"));
        want!(self.patterns());
        self.maybe(|p| {
            want!(p.word("if"));
            p.named_expression()
        })?;
        Ok(Some(word))
    }

    fn case_block(&mut self) -> Rule {
        if self.mistakes {
            either!(self, |p: &mut Self| {
                want!(p.case_head());
                p.no_colon()
            });
            either!(self, |p: &mut Self| {
                let word = want!(p.case_head());
                want!(p.op(":"));
                p.no_block("'case' statement", &word)
            });
        }
        want!(self.case_head());
        want!(self.op(":"));
        self.block()
    }

    fn patterns(&mut self) -> Rule {
        let first = self.mark;
        either!(self, |p: &mut Self| {
            want!(p.open_sequence());
            Ok(Some(p.node(Shape::Other, first, Vec::new())))
        });
        self.pattern()
    }

    fn open_sequence(&mut self) -> Rule<()> {
        want!(self.maybe_star_pattern());
        want!(self.op(","));
        self.maybe(Self::sequence_items)?;
        Ok(Some(()))
    }

    fn sequence_items(&mut self) -> Rule<()> {
        want!(self.commas(Self::maybe_star_pattern));
        self.maybe(|p| p.op(","))?;
        Ok(Some(()))
    }

    fn maybe_star_pattern(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            want!(p.op("*"));
            either!(p, Self::capture_target);
            p.word("_")
        });
        self.pattern()
    }

    fn pattern(&mut self) -> Rule {
        let first = self.mark;
        either!(self, |p: &mut Self| {
            want!(p.or_pattern());
            want!(p.word("as"));
            want!(p.capture_target());
            Ok(Some(p.node(Shape::Other, first, Vec::new())))
        });
        if self.mistakes {
            either!(self, Self::invalid_as_pattern);
        }
        self.or_pattern()
    }

    fn invalid_as_pattern(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            want!(p.or_pattern());
            want!(p.word("as"));
            let target = want!(p.word("_"));
            p.raise(At::Node(&target), "cannot use '_' as a target")
        });
        want!(self.or_pattern());
        want!(self.word("as"));
        if self.minor < 14 {
            want!(self.unless(Self::name));
        }
        let target = want!(self.expression());
        let message = if self.minor < 14 {
            "invalid pattern target".to_owned()
        } else {
            format!("cannot use {} as pattern target", target.name())
        };
        self.raise(At::Node(&target), message)
    }

    fn or_pattern(&mut self) -> Rule {
        let first = self.mark;
        want!(self.closed_pattern());
        while self
            .alternative(|p| {
                want!(p.op("|"));
                p.closed_pattern()
            })?
            .is_some()
        {}
        Ok(Some(self.node(Shape::Other, first, Vec::new())))
    }

    fn closed_pattern(&mut self) -> Rule {
        self.remembered(Memo::ClosedPattern, |p| {
            either!(p, Self::literal_pattern);
            either!(p, Self::capture_target);
            either!(p, |p: &mut Self| p.word("_"));
            either!(p, |p: &mut Self| {
                let name = want!(p.dotted());
                if name.shape != Shape::Attribute {
                    return Ok(None);
                }
                want!(p.unless(|p| p.any_op(&[".", "(", "="])));
                Ok(Some(name))
            });
            either!(p, |p: &mut Self| {
                want!(p.op("("));
                let inner = want!(p.pattern());
                want!(p.op(")"));
                Ok(Some(inner))
            });
            either!(p, |p: &mut Self| {
                want!(p.op("["));
                p.maybe(Self::sequence_items)?;
                p.op("]")
            });
            either!(p, |p: &mut Self| {
                want!(p.op("("));
                p.maybe(Self::open_sequence)?;
                p.op(")")
            });
            either!(p, Self::mapping_pattern);
            p.class_pattern()
        })
    }

    fn signed_number(&mut self) -> Rule {
        self.maybe(|p| {
            if p.minor >= 15 {
                return p.any_op(&["+", "-"]);
            }
            p.op("-")
        })?;
        self.number()
    }

    fn literal_pattern(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            let number = want!(p.signed_number());
            want!(p.unless(|p| p.any_op(&["+", "-"])));
            Ok(Some(number))
        });
        either!(self, |p: &mut Self| {
            p.maybe(|p| p.op("-"))?;
            let real = want!(p.number());
            p.check_number(&real, false)?;
            want!(p.any_op(&["+", "-"]));
            let imaginary = want!(p.number());
            p.check_number(&imaginary, true)?;
            Ok(Some(real))
        });
        let kind = self.peek()?.kind;
        if matches!(kind, Kind::String | Kind::FormatStart) {
            either!(self, Self::strings);
        }
        for word in ["None", "True", "False"] {
            either!(self, |p: &mut Self| p.word(word));
        }
        Ok(None)
    }

    fn check_number(&mut self, number: &Tree, imaginary: bool) -> Result<(), Halt> {
        let is_imaginary = self
            .text(number.text.0, number.text.1)
            .ends_with(['j', 'J']);
        if is_imaginary == imaginary {
            return Ok(());
        }
        let message = if imaginary {
            "imaginary number required in complex literal"
        } else {
            "real number required in complex literal"
        };
        self.raise::<()>(At::Node(number), message).map(|_| ())
    }

    fn capture_target(&mut self) -> Rule {
        want!(self.unless(|p| p.word("_")));
        let name = want!(self.name());
        want!(self.unless(|p| p.any_op(&[".", "(", "="])));
        Ok(Some(name))
    }

    /// A name with or without attributes.
    fn dotted(&mut self) -> Rule {
        let first = self.mark;
        let mut name = want!(self.name());
        while self
            .alternative(|p| {
                want!(p.op("."));
                p.name()
            })?
            .is_some()
        {
            name = self.node(Shape::Attribute, first, Vec::new());
        }
        Ok(Some(name))
    }

    fn double_star(&mut self) -> Rule {
        want!(self.op("**"));
        self.capture_target()
    }

    fn mapping_items(&mut self) -> Rule<Vec<Tree>> {
        self.commas(|p| {
            let mut key = p.maybe(Self::literal_pattern)?;
            if key.is_none() {
                let name = want!(p.dotted());
                if name.shape == Shape::Attribute {
                    key = Some(name);
                }
            }
            let key = want!(Ok::<_, Halt>(key));
            want!(p.op(":"));
            want!(p.pattern());
            Ok(Some(key))
        })
    }

    fn mapping_pattern(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            want!(p.op("{"));
            p.op("}")
        });
        either!(self, |p: &mut Self| {
            want!(p.op("{"));
            want!(p.double_star());
            p.maybe(|p| p.op(","))?;
            p.op("}")
        });
        either!(self, |p: &mut Self| {
            want!(p.op("{"));
            want!(p.mapping_items());
            want!(p.op(","));
            want!(p.double_star());
            p.maybe(|p| p.op(","))?;
            p.op("}")
        });
        either!(self, |p: &mut Self| {
            want!(p.op("{"));
            want!(p.mapping_items());
            p.maybe(|p| p.op(","))?;
            p.op("}")
        });
        Ok(None)
    }

    fn keyword_pattern(&mut self) -> Rule {
        let name = want!(self.name());
        want!(self.op("="));
        want!(self.pattern());
        Ok(Some(name))
    }

    fn class_pattern(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            want!(p.dotted());
            want!(p.op("("));
            p.op(")")
        });
        either!(self, |p: &mut Self| {
            want!(p.dotted());
            want!(p.op("("));
            want!(p.commas(Self::pattern));
            p.maybe(|p| p.op(","))?;
            p.op(")")
        });
        either!(self, |p: &mut Self| {
            want!(p.dotted());
            want!(p.op("("));
            want!(p.commas(Self::keyword_pattern));
            p.maybe(|p| p.op(","))?;
            p.op(")")
        });
        either!(self, |p: &mut Self| {
            want!(p.dotted());
            want!(p.op("("));
            want!(p.commas(Self::pattern));
            want!(p.op(","));
            want!(p.commas(Self::keyword_pattern));
            p.maybe(|p| p.op(","))?;
            p.op(")")
        });
        if !self.mistakes {
            return Ok(None);
        }
        want!(self.dotted());
        want!(self.op("("));
        self.maybe(|p| {
            want!(p.commas(Self::pattern));
            p.op(",")
        })?;
        want!(self.commas(Self::keyword_pattern));
        want!(self.op(","));
        let late = want!(self.commas(Self::pattern));
        match (late.first(), late.last()) {
            (Some(first), Some(last)) => self.raise(
                At::Range(first, last),
                "positional patterns follow keyword patterns",
            ),
            _ => Ok(None),
        }
    }

    pub(super) fn type_parameters(&mut self) -> Rule {
        if self.mistakes {
            either!(self, |p: &mut Self| {
                want!(p.op("["));
                let close = want!(p.op("]"));
                p.raise(At::From(&close), "Type parameter list cannot be empty")
            });
        }
        want!(self.op("["));
        want!(self.commas(|p| p.remembered(Memo::TypeParam, Self::type_parameter)));
        self.maybe(|p| p.op(","))?;
        self.op("]")
    }

    fn type_parameter(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            let name = want!(p.name());
            p.maybe(|p| {
                want!(p.op(":"));
                p.expression()
            })?;
            p.maybe(Self::type_default)?;
            Ok(Some(name))
        });
        if self.mistakes {
            for (sign, what) in [("*", "TypeVarTuple"), ("**", "ParamSpec")] {
                either!(self, |p: &mut Self| {
                    want!(p.op(sign));
                    want!(p.name());
                    let colon = want!(p.op(":"));
                    let bound = want!(p.expression());
                    let which = if bound.shape == Shape::Tuple {
                        "constraints"
                    } else {
                        "bound"
                    };
                    p.raise(At::From(&colon), format!("cannot use {which} with {what}"))
                });
            }
        }
        either!(self, |p: &mut Self| {
            want!(p.op("*"));
            let name = want!(p.name());
            p.maybe(|p| {
                want!(p.op("="));
                p.star_expression()
            })?;
            Ok(Some(name))
        });
        want!(self.op("**"));
        let name = want!(self.name());
        self.maybe(Self::type_default)?;
        Ok(Some(name))
    }

    fn type_default(&mut self) -> Rule {
        want!(self.op("="));
        self.expression()
    }
}
