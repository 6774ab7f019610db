//! Writing records, and with each what is counted and indexed of it.

use oci::{Descriptor, Digest, Reference};
use redb::TableDefinition;

use super::{BLOBS, DOCUMENTS, IMAGES, LAYERS, META, NAME_INDEXES, NAMES, Writer, encode, failed};
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

    /// Gives a name to these images, the one it means by itself first, and takes it from all others. Their records must
    /// have the index that it came from, if it came from one.
    pub(crate) fn put_name(
        &mut self,
        name: &Reference,
        bearers: &[Digest],
        index: Option<&Descriptor>,
    ) -> Result<()> {
        let before = self.bearers(name)?;
        self.put_index_of(&name.canonical(), index)?;
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
        self.put_index_of(&name, None)?;
        self.index_name(&name, &before, &[])?;
        let mut table = self.table(NAMES)?;
        let removed = table.remove(&*name);
        removed.map_err(failed("remove a name")).map(drop)
    }

    /// Takes a name from one image; says whether others bear it still.
    pub(crate) fn take_name(&mut self, name: &Reference, id: &Digest) -> Result<bool> {
        let (mut left, index) = (self.bearers(name)?, self.index_of(name)?);
        left.retain(|other| other != id);
        match left.is_empty() {
            true => self.remove_name(name)?,
            false => self.put_name(name, &left, index.as_ref())?,
        }
        Ok(!left.is_empty())
    }

    fn put_index_of(&mut self, name: &str, index: Option<&Descriptor>) -> Result<()> {
        let mut table = self.table(NAME_INDEXES)?;
        match index {
            Some(index) => drop(
                table
                    .insert(name, &*encode(index))
                    .map_err(failed("write"))?,
            ),
            None => drop(table.remove(name).map_err(failed("remove"))?),
        }
        Ok(())
    }

    /// Once, in a store that had an image's index with the image: gives it to the names that came from it for certain.
    /// Those are the names that several images share, and those in a repository that is known to have had the index.
    pub(super) fn give_indexes_to_names(&mut self) -> Result<()> {
        const DONE: &str = "indexes-by-name";
        let mut meta = self.table(META)?;
        let known = meta.insert(DONE, 1).map_err(failed("write"))?.is_some();
        drop(meta);
        if known {
            return Ok(());
        }
        for (id, record) in self.images()? {
            let Some(index) = record.indexes.first() else {
                continue;
            };
            let names = self.names_of(&id)?;
            let came_with = |name: &Reference| name.digest() == Some(&index.digest);
            for name in &names {
                let in_place = |other: &Reference| other.name() == name.name() && came_with(other);
                let is_its = match name.digest() {
                    Some(_) => came_with(name),
                    None => self.bearers(name)?.len() > 1 || names.iter().any(in_place),
                };
                if is_its {
                    self.put_index_of(&name.canonical(), Some(index))?;
                }
            }
        }
        Ok(())
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
