//! The tables of `store.redb`. One writer at a time, readers never wait; every commit is durable.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

mod counters;
mod index;
mod read;
mod write;

#[cfg(test)]
pub(crate) use counters::Counters;

use ::database::Handle;
use oci::{Digest, Reference};
use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::state::VERSION;
use crate::{Error, Result};

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const IMAGES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("images");
const NAMES: TableDefinition<'_, &str, &str> = TableDefinition::new("names");
/// By name: the descriptor of the index that the name came from. One that came from a manifest has no entry.
const NAME_INDEXES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("name-indexes");
const LAYERS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("layers");
const DOCUMENTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("documents");
/// By diff ID: in which forms registries have the layer.
const BLOBS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("blobs");

/// The tables whose values are text or JSON, besides [`NAMES`].
const RECORDS: [TableDefinition<'_, &str, &[u8]>; 5] =
    [IMAGES, LAYERS, DOCUMENTS, BLOBS, NAME_INDEXES];

/// Metadata is small: a larger cache would only be memory.
const CACHE: usize = 2 << 20;

pub(crate) struct Database {
    redb: Handle,
    /// Registries that a name without one may be of.
    unqualified: RwLock<Arc<[String]>>,
}

/// The tables as one transaction sees them: a [`Writer`] sees what it has written itself.
pub(crate) struct Tables<T> {
    transaction: T,
    /// Registries that a name without one may be of.
    unqualified: Arc<[String]>,
}

pub(crate) type Reader = Tables<ReadTransaction>;
pub(crate) type Writer = Tables<WriteTransaction>;

/// What reading needs of a transaction.
pub(crate) trait Transaction {
    type Table<'t, V: redb::Value + 'static>: ReadableTable<&'static str, V>
    where
        Self: 't;

    fn table<V: redb::Value + 'static>(
        &self,
        table: TableDefinition<'static, &'static str, V>,
    ) -> Result<Self::Table<'_, V>, TableError>;
}

impl Transaction for ReadTransaction {
    type Table<'t, V: redb::Value + 'static> = redb::ReadOnlyTable<&'static str, V>;

    fn table<V: redb::Value + 'static>(
        &self,
        table: TableDefinition<'static, &'static str, V>,
    ) -> Result<Self::Table<'_, V>, TableError> {
        self.open_table(table)
    }
}

impl Transaction for WriteTransaction {
    type Table<'t, V: redb::Value + 'static> = redb::Table<'t, &'static str, V>;

    fn table<V: redb::Value + 'static>(
        &self,
        table: TableDefinition<'static, &'static str, V>,
    ) -> Result<Self::Table<'_, V>, TableError> {
        self.open_table(table)
    }
}

impl Database {
    pub(crate) fn open(path: &Path) -> Result<Database> {
        let database = Handle::open(path, CACHE).map_err(|error| match error {
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
            for table in RECORDS {
                drop(tables.table(table)?);
            }
            drop(tables.table(NAMES)?);
            tables.make_counters()?;
            match tables.swap_version(VERSION)? {
                Some(VERSION) if tables.is_counted()? => Ok(()),
                // Version 1 had fewer indexes, or none; they are all made from the records.
                None | Some(1..=VERSION) => {
                    let counters = tables.count()?;
                    tables.put_counters(&counters)
                }
                Some(other) => Err(Error::Damaged(format!(
                    "the image store at {} has format {other}; this program knows format {VERSION}",
                    path.display()
                ))),
            }?;
            tables.give_indexes_to_names()
        })?;
        Ok(database)
    }

    pub(crate) fn read(&self) -> Result<Reader> {
        let unqualified = Arc::clone(&self.unqualified());
        let begun = self.redb.read().map_err(failed("begin to read"));
        Ok(Tables {
            transaction: begun?,
            unqualified,
        })
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
        self.redb
            .write(failed("begin to write"), |begun| self.carry(begun, work))
    }

    /// The same for what gives room back, which must be possible when the disk has none.
    pub(crate) fn write_less<T>(&self, work: impl FnOnce(&mut Writer) -> Result<T>) -> Result<T> {
        self.redb
            .write_less(failed("begin to write"), |begun| self.carry(begun, work))
    }

    fn carry<T>(
        &self,
        transaction: WriteTransaction,
        work: impl FnOnce(&mut Writer) -> Result<T>,
    ) -> Result<T> {
        let unqualified = Arc::clone(&self.unqualified());
        let mut tables = Tables {
            transaction,
            unqualified,
        };
        let result = work(&mut tables)?;
        tables.transaction.commit().map_err(failed("commit"))?;
        Ok(result)
    }
}

impl<T: Transaction> Tables<T> {
    fn table<V: redb::Value + 'static>(
        &self,
        table: TableDefinition<'static, &'static str, V>,
    ) -> Result<T::Table<'_, V>> {
        self.transaction
            .table(table)
            .map_err(failed("open a table"))
    }
}

fn collect<V: redb::Value + 'static, T>(
    table: &impl ReadableTable<&'static str, V>,
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

fn name(text: &str) -> Result<Reference> {
    text.parse()
        .map_err(|_| Error::Damaged(format!("image store: {text:?} is no name")))
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

#[cfg(test)]
mod tests;
