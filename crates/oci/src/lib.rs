//! What the OCI standards (and Docker, where it came first) say, as data.
//!
//! Everything here is a type with a checked constructor or a plain record with serde; nothing does I/O. Whatever
//! identity depends on (configs, manifests) is hashed over its **raw bytes**, which the caller keeps: serialising a
//! parsed document again need not give the same bytes.
#![forbid(unsafe_code)]

mod config;
mod container_id;
mod descriptor;
mod digest;
mod harmless;
mod manifest;
pub mod media_type;
mod platform;
mod reference;
pub mod runtime;

pub use config::{ContainerConfig, Healthcheck, History, ImageConfig, RootFs, StringSet};
pub use container_id::{ContainerId, InvalidContainerId};
pub use descriptor::Descriptor;
pub use digest::{Algorithm, Digest, Hasher, InvalidDigest};
pub use harmless::harmless;
pub use manifest::{Index, InvalidDocument, MAX_DOCUMENT, Manifest};
pub use platform::{InvalidPlatform, Platform};
pub use reference::{AnyReference, InvalidReference, Reference};
