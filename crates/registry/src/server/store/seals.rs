//! Whether a blob's file is still the one that was written.
//!
//! Hashing whatever is served would cost as much as serving it. So the store notes of each blob's file its inode, its length and
//! when it was last changed, in the transaction that takes the blob in; as long as these are the same, the bytes are taken to be. A
//! file that was touched (restored from a backup, copied, altered) is read once, in full, before it is served: if its bytes have the
//! digest, the note is written anew, else the note says that it is damaged, and the blob is not there any more for anyone, so that it
//! can be pushed again. What rots below the file system leaves no trace in an inode: that is for [`super::check`] to find.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::MetadataExt as _;

use oci::Digest;

use super::Store;
use super::error::{Result, failed, io_at};
use super::tables::{SEALS, get};

/// What a file looks like from outside: inode, and the times of its last change of content and of anything, in nanoseconds.
pub(super) type Looks = (u64, i128, i128);

/// What was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seal {
    looks: Looks,
    is_good: bool,
}

pub(super) fn looks(of: &Metadata) -> Looks {
    let time = |seconds: i64, nanoseconds: i64| {
        i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
    };
    (
        of.ino(),
        time(of.mtime(), of.mtime_nsec()),
        time(of.ctime(), of.ctime_nsec()),
    )
}

/// Notes what the file that has just been written, or read and hashed, looks like.
pub(super) fn note(
    writer: &redb::WriteTransaction,
    digest: &Digest,
    looks: Looks,
    is_good: bool,
) -> Result<()> {
    let mut seals = writer.open_table(SEALS).map_err(failed("open a table"))?;
    let (inode, changed, touched) = looks;
    seals
        .insert(digest.as_str(), (inode, changed, touched, is_good))
        .map_err(failed("write"))?;
    Ok(())
}

pub(super) fn forget(writer: &redb::WriteTransaction, digest: &Digest) -> Result<()> {
    let mut seals = writer.open_table(SEALS).map_err(failed("open a table"))?;
    seals.remove(digest.as_str()).map_err(failed("remove"))?;
    Ok(())
}

/// The digest of the first `size` bytes.
pub(super) fn hash(digest: &Digest, file: &File, size: u64) -> io::Result<Digest> {
    let mut hasher = digest.algorithm().hasher();
    let mut file = file;
    file.rewind()?;
    let reader = io::BufReader::with_capacity(1 << 20, file);
    io::copy(&mut reader.take(size), &mut hasher)?;
    Ok(hasher.finish())
}

impl Store {
    fn seal(&self, digest: &Digest) -> Result<Option<Seal>> {
        let reader = self.database.read()?;
        let seals = reader.open_table(SEALS).map_err(failed("open a table"))?;
        get(
            &seals,
            digest.as_str(),
            |(inode, changed, touched, is_good)| Seal {
                looks: (inode, changed, touched),
                is_good,
            },
        )
    }

    /// Whether the file is known to be damaged, by what was noted of it. Looks at no bytes.
    pub(super) fn is_known_bad(&self, digest: &Digest, found: &Metadata) -> Result<bool> {
        let seal = self.seal(digest)?;
        Ok(seal.is_some_and(|seal| !seal.is_good && seal.looks == looks(found)))
    }

    /// Whether the file has the bytes of its digest: by what was noted of it, or else by reading it once. Not to be asked within a
    /// transaction that writes, since it may be one itself.
    pub(super) fn is_good(&self, digest: &Digest, file: &File, size: u64) -> Result<bool> {
        let path = self.blob_path(digest);
        let found = || file.metadata().map_err(io_at("stat", &path));
        let known = |found: &Metadata| -> Result<Option<bool>> {
            let seal = self.seal(digest)?.filter(|seal| seal.looks == looks(found));
            Ok(seal.map(|seal| seal.is_good))
        };
        if let Some(known) = known(&found()?)? {
            return Ok(known);
        }
        // One at a time: a thousand who ask for the same blob have it read once.
        let _turn = self.stripe(digest);
        let before = found()?;
        if let Some(known) = known(&before)? {
            return Ok(known);
        }
        let is_good = before.len() == size
            && hash(digest, file, size).map_err(io_at("read", &path))? == *digest;
        if looks(&found()?) == looks(&before) {
            self.database
                .write(|writer| note(writer, digest, looks(&before), is_good))?;
        }
        if !is_good {
            tracing::error!(
                path = %path.display(),
                "a blob is damaged: it is not served any more until it is pushed again; 'tare registry check' says what it belongs to"
            );
        }
        Ok(is_good)
    }
}
