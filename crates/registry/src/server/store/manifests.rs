//! Manifests and tags.

use oci::{Descriptor, Digest};
use redb::WriteTransaction;

use super::document::Document;
use super::error::{Error, Result, failed};
use super::tables::{
    BLOBS, DOCUMENTS, DOCUMENTS_OF, LINKS, MANIFESTS, REFERRERS, REPOSITORIES, TAGS, USES, get,
    seconds, thirds,
};
use super::{Store, now};
use crate::server::name::{Name, Reach, Tag};

/// Whether what a manifest names must be there before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parts {
    Required,
    /// A cache takes manifests before their parts.
    MayLack,
}

/// A manifest that has been taken in.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) digest: Digest,
    pub(crate) subject: Option<Digest>,
}

/// A manifest as it was pushed.
#[derive(Clone, Debug)]
pub(crate) struct Fetched {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) bytes: Vec<u8>,
    /// When its tag was set, or the manifest was pushed.
    pub(crate) at: u64,
}

impl Store {
    /// Takes in a manifest under a tag or its digest.
    pub(crate) fn put_manifest(
        &self,
        name: &Name,
        reach: &Reach,
        content_type: Option<&str>,
        bytes: &[u8],
        parts: Parts,
    ) -> Result<Stored> {
        let document = Document::parse(bytes, content_type)?;
        let digest = match reach {
            Reach::Tag(_) => Digest::sha256(bytes),
            Reach::Digest(said) => digest_as(said, bytes)?,
        };
        self.database.write(|writer| {
            if parts == Parts::Required {
                check_parts(writer, name, &document)?;
            }
            insert(writer, name, &digest, &document, bytes)?;
            if let Reach::Tag(tag) = reach {
                let mut tags = writer.open_table(TAGS).map_err(failed("open a table"))?;
                let row = (digest.as_str(), now());
                tags.insert((name.as_str(), tag.as_str()), row)
                    .map_err(failed("write"))?;
            }
            Ok(())
        })?;
        Ok(Stored {
            digest,
            subject: document.subject,
        })
    }

    pub(crate) fn manifest(&self, name: &Name, reach: &Reach) -> Result<Fetched> {
        let reader = self.database.read()?;
        let unknown = || Error::ManifestUnknown(reach.to_string());
        let (digest, tagged) = match reach {
            Reach::Digest(digest) => (digest.to_string(), None),
            Reach::Tag(tag) => {
                let tags = reader.open_table(TAGS).map_err(failed("open a table"))?;
                let key = (name.as_str(), tag.as_str());
                let found = get(&tags, key, |(digest, at)| (digest.to_owned(), at))?;
                found
                    .map(|(digest, at)| (digest, Some(at)))
                    .ok_or_else(unknown)?
            }
        };
        let manifests = reader
            .open_table(MANIFESTS)
            .map_err(failed("open a table"))?;
        let key = (name.as_str(), digest.as_str());
        let row = get(&manifests, key, |(kind, _, at)| (kind.to_owned(), at))?;
        let (media_type, pushed) = row.ok_or_else(unknown)?;
        let documents = reader
            .open_table(DOCUMENTS)
            .map_err(failed("open a table"))?;
        let bytes = get(&documents, digest.as_str(), <[u8]>::to_vec)?
            .ok_or_else(|| Error::Damaged(format!("manifest {digest} has no content")))?;
        Ok(Fetched {
            digest: parsed(&digest)?,
            media_type,
            bytes,
            at: tagged.unwrap_or(pushed),
        })
    }

    /// As [`Store::touch_blob`], for a manifest that a push found here and need not send again.
    pub(crate) fn touch_manifest(
        &self,
        name: &Name,
        digest: &Digest,
        unless_within: u64,
    ) -> Result<()> {
        let key = (name.as_str(), digest.as_str());
        let reader = self.database.read()?;
        let manifests = reader
            .open_table(MANIFESTS)
            .map_err(failed("open a table"))?;
        let touched = get(&manifests, key, |(_, _, at)| at)?;
        if touched.is_none_or(|at| at + unless_within > now()) {
            return Ok(());
        }
        self.database.write(|writer| {
            let mut manifests = writer
                .open_table(MANIFESTS)
                .map_err(failed("open a table"))?;
            let row = get(&manifests, key, |(kind, size, _)| (kind.to_owned(), size))?;
            if let Some((kind, size)) = row {
                manifests
                    .insert(key, (kind.as_str(), size, now()))
                    .map_err(failed("write"))?;
            }
            Ok(())
        })
    }

