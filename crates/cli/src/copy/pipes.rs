//! Between an archive, which is written and read by calls that block, and the connection, which is not.

use std::io::{self, Read, Write};

use api::client::ResponseBody;
use bytes::{Buf, Bytes, BytesMut};
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::failure::Failure;

/// How much is sent at a time.
const PIECE: usize = 256 * 1024;
/// Pieces that may wait.
const WAITING: usize = 4;

/// Runs `write` on a thread of its own; what it writes comes out of the receiver.
pub(crate) fn written(
    write: impl FnOnce(&mut PieceWriter) -> io::Result<()> + Send + 'static,
) -> Receiver<io::Result<Bytes>> {
    let (sender, pieces) = mpsc::channel(WAITING);
    tokio::task::spawn_blocking(move || {
        let mut writer = PieceWriter {
            sender,
            piece: BytesMut::with_capacity(PIECE),
        };
        let outcome = write(&mut writer).and_then(|()| writer.flush());
        if let Err(error) = outcome {
            // The other end is gone when the daemon has refused what was sent.
            let _ = writer.sender.blocking_send(Err(error));
        }
    });
    pieces
}

/// Collects what is written into pieces.
#[derive(Debug)]
pub(crate) struct PieceWriter {
    sender: Sender<io::Result<Bytes>>,
    piece: BytesMut,
}

impl Write for PieceWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = self.piece.split().freeze();
        self.sender
            .blocking_send(Ok(piece))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

/// Runs `read` on a thread of its own with what the body brings; returns how many bytes that were.
pub(crate) async fn read_body(
    mut body: ResponseBody,
    read: impl FnOnce(&mut PieceReader) -> io::Result<()> + Send + 'static,
) -> Result<u64, Failure> {
    let (sender, pieces) = mpsc::channel(WAITING);
    let reading = tokio::task::spawn_blocking(move || {
        let mut reader = PieceReader {
            pieces,
            piece: Bytes::new(),
        };
        read(&mut reader)?;
        // What follows the archive's end is taken too, so that the connection ends in peace.
        io::copy(&mut reader, &mut io::sink()).map(drop)
    });
    let mut total = 0;
    let fed = loop {
        match body.next().await {
            Ok(Some(piece)) => {
                total += piece.len() as u64;
                if sender.send(piece).await.is_err() {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    drop(sender);
    let read = reading
        .await
        .map_err(|error| Failure::new(error.to_string()))?;
    fed?;
    read.map_err(|error| Failure::new(error.to_string()))?;
    Ok(total)
}

/// Reads pieces as they come.
#[derive(Debug)]
pub(crate) struct PieceReader {
    pieces: Receiver<Bytes>,
    piece: Bytes,
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
