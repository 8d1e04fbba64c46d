//! Small blocks for the process that is the VM, which makes and frees millions of them.
//!
//! After [`start`] a block of up to [`LARGEST`] bytes comes from a list of free ones of its size
//! that the thread has, so that most take a few instructions and no lock. What a list has too many
//! of goes in batches to lists that all threads share; what no list has is cut off the thread's part
//! of one large space. A process that never calls [`start`] has none of it.
//!
//! Invariants: an address lies in the space exactly when its block was cut off it, so whoever frees
//! one is told by the address alone; a block stays of its size for ever, so its size says to which
//! list it goes back. The space never shrinks: what was freed serves others of the same size.

use std::alloc::Layout;
use std::cell::{Cell, UnsafeCell};
use std::ptr::null_mut;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The address space for all blocks. When it is full the system's allocator is used.
const SPACE: usize = 64 << 30;
/// What sizes are multiples of; no block has a stricter alignment.
const STEP: usize = 16;
/// The largest block.
const LARGEST: usize = 512;
/// How many sizes there are.
const SIZES: usize = LARGEST / STEP;
/// What a thread cuts its blocks off, in bytes.
const PART: usize = 64 * 1024;
/// What a batch of free blocks has together, in bytes.
const BATCH: usize = 16 * 1024;
/// A large page.
const LARGE_PAGE: usize = 2 << 20;

/// What a free block begins with.
struct Free {
    next: *mut Free,
    /// In the first one of a batch in a shared list: the next batch.
    batch: *mut Free,
}

/// The free blocks of one size that a thread has.
struct List {
    free: Cell<*mut Free>,
    /// About how many there are, at most a batch.
    count: Cell<usize>,
    /// A whole batch besides.
    spare: Cell<*mut Free>,
}

/// What a thread has.
struct Here {
    lists: [List; SIZES],
    /// The rest of its part of the space.
    at: Cell<*mut u8>,
    rest: Cell<usize>,
    /// Whether its end will be noticed.
    known: Cell<bool>,
    /// Whether it has given all up, for it ends.
    left: Cell<bool>,
}

thread_local! {
    // No destructor, so that it can be used by the allocator at any time.
    static HERE: Here = const {
        Here {
            lists: [const {
                List {
                    free: Cell::new(null_mut()),
                    count: Cell::new(0),
                    spare: Cell::new(null_mut()),
                }
            }; SIZES],
            at: Cell::new(null_mut()),
            rest: Cell::new(0),
            known: Cell::new(false),
            left: Cell::new(false),
        }
    };
    /// Its destructor gives up what the thread has.
    static END: End = const { End };
}

struct End;

impl Drop for End {
    fn drop(&mut self) {
        HERE.with(Here::leave);
    }
}

/// The first address of the space; [`NO_SPACE`] as long as there is none.
static BASE: AtomicUsize = AtomicUsize::new(NO_SPACE);
/// No address is less than [`SPACE`] above it.
const NO_SPACE: usize = usize::MAX / 2;

/// What belongs to no thread; [`shared`] lends it.
struct Shared {
    batches: [Cell<*mut Free>; SIZES],
    /// Parts that threads left, each with its size in place of the next batch.
    parts: Cell<*mut Free>,
    /// The part of the space that was never used.
    fresh: Cell<*mut u8>,
    rest: Cell<usize>,
}

struct Locked {
    taken: AtomicBool,
    shared: UnsafeCell<Shared>,
}

// SAFETY: `shared` is only touched by who has set `taken`; the memory that it points at belongs to
// no thread.
unsafe impl Sync for Locked {}

static LOCKED: Locked = Locked {
    taken: AtomicBool::new(false),
    shared: UnsafeCell::new(Shared {
        batches: [const { Cell::new(null_mut()) }; SIZES],
        parts: Cell::new(null_mut()),
        fresh: Cell::new(null_mut()),
        rest: Cell::new(0),
    }),
};

extern "C" fn take() {
    // Held for some instructions only.
    while LOCKED.taken.swap(true, Ordering::Acquire) {
        std::thread::yield_now();
    }
}

extern "C" fn release() {
    LOCKED.taken.store(false, Ordering::Release);
}

/// Calls `with` while no other thread has what is shared. It may not allocate or panic.
fn shared<T>(with: impl FnOnce(&Shared) -> T) -> T {
    take();
    // SAFETY: taken by this thread, and given back below.
    let result = with(unsafe { &*LOCKED.shared.get() });
    release();
    result
}

