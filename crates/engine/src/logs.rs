//! What a container wrote, read back.
//!
//! Reading is blocking work, done a batch at a time on tokio's blocking threads; the next batch is read while the
//! client takes the last. Following costs no thread and no polling: inotify on the log's folder wakes it.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use bytes::Bytes;
use jiff::Timestamp;
use linux::inotify::{Inotify, WatchFlags};
use shim::log;
use shim::time as log_time;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinHandle;

use crate::attach::Stream;
use crate::error::{Context as _, Error, Result};

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

/// Which log, and what is known of who writes it.
pub(crate) struct LogSource {
    pub(crate) driver: log::Driver,
    pub(crate) path: PathBuf,
    pub(crate) tty: bool,
    /// Completes when nothing more will be written: the container has stopped. A follower ends then.
    pub(crate) stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// Lines as they come.
pub struct LogStream {
    /// Whether the container has a terminal, so that the stream is raw.
    pub tty: bool,
    pieces: VecDeque<Piece>,
    reading: Reading,
    /// `None`: nothing is followed.
    follow: Option<Follow>,
}

/// Whole lines of one stream.
type Piece = (Stream, Bytes);

enum Reading {
    /// A batch is being read.
    Busy(JoinHandle<Batch>),
    /// Everything that was there has been read.
    AtEnd(Box<Walk>),
    Done,
}

struct Follow {
    folder: AsyncFd<Inotify>,
    /// `None` once it has completed.
    stopped: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    until: Option<Timestamp>,
}

/// Walks through a log on a blocking thread.
struct Walk {
    reader: log::Reader,
    query: LogQuery,
}

struct Batch {
    walk: Box<Walk>,
    pieces: Result<VecDeque<Piece>>,
    at_end: bool,
}

/// One piece of a stream.
const PIECE: usize = 64 << 10;

/// What is read at once.
const BATCH: usize = 512 << 10;

impl LogStream {
    /// Opens a log. To be called on a blocking thread of a tokio runtime.
    pub(crate) fn open(source: LogSource, mut query: LogQuery) -> Result<Self> {
        // Before the first read, so that nothing written in between is slept through.
        let follow = if query.follow {
            Some(Follow::new(&source.path, source.stopped, query.until)?)
        } else {
            None
        };
        if follow.is_none() {
            // Who does not follow gets what there is now, however fast the container goes on writing.
            let now = Timestamp::now();
            query.until = Some(query.until.map_or(now, |until| until.min(now)));
        }
        let wanted = log::Query {
            since: query.since.map(stamp),
            until: query.until.map(stamp),
            tail: query.tail,
        };
        let reader = log::Reader::open(source.driver, &source.path, wanted)
            .context(|| "read the container's log".to_owned())?;
        let walk = Box::new(Walk { reader, query });
        Ok(Self {
            tty: source.tty,
            pieces: VecDeque::new(),
            reading: Reading::AtEnd(walk).start(),
            follow,
        })
    }

    /// The next piece: whole lines of one stream, dressed as asked, as many as are at hand (up to about 64 KiB).
    /// `None` at the end; with `follow` that is when the container has stopped. Cancelling loses nothing.
    pub async fn next(&mut self) -> Option<Result<(Stream, Bytes)>> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Some(Ok(piece));
            }
            match &mut self.reading {
                Reading::Busy(batch) => {
                    let batch = batch.await;
                    if let Err(error) = self.take(batch) {
                        return Some(Err(error));
                    }
                }
                Reading::AtEnd(walk) if walk.reader.is_finished() => self.reading = Reading::Done,
                Reading::AtEnd(_) => {
                    let more = match &mut self.follow {
                        Some(follow) => follow.more().await,
                        None => false,
                    };
                    let reading = std::mem::replace(&mut self.reading, Reading::Done);
                    if more {
                        self.reading = reading.start();
                    }
                }
                Reading::Done => return None,
            }
        }
    }

    /// Takes a batch in and has the next one read meanwhile.
    fn take(&mut self, batch: Result<Batch, tokio::task::JoinError>) -> Result<()> {
        self.reading = Reading::Done;
        let batch =
            batch.map_err(|error| Error::system("read the container's log").caused_by(error))?;
        self.pieces = batch.pieces?;
        let reading = Reading::AtEnd(batch.walk);
        self.reading = if batch.at_end {
            reading
        } else {
            reading.start()
        };
        Ok(())
    }
}

impl fmt::Debug for LogStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogStream")
            .field("tty", &self.tty)
            .finish_non_exhaustive()
    }
}

