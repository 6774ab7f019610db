//! The distribution protocol (OCI distribution-spec 1.1), both sides of it.
//!
//! [`client`] speaks to registries; it believes nothing that they say without holding it against a digest, a size or a
//! bound. [`server`] is a registry of our own. Each is a cargo feature, so that nobody links the side that it does not
//! use. Neither knows the image store: content comes and goes as bytes and descriptors.
#![forbid(unsafe_code)]

#[cfg(feature = "client")]
pub mod client;
#[cfg(feature = "client")]
mod der;
#[cfg(feature = "server")]
pub mod server;