/// From now on small blocks come from here. A second call changes nothing; nor does the first where
/// the system refuses the space.
pub fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at a place that the kernel chooses.
        let space = unsafe { libc::mmap(null_mut(), SPACE, access, flags, -1, 0) };
        if space == libc::MAP_FAILED {
            return;
        }
        let unaligned = space.align_offset(LARGE_PAGE).min(SPACE);
        // SAFETY: advice on the mapping; it changes nothing of what is read or written there.
        unsafe { libc::madvise(space, SPACE, libc::MADV_HUGEPAGE) };
        // A child that was forked while another thread had the lock would wait for ever.
        // SAFETY: three functions that live as long as the program and do what a fork needs.
        unsafe { libc::pthread_atfork(Some(take), Some(release), Some(release)) };
        shared(|shared| {
            // SAFETY: within the mapping, or its end.
            shared
                .fresh
                .set(unsafe { space.cast::<u8>().add(unaligned) });
            shared.rest.set(SPACE - unaligned);
        });
        BASE.store(space.addr(), Ordering::Relaxed);
    });
}

/// Which list is for blocks of this size, which is not 0.
#[inline]
fn list_of(size: usize) -> usize {
    (size - 1) / STEP
}

/// How many blocks of this list a batch has.
fn batch_of(list: usize) -> usize {
    BATCH / ((list + 1) * STEP)
}

/// A block, or null where the layout is no small block's or there is none.
#[inline]
pub(super) fn alloc(layout: Layout) -> *mut u8 {
    let place = list_of(layout.size());
    if layout.align() > STEP {
        return null_mut();
    }
    HERE.with(|here| {
        let Some(list) = here.lists.get(place) else {
            return null_mut();
        };
        let block = list.free.get();
        if block.is_null() {
            return here.refill(place, list);
        }
        // SAFETY: blocks in lists are free, and begin with a `Free`.
        list.free.set(unsafe { (*block).next });
        list.count.set(list.count.get().wrapping_sub(1));
        block.cast()
    })
}

/// Whether this block is one of ours.
#[inline]
pub(super) fn has(block: *mut u8) -> bool {
    block.addr().wrapping_sub(BASE.load(Ordering::Relaxed)) < SPACE
}

/// Whether a block of the first size has room for the second.
#[inline]
pub(super) fn fits(old: usize, new: usize) -> bool {
    list_of(old) == list_of(new)
}

/// Takes a block back.
///
/// # Safety
/// [`alloc`] gave it out for this size, and nobody uses it any more.
#[inline]
pub(super) unsafe fn free(block: *mut u8, size: usize) {
    let place = list_of(size);
    let block: *mut Free = block.cast();
    HERE.with(|here| {
        let Some(list) = here.lists.get(place) else {
            return;
        };
        if list.count.get() >= batch_of(place) || here.left.get() {
            return here.put(place, list, block);
        }
        let next = list.free.get();
        // SAFETY: the block is the caller's, large enough and aligned.
        unsafe { (*block).next = next };
        list.free.set(block);
        list.count.set(list.count.get() + 1);
    });
}

impl Here {
    /// A block where the thread's list has none.
    #[cold]
    fn refill(&self, place: usize, list: &List) -> *mut u8 {
        list.count.set(0);
        if self.left.get() || BASE.load(Ordering::Relaxed) == NO_SPACE {
            return null_mut();
        }
        if !self.known.replace(true) {
            let _ = END.try_with(|_| ());
        }
        let spare = list.spare.replace(null_mut());
        let batch = if spare.is_null() {
            shared(|shared| {
                let first = shared.batches.get(place)?;
                let batch = first.get();
                if batch.is_null() {
                    return None;
                }
                // SAFETY: shared batches are of free blocks.
                first.set(unsafe { (*batch).batch });
                Some(batch)
            })
        } else {
            Some(spare)
        };
        if let Some(batch) = batch {
            list.count.set(batch_of(place) - 1);
            // SAFETY: the same.
            list.free.set(unsafe { (*batch).next });
            return batch.cast();
        }
        self.cut((place + 1) * STEP)
    }

    /// A block that was none before.
    fn cut(&self, size: usize) -> *mut u8 {
        if self.rest.get() < size {
            // What is left of the old part stays unused: less than a block.
            let (at, rest) = shared(Shared::part);
            if rest < size {
                return null_mut();
            }
            self.at.set(at);
            self.rest.set(rest);
        }
        let block = self.at.get();
        // SAFETY: within the thread's part, or its end.
        self.at.set(unsafe { block.add(size) });
        self.rest.set(self.rest.get() - size);
        block
    }

    /// Takes a block back where the list has a whole batch, or is no more used.
    #[cold]
    fn put(&self, place: usize, list: &List, block: *mut Free) {
        if self.left.get() {
            // SAFETY: the block is free and of this size.
            return unsafe { give(place, block, null_mut()) };
        }
        let full = list.free.replace(block);
        // SAFETY: the block is free; the batch is, too.
        unsafe { (*block).next = null_mut() };
        list.count.set(1);
        let spare = list.spare.replace(full);
        if !spare.is_null() {
            shared(|shared| shared.add(place, spare));
        }
    }

