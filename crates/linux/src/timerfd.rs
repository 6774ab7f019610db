//! `timerfd_create(2)` on the monotonic clock: a deadline for an epoll loop.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

use crate::Result;
use crate::error::Context as _;

/// One timer. Readable once it has fired. Non-blocking.
#[derive(Debug)]
pub struct TimerFd {
    fd: OwnedFd,
}

impl TimerFd {
    /// A timer that is not armed.
    pub fn new() -> Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let fd = rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)
            .context(|| "timerfd_create()")?;
        Ok(Self { fd })
    }

    /// Fires once, `after` from now; `None` disarms it. Zero fires at once.
    pub fn set(&self, after: Option<Duration>) -> Result<()> {
        let value = after.map_or(Duration::ZERO, |after| after.max(Duration::from_nanos(1)));
        let timer = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: Timespec {
                tv_sec: i64::try_from(value.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: value.subsec_nanos().into(),
            },
        };
        rustix::time::timerfd_settime(&self.fd, TimerfdTimerFlags::empty(), &timer)
            .map(drop)
            .context(|| format!("timerfd_settime({value:?})"))
    }

    /// Takes the expiry; false when it has not fired.
    pub fn take(&self) -> Result<bool> {
        match rustix::io::read(&self.fd, &mut [0u8; 8]) {
            Ok(_) => Ok(true),
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(errno) => Err(errno).context(|| "read(timerfd)"),
        }
    }
}

impl AsFd for TimerFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
