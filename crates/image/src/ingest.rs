//! Layers that arrive piece by piece (a pull), from the first byte to a layer that an image can name.
//!
//! The compressed bytes go to `image/ingest/<algorithm>-<hex>` and, behind that, through inflating, hashing and
//! applying on threads of the ingest's own. What was received stays there when the transfer is cut, cancelled or the
//! process killed, and the next attempt goes on where it ended. A layer that is complete is in the store at once, with
//! nobody who needs it yet; such a layer waits a day for its image ([`KEPT`]), so that the layers of a pull that was cut
//! between two of them are not fetched again.
//!
//! The file is gone before the layer is made durable: of the two, one is enough, and syncing both costs twice.

use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, SystemTime};

use oci::{Algorithm, Descriptor, Digest, Reference};

use crate::compress::{self, Source};
use crate::layers::{Staged, io_error, names};
use crate::load::stream_error;
use crate::pins::Pins;
use crate::store::NewImage;
use crate::{Error, ImageId, Result, Store};

mod partial;

use partial::{Follower, Partial};

/// How long partial blobs and layers without an image wait for another attempt.
pub(crate) const KEPT: Duration = Duration::from_secs(24 * 3600);

/// A pull under way. Its layers are kept from removal until it is dropped. Cheap to clone.
#[derive(Clone)]
pub struct Pull {
    store: Store,
    pins: Arc<Pins>,
}

/// What is to be done for a layer.
pub enum Ingested {
    /// Nothing: the store has it.
    Present,
    /// Someone else is at it. Wait, then ask again.
    Busy(Busy),
    /// Fetch the blob from [`Ingest::have`] on.
    Fetch(Box<Ingest>),
}

/// A layer that another pull is fetching.
pub struct Busy {
    store: Store,
    digests: [Digest; 2],
}

/// One blob being fetched. Dropping it is [`Ingest::suspend`].
pub struct Ingest {
    pull: Pull,
    blob: Descriptor,
    diff_id: Digest,
    partial: Arc<Partial>,
    unpacking: Option<JoinHandle<Unpacked>>,
    /// Bytes that were there at the beginning.
    resumed: u64,
    _claim: Claim,
}

type Unpacked = (Result<Staged>, std::io::Result<Source>);

/// What a pull ends with: an image whose layers are all there.
#[derive(Clone, Debug)]
pub struct PulledImage {
    /// The config's bytes: their digest is the image's id.
    pub config: Vec<u8>,
    /// The image's own manifest as it came.
    pub manifest: Option<(Descriptor, Vec<u8>)>,
    /// The index that it was chosen from, where there was one.
    pub index: Option<(Descriptor, Vec<u8>)>,
    /// Names it gets: tags, and names by digest (`repository@sha256:...`), which `RepoDigests` shows.
    pub names: Vec<Reference>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    pub id: ImageId,
    /// Tags that another image had, or none, before: if nothing moved, the image is up to date.
    pub moved: Vec<Reference>,
}

/// Blobs and layers that are being fetched, and the folder where.
pub(crate) struct Ingests {
    home: PathBuf,
    busy: Mutex<HashSet<Digest>>,
    freed: Condvar,
}

