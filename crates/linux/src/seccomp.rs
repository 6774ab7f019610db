//! `seccomp(2)`: loading a filter that `runtime` has compiled.

use std::os::fd::{FromRawFd as _, OwnedFd};

use crate::Result;
use crate::error::{Context as _, check};

/// One instruction of classic BPF, as `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// Longest program the kernel takes: `BPF_MAXINSNS`.
pub const MAX_INSTRUCTIONS: usize = 4096;

/// `SECCOMP_FILTER_FLAG_*`.
pub mod flags {
    pub const TSYNC: u32 = 1;
    pub const LOG: u32 = 2;
    pub const SPEC_ALLOW: u32 = 4;
    pub const NEW_LISTENER: u32 = 8;
    pub const WAIT_KILLABLE_RECV: u32 = 32;
}

/// Loads a filter for the calling thread. Needs no_new_privs or CAP_SYS_ADMIN. With [`flags::NEW_LISTENER`] the
/// answer is the notification descriptor.
pub fn load(program: &[Instruction], flags: u32) -> Result<Option<OwnedFd>> {
    const SECCOMP_SET_MODE_FILTER: libc::c_uint = 1;
    let describe = || {
        format!(
            "seccomp(SECCOMP_SET_MODE_FILTER, {flags:#x}, {} instructions)",
            program.len()
        )
    };
    let len = u16::try_from(program.len())
        .map_err(|_| crate::Errno::INVAL)
        .context(describe)?;
    // The kernel only reads the filter, though the structure's pointer is mutable.
    let filter = libc::sock_fprog {
        len,
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: `Instruction` has the layout of sock_filter, `len` counts them, and both outlive the call.
    let code = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            SECCOMP_SET_MODE_FILTER,
            flags,
            &raw const filter,
        )
    };
    let value = check(code).context(describe)?;
    if flags & self::flags::NEW_LISTENER == 0 {
        return Ok(None);
    }
    // SAFETY: with NEW_LISTENER the answer is a new descriptor that nobody else owns.
    Ok(i32::try_from(value)
        .ok()
        .map(|raw| unsafe { OwnedFd::from_raw_fd(raw) }))
}

/// Whether the kernel knows all of `flags`: asked without a filter, it says EFAULT if so, EINVAL if not.
#[must_use]
pub fn supports_flags(flags: u32) -> bool {
    // SAFETY: a null filter is an error without effect.
    let code = unsafe { libc::syscall(libc::SYS_seccomp, 1, flags, std::ptr::null::<u8>()) };
    check(code) == Err(crate::Errno::FAULT)
}
