//! Wire types, one module for each family of endpoints.
//!
//! Go's JSON decides what is absent, `null` or empty, and clients have come to depend on it, so each field follows the
//! real daemon: `Option<Vec<_>>` where Docker sends `null` for a nil slice, `Vec<_>` where it sends `[]`, and
//! `skip_serializing_if` where Go says `omitempty`. Reading is lenient in the way that Go is: a field that is
//! missing or `null` takes its zero value, and an unknown field is ignored.

pub mod check;
pub mod container;
pub mod error;
pub mod event;
pub mod exec;
pub mod filters;
pub mod host_config;
pub mod image;
pub mod mount;
pub mod network;
pub mod progress;
pub mod prune;
pub mod registry;
pub mod system;
pub mod travel;
pub mod usage;
pub mod volume;
mod wire;

pub use wire::{Set, StrSlice};

#[cfg(test)]
mod tests;
