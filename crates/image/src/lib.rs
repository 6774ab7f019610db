//! Images on disk: configs by digest, names, layers as overlayfs directories, and the writable layers of containers.
//!
//! # The tree
//!
//! Everything below one data root; nobody but this crate writes or deletes here.
//!
//! ```text
//! <root>/image/store.redb            images, names, layers, configs and manifests: the one truth (see `state`)
//! <root>/image/store.reserve         room for the removals of a full disk
//! <root>/image/ingest/<digest>       what arrived of a layer that is being pulled (see `ingest`)
//! <root>/overlay2/<cache id>/diff    one layer's files, as overlayfs wants a lower directory
//! <root>/overlay2/<cache id>/skeleton.zst   the rest of the layer's tar: all its bytes but file contents
//! <root>/overlay2/<cache id>/replaced/<n>   files which the same tar held twice; only `save` reads them
//! <root>/overlay2/l/<short>          link to ../<cache id>/diff: 128 of them fit into one page of mount options
//! <root>/overlay2/init/diff          mount points every container needs, below every image's layers
//! <root>/overlay2/<container id>/{diff,work,lower}   a container's writable layer
//! <root>/vfs/<container id>/{diff,lower}   the same by the driver vfs: `diff` is all of it (see `driver`)
//! <root>/tmp/image-*                 work in progress; removed at open
//! ```
//!
//! # The order of writes
//!
//! A layer is applied in `tmp`, synced, renamed to its cache id; then one redb transaction makes the image, its
//! layers and its names visible together. A crash before that leaves directories that no record names, which the
//! next [`Store::open`] removes. Layers are kept **by diff ID**, not by chain: a directory that overlayfs stacks has
//! the same content whatever lies below it, so two images share a layer even at different heights. How often a layer
//! is used is never stored but counted from the images and snapshots that name it, so it cannot be wrong.
//!
//! Before that transaction one syncfs(2) puts the layers' files on disk, so a machine that loses power finds either no
//! layer or a whole one.
//!
//! Closures that tell who uses an image ([`Store::remove`], [`Store::prune`]) run while the store's lock is held, and
//! must not call the store.
#![forbid(unsafe_code)]

mod apply;
mod arrival;
mod blobs;
mod check;
mod commit;
mod compress;
mod database;
mod driver;
mod error;
mod gc;
mod gzip;
mod hashing;
mod holders;
mod image;
mod import;
mod ingest;
mod instruction;
mod layers;
mod listing;
mod load;
mod mount_points;
mod names;
mod pattern;
mod pins;
mod platforms;
mod query;
mod removal;
mod save;
mod skeleton;
mod snapshot;
mod state;
mod store;
pub mod tar;
mod upper;

pub use blobs::{KnownBlob, LayerSource};
pub use check::{CheckReport, Problem, ProblemKind, Repair};
pub use commit::CommitOptions;
pub use compress::decompress;
pub use driver::DriverKind;
pub use error::{Error, Kind, Result};
pub use gc::{Expendable, GcPolicy, KeepFree};
pub use image::{GraphPaths, HistoryItem, Image, ImageId};
pub use import::ImportOptions;
pub use ingest::{Busy, Ingest, Ingested, Pull, Pulled, PulledImage};
pub use instruction::apply_all as apply_changes;
pub use listing::DiskUsage;
pub use load::{LoadEvent, Loaded, docker_archive};
pub use platforms::Listed;
pub use query::{LabelFilter, ListQuery, PruneQuery};
pub use removal::{Pruned, RemoveOptions, Removed, User};
pub use snapshot::Snapshot;
pub use store::Store;
pub use upper::{Change, ChangeKind};
