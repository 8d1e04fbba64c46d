//! The program's allocator: the system's, and regions for compiles.
//!
//! A compile makes some hundred thousand small objects and frees them all before it ends. Within
//! [`within`] a small object is cut off the end of a chunk of 64 KiB that belongs to the thread; a
//! chunk counts the objects that live in it and is used again as a whole when none does. Large
//! objects, and all that is allocated outside of [`within`], are the system allocator's.
//!
//! Invariants: an address lies in the space of the chunks exactly when its object was cut off a
//! chunk. Only the owner of a chunk touches its plain counter; what other threads free is counted
//! apart. A chunk without owner goes back to the shared list with the last object in it, so an
//! object that outlives its compile costs memory, never more.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr::{self, null_mut};
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicUsize, Ordering};

#[cfg(feature = "vm")]
use super::blocks;

/// The size and alignment of a chunk.
const CHUNK: usize = 64 * 1024;
/// The largest object that is cut off a chunk.
const LARGEST: usize = 2048;
/// The address space for all chunks. When it is full the system's allocator is used.
const SPACE: usize = 4 << 30;
/// How many free chunks a thread, and all threads together, keep with their memory.
const WARM: u32 = 32;
/// The size of a page; a multiple of the real one does no harm.
const PAGE: usize = 4096;

/// What a chunk begins with.
struct Header {
    /// The owner's [`Here`], or 0.
    owner: AtomicUsize,
    /// How many objects live in it, without those that other threads freed. Only the owner's.
    live: AtomicU32,
    /// Minus what other threads freed while there is an owner; then what still lives.
    balance: AtomicI32,
    /// The next of the owner's chunks, or the next in the shared list.
    next: AtomicUsize,
    /// The next in one of the owner's lists of free chunks.
    next_free: AtomicUsize,
}

/// Where the objects of a chunk begin.
const FIRST: usize = size_of::<Header>().next_multiple_of(64);

/// The region of a thread. Addresses are 0 for none.
struct Here {
    /// Where the next object goes, and where the chunk ends.
    at: Cell<usize>,
    end: Cell<usize>,
    /// All chunks of the thread.
    owned: Cell<usize>,
    /// Free chunks with their memory, and how many; free chunks without.
    warm: Cell<usize>,
    warm_count: Cell<u32>,
    cold: Cell<usize>,
    active: Cell<bool>,
}

thread_local! {
    // No destructor, so that it can be used by the allocator at any time.
    static HERE: Here = const {
        Here {
            at: Cell::new(0),
            end: Cell::new(0),
            owned: Cell::new(0),
            warm: Cell::new(0),
            warm_count: Cell::new(0),
            cold: Cell::new(0),
            active: Cell::new(false),
        }
    };
}

/// The first address of the space of the chunks; [`NO_SPACE`] as long as there is none.
static BASE: AtomicUsize = AtomicUsize::new(NO_SPACE);
/// No address is less than [`SPACE`] above it.
const NO_SPACE: usize = usize::MAX / 2;

/// The chunks that belong to no thread.
struct Shared {
    warm: usize,
    warm_count: u32,
    cold: usize,
    /// The part of the space that was never used; empty before there is a space.
    fresh: usize,
    end: usize,
    refused: bool,
}

static SHARED: Mutex<Shared> = Mutex::new(Shared {
    warm: 0,
    warm_count: 0,
    cold: 0,
    fresh: 0,
    end: 0,
    refused: false,
});

/// The header of a chunk at a nonzero address that one of the lists here holds.
fn header<'a>(chunk: usize) -> &'a Header {
    // SAFETY: lists hold chunks only, which stay mapped for ever and begin with a header; all its
    // fields are atomic and valid with any bits.
    unsafe { &*ptr::with_exposed_provenance::<Header>(chunk) }
}

fn is_in_space(address: usize) -> bool {
    address.wrapping_sub(BASE.load(Ordering::Relaxed)) < SPACE
}

/// Gives a free chunk's memory back, but for the page with its header.
fn cool(chunk: usize) {
    let memory = ptr::with_exposed_provenance_mut(chunk + PAGE);
    // SAFETY: a whole number of pages of a chunk in which no object lives.
    unsafe { libc::madvise(memory, CHUNK - PAGE, libc::MADV_DONTNEED) };
}

