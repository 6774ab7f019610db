//! Blobs: content by digest, and which repository may show it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use oci::Digest;
use redb::ReadableTable as _;

use super::document::Document;
use super::error::{Error, Result, failed, io_at};
use super::tables::{BLOBS, DOCUMENTS, LINKS, LINKS_OF, USES, get, seconds, thirds};
use super::{Store, now, seals};
use crate::server::name::Name;

/// A blob that is open for reading.
#[derive(Debug)]
pub(crate) struct Blob {
    pub(crate) file: File,
    pub(crate) size: u64,
}

impl Store {
    /// The size of a blob that the repository has.
    pub(crate) fn blob_size(&self, name: &Name, digest: &Digest) -> Result<u64> {
        Ok(self.blob(name, digest)?.size)
    }

    /// The size of a blob that the repository should have.
    fn linked_size(&self, name: &Name, digest: &Digest) -> Result<u64> {
        let reader = self.database.read()?;
        let links = reader.open_table(LINKS).map_err(failed("open a table"))?;
        let unknown = || Error::BlobUnknown(digest.clone());
        get(&links, (name.as_str(), digest.as_str()), drop)?.ok_or_else(unknown)?;
        let blobs = reader.open_table(BLOBS).map_err(failed("open a table"))?;
        get(&blobs, digest.as_str(), |(size, _)| size)?.ok_or_else(unknown)
    }

