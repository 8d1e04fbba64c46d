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

/// Lets the heap grow by 64 MB of address space at once, in pages of 2 MB where the system has
/// them for those that ask (`/sys/kernel/mm/transparent_hugepage`): for a process that will fill
/// much of it soon, which else spends a tenth of its time in faults of pages of 4 KB. Blocks of up
/// to 32 MB come from the heap then.
#[cfg(feature = "vm")]
pub fn heap_in_large_pages() {
    #[cfg(target_env = "gnu")]
    {
        const ROOM: libc::c_int = 64 << 20;
        static ONCE: std::sync::Once = std::sync::Once::new();
        // SAFETY: `mallopt` and `sbrk(0)` take integers and may be called at any time. The block is
        // freed once, and nothing uses it. The range is between two ends of the heap, which this
        // process has; the advice changes nothing of what is read or written there.
        ONCE.call_once(|| unsafe {
            libc::mallopt(libc::M_MMAP_THRESHOLD, ROOM / 2);
            libc::mallopt(libc::M_TRIM_THRESHOLD, ROOM * 2);
            libc::mallopt(libc::M_TOP_PAD, ROOM);
            let before = libc::sbrk(0);
            // The heap's end has no room for it. A block that nothing looks at would be left out.
            let block = std::hint::black_box(libc::malloc(1 << 20));
            let length = libc::sbrk(0).addr().saturating_sub(before.addr());
            if before.addr() != usize::MAX && length > 0 {
                // A page's start: the ends of the heap are page by page.
                libc::madvise(before, length, libc::MADV_HUGEPAGE);
            }
            libc::free(block);
        });
    }
}