impl Shared {
    /// Reserves the space.
    fn reserve(&mut self) {
        // Memory in the old sense: without access until a chunk is taken.
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at a place that the kernel chooses.
        let space = unsafe { libc::mmap(null_mut(), SPACE, libc::PROT_NONE, flags, -1, 0) };
        if space == libc::MAP_FAILED {
            self.refused = true;
            return;
        }
        let base = space.expose_provenance();
        self.fresh = base.next_multiple_of(CHUNK);
        self.end = base + SPACE;
        BASE.store(base, Ordering::Relaxed);
    }

    fn take(&mut self) -> Option<usize> {
        if self.warm != 0 {
            let chunk = self.warm;
            self.warm = header(chunk).next.load(Ordering::Relaxed);
            self.warm_count -= 1;
            return Some(chunk);
        }
        if self.cold != 0 {
            let chunk = self.cold;
            self.cold = header(chunk).next.load(Ordering::Relaxed);
            return Some(chunk);
        }
        if self.end == 0 && !self.refused {
            self.reserve();
        }
        if self.end - self.fresh < CHUNK {
            return None;
        }
        let chunk = self.fresh;
        let memory = ptr::with_exposed_provenance_mut(chunk);
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a part of the reserved space that nobody has used.
        if unsafe { libc::mprotect(memory, CHUNK, access) } != 0 {
            return None;
        }
        self.fresh += CHUNK;
        Some(chunk)
    }

    fn put(&mut self, chunk: usize) {
        let list = if self.warm_count < WARM {
            self.warm_count += 1;
            &mut self.warm
        } else {
            cool(chunk);
            &mut self.cold
        };
        header(chunk).next.store(*list, Ordering::Relaxed);
        *list = chunk;
    }
}

/// The shared list. Nothing panics while it is locked.
fn shared() -> std::sync::MutexGuard<'static, Shared> {
    SHARED.lock().unwrap_or_else(|broken| broken.into_inner())
}

impl Here {
    fn address(&self) -> usize {
        ptr::from_ref(self).addr()
    }

    /// The chunk that objects are cut off.
    fn chunk(&self) -> usize {
        self.end.get().wrapping_sub(CHUNK)
    }

