//! What is written to disk, as JSON values of the store's tables. Version 2: since then names, children and documents are
//! indexed, which [`crate::database`] makes up for in a store of version 1.

use oci::{Descriptor, Digest};
use serde::{Deserialize, Deserializer, Serialize};

/// The version of everything below, kept in the store itself.
pub(crate) const VERSION: u64 = 2;

/// An image, by the digest of its config. The config's bytes are under the same digest in the documents.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ImageRecord {
    /// Diff IDs, lowest first, as the config says them: kept here so that counting needs no config.
    pub(crate) layers: Vec<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_tagged: Option<jiff::Timestamp>,
    /// The manifest it came with; its bytes are in the documents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) manifest: Option<Descriptor>,
    /// The indexes that its names came from; their bytes are in the documents. Which name came from which is kept with
    /// the names. Stores of before then had one `index` here.
    #[serde(
        default,
        alias = "index",
        deserialize_with = "one_or_more",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(crate) indexes: Vec<Descriptor>,
    /// When a container was last made from it, or it came, to the hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_used: Option<jiff::Timestamp>,
}

/// After this long, a use is noted again: noting each would cost every start of a container a durable write.
pub(crate) const NOTED: jiff::SignedDuration = jiff::SignedDuration::from_hours(1);

impl ImageRecord {
    /// Documents that the record names, besides the config.
    pub(crate) fn documents(&self) -> impl Iterator<Item = &Digest> {
        let descriptors = self.manifest.iter().chain(&self.indexes);
        descriptors.map(|descriptor| &descriptor.digest)
    }
}

fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Descriptor>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Several(Vec<Descriptor>),
        One(Box<Descriptor>),
    }
    Ok(match Form::deserialize(deserializer)? {
        Form::Several(all) => all,
        Form::One(one) => vec![*one],
    })
}

/// A layer, by its diff ID.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LayerRecord {
    /// Its directory under `overlay2`.
    pub(crate) cache_id: String,
    /// Its name under `overlay2/l`.
    pub(crate) link: String,
    /// Bytes of its files.
    pub(crate) size: u64,
    /// Bytes of its tar.
    pub(crate) tar_size: u64,
    /// Since when it waits for the image that it was fetched for; nobody needs it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) awaiting: Option<jiff::Timestamp>,
    /// Its files are known not to be what they were: whoever brings the layer brings it anew.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) damaged: bool,
    /// Directories of it that were damaged, and stay because containers may have them mounted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) replaced: Vec<String>,
}

impl LayerRecord {
    /// The directories under `overlay2` that are the layer's.
    pub(crate) fn directories(&self) -> impl Iterator<Item = &str> {
        let replaced = self.replaced.iter().map(String::as_str);
        std::iter::once(&*self.cache_id).chain(replaced)
    }
}

/// A form in which registries have a layer: a list of them by the layer's diff ID.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BlobRecord {
    pub(crate) descriptor: Descriptor,
    /// `registry/path` of the repositories that it was seen in, the last one last.
    pub(crate) repositories: Vec<String>,
}
