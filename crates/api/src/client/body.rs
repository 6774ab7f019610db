//! Bodies: up from memory or from a reader, down in pieces.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::mpsc;

use super::error::{Error, Result};

/// How long a document may be that is read into memory.
const LONGEST: usize = 64 << 20;

/// How much is read at a time from what is sent.
const PIECE: usize = 256 * 1024;

/// Pieces that may wait to be sent: with [`PIECE`] 1 MiB.
const WAITING: usize = 4;

/// A request's body that is streamed.
#[derive(Debug, Default)]
pub struct UploadBody {
    pieces: Option<mpsc::Receiver<io::Result<Bytes>>>,
}

impl UploadBody {
    /// Pieces as they come. An error breaks the request off.
    pub fn from_channel(pieces: mpsc::Receiver<io::Result<Bytes>>) -> Self {
        Self {
            pieces: Some(pieces),
        }
    }

    /// Everything a reader has, read on a thread of its own. Call it within the runtime.
    pub fn from_reader(reader: impl Read + Send + 'static) -> Self {
        let (sender, pieces) = mpsc::channel(WAITING);
        tokio::task::spawn_blocking(move || send_all(reader, &sender));
        Self::from_channel(pieces)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_none()
    }
}

fn send_all(mut reader: impl Read, sender: &mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let read = reader.by_ref().take(PIECE as u64).read_to_end(&mut piece);
        let last = !matches!(read, Ok(PIECE));
        let sent = match read {
            Ok(0) => return,
            Ok(_) => sender.blocking_send(Ok(piece.into())),
            Err(error) => sender.blocking_send(Err(error)),
        };
        // The receiver is gone when the daemon has answered early.
        if last || sent.is_err() {
            return;
        }
    }
}

/// The body as hyper takes it.
#[derive(Debug)]
pub(super) enum WireBody {
    Whole(Option<Bytes>),
    Pieces(mpsc::Receiver<io::Result<Bytes>>),
}

impl WireBody {
    pub(super) fn new(whole: Bytes, upload: UploadBody) -> Self {
        match upload.pieces {
            Some(pieces) => Self::Pieces(pieces),
            None => Self::Whole(Some(whole).filter(|bytes| !bytes.is_empty())),
        }
    }
}

impl Body for WireBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Pieces(pieces) => pieces
                .poll_recv(context)
                .map(|piece| piece.map(|piece| piece.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Self::Pieces(_) => SizeHint::default(),
        }
    }
}

/// An answer's body.
#[derive(Debug)]
pub struct ResponseBody {
    incoming: Incoming,
}

impl ResponseBody {
    pub(super) fn new(incoming: Incoming) -> Self {
        Self { incoming }
    }

    /// The next piece; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>> {
        while let Some(frame) = self.incoming.frame().await {
            if let Ok(data) = frame?.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    /// All of it, in memory; more than any real document is an error, since the daemon may be somebody else's.
    pub async fn collect(mut self) -> Result<Bytes> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if all.len() + piece.len() > LONGEST {
                return Err(Error::MessageTooLong(LONGEST));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// Reads it to the end, so that the connection can be used again.
    pub async fn discard(mut self) -> Result<()> {
        while self.next().await?.is_some() {}
        Ok(())
    }
}
