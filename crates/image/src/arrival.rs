//! Layers and images that are made come in here: in the place of nothing, or of a layer that was found damaged.

use std::collections::HashMap;

use oci::{Digest, ImageConfig};

use crate::holders::Holders;
use crate::layers::Staged;
use crate::pins::Pins;
use crate::state::LayerRecord;
use crate::store::{Committed, NewImage, missing_layer, put_image};
use crate::{Error, Result, Store, names};

/// A layer that has its place on disk, and no record yet.
struct Arrived {
    diff_id: Digest,
    record: LayerRecord,
    /// The damaged one whose place it takes.
    old: Option<LayerRecord>,
    /// A container may have that one mounted.
    mounted: bool,
}

impl Store {
    /// Whether the layer is here, and whole as far as is known.
    pub fn has_layer(&self, diff_id: &Digest) -> Result<bool> {
        let found = self.read()?.layer(diff_id)?;
        Ok(found.is_some_and(|layer| !layer.damaged))
    }

    /// Makes images visible, with the layers among `staged` that are not there yet, in one transaction.
    pub(crate) fn commit(
        &self,
        images: &[NewImage],
        mut staged: HashMap<Digest, Staged>,
    ) -> Result<Committed> {
        let mut names = images.iter().flat_map(|image| &image.names);
        names.try_for_each(names::check_new)?;
        let configs = images
            .iter()
            .map(|image| {
                ImageConfig::parse(&image.config).map_err(|e| Error::Invalid(e.to_string()))
            })
            .collect::<Result<Vec<_>>>()?;
        // One sync is enough for all: it is the whole file system's.
        staged.values().next().map_or(Ok(()), Staged::sync)?;
        let holders = self.holders();
        let reader = self.read()?;
        let mut arrived: Vec<Arrived> = Vec::new();
        for diff_id in configs.iter().flat_map(|config| &config.rootfs.diff_ids) {
            let old = reader.layer(diff_id)?;
            if old.as_ref().is_some_and(|old| !old.damaged) {
                continue;
            }
            match staged.remove(diff_id) {
                Some(layer) => arrived.push(self.place(&holders, diff_id, layer, old)?),
                // Damaged, and nobody brings it: it stays what it is.
                None if old.is_some() => {}
                None if arrived.iter().any(|have| have.diff_id == *diff_id) => {}
                None => return Err(missing_layer(diff_id)),
            }
        }
        let result = self.inner.database.write(|tables| {
            for layer in &arrived {
                tables.put_layer(&layer.diff_id, &layer.record)?;
            }
            let mut moved = Vec::new();
            let mut ids = Vec::new();
            for (image, config) in images.iter().zip(&configs) {
                ids.push(put_image(tables, image, config, &mut moved)?);
            }
            Ok((ids, moved))
        });
        self.settle(arrived, result.is_ok());
        drop(holders);
        // Not before: whoever collects is to see the images.
        self.tell_growth();
        result
    }

    /// Makes one layer visible before there is an image that needs it. From then on it is held by `pins`.
    pub(crate) fn keep_layer(&self, diff_id: &Digest, staged: Staged, pins: &Pins) -> Result<()> {
        staged.sync()?;
        self.tell_growth();
        let mut holders = self.holders();
        let old = self.read()?.layer(diff_id)?;
        if old.as_ref().is_some_and(|old| !old.damaged) {
            pins.hold_with(&mut holders, diff_id);
            // Taking the other one away need not be waited for with the lock.
            drop(holders);
            return Ok(());
        }
        let mut layer = self.place(&holders, diff_id, staged, old)?;
        if layer.old.is_none() {
            layer.record.awaiting = Some(jiff::Timestamp::now());
        }
        let database = &self.inner.database;
        let written = database.write(|tables| tables.put_layer(diff_id, &layer.record));
        if written.is_ok() {
            pins.hold_with(&mut holders, diff_id);
        }
        self.settle(vec![layer], written.is_ok());
        written
    }

    fn place(
        &self,
        holders: &Holders,
        diff_id: &Digest,
        staged: Staged,
        old: Option<LayerRecord>,
    ) -> Result<Arrived> {
        let mut record = self.inner.layers.adopt(staged)?;
        let mounted = holders.holds(diff_id);
        if let Some(old) = &old {
            record.awaiting = old.awaiting;
            record.replaced.clone_from(&old.replaced);
            record
                .replaced
                .extend(mounted.then(|| old.cache_id.clone()));
        }
        Ok(Arrived {
            diff_id: diff_id.clone(),
            record,
            old,
            mounted,
        })
    }

    /// Takes away what lost: the layers that arrived, or those whose place they took.
    fn settle(&self, arrived: Vec<Arrived>, is_committed: bool) {
        let layers = &self.inner.layers;
        for layer in arrived {
            // The error at hand is the one to tell, and what stays is collected at the next open.
            let _ = match layer.old {
                _ if !is_committed => layers.remove_layer(&LayerRecord {
                    replaced: Vec::new(),
                    ..layer.record
                }),
                Some(old) if layer.mounted => layers.remove_link(&old),
                Some(old) => layers.remove_layer(&LayerRecord {
                    replaced: Vec::new(),
                    ..old
                }),
                None => Ok(()),
            };
        }
    }

    /// Notes whether a layer's files are what they were, if the record is still the one that was looked at. Says whether it
    /// is.
    pub(crate) fn note_damage(
        &self,
        diff_id: &Digest,
        looked_at: &LayerRecord,
        damaged: bool,
    ) -> Result<bool> {
        let _holders = self.holders();
        let now = self.read()?.layer(diff_id)?;
        let Some(mut now) = now.filter(|now| now.cache_id == looked_at.cache_id) else {
            return Ok(false);
        };
        if now.damaged != damaged {
            now.damaged = damaged;
            let database = &self.inner.database;
            database.write(|tables| tables.put_layer(diff_id, &now))?;
        }
        Ok(true)
    }
}