    /// Removes a tag; its manifest stays.
    pub(crate) fn delete_tag(&self, name: &Name, tag: &Tag) -> Result<()> {
        self.database.write_less(|writer| {
            let mut tags = writer.open_table(TAGS).map_err(failed("open a table"))?;
            let key = (name.as_str(), tag.as_str());
            let removed = tags.remove(key).map_err(failed("remove"))?.is_some();
            removed
                .then_some(())
                .ok_or_else(|| Error::ManifestUnknown(tag.to_string()))
        })
    }

    /// Removes a manifest and the tags that lead to it. What it named is collected later.
    pub(crate) fn delete_manifest(&self, name: &Name, digest: &Digest) -> Result<()> {
        self.database.write_less(|writer| {
            let manifests = writer
                .open_table(MANIFESTS)
                .map_err(failed("open a table"))?;
            get(&manifests, (name.as_str(), digest.as_str()), |_| ())?
                .ok_or_else(|| Error::ManifestUnknown(digest.to_string()))?;
            drop(manifests);
            remove(writer, name.as_str(), digest.as_str())
        })
    }

    /// The referrers of a manifest, as descriptors, at most `count` after the digest `after`.
    pub(crate) fn referrers(
        &self,
        name: &Name,
        subject: &Digest,
        artifact_types: &[&str],
        (after, count): (&str, usize),
    ) -> Result<Vec<Descriptor>> {
        let reader = self.database.read()?;
        let referrers = reader
            .open_table(REFERRERS)
            .map_err(failed("open a table"))?;
        let documents = reader
            .open_table(DOCUMENTS)
            .map_err(failed("open a table"))?;
        let manifests = reader
            .open_table(MANIFESTS)
            .map_err(failed("open a table"))?;
        let mut found = Vec::new();
        let mut after = after.to_owned();
        // The filter may leave few of many.
        loop {
            let some = thirds(&referrers, (name.as_str(), subject.as_str()), &after, 256)?;
            let Some(last) = some.last() else {
                return Ok(found);
            };
            after.clone_from(last);
            for digest in some {
                let key = (name.as_str(), digest.as_str());
                let kind =
                    get(&manifests, key, |(kind, _, _)| kind.to_owned())?.unwrap_or_default();
                let read = get(&documents, digest.as_str(), |bytes| {
                    describe(bytes, &digest, &kind)
                })?;
                let descriptor = read.transpose()?;
                let fits = |d: &Descriptor| {
                    artifact_types.is_empty()
                        || artifact_types
                            .iter()
                            .any(|t| d.artifact_type.as_deref() == Some(t))
                };
                found.extend(descriptor.filter(fits));
                if found.len() == count {
                    return Ok(found);
                }
            }
        }
    }
}

fn describe(bytes: &[u8], digest: &str, media_type: &str) -> Result<Descriptor> {
    let document = Document::parse(bytes, Some(media_type))?;
    let size = bytes.len() as u64;
    let mut descriptor = Descriptor::new(media_type, parsed(digest)?, size);
    descriptor.artifact_type = document.artifact_type;
    descriptor.annotations = document.annotations;
    Ok(descriptor)
}

fn digest_as(said: &Digest, bytes: &[u8]) -> Result<Digest> {
    let mut hasher = said.algorithm().hasher();
    hasher.update(bytes);
    let found = hasher.finish();
    if found == *said {
        return Ok(found);
    }
    Err(Error::Digest {
        said: said.clone(),
        found,
    })
}

fn check_parts(writer: &WriteTransaction, name: &Name, document: &Document) -> Result<()> {
    let links = writer.open_table(LINKS).map_err(failed("open a table"))?;
    let blobs = writer.open_table(BLOBS).map_err(failed("open a table"))?;
    let manifests = writer
        .open_table(MANIFESTS)
        .map_err(failed("open a table"))?;
    let mut missing = Vec::new();
    let mut check = |descriptor: &Descriptor, found: Option<u64>| match found {
        None => {
            missing.push(descriptor.digest.clone());
            Ok(())
        }
        Some(found) if found == descriptor.size => Ok(()),
        Some(found) => Err(Error::Size {
            digest: descriptor.digest.clone(),
            said: descriptor.size,
            found,
        }),
    };
    for blob in &document.blobs {
        let linked = get(&links, (name.as_str(), blob.digest.as_str()), drop)?;
        let size = match linked {
            Some(()) => get(&blobs, blob.digest.as_str(), |(size, _)| size)?,
            None => None,
        };
        check(blob, size)?;
    }
    for child in &document.manifests {
        let key = (name.as_str(), child.digest.as_str());
        check(child, get(&manifests, key, |(_, size, _)| size)?)?;
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Error::MissingParts(missing))
    }
}

