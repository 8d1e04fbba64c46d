//! Lowering of patterns.

use super::Lowering;
use crate::compiler::native::ast::{Constant, Pattern, PatternId, PatternKind, PatternList};
use crate::compiler::native::error::Pass;
use ruff_python_ast as ruff;
use ruff_text_size::Ranged;

impl Lowering<'_, '_> {
    pub(super) fn pattern(&mut self, pattern: &ruff::Pattern) -> Pass<PatternId> {
        self.deeper(|this| this.pattern_inner(pattern))
    }

    fn pattern_inner(&mut self, pattern: &ruff::Pattern) -> Pass<PatternId> {
        let kind = match pattern {
            ruff::Pattern::MatchValue(node) => PatternKind::Value {
                value: self.expr(&node.value)?,
            },
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

    fn patterns(&mut self, patterns: &[ruff::Pattern]) -> Pass<PatternList> {
        let mut list = Vec::with_capacity(patterns.len());
        for pattern in patterns {
            list.push(self.pattern(pattern)?);
        }
        self.ast.list(&list)
    }
}
