//! The tables of `store.redb`. One writer at a time, readers never wait; every commit is durable.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

mod counters;

#[cfg(test)]
pub(crate) use counters::Counters;

use oci::{Digest, Reference};
use redb::{ReadableDatabase, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::state::{BlobRecord, ImageRecord, LayerRecord, VERSION};
use crate::{Error, Result};

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const IMAGES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("images");
const NAMES: TableDefinition<'_, &str, &str> = TableDefinition::new("names");
const LAYERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("layers");
const DOCUMENTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("documents");
/// By diff ID: in which forms registries have the layer.
const BLOBS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("blobs");

/// Metadata is small: a larger cache would only be memory.
const CACHE: usize = 2 << 20;

pub(crate) struct Database {
    redb: redb::Database,
    /// Registries that a name without one may be of.
    unqualified: RwLock<Arc<[String]>>,
}

pub(crate) struct Reader(redb::ReadTransaction, Arc<[String]>);

pub(crate) struct Writer(redb::WriteTransaction);

impl Database {
    pub(crate) fn open(path: &Path) -> Result<Database> {
        let database = redb::Builder::new()
            .set_cache_size(CACHE)
            .create(path)
            .map_err(|error| match error {
                redb::DatabaseError::DatabaseAlreadyOpen => Error::InUse {
                    path: path.to_owned(),
                },
                other => failed("open")(other),
            })?;
        let database = Database {
            redb: database,
            unqualified: RwLock::new([].into()),
        };
        database.write(|tables| {
            tables.0.open_table(IMAGES).map_err(failed("make tables"))?;
            tables.0.open_table(NAMES).map_err(failed("make tables"))?;
            tables.0.open_table(LAYERS).map_err(failed("make tables"))?;
            tables
                .0
                .open_table(DOCUMENTS)
                .map_err(failed("make tables"))?;
            tables.0.open_table(BLOBS).map_err(failed("make tables"))?;
            let uses = tables.0.open_table(counters::USES);
            drop(uses.map_err(failed("make tables"))?);
            let mut meta = tables.0.open_table(META).map_err(failed("make tables"))?;
            let found = meta
                .get("version")
                .map_err(failed("read the version"))?
                .map(|v| v.value());
            match found {
                Some(VERSION) => Ok(()),
                None => meta
                    .insert("version", VERSION)
                    .map_err(failed("write the version"))
                    .map(drop),
                Some(other) => Err(Error::Damaged(format!(
                    "the image store at {} has format {other}; this program knows format {VERSION}",
                    path.display()
                ))),
            }
        })?;
        if !database.write(|tables| tables.is_counted())? {
            let counters = database.read()?.count()?;
            database.write(|tables| tables.put_counters(&counters))?;
        }
        Ok(database)
    }

    pub(crate) fn read(&self) -> Result<Reader> {
        let unqualified = Arc::clone(&self.unqualified());
        let begun = self.redb.begin_read().map_err(failed("begin to read"));
        Ok(Reader(begun?, unqualified))
    }

    /// See [`crate::Store::look_at`].
    pub(crate) fn look_at(&self, domains: &[String]) {
        *self
            .unqualified
            .write()
            .unwrap_or_else(PoisonError::into_inner) = domains.into();
    }

    fn unqualified(&self) -> RwLockReadGuard<'_, Arc<[String]>> {
        // One assignment cannot be left half done.
        self.unqualified
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` in one transaction, which becomes visible and durable as a whole, or not at all after an error.
    pub(crate) fn write<T>(&self, work: impl FnOnce(&mut Writer) -> Result<T>) -> Result<T> {
        let mut tables = Writer(self.redb.begin_write().map_err(failed("begin to write"))?);
        let result = work(&mut tables)?;
        tables.0.commit().map_err(failed("commit"))?;
        Ok(result)
    }
}

impl Reader {
    /// Registries that a name without one may be of.
    pub(crate) fn unqualified(&self) -> &[String] {
        &self.1
    }

    pub(crate) fn image(&self, id: &Digest) -> Result<Option<ImageRecord>> {
        let table = self.0.open_table(IMAGES).map_err(failed("open images"))?;
        table
            .get(id.as_str())
            .map_err(failed("read an image"))?
            .map(|v| decode(v.value()))
            .transpose()
    }

    pub(crate) fn layer(&self, diff_id: &Digest) -> Result<Option<LayerRecord>> {
        let table = self.0.open_table(LAYERS).map_err(failed("open layers"))?;
        table
            .get(diff_id.as_str())
            .map_err(failed("read a layer"))?
            .map(|v| decode(v.value()))
            .transpose()
    }

    pub(crate) fn document(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        let table = self
            .0
            .open_table(DOCUMENTS)
            .map_err(failed("open documents"))?;
        Ok(table
            .get(digest.as_str())
            .map_err(failed("read a document"))?
            .map(|v| v.value().to_vec()))
    }

    /// The image that a name means where nothing is said of a platform.
    pub(crate) fn name(&self, name: &Reference) -> Result<Option<Digest>> {
        Ok(self.bearers(name)?.into_iter().next())
    }

    /// All images that bear a name, [`Reader::name`]'s first: several where they are of one index.
    pub(crate) fn bearers(&self, name: &Reference) -> Result<Vec<Digest>> {
        let table = self.0.open_table(NAMES).map_err(failed("open names"))?;
        let found = table
            .get(&*name.canonical())
            .map_err(failed("read a name"))?;
        found.map_or(Ok(Vec::new()), |v| digests(v.value()))
    }

    pub(crate) fn images(&self) -> Result<Vec<(Digest, ImageRecord)>> {
        let table = self.0.open_table(IMAGES).map_err(failed("open images"))?;
        collect(&table, |key, value: &[u8]| {
            Ok((digest(key)?, decode(value)?))
        })
    }

    pub(crate) fn layers(&self) -> Result<Vec<(Digest, LayerRecord)>> {
        let table = self.0.open_table(LAYERS).map_err(failed("open layers"))?;
        collect(&table, |key, value: &[u8]| {
            Ok((digest(key)?, decode(value)?))
        })
    }

    /// All names, sorted, each with every image that bears it.
    pub(crate) fn names(&self) -> Result<Vec<(Reference, Digest)>> {
        let table = self.0.open_table(NAMES).map_err(failed("open names"))?;
        let all = collect(&table, |key, value: &str| {
            let name: Reference = key
                .parse()
                .map_err(|_| Error::Damaged(format!("image store: {key:?} is no name")))?;
            let pairs = digests(value)?.into_iter();
            Ok(pairs.map(|id| (name.clone(), id)).collect::<Vec<_>>())
        })?;
        Ok(all.into_iter().flatten().collect())
    }

    pub(crate) fn documents(&self) -> Result<Vec<Digest>> {
        let table = self
            .0
            .open_table(DOCUMENTS)
            .map_err(failed("open documents"))?;
        collect(&table, |key, _: &[u8]| digest(key))
    }

    /// Registries' forms of a layer.
    pub(crate) fn blobs(&self, diff_id: &Digest) -> Result<Vec<BlobRecord>> {
        let table = self.0.open_table(BLOBS).map_err(failed("open blobs"))?;
        let found = table
            .get(diff_id.as_str())
            .map_err(failed("read the blobs of a layer"))?;
        found.map_or(Ok(Vec::new()), |v| decode(v.value()))
    }

    /// Digests of images whose hexadecimal form starts with `prefix`; two are enough to know it is ambiguous.
    pub(crate) fn images_by_prefix(&self, prefix: &str) -> Result<Vec<Digest>> {
        let table = self.0.open_table(IMAGES).map_err(failed("open images"))?;
        let start = format!("sha256:{prefix}");
        let mut found = Vec::new();
        for item in table
            .range(&*start..)
            .map_err(failed("search images"))?
            .take(2)
        {
            let (key, _) = item.map_err(failed("search images"))?;
            if key.value().starts_with(&start) {
                found.push(digest(key.value())?);
            }
        }
        Ok(found)
    }
}

impl Writer {
    pub(crate) fn put_image(&mut self, id: &Digest, record: &ImageRecord) -> Result<()> {
        let old = self.image(id)?;
        self.count_image(old.as_ref(), Some(record))?;
        self.put(IMAGES, id, &encode(record))
    }

    pub(crate) fn put_layer(&mut self, diff_id: &Digest, record: &LayerRecord) -> Result<()> {
        let old = self.layer(diff_id)?;
        self.count_layer(old.as_ref(), Some(record))?;
        self.put(LAYERS, diff_id, &encode(record))
    }

    pub(crate) fn put_document(&mut self, digest: &Digest, bytes: &[u8]) -> Result<()> {
        self.put(DOCUMENTS, digest, bytes)
    }

    /// Gives a name to these images, the one it means by itself first, and takes it from all others.
    pub(crate) fn put_name(&mut self, name: &Reference, bearers: &[Digest]) -> Result<()> {
        let mut table = self.0.open_table(NAMES).map_err(failed("open names"))?;
        let ids: Vec<&str> = bearers.iter().map(Digest::as_str).collect();
        table
            .insert(&*name.canonical(), &*ids.join(" "))
            .map_err(failed("write a name"))
            .map(drop)
    }

    pub(crate) fn remove_name(&mut self, name: &Reference) -> Result<()> {
        let mut table = self.0.open_table(NAMES).map_err(failed("open names"))?;
        table
            .remove(&*name.canonical())
            .map_err(failed("remove a name"))
            .map(drop)
    }

    pub(crate) fn remove_image(&mut self, id: &Digest) -> Result<()> {
        let old = self.image(id)?;
        self.count_image(old.as_ref(), None)?;
        self.remove(IMAGES, id)
    }

    pub(crate) fn remove_layer(&mut self, diff_id: &Digest) -> Result<()> {
        let old = self.layer(diff_id)?;
        self.count_layer(old.as_ref(), None)?;
        self.remove(BLOBS, diff_id)?;
        self.remove(LAYERS, diff_id)
    }

    pub(crate) fn put_blobs(&mut self, diff_id: &Digest, blobs: &[BlobRecord]) -> Result<()> {
        self.put(BLOBS, diff_id, &encode(&blobs))
    }

    pub(crate) fn remove_document(&mut self, digest: &Digest) -> Result<()> {
        self.remove(DOCUMENTS, digest)
    }

    fn put(
        &mut self,
        table: TableDefinition<'_, &str, &[u8]>,
        key: &Digest,
        value: &[u8],
    ) -> Result<()> {
        let mut table = self.0.open_table(table).map_err(failed("open a table"))?;
        table
            .insert(key.as_str(), value)
            .map_err(failed("write"))
            .map(drop)
    }

    fn remove(&mut self, table: TableDefinition<'_, &str, &[u8]>, key: &Digest) -> Result<()> {
        let mut table = self.0.open_table(table).map_err(failed("open a table"))?;
        table
            .remove(key.as_str())
            .map_err(failed("remove"))
            .map(drop)
    }
}

fn collect<V: redb::Value + 'static, T>(
    table: &redb::ReadOnlyTable<&'static str, V>,
    mut make: impl FnMut(&str, V::SelfType<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut all = Vec::new();
    for item in table.iter().map_err(failed("list"))? {
        let (key, value) = item.map_err(failed("list"))?;
        all.push(make(key.value(), value.value())?);
    }
    Ok(all)
}

fn encode(record: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(record).expect("records have string keys only")
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes)
        .map_err(|e| Error::Damaged(format!("image store: unreadable record: {e}")))
}

/// What a name stands for: one image, or several with spaces between.
fn digests(text: &str) -> Result<Vec<Digest>> {
    text.split(' ').map(digest).collect()
}

fn digest(text: &str) -> Result<Digest> {
    text.parse()
        .map_err(|e| Error::Damaged(format!("image store: {text:?}: {e}")))
}

fn failed<E: Into<redb::Error>>(what: &'static str) -> impl Fn(E) -> Error {
    move |error| Error::Database {
        what,
        source: Box::new(error.into()),
    }
}
