//! A layer's tar, packed while it is sent.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::stream;
use image::Store;
use oci::{Descriptor, Digest};
use registry::client::{ByteStream, Source};
use tokio::sync::mpsc;

use crate::transfer::LayerReporter;

/// Bytes of a piece at least (a member of gzip is more), and pieces that wait for the network.
const PIECE: usize = 64 << 10;
const AHEAD: usize = 16;

/// A layer that is compressed anew each time it is opened; the packing always gives the same bytes, so it can go on where
/// a connection broke.
pub(super) struct Packed {
    pub(super) store: Store,
    pub(super) diff_id: Digest,
    pub(super) media_type: &'static str,
    pub(super) made: Made,
    pub(super) reporter: Arc<Mutex<LayerReporter>>,
    pub(super) tar_size: u64,
}

/// What the packing gave, once it has ended.
type Made = Arc<Mutex<Option<Descriptor>>>;

impl Source for Packed {
    fn open(&self, from: u64) -> ByteStream {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let mut out = Pieces {
            sender: sender.clone(),
            gathered: BytesMut::new(),
            skip: from,
            sent: from,
            reporter: Arc::clone(&self.reporter),
            total: self.tar_size,
        };
        let (store, diff_id) = (self.store.clone(), self.diff_id.clone());
        let (media_type, made) = (self.media_type, Arc::clone(&self.made));
        tokio::task::spawn_blocking(move || {
            let packed = store
                .write_layer_gzip(&diff_id, media_type, &mut out)
                .map_err(io::Error::other)
                .and_then(|descriptor| out.flush().map(|()| descriptor));
            match packed {
                Ok(descriptor) => {
                    *made.lock().unwrap_or_else(PoisonError::into_inner) = Some(descriptor);
                }
                // Nobody reads it any more when he was the reason.
                Err(error) => drop(sender.blocking_send(Err(error))),
            }
        });
        Box::pin(stream::unfold(receiver, async |mut receiver| {
            receiver.recv().await.map(|piece| (piece, receiver))
        }))
    }

    fn descriptor(&self) -> Option<Descriptor> {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.clone()
    }
}

/// The writing end: leaves out what the registry has, and sends the rest in pieces.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    gathered: BytesMut,
    skip: u64,
    sent: u64,
    reporter: Arc<Mutex<LayerReporter>>,
    total: u64,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let skipped = usize::try_from(self.skip).map_or(bytes.len(), |n| n.min(bytes.len()));
        self.skip -= skipped as u64;
        self.gathered.extend_from_slice(&bytes[skipped..]);
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
        self.sent += piece.len() as u64;
        let sent = self.sender.blocking_send(Ok(piece));
        sent.map_err(|_gone| io::Error::from(io::ErrorKind::BrokenPipe))?;
        self.reporter
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .at("Pushing", self.sent, self.total);
        Ok(())
    }
}
