//! Reading all that is kept, and holding it against its digest: what disks lose, and what somebody altered.
//!
//! Goes on beside everything else. A blob that looks bad is read once more under its lock, so that one that is just being pushed again, or
//! collected, is not taken for damaged.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io;

use oci::Digest;
use redb::ReadableTable as _;

use super::Store;
use super::error::{Result, failed, io_at};
use super::manifests::{parsed, tags_of};
use super::seals::{forget, hash, looks, note};
use super::tables::{BLOBS, DOCUMENTS, DOCUMENTS_OF, LINKS_OF, TAGS, USES, seconds, thirds};

/// What is done about damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repair {
    /// It is told, and what is damaged is not served any more.
    No,
    /// Damaged blobs are dropped, so that their disk is free and they can be pushed again.
    Drop,
}

/// Something that is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    pub digest: String,
    /// `has other bytes`, `is missing` and so on.
    pub what: String,
    /// Repositories that have it, with the tags that lead to it.
    pub used: BTreeMap<String, BTreeSet<String>>,
    pub dropped: bool,
}

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    pub blobs: u64,
    pub bytes: u64,
    pub manifests: u64,
    pub damaged: Vec<Damage>,
    /// It was ended before it had seen everything.
    pub broken_off: bool,
}

impl Checked {
    /// Whether all is well, or is as well as can be without what has to be pushed again.
    pub fn is_fine(&self) -> bool {
        !self.broken_off && self.damaged.iter().all(|damage| damage.dropped)
    }
}

impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for damage in &self.damaged {
            let dropped = if damage.dropped { "; dropped" } else { "" };
            writeln!(f, "{} {}{dropped}", damage.digest, damage.what)?;
            for (name, tags) in &damage.used {
                let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
                match tags.is_empty() {
                    true => writeln!(f, "  in {name}, without a tag")?,
                    false => writeln!(f, "  in {name}: {}", tags.join(", "))?,
                }
            }
        }
        write!(
            f,
            "checked {} blobs ({} bytes) and {} manifests: {} damaged",
            self.blobs,
            self.bytes,
            self.manifests,
            self.damaged.len()
        )?;
        if self.damaged.iter().any(|damage| damage.dropped) {
            write!(f, "; push what is named above again")?;
        }
        if self.broken_off {
            write!(f, "; broken off")?;
        }
        Ok(())
    }
}

/// Rows looked at in one transaction.
const BATCH: usize = 256;
/// Indexes within indexes, on the way from a blob up to a tag.
const MAX_DEPTH: usize = 4;

impl Store {
    /// Reads everything. `go_on` is asked between one thing and the next.
    pub(crate) fn check(&self, repair: Repair, go_on: &dyn Fn() -> bool) -> Result<Checked> {
        let mut checked = Checked::default();
        let mut after = String::new();
        loop {
            let rows = self.blobs_after(&after)?;
            let Some((last, _)) = rows.last() else { break };
            after.clone_from(last);
            for (digest, size) in rows {
                if !go_on() {
                    checked.broken_off = true;
                    return Ok(checked);
                }
                checked.blobs += 1;
                checked.bytes += size;
                checked.damaged.extend(self.check_blob(&digest, repair)?);
            }
        }
        self.check_documents(&mut checked)?;
        Ok(checked)
    }

    fn blobs_after(&self, after: &str) -> Result<Vec<(String, u64)>> {
        let reader = self.database.read()?;
        let blobs = reader.open_table(BLOBS).map_err(failed("open a table"))?;
        let mut rows = Vec::new();
        for entry in blobs.range(after..).map_err(failed("list"))? {
            let (key, row) = entry.map_err(failed("list"))?;
            if key.value() != after {
                rows.push((key.value().to_owned(), row.value().0));
            }
            if rows.len() == BATCH {
                break;
            }
        }
        Ok(rows)
    }

    fn check_blob(&self, text: &str, repair: Repair) -> Result<Option<Damage>> {
        let digest = parsed(text)?;
        if self.problem(&digest)?.is_none() {
            return Ok(None);
        }
        let stripe = self.stripe(&digest);
        let Some(what) = self.problem(&digest)? else {
            return Ok(None);
        };
        let dropped = repair == Repair::Drop;
        if dropped {
            self.drop_damaged(&digest)?;
        } else if let Ok(found) = fs::metadata(self.blob_path(&digest)) {
            self.database
                .write(|writer| note(writer, &digest, looks(&found), false))?;
        }
        drop(stripe);
        Ok(Some(Damage {
            used: self.users_of_blob(text)?,
            digest: text.to_owned(),
            what,
            dropped,
        }))
    }

