//! `epoll(7)`, level-triggered, with a `u64` token a descriptor.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll;
use rustix::io::Errno;

use crate::Result;
use crate::error::Context as _;

pub use rustix::event::epoll::EventFlags;

/// A set of watched descriptors.
#[derive(Debug)]
pub struct Epoll {
    fd: OwnedFd,
}

/// Which descriptor is ready, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    pub token: u64,
    pub flags: EventFlags,
}

impl Event {
    /// There is something to read, or the other side has hung up (then the read says so).
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.flags
            .intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR)
    }

    /// A write makes progress, or fails and says why.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.flags
            .intersects(EventFlags::OUT | EventFlags::HUP | EventFlags::ERR)
    }
}

impl Epoll {
    pub fn new() -> Result<Self> {
        let fd = epoll::create(epoll::CreateFlags::CLOEXEC)
            .context(|| "epoll_create1(EPOLL_CLOEXEC)")?;
        Ok(Self { fd })
    }

    pub fn add(&self, fd: impl AsFd, token: u64, flags: EventFlags) -> Result<()> {
        epoll::add(&self.fd, fd, epoll::EventData::new_u64(token), flags)
            .context(|| "epoll_ctl(EPOLL_CTL_ADD)")
    }

    pub fn modify(&self, fd: impl AsFd, token: u64, flags: EventFlags) -> Result<()> {
        epoll::modify(&self.fd, fd, epoll::EventData::new_u64(token), flags)
            .context(|| "epoll_ctl(EPOLL_CTL_MOD)")
    }

    pub fn delete(&self, fd: impl AsFd) -> Result<()> {
        epoll::delete(&self.fd, fd).context(|| "epoll_ctl(EPOLL_CTL_DEL)")
    }

    /// Replaces `events` by at most 32 ready ones; none after `timeout`. A signal only makes it wait again.
    pub fn wait(&self, events: &mut Vec<Event>, timeout: Option<Duration>) -> Result<()> {
        let timeout = timeout.map(|t| rustix::event::Timespec {
            tv_sec: i64::try_from(t.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: t.subsec_nanos().into(),
        });
        let mut ready = Vec::with_capacity(32);
        loop {
            match epoll::wait(&self.fd, spare_capacity(&mut ready), timeout.as_ref()) {
                Err(Errno::INTR) => {}
                result => {
                    result.context(|| "epoll_pwait2()")?;
                    break;
                }
            }
        }
        events.clear();
        events.extend(ready.iter().map(|event| Event {
            token: event.data.u64(),
            flags: event.flags,
        }));
        Ok(())
    }
}