    /// The file of a blob, if its bytes are those that it should have.
    fn whole(&self, digest: &Digest, size: u64) -> Result<Option<File>> {
        let path = self.blob_path(digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_at("open", &path)(error)),
        };
        let is_good = self.is_good(digest, &file, size)?;
        Ok(is_good.then_some(file))
    }

    /// Opens a blob that the repository has.
    pub(crate) fn blob(&self, name: &Name, digest: &Digest) -> Result<Blob> {
        let size = self.linked_size(name, digest)?;
        let file = self.whole(digest, size)?;
        let file = file.ok_or_else(|| Error::BlobUnknown(digest.clone()))?;
        Ok(Blob { file, size })
    }

    /// Notes that a push relies on a blob that it found here, so that collecting leaves it alone for as long as the
    /// push may take. Written only when the last note is older than `unless_within` seconds.
    pub(crate) fn touch_blob(
        &self,
        name: &Name,
        digest: &Digest,
        unless_within: u64,
    ) -> Result<()> {
        let key = (name.as_str(), digest.as_str());
        let reader = self.database.read()?;
        let links = reader.open_table(LINKS).map_err(failed("open a table"))?;
        let touched = get(&links, key, |at| at)?;
        if touched.is_none_or(|at| at + unless_within > now()) {
            return Ok(());
        }
        self.database.write(|writer| {
            let mut links = writer.open_table(LINKS).map_err(failed("open a table"))?;
            if get(&links, key, drop)?.is_some() {
                links.insert(key, now()).map_err(failed("write"))?;
            }
            Ok(())
        })
    }

    /// Lets `to` show a blob that `from` has. Says whether it could.
    pub(crate) fn mount(&self, from: &Name, to: &Name, digest: &Digest) -> Result<bool> {
        if !self.is_here(digest)? {
            return Ok(false);
        }
        self.database.write(|writer| {
            let links = writer.open_table(LINKS).map_err(failed("open a table"))?;
            let linked = get(&links, (from.as_str(), digest.as_str()), drop)?.is_some();
            drop(links);
            let there = linked && self.has_file(digest)?;
            if there {
                link(writer, to, digest)?;
            }
            Ok(there)
        })
    }

    /// How long a blob is that manifests of the repository name, as they say.
    pub(crate) fn named_size(&self, name: &Name, digest: &Digest) -> Result<u64> {
        let unknown = || Error::BlobUnknown(digest.clone());
        let reader = self.database.read()?;
        let uses = reader.open_table(USES).map_err(failed("open a table"))?;
        let users = thirds(&uses, (name.as_str(), digest.as_str()), "", 1)?;
        let manifest = users.into_iter().next().ok_or_else(unknown)?;
        let documents = reader
            .open_table(DOCUMENTS)
            .map_err(failed("open a table"))?;
        let bytes = get(&documents, manifest.as_str(), <[u8]>::to_vec)?.ok_or_else(unknown)?;
        let document = Document::parse(&bytes, None)?;
        let part = document.blobs.iter().find(|part| part.digest == *digest);
        part.map(|part| part.size).ok_or_else(unknown)
    }

    /// Lets a repository whose manifest names a blob have it, if any has. Only for caches: whoever may read the
    /// manifest could read the blob at its origin too. Says whether it was there.
    pub(crate) fn adopt(&self, name: &Name, digest: &Digest) -> Result<bool> {
        if !self.is_here(digest)? {
            return Ok(false);
        }
        self.database.write(|writer| {
            let blobs = writer.open_table(BLOBS).map_err(failed("open a table"))?;
            let there = get(&blobs, digest.as_str(), drop)?.is_some();
            drop(blobs);
            if there {
                link(writer, name, digest)?;
            }
            Ok(there)
        })
    }

    /// Takes in the file at `path`, whose bytes have `digest`, as a blob of the repository. The file is gone then.
    pub(crate) fn place(
        &self,
        name: &Name,
        digest: &Digest,
        file: &File,
        path: &Path,
    ) -> Result<()> {
        if !self.is_here(digest)? {
            // Outside the lock: this is what takes time.
            file.sync_data().map_err(io_at("fsync", path))?;
        }
        let size = file.metadata().map_err(io_at("stat", path))?.len();
        let _stripe = self.stripe(digest);
        let known = self.known_size(digest)?.is_some();
        let fresh = !self.has_file(digest)?;
        let mut looks = None;
        if fresh {
            file.sync_data().map_err(io_at("fsync", path))?;
            self.move_in(digest, path)?;
            looks = Some(seals::looks(&file.metadata().map_err(io_at("stat", path))?));
        } else {
            fs::remove_file(path).map_err(io_at("remove", path))?;
        }
        self.database.write(|writer| {
            if let Some(looks) = looks {
                seals::note(writer, digest, looks, true)?;
                let mut blobs = writer.open_table(BLOBS).map_err(failed("open a table"))?;
                blobs
                    .insert(digest.as_str(), (size, now()))
                    .map_err(failed("write"))?;
            }
            link(writer, name, digest)
        })?;
        if fresh && !known {
            self.blob_count.fetch_add(1, Ordering::Relaxed);
            self.blob_bytes.fetch_add(size, Ordering::Relaxed);
        }
        Ok(())
    }

    fn move_in(&self, digest: &Digest, path: &Path) -> Result<()> {
        let target = self.blob_path(digest);
        let folder = target.parent().unwrap_or(&self.root);
        if !folder.exists() {
            fs::create_dir_all(folder).map_err(io_at("make", folder))?;
            for above in folder
                .ancestors()
                .skip(1)
                .take_while(|a| a.starts_with(&self.root))
            {
                sync_folder(above)?;
            }
        }
        fs::rename(path, &target).map_err(io_at("rename to", &target))?;
        sync_folder(folder)
    }

    /// Ends a repository's hold on a blob, unless one of its manifests names it.
    pub(crate) fn unlink_blob(&self, name: &Name, digest: &Digest) -> Result<()> {
        self.database.write_less(|writer| {
            let links = writer.open_table(LINKS).map_err(failed("open a table"))?;
            get(&links, (name.as_str(), digest.as_str()), drop)?
                .ok_or_else(|| Error::BlobUnknown(digest.clone()))?;
            drop(links);
            let uses = writer.open_table(USES).map_err(failed("open a table"))?;
            let users = thirds(&uses, (name.as_str(), digest.as_str()), "", 1)?;
            if let Some(manifest) = users.into_iter().next() {
                return Err(Error::Used {
                    blob: digest.clone(),
                    manifest,
                });
            }
            unlink(writer, name.as_str(), digest.as_str())
        })
    }

    /// Removes a blob that no repository has. Says how many bytes that gave.
    pub(super) fn remove_unheld(&self, digest: &Digest) -> Result<u64> {
        let _stripe = self.stripe(digest);
        let size = self.database.write_less(|writer| {
            let holders = writer
                .open_table(LINKS_OF)
                .map_err(failed("open a table"))?;
            if !seconds(&holders, digest.as_str(), "", 1)?.is_empty() {
                return Ok(None);
            }
            let mut blobs = writer.open_table(BLOBS).map_err(failed("open a table"))?;
            let removed = blobs.remove(digest.as_str()).map_err(failed("remove"))?;
            seals::forget(writer, digest)?;
            Ok(removed.map(|row| row.value().0))
        })?;
        let Some(size) = size else {
            return Ok(0);
        };
        let path = self.blob_path(digest);
        fs::remove_file(&path).map_err(io_at("remove", &path))?;
        self.uncount(Some(size));
        Ok(size)
    }

    /// A blob of this size is not counted any more.
    pub(super) fn uncount(&self, size: Option<u64>) {
        if let Some(size) = size {
            self.blob_count.fetch_sub(1, Ordering::Relaxed);
            self.blob_bytes.fetch_sub(size, Ordering::Relaxed);
        }
    }

    /// Removes the file of a blob that the database does not know: what a kill has left. Says its bytes.
    pub(super) fn remove_orphan(&self, digest: &Digest) -> Result<u64> {
        let _stripe = self.stripe(digest);
        if self.has_file(digest)? {
            return Ok(0);
        }
        let path = self.blob_path(digest);
        let size = fs::metadata(&path).map_or(0, |m| m.len());
        fs::remove_file(&path).map_err(io_at("remove", &path))?;
        Ok(size)
    }

    /// Whether the bytes are here, as far as is known without reading them. A row alone is not enough: somebody may have lost the file.
    pub(super) fn has_file(&self, digest: &Digest) -> Result<bool> {
        let Some(size) = self.known_size(digest)? else {
            return Ok(false);
        };
        match fs::metadata(self.blob_path(digest)) {
            Ok(found) if found.len() == size => Ok(!self.is_known_bad(digest, &found)?),
            _ => Ok(false),
        }
    }

    /// The same, certainly: what was touched since it was written is read. Not within a transaction, nor under a stripe.
    fn is_here(&self, digest: &Digest) -> Result<bool> {
        match self.known_size(digest)? {
            Some(size) => Ok(self.whole(digest, size)?.is_some()),
            None => Ok(false),
        }
    }

    pub(super) fn known_size(&self, digest: &Digest) -> Result<Option<u64>> {
        let reader = self.database.read()?;
        let blobs = reader.open_table(BLOBS).map_err(failed("open a table"))?;
        get(&blobs, digest.as_str(), |(size, _)| size)
    }

    pub(super) fn blob_path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let algorithm = self.root.join("blobs").join(digest.algorithm().name());
        algorithm.join(&hex[..2]).join(hex)
    }

    pub(super) fn count_blobs(&self) -> Result<()> {
        let reader = self.database.read()?;
        let blobs = reader.open_table(BLOBS).map_err(failed("open a table"))?;
        for entry in blobs.iter().map_err(failed("list"))? {
            let (_, row) = entry.map_err(failed("list"))?;
            self.blob_count.fetch_add(1, Ordering::Relaxed);
            self.blob_bytes.fetch_add(row.value().0, Ordering::Relaxed);
        }
        Ok(())
    }
}

fn link(writer: &redb::WriteTransaction, name: &Name, digest: &Digest) -> Result<()> {
    let (name, digest) = (name.as_str(), digest.as_str());
    let mut links = writer.open_table(LINKS).map_err(failed("open a table"))?;
    links
        .insert((name, digest), now())
        .map_err(failed("write"))?;
    let mut holders = writer
        .open_table(LINKS_OF)
        .map_err(failed("open a table"))?;
    holders
        .insert((digest, name), ())
        .map_err(failed("write"))?;
    Ok(())
}

pub(super) fn unlink(writer: &redb::WriteTransaction, name: &str, digest: &str) -> Result<()> {
    let mut links = writer.open_table(LINKS).map_err(failed("open a table"))?;
    links.remove((name, digest)).map_err(failed("remove"))?;
    let mut holders = writer
        .open_table(LINKS_OF)
        .map_err(failed("open a table"))?;
    holders.remove((digest, name)).map_err(failed("remove"))?;
    Ok(())
}

fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(io_at("fsync", folder))
}
