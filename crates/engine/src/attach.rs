//! The two ends of an attached client: [`Input`] towards a process, [`Output`] from it.
//!
//! Both speak straight to the shim over one unix connection; no task stands between. An attach to a container that
//! does not run yet waits for its start and misses no byte: the connection is made before the shim is told to start.

use std::io;
use std::os::unix::net::UnixStream as StdStream;

use bytes::Bytes;
use shim::protocol::{Attach, Decoder, Hello, Kind, Role, encode, encode_raw};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{oneshot, watch};

use crate::detach::{DetachKeys, Scanner};
use crate::error::{Context as _, Result};
use crate::logs::LogStream;

/// Which standard output a piece came from. With a terminal everything is `Stdout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// What a client that attaches wants.
#[derive(Debug, Clone, Default)]
pub struct AttachOptions {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    /// Follow what happens from now on; without it only `logs` are given.
    pub stream: bool,
    /// Give what was logged before first.
    pub logs: bool,
    /// `None`: Docker's `ctrl-p,ctrl-q`. Only watched for with a terminal.
    pub detach_keys: Option<DetachKeys>,
}

/// An attached client.
#[derive(Debug)]
pub struct Attached {
    /// Whether the process has a terminal, so that its output is raw and not multiplexed.
    pub tty: bool,
    pub input: Input,
    pub output: Output,
}

/// What became of a piece of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// The client pressed the detach keys: let it go, the container runs on.
    Detached,
    /// The process takes no more input.
    Closed,
}

/// One direction of a connection that may still have to be made.
#[derive(Debug)]
enum Side<T> {
    Waiting(oneshot::Receiver<T>),
    Open(T),
    Closed,
}

impl<T> Side<T> {
    /// Waits for the connection; `None` when there is none and never will be.
    async fn open(&mut self) -> Option<&mut T> {
        if let Self::Waiting(receiver) = self {
            *self = match receiver.await {
                Ok(half) => Self::Open(half),
                Err(_dropped) => Self::Closed,
            };
        }
        match self {
            Self::Open(half) => Some(half),
            _ => None,
        }
    }
}

/// The engine's end of an attach that waits for its connection.
#[derive(Debug)]
pub(crate) struct WaitingAttach {
    pub(crate) wanted: Attach,
    input: oneshot::Sender<OwnedWriteHalf>,
    output: oneshot::Sender<OwnedReadHalf>,
}

/// A client's two ends, and the engine's end to connect them with.
pub(crate) fn waiting(
    wanted: Attach,
    tty: bool,
    keys: Option<DetachKeys>,
) -> (Attached, WaitingAttach) {
    let (input, input_side) = oneshot::channel();
    let (output, output_side) = oneshot::channel();
    let scanner = tty.then(|| Scanner::new(keys.unwrap_or_default()));
    let attached = Attached {
        tty,
        input: Input {
            side: Side::Waiting(input_side),
            scanner,
            frame: Vec::new(),
        },
        output: Output {
            side: Side::Waiting(output_side),
            decoder: Decoder::default(),
            history: None,
            settled: None,
        },
    };
    (
        attached,
        WaitingAttach {
            wanted,
            input,
            output,
        },
    )
}

/// A client's two ends with nothing behind them.
pub(crate) fn closed(tty: bool) -> Attached {
    Attached {
        tty,
        input: Input {
            side: Side::Closed,
            scanner: None,
            frame: Vec::new(),
        },
        output: Output {
            side: Side::Closed,
            decoder: Decoder::default(),
            history: None,
            settled: None,
        },
    }
}

impl WaitingAttach {
    /// The first frame of its connection.
    pub(crate) fn hello(&self) -> Vec<u8> {
        let mut frame = Vec::new();
        encode(
            Kind::Hello,
            &Hello::new(Role::Attach(self.wanted.clone())),
            &mut frame,
        );
        frame
    }

    /// Hands the client its connection, on which the hello has been sent.
    pub(crate) fn connect(self, stream: StdStream) -> Result<()> {
        stream
            .set_nonblocking(true)
            .context(|| "attach".to_owned())?;
        let (read, write) = UnixStream::from_std(stream)
            .context(|| "attach".to_owned())?
            .into_split();
        if let Err(unwanted) = self.input.send(write) {
            unwanted.forget();
        }
        let _client_left = self.output.send(read);
        Ok(())
    }

    /// Whether the client has gone before it was connected.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.output.is_closed()
    }
}

