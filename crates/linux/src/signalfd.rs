//! `signalfd(2)`: blocked signals as something to read.

use std::os::fd::{AsFd, BorrowedFd, FromRawFd as _, OwnedFd};

use rustix::io::Errno;

use crate::error::{Context as _, check};
use crate::signal::{Signal, SignalSet};
use crate::{Result, signal};

/// Signals that are read instead of delivered. Non-blocking.
#[derive(Debug)]
pub struct SignalFd {
    fd: OwnedFd,
}

/// Who sent a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    Process,
    /// The kernel by itself, such as a terminal on Ctrl-C: then the whole foreground process group has got it.
    Kernel,
}

impl SignalFd {
    /// Blocks `signals` in the calling thread and makes the descriptor.
    pub fn new(signals: &[Signal]) -> Result<Self> {
        let set = SignalSet::of(signals);
        signal::block(&set)?;
        // SAFETY: the set is initialised; a non-negative answer is a descriptor nobody else owns.
        let fd = unsafe {
            let raw = check(libc::signalfd(
                -1,
                &raw const set.0,
                libc::SFD_CLOEXEC | libc::SFD_NONBLOCK,
            ))
            .context(|| "signalfd4(-1)")?;
            OwnedFd::from_raw_fd(i32::try_from(raw).unwrap_or(-1))
        };
        Ok(Self { fd })
    }

    /// The next pending signal; `None` when there is none.
    pub fn read(&self) -> Result<Option<Signal>> {
        Ok(self.read_with_origin()?.map(|(signal, _)| signal))
    }

    /// The next pending signal and who sent it; `None` when there is none.
    pub fn read_with_origin(&self) -> Result<Option<(Signal, Origin)>> {
        let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
        loop {
            return match rustix::io::read(&self.fd, &mut info) {
                Ok(_) => {
                    let field = |at: usize| {
                        i32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]])
                    };
                    // ssi_signo and ssi_code, signalfd(2).
                    let origin = match field(8) {
                        libc::SI_KERNEL => Origin::Kernel,
                        _ => Origin::Process,
                    };
                    Ok(Signal::from_number(field(0)).map(|signal| (signal, origin)))
                }
                Err(Errno::AGAIN) => Ok(None),
                Err(Errno::INTR) => continue,
                Err(errno) => Err(errno).context(|| "read(signalfd)"),
            };
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
