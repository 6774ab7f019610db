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

/// Lets go of the pages of the program's code and constants. They stay in the page cache, and each is mapped again when
/// it is next touched; until then this process is resident with its data only. Neither is ever written to, not even by
/// relocations (those go to a segment of their own), so nothing can be lost.
pub fn release_code() {
    let Ok(maps) = std::fs::read_to_string("/proc/self/maps") else {
        return;
    };
    for (start, end) in maps.lines().filter_map(code_range) {
        // SAFETY: the range is a file's private, unwritable mapping, so that dropping its pages (an advice that never
        // unmaps) leaves the same bytes to be read again from the file. A range that is gone is an error without effect.
        unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_DONTNEED) };
    }
}

/// `start-end permissions offset device inode path` of a file's code, or of the constants at the file's start.
fn code_range(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let (permissions, offset) = (fields.next()?, fields.next()?);
    let is_file = fields.nth(1)? != "0";
    let is_constant =
        permissions == "r-xp" || permissions == "r--p" && offset.bytes().all(|digit| digit == b'0');
    let address = |text| usize::from_str_radix(text, 16).ok();
    (is_file && is_constant).then_some((address(start)?, address(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_code_of_files_is_found() {
        let text = "7f0000001000-7f0000003000 r-xp 00001000 08:01 1234 /bin/x";
        assert_eq!(code_range(text), Some((0x7f00_0000_1000, 0x7f00_0000_3000)));
        assert_eq!(
            code_range("7fff0000-7fff1000 r-xp 00000000 00:00 0 [vdso]"),
            None
        );
        assert_eq!(
            code_range("1000-2000 rw-p 00000000 08:01 1234 /bin/x"),
            None
        );
        assert_eq!(code_range(""), None);
    }

    #[test]
    fn code_that_was_let_go_runs_on() {
        release_code();
        trim();
        assert_eq!(code_range("x"), None);
    }
}
