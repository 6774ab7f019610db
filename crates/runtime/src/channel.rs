//! The talk between a runtime and the child that it sets up.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use linux::pidfd::PidFd;
use linux::socket;

use crate::error::Context as _;
use crate::{Error, Kind, Result};

/// One end. The child's closes by itself when it executes its program: that is how success is told.
#[derive(Debug)]
pub(crate) struct Channel {
    socket: OwnedFd,
}

/// What either side says.
#[derive(Debug)]
pub(crate) enum Message {
    /// Parent: cgroups and id maps are made.
    Go,
    /// Child: now the hooks that run outside.
    RunHooks,
    /// Parent: they have run.
    HooksDone,
    /// Child: the master of the terminal.
    Console(OwnedFd),
    /// Child: only the program's execution is left.
    Ready,
    /// Parent: execute.
    Start,
    /// Child: the end.
    Failed(Error),
}

/// How often a child that says nothing is looked at.
const GLANCE: Duration = Duration::from_millis(100);

const LONGEST: usize = 16 * 1024;

impl Channel {
    pub(crate) fn pair() -> Result<(Self, Self)> {
        let (one, other) =
            socket::packet_pair().context(|| "make a channel to the container's process")?;
        Ok((Self { socket: one }, Self { socket: other }))
    }

    /// Closes the `other` end, which becomes this one too. Without it, a child would never hear that the other side has
    /// ended: it would be the other side.
    pub(crate) fn replace(&self, other: &mut Self) -> Result<()> {
        linux::fd::replace(&mut other.socket, &self.socket).context(|| "close the other side")
    }

    pub(crate) fn send(&self, message: &Message) -> Result<()> {
        // Not a plain write: the other side may have closed, which must not end us by SIGPIPE.
        let send = |bytes: &[u8]| socket::send_fds(&self.socket, bytes, &[]).map(drop);
        match message {
            Message::Go => send(b"G"),
            Message::RunHooks => send(b"H"),
            Message::HooksDone => send(b"D"),
            Message::Ready => send(b"R"),
            Message::Start => send(b"S"),
            Message::Console(fd) => socket::send_fds(&self.socket, b"C", &[fd.as_fd()]).map(drop),
            Message::Failed(error) => {
                let mut bytes = vec![b'E'];
                bytes.extend(error.encode());
                bytes.truncate(LONGEST);
                send(&bytes)
            }
        }
        .context(|| "tell the other side")
    }

    /// The next message; `None` when the other side has closed.
    pub(crate) fn receive(&self) -> Result<Option<Message>> {
        let mut buffer = vec![0; LONGEST];
        let (count, fds) = match socket::recv_fds(&self.socket, &mut buffer) {
            // What a killed child leaves when it had not read all.
            Err(error) if error.errno() == linux::Errno::CONNRESET => return Ok(None),
            result => result.context(|| "hear from the other side")?,
        };
        let message = match (buffer[..count].split_first(), fds.into_iter().next()) {
            (None, _) => return Ok(None),
            (Some((b'G', _)), _) => Message::Go,
            (Some((b'H', _)), _) => Message::RunHooks,
            (Some((b'D', _)), _) => Message::HooksDone,
            (Some((b'R', _)), _) => Message::Ready,
            (Some((b'S', _)), _) => Message::Start,
            (Some((b'C', _)), Some(fd)) => Message::Console(fd),
            (Some((b'E', error)), _) => Message::Failed(Error::decode(error)),
            _ => return Err(Error::new(Kind::System, "the other side talks nonsense")),
        };
        Ok(Some(message))
    }

    /// As [`Channel::receive`], from a child that may be kept from answering: whoever shares its pid namespace can stop it,
    /// and its cgroup's limits can. A stopped one is given up at once, any other after `patience`.
    pub(crate) fn receive_from(
        &self,
        child: &PidFd,
        patience: Option<Duration>,
    ) -> Result<Option<Message>> {
        let begun = Instant::now();
        let describe = || "hear from the other side";
        while !linux::fd::wait_readable(&self.socket, Some(GLANCE)).context(describe)? {
            if child.is_stopped().context(describe)? {
                return Err(Error::new(
                    Kind::System,
                    "the process was stopped while it was set up",
                ));
            }
            if let Some(patience) = patience.filter(|patience| begun.elapsed() > *patience) {
                let message = format!(
                    "the process could not be set up within {} seconds: its limits may leave it no memory or no time",
                    patience.as_secs()
                );
                return Err(Error::new(Kind::System, message));
            }
        }
        self.receive()
    }

    /// One byte by plain `read`, which every seccomp profile allows; false when the other side has closed.
    pub(crate) fn wait_for_start(&self) -> Result<bool> {
        let byte = linux::file::read_some(&self.socket, 1).context(|| "wait for the start")?;
        Ok(byte == b"S")
    }
}
