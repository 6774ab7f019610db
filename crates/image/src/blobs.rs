//! What a push needs: a layer's tar, the forms in which registries are known to have it, and a form of our own.

use std::io::{self, Write};

use oci::{Descriptor, Digest};

use crate::state::BlobRecord;
use crate::store::missing_layer;
use crate::{Error, Result, Store};

/// Repositories that are remembered for one form of a layer.
const MOST_REPOSITORIES: usize = 32;

/// Forms that are remembered of one layer.
const MOST_FORMS: usize = 8;

/// A layer of an image, for who passes it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerSource {
    pub diff_id: Digest,
    /// Bytes of its tar.
    pub tar_size: u64,
    /// In which forms registries are known to have it, the latest last.
    pub known: Vec<KnownBlob>,
}

/// A form in which registries have a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBlob {
    /// As the manifest had it that it was seen in: media type, digest, size, `urls` of foreign layers.
    pub descriptor: Descriptor,
    /// `registry/path` (as `Reference::name` has it) of repositories that it was seen in, the latest last.
    pub repositories: Vec<String>,
}

impl Store {
    /// The layers of what `diff_ids` name, lowest first.
    pub fn layer_sources(&self, diff_ids: &[Digest]) -> Result<Vec<LayerSource>> {
        let reader = self.read()?;
        let source = |diff_id: &Digest| {
            let layer = reader
                .layer(diff_id)?
                .ok_or_else(|| missing_layer(diff_id))?;
            let known = reader.blobs(diff_id)?.into_iter().map(|blob| KnownBlob {
                descriptor: blob.descriptor,
                repositories: blob.repositories,
            });
            Ok(LayerSource {
                diff_id: diff_id.clone(),
                tar_size: layer.tar_size,
                known: known.collect(),
            })
        };
        diff_ids.iter().map(source).collect()
    }

    /// Remembers that `repository` has a layer as `blob`: call it after pulling or pushing the layer there.
    pub fn remember_blob(
        &self,
        diff_id: &Digest,
        blob: &Descriptor,
        repository: &str,
    ) -> Result<()> {
        let _holders = self.holders();
        let reader = self.read()?;
        if reader.layer(diff_id)?.is_none() {
            return Ok(());
        }
        let before = reader.blobs(diff_id)?;
        let mut blobs = before.clone();
        let at = blobs
            .iter()
            .position(|known| known.descriptor.digest == blob.digest);
        let mut record = at.map_or_else(
            || BlobRecord {
                descriptor: blob.clone(),
                repositories: Vec::new(),
            },
            |at| blobs.remove(at),
        );
        record.repositories.retain(|known| known != repository);
        record.repositories.push(repository.to_owned());
        keep_last(&mut record.repositories, MOST_REPOSITORIES);
        blobs.push(record);
        keep_last(&mut blobs, MOST_FORMS);
        if blobs == before {
            return Ok(());
        }
        self.inner
            .database
            .write(|tables| tables.put_blobs(diff_id, &blobs))
    }

    /// A registry does not have the blob there any more.
    pub fn forget_blob(&self, diff_id: &Digest, blob: &Digest, repository: &str) -> Result<()> {
        let _holders = self.holders();
        let mut blobs = self.read()?.blobs(diff_id)?;
        for known in &mut blobs {
            if known.descriptor.digest == *blob {
                known.repositories.retain(|name| name != repository);
            }
        }
        blobs.retain(|known| !known.repositories.is_empty());
        self.inner
            .database
            .write(|tables| tables.put_blobs(diff_id, &blobs))
    }

    /// The bytes of a document that is kept by its digest: a config, a manifest, an index. One that has another digest is
    /// not there.
    pub fn document(&self, digest: &Digest) -> Result<Option<Vec<u8>>> {
        let found = self.read()?.document(digest)?;
        Ok(found.filter(|bytes| digest.matches(bytes)))
    }

    /// Writes a layer's tar as it came, and fails at its end if somebody changed its files.
    pub fn write_layer_tar(&self, diff_id: &Digest, out: &mut dyn Write) -> Result<()> {
        let record = self
            .read()?
            .layer(diff_id)?
            .ok_or_else(|| missing_layer(diff_id))?;
        self.write_layer(diff_id, &record, out)
            .map_err(writing_layer)
    }

    /// Writes a layer compressed with gzip: the same layer gives the same bytes on every machine. Says what it is.
    pub fn write_layer_gzip(
        &self,
        diff_id: &Digest,
        media_type: &str,
        out: &mut (dyn Write + Send),
    ) -> Result<Descriptor> {
        let record = self
            .read()?
            .layer(diff_id)?
            .ok_or_else(|| missing_layer(diff_id))?;
        let packed = crate::gzip::compress(out, |tar| self.write_layer(diff_id, &record, tar));
        let (digest, size) = packed.map_err(writing_layer)?;
        Ok(Descriptor::new(media_type, digest, size))
    }
}

fn keep_last<T>(list: &mut Vec<T>, most: usize) {
    list.drain(..list.len().saturating_sub(most));
}

fn writing_layer(source: io::Error) -> Error {
    Error::Stream {
        what: "write the layer",
        source,
    }
}
