//! `eventfd(2)`: a counter that the kernel or another process raises, for an epoll loop.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::EventfdFlags;
use rustix::io::Errno;

use crate::Result;
use crate::error::Context as _;

/// One counter. Readable while it is not zero. Non-blocking.
#[derive(Debug)]
pub struct EventFd {
    fd: OwnedFd,
}

impl EventFd {
    /// A counter at zero.
    pub fn new() -> Result<Self> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let fd = rustix::event::eventfd(0, flags).context(|| "eventfd2()")?;
        Ok(Self { fd })
    }

    /// Sets it to zero; false when it was.
    pub fn take(&self) -> Result<bool> {
        match rustix::io::read(&self.fd, &mut [0u8; 8]) {
            Ok(_) => Ok(true),
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(errno) => Err(errno).context(|| "read(eventfd)"),
        }
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_until_taken() {
        let event = EventFd::new().unwrap();
        assert!(!event.take().unwrap());
        rustix::io::write(&event, &3u64.to_ne_bytes()).unwrap();
        assert!(event.take().unwrap());
        assert!(!event.take().unwrap());
    }
}
