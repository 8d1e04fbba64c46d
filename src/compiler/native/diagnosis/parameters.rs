//! Parameters of functions and of lambdas: the same rules, but for annotations and the closing token.

use super::node::{Shape, Tree};
use super::parser::{At, Parser, Rule, either, want};

impl Parser<'_> {
    pub(super) fn parameters(&mut self) -> Rule<()> {
        self.any_parameters(false)
    }

    pub(super) fn lambda_parameters(&mut self) -> Rule<()> {
        self.any_parameters(true)
    }

    fn any_parameters(&mut self, lambda: bool) -> Rule<()> {
        if self.mistakes {
            either!(self, |p: &mut Self| p.invalid_parameters(lambda));
        }
        either!(self, |p: &mut Self| {
            want!(p.slash(lambda, false));
            while p.alternative(|p| p.plain(lambda))?.is_some() {}
            while p.alternative(|p| p.defaulted(lambda))?.is_some() {}
            p.maybe(|p| p.star_etc(lambda))?;
            Ok(Some(()))
        });
        either!(self, |p: &mut Self| {
            want!(p.slash(lambda, true));
            while p.alternative(|p| p.defaulted(lambda))?.is_some() {}
            p.maybe(|p| p.star_etc(lambda))?;
            Ok(Some(()))
        });
        either!(self, |p: &mut Self| {
            want!(p.alternative(|p| p.plain(lambda)));
            while p.alternative(|p| p.plain(lambda))?.is_some() {}
            while p.alternative(|p| p.defaulted(lambda))?.is_some() {}
            p.maybe(|p| p.star_etc(lambda))?;
            Ok(Some(()))
        });
        either!(self, |p: &mut Self| {
            want!(p.alternative(|p| p.defaulted(lambda)));
            while p.alternative(|p| p.defaulted(lambda))?.is_some() {}
            p.maybe(|p| p.star_etc(lambda))?;
            Ok(Some(()))
        });
        want!(self.star_etc(lambda));
        Ok(Some(()))
    }

    /// Parameters up to `/`, with or without defaults among them.
    fn slash(&mut self, lambda: bool, defaults: bool) -> Rule<()> {
        let mut plain = 0;
        while self.alternative(|p| p.plain(lambda))?.is_some() {
            plain += 1;
        }
        if defaults {
            want!(self.alternative(|p| p.defaulted(lambda)));
            while self.alternative(|p| p.defaulted(lambda))?.is_some() {}
        } else if plain == 0 {
            return Ok(None);
        }
        want!(self.op("/"));
        self.comma_or_end(lambda)
    }

    fn comma_or_end(&mut self, lambda: bool) -> Rule<()> {
        if self.alternative(|p| p.op(","))?.is_some() {
            return Ok(Some(()));
        }
        self.if_sees(|p| p.op(end(lambda)))
    }

    fn parameter(&mut self, lambda: bool) -> Rule {
        let first = self.mark;
        want!(self.name());
        if !lambda {
            self.maybe(|p| {
                want!(p.op(":"));
                p.expression()
            })?;
        }
        Ok(Some(self.node(Shape::Other, first, Vec::new())))
    }

    fn plain(&mut self, lambda: bool) -> Rule {
        let parameter = want!(self.parameter(lambda));
        want!(self.comma_or_end(lambda));
        Ok(Some(parameter))
    }

    fn default(&mut self) -> Rule {
        either!(self, |p: &mut Self| {
            want!(p.op("="));
            p.expression()
        });
        if self.mistakes {
            let equals = want!(self.op("="));
            want!(self.if_sees(|p| p.any_op(&[")", ","])));
            return self.raise(At::Node(&equals), "expected default value expression");
        }
        Ok(None)
    }

    fn defaulted(&mut self, lambda: bool) -> Rule {
        let parameter = want!(self.parameter(lambda));
        want!(self.default());
        want!(self.comma_or_end(lambda));
        Ok(Some(parameter))
    }

    fn maybe_defaulted(&mut self, lambda: bool) -> Rule {
        let parameter = want!(self.parameter(lambda));
        self.maybe(Self::default)?;
        want!(self.comma_or_end(lambda));
        Ok(Some(parameter))
    }

    fn star_annotated(&mut self) -> Rule {
        let name = want!(self.name());
        want!(self.op(":"));
        want!(self.star_expression());
        want!(self.comma_or_end(false));
        Ok(Some(name))
    }

    fn star_etc(&mut self, lambda: bool) -> Rule<()> {
        if self.mistakes {
            either!(self, |p: &mut Self| p.invalid_star_etc(lambda));
        }
        either!(self, |p: &mut Self| {
            want!(p.op("*"));
            want!(p.plain(lambda));
            p.star_tail(lambda)
        });
        if !lambda {
            either!(self, |p: &mut Self| {
                want!(p.op("*"));
                want!(p.star_annotated());
                p.star_tail(lambda)
            });
        }
        either!(self, |p: &mut Self| {
            want!(p.op("*"));
            want!(p.op(","));
            want!(p.alternative(|p| p.maybe_defaulted(lambda)));
            p.star_tail(lambda)
        });
        self.keyword_parameters(lambda)
    }

    fn star_tail(&mut self, lambda: bool) -> Rule<()> {
        while self.alternative(|p| p.maybe_defaulted(lambda))?.is_some() {}
        self.maybe(|p| p.keyword_parameters(lambda))?;
        Ok(Some(()))
    }

    fn keyword_parameters(&mut self, lambda: bool) -> Rule<()> {
        if self.mistakes {
            either!(self, |p: &mut Self| p.invalid_keyword_parameters(lambda));
        }
        want!(self.op("**"));
        want!(self.plain(lambda));
        Ok(Some(()))
    }

    fn invalid_parameters(&mut self, lambda: bool) -> Rule<()> {
        either!(self, |p: &mut Self| {
            let slash = want!(p.op("/"));
            want!(p.op(","));
            p.raise(At::Node(&slash), "at least one argument must precede /")
        });
        let any_slash = |p: &mut Self| -> Rule<()> {
            either!(p, |p: &mut Self| p.slash(lambda, false));
            p.slash(lambda, true)
        };
        either!(self, |p: &mut Self| {
            want!(any_slash(p));
            while p.alternative(|p| p.maybe_defaulted(lambda))?.is_some() {}
            let slash = want!(p.op("/"));
            p.raise(At::Node(&slash), "/ may appear only once")
        });
        either!(self, |p: &mut Self| {
            p.maybe(|p| p.slash(lambda, false))?;
            while p.alternative(|p| p.plain(lambda))?.is_some() {}
            if p.alternative(|p| p.slash(lambda, true))?.is_none() {
                want!(p.alternative(|p| p.defaulted(lambda)));
                while p.alternative(|p| p.defaulted(lambda))?.is_some() {}
            }
            let parameter = want!(p.plain(lambda));
            let message = "parameter without a default follows parameter with a default";
            p.raise(At::Node(&parameter), message)
        });
        either!(self, |p: &mut Self| {
            while p.alternative(|p| p.plain(lambda))?.is_some() {}
            let open = want!(p.op("("));
            if lambda {
                want!(p.commas(|p| p.parameter(true)));
            } else {
                want!(p.some(|p| p.plain(false)));
            }
            p.maybe(|p| p.op(","))?;
            let close = want!(p.op(")"));
            let message = if lambda {
                "Lambda expression parameters cannot be parenthesized"
            } else {
                "Function parameters cannot be parenthesized"
            };
            p.raise(At::Range(&open, &close), message)
        });
        either!(self, |p: &mut Self| {
            p.maybe(any_slash)?;
            while p.alternative(|p| p.maybe_defaulted(lambda))?.is_some() {}
            want!(p.op("*"));
            if p.maybe(|p| p.op(","))?.is_none() {
                want!(p.plain(lambda));
            }
            while p.alternative(|p| p.maybe_defaulted(lambda))?.is_some() {}
            let slash = want!(p.op("/"));
            p.raise(At::Node(&slash), "/ must be ahead of *")
        });
        want!(self.alternative(|p| p.maybe_defaulted(lambda)));
        while self.alternative(|p| p.maybe_defaulted(lambda))?.is_some() {}
        want!(self.op("/"));
        let star = want!(self.op("*"));
        self.raise(At::Node(&star), "expected comma between / and *")
    }

    fn invalid_star_etc(&mut self, lambda: bool) -> Rule<()> {
        either!(self, |p: &mut Self| {
            let star = want!(p.op("*"));
            if p.maybe(|p| p.op(end(lambda)))?.is_none() {
                want!(p.op(","));
                if p.maybe(|p| p.op(end(lambda)))?.is_none() {
                    want!(p.op("**"));
                }
            }
            let message = "named arguments must follow bare *";
            if lambda {
                p.raise(At::Here, message)
            } else {
                p.raise(At::Node(&star), message)
            }
        });
        either!(self, |p: &mut Self| {
            want!(p.op("*"));
            want!(p.parameter(lambda));
            let equals = want!(p.op("="));
            let message = "var-positional argument cannot have default value";
            p.raise(At::Node(&equals), message)
        });
        let one = |p: &mut Self| -> Rule<Tree> {
            either!(p, |p: &mut Self| p.plain(lambda));
            p.op(",")
        };
        want!(self.op("*"));
        want!(one(self));
        while self.alternative(|p| p.maybe_defaulted(lambda))?.is_some() {}
        let star = want!(self.op("*"));
        want!(one(self));
        self.raise(At::Node(&star), "* argument may appear only once")
    }

    fn invalid_keyword_parameters(&mut self, lambda: bool) -> Rule<()> {
        want!(self.op("**"));
        want!(self.parameter(lambda));
        if let Some(equals) = self.maybe(|p| p.op("="))? {
            let message = "var-keyword argument cannot have default value";
            return self.raise(At::Node(&equals), message);
        }
        want!(self.op(","));
        let message = "arguments cannot follow var-keyword argument";
        if let Some(parameter) = self.maybe(|p| p.parameter(lambda))? {
            return self.raise(At::Node(&parameter), message);
        }
        let sign = want!(self.any_op(&["*", "**", "/"]));
        self.raise(At::Node(&sign), message)
    }
}

fn end(lambda: bool) -> &'static str {
    if lambda { ":" } else { ")" }
}
