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
