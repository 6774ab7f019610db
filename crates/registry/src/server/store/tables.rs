//! The tables of `registry.redb`. One writer at a time, readers never wait; every commit is durable and whole.
//!
//! ```text
//! repositories  name                      -> when it got its first manifest
//! tags          name, tag                 -> digest, when it was set
//! manifests     name, digest              -> media type, size, when it was last pushed or asked for by a push
//! documents     digest                    -> the manifest's bytes, once for all repositories
//! documents_of  digest, name              -> ()   who has the document
//! blobs         digest                    -> size, when it came
//! seals         digest                    -> inode, mtime and ctime of the blob's file, whether its bytes were good
//! links         name, digest              -> when it was last pushed, mounted or asked for by a push
//! links_of      digest, name              -> ()   the same pairs the other way round
//! uses          name, part, manifest      -> ()   which manifests of a repository name a blob or a manifest
//! referrers     name, subject, manifest   -> ()
//! ```
//!
//! `documents_of`, `links_of`, `uses` and `referrers` are indexes: they change in the transaction that changes what
//! they follow from, so nothing has to be marked before it can be swept.

use std::path::Path;

use ::database::Handle;
use redb::TableDefinition;

use super::error::{Error, Result, failed};

pub(crate) type Pair = (&'static str, &'static str);
pub(crate) type Triple = (&'static str, &'static str, &'static str);

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
pub(crate) const REPOSITORIES: TableDefinition<'_, &str, u64> =
    TableDefinition::new("repositories");
pub(crate) const TAGS: TableDefinition<'_, Pair, (&str, u64)> = TableDefinition::new("tags");
pub(crate) const MANIFESTS: TableDefinition<'_, Pair, (&str, u64, u64)> =
    TableDefinition::new("manifests");
pub(crate) const DOCUMENTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("documents");
pub(crate) const DOCUMENTS_OF: TableDefinition<'_, Pair, ()> = TableDefinition::new("documents_of");
pub(crate) const BLOBS: TableDefinition<'_, &str, (u64, u64)> = TableDefinition::new("blobs");
pub(crate) const SEALS: TableDefinition<'_, &str, (u64, i128, i128, bool)> =
    TableDefinition::new("seals");
pub(crate) const LINKS: TableDefinition<'_, Pair, u64> = TableDefinition::new("links");
pub(crate) const LINKS_OF: TableDefinition<'_, Pair, ()> = TableDefinition::new("links_of");
pub(crate) const USES: TableDefinition<'_, Triple, ()> = TableDefinition::new("uses");
pub(crate) const REFERRERS: TableDefinition<'_, Triple, ()> = TableDefinition::new("referrers");

const VERSION: u64 = 1;
const CACHE: usize = 8 << 20;

pub(crate) struct Database(Handle);

impl Database {
    pub(crate) fn open(path: &Path) -> Result<Database> {
        let opened = Handle::open(path, CACHE);
        let database = Database(opened.map_err(|error| match error {
            redb::DatabaseError::DatabaseAlreadyOpen => Error::InUse(path.to_owned()),
            other => failed("open")(other),
        })?);
        database.write(make)?;
        Ok(database)
    }

    pub(crate) fn read(&self) -> Result<redb::ReadTransaction> {
        self.0.read().map_err(failed("begin to read"))
    }

    /// Runs `work` in one transaction, which becomes visible and durable as a whole, or not at all after an error.
    pub(crate) fn write<T>(
        &self,
        work: impl FnOnce(&redb::WriteTransaction) -> Result<T>,
    ) -> Result<T> {
        self.0
            .write(failed("begin to write"), |writer| carry(writer, work))
    }

    /// The same for what gives room back, which must be possible when the disk has none.
    pub(crate) fn write_less<T>(
        &self,
        work: impl FnOnce(&redb::WriteTransaction) -> Result<T>,
    ) -> Result<T> {
        self.0
            .write_less(failed("begin to write"), |writer| carry(writer, work))
    }
}

fn carry<T>(
    writer: redb::WriteTransaction,
    work: impl FnOnce(&redb::WriteTransaction) -> Result<T>,
) -> Result<T> {
    let result = work(&writer)?;
    writer.commit().map_err(failed("commit"))?;
    Ok(result)
}

fn make(writer: &redb::WriteTransaction) -> Result<()> {
    const STEP: &str = "make tables";
    writer.open_table(REPOSITORIES).map_err(failed(STEP))?;
    writer.open_table(TAGS).map_err(failed(STEP))?;
    writer.open_table(MANIFESTS).map_err(failed(STEP))?;
    writer.open_table(DOCUMENTS).map_err(failed(STEP))?;
    writer.open_table(DOCUMENTS_OF).map_err(failed(STEP))?;
    writer.open_table(BLOBS).map_err(failed(STEP))?;
    writer.open_table(SEALS).map_err(failed(STEP))?;
    writer.open_table(LINKS).map_err(failed(STEP))?;
    writer.open_table(LINKS_OF).map_err(failed(STEP))?;
    writer.open_table(USES).map_err(failed(STEP))?;
    writer.open_table(REFERRERS).map_err(failed(STEP))?;
    let mut meta = writer.open_table(META).map_err(failed(STEP))?;
    let found = meta
        .insert("version", VERSION)
        .map_err(failed("write the version"))?
        .map(|v| v.value());
    match found {
        None | Some(VERSION) => Ok(()),
        Some(other) => Err(Error::Damaged(format!(
            "it has format {other}, and this program knows format {VERSION}"
        ))),
    }
}

/// The value under `key`, made into something owned.
pub(crate) fn get<K, V, T>(
    table: &impl redb::ReadableTable<K, V>,
    key: K::SelfType<'_>,
    own: impl FnOnce(V::SelfType<'_>) -> T,
) -> Result<Option<T>>
where
    K: redb::Key + 'static,
    V: redb::Value + 'static,
{
    let found = table.get(key).map_err(failed("read"))?;
    Ok(found.map(|value| own(value.value())))
}

/// The second halves of the pairs that begin with `first`, after `after`, at most `count`, in their order.
pub(crate) fn seconds<V: redb::Value + 'static>(
    table: &impl redb::ReadableTable<Pair, V>,
    first: &str,
    after: &str,
    count: usize,
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in table.range((first, after)..).map_err(failed("list"))? {
        let (key, _) = entry.map_err(failed("list"))?;
        let (one, two) = key.value();
        if one != first || found.len() == count {
            break;
        }
        if two > after || after.is_empty() {
            found.push(two.to_owned());
        }
    }
    Ok(found)
}

/// The last thirds of the triples that begin with `first` and `second`, after `after`, at most `count`.
pub(crate) fn thirds(
    table: &impl redb::ReadableTable<Triple, ()>,
    (first, second): (&str, &str),
    after: &str,
    count: usize,
) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let range = table.range((first, second, after)..);
    for entry in range.map_err(failed("list"))? {
        let (key, ()) = entry.map(|(k, _)| (k, ())).map_err(failed("list"))?;
        let (one, two, three) = key.value();
        if one != first || two != second || found.len() == count {
            break;
        }
        if three > after || after.is_empty() {
            found.push(three.to_owned());
        }
    }
    Ok(found)
}
