//! Container logs on disk: [`Writer`] for the shim, [`Reader`] for the daemon.
//!
//! Drivers: `json-file` in Docker's places and bytes, because agents tail it; `local`, smaller, in a framed format
//! of our own; `none`, which keeps nothing. Files of one log, newest first:
//!
//! ```text
//! <path>            written by the shim
//! <path>.1          full; `.1.gz` when rotated files are compressed
//! <path>.2 ...      up to max_file - 1, the oldest is dropped
//! ```

mod files;
mod json;
mod local;
mod reader;
mod tail;
mod writer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use reader::Reader;
pub use writer::Writer;

use crate::time::Timestamp;

/// Which format a log has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    #[default]
    JsonFile,
    Local,
    None,
}

/// How a container's log is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    pub driver: Driver,
    /// The file written; rotated ones lie beside it.
    pub path: PathBuf,
    /// Bytes after which the file is rotated; nothing for never.
    pub max_size: Option<u64>,
    /// How many files there are at most, the written one included; 0 counts as 1.
    pub max_file: u32,
    /// Whether rotated files are compressed with gzip.
    pub compress: bool,
    /// Bytes of output that wait in memory while the disk refuses the log; more is given up, and the container never
    /// waits. Nothing for a log that it waits for.
    pub buffer: Option<u64>,
    /// What every line carries besides itself: labels, variables and the tag that the container's options name.
    pub attrs: BTreeMap<String, String>,
}

/// Which output a line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// Why a log cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[error("{action} {path}")]
pub struct Error {
    /// What was tried, such as `open log`.
    pub action: &'static str,
    pub path: PathBuf,
    #[source]
    pub source: std::io::Error,
}

/// Which lines to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Lines at this moment or later.
    pub since: Option<Timestamp>,
    /// Lines at this moment or earlier.
    pub until: Option<Timestamp>,
    /// The last so many lines that exist when the reader is opened; all when nothing.
    pub tail: Option<u64>,
}

/// One line, or one piece of a line longer than 16 KiB (then without a newline at its end).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    pub stream: Stream,
    pub at: Timestamp,
    /// The bytes, newline included.
    pub line: &'a [u8],
    /// What `logs --details` shows, as `key=value` pairs joined by commas, keys sorted and both escaped as in a query; empty
    /// without attributes.
    pub attrs: &'a str,
}

/// A line found in a reader's buffer: its text's place, counted from the line's start.
#[derive(Debug)]
struct Decoded {
    stream: Stream,
    at: Timestamp,
    text: std::ops::Range<usize>,
}

impl Error {
    /// Adds what was tried, and on which path, to an I/O error.
    fn of<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> Self + 'a {
        move |source| Self {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// Attributes as `logs --details` shows them: `key=value`, both escaped as in a query, joined by commas.
fn details(attrs: &BTreeMap<String, String>) -> String {
    let pairs = attrs
        .iter()
        .map(|(key, value)| format!("{}={}", query_escape(key), query_escape(value)));
    pairs.collect::<Vec<_>>().join(",")
}

fn query_escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                out.push(char::from(byte));
            }
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests;
