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

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

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

/// Writes a log. Output comes in as it is read from the container; lines are cut, stamped and written in batches.
#[derive(Debug)]
pub struct Writer {}

impl Writer {
    /// Opens the log for appending and creates it if need be.
    pub fn open(_config: &Config) -> Result<Self, Error> {
        todo!()
    }

    /// Adds what the container wrote at `at`. Whole lines are on disk when this returns; the start of an unfinished line is
    /// kept for the next call.
    pub fn write(&mut self, _stream: Stream, _bytes: &[u8], _at: Timestamp) -> Result<(), Error> {
        todo!()
    }

    /// Writes what is left of an unfinished line.
    pub fn finish(&mut self, _at: Timestamp) -> Result<(), Error> {
        todo!()
    }
}

/// Reads a log through its rotated files, oldest first.
///
/// [`Reader::next_entry`] answers `None` at the end of what there is. To follow, watch the log's folder (inotify on
/// modify, create and move) and ask again: the reader notices rotation by itself and finishes the old file first.
#[derive(Debug)]
pub struct Reader {}

impl Reader {
    /// Opens the log at the first entry the query wants. A log that does not exist yet is empty.
    pub fn open(_driver: Driver, _path: &Path, _query: Query) -> Result<Self, Error> {
        todo!()
    }

    /// The next entry; `None` when there is none now.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_>>, Error> {
        todo!()
    }

    /// Whether no later entry can be wanted: the query's `until` has passed in the log itself.
    pub fn is_finished(&self) -> bool {
        todo!()
    }
}
