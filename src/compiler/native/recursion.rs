//! The stack of recursive passes.
//!
//! Invariant: a level of any pass needs less than a fourth of [`RED_ZONE`], so only every fourth
//! one has to look.

/// The stack that a few levels of recursion may need.
const RED_ZONE: usize = 256 * 1024;
/// How much stack is added when it runs out.
const SEGMENT: usize = 4 * 1024 * 1024;
/// How many levels the red zone is surely enough for. A power of two.
const LEVELS: u32 = 4;

/// Runs a level of a recursion whose depth is not counted, with enough stack.
pub fn with_stack<T>(level: impl FnOnce() -> T) -> T {
    at_depth(0, level)
}

/// Runs the level of a recursion at a depth, counted from 0 without gaps, with enough stack.
#[inline(always)]
pub fn at_depth<T>(depth: u32, level: impl FnOnce() -> T) -> T {
    if depth.is_multiple_of(LEVELS) && stacker::remaining_stack().is_none_or(|left| left < RED_ZONE)
    {
        return stacker::grow(SEGMENT, level);
    }
    level()
}
