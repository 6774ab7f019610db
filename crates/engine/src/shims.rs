//! Shim processes, before they belong to a container. One is kept waiting, so that a start does not wait for one.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use linux::pidfd::PidFd;
use linux::spawn::Command;
use shim::protocol;

use crate::error::{Context as _, Result};

/// How long a shim without a container may take to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// Starts shims.
#[derive(Debug)]
pub(crate) struct Shims {
    path: PathBuf,
    program: OnceLock<OwnedFd>,
    stock: Mutex<Stock>,
}

#[derive(Debug, Default)]
struct Stock {
    waiting: Option<Waiting>,
    closed: bool,
}

/// A shim without a container; it ends with the connection.
#[derive(Debug)]
struct Waiting {
    control: UnixStream,
    process: PidFd,
    /// A namespace for its container, made while nobody waited for it.
    network: Option<OwnedFd>,
}

/// What a container's shim is given in the way of a network.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wants<'a> {
    /// The host's network, or another container's.
    Nothing,
    /// A namespace of its own; without one at hand the shim makes it.
    Namespace,
    /// The same, and the program waits for a byte out of this pipe.
    Connected(BorrowedFd<'a>),
}

/// A shim that knows its container.
#[derive(Debug)]
pub(crate) struct Assigned {
    pub(crate) control: UnixStream,
    /// The namespace that it was given.
    pub(crate) network: Option<OwnedFd>,
}

impl Shims {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self {
            path,
            program: OnceLock::new(),
            stock: Mutex::default(),
        }
    }

    /// Gives a container its shim. `fds` as [`protocol::assignment`] has them, the first three.
    pub(crate) fn assign(
        &self,
        id: &str,
        fds: &[BorrowedFd<'_>; 3],
        wants: Wants<'_>,
    ) -> Result<Assigned> {
        let mut waiting = self.stock().waiting.take();
        let spare = waiting.as_mut().and_then(|waiting| waiting.network.take());
        let network = match (wants, spare) {
            (Wants::Nothing, _) => None,
            (Wants::Connected(_), None) => Some(new_network()?),
            (_, spare) => spare,
        };
        let mut fds = fds.to_vec();
        fds.extend(network.as_ref().map(OwnedFd::as_fd));
        if let Wants::Connected(gate) = wants {
            fds.push(gate);
        }
        let assignment = protocol::assignment(id);
        if let Some(Waiting { control, .. }) = waiting
            && linux::socket::send_fds(&control, &assignment, &fds).is_ok()
        {
            return Ok(Assigned { control, network });
        }
        // There is none, or somebody has killed it.
        let Waiting { control, .. } = self.spawn()?;
        linux::socket::send_fds(&control, &assignment, &fds)
            .context(|| "talk to the shim".to_owned())?;
        Ok(Assigned { control, network })
    }

    /// Sees to it that one waits. Without one, starts are a little slower, no more.
    pub(crate) fn stock_up(&self) {
        let mut stock = self.stock();
        if stock.waiting.is_some() || stock.closed {
            return;
        }
        match self.spawn() {
            Ok(mut waiting) => {
                waiting.network = new_network().ok();
                stock.waiting = Some(waiting);
            }
            Err(error) => tracing::warn!(error = error.chain(), "no shim waits"),
        }
    }

    /// Ends the one that waits, for good.
    pub(crate) fn close(&self) {
        let waiting = {
            let mut stock = self.stock();
            stock.closed = true;
            stock.waiting.take()
        };
        if let Some(Waiting {
            control, process, ..
        }) = waiting
        {
            drop(control);
            // Reaped here, or by the reaper; with the daemon gone it would be somebody else's zombie.
            if process.wait_readable(Some(PATIENCE)).unwrap_or(false) {
                let _reaped = process.try_wait();
            }
        }
    }

    fn stock(&self) -> MutexGuard<'_, Stock> {
        self.stock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spawn(&self) -> Result<Waiting> {
        let starting = || format!("start {}", self.path.display());
        let (control, theirs) =
            UnixStream::pair().context(|| "make the control connection".to_owned())?;
        let mut arguments = protocol::arguments().into_iter();
        let mut command = Command::new(&self.path)
            .executable(self.program().context(starting)?)
            .arg0(arguments.next().unwrap_or_default())
            .fd(OwnedFd::from(theirs), protocol::CONTROL_FD);
        for argument in arguments {
            command = command.arg(argument);
        }
        let child = command.spawn().context(starting)?;
        Ok(Waiting {
            control,
            process: child.pidfd,
            network: None,
        })
    }

    /// The program, opened in a way that no container which gets hold of it through `/proc/PID/exe` can write to it
    /// (CVE-2019-5736).
    fn program(&self) -> linux::Result<OwnedFd> {
        if let Some(program) = self.program.get() {
            return linux::fd::duplicate(program);
        }
        let program = linux::exe::sealed(&self.path)?;
        linux::fd::duplicate(self.program.get_or_init(|| program))
    }
}

fn new_network() -> Result<OwnedFd> {
    linux::ns::new_network().context(|| "make a network namespace".to_owned())
}