    /// What is wrong with a blob that the database knows. Reads it.
    fn problem(&self, digest: &Digest) -> Result<Option<String>> {
        let Some(size) = self.known_size(digest)? else {
            return Ok(None);
        };
        let path = self.blob_path(digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Some("is missing".to_owned()));
            }
            Err(error) => return Ok(Some(format!("cannot be opened: {error}"))),
        };
        let found = file.metadata().map_err(io_at("stat", &path))?.len();
        if found != size {
            return Ok(Some(format!("has {found} bytes, and should have {size}")));
        }
        Ok(match hash(digest, &file, size) {
            Ok(found) if found == *digest => None,
            Ok(found) => Some(format!("has other bytes, those of {found}")),
            Err(error) => Some(format!("cannot be read: {error}")),
        })
    }

    /// Forgets a blob's content. Who has it still has: once it is pushed again, all is as it was. The caller holds its stripe.
    fn drop_damaged(&self, digest: &Digest) -> Result<()> {
        let size = self.database.write(|writer| {
            forget(writer, digest)?;
            let mut blobs = writer.open_table(BLOBS).map_err(failed("open a table"))?;
            let removed = blobs.remove(digest.as_str()).map_err(failed("remove"))?;
            Ok(removed.map(|row| row.value().0))
        })?;
        self.uncount(size);
        let path = self.blob_path(digest);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(io_at("remove", &path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Manifests lie in the database, which has checksums of its own; they are told, and mended by being pushed again.
    fn check_documents(&self, checked: &mut Checked) -> Result<()> {
        let mut damaged = Vec::new();
        {
            let reader = self.database.read()?;
            let documents = reader
                .open_table(DOCUMENTS)
                .map_err(failed("open a table"))?;
            for entry in documents.iter().map_err(failed("list"))? {
                let (key, bytes) = entry.map_err(failed("list"))?;
                checked.manifests += 1;
                if !parsed(key.value())?.matches(bytes.value()) {
                    damaged.push(key.value().to_owned());
                }
            }
        }
        for digest in damaged {
            let reader = self.database.read()?;
            let owners = reader
                .open_table(DOCUMENTS_OF)
                .map_err(failed("open a table"))?;
            let mut used = BTreeMap::new();
            for name in seconds(&owners, &digest, "", usize::MAX)? {
                let tags = self.tags_leading_to(&name, &digest)?;
                used.insert(name, tags);
            }
            checked.damaged.push(Damage {
                digest,
                what: "is a manifest with other bytes".to_owned(),
                used,
                dropped: false,
            });
        }
        Ok(())
    }

    fn users_of_blob(&self, digest: &str) -> Result<BTreeMap<String, BTreeSet<String>>> {
        let reader = self.database.read()?;
        let holders = reader
            .open_table(LINKS_OF)
            .map_err(failed("open a table"))?;
        let mut used = BTreeMap::new();
        for name in seconds(&holders, digest, "", usize::MAX)? {
            let tags = self.tags_leading_to(&name, digest)?;
            used.insert(name, tags);
        }
        Ok(used)
    }

    /// The tags of a repository that lead to this digest, through manifests and indexes.
    fn tags_leading_to(&self, name: &str, digest: &str) -> Result<BTreeSet<String>> {
        let reader = self.database.read()?;
        let uses = reader.open_table(USES).map_err(failed("open a table"))?;
        let tags = reader.open_table(TAGS).map_err(failed("open a table"))?;
        let mut found = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut level = vec![digest.to_owned()];
        for _ in 0..=MAX_DEPTH {
            let mut above = Vec::new();
            for one in level {
                found.extend(tags_of(&tags, name, &one)?);
                for user in thirds(&uses, (name, &one), "", usize::MAX)? {
                    if seen.insert(user.clone()) {
                        above.push(user);
                    }
                }
            }
            level = above;
        }
        Ok(found)
    }
}