/// Bytes to the process's stdin.
#[derive(Debug)]
pub struct Input {
    side: Side<OwnedWriteHalf>,
    scanner: Option<Scanner>,
    frame: Vec<u8>,
}

impl Input {
    /// Writes a piece; returns when the shim has taken it.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<Flow> {
        let scanned = self.scanner.as_mut().map(|scanner| scanner.scan(bytes));
        let (pass, detached) = scanned
            .as_ref()
            .map_or((bytes, false), |s| (s.pass.as_slice(), s.detached));
        let Some(half) = self.side.open().await else {
            return Ok(Flow::Closed);
        };
        if !pass.is_empty() {
            self.frame.clear();
            encode_raw(Kind::Stdin, pass, &mut self.frame);
            if half.write_all(&self.frame).await.is_err() {
                return Ok(Flow::Closed);
            }
        }
        Ok(if detached {
            Flow::Detached
        } else {
            Flow::Continue
        })
    }

    /// The client has no more input (a half close).
    pub async fn close(&mut self) -> Result<()> {
        if let Some(half) = self.side.open().await {
            let mut frame = Vec::new();
            encode_raw(Kind::StdinClosed, b"", &mut frame);
            // A process that has ended needs no end of input.
            let _gone = half.write_all(&frame).await;
        }
        Ok(())
    }
}

impl Drop for Input {
    /// The connection stays whole while the output is read: shutting it down would look like the client's leaving.
    fn drop(&mut self) {
        match std::mem::replace(&mut self.side, Side::Closed) {
            Side::Open(half) => half.forget(),
            Side::Waiting(mut receiver) => {
                receiver.close();
                if let Ok(half) = receiver.try_recv() {
                    half.forget();
                }
            }
            Side::Closed => {}
        }
    }
}

/// Bytes from the process's outputs.
#[derive(Debug)]
pub struct Output {
    side: Side<OwnedReadHalf>,
    decoder: Decoder,
    /// What was logged before, given first.
    pub(crate) history: Option<LogStream>,
    /// Of an exec: true once its exit code can be asked for. Clients ask as soon as the stream has ended, and the shim's
    /// word of that may be faster here than on its control connection.
    pub(crate) settled: Option<watch::Receiver<bool>>,
}

impl Output {
    /// The next piece; `None` when the process's output has ended (or the container was removed unstarted).
    pub async fn next(&mut self) -> Option<(Stream, Bytes)> {
        if let Some(history) = &mut self.history {
            match history.next().await {
                Some(Ok(piece)) => return Some(piece),
                Some(Err(error)) => {
                    tracing::warn!(error = error.chain(), "cannot read a log for an attach");
                }
                None => {}
            }
            self.history = None;
        }
        loop {
            match self.decoded() {
                Decoded::Piece(stream, bytes) => return Some((stream, bytes)),
                Decoded::Ended => {
                    self.side = Side::Closed;
                    self.settle().await;
                    return None;
                }
                Decoded::NeedMore => {}
            }
            let half = self.side.open().await?;
            half.readable().await.ok()?;
            match receive(half, &mut self.decoder) {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // The shim has been killed.
                Ok(0) | Err(_) => {
                    self.settle().await;
                    return None;
                }
            }
        }
    }

    async fn settle(&mut self) {
        if let Some(mut settled) = self.settled.take() {
            // An exec that is forgotten is settled, too.
            let _gone = settled.wait_for(|settled| *settled).await;
        }
    }

    fn decoded(&mut self) -> Decoded {
        loop {
            let frame = match self.decoder.next_frame() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Decoded::NeedMore,
                Err(error) => {
                    tracing::error!(%error, "a shim broke the protocol of an attach");
                    return Decoded::Ended;
                }
            };
            match frame.kind() {
                Some(Kind::Stdout) => {
                    return Decoded::Piece(Stream::Stdout, Bytes::copy_from_slice(frame.payload));
                }
                Some(Kind::Stderr) => {
                    return Decoded::Piece(Stream::Stderr, Bytes::copy_from_slice(frame.payload));
                }
                Some(Kind::Ended | Kind::Refused) => return Decoded::Ended,
                _ => {}
            }
        }
    }
}

/// Reads what is there. Not part of the future: its buffer would be in every attach there is, and in all its callers.
fn receive(half: &OwnedReadHalf, decoder: &mut Decoder) -> io::Result<usize> {
    let mut buffer = [0; 64 << 10];
    let count = half.try_read(&mut buffer)?;
    decoder.push(&buffer[..count]);
    Ok(count)
}

enum Decoded {
    Piece(Stream, Bytes),
    Ended,
    NeedMore,
}
