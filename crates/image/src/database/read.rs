//! Reading records.

use oci::{Descriptor, Digest, Reference};
use redb::ReadableTable;

use super::{
    BLOBS, DOCUMENTS, IMAGES, LAYERS, NAME_INDEXES, NAMES, Tables, Transaction, collect, decode,
    digest, digests, failed, name,
};
use crate::Result;
use crate::state::{BlobRecord, ImageRecord, LayerRecord};

impl<T: Transaction> Tables<T> {
    /// Registries that a name without one may be of.
    pub(crate) fn unqualified(&self) -> &[String] {
        &self.unqualified
    }

    pub(crate) fn image(&self, id: &Digest) -> Result<Option<ImageRecord>> {
        let table = self.table(IMAGES)?;
        let found = table.get(id.as_str()).map_err(failed("read an image"))?;
        found.map(|v| decode(v.value())).transpose()
    }

    pub(crate) fn layer(&self, diff_id: &Digest) -> Result<Option<LayerRecord>> {
        let table = self.table(LAYERS)?;
        let found = table
            .get(diff_id.as_str())
            .map_err(failed("read a layer"))?;
        found.map(|v| decode(v.value())).transpose()
    }

    pub(crate) fn document(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        let table = self.table(DOCUMENTS)?;
        let found = table
            .get(digest.as_str())
            .map_err(failed("read a document"))?;
        Ok(found.map(|v| v.value().to_vec()))
    }

    /// The image that a name means where nothing is said of a platform.
    pub(crate) fn name(&self, name: &Reference) -> Result<Option<Digest>> {
        Ok(self.bearers(name)?.into_iter().next())
    }

    /// All images that bear a name, [`Reader::name`]'s first: several where they are of one index.
    pub(crate) fn bearers(&self, name: &Reference) -> Result<Vec<Digest>> {
        let table = self.table(NAMES)?;
        let found = table
            .get(&*name.canonical())
            .map_err(failed("read a name"))?;
        found.map_or(Ok(Vec::new()), |v| digests(v.value()))
    }

    /// The index that a name came from, where it was one.
    pub(crate) fn index_of(&self, name: &Reference) -> Result<Option<Descriptor>> {
        let table = self.table(NAME_INDEXES)?;
        let found = table
            .get(&*name.canonical())
            .map_err(failed("read the index of a name"))?;
        found.map(|v| decode(v.value())).transpose()
    }

    /// All tags of a repository.
    pub(crate) fn tags_of(&self, repository: &Reference) -> Result<Vec<Reference>> {
        let table = self.table(NAMES)?;
        let start = format!("{}:", repository.name());
        let mut tags = Vec::new();
        for item in table.range(&*start..).map_err(failed("search names"))? {
            let (key, _) = item.map_err(failed("search names"))?;
            if !key.value().starts_with(&start) {
                break;
            }
            tags.push(name(key.value())?);
        }
        Ok(tags)
    }

    pub(crate) fn images(&self) -> Result<Vec<(Digest, ImageRecord)>> {
        let table = self.table(IMAGES)?;
        collect(&table, |key, value: &[u8]| {
            Ok((digest(key)?, decode(value)?))
        })
    }

    pub(crate) fn layers(&self) -> Result<Vec<(Digest, LayerRecord)>> {
        let table = self.table(LAYERS)?;
        collect(&table, |key, value: &[u8]| {
            Ok((digest(key)?, decode(value)?))
        })
    }

    /// All names, sorted, each with every image that bears it.
    pub(crate) fn names(&self) -> Result<Vec<(Reference, Digest)>> {
        let table = self.table(NAMES)?;
        let all = collect(&table, |key, value: &str| {
            let name = name(key)?;
            let pairs = digests(value)?.into_iter();
            Ok(pairs.map(|id| (name.clone(), id)).collect::<Vec<_>>())
        })?;
        Ok(all.into_iter().flatten().collect())
    }

    pub(crate) fn documents(&self) -> Result<Vec<Digest>> {
        let table = self.table(DOCUMENTS)?;
        collect(&table, |key, _: &[u8]| digest(key))
    }

    /// Registries' forms of a layer.
    pub(crate) fn blobs(&self, diff_id: &Digest) -> Result<Vec<BlobRecord>> {
        let table = self.table(BLOBS)?;
        let found = table
            .get(diff_id.as_str())
            .map_err(failed("read the blobs of a layer"))?;
        found.map_or(Ok(Vec::new()), |v| decode(v.value()))
    }

    /// Digests of images whose hexadecimal form starts with `prefix`; two are enough to know it is ambiguous.
    pub(crate) fn images_by_prefix(&self, prefix: &str) -> Result<Vec<Digest>> {
        let table = self.table(IMAGES)?;
        let start = format!("sha256:{prefix}");
        let mut found = Vec::new();
        let range = table.range(&*start..).map_err(failed("search images"))?;
        for item in range.take(2) {
            let (key, _) = item.map_err(failed("search images"))?;
            if key.value().starts_with(&start) {
                found.push(digest(key.value())?);
            }
        }
        Ok(found)
    }
}
