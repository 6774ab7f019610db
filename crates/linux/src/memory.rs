//! The C library's heap, for processes that have to stay small.

/// Makes the heap give memory back early: blocks from 32 KiB on are mapped on their own and unmapped when freed, and
/// the threshold does not grow as it does by default.
pub fn keep_small() {
    // SAFETY: mallopt has no memory arguments; an option it does not know is refused without effect.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 * 1024);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 32 * 1024);
        libc::mallopt(libc::M_TOP_PAD, 0);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives free pages of the heap back to the kernel.
pub fn trim() {
    // SAFETY: malloc_trim only looks at what is free.
    unsafe { libc::malloc_trim(0) };
}
