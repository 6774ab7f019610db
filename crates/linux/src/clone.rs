//! `clone3(2)`: a child in new namespaces and its own cgroup, from one call.

use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Result;
use crate::error::{Context as _, check};
use crate::ns::Kinds;
use crate::pidfd::PidFd;

/// `struct clone_args`, version 2 (Linux 5.7).
#[repr(C, align(8))]
#[derive(Default)]
struct Arguments {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// A child that has been started.
#[derive(Debug)]
pub struct Child {
    pub pid: u32,
    pub pidfd: PidFd,
}

/// Runs `child` in a copy of this process, in new namespaces of `kinds` and, on cgroup v2, in the `cgroup` whose
/// folder is given. The child ends with the code that `child` returns (255 if it panics), never by unwinding into
/// the caller's frames.
///
/// For single-threaded callers: in the copy only the calling thread exists, and a lock that another thread held,
/// malloc's included, is never let go.
pub fn fork(
    kinds: Kinds,
    cgroup: Option<BorrowedFd<'_>>,
    child: impl FnOnce() -> i32,
) -> Result<Child> {
    let mut pidfd: i32 = -1;
    let mut arguments = Arguments {
        flags: kinds.bits() | libc::CLONE_PIDFD as u64,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..Arguments::default()
    };
    if let Some(cgroup) = cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
    }
    // SAFETY: without CLONE_VM the child has its own copy of memory and stack, so returning twice is sound; the
    // arguments are of the size given and outlive the call.
    let code = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            &raw const arguments,
            size_of::<Arguments>(),
        )
    };
    match check(code).context(|| format!("clone3({kinds:?}, cgroup: {})", cgroup.is_some()))? {
        0 => {
            let code = catch_unwind(AssertUnwindSafe(child)).unwrap_or(255);
            crate::process::exit_now(code)
        }
        pid => {
            // SAFETY: CLONE_PIDFD has stored a new descriptor that nobody else owns.
            let pidfd = PidFd::from_fd(unsafe { OwnedFd::from_raw_fd(pidfd) });
            Ok(Child {
                pid: u32::try_from(pid).unwrap_or(0),
                pidfd,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::ExitStatus;

    #[test]
    fn a_child_ends_with_its_code() {
        let child = fork(Kinds::empty(), None, || 7).unwrap();
        assert_eq!(child.pidfd.wait().unwrap(), ExitStatus::Exited(7));
    }

    #[test]
    fn a_panic_does_not_leave_the_child() {
        let child = fork(Kinds::empty(), None, || {
            std::panic::set_hook(Box::new(|_| {}));
            panic!("quiet")
        });
        assert_eq!(
            child.unwrap().pidfd.wait().unwrap(),
            ExitStatus::Exited(255)
        );
    }
}
