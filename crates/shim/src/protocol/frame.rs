//! Frames in and out of byte buffers.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Ended, ErrorKind, Event, Hello, OpError, Refused, Reply, Request, Welcome};

/// The greatest length a frame's header may announce: kind and payload.
pub const MAX_FRAME: usize = 1 << 20;

const HEADER: usize = 5;

/// The kinds of frame. The numbers are the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Hello = 1,
    Welcome = 2,
    Refused = 3,
    Request = 4,
    Reply = 5,
    Event = 6,
    Ended = 7,
    Stdin = 16,
    Stdout = 17,
    Stderr = 18,
    /// The client has no more input (a half close).
    StdinClosed = 19,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        use Kind::{
            Ended, Event, Hello, Refused, Reply, Request, Stderr, Stdin, StdinClosed, Stdout,
            Welcome,
        };
        [
            Hello,
            Welcome,
            Refused,
            Request,
            Reply,
            Event,
            Ended,
            Stdin,
            Stdout,
            Stderr,
            StdinClosed,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// A frame as it lies in the decoder's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The byte of kind; [`Frame::kind`] knows it or not.
    pub byte: u8,
    pub payload: &'a [u8],
}

/// A frame understood.
#[derive(Clone, Debug, PartialEq)]
pub enum Message<'a> {
    Hello(Hello),
    Welcome(Welcome),
    Refused(Refused),
    /// A request, or the reply that tells its sender why it makes no sense.
    Request(Result<Request, Box<Reply>>),
    Reply(Reply),
    Event(Event),
    Ended(Ended),
    Stdin(&'a [u8]),
    Stdout(&'a [u8]),
    Stderr(&'a [u8]),
    StdinClosed,
    /// Of a later version: to be skipped.
    Unknown(u8),
}

/// The stream is broken and its connection has to be closed.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {0} bytes; the protocol allows 1 to {MAX_FRAME}")]
    Length(usize),
    #[error("cannot read a frame of kind {kind:?}")]
    Payload {
        kind: Kind,
        #[source]
        source: serde_json::Error,
    },
}

impl<'a> Frame<'a> {
    /// The kind, when this version knows it.
    pub fn kind(&self) -> Option<Kind> {
        Kind::from_byte(self.byte)
    }

    /// Reads the payload.
    pub fn message(&self) -> Result<Message<'a>, FrameError> {
        let Some(kind) = self.kind() else {
            return Ok(Message::Unknown(self.byte));
        };
        Ok(match kind {
            Kind::Hello => Message::Hello(self.json(kind)?),
            Kind::Welcome => Message::Welcome(self.json(kind)?),
            Kind::Refused => Message::Refused(self.json(kind)?),
            Kind::Request => Message::Request(self.request()?),
            Kind::Reply => Message::Reply(self.json(kind)?),
            Kind::Event => Message::Event(self.json(kind)?),
            Kind::Ended => Message::Ended(self.json(kind)?),
            Kind::Stdin => Message::Stdin(self.payload),
            Kind::Stdout => Message::Stdout(self.payload),
            Kind::Stderr => Message::Stderr(self.payload),
            Kind::StdinClosed => Message::StdinClosed,
        })
    }

    fn json<T: DeserializeOwned>(&self, kind: Kind) -> Result<T, FrameError> {
        serde_json::from_slice(self.payload).map_err(|source| FrameError::Payload { kind, source })
    }

    /// A request whose operation cannot be read still has a number to answer to.
    fn request(&self) -> Result<Result<Request, Box<Reply>>, FrameError> {
        #[derive(serde::Deserialize)]
        struct Numbered {
            seq: u64,
        }
        let unreadable = match serde_json::from_slice(self.payload) {
            Ok(request) => return Ok(Ok(request)),
            Err(error) => error,
        };
        let Numbered { seq } = self.json(Kind::Request)?;
        let message = format!("cannot read the request: {unreadable}");
        Ok(Err(Box::new(Reply {
            seq,
            result: Err(OpError {
                kind: ErrorKind::Invalid,
                message,
            }),
        })))
    }
}

/// Appends a frame whose payload is JSON.
///
/// # Panics
/// Never for the types of this module: their maps have text keys, so serialising them cannot fail.
pub fn encode<T: Serialize>(kind: Kind, payload: &T, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, kind as u8]);
    serde_json::to_writer(&mut *out, payload).expect("frame types serialise");
    let length = (out.len() - start - HEADER + 1) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Appends raw bytes, in as many frames as they need (one, possibly empty, for less than [`MAX_FRAME`]).
pub fn encode_raw(kind: Kind, mut bytes: &[u8], out: &mut Vec<u8>) {
    loop {
        let (piece, rest) = bytes.split_at(bytes.len().min(MAX_FRAME - 1));
        out.extend_from_slice(&(piece.len() as u32 + 1).to_le_bytes());
        out.push(kind as u8);
        out.extend_from_slice(piece);
        bytes = rest;
        if bytes.is_empty() {
            return;
        }
    }
}

/// Takes bytes as they come and gives frames. It never holds more than one frame and what was pushed with it.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    taken: usize,
}

impl Decoder {
    /// Adds bytes that were read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.compact();
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, or `None` when more bytes are needed.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        let Some(&[a, b, c, d, byte]) = self.buffer[self.taken..].first_chunk::<HEADER>() else {
            return self.check_short_header();
        };
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        check_length(length)?;
        let payload = self.taken + HEADER;
        let end = payload + length - 1;
        if self.buffer.len() < end {
            return Ok(None);
        }
        self.taken = end;
        Ok(Some(Frame {
            byte,
            payload: &self.buffer[payload..end],
        }))
    }

    /// Bytes that wait for the rest of their frame.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.taken
    }

    /// A bad length is known from four bytes: a frame of length 0 has no fifth to wait for.
    fn check_short_header(&self) -> Result<Option<Frame<'_>>, FrameError> {
        if let Some(length) = self.buffer[self.taken..].first_chunk::<4>() {
            check_length(u32::from_le_bytes(*length) as usize)?;
        }
        Ok(None)
    }

    fn compact(&mut self) {
        if self.taken == self.buffer.len() {
            self.buffer.clear();
            self.buffer.shrink_to(4096);
        } else if self.taken > 0 {
            self.buffer.drain(..self.taken);
        }
        self.taken = 0;
    }
}

fn check_length(length: usize) -> Result<(), FrameError> {
    if (1..=MAX_FRAME).contains(&length) {
        Ok(())
    } else {
        Err(FrameError::Length(length))
    }
}
