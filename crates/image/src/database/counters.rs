//! Sums that would be slow to make each time, changed in the very transaction that changes what they count.

use std::collections::{BTreeMap, BTreeSet};

use oci::Digest;
use redb::{ReadableTable, TableDefinition};

use super::index::{self, CHILDREN, NAMES_OF};
use super::{META, Tables, Transaction, Writer, collect, failed};
use crate::Result;
use crate::state::{ImageRecord, LayerRecord};

/// By diff ID: how many images name the layer. A layer that none names has no entry.
const USES: TableDefinition<'_, &str, u64> = TableDefinition::new("uses");
/// By digest: how many images name the document, their own config included.
const DOCUMENT_USES: TableDefinition<'_, &str, u64> = TableDefinition::new("document-uses");

const COUNTED: &str = "counted";
const IMAGE_COUNT: &str = "images";
const LAYERS_SIZE: &str = "layers-size";

/// What counters and indexes say of the whole store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) images: u64,
    /// Bytes of all layers' files.
    pub(crate) layers_size: u64,
    /// By diff ID.
    pub(crate) uses: BTreeMap<String, u64>,
    pub(crate) document_uses: BTreeMap<String, u64>,
    /// See [`NAMES_OF`].
    pub(crate) names_of: BTreeSet<String>,
    /// See [`CHILDREN`].
    pub(crate) children: BTreeSet<String>,
}

impl<T: Transaction> Tables<T> {
    pub(crate) fn image_count(&self) -> Result<u64> {
        self.counter(IMAGE_COUNT)
    }

    pub(crate) fn layers_size(&self) -> Result<u64> {
        self.counter(LAYERS_SIZE)
    }

    /// How many images name a layer.
    pub(crate) fn uses(&self, diff_id: &Digest) -> Result<u64> {
        let table = self.table(USES)?;
        let uses = table.get(diff_id.as_str()).map_err(failed("read uses"))?;
        Ok(uses.map_or(0, |v| v.value()))
    }

    /// All counters and indexes as they are kept.
    pub(crate) fn counters(&self) -> Result<Counters> {
        let counts = |table| -> Result<BTreeMap<String, u64>> {
            let pairs = collect(&self.table(table)?, |key, n: u64| Ok((key.to_owned(), n)));
            Ok(pairs?.into_iter().collect())
        };
        let keys = |table| -> Result<BTreeSet<String>> {
            let keys = collect(&self.table(table)?, |key, (): ()| Ok(key.to_owned()));
            Ok(keys?.into_iter().collect())
        };
        Ok(Counters {
            images: self.image_count()?,
            layers_size: self.layers_size()?,
            uses: counts(USES)?,
            document_uses: counts(DOCUMENT_USES)?,
            names_of: keys(NAMES_OF)?,
            children: keys(CHILDREN)?,
        })
    }

    /// All counters and indexes as they should be.
    pub(crate) fn count(&self) -> Result<Counters> {
        let images = self.images()?;
        let mut counters = Counters {
            images: images.len() as u64,
            layers_size: self.layers()?.iter().map(|(_, layer)| layer.size).sum(),
            ..Counters::default()
        };
        for (id, record) in &images {
            for diff_id in layers_of(record) {
                *counters.uses.entry(diff_id.to_string()).or_default() += 1;
            }
            for document in documents_of(id, record) {
                let uses = counters.document_uses.entry(document.to_string());
                *uses.or_default() += 1;
            }
            let child = record
                .parent
                .as_ref()
                .map(|parent| index::pair(parent, id.as_str()));
            counters.children.extend(child);
        }
        for (name, id) in self.names()? {
            let pair = index::pair(&id, &name.canonical());
            counters.names_of.insert(pair);
        }
        Ok(counters)
    }

    fn counter(&self, name: &str) -> Result<u64> {
        let table = self.table(META)?;
        let value = table.get(name).map_err(failed("read a counter"))?;
        Ok(value.map_or(0, |v| v.value()))
    }

    /// Whether this store has counters; those of earlier versions had none.
    pub(super) fn is_counted(&self) -> Result<bool> {
        Ok(self.counter(COUNTED)? > 0)
    }
}

impl Writer {
    /// Makes the tables where they are not there.
    pub(super) fn make_counters(&mut self) -> Result<()> {
        drop((self.table(USES)?, self.table(DOCUMENT_USES)?));
        drop((self.table(NAMES_OF)?, self.table(CHILDREN)?));
        drop(self.table(META)?);
        Ok(())
    }

