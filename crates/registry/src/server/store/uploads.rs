//! Blobs that are on their way in.
//!
//! An upload is a file that grows; how much of it there is, is the file's length, so nothing else need survive a
//! restart. While the process lives, the digest of what has come is kept beside it; after a restart it is made anew
//! from the file, once.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use oci::{Algorithm, Digest, Hasher};
use tokio::sync::{OwnedMutexGuard, watch};

use super::error::{Error, Result, io_at};
use super::{Store, UploadLimits};
use crate::server::name::{Name, UploadId};

/// All uploads that are going on.
pub(crate) struct Uploads {
    folder: PathBuf,
    limits: UploadLimits,
    live: Mutex<HashMap<String, Arc<Session>>>,
    count: AtomicU64,
    bytes: Arc<AtomicU64>,
}

/// One upload, between requests and during them.
pub(crate) struct Session {
    path: PathBuf,
    progress: Arc<tokio::sync::Mutex<Progress>>,
    /// How many requests wait to write: whoever writes learns that its client has come back on a new connection.
    waiting: watch::Sender<usize>,
}

#[derive(Default)]
struct Progress {
    size: u64,
    /// Of the first `size` bytes; absent after a restart.
    hasher: Option<Hasher>,
    /// It was finished or cancelled while somebody waited for it.
    ended: bool,
}

/// The one that may write to an upload.
pub(crate) struct Writer {
    file: File,
    path: PathBuf,
    progress: OwnedMutexGuard<Progress>,
    hasher: Hasher,
    limits: UploadLimits,
    total: Arc<AtomicU64>,
}

impl Uploads {
    pub(super) fn open(folder: PathBuf, limits: UploadLimits) -> Result<Uploads> {
        let (mut count, mut bytes) = (0, 0);
        for entry in fs::read_dir(&folder).map_err(io_at("list", &folder))? {
            let entry = entry.map_err(io_at("list", &folder))?;
            count += 1;
            bytes += entry.metadata().map_or(0, |m| m.len());
        }
        Ok(Uploads {
            folder,
            limits,
            live: Mutex::default(),
            count: AtomicU64::new(count),
            bytes: Arc::new(AtomicU64::new(bytes)),
        })
    }

    /// How many there are, and their bytes.
    pub(crate) fn totals(&self) -> (u64, u64) {
        (
            self.count.load(Ordering::Relaxed),
            self.bytes.load(Ordering::Relaxed),
        )
    }

    /// Begins an upload to a repository.
    pub(crate) fn begin(&self, name: &Name) -> Result<UploadId> {
        let limit = self.limits.count;
        let grow = |count: u64| (count < limit).then_some(count + 1);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        let grown = self.count.fetch_update(set, fetch, grow);
        grown.map_err(|_| Error::TooManyUploads(limit))?;
        self.create(name).inspect_err(|_| {
            self.count.fetch_sub(1, Ordering::Relaxed);
        })
    }

    fn create(&self, name: &Name) -> Result<UploadId> {
        let random = |e: getrandom::Error| Error::Io {
            step: "draw a random id in",
            path: self.folder.clone(),
            source: std::io::Error::other(e),
        };
        let id = UploadId::fresh().map_err(random)?;
        let key = key(name, &id);
        let path = self.folder.join(&key);
        File::create_new(&path).map_err(io_at("make", &path))?;
        let progress = Progress {
            hasher: Some(Hasher::sha256()),
            ..Progress::default()
        };
        self.live().insert(key, Session::new(path, progress));
        Ok(id)
    }

    /// The upload of this id to this repository.
    pub(crate) fn session(&self, name: &Name, id: &UploadId) -> Result<Arc<Session>> {
        let key = key(name, id);
        let mut live = self.live();
        if let Some(session) = live.get(&key) {
            return Ok(Arc::clone(session));
        }
        let path = self.folder.join(&key);
        let size = fs::metadata(&path).map_err(|_| Error::UploadUnknown)?.len();
        let progress = Progress {
            size,
            ..Progress::default()
        };
        let session = Session::new(path, progress);
        live.insert(key, Arc::clone(&session));
        Ok(session)
    }

    /// Takes the right to write. `progress` is what [`Session::claim`] gave.
    pub(crate) fn writer(&self, session: &Session, claimed: Claim) -> Result<Writer> {
        let mut progress = claimed.0;
        if progress.ended {
            return Err(Error::UploadUnknown);
        }
        let path = session.path.clone();
        let mut options = OpenOptions::new();
        let opened = options.read(true).append(true).open(&path);
        let file = opened.map_err(|_| Error::UploadUnknown)?;
        let hasher = match progress.hasher.take() {
            Some(hasher) => hasher,
            None => hash_file(&path, Algorithm::Sha256, progress.size)?,
        };
        Ok(Writer {
            file,
            path,
            progress,
            hasher,
            limits: self.limits,
            total: Arc::clone(&self.bytes),
        })
    }

    /// Gives up what has come.
    pub(crate) fn cancel(&self, mut writer: Writer) -> Result<()> {
        writer.progress.ended = true;
        let removed = fs::remove_file(&writer.path).map_err(io_at("remove", &writer.path));
        self.forget(&writer);
        removed
    }

    fn forget(&self, writer: &Writer) {
        if let Some(key) = writer.path.file_name().and_then(|n| n.to_str()) {
            self.live().remove(key);
        }
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.bytes
            .fetch_sub(writer.progress.size, Ordering::Relaxed);
    }

