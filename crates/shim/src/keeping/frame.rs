//! Frames, and the descriptors that belong to them.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use super::Wire;

/// The greatest length that a frame may announce: the names of a network of some 50,000 containers.
pub const MAX_FRAME: usize = 16 << 20;
/// How many descriptors belong to a frame at most.
pub const MAX_FDS: usize = linux::socket::MAX_FDS;

const HEADER: usize = 5;
/// What one receive asks for.
const PIECE: usize = 64 << 10;

/// The stream is broken, and its connection has to be closed.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    #[error("a frame of {0} bytes; the protocol allows 1 to {MAX_FRAME}")]
    Length(usize),
    #[error("a frame of {wanted} descriptors, of which {there} have come")]
    Descriptors { wanted: usize, there: usize },
    #[error("cannot read a frame")]
    Payload,
    #[error(transparent)]
    Linux(#[from] linux::Error),
}

/// Frames out of the pieces in which they come.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    fds: VecDeque<OwnedFd>,
}

impl Decoder {
    /// Adds what has come.
    pub fn push(&mut self, bytes: &[u8], fds: Vec<OwnedFd>) {
        self.buffer.extend_from_slice(bytes);
        self.fds.extend(fds);
    }

    /// The next whole frame with its descriptors; `None` when more has to come.
    pub fn next_frame<T: Wire>(&mut self) -> Result<Option<(T, Vec<OwnedFd>)>, FrameError> {
        let Some(header) = self.buffer.first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*header) as usize;
        if !(1..=MAX_FRAME).contains(&length) {
            return Err(FrameError::Length(length));
        }
        let end = HEADER - 1 + length;
        if self.buffer.len() < end {
            return Ok(None);
        }
        let wanted = usize::from(self.buffer[HEADER - 1]);
        if self.fds.len() < wanted {
            let there = self.fds.len();
            return Err(FrameError::Descriptors { wanted, there });
        }
        let mut payload = &self.buffer[HEADER..end];
        let message = T::get(&mut payload).ok_or(FrameError::Payload)?;
        self.buffer.drain(..end);
        if self.buffer.is_empty() {
            // A large table is not kept twice.
            self.buffer = Vec::new();
        }
        Ok(Some((message, self.fds.drain(..wanted).collect())))
    }

    /// More has come that belongs to no frame than one frame can have.
    #[must_use]
    pub fn is_flooded(&self) -> bool {
        self.fds.len() > 2 * MAX_FDS
    }
}

/// Receives once. False when the other side has closed; an error of would-block is left to the caller.
pub fn receive(socket: impl AsFd, decoder: &mut Decoder) -> Result<bool, FrameError> {
    let mut piece = vec![0; PIECE];
    let (count, fds) = linux::socket::recv_fds(socket, &mut piece)?;
    decoder.push(&piece[..count], fds);
    if decoder.is_flooded() {
        let there = decoder.fds.len();
        return Err(FrameError::Descriptors { wanted: 0, there });
    }
    Ok(count > 0)
}

/// Sends a message with its descriptors, all of it, over a socket that blocks.
pub fn send<T: Wire>(
    socket: impl AsFd,
    message: &T,
    fds: &[BorrowedFd<'_>],
) -> Result<(), FrameError> {
    let mut frame = vec![0; HEADER];
    message.put(&mut frame);
    let length = frame.len() - HEADER + 1;
    if length > MAX_FRAME {
        return Err(FrameError::Length(length));
    }
    frame[..4].copy_from_slice(&(length as u32).to_le_bytes());
    frame[4] = fds.len() as u8;
    let mut sent = linux::socket::send_fds(&socket, &frame, fds)?;
    while sent < frame.len() {
        sent += linux::socket::send_fds(&socket, &frame[sent..], &[])?;
    }
    Ok(())
}
