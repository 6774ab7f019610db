//! How a shim comes to its container. The engine keeps one that waits, with all of its own start behind it, so that this is
//! no part of the time that a container takes to start.

use std::ffi::OsString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use linux::process::CommandLine;
use linux::signal::Signal;
use shim::protocol;

use super::Error;

/// What the engine has sent. The bundle is the current folder, and stderr is the file for it.
pub(super) struct Assignment {
    pub(super) control: UnixStream,
    pub(super) listener: UnixListener,
    /// For the container, if it is to have a network namespace that is made already.
    pub(super) network: Option<OwnedFd>,
    /// Tells when that is connected.
    pub(super) gate: Option<OwnedFd>,
}

impl Assignment {
    /// Waits; `None` when the engine has gone without one.
    pub(super) fn wait(args: &[OsString]) -> Result<Option<Self>, Error> {
        if args.first().and_then(|arg| arg.to_str()) != Some("--id") || args.len() != 2 {
            return Err(Error::Usage);
        }
        linux::memory::keep_small();
        let control = linux::fd::inherited(protocol::CONTROL_FD).map_err(|_| Error::Usage)?;
        linux::process::setsid()?;
        linux::process::set_child_subreaper()?;
        // The daemon decides over containers; a signal meant for its process group must not end them.
        for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::PIPE] {
            linux::signal::set_ignored(signal, true)?;
        }
        // Only for people who look at the processes.
        let command_line = CommandLine::open().ok();
        let mut id = [0; protocol::ASSIGNMENT];
        let (length, fds) = linux::socket::recv_fds(&control, &mut id)?;
        if length == 0 {
            return Ok(None);
        }
        let mut fds = fds.into_iter();
        let (Some(bundle), Some(listener), Some(errors)) = (fds.next(), fds.next(), fds.next())
        else {
            return Err(Error::Usage);
        };
        let (network, gate) = (fds.next(), fds.next());
        linux::fd::place(errors.as_fd(), 2)?;
        linux::process::fchdir(bundle)?;
        if let Some(command_line) = command_line {
            let _ = command_line.replace_last(&id);
        }
        Ok(Some(Self {
            control: UnixStream::from(control),
            listener: UnixListener::from(listener),
            network,
            gate,
        }))
    }
}