    fn cut(&self, layout: Layout) -> Option<usize> {
        let below = layout.align() - 1;
        let start = (self.at.get() + below) & !below;
        let end = start + layout.size();
        if end > self.end.get() {
            return None;
        }
        self.at.set(end);
        let live = &header(self.chunk()).live;
        live.store(live.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        Some(start)
    }

    /// Goes on with another chunk. `None` when there is none, or no compile runs.
    #[cold]
    fn refill(&self) -> Option<()> {
        if !self.active.get() {
            return None;
        }
        let chunk = if self.warm.get() != 0 {
            let chunk = self.warm.get();
            self.warm
                .set(header(chunk).next_free.load(Ordering::Relaxed));
            self.warm_count.set(self.warm_count.get() - 1);
            chunk
        } else if self.cold.get() != 0 {
            let chunk = self.cold.get();
            self.cold
                .set(header(chunk).next_free.load(Ordering::Relaxed));
            chunk
        } else {
            let chunk = shared().take()?;
            let header = header(chunk);
            header.live.store(0, Ordering::Relaxed);
            header.balance.store(0, Ordering::Relaxed);
            header.next.store(self.owned.get(), Ordering::Relaxed);
            header.owner.store(self.address(), Ordering::Relaxed);
            self.owned.set(chunk);
            chunk
        };
        self.at.set(chunk + FIRST);
        self.end.set(chunk + CHUNK);
        Some(())
    }

    /// One of the thread's own chunks has no live object any more.
    #[cold]
    fn emptied(&self, chunk: usize) {
        if chunk == self.chunk() {
            self.at.set(chunk + FIRST);
            return;
        }
        let list = if self.warm_count.get() < WARM {
            self.warm_count.set(self.warm_count.get() + 1);
            &self.warm
        } else {
            cool(chunk);
            &self.cold
        };
        header(chunk).next_free.store(list.get(), Ordering::Relaxed);
        list.set(chunk);
    }

    fn free(&self, object: usize, size: usize) {
        let chunk = object & !(CHUNK - 1);
        let header = header(chunk);
        if header.owner.load(Ordering::Relaxed) != self.address() {
            return free_elsewhere(chunk);
        }
        if object + size == self.at.get() {
            self.at.set(object);
        }
        let live = header.live.load(Ordering::Relaxed) - 1;
        header.live.store(live, Ordering::Relaxed);
        if live == 0 {
            self.emptied(chunk);
        }
    }

    /// Gives up all chunks.
    fn leave(&self) {
        self.active.set(false);
        self.at.set(0);
        self.end.set(0);
        self.warm.set(0);
        self.warm_count.set(0);
        self.cold.set(0);
        let mut chunk = self.owned.replace(0);
        let mut shared = shared();
        while chunk != 0 {
            let header = header(chunk);
            let next = header.next.load(Ordering::Relaxed);
            let live = header.live.load(Ordering::Relaxed);
            header.owner.store(0, Ordering::Relaxed);
            let live = i32::try_from(live).unwrap_or(0);
            if header.balance.fetch_add(live, Ordering::AcqRel) == -live {
                shared.put(chunk);
            }
            chunk = next;
        }
    }
}

/// Another thread's object, or one that outlived its compile, is freed.
#[cold]
fn free_elsewhere(chunk: usize) {
    // It becomes 0 here only after the owner has added what was left.
    if header(chunk).balance.fetch_sub(1, Ordering::AcqRel) == 1 {
        shared().put(chunk);
    }
}

/// Whether it is one of the VM's small blocks.
#[inline]
fn is_block(object: *mut u8) -> bool {
    #[cfg(feature = "vm")]
    return blocks::has(object);
    #[cfg(not(feature = "vm"))]
    return object.is_null();
}

/// Whether a small block of the first size has room for the second.
#[inline]
fn is_enough(old: usize, new: usize) -> bool {
    #[cfg(feature = "vm")]
    return blocks::fits(old, new);
    #[cfg(not(feature = "vm"))]
    return new <= old;
}

/// An object that does not fit what is left of the current chunk, or no chunk at all. Apart from
/// `alloc`, which so needs no stack.
///
/// # Safety
/// As `GlobalAlloc::alloc`.
#[inline(never)]
unsafe fn alloc_otherwise(layout: Layout) -> *mut u8 {
    #[cfg(feature = "vm")]
    {
        let block = blocks::alloc(layout);
        if !block.is_null() {
            return block;
        }
    }
    if layout.size() <= LARGEST && layout.align() <= 64 {
        let object = HERE.with(|here| {
            here.refill()?;
            here.cut(layout)
        });
        if let Some(object) = object {
            return ptr::with_exposed_provenance_mut(object);
        }
    }
    // SAFETY: the caller's promise.
    unsafe { System.alloc(layout) }
}

/// The allocator of the program.
#[derive(Debug)]
pub struct Regions;

// SAFETY: what is cut off a chunk lies between its header and its end and overlaps no live object:
// `at` only goes back to the beginning of the last object when that is freed, or to the chunk's
// first place when no object lives. Everything else is the system allocator's or one of the VM's
// `blocks`, and is told apart by the address. Nothing here panics or allocates.
unsafe impl GlobalAlloc for Regions {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() <= LARGEST
            && layout.align() <= 64
            && let Some(object) = HERE.with(|here| here.cut(layout))
        {
            return ptr::with_exposed_provenance_mut(object);
        }
        // SAFETY: the caller's promise.
        unsafe { alloc_otherwise(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, object: *mut u8, layout: Layout) {
        if is_in_space(object.addr()) {
            return HERE.with(|here| here.free(object.addr(), layout.size()));
        }
        #[cfg(feature = "vm")]
        if is_block(object) {
            // SAFETY: it is one of theirs, and the caller gives it up.
            return unsafe { blocks::free(object, layout.size()) };
        }
        // SAFETY: not from a chunk, so from the system's allocator.
        unsafe { System.dealloc(object, layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() <= LARGEST {
            // SAFETY: the caller's promise.
            let object = unsafe { self.alloc(layout) };
            if !object.is_null() {
                // SAFETY: so many bytes were allocated.
                unsafe { object.write_bytes(0, layout.size()) };
            }
            return object;
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn realloc(&self, object: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if is_in_space(object.addr()) {
            if HERE.with(|here| here.resize(object.addr(), layout.size(), size)) {
                return object;
            }
        } else if is_block(object) {
            if is_enough(layout.size(), size) {
                return object;
            }
        } else {
            // SAFETY: from neither, so from the system's allocator.
            return unsafe { System.realloc(object, layout, size) };
        }
        // SAFETY: the caller promises that the size fits the alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the caller's promise.
        let moved = unsafe { self.alloc(wanted) };
        if !moved.is_null() {
            // SAFETY: both are objects of at least so many bytes, and not the same.
            unsafe { ptr::copy_nonoverlapping(object, moved, layout.size().min(size)) };
            // SAFETY: the caller gives the object up.
            unsafe { self.dealloc(object, layout) };
        }
        moved
    }
}

impl Here {
    /// Whether an object can have another size where it is.
    fn resize(&self, object: usize, old: usize, new: usize) -> bool {
        if object + old == self.at.get() && new <= LARGEST && object + new <= self.end.get() {
            self.at.set(object + new);
            return true;
        }
        new <= old
    }
}

/// Leaves the region also when a compile panics.
struct Leave;

impl Drop for Leave {
    fn drop(&mut self) {
        HERE.with(Here::leave);
    }
}

/// Runs a compile with small objects in a region. An error is copied out; the small objects of a
/// value keep their chunks from being used again, so it should have none that lives on.
pub fn within<T, E: Clone>(compile: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    if HERE.with(|here| here.active.replace(true)) {
        // The compile around it has the region.
        return compile();
    }
    let leave = Leave;
    let result = compile();
    drop(leave);
    result.map_err(|error| error.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    /// Small objects of many sizes, grown step by step.
    fn objects(count: usize, seed: usize) -> Vec<Vec<u8>> {
        let one = |nth: usize| {
            let mut object = Vec::new();
            for _ in 0..(nth * 7 + seed) % 300 {
                object.push((nth + seed) as u8);
            }
            object
        };
        (0..count).map(one).collect()
    }

    fn are_whole(all: &[Vec<u8>], seed: usize) -> bool {
        all.iter().enumerate().all(|(nth, object)| {
            object.len() == (nth * 7 + seed) % 300
                && object.iter().all(|&byte| byte == (nth + seed) as u8)
        })
    }

    #[test]
    fn objects_outlive_their_compile_and_may_be_freed_elsewhere() {
        for seed in 0..20 {
            let made = within(|| Ok::<_, ()>(objects(5000, seed))).unwrap_or_default();
            // Others take chunks meanwhile.
            let others = within(|| Ok::<_, ()>(objects(5000, seed + 1))).unwrap_or_default();
            assert!(are_whole(&made, seed) && are_whole(&others, seed + 1));
            std::thread::scope(|scope| {
                scope.spawn(move || drop(made));
            });
            assert!(are_whole(&others, seed + 1));
        }
    }

    #[test]
    fn threads_exchange_objects_while_they_compile() {
        let (send, receive) = channel::<(usize, Vec<Vec<u8>>)>();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let send = send.clone();
                scope.spawn(move || {
                    for turn in 0..50 {
                        let seed = thread * 50 + turn;
                        let _ = within(|| {
                            let kept = objects(300, seed);
                            let _ = send.send((seed, objects(300, seed)));
                            assert!(are_whole(&kept, seed));
                            Ok::<_, ()>(())
                        });
                    }
                });
            }
            drop(send);
            let _ = within(|| {
                for (seed, objects) in receive {
                    assert!(are_whole(&objects, seed));
                }
                Ok::<_, ()>(())
            });
        });
    }

    #[test]
    fn chunks_are_used_again_also_after_a_panic() {
        for turn in 0..200 {
            let compile = || {
                let made = objects(5000, turn);
                assert!(turn % 2 == 0, "on purpose");
                drop(made);
                Ok::<_, ()>(())
            };
            let _ = std::panic::catch_unwind(|| within(compile));
            assert!(!HERE.with(|here| here.active.get()));
        }
        // 200 times 750 KB; other tests run beside.
        let shared = shared();
        let used = shared.fresh - BASE.load(Ordering::Relaxed);
        assert!(used < 100 << 20, "{used} bytes");
    }
}