impl Reading {
    /// Has the next batch read.
    fn start(self) -> Self {
        match self {
            Self::AtEnd(walk) => Self::Busy(tokio::task::spawn_blocking(|| walk.batch())),
            other => other,
        }
    }
}

impl Follow {
    fn new(
        path: &Path,
        stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
        until: Option<Timestamp>,
    ) -> Result<Self> {
        let describe = || format!("follow {}", path.display());
        let folder = path.parent().unwrap_or(path);
        // A log that was never written to may lack its folder.
        std::fs::create_dir_all(folder).context(describe)?;
        let inotify = Inotify::new().context(describe)?;
        inotify
            .watch(
                folder,
                WatchFlags::MODIFY | WatchFlags::CREATE | WatchFlags::MOVED_TO,
            )
            .context(describe)?;
        #[expect(
            deprecated,
            reason = "what replaces it is unsafe, and this crate has none; an Inotify keeps its descriptor for life"
        )]
        let folder = AsyncFd::new(inotify).context(describe)?;
        Ok(Self {
            folder,
            stopped: Some(stopped),
            until,
        })
    }

    /// Waits until there may be more to read; false when there will be nothing any more.
    async fn more(&mut self) -> bool {
        let Some(stopped) = &mut self.stopped else {
            return false;
        };
        tokio::select! {
            ready = self.folder.readable() => {
                let Ok(mut ready) = ready else { return false };
                // What happened does not matter, only that the descriptor is quiet again.
                let _ = ready.get_inner().read();
                ready.clear_ready();
            }
            () = stopped => self.stopped = None,
            () = pass(self.until) => self.stopped = None,
        }
        true
    }
}

/// Completes at a moment; never without one.
async fn pass(until: Option<Timestamp>) {
    let Some(until) = until else {
        return std::future::pending().await;
    };
    let left = until.duration_since(Timestamp::now());
    tokio::time::sleep(left.try_into().unwrap_or_default()).await;
}

impl Walk {
    fn batch(mut self: Box<Self>) -> Batch {
        let mut pieces = Pieces::default();
        let result = self.fill(&mut pieces);
        Batch {
            walk: self,
            at_end: *result.as_ref().unwrap_or(&true),
            pieces: result.map(|_| pieces.finish()),
        }
    }

    /// Reads lines until the batch is full; true at the end of the log.
    fn fill(&mut self, pieces: &mut Pieces) -> Result<bool> {
        while pieces.total < BATCH {
            let entry = self
                .reader
                .next_entry()
                .context(|| "read the container's log".to_owned())?;
            let Some(entry) = entry else { return Ok(true) };
            let stream = match entry.stream {
                log::Stream::Stdout if self.query.stdout => Stream::Stdout,
                log::Stream::Stderr if self.query.stderr => Stream::Stderr,
                _ => continue,
            };
            let text = pieces.open(stream);
            let before = text.len();
            dress(&self.query, &entry, text);
            pieces.total += pieces.text.len() - before;
        }
        Ok(false)
    }
}

/// The line as the client asked for it.
fn dress(query: &LogQuery, entry: &log::Entry<'_>, text: &mut Vec<u8>) {
    if query.timestamps {
        text.extend_from_slice(&entry.at.fixed());
        text.push(b' ');
    }
    if query.details {
        text.extend_from_slice(entry.attrs.as_bytes());
        text.push(b' ');
    }
    text.extend_from_slice(entry.line);
}

/// Lines gathered into pieces.
#[derive(Default)]
struct Pieces {
    done: VecDeque<Piece>,
    stream: Option<Stream>,
    text: Vec<u8>,
    total: usize,
}

impl Pieces {
    /// Where the next line of a stream goes.
    fn open(&mut self, stream: Stream) -> &mut Vec<u8> {
        if self.stream != Some(stream) || self.text.len() >= PIECE {
            self.close();
            self.stream = Some(stream);
            self.text.reserve(PIECE + PIECE / 4);
        }
        &mut self.text
    }

    fn close(&mut self) {
        if let Some(stream) = self.stream
            && !self.text.is_empty()
        {
            self.done
                .push_back((stream, std::mem::take(&mut self.text).into()));
        }
    }

    fn finish(mut self) -> VecDeque<Piece> {
        self.close();
        self.done
    }
}

fn stamp(at: Timestamp) -> log_time::Timestamp {
    let nanos = at.as_nanosecond().clamp(i64::MIN.into(), i64::MAX.into());
    log_time::Timestamp::from_nanos(nanos as i64)
}

#[cfg(test)]
mod tests;
