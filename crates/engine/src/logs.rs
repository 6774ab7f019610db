//! What a container wrote, read back.

use bytes::Bytes;
use jiff::Timestamp;

use crate::attach::Stream;
use crate::error::Result;

/// Which lines, and how they are dressed.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    pub stdout: bool,
    pub stderr: bool,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// The last so many lines; `None`: all.
    pub tail: Option<u64>,
    pub follow: bool,
    /// Begin each line with its RFC 3339 time.
    pub timestamps: bool,
    /// Begin each line with the attributes the log driver added.
    pub details: bool,
}

/// Lines as they come.
#[derive(Debug)]
pub struct LogStream {
    /// Whether the container has a terminal, so that the stream is raw.
    pub tty: bool,
}

impl LogStream {
    /// The next piece: whole lines of one stream, dressed as asked, as many as are at hand (up to about 64 KiB).
    /// `None` at the end; with `follow` that is when the container has stopped.
    pub async fn next(&mut self) -> Option<Result<(Stream, Bytes)>> {
        todo!()
    }
}
