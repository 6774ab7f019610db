//! File descriptors as such.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};

use crate::error::{Context as _, check};
use crate::{Errno, Result};

/// Another descriptor for the same open file, close-on-exec.
pub fn duplicate(fd: impl AsFd) -> Result<OwnedFd> {
    rustix::io::fcntl_dupfd_cloexec(fd, 3).context(|| "fcntl(F_DUPFD_CLOEXEC)")
}

/// The path under which this process can reopen a descriptor. Valid while it stays open and /proc is mounted.
pub fn proc_path(fd: &impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()))
}

/// Where an open file is, as the kernel sees it from this process's root. For messages and checks after the fact;
/// the file may move at any time.
pub fn current_path(fd: impl AsFd) -> Result<PathBuf> {
    let path = proc_path(&fd);
    std::fs::read_link(&path).context(|| format!("readlink({path:?})"))
}

/// Makes `target` refer to the file of `fd`, close-on-exec; what it referred to is closed.
pub fn replace(target: &mut OwnedFd, fd: impl AsFd) -> Result<()> {
    rustix::io::dup3(fd, target, rustix::io::DupFlags::CLOEXEC).context(|| "dup3")
}

/// Makes `target` refer to the file of `fd` and survive execve. For the child after a clone: whatever was open at
/// `target` is closed, whoever owns it.
pub fn place(fd: BorrowedFd<'_>, target: RawFd) -> Result<()> {
    if fd.as_raw_fd() == target {
        return set_inherited(fd, true);
    }
    // SAFETY: dup2 has no memory arguments. Replacing a descriptor is what the caller asks for.
    check(unsafe { libc::dup2(fd.as_raw_fd(), target) })
        .map(drop)
        .context(|| format!("dup2({}, {target})", fd.as_raw_fd()))
}

/// Whether a descriptor survives execve.
pub fn set_inherited(fd: impl AsFd, inherited: bool) -> Result<()> {
    let flags = if inherited {
        rustix::io::FdFlags::empty()
    } else {
        rustix::io::FdFlags::CLOEXEC
    };
    rustix::io::fcntl_setfd(fd, flags).context(|| "fcntl(F_SETFD)")
}

pub fn set_nonblocking(fd: impl AsFd, nonblocking: bool) -> Result<()> {
    rustix::io::ioctl_fionbio(fd, nonblocking).context(|| "ioctl(FIONBIO)")
}

/// Marks every descriptor from `first` on close-on-exec, so that none leaks into what is executed next
/// (CVE-2024-21626: a leaked one let a container out of its root).
pub fn close_on_exec_from(first: u32) -> Result<()> {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    // SAFETY: close_range has no memory arguments and with this flag closes nothing yet.
    let code = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            libc::c_uint::MAX,
            CLOSE_RANGE_CLOEXEC,
        )
    };
    match check(code) {
        Ok(_) => Ok(()),
        // Kernels before 5.11 have close_range, but not this flag.
        Err(Errno::INVAL | Errno::NOSYS) => mark_each(first),
        Err(errno) => Err(errno).context(|| format!("close_range({first}, CLOSE_RANGE_CLOEXEC)")),
    }
}

fn mark_each(first: u32) -> Result<()> {
    let entries = std::fs::read_dir("/proc/self/fd").context(|| "open(\"/proc/self/fd\")")?;
    let numbers = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok());
    for number in numbers
        .filter(|number| number.unsigned_abs() >= first)
        .collect::<Vec<_>>()
    {
        // SAFETY: F_SETFD on a number that is not open (any more) is an error without effect.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}

/// Takes over a descriptor that this process was started with. EBADF if it is not open. Call it at most once a
/// number, before anything else of the program opens files: it becomes the caller's to close.
pub fn inherited(number: RawFd) -> Result<OwnedFd> {
    // SAFETY: F_SETFD has no memory arguments; it fails with EBADF if nothing is open there.
    check(unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) })
        .context(|| format!("fcntl({number}, F_SETFD)"))?;
    // SAFETY: the descriptor is open, and by this function's contract nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A standard stream of this process (0 to 2), if it is open.
#[must_use]
pub fn standard(number: RawFd) -> Option<BorrowedFd<'static>> {
    // SAFETY: it is open, and nobody owns and closes a standard stream.
    ((0..3).contains(&number) && is_open(number)).then(|| unsafe { BorrowedFd::borrow_raw(number) })
}

/// Whether a descriptor of this number is open.
#[must_use]
pub fn is_open(number: RawFd) -> bool {
    // SAFETY: F_GETFD has no memory arguments.
    check(unsafe { libc::fcntl(number, libc::F_GETFD) }).is_ok()
}

/// Waits until reading would not block; false after `timeout`.
pub fn wait_readable(fd: impl AsFd, timeout: Option<Duration>) -> Result<bool> {
    wait_for(fd, PollFlags::IN, timeout)
}

/// Waits until a kernel file says that it has changed (`POLLPRI`); false after `timeout`.
pub fn wait_priority(fd: impl AsFd, timeout: Option<Duration>) -> Result<bool> {
    wait_for(fd, PollFlags::PRI, timeout)
}

/// Waits until nobody can read any more what is written to a pipe or FIFO; false after `timeout`.
pub fn wait_unread(fd: impl AsFd, timeout: Option<Duration>) -> Result<bool> {
    wait_for(fd, PollFlags::empty(), timeout)
}

/// Which of two descriptors can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    First,
    Second,
}

/// Waits until reading one of two descriptors would not block; the second counts if both would not.
pub fn wait_either(first: impl AsFd, second: impl AsFd) -> Result<Ready> {
    loop {
        let mut both = [
            PollFd::new(&first, PollFlags::IN),
            PollFd::new(&second, PollFlags::IN),
        ];
        match rustix::event::poll(&mut both, None) {
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).context(|| "ppoll()"),
            Ok(_) if both[1].revents().is_empty() => return Ok(Ready::First),
            Ok(_) => return Ok(Ready::Second),
        }
    }
}

fn wait_for(fd: impl AsFd, flags: PollFlags, timeout: Option<Duration>) -> Result<bool> {
    let timeout = timeout.map(|t| Timespec {
        tv_sec: i64::try_from(t.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: t.subsec_nanos().into(),
    });
    loop {
        match rustix::event::poll(&mut [PollFd::new(&fd, flags)], timeout.as_ref()) {
            Err(Errno::INTR) => {}
            result => return result.map(|ready| ready > 0).context(|| "ppoll()"),
        }
    }
}

/// A pipe: the reading end, then the writing end.
pub fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).context(|| "pipe2(O_CLOEXEC)")
}
