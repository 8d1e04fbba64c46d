//! Lowering of patterns.

use super::Lowering;
use crate::compiler::native::ast::{Constant, Pattern, PatternId, PatternKind, PatternList};
use crate::compiler::native::error::{Pass, Stop, SyntaxError};
use ruff_python_ast as ruff;
use ruff_text_size::Ranged;

impl Lowering<'_, '_> {
    pub(super) fn pattern(&mut self, pattern: &ruff::Pattern) -> Pass<PatternId> {
        self.deeper(|this| this.pattern_inner(pattern))
    }

    fn pattern_inner(&mut self, pattern: &ruff::Pattern) -> Pass<PatternId> {
        let kind = match pattern {
            ruff::Pattern::MatchValue(node) => {
                self.check_value(&node.value)?;
                PatternKind::Value {
                    value: self.expr(&node.value)?,
                }
            }
            ruff::Pattern::MatchSingleton(node) => PatternKind::Singleton {
                value: match node.value {
                    ruff::Singleton::None => Constant::None,
                    ruff::Singleton::True => Constant::Bool(true),
                    ruff::Singleton::False => Constant::Bool(false),
                },
            },
            ruff::Pattern::MatchSequence(node) => PatternKind::Sequence {
                patterns: self.patterns(&node.patterns)?,
            },
            ruff::Pattern::MatchMapping(node) => {
                let base = self.expr_stack.len();
                for key in &node.keys {
                    self.check_value(key)?;
                    let id = self.expr(key)?;
                    self.expr_stack.push(id);
                }
                let keys = self.close_exprs(base)?;
                let patterns = self.patterns(&node.patterns)?;
                let rest = self.opt_identifier(node.rest.as_ref())?;
                PatternKind::Mapping {
                    keys,
                    patterns,
                    rest,
                }
            }
            ruff::Pattern::MatchClass(node) => {
                let cls = self.expr(&node.cls)?;
                let patterns = self.patterns(&node.arguments.patterns)?;
                let mut attrs = Vec::with_capacity(node.arguments.keywords.len());
                let mut kwd_patterns = Vec::with_capacity(node.arguments.keywords.len());
                for keyword in &node.arguments.keywords {
                    attrs.push(self.identifier(keyword.attr.id.as_str())?);
                    kwd_patterns.push(self.pattern(&keyword.pattern)?);
                }
                PatternKind::Class {
                    cls,
                    patterns,
                    kwd_attrs: self.ast.list(&attrs)?,
                    kwd_patterns: self.ast.list(&kwd_patterns)?,
                }
            }
            ruff::Pattern::MatchStar(node) => PatternKind::Star {
                name: self.opt_identifier(node.name.as_ref())?,
            },
            ruff::Pattern::MatchAs(node) => {
                let pattern = match &node.pattern {
                    Some(pattern) => Some(self.pattern(pattern)?),
                    None => None,
                };
                let name = self.opt_identifier(node.name.as_ref())?;
                PatternKind::As { pattern, name }
            }
            ruff::Pattern::MatchOr(node) => PatternKind::Or {
                patterns: self.patterns(&node.patterns)?,
            },
        };
        let loc = self.loc(pattern.range());
        self.ast.add(Pattern { kind, loc })
    }

    /// Refuses values that CPython's grammar has no pattern for: only signed numbers, sums of a
    /// real and an imaginary number, strings and dotted names may stand there.
    fn check_value(&self, value: &ruff::Expr) -> Pass<()> {
        let fits = match value {
            ruff::Expr::UnaryOp(_) => self.is_signed_number(value, false),
            ruff::Expr::BinOp(node) => {
                matches!(node.op, ruff::Operator::Add | ruff::Operator::Sub)
                    && self.is_signed_number(&node.left, true)
                    && matches!(&*node.right, ruff::Expr::NumberLiteral(number)
                        if matches!(number.value, ruff::Number::Complex { .. }))
                    && !self.text(value.range()).contains('(')
            }
            _ => true,
        };
        if fits {
            return Ok(());
        }
        Err(Stop::Rejected(Box::new(SyntaxError {
            kind: "SyntaxError",
            message: "invalid syntax".to_owned(),
            loc: None,
            exact: false,
        })))
    }

    fn is_signed_number(&self, value: &ruff::Expr, real: bool) -> bool {
        match value {
            ruff::Expr::NumberLiteral(number) => {
                !(real && matches!(number.value, ruff::Number::Complex { .. }))
            }
            ruff::Expr::UnaryOp(node) => {
                node.op == ruff::UnaryOp::USub
                    && matches!(&*node.operand, ruff::Expr::NumberLiteral(_))
                    && self.is_signed_number(&node.operand, real)
                    && !self.text(value.range()).contains('(')
            }
            _ => false,
        }
    }

    fn patterns(&mut self, patterns: &[ruff::Pattern]) -> Pass<PatternList> {
        let mut list = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            list.push(self.pattern(pattern)?);
        }
        self.ast.list(&list)
    }
}
