//! Writing records, and with each what is counted and indexed of it.

use oci::{Digest, Reference};
use redb::TableDefinition;

use super::{BLOBS, DOCUMENTS, IMAGES, LAYERS, META, NAMES, Writer, encode, failed};
use crate::Result;
use crate::state::{BlobRecord, ImageRecord, LayerRecord};

impl Writer {
    /// Documents that the record before named and no image names any more go with it.
    pub(crate) fn put_image(&mut self, id: &Digest, record: &ImageRecord) -> Result<()> {
        self.change_image(id, Some(record))?;
        self.put(IMAGES, id, &encode(record))
    }

    /// With the documents that no other image names.
    pub(crate) fn remove_image(&mut self, id: &Digest) -> Result<()> {
        self.change_image(id, None)?;
        self.remove(IMAGES, id)
    }

    fn change_image(&mut self, id: &Digest, new: Option<&ImageRecord>) -> Result<()> {
        let old = self.image(id)?;
        self.index_parent(id, old.as_ref(), new)?;
        for unneeded in self.count_image(id, old.as_ref(), new)? {
            self.remove_document(&unneeded)?;
        }
        Ok(())
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
        let before = self.bearers(name)?;
        if before == bearers {
            return Ok(());
        }
        let name = name.canonical();
        self.index_name(&name, &before, bearers)?;
        let ids: Vec<&str> = bearers.iter().map(Digest::as_str).collect();
        let mut table = self.table(NAMES)?;
        let written = table.insert(&*name, &*ids.join(" "));
        written.map_err(failed("write a name")).map(drop)
    }

    pub(crate) fn remove_name(&mut self, name: &Reference) -> Result<()> {
        let before = self.bearers(name)?;
        let name = name.canonical();
        self.index_name(&name, &before, &[])?;
        let mut table = self.table(NAMES)?;
        let removed = table.remove(&*name);
        removed.map_err(failed("remove a name")).map(drop)
    }

    /// Takes a name from one image; says whether others bear it still.
    pub(crate) fn take_name(&mut self, name: &Reference, id: &Digest) -> Result<bool> {
        let mut left = self.bearers(name)?;
        left.retain(|other| other != id);
        match left.is_empty() {
            true => self.remove_name(name)?,
            false => self.put_name(name, &left)?,
        }
        Ok(!left.is_empty())
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

    /// Writes the format's version; says what it was before.
    pub(super) fn swap_version(&mut self, version: u64) -> Result<Option<u64>> {
        let mut meta = self.table(META)?;
        let before = meta.insert("version", version);
        let before = before.map_err(failed("write the version"))?;
        Ok(before.map(|v| v.value()))
    }

    fn put(
        &mut self,
        table: TableDefinition<'static, &'static str, &'static [u8]>,
        key: &Digest,
        value: &[u8],
    ) -> Result<()> {
        let mut table = self.table(table)?;
        table
            .insert(key.as_str(), value)
            .map_err(failed("write"))
            .map(drop)
    }

    fn remove(
        &mut self,
        table: TableDefinition<'static, &'static str, &'static [u8]>,
        key: &Digest,
    ) -> Result<()> {
        let mut table = self.table(table)?;
        table
            .remove(key.as_str())
            .map_err(failed("remove"))
            .map(drop)
    }
}
