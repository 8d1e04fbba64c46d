//! The allocator's free memory.

/// Gives memory that was freed back to the system, as far as whole pages are free. The allocator
/// of glibc keeps what a burst of work needed otherwise, for each of its arenas. Takes some
/// milliseconds for each 100 MB it looks at.
pub fn give_back() {
    // SAFETY: takes an integer; it locks each arena itself and may be called at any time.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Blocks from this size on have pages of their own after [`keep_large_blocks_apart`].
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 1 << 20;
/// How much free memory at the end of the heap is kept.
#[cfg(target_env = "gnu")]
const KEPT: libc::c_int = 8 << 20;

/// From now on large blocks have pages of their own, which grow without a copy and go back at once.
/// Without this glibc puts ever larger ones into its heap, once some were freed, where each vector
/// that grows leaves a hole.
pub fn keep_large_blocks_apart() {
    #[cfg(target_env = "gnu")]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        // SAFETY: takes integers, and may be called at any time; blocks that there are stay valid.
        ONCE.call_once(|| unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE);
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT);
        });
    }
}