    /// Gives up what the thread has.
    fn leave(&self) {
        self.left.set(true);
        for (place, list) in self.lists.iter().enumerate() {
            list.count.set(0);
            for batch in [&list.free, &list.spare] {
                let batch = batch.replace(null_mut());
                if !batch.is_null() {
                    shared(|shared| shared.add(place, batch));
                }
            }
        }
        let (at, rest) = (self.at.replace(null_mut()), self.rest.replace(0));
        if rest >= LARGEST {
            shared(|shared| shared.add_part(at, rest));
        }
    }
}

/// Adds one block to the shared lists.
///
/// # Safety
/// It is free and of this list's size.
unsafe fn give(place: usize, block: *mut Free, next: *mut Free) {
    // SAFETY: the caller's promise.
    unsafe { (*block).next = next };
    shared(|shared| shared.add(place, block));
}

impl Shared {
    fn add(&self, place: usize, batch: *mut Free) {
        if let Some(first) = self.batches.get(place) {
            // SAFETY: the batch is of free blocks, which belong to nobody now.
            unsafe { (*batch).batch = first.get() };
            first.set(batch);
        }
    }

    fn add_part(&self, at: *mut u8, rest: usize) {
        let part: *mut Free = at.cast();
        // SAFETY: parts are of unused space, aligned as blocks are, and larger than a `Free`.
        unsafe {
            (*part).next = self.parts.get();
            (*part).batch = std::ptr::without_provenance_mut(rest);
        }
        self.parts.set(part);
    }

    /// A part of the space for a thread, and its size: 0 where there is no more.
    fn part(&self) -> (*mut u8, usize) {
        let left = self.parts.get();
        if !left.is_null() {
            // SAFETY: written by `add_part`.
            let (next, size) = unsafe { ((*left).next, (*left).batch.addr()) };
            self.parts.set(next);
            return (left.cast(), size);
        }
        let at = self.fresh.get();
        let size = self.rest.get().min(PART);
        // SAFETY: within the space, or its end; null where the size is 0.
        self.fresh.set(unsafe { at.add(size) });
        self.rest.set(self.rest.get() - size);
        (at, size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    /// Vectors of many lengths, grown step by step, each of its own bytes.
    fn vectors(count: usize, seed: usize) -> Vec<Vec<u8>> {
        let one = |nth: usize| {
            let mut vector = Vec::new();
            for _ in 0..(nth * 13 + seed) % 700 {
                vector.push((nth + seed) as u8);
            }
            vector
        };
        (0..count).map(one).collect()
    }

    fn are_whole(all: &[Vec<u8>], seed: usize) -> bool {
        all.iter().enumerate().all(|(nth, vector)| {
            vector.len() == (nth * 13 + seed) % 700
                && vector.iter().all(|&byte| byte == (nth + seed) as u8)
        })
    }

    fn used() -> usize {
        shared(|shared| SPACE - shared.rest.get())
    }

    #[test]
    fn small_blocks_come_from_the_space_and_large_ones_do_not() {
        start();
        for size in [1, 15, 16, 17, 511, 512] {
            let vector = vec![1_u8; size];
            assert!(has(vector.as_ptr().cast_mut()), "{size}");
            assert_eq!(vector.as_ptr().addr() % STEP, 0);
        }
        assert!(!has(vec![1_u8; 513].as_mut_ptr()));
        assert!(fits(17, 32) && !fits(16, 17) && !fits(512, 513));
    }

    #[test]
    fn blocks_are_used_again_by_the_thread_that_freed_them() {
        start();
        drop(vectors(20_000, 0));
        let before = used();
        for seed in 0..50 {
            let made = vectors(20_000, seed);
            assert!(are_whole(&made, seed));
        }
        // 50 times 7 MB; other tests run beside.
        assert!(used() - before < 100 << 20, "{} bytes", used() - before);
    }

    #[test]
    fn blocks_that_others_free_and_those_of_ended_threads_are_used_again() {
        start();
        let (send, receive) = channel::<(usize, Vec<Vec<u8>>)>();
        let before = used();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for (seed, made) in receive {
                    assert!(are_whole(&made, seed));
                }
            });
            for turn in 0..100 {
                // One thread after the other; each ends at once.
                let made = scope.spawn(move || vectors(3000, turn)).join();
                let kept = vectors(3000, turn + 1);
                let made = made.unwrap_or_default();
                let _ = send.send((turn, made));
                assert!(are_whole(&kept, turn + 1));
            }
            // The receiver ends with the sender.
            drop(send);
        });
        // 200 times 1 MB.
        assert!(used() - before < 60 << 20, "{} bytes", used() - before);
    }

    #[test]
    fn threads_that_find_all_they_need_with_others_leave_it_for_the_next() {
        start();
        let one_after_the_other = |count: usize, length: usize| {
            for seed in 0..count {
                let made = std::thread::spawn(move || are_whole(&vectors(length, seed), seed));
                assert!(made.join().unwrap_or(false));
            }
        };
        one_after_the_other(1, 20_000);
        let before = used();
        one_after_the_other(20_000, 100);
        // Where they kept it, 130 MB.
        assert!(used() - before < 60 << 20, "{} bytes", used() - before);
    }
}