fn insert(
    writer: &WriteTransaction,
    name: &Name,
    digest: &Digest,
    document: &Document,
    bytes: &[u8],
) -> Result<()> {
    let (name, key) = (name.as_str(), digest.as_str());
    let mut manifests = writer
        .open_table(MANIFESTS)
        .map_err(failed("open a table"))?;
    let row = (document.media_type.as_str(), bytes.len() as u64, now());
    let known = manifests
        .insert((name, key), row)
        .map_err(failed("write"))?
        .is_some();
    if known {
        return Ok(());
    }
    let mut repositories = writer
        .open_table(REPOSITORIES)
        .map_err(failed("open a table"))?;
    if get(&repositories, name, drop)?.is_none() {
        repositories.insert(name, now()).map_err(failed("write"))?;
    }
    let mut documents = writer
        .open_table(DOCUMENTS)
        .map_err(failed("open a table"))?;
    documents.insert(key, bytes).map_err(failed("write"))?;
    let mut holders = writer
        .open_table(DOCUMENTS_OF)
        .map_err(failed("open a table"))?;
    holders.insert((key, name), ()).map_err(failed("write"))?;
    let mut uses = writer.open_table(USES).map_err(failed("open a table"))?;
    for part in document.parts() {
        let row = (name, part.digest.as_str(), key);
        uses.insert(row, ()).map_err(failed("write"))?;
    }
    if let Some(subject) = &document.subject {
        let mut referrers = writer
            .open_table(REFERRERS)
            .map_err(failed("open a table"))?;
        let row = (name, subject.as_str(), key);
        referrers.insert(row, ()).map_err(failed("write"))?;
    }
    Ok(())
}

/// Takes a manifest out of a repository with everything that followed from it.
pub(super) fn remove(writer: &WriteTransaction, name: &str, digest: &str) -> Result<()> {
    let mut manifests = writer
        .open_table(MANIFESTS)
        .map_err(failed("open a table"))?;
    manifests.remove((name, digest)).map_err(failed("remove"))?;
    let mut documents = writer
        .open_table(DOCUMENTS)
        .map_err(failed("open a table"))?;
    if let Some(bytes) = get(&documents, digest, <[u8]>::to_vec)? {
        forget_parts(writer, name, digest, &bytes)?;
    }
    let mut holders = writer
        .open_table(DOCUMENTS_OF)
        .map_err(failed("open a table"))?;
    holders.remove((digest, name)).map_err(failed("remove"))?;
    if seconds(&holders, digest, "", 1)?.is_empty() {
        documents.remove(digest).map_err(failed("remove"))?;
    }
    let mut tags = writer.open_table(TAGS).map_err(failed("open a table"))?;
    for tag in tags_of(&tags, name, digest)? {
        tags.remove((name, tag.as_str()))
            .map_err(failed("remove"))?;
    }
    if seconds(&manifests, name, "", 1)?.is_empty() {
        let mut repositories = writer
            .open_table(REPOSITORIES)
            .map_err(failed("open a table"))?;
        repositories.remove(name).map_err(failed("remove"))?;
    }
    Ok(())
}

fn forget_parts(writer: &WriteTransaction, name: &str, digest: &str, bytes: &[u8]) -> Result<()> {
    let document = Document::parse(bytes, None)?;
    let mut uses = writer.open_table(USES).map_err(failed("open a table"))?;
    for part in document.parts() {
        let row = (name, part.digest.as_str(), digest);
        uses.remove(row).map_err(failed("remove"))?;
    }
    if let Some(subject) = &document.subject {
        let mut referrers = writer
            .open_table(REFERRERS)
            .map_err(failed("open a table"))?;
        let row = (name, subject.as_str(), digest);
        referrers.remove(row).map_err(failed("remove"))?;
    }
    Ok(())
}

/// What a manifest refers to.
pub(super) fn subject_of(writer: &WriteTransaction, digest: &str) -> Result<Option<Digest>> {
    let documents = writer
        .open_table(DOCUMENTS)
        .map_err(failed("open a table"))?;
    let bytes = get(&documents, digest, <[u8]>::to_vec)?;
    Ok(bytes
        .and_then(|bytes| Document::parse(&bytes, None).ok())
        .and_then(|document| document.subject))
}

/// The tags of a repository that lead to a manifest.
pub(super) fn tags_of(
    tags: &impl redb::ReadableTable<super::tables::Pair, (&'static str, u64)>,
    name: &str,
    digest: &str,
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in tags.range((name, "")..).map_err(failed("list"))? {
        let (key, row) = entry.map_err(failed("list"))?;
        let (repository, tag) = key.value();
        if repository != name {
            break;
        }
        if row.value().0 == digest {
            found.push(tag.to_owned());
        }
    }
    Ok(found)
}

pub(super) fn parsed(digest: &str) -> Result<Digest> {
    digest
        .parse()
        .map_err(|e| Error::Damaged(format!("{digest:?}: {e}")))
}
