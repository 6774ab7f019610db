#![allow(clippy::todo, unused_variables)] // Signatures first; the bodies land next.
use std::collections::{HashMap, HashSet};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use oci::{ContainerId, Digest, Platform, Reference};

use crate::{HistoryItem, Image, ImageId, ListQuery, PruneQuery, Result};

/// The images of one data root. Cheap to clone; every method may be called from any thread, and blocks.
#[derive(Clone)]
pub struct Store;

/// A container that was made from an image.
#[derive(Clone, Debug)]
pub struct User {
    pub container: ContainerId,
    pub running: bool,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveOptions {
    pub force: bool,
    /// Keep parents that nothing else needs (`--no-prune`).
    pub no_prune: bool,
}

/// One line of what `rmi` did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// The familiar name that is gone, and the image it named (for the event).
    Untagged(String, ImageId),
    Deleted(ImageId),
}

#[derive(Clone, Debug, Default)]
pub struct Pruned {
    pub removed: Vec<Removed>,
    /// Bytes given back.
    pub reclaimed: u64,
}

/// What `load` reports on its way.
#[derive(Clone, Debug)]
pub enum LoadEvent {
    /// Bytes of a layer that are done. `total` is what the archive says, 0 if it does not.
    Layer {
        id: String,
        done: u64,
        total: u64,
    },
    Loaded(Loaded),
}

/// An image that `load` made (or found already there). Displays as Docker's line, `Loaded image: x:tag`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    pub id: ImageId,
    pub name: Option<Reference>,
}

impl std::fmt::Display for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.name {
            Some(name) => write!(f, "Loaded image: {name}"),
            None => write!(f, "Loaded image ID: {}", self.id),
        }
    }
}

#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    pub reference: Option<Reference>,
    pub message: String,
    /// Dockerfile lines as `--change` takes them.
    pub changes: Vec<String>,
    pub platform: Option<Platform>,
}

/// A container's writable layer and what lies below it. Nothing of it is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// For the overlay mount: short links, topmost first.
    pub lower: Vec<PathBuf>,
    /// The same directories as inspect shows them.
    pub lower_dirs: Vec<PathBuf>,
    pub upper: PathBuf,
    pub work: PathBuf,
    pub merged: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    Modified = 0,
    Added = 1,
    Deleted = 2,
}

/// One line of `diff`; the path is absolute in the container and may be no UTF-8 in the file system (lossy here).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    pub path: String,
    pub kind: ChangeKind,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskUsage {
    pub images: usize,
    /// Bytes of all layers' files, each layer once.
    pub layers_size: u64,
    /// Bytes of each image's layers that other images use too.
    pub shared: HashMap<ImageId, u64>,
}

impl Store {
    /// Opens (or makes) the store of `data_root` and removes what a crash left behind. A second opener is refused.
    pub fn open(data_root: &Path) -> Result<Store> {
        todo!()
    }

    /// Makes sure that `hello:latest` is an image with `binary` as its `/hello`. Remade when the binary changed; left
    /// alone when a user has given the name to an image of their own.
    pub fn ensure_hello(&self, binary: &Path) -> Result<ImageId> {
        todo!()
    }

    /// The image that a user means: a name, a name with digest, an id, or an unambiguous prefix of one.
    pub fn resolve(&self, name: &str) -> Result<Image> {
        todo!()
    }

    /// Newest first.
    pub fn list(&self, query: &ListQuery) -> Result<Vec<Image>> {
        todo!()
    }

    pub fn history(&self, name: &str) -> Result<Vec<HistoryItem>> {
        todo!()
    }

    pub fn disk_usage(&self) -> Result<DiskUsage> {
        todo!()
    }

    pub fn tag(&self, source: &str, target: &Reference) -> Result<ImageId> {
        todo!()
    }

    /// Untags or deletes by Docker's rules. `users` says which containers were made from an image.
    pub fn remove(
        &self,
        name: &str,
        options: RemoveOptions,
        users: &dyn Fn(&ImageId) -> Vec<User>,
    ) -> Result<Vec<Removed>> {
        todo!()
    }

    pub fn prune(
        &self,
        query: &PruneQuery,
        users: &dyn Fn(&ImageId) -> Vec<User>,
    ) -> Result<Pruned> {
        todo!()
    }

    /// Reads a docker-archive or an OCI layout, plain or compressed with gzip or zstd.
    pub fn load(
        &self,
        input: impl Read,
        platform: Option<&Platform>,
        on: &mut dyn FnMut(LoadEvent),
    ) -> Result<Vec<Loaded>> {
        todo!()
    }

    /// Writes the images that `names` mean as one docker-archive with an OCI layout inside. The same images give the
    /// same bytes.
    pub fn save(&self, names: &[&str], out: impl Write) -> Result<()> {
        todo!()
    }

    /// Makes an image of one layer from a root file system's tar.
    pub fn import(&self, input: impl Read, options: &ImportOptions) -> Result<ImageId> {
        todo!()
    }

    /// Makes a container's writable layer on top of `image` (on nothing without one).
    pub fn prepare(&self, container: &ContainerId, image: Option<&ImageId>) -> Result<Snapshot> {
        todo!()
    }

    pub fn snapshot(&self, container: &ContainerId) -> Result<Snapshot> {
        todo!()
    }

    /// Removes a container's writable layer; one that is not there is no error.
    pub fn release(&self, container: &ContainerId) -> Result<()> {
        todo!()
    }

    /// Releases every snapshot whose container is not in `known`; says which those were.
    pub fn retain_snapshots(&self, known: &HashSet<ContainerId>) -> Result<Vec<ContainerId>> {
        todo!()
    }

    /// What a container changed, sorted by path.
    pub fn changes(&self, container: &ContainerId) -> Result<Vec<Change>> {
        todo!()
    }

    /// A container's changes as a layer's tar.
    pub fn diff(&self, container: &ContainerId, out: impl Write) -> Result<Digest> {
        todo!()
    }

    /// Bytes of a container's writable layer.
    pub fn usage(&self, container: &ContainerId) -> Result<u64> {
        todo!()
    }
}
