//! One client: a socket, frames in, frames out.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use linux::epoll::EventFlags;
use serde::Serialize;
use shim::protocol::{self, Attach, Decoder, Kind};

/// What a client may leave unread before the container's output waits for it.
pub(super) const OUTBOX_LIMIT: usize = 1 << 20;

/// A client of this container.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) socket: UnixStream,
    pub(super) decoder: Decoder,
    pub(super) role: Role,
    out: Vec<u8>,
    sent: usize,
    /// Nothing more is read from it, and it is closed once everything has been sent.
    pub(super) closing: bool,
    /// Its input has to wait: the process has not started, or does not read.
    pub(super) held: bool,
    /// What epoll watches it for.
    pub(super) interest: Option<EventFlags>,
}

/// What a client has said it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing yet.
    Fresh,
    Control,
    Attach(Attach),
}

/// How reading from a client went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    Bytes,
    Nothing,
    Gone,
}

impl Connection {
    pub(super) fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Self {
            socket,
            decoder: Decoder::default(),
            role: Role::Fresh,
            out: Vec::new(),
            sent: 0,
            closing: false,
            held: false,
            interest: None,
        })
    }

    /// Reads once.
    pub(super) fn receive(&mut self, buffer: &mut [u8]) -> Received {
        match self.socket.read(buffer) {
            Ok(0) => Received::Gone,
            Ok(count) => {
                self.decoder.push(&buffer[..count]);
                Received::Bytes
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) =>
            {
                Received::Nothing
            }
            Err(_) => Received::Gone,
        }
    }

    /// Queues a frame; [`Connection::flush`] sends it.
    pub(super) fn frame<T: Serialize>(&mut self, kind: Kind, payload: &T) {
        protocol::encode(kind, payload, &mut self.out);
    }

    /// Queues raw bytes.
    pub(super) fn raw(&mut self, kind: Kind, bytes: &[u8]) {
        protocol::encode_raw(kind, bytes, &mut self.out);
    }

    /// Sends what the socket takes. An error means the client has gone.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while self.sent < self.out.len() {
            match self.socket.write(&self.out[self.sent..]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.compact();
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.sent = 0;
        self.out.clear();
        Ok(())
    }

    /// Bytes not sent yet.
    pub(super) fn unsent(&self) -> usize {
        self.out.len() - self.sent
    }

    /// What it should be watched for now.
    pub(super) fn wanted(&self) -> EventFlags {
        let mut flags = EventFlags::empty();
        if !self.held && !self.closing {
            flags |= EventFlags::IN;
        }
        if self.unsent() > 0 {
            flags |= EventFlags::OUT;
        }
        flags
    }

    /// Whether it carries that stream of that process.
    pub(super) fn takes(&self, process: &str, kind: Kind) -> bool {
        let Role::Attach(attach) = &self.role else {
            return false;
        };
        attach.process == process
            && if kind == Kind::Stderr {
                attach.stderr
            } else {
                attach.stdout
            }
    }

    /// The process it is attached to.
    pub(super) fn attached(&self) -> Option<&Attach> {
        match &self.role {
            Role::Attach(attach) => Some(attach),
            _ => None,
        }
    }

    /// Gives memory back.
    pub(super) fn trim(&mut self) {
        if self.out.is_empty() {
            self.out = Vec::new();
        }
    }

    fn compact(&mut self) {
        if self.sent > OUTBOX_LIMIT / 4 {
            self.out.drain(..self.sent);
            self.sent = 0;
        }
    }
}
