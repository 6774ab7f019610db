//! The layers of a pull: several at once, each from the network into the store while it comes.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use image::{Ingest, Ingested, Pull};
use oci::{Descriptor, Digest, Manifest, Reference};
use registry::client::{BlobStream, Repository};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use super::One;
use crate::blocking;
use crate::error::{Error, Result};
use crate::remote::failure;
use crate::transfer::LayerReporter;

/// Pieces that wait for the disk; behind them the network waits.
const AHEAD: usize = 8;

/// One layer to have.
struct Layer {
    store: image::Store,
    pull: Pull,
    repository: Repository,
    name: Reference,
    permits: Arc<Semaphore>,
    blob: Descriptor,
    diff_id: Digest,
    reporter: LayerReporter,
    /// Say nothing of a layer that is there.
    quiet: bool,
}

/// How fetching one layer ended, when it did not fail.
enum Outcome {
    Done,
    /// An earlier attempt's part was bad; it is gone, so the next attempt begins anew.
    Again,
    /// A mirror sent something else; it is not asked any more, so the next attempt brings something better.
    Elsewhere,
}

/// Brings all layers into the store, with a word about each unless the image is known. The first error ends the others, whose parts stay for the next attempt.
pub(super) async fn all(
    one: &One<'_>,
    pull: &Pull,
    manifest: &Manifest,
    diff_ids: &[Digest],
    is_known: bool,
) -> Result<()> {
    let mut tasks = JoinSet::new();
    let mut seen = HashSet::new();
    for (blob, diff_id) in manifest.layers.iter().zip(diff_ids) {
        if !seen.insert((blob.digest.clone(), diff_id.clone())) {
            continue;
        }
        let layer = Layer {
            store: one.engine.images().clone(),
            pull: pull.clone(),
            repository: one.repository.clone(),
            name: one.name.clone(),
            permits: Arc::clone(&one.way.downloads),
            blob: blob.clone(),
            diff_id: diff_id.clone(),
            reporter: one.reporter.layer(&blob.digest),
            quiet: is_known,
        };
        tasks.spawn(layer.bring());
    }
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(outcome) => outcome?,
            Err(failed) => return Err(Error::system(format!("a layer's task: {failed}"))),
        }
    }
    Ok(())
}

impl Layer {
    /// Has the layer in the store, and remembered from where.
    async fn bring(mut self) -> Result<()> {
        if self.is_held().await? {
            if !self.quiet {
                self.reporter.is("Already exists").await;
            }
        } else {
            self.reporter.is("Pulling fs layer").await;
            self.obtain().await?;
            self.reporter.is("Pull complete").await;
        }
        let (store, repository) = (self.store, self.name.name());
        let (diff_id, blob) = (self.diff_id, self.blob);
        Ok(blocking(move || store.remember_blob(&diff_id, &blob, &repository)).await?)
    }

    /// Whether the store has the layer; if so, it stays there until the pull is over.
    async fn is_held(&self) -> Result<bool> {
        let (store, pull) = (self.store.clone(), self.pull.clone());
        let (blob, diff_id) = (self.blob.clone(), self.diff_id.clone());
        let held = blocking(move || {
            // Asking the pull for a layer that is not there would begin to unpack it.
            let there = store.has_layer(&diff_id)?;
            Ok::<_, image::Error>(
                there && matches!(pull.layer(&blob, &diff_id)?, Ingested::Present),
            )
        });
        Ok(held.await?)
    }

    /// Fetches the layer, or waits for who is fetching it already.
    async fn obtain(&mut self) -> Result<()> {
        let mut begun_anew = false;
        loop {
            let permit = self.permit().await?;
            let (pull, blob, diff_id) =
                (self.pull.clone(), self.blob.clone(), self.diff_id.clone());
            let begun = blocking(move || pull.layer(&blob, &diff_id)).await;
            match begun.map_err(|error| self.not_taken(error))? {
                Ingested::Present => return Ok(()),
                Ingested::Busy(other) => {
                    drop(permit);
                    self.reporter.is("Waiting").await;
                    blocking(move || other.wait()).await;
                }
                Ingested::Fetch(ingest) => match self.fetch(*ingest).await? {
                    Outcome::Done => return Ok(()),
                    Outcome::Again if begun_anew => {
                        return Err(Error::system(format!(
                            "blob {} is another one each time it is fetched",
                            self.blob.digest
                        )));
                    }
                    Outcome::Again => begun_anew = true,
                    Outcome::Elsewhere => {}
                },
            }
        }
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() {
            return Ok(permit);
        }
        self.reporter.is("Waiting").await;
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        permit.map_err(|_closed| Error::system("the engine is closing"))
    }

    async fn fetch(&mut self, ingest: Ingest) -> Result<Outcome> {
        let from = ingest.have();
        let (pieces, received) = mpsc::channel(AHEAD);
        let writing = tokio::task::spawn_blocking(move || write(ingest, received));
        let streamed = self.stream(from, &pieces).await;
        if streamed.is_ok() {
            self.reporter.is("Download complete").await;
            let _failed = pieces.send(Piece::End).await;
            self.reporter.at_once("Extracting", self.blob.size);
        }
        drop(pieces);
        let written = match writing.await {
            Ok(written) => written,
            Err(failed) => std::panic::resume_unwind(failed.into_panic()),
        };
        match written {
            Err(image::Error::Mismatch { resumed: true, .. }) => Ok(Outcome::Again),
            Err(error) => match streamed {
                Ok(stream) if is_content(&error) && stream.reject() => Ok(Outcome::Elsewhere),
                _ => Err(self.not_taken(error)),
            },
            Ok(()) => streamed.map(|_| Outcome::Done),
        }
    }

    /// Why the store did not take the blob, with where that came from.
    fn not_taken(&self, error: image::Error) -> Error {
        let inner = Error::from(error);
        let (host, blob) = (self.name.domain(), &self.blob.digest);
        Error::new(
            inner.kind(),
            format!("{host}: blob {blob}: {}", inner.chain()),
        )
    }

    /// From the network to whoever writes. That one tells himself why he stopped listening.
    async fn stream(&mut self, from: u64, pieces: &mpsc::Sender<Piece>) -> Result<BlobStream> {
        let opened = self.repository.blob(&self.blob, from).await;
        let mut stream = opened.map_err(|e| failure(&e))?;
        while let Some(chunk) = stream.next().await.map_err(|e| failure(&e))? {
            if pieces.send(Piece::Bytes(chunk)).await.is_err() {
                return Ok(stream);
            }
            self.reporter
                .at("Downloading", stream.position(), self.blob.size);
        }
        Ok(stream)
    }
}

/// Whether the bytes are to blame, not the machine.
fn is_content(error: &image::Error) -> bool {
    error.kind() == image::Kind::InvalidParameter
}

/// What goes to whoever writes. A channel that closes without an end is a transfer that was given up: the part stays.
enum Piece {
    Bytes(Bytes),
    End,
}

fn write(mut ingest: Ingest, mut pieces: mpsc::Receiver<Piece>) -> image::Result<()> {
    loop {
        match pieces.blocking_recv() {
            Some(Piece::Bytes(bytes)) => ingest.write(&bytes)?,
            Some(Piece::End) => return ingest.finish(),
            None => {
                ingest.suspend();
                return Ok(());
            }
        }
    }
}
