//! Bytes on their way between blocking code (tar, image files) and the asynchronous rim.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::mpsc;

/// Bytes gathered before a piece is sent; small writes of a tar builder would otherwise each cost a wake-up.
const PIECE: usize = 64 << 10;

/// A bounded pipe of at most `pieces` pieces. One end is for blocking code or async, so is the other.
pub fn pipe(pieces: usize) -> (ByteSender, ByteReceiver) {
    let (sender, receiver) = mpsc::channel(pieces.max(1));
    (
        ByteSender {
            sender,
            gathered: BytesMut::new(),
        },
        ByteReceiver {
            receiver,
            rest: Bytes::new(),
        },
    )
}

/// The writing end. As [`Write`] it blocks, so use it on a blocking thread; from async code use [`ByteSender::send`].
/// Dropping it ends the stream; what was written must be flushed before.
#[derive(Debug)]
pub struct ByteSender {
    sender: mpsc::Sender<io::Result<Bytes>>,
    gathered: BytesMut,
}

impl ByteSender {
    /// Sends a piece; false when the reader has gone.
    pub async fn send(&self, piece: io::Result<Bytes>) -> bool {
        self.sender.send(piece).await.is_ok()
    }

    /// Ends the stream with an error (from blocking code).
    pub fn fail(self, error: io::Error) {
        let _gone = self.sender.blocking_send(Err(error));
    }
}

impl Write for ByteSender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let piece = self.gathered.split().freeze();
        self.sender
            .blocking_send(Ok(piece))
            .map_err(|_gone| io::ErrorKind::BrokenPipe.into())
    }
}

/// The reading end. As [`Read`] it blocks; from async code use [`ByteReceiver::next`].
#[derive(Debug)]
pub struct ByteReceiver {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    rest: Bytes,
}

impl ByteReceiver {
    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Option<io::Result<Bytes>> {
        if self.rest.is_empty() {
            self.receiver.recv().await
        } else {
            Some(Ok(std::mem::take(&mut self.rest)))
        }
    }
}

impl Read for ByteReceiver {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.rest = piece?,
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.rest.len());
        self.rest.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
