use std::path::PathBuf;

use crate::driver::DriverKind;
use oci::{Descriptor, Digest, ImageConfig, Reference};

/// An image's id is the digest of its config's bytes.
pub type ImageId = Digest;

/// An image as it stands in the store.
#[derive(Clone, Debug)]
pub struct Image {
    pub id: ImageId,
    pub config: ImageConfig,
    /// Tagged names, sorted.
    pub tags: Vec<Reference>,
    /// Names by manifest digest, sorted.
    pub digests: Vec<Reference>,
    /// The image this one was committed from on this machine.
    pub parent: Option<ImageId>,
    /// Bytes of all its layers' files.
    pub size: u64,
    /// When a name was last moved to it.
    pub last_tagged: Option<jiff::Timestamp>,
    /// The manifest it came with, where it came with one.
    pub manifest: Option<Descriptor>,
    /// The index that the name came from by which it was looked up with [`crate::Store::variants`], where it was one.
    /// Other names of the same image may be from other indexes, or from none.
    pub index: Option<Descriptor>,
    pub graph: GraphPaths,
}

impl Image {
    /// When it was made, as its config says; the epoch where that is missing or unreadable.
    pub fn created(&self) -> jiff::Timestamp {
        self.config
            .created
            .as_deref()
            .and_then(|text| text.parse().ok())
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    pub fn is_dangling(&self) -> bool {
        self.tags.is_empty() && self.digests.is_empty()
    }
}

/// Where the directories of overlay2 are, as `GraphDriver.Data` of inspect shows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphPaths {
    /// The driver of new containers.
    pub driver: DriverKind,
    /// Topmost first; empty for an image of one layer.
    pub lower: Vec<PathBuf>,
    pub upper: PathBuf,
    pub work: PathBuf,
    pub merged: PathBuf,
}

/// One line of `history`, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryItem {
    /// The image that ended with this step, where this store has it.
    pub id: Option<ImageId>,
    pub created: jiff::Timestamp,
    pub created_by: String,
    pub comment: String,
    pub size: u64,
    pub tags: Vec<Reference>,
}
