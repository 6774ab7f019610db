//! Where a registry keeps what was pushed to it.
//!
//! ```text
//! ROOT/
//!   registry.redb                 names, tags, manifests, and which repository has which blob (see `tables`)
//!   registry.reserve              room for the deletions of a full disk
//!   blobs/sha256/ab/abcdef...     content by digest; written once, never changed
//!   uploads/<repository>-<id>     what has arrived of blobs that are being pushed; the first part is a hash of the
//!                                 repository's name, so that nobody reaches an upload through another repository
//! ```
//!
//! A blob is made durable before the database says that it is there: its bytes (fsync), its name (rename, fsync of the
//! folder), then the row. Whoever is killed between leaves a file without a row, which [`collect`] removes. The other
//! way round, the row goes before the file. A lock by digest keeps the two apart from each other.
//!
//! A manifest goes in with everything that follows from it in one transaction, which also looks whether all it names
//! is there. Collecting takes things out in transactions that look again, so no manifest ever loses a part.

mod blobs;
pub(crate) mod check;
pub(crate) mod collect;
mod document;
mod error;
mod listing;
mod manifests;
pub(crate) mod retention;
mod seals;
mod tables;
pub(crate) mod uploads;

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use oci::Digest;

pub(crate) use blobs::Blob;
pub use check::{Checked, Damage, Repair};
pub use collect::{Collected, Grace};
pub use error::Error;
pub(crate) use error::Result;
pub(crate) use listing::{Described, RepositorySummary, TagSummary};
pub(crate) use manifests::{Fetched, Parts};
pub use retention::{InvalidRule, Rule};

/// What of a push may pile up at once.
#[derive(Clone, Copy, Debug)]
pub struct UploadLimits {
    pub count: u64,
    /// Bytes of all unfinished uploads together.
    pub bytes: u64,
    /// Bytes of one blob.
    pub blob: u64,
}

impl Default for UploadLimits {
    fn default() -> UploadLimits {
        UploadLimits {
            count: 10_000,
            bytes: 256 << 30,
            blob: 64 << 30,
        }
    }
}

/// An open store. All of it is synchronous: the async side reaches it from threads that may block.
pub(crate) struct Store {
    root: PathBuf,
    database: tables::Database,
    uploads: uploads::Uploads,
    /// Held from the rename of a blob's file to its row, and from the row's end to the file's.
    stripes: [Mutex<()>; 64],
    blob_count: AtomicU64,
    blob_bytes: AtomicU64,
}

impl Store {
    /// Opens the store under `root`, or makes it. One process at a time.
    pub(crate) fn open(root: &Path, limits: UploadLimits) -> Result<Store> {
        for folder in ["blobs", "uploads"] {
            let path = root.join(folder);
            fs::create_dir_all(&path).map_err(error::io_at("make", &path))?;
        }
        let store = Store {
            database: tables::Database::open(&root.join("registry.redb"))?,
            uploads: uploads::Uploads::open(root.join("uploads"), limits)?,
            stripes: std::array::from_fn(|_| Mutex::new(())),
            root: root.to_owned(),
            blob_count: AtomicU64::new(0),
            blob_bytes: AtomicU64::new(0),
        };
        store.count_blobs()?;
        Ok(store)
    }

    /// How many blobs there are, and their bytes.
    pub(crate) fn totals(&self) -> (u64, u64) {
        (
            self.blob_count.load(Ordering::Relaxed),
            self.blob_bytes.load(Ordering::Relaxed),
        )
    }

    pub(crate) fn uploads(&self) -> &uploads::Uploads {
        &self.uploads
    }

    fn stripe(&self, digest: &Digest) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        digest.hash(&mut hasher);
        let at = usize::try_from(hasher.finish() % 64).unwrap_or_default();
        // Nothing is left half-done in memory by a thread that panicked here.
        self.stripes[at]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
