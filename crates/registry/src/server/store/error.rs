use std::io;
use std::path::{Path, PathBuf};

use oci::Digest;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("blob {0} is unknown to the repository")]
    BlobUnknown(Digest),
    #[error("manifest {0} is unknown to the repository")]
    ManifestUnknown(String),
    #[error("repository {0} is unknown to the registry")]
    NameUnknown(String),
    #[error("the upload is unknown to the registry, or it has ended")]
    UploadUnknown,
    #[error("{0}")]
    InvalidManifest(String),
    /// A manifest names content that was not pushed before it.
    #[error("{} of what the manifest names are unknown to the repository", .0.len())]
    MissingParts(Vec<Digest>),
    #[error("the manifest says that {digest} has {said} bytes; it has {found}")]
    Size {
        digest: Digest,
        said: u64,
        found: u64,
    },
    #[error("the content has the digest {found}, not {said}")]
    Digest { said: Digest, found: Digest },
    #[error("blob {blob} is part of manifest {manifest}: delete that first")]
    Used { blob: Digest, manifest: String },
    #[error("{0} uploads are going on; that is the most at once")]
    TooManyUploads(u64),
    #[error("the uploads that are going on hold {0} bytes; that is the most")]
    UploadsFull(u64),
    #[error("the blob has more than {0} bytes, the most that one may have")]
    TooLong(u64),
    #[error("registry storage: {step} {}", path.display())]
    Io {
        step: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("registry database: {what}")]
    Database {
        what: &'static str,
        #[source]
        source: Box<redb::Error>,
    },
    #[error("registry storage is damaged: {0}")]
    Damaged(String),
    #[error("{} is served by another process", .0.display())]
    InUse(PathBuf),
}

pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Puts step and path to an [`io::Error`].
pub(crate) fn io_at<'a>(step: &'static str, path: &'a Path) -> impl Fn(io::Error) -> Error + 'a {
    move |source| Error::Io {
        step,
        path: path.to_owned(),
        source,
    }
}

/// Says what was being done with the database.
pub(crate) fn failed<E: Into<redb::Error>>(what: &'static str) -> impl Fn(E) -> Error {
    move |error| Error::Database {
        what,
        source: Box::new(error.into()),
    }
}

impl Error {
    /// Whether the disk is full.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull)
            || matches!(self, Error::Database { source, .. }
                if matches!(&**source, redb::Error::Io(e) if e.kind() == io::ErrorKind::StorageFull))
    }
}
