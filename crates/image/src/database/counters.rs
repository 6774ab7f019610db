//! Sums that would be slow to make each time, changed in the very transaction that changes what they count.

use std::collections::{BTreeMap, BTreeSet};

use oci::Digest;
use redb::{ReadableTable, TableDefinition};

use super::{IMAGES, LAYERS, META, Reader, Writer, decode, failed};
use crate::Result;
use crate::state::{ImageRecord, LayerRecord};

/// By diff ID: how many images name the layer. A layer that none names has no entry.
pub(super) const USES: TableDefinition<'_, &str, u64> = TableDefinition::new("uses");

const COUNTED: &str = "counted";
const IMAGE_COUNT: &str = "images";
const LAYERS_SIZE: &str = "layers-size";

/// What the counters say of the whole store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) images: u64,
    /// Bytes of all layers' files.
    pub(crate) layers_size: u64,
    /// By diff ID.
    pub(crate) uses: BTreeMap<String, u64>,
}

impl Reader {
    pub(crate) fn image_count(&self) -> Result<u64> {
        self.counter(IMAGE_COUNT)
    }

    pub(crate) fn layers_size(&self) -> Result<u64> {
        self.counter(LAYERS_SIZE)
    }

    /// How many images name a layer.
    pub(crate) fn uses(&self, diff_id: &Digest) -> Result<u64> {
        let table = self.0.open_table(USES).map_err(failed("open uses"))?;
        let uses = table.get(diff_id.as_str()).map_err(failed("read uses"))?;
        Ok(uses.map_or(0, |v| v.value()))
    }

    /// All counters as they are kept.
    pub(crate) fn counters(&self) -> Result<Counters> {
        let table = self.0.open_table(USES).map_err(failed("open uses"))?;
        let mut uses = BTreeMap::new();
        for item in table.iter().map_err(failed("list uses"))? {
            let (key, value) = item.map_err(failed("list uses"))?;
            uses.insert(key.value().to_owned(), value.value());
        }
        Ok(Counters {
            images: self.image_count()?,
            layers_size: self.layers_size()?,
            uses,
        })
    }

    /// All counters as they should be.
    pub(crate) fn count(&self) -> Result<Counters> {
        let images = self.images()?;
        let mut counters = Counters {
            images: images.len() as u64,
            layers_size: self.layers()?.iter().map(|(_, layer)| layer.size).sum(),
            uses: BTreeMap::new(),
        };
        for (_, record) in &images {
            for diff_id in distinct(record) {
                *counters.uses.entry(diff_id.to_string()).or_default() += 1;
            }
        }
        Ok(counters)
    }

    fn counter(&self, name: &str) -> Result<u64> {
        let table = self.0.open_table(META).map_err(failed("open counters"))?;
        let value = table.get(name).map_err(failed("read a counter"))?;
        Ok(value.map_or(0, |v| v.value()))
    }
}

impl Writer {
    /// Whether this store has counters; those of earlier versions had none.
    pub(super) fn is_counted(&self) -> Result<bool> {
        let table = self.0.open_table(META).map_err(failed("open counters"))?;
        let counted = table.get(COUNTED).map_err(failed("read a counter"))?;
        Ok(counted.is_some())
    }

    /// Sets all counters.
    pub(crate) fn put_counters(&mut self, counters: &Counters) -> Result<()> {
        let mut uses = self.0.open_table(USES).map_err(failed("open uses"))?;
        uses.retain(|_, _| false).map_err(failed("clear uses"))?;
        for (diff_id, count) in &counters.uses {
            uses.insert(&**diff_id, count)
                .map_err(failed("write uses"))?;
        }
        let mut meta = self.0.open_table(META).map_err(failed("open counters"))?;
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

    /// Counts an image's record in place of the one before.
    pub(super) fn count_image(
        &mut self,
        old: Option<&ImageRecord>,
        new: Option<&ImageRecord>,
    ) -> Result<()> {
        let change = i64::from(new.is_some()) - i64::from(old.is_some());
        self.adjust(IMAGE_COUNT, change)?;
        let (before, after) = (
            old.map(distinct).unwrap_or_default(),
            new.map(distinct).unwrap_or_default(),
        );
        let mut uses = self.0.open_table(USES).map_err(failed("open uses"))?;
        for diff_id in before.symmetric_difference(&after) {
            let key = diff_id.as_str();
            let count = uses.get(key).map_err(failed("read uses"))?;
            let count = count.map_or(0, |v| v.value());
            let count = match after.contains(diff_id) {
                true => count + 1,
                false => count.saturating_sub(1),
            };
            match count {
                0 => drop(uses.remove(key).map_err(failed("write uses"))?),
                count => drop(uses.insert(key, count).map_err(failed("write uses"))?),
            }
        }
        Ok(())
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
        let mut meta = self.0.open_table(META).map_err(failed("open counters"))?;
        let value = meta.get(name).map_err(failed("read a counter"))?;
        let value = value.map_or(0, |v| v.value());
        meta.insert(name, value.saturating_add_signed(change))
            .map_err(failed("write a counter"))
            .map(drop)
    }

    pub(super) fn image(&self, id: &Digest) -> Result<Option<ImageRecord>> {
        let table = self.0.open_table(IMAGES).map_err(failed("open images"))?;
        let found = table.get(id.as_str()).map_err(failed("read an image"))?;
        found.map(|v| decode(v.value())).transpose()
    }

    pub(super) fn layer(&self, diff_id: &Digest) -> Result<Option<LayerRecord>> {
        let table = self.0.open_table(LAYERS).map_err(failed("open layers"))?;
        let found = table
            .get(diff_id.as_str())
            .map_err(failed("read a layer"))?;
        found.map(|v| decode(v.value())).transpose()
    }
}

/// An image may name a layer twice; it counts once.
fn distinct(record: &ImageRecord) -> BTreeSet<Digest> {
    record.layers.iter().cloned().collect()
}
