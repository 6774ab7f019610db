//! Values of flags, read as Docker's client reads them and refused in its words.
//!
//! Everything here is text in, data out; the few readers of files (`--env-file`, a seccomp profile) say so.

pub(crate) mod block;
pub(crate) mod device;
pub(crate) mod environment;
pub(crate) mod mount;
pub(crate) mod network;
pub(crate) mod numbers;
pub(crate) mod platform;
pub(crate) mod ports;
pub(crate) mod security;
pub(crate) mod size;
pub(crate) mod sysctl;
pub(crate) mod timestamp;
pub(crate) mod ulimit;
pub(crate) mod volume;

use std::collections::BTreeMap;

/// `name=value` texts as a map; a text without `=` has an empty value (Docker's `ConvertKVStringsToMap`).
pub(crate) fn key_values<'a>(texts: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, String> {
    let mut map = BTreeMap::new();
    for text in texts {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        map.insert(name.to_owned(), value.to_owned());
    }
    map
}
