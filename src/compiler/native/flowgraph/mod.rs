//! The control-flow graph: basic blocks and the passes over them.
//!
//! Input: an instruction sequence with labels. Output: the graph without pseudo instructions, each
//! instruction with its handler, which is assembled as it is, plus the stack's depth. The order of
//! the passes is CPython's; each pass leaves a graph in which jumps are last in their block, every
//! jump's target is a block of the graph, and blocks follow each other along `next`.
//!
//! A graph is used for many code objects one after another, so that it keeps its memory.

mod block;
mod borrow;
mod cold;
mod consts;
mod exceptions;
mod fold;
mod inline;
mod lines;
mod locals;
mod nops;
mod normalize;
mod peephole;
mod prefix;
mod stackdepth;
mod superinstruction;
mod swaps;
#[cfg(test)]
mod tests;
mod text;
mod verify;

pub use block::{Block, BlockIndex, ENTRY, Graph};
pub use fold::Constants;
pub use prefix::Locals;

use consts::LoadRules;

use super::error::{Pass, Stop};
use super::instruction::Sequence;
use super::profile::Profile;

/// What the passes need to know about the code object.
#[derive(Clone, Copy, Debug)]
pub struct UnitFacts {
    /// How many fast locals there are.
    pub local_count: usize,
    /// How many of them are parameters.
    pub param_count: usize,
    /// The first line.
    pub first_line: i32,
    /// Whether the code object is a generator, coroutine or async generator.
    pub is_generator: bool,
}

/// Runs every pass over the code of one code object, whose instructions the graph takes. The constants
/// may grow and shrink. Returns `co_stacksize`.
pub fn optimize(
    graph: &mut Graph,
    sequence: &mut Sequence,
    consts: &mut Constants<'_>,
    profile: &Profile,
    facts: UnitFacts,
    locals: &mut Locals<'_>,
) -> Pass<u32> {
    improve(graph, sequence, consts, profile, facts)?;
    let is_314 = profile.since(14);
    if is_314 {
        graph.convert_pseudo_conditional_jumps();
    }
    let stack_depth = graph.stack_depth()?;
    locals.prepare(graph, facts);
    graph.convert_pseudo_ops().ok_or_else(broken)?;
    graph.normalize_jumps(is_314);
    graph.check("normalize_jumps")?;
    if is_314 {
        graph.borrow_loads()?;
    }
    Ok(stack_depth)
}

/// Runs the passes that CPython's `_testinternalcapi.optimize_cfg` runs, to test them alone: pseudo
/// instructions stay, and nothing is put before the first instruction. Returns the sequence with
/// indices as targets.
pub fn improve_alone(
    graph: &mut Graph,
    sequence: &mut Sequence,
    consts: &mut Constants<'_>,
    profile: &Profile,
    facts: UnitFacts,
) -> Pass<Sequence> {
    improve(graph, sequence, consts, profile, facts)?;
    graph.stack_depth()?;
    if profile.since(14) {
        graph.borrow_loads()?;
    }
    Ok(graph.sequence())
}

/// From the sequence to a graph in its final order, which still has pseudo instructions.
fn improve(
    graph: &mut Graph,
    sequence: &mut Sequence,
    consts: &mut Constants<'_>,
    profile: &Profile,
    facts: UnitFacts,
) -> Pass<()> {
    let is_314 = profile.since(14);
    let load_rules = LoadRules {
        small_ints: is_314,
        return_const: !is_314,
    };
    graph.build(sequence).ok_or_else(broken)?;
    graph.mark_except_handlers();
    graph.label_exception_targets();
    graph.check("label_exception_targets")?;

    graph.inline_small_exit_blocks();
    graph.remove_unreachable();
    graph.check("inline_small_exit_blocks")?;
    graph.resolve_line_numbers();
    graph.optimize_load_const(consts, load_rules);
    graph.check("optimize_load_const")?;
    graph.optimize_blocks(consts, is_314)?;
    graph.check("optimize_blocks")?;
    graph.remove_redundant_nops_and_pairs();
    if graph.flow_changed {
        graph.remove_unreachable();
    }
    graph.remove_redundant_nops_and_jumps().ok_or_else(broken)?;
    graph.check("remove_redundant_nops_and_jumps")?;

    graph.remove_unused_consts(consts.items);
    graph.check_loads_of_unbound_locals(facts.local_count, facts.param_count);
    graph.insert_superinstructions();
    graph.push_cold_blocks_to_end().ok_or_else(broken)?;
    graph.resolve_line_numbers();
    graph.check("push_cold_blocks_to_end")
}

fn broken() -> Stop {
    Stop::unsure("internal: a malformed control-flow graph")
}