impl Ingests {
    pub(crate) fn open(home: PathBuf) -> Result<Ingests> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&home)
            .map_err(io_error("make", &home))?;
        Ok(Ingests {
            home,
            busy: Mutex::default(),
            freed: Condvar::new(),
        })
    }

    fn path(&self, blob: &Digest) -> PathBuf {
        self.home
            .join(format!("{}-{}", blob.algorithm().name(), blob.hex()))
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Digest>> {
        // A panic elsewhere leaves the set whole.
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Partial blobs that nobody is at, with their size, of at least this age.
    pub(crate) fn idle(&self, age: Duration) -> Result<Vec<(PathBuf, u64)>> {
        let busy: HashSet<_> = self.lock().iter().map(|digest| self.path(digest)).collect();
        let mut idle = Vec::new();
        for name in names(&self.home)? {
            let path = self.home.join(name);
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            let since = metadata
                .modified()
                .ok()
                .and_then(|at| SystemTime::now().duration_since(at).ok());
            if !busy.contains(&path) && since.unwrap_or_default() >= age {
                idle.push((path, metadata.len()));
            }
        }
        Ok(idle)
    }

    /// Removes those; says how many bytes that gave back.
    pub(crate) fn remove_idle(&self, age: Duration) -> Result<u64> {
        let mut freed = 0;
        for (path, size) in self.idle(age)? {
            fs::remove_file(&path).map_err(io_error("remove", &path))?;
            freed += size;
        }
        Ok(freed)
    }
}

/// Keeps others from fetching the same blob or the same layer.
struct Claim {
    store: Store,
    digests: [Digest; 2],
}

impl Claim {
    fn try_new(store: &Store, blob: &Digest, diff_id: &Digest) -> Option<Claim> {
        let mut busy = store.inner.ingests.lock();
        if busy.contains(blob) || busy.contains(diff_id) {
            return None;
        }
        let digests = [blob.clone(), diff_id.clone()];
        busy.extend(digests.clone());
        Some(Claim {
            store: store.clone(),
            digests,
        })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut busy = self.store.inner.ingests.lock();
        for digest in &self.digests {
            busy.remove(digest);
        }
        drop(busy);
        self.store.inner.ingests.freed.notify_all();
    }
}

impl Busy {
    /// Returns when the other one is done with it, well or badly.
    pub fn wait(self) {
        let ingests = &self.store.inner.ingests;
        let mut busy = ingests.lock();
        while self.digests.iter().any(|digest| busy.contains(digest)) {
            busy = ingests
                .freed
                .wait(busy)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Store {
    /// How many bytes of a blob arrived in an earlier attempt, which the next one need not be sent.
    pub fn fetched(&self, blob: &Digest) -> u64 {
        fs::metadata(self.inner.ingests.path(blob)).map_or(0, |metadata| metadata.len())
    }

    pub fn pull(&self) -> Pull {
        Pull {
            store: self.clone(),
            pins: Arc::new(Pins::new(self)),
        }
    }
}

impl Pull {
    /// Asks for a layer: `blob` is what the manifest says of it, `diff_id` what the config says.
    pub fn layer(&self, blob: &Descriptor, diff_id: &Digest) -> Result<Ingested> {
        let Some(claim) = Claim::try_new(&self.store, &blob.digest, diff_id) else {
            return Ok(Ingested::Busy(Busy {
                store: self.store.clone(),
                digests: [blob.digest.clone(), diff_id.clone()],
            }));
        };
        if self.pins.hold(diff_id)? {
            return Ok(Ingested::Present);
        }
        let path = self.store.inner.ingests.path(&blob.digest);
        let partial =
            Partial::open(&path, blob.size).map_err(io_error("open the partial blob", &path))?;
        let missing = blob.size.saturating_sub(partial.written());
        self.store.inner.layers.check_room(missing)?;
        let partial = Arc::new(partial);
        let algorithms = (blob.digest.algorithm(), diff_id.algorithm());
        let follower = Follower::new(partial.clone());
        let unpacking = unpack(self.store.clone(), follower, algorithms)
            .map_err(io_error("start a thread for", &path))?;
        Ok(Ingested::Fetch(Box::new(Ingest {
            pull: self.clone(),
            blob: blob.clone(),
            diff_id: diff_id.clone(),
            resumed: partial.written(),
            partial,
            unpacking: Some(unpacking),
            _claim: claim,
        })))
    }

    /// Makes the image visible under its names, in one transaction. All its layers must be there.
    pub fn finish(self, image: PulledImage) -> Result<Pulled> {
        let reader = self.store.read()?;
        let mut moved = Vec::new();
        let id = Digest::sha256(&image.config);
        for name in image.names.iter().filter(|name| name.digest().is_none()) {
            if !reader.bearers(name)?.contains(&id) {
                moved.push(name.clone());
            }
        }
        drop(reader);
        let new = NewImage {
            config: image.config,
            manifest: image.manifest,
            index: image.index,
            parent: None,
            names: image.names,
        };
        self.store.commit(&[new], [].into())?;
        Ok(Pulled { id, moved })
    }
}

fn unpack(
    store: Store,
    input: Follower,
    (of_blob, of_layer): (Algorithm, Algorithm),
) -> std::io::Result<JoinHandle<Unpacked>> {
    let work = move || {
        compress::decompressed_and_hashed(input, of_blob, |tar| {
            store.inner.layers.apply_as(tar, of_layer)
        })
    };
    thread::Builder::new().name("unpack".to_owned()).spawn(work)
}

impl Ingest {
    /// How many bytes of the blob are there, from its beginning: the next [`Ingest::write`] goes on here.
    pub fn have(&self) -> u64 {
        self.partial.written()
    }

    /// Takes the next bytes. An error is final: after it, only dropping makes sense.
    pub fn write(&mut self, chunk: &[u8]) -> Result<()> {
        if self.have() + chunk.len() as u64 > self.blob.size {
            self.discard();
            return Err(Error::Mismatch {
                what: format!("blob {}", self.blob.digest),
                wanted: format!("{} bytes", self.blob.size),
                found: "more".to_owned(),
                resumed: self.resumed > 0,
            });
        }
        if self.unpacking.as_ref().is_some_and(JoinHandle::is_finished) {
            // Only a failure ends it before the blob does.
            self.unpacked()?;
        }
        self.partial.append(chunk).map_err(|source| {
            self.discard();
            Error::Stream {
                what: "write the blob to disk",
                source,
            }
        })
    }

    /// The blob is complete: checks it and makes the layer one of the store's.
    pub fn finish(mut self) -> Result<()> {
        if self.have() != self.blob.size {
            return Err(Error::Mismatch {
                what: format!("blob {}", self.blob.digest),
                wanted: format!("{} bytes", self.blob.size),
                found: format!("{} bytes", self.have()),
                resumed: self.resumed > 0,
            });
        }
        self.partial.complete();
        let staged = self.unpacked()?;
        self.discard();
        self.pull
            .store
            .keep_layer(&self.diff_id, staged, &self.pull.pins)
    }

    /// Ends the attempt, keeping what arrived.
    pub fn suspend(self) {}

    /// What the unpacking thread made of the blob, held against what it should be.
    fn unpacked(&mut self) -> Result<Staged> {
        let Some(thread) = self.unpacking.take() else {
            return Err(Error::Invalid(format!(
                "blob {} has failed before",
                self.blob.digest
            )));
        };
        let outcome = thread
            .join()
            .unwrap_or_else(|_| (Err(panicked()), Err(std::io::Error::other("panicked"))));
        let checked = self.check(outcome);
        if checked.is_err() {
            // What does not unpack today does not tomorrow; and a full disk needs the space.
            self.discard();
        }
        checked
    }

    fn check(&self, (staged, source): Unpacked) -> Result<Staged> {
        let mismatch = |what: String, wanted: &Digest, found: &Digest| Error::Mismatch {
            what,
            wanted: wanted.to_string(),
            found: found.to_string(),
            resumed: self.resumed > 0,
        };
        // A blob that is not what it should be explains all else that is wrong with it.
        let whole = self.have() == self.blob.size;
        if let Ok(source) = &source
            && whole
            && source.digest != self.blob.digest
        {
            let what = format!("blob {}", self.blob.digest);
            return Err(mismatch(what, &self.blob.digest, &source.digest));
        }
        let unpacked = staged.and_then(|staged| {
            source.map_err(stream_error("unpack the layer"))?;
            Ok(staged)
        });
        let staged = match unpacked {
            // After a loss of power, the part that was there may be rubbish.
            Err(error @ (Error::Archive { .. } | Error::Mismatch { .. })) if self.resumed > 0 => {
                return Err(Error::Mismatch {
                    what: format!("blob {}", self.blob.digest),
                    wanted: "a layer".to_owned(),
                    found: error.to_string(),
                    resumed: true,
                });
            }
            other => other?,
        };
        let found = &staged.applied.diff_id;
        if *found != self.diff_id {
            let what = format!("layer of blob {}", self.blob.digest);
            return Err(mismatch(what, &self.diff_id, found));
        }
        Ok(staged)
    }

    fn discard(&self) {
        self.partial.abandon();
        // Where it cannot be removed it is an idle partial blob, which ages away.
        let _ = self.partial.remove();
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        self.partial.abandon();
        if let Some(thread) = self.unpacking.take() {
            // It ends at its next read; its result, an unfinished layer, goes away with it.
            let _ = thread.join();
        }
    }
}

fn panicked() -> Error {
    Error::Stream {
        what: "unpack the layer",
        source: std::io::Error::other("the unpacking thread panicked"),
    }
}

#[cfg(test)]
mod tests;