    /// Removes uploads that nothing was written to for `idle`. Says how many.
    pub(super) fn expire(&self, idle: Duration) -> Result<u64> {
        let mut expired = 0;
        for entry in fs::read_dir(&self.folder).map_err(io_at("list", &self.folder))? {
            let entry = entry.map_err(io_at("list", &self.folder))?;
            let Ok(meta) = entry.metadata() else {
                continue;
            };
            let age = meta.modified().ok().and_then(|at| at.elapsed().ok());
            if age.is_some_and(|age| age >= idle) && self.expire_one(&entry, meta.len())? {
                expired += 1;
            }
        }
        Ok(expired)
    }

    fn expire_one(&self, entry: &fs::DirEntry, size: u64) -> Result<bool> {
        let key = entry.file_name().to_string_lossy().into_owned();
        let mut live = self.live();
        if let Some(session) = live.get(&key) {
            let Ok(mut progress) = Arc::clone(&session.progress).try_lock_owned() else {
                return Ok(false);
            };
            progress.ended = true;
        }
        live.remove(&key);
        drop(live);
        fs::remove_file(entry.path()).map_err(io_at("remove", &entry.path()))?;
        self.count.fetch_sub(1, Ordering::Relaxed);
        self.bytes.fetch_sub(size, Ordering::Relaxed);
        Ok(true)
    }

    fn live(&self) -> MutexGuard<'_, HashMap<String, Arc<Session>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to write to an upload, before its file is opened.
pub(crate) struct Claim(OwnedMutexGuard<Progress>);

/// Tells who writes that another request wants to.
pub(crate) struct Taken(watch::Receiver<usize>);

impl Taken {
    /// Comes back once another request waits for the upload.
    pub(crate) async fn over(&mut self) {
        if self.0.wait_for(|waiting| *waiting > 0).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// One that waits to write, until it does or gives up.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Session {
    fn new(path: PathBuf, progress: Progress) -> Arc<Session> {
        Arc::new(Session {
            path,
            progress: Arc::new(tokio::sync::Mutex::new(progress)),
            waiting: watch::Sender::new(0),
        })
    }

    /// Asks whoever writes to stop, and waits for it.
    pub(crate) async fn claim(&self) -> (Claim, Taken) {
        let _waiting = Waiting::new(&self.waiting);
        let claim = Claim(Arc::clone(&self.progress).lock_owned().await);
        (claim, Taken(self.waiting.subscribe()))
    }
}

impl Claim {
    /// Bytes that have come.
    pub(crate) fn size(&self) -> u64 {
        self.0.size
    }
}

impl Writer {
    /// Bytes that have come.
    pub(crate) fn size(&self) -> u64 {
        self.progress.size
    }

    /// Appends. After an error the upload is as it was before.
    pub(crate) fn append(&mut self, chunks: &[Bytes]) -> Result<()> {
        let more: u64 = chunks.iter().map(|c| c.len() as u64).sum();
        if self.progress.size + more > self.limits.blob {
            return Err(Error::TooLong(self.limits.blob));
        }
        if self.total.fetch_add(more, Ordering::Relaxed) + more > self.limits.bytes {
            self.total.fetch_sub(more, Ordering::Relaxed);
            return Err(Error::UploadsFull(self.limits.bytes));
        }
        for chunk in chunks {
            if let Err(source) = self.file.write_all(chunk) {
                self.total.fetch_sub(more, Ordering::Relaxed);
                self.take_back()?;
                return Err(io_at("write", &self.path)(source));
            }
            self.hasher.update(chunk);
        }
        self.progress.size += more;
        Ok(())
    }

    /// A second handle on the file, to read what has come while more comes.
    pub(crate) fn reader(&self) -> Result<File> {
        File::open(&self.path).map_err(io_at("open", &self.path))
    }

    /// Back to what was there before: on a full disk a part of the chunks is in the file, and in the digest.
    fn take_back(&mut self) -> Result<()> {
        let size = self.progress.size;
        self.file
            .set_len(size)
            .map_err(io_at("truncate", &self.path))?;
        self.hasher = hash_file(&self.path, Algorithm::Sha256, size)?;
        Ok(())
    }

    fn digest(&self, algorithm: Algorithm) -> Result<Digest> {
        let hasher = match algorithm {
            Algorithm::Sha256 => self.hasher.clone(),
            other => hash_file(&self.path, other, self.size())?,
        };
        Ok(hasher.finish())
    }
}

impl Drop for Writer {
    /// What has come stays, with its digest.
    fn drop(&mut self) {
        self.progress.hasher = Some(self.hasher.clone());
    }
}

impl Store {
    /// Makes an upload a blob of the repository, if its content has the digest that was said; ends it if not.
    pub(crate) fn finish_upload(
        &self,
        name: &Name,
        mut writer: Writer,
        said: &Digest,
    ) -> Result<()> {
        let found = writer.digest(said.algorithm())?;
        if found != *said {
            self.uploads.cancel(writer)?;
            return Err(Error::Digest {
                said: said.clone(),
                found,
            });
        }
        self.place(name, said, &writer.file, &writer.path)?;
        writer.progress.ended = true;
        self.uploads.forget(&writer);
        Ok(())
    }
}

fn key(name: &Name, id: &UploadId) -> String {
    let of_name = Digest::sha256(name.as_str().as_bytes());
    format!("{}-{id}", of_name.short())
}

fn hash_file(path: &Path, algorithm: Algorithm, size: u64) -> Result<Hasher> {
    let file = File::open(path).map_err(io_at("open", path))?;
    let mut hasher = algorithm.hasher();
    let read = std::io::copy(&mut file.take(size), &mut hasher).map_err(io_at("read", path))?;
    if read == size {
        return Ok(hasher);
    }
    Err(Error::Damaged(format!(
        "{} has become shorter",
        path.display()
    )))
}
