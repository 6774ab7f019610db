//! `pidfd_open(2)`: a process by a handle that no other process can come to mean.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::process::{PidfdFlags, WaitId, WaitIdOptions};

use crate::error::{Context as _, check};
use crate::process::ExitStatus;
use crate::signal::Signal;
use crate::{Errno, Result};

/// A process. Readable (as epoll says it) once the process has ended.
#[derive(Debug)]
pub struct PidFd {
    fd: OwnedFd,
}

impl PidFd {
    /// ESRCH when there is no such process.
    pub fn open(pid: u32) -> Result<Self> {
        let fd = rustix::process::pidfd_open(crate::process::pid(pid)?, PidfdFlags::empty())
            .context(|| format!("pidfd_open({pid})"))?;
        Ok(Self { fd })
    }

    #[must_use]
    pub const fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    pub fn try_clone(&self) -> Result<Self> {
        Ok(Self {
            fd: crate::fd::duplicate(&self.fd)?,
        })
    }

    /// ESRCH once the process has been waited for.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.send(signal.number())
            .context(|| format!("pidfd_send_signal({})", signal.name()))
    }

    /// Whether the process has not been waited for yet (a zombie still exists).
    pub fn exists(&self) -> Result<bool> {
        match self.send(0) {
            Ok(()) => Ok(true),
            Err(Errno::SRCH) => Ok(false),
            Err(errno) => Err(errno).context(|| "pidfd_send_signal(0)"),
        }
    }

    fn send(&self, number: i32) -> rustix::io::Result<()> {
        use std::os::fd::AsRawFd as _;
        // SAFETY: a null siginfo is allowed; the descriptor is open for as long as `self` lives.
        let code = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.fd.as_raw_fd(),
                number,
                std::ptr::null::<u8>(),
                0,
            )
        };
        check(code).map(drop)
    }

    /// Waits until the process ends and reaps it. ECHILD when it is not a child of ours.
    pub fn wait(&self) -> Result<ExitStatus> {
        loop {
            match self.waitid(WaitIdOptions::EXITED) {
                Err(error) if error.errno() == Errno::INTR => {}
                Ok(None) => {}
                Ok(Some(status)) => return Ok(status),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reaps the process if it has ended.
    pub fn try_wait(&self) -> Result<Option<ExitStatus>> {
        self.waitid(WaitIdOptions::EXITED | WaitIdOptions::NOHANG)
    }

    /// Whether a child of ours is stopped now, as by SIGSTOP.
    pub fn is_stopped(&self) -> Result<bool> {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        rustix::process::waitid(WaitId::PidFd(self.fd.as_fd()), options)
            .map(|status| status.is_some())
            .context(|| "waitid(P_PIDFD)")
    }

    fn waitid(&self, options: WaitIdOptions) -> Result<Option<ExitStatus>> {
        let status = rustix::process::waitid(WaitId::PidFd(self.fd.as_fd()), options)
            .context(|| "waitid(P_PIDFD)")?;
        Ok(status.map(|status| ExitStatus::from_waitid(&status)))
    }

    /// Waits until the process has ended, child or not, without reaping it; false after `timeout`.
    pub fn wait_readable(&self, timeout: Option<std::time::Duration>) -> Result<bool> {
        crate::fd::wait_readable(&self.fd, timeout)
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
