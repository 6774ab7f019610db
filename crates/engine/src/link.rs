//! The daemon's end of a shim's control connection.

use std::collections::VecDeque;
use std::io;
use std::os::unix::net::UnixStream as StdStream;
use std::time::Duration;

use shim::protocol::{Decoder, Event, Kind, Message, Op, OpError, Reply, Request, Value, encode};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::error::{Context as _, Error, ErrorKind, Result};

/// What comes from a shim.
#[derive(Debug)]
pub(crate) enum Heard {
    Reply(Reply),
    Event(Event),
    /// The shim has closed the connection, or broken the protocol.
    Closed,
}

/// How long a shim may take for a reply, other than to a start. One that takes longer is stopped, or the machine is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A control connection.
#[derive(Debug)]
pub(crate) struct Link {
    stream: UnixStream,
    decoder: Decoder,
    /// The number of the last request.
    seq: u64,
    /// Heard while waiting for a certain reply.
    early: VecDeque<Heard>,
}

impl Link {
    /// Takes a connection on which a hello (and requests up to `seq`) have been written.
    pub(crate) fn new(stream: StdStream, seq: u64) -> Result<Self> {
        stream
            .set_nonblocking(true)
            .and_then(|()| UnixStream::from_std(stream))
            .map(|stream| Self {
                stream,
                decoder: Decoder::default(),
                seq,
                early: VecDeque::new(),
            })
            .context(|| "talk to the shim".to_owned())
    }

    /// Sends a request and returns its number.
    pub(crate) async fn ask(&mut self, op: Op) -> Result<u64> {
        self.seq += 1;
        let mut frame = Vec::new();
        encode(Kind::Request, &Request { seq: self.seq, op }, &mut frame);
        timeout(PATIENCE, self.stream.write_all(&frame))
            .await
            .map_err(|_| silent())?
            .context(|| "ask the shim".to_owned())?;
        Ok(self.seq)
    }

    /// Sends a request and waits for the reply, for as long as a shim that is well may need.
    pub(crate) async fn call(&mut self, op: Op) -> Result<Result<Value, OpError>> {
        let seq = self.ask(op).await?;
        timeout(PATIENCE, self.reply_to(seq))
            .await
            .map_err(|_| silent())?
    }

    /// Waits for the reply to a request; what else comes meanwhile is kept for [`Link::hear`].
    pub(crate) async fn reply_to(&mut self, seq: u64) -> Result<Result<Value, OpError>> {
        loop {
            match self.hear_next().await {
                Heard::Reply(reply) if reply.seq == seq => return Ok(reply.result),
                Heard::Closed => {
                    self.early.push_back(Heard::Closed);
                    return Err(Error::system("the shim has ended"));
                }
                other => self.early.push_back(other),
            }
        }
    }

    /// The next thing the shim says. Cancelling loses nothing.
    pub(crate) async fn hear(&mut self) -> Heard {
        match self.early.pop_front() {
            Some(heard) => heard,
            None => self.hear_next().await,
        }
    }

    async fn hear_next(&mut self) -> Heard {
        loop {
            match self.decoded() {
                Ok(Some(heard)) => return heard,
                Ok(None) => {}
                Err(error) => {
                    tracing::error!(%error, "a shim broke the protocol");
                    return Heard::Closed;
                }
            }
            if self.stream.readable().await.is_err() {
                return Heard::Closed;
            }
            match self.receive() {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return Heard::Closed,
            }
        }
    }

    /// Reads what is there. Not part of the future: every container has one, and the buffer would be in it.
    fn receive(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 16 << 10];
        let count = self.stream.try_read(&mut buffer)?;
        self.decoder.push(&buffer[..count]);
        Ok(count)
    }

    fn decoded(&mut self) -> Result<Option<Heard>, shim::protocol::FrameError> {
        while let Some(frame) = self.decoder.next_frame()? {
            match frame.message()? {
                Message::Reply(reply) => return Ok(Some(Heard::Reply(reply))),
                Message::Event(event) => return Ok(Some(Heard::Event(event))),
                Message::Refused(refused) => {
                    tracing::error!(%refused, "a shim refused the daemon");
                    return Ok(Some(Heard::Closed));
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

/// What is said of a shim that does not reply.
pub(crate) fn silent() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!(
            "the shim does not answer within {} seconds: is it stopped?",
            PATIENCE.as_secs()
        ),
    )
}

/// What went wrong in a shim, as the engine's error.
pub(crate) fn failed(error: OpError) -> Error {
    let kind = match error.kind {
        shim::protocol::ErrorKind::ExecutableNotFound
        | shim::protocol::ErrorKind::PermissionDenied
        | shim::protocol::ErrorKind::Invalid => ErrorKind::InvalidParameter,
        shim::protocol::ErrorKind::NoSuchProcess | shim::protocol::ErrorKind::Conflict => {
            ErrorKind::Conflict
        }
        shim::protocol::ErrorKind::Unsupported => ErrorKind::NotImplemented,
        shim::protocol::ErrorKind::System => ErrorKind::System,
    };
    Error::new(kind, error.message)
}

/// The exit code that a failed start counts as, by Docker's convention.
pub(crate) fn start_code(kind: shim::protocol::ErrorKind) -> i32 {
    match kind {
        shim::protocol::ErrorKind::ExecutableNotFound => 127,
        shim::protocol::ErrorKind::PermissionDenied => 126,
        _ => 128,
    }
}
