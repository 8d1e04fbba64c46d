//! A check of a finished graph (debug builds): block ends, reachable targets.

use super::block::Graph;
use crate::compiler::native::error::{Pass, Stop};
use crate::compiler::native::instruction::NONE;

impl Graph {
    /// Fails when a block is left in the middle, a target is not in the text, or the text's end is
    /// reached.
    pub(super) fn verify(&self) -> Pass<()> {
        let wrong = |what: &str| Err(Stop::unsure(format!("internal: {what}\n{self}")));
        if self.check_terminators().is_none() {
            return wrong("a block is left in the middle");
        }
        let order: Vec<_> = self.order().collect();
        for &at in &order {
            for instr in &self[at].instrs {
                if instr.op.has_target() && !order.contains(&instr.target) {
                    return wrong("a jump out of the graph");
                }
                if instr.except != NONE && !order.contains(&instr.except) {
                    return wrong("a handler out of the graph");
                }
            }
            let next = self.next_nonempty(self[at].next);
            if next == NONE && !self[at].instrs.is_empty() && self[at].falls_through() {
                return wrong("the end of the code is reached");
            }
        }
        Ok(())
    }
}