    /// Sets all counters and indexes.
    pub(crate) fn put_counters(&mut self, counters: &Counters) -> Result<()> {
        for (table, counts) in [
            (USES, &counters.uses),
            (DOCUMENT_USES, &counters.document_uses),
        ] {
            let mut table = self.table(table)?;
            table.retain(|_, _| false).map_err(failed("clear uses"))?;
            for (digest, count) in counts {
                let written = table.insert(&**digest, count);
                written.map_err(failed("write uses"))?;
            }
        }
        for (table, pairs) in [
            (NAMES_OF, &counters.names_of),
            (CHILDREN, &counters.children),
        ] {
            let mut table = self.table(table)?;
            let cleared = table.retain(|_, ()| false);
            cleared.map_err(failed("clear an index"))?;
            for pair in pairs {
                let written = table.insert(&**pair, ());
                written.map_err(failed("write an index"))?;
            }
        }
        let mut meta = self.table(META)?;
        for (name, value) in [
            (COUNTED, 1),
            (IMAGE_COUNT, counters.images),
            (LAYERS_SIZE, counters.layers_size),
        ] {
            meta.insert(name, value)
                .map_err(failed("write a counter"))?;
        }
        Ok(())
    }

    /// Counts an image's record in place of the one before; says which documents no image names any more.
    pub(super) fn count_image(
        &mut self,
        id: &Digest,
        old: Option<&ImageRecord>,
        new: Option<&ImageRecord>,
    ) -> Result<Vec<Digest>> {
        let change = i64::from(new.is_some()) - i64::from(old.is_some());
        self.adjust(IMAGE_COUNT, change)?;
        let layers = |record: Option<&ImageRecord>| record.map(layers_of).unwrap_or_default();
        self.count_uses(USES, &layers(old), &layers(new))?;
        let documents =
            |record: Option<&ImageRecord>| record.map(|r| documents_of(id, r)).unwrap_or_default();
        self.count_uses(DOCUMENT_USES, &documents(old), &documents(new))
    }

    /// Counts what is used now in place of what was; says what is not used at all any more.
    fn count_uses(
        &mut self,
        table: TableDefinition<'static, &'static str, u64>,
        before: &BTreeSet<Digest>,
        after: &BTreeSet<Digest>,
    ) -> Result<Vec<Digest>> {
        let mut unneeded = Vec::new();
        let mut uses = self.table(table)?;
        for digest in before.symmetric_difference(after) {
            let key = digest.as_str();
            let count = uses.get(key).map_err(failed("read uses"))?;
            let count = count.map_or(0, |v| v.value());
            let count = match after.contains(digest) {
                true => count + 1,
                false => count.saturating_sub(1),
            };
            match count {
                0 => {
                    uses.remove(key).map_err(failed("write uses"))?;
                    unneeded.push(digest.clone());
                }
                count => drop(uses.insert(key, count).map_err(failed("write uses"))?),
            }
        }
        Ok(unneeded)
    }

    /// Counts a layer's record in place of the one before.
    pub(super) fn count_layer(
        &mut self,
        old: Option<&LayerRecord>,
        new: Option<&LayerRecord>,
    ) -> Result<()> {
        let size = |layer: Option<&LayerRecord>| layer.map_or(0, |layer| layer.size.cast_signed());
        self.adjust(LAYERS_SIZE, size(new) - size(old))
    }

    fn adjust(&mut self, name: &str, change: i64) -> Result<()> {
        if change == 0 {
            return Ok(());
        }
        let mut meta = self.table(META)?;
        let value = meta.get(name).map_err(failed("read a counter"))?;
        let value = value.map_or(0, |v| v.value());
        meta.insert(name, value.saturating_add_signed(change))
            .map_err(failed("write a counter"))
            .map(drop)
    }
}

/// An image may name a layer twice; it counts once.
fn layers_of(record: &ImageRecord) -> BTreeSet<Digest> {
    record.layers.iter().cloned().collect()
}

/// Its config is a document like those that the record names.
fn documents_of(id: &Digest, record: &ImageRecord) -> BTreeSet<Digest> {
    std::iter::once(id)
        .chain(record.documents())
        .cloned()
        .collect()
}
