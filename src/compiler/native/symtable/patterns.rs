//! The walk over patterns.

use super::build::Builder;
use super::scope::Flags;
use crate::compiler::native::ast::{List, PatternId, PatternKind, Sym};
use crate::compiler::native::error::{Loc, Pass, Stop};

impl Builder<'_> {
    fn patterns(&mut self, list: List<PatternId>) -> Pass<()> {
        let ast = self.ast;
        for &id in ast.slice(list) {
            self.pattern(id)?;
        }
        Ok(())
    }

    pub(super) fn pattern(&mut self, id: PatternId) -> Pass<()> {
        self.deeper(|this| this.pattern_inner(id))
    }

    fn pattern_inner(&mut self, id: PatternId) -> Pass<()> {
        let ast = self.ast;
        let pattern = ast.pattern(id);
        match pattern.kind {
            PatternKind::Value { value } => self.expr(value),
            PatternKind::Singleton { .. } => Ok(()),
            PatternKind::Sequence { patterns } | PatternKind::Or { patterns } => {
                self.patterns(patterns)
            }
            PatternKind::Mapping {
                keys,
                patterns,
                rest,
            } => {
                self.exprs(keys)?;
                self.patterns(patterns)?;
                self.opt_binding(rest, pattern.loc)
            }
            PatternKind::Class {
                cls,
                patterns,
                kwd_attrs,
                kwd_patterns,
            } => {
                self.expr(cls)?;
                self.patterns(patterns)?;
                let named = ast.slice(kwd_attrs).iter().zip(ast.slice(kwd_patterns));
                for (&attr, &value) in named {
                    if self.is_314 && attr == self.names.debug {
                        let loc = ast.pattern(value).loc;
                        return Err(Stop::syntax("cannot assign to __debug__", loc));
                    }
                }
                self.patterns(kwd_patterns)
            }
            PatternKind::Star { name } => self.opt_binding(name, pattern.loc),
            PatternKind::As { pattern: sub, name } => {
                if let Some(sub) = sub {
                    self.pattern(sub)?;
                }
                self.opt_binding(name, pattern.loc)
            }
        }
    }

    fn opt_binding(&mut self, name: Option<Sym>, loc: Loc) -> Pass<()> {
        match name {
            Some(name) => self.add_def(name, Flags::LOCAL, loc),
            None => Ok(()),
        }
    }
}
