//! The talk between a runtime and the child that it sets up.

use std::os::fd::{AsFd as _, OwnedFd};

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

    /// One byte by plain `read`, which every seccomp profile allows; false when the other side has closed.
    pub(crate) fn wait_for_start(&self) -> Result<bool> {
        let byte = linux::file::read_some(&self.socket, 1).context(|| "wait for the start")?;
        Ok(byte == b"S")
    }
}
