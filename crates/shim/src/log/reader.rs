//! From the files of a log back to lines.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::{Driver, Entry, Error, Query, Stream, files, json, local, tail};
use crate::time::Timestamp;

/// What one `read` asks for.
const CHUNK: usize = 128 * 1024;

/// No line of ours is longer: 16 KiB of which each byte takes six, and attributes. Longer ones are passed over.
const MAX_ENTRY: usize = 4 * local::MAX_BODY;

/// More rotated files than anyone keeps.
const MAX_FILES: u32 = 10_000;

/// Reads a log through its rotated files, oldest first.
///
/// [`Reader::next_entry`] answers `None` at the end of what there is. To follow, watch the log's folder (inotify on
/// modify, create and move) and ask again: the reader notices rotation by itself and finishes the old file first.
#[derive(Debug)]
pub struct Reader {
    driver: Driver,
    path: PathBuf,
    query: Query,
    /// Files still to be read after the present one.
    later: VecDeque<LogFile>,
    file: Option<LogFile>,
    /// The present file has been replaced by a newer one: what it holds now is all it will ever hold.
    replaced: bool,
    buffer: Vec<u8>,
    filled: Range<usize>,
    /// In the middle of a line that is too long: pass over bytes up to the next newline.
    overlong: bool,
    json: json::Decoder,
    local: local::Decoder,
    /// The last entry's moment, to find the way again when rotation has outrun the reader.
    last: Option<Timestamp>,
    after: Option<Timestamp>,
    finished: bool,
}

/// One file of a log.
#[derive(Debug)]
pub(super) struct LogFile {
    pub(super) source: Source,
    /// Device and inode, by which a file is known through renames.
    identity: (u64, u64),
    /// Seconds since the epoch.
    modified: i64,
    /// Bytes read, or passed over by a seek.
    pub(super) position: u64,
    /// Entries to pass over.
    pub(super) skip: u64,
}

pub(super) enum Source {
    Plain(File),
    Gzip(Box<MultiGzDecoder<File>>),
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "Plain",
            Self::Gzip(_) => "Gzip",
        })
    }
}

impl Reader {
    /// Opens the log at the first entry the query wants. A log that does not exist yet is empty.
    pub fn open(driver: Driver, path: &Path, query: Query) -> Result<Self, Error> {
        let mut reader = Self {
            driver,
            path: path.to_owned(),
            later: VecDeque::new(),
            file: None,
            replaced: false,
            buffer: Vec::new(),
            filled: 0..0,
            overlong: false,
            json: json::Decoder::default(),
            local: local::Decoder::default(),
            last: None,
            after: None,
            finished: driver == Driver::None,
            query,
        };
        if !reader.finished {
            let mut files = open_all(path)?;
            if let Some(count) = reader.query.tail {
                files = tail::keep(driver, files, count).map_err(Error::of("read log", path))?;
            }
            files.retain(|file| {
                reader
                    .query
                    .since
                    .is_none_or(|since| file.modified > since.as_nanos() / 1_000_000_000 - 1)
            });
            reader.later = files.into_iter().rev().collect();
        }
        Ok(reader)
    }

    /// The next entry; `None` when there is none now.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_>>, Error> {
        let Some((stream, at, text)) = self.find()? else {
            return Ok(None);
        };
        let attrs = if self.driver == Driver::Local {
            self.local.attrs()
        } else {
            self.json.attrs()
        };
        Ok(Some(Entry {
            stream,
            at,
            line: &self.buffer[text],
            attrs,
        }))
    }

    /// Whether no later entry can be wanted: the query's `until` has passed in the log itself.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    fn find(&mut self) -> Result<Option<(Stream, Timestamp, Range<usize>)>, Error> {
        while !self.finished {
            let Some(record) = self.cut() else {
                if self.fill()? || self.advance()? {
                    continue;
                }
                return Ok(None);
            };
            let decoded = match self.driver {
                Driver::Local => self.local.decode(&self.buffer[record.clone()]),
                _ => self.json.decode(&mut self.buffer[record.clone()]),
            };
            let Some(entry) = decoded else { continue };
            if self.wants(entry.at) {
                let text = record.start + entry.text.start..record.start + entry.text.end;
                return Ok(Some((entry.stream, entry.at, text)));
            }
        }
        Ok(None)
    }

    fn wants(&mut self, at: Timestamp) -> bool {
        if let Some(file) = &mut self.file
            && file.skip > 0
        {
            file.skip -= 1;
            return false;
        }
        if self.query.until.is_some_and(|until| at > until) {
            self.finished = true;
            return false;
        }
        if self.after.is_some_and(|after| at <= after) {
            return false;
        }
        self.last = Some(at);
        self.query.since.is_none_or(|since| at >= since)
    }

    /// Takes the next whole record out of the buffer.
    fn cut(&mut self) -> Option<Range<usize>> {
        match self.driver {
            Driver::Local => self.cut_local(),
            _ => self.cut_line(),
        }
    }

    fn cut_line(&mut self) -> Option<Range<usize>> {
        loop {
            let bytes = &self.buffer[self.filled.clone()];
            let Some(length) = memchr::memchr(b'\n', bytes) else {
                if bytes.len() > MAX_ENTRY {
                    self.overlong = true;
                    self.filled = 0..0;
                }
                return None;
            };
            let start = self.filled.start;
            self.filled.start += length + 1;
            if !std::mem::take(&mut self.overlong) {
                return Some(start..start + length);
            }
        }
    }

    fn cut_local(&mut self) -> Option<Range<usize>> {
        loop {
            let bytes = &self.buffer[self.filled.clone()];
            if bytes.starts_with(local::MAGIC) {
                self.filled.start += local::MAGIC.len();
                continue;
            }
            match local::cut(bytes) {
                local::Cut::Record { length } => {
                    let start = self.filled.start + 4;
                    self.filled.start = start + length + 4;
                    return Some(start..start + length);
                }
                local::Cut::Short => return None,
                // A shim that was killed in the middle of a record leaves half of it, and its successor cuts that off; a
                // reader that took the half in finds its way again byte by byte.
                local::Cut::Broken => self.filled.start += 1,
            }
        }
    }

    /// Reads more of the present file; `false` at its end.
    fn fill(&mut self) -> Result<bool, Error> {
        let Some(file) = &mut self.file else {
            return Ok(false);
        };
        if self.filled.start > 0 {
            self.buffer.copy_within(self.filled.clone(), 0);
            self.filled = 0..self.filled.len();
        }
        if self.buffer.len() < self.filled.end + CHUNK {
            self.buffer.resize(self.filled.end + CHUNK, 0);
        }
        let room = &mut self.buffer[self.filled.end..];
        let count = match &mut file.source {
            Source::Plain(file) => file.read(room),
            Source::Gzip(file) => file.read(room),
        };
        let count = match count {
            // A compressed file that is damaged ends where it cannot be read further.
            Err(_) if matches!(file.source, Source::Gzip(_)) => 0,
            other => other.map_err(Error::of("read log", &self.path))?,
        };
        file.position += count as u64;
        self.filled.end += count;
        Ok(count > 0)
    }

    /// At the end of the present file: goes on to the next one; `false` when there is none yet.
    fn advance(&mut self) -> Result<bool, Error> {
        if let Some(next) = self.later.pop_front() {
            return self.enter(next);
        }
        let Some(file) = &self.file else {
            self.later = open_all(&self.path)?.into_iter().rev().collect();
            return Ok(!self.later.is_empty());
        };
        if self.replaced {
            self.later = self.successors(file.identity)?;
            return Ok(!self.later.is_empty());
        }
        match std::fs::metadata(&self.path) {
            Ok(now) if (now.dev(), now.ino()) != file.identity => {
                self.replaced = true;
                Ok(true)
            }
            Ok(now) if now.len() < file.position => self.rewind(),
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::of("stat log", &self.path)(error)),
        }
    }

    fn enter(&mut self, next: LogFile) -> Result<bool, Error> {
        self.filled = 0..0;
        self.overlong = false;
        self.replaced = false;
        let next = self.file.insert(next);
        if self.driver == Driver::Local && next.position > 0 {
            let start = tail::first_record(next).map_err(Error::of("read log", &self.path))?;
            self.local.decode(&start);
        }
        Ok(true)
    }

    /// Somebody has truncated the file.
    fn rewind(&mut self) -> Result<bool, Error> {
        self.filled = 0..0;
        if let Some(LogFile {
            source: Source::Plain(file),
            position,
            ..
        }) = &mut self.file
        {
            file.seek(SeekFrom::Start(0))
                .map_err(Error::of("seek log", &self.path))?;
            *position = 0;
        }
        Ok(true)
    }

    /// The files newer than the one just finished. When that one is gone, all; it may be among them in its compressed
    /// form, and then only what is later than what was read counts.
    fn successors(&mut self, identity: (u64, u64)) -> Result<VecDeque<LogFile>, Error> {
        let mut files = open_all(&self.path)?;
        match files.iter().position(|file| file.identity == identity) {
            Some(index) => files.truncate(index),
            None if files
                .iter()
                .any(|file| matches!(file.source, Source::Gzip(_))) =>
            {
                self.after = self.last;
            }
            None => {}
        }
        Ok(files.into_iter().rev().collect())
    }
}

/// Opens every file of the log, newest first. A rotation that happens meanwhile shows as the same file met twice, and
/// then everything is opened again.
fn open_all(path: &Path) -> Result<Vec<LogFile>, Error> {
    let mut files = Vec::new();
    for _ in 0..16 {
        files = open_once(path)?;
        let twice = files
            .iter()
            .enumerate()
            .any(|(i, file)| files[..i].iter().any(|f| f.identity == file.identity));
        if !twice {
            break;
        }
    }
    Ok(files)
}

fn open_once(path: &Path) -> Result<Vec<LogFile>, Error> {
    let mut files: Vec<_> = open_one(path, false)?.into_iter().collect();
    for number in 1..MAX_FILES {
        let file = match open_one(&files::rotated(path, number, ""), false)? {
            None => open_one(&files::rotated(path, number, ".gz"), true)?,
            plain => plain,
        };
        let Some(file) = file else { break };
        files.push(file);
    }
    Ok(files)
}

fn open_one(path: &Path, compressed: bool) -> Result<Option<LogFile>, Error> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(Error::of("open log", path))?,
    };
    let metadata = file.metadata().map_err(Error::of("stat log", path))?;
    let source = if compressed {
        Source::Gzip(Box::new(MultiGzDecoder::new(file)))
    } else {
        Source::Plain(file)
    };
    let identity = (metadata.dev(), metadata.ino());
    Ok(Some(LogFile {
        source,
        identity,
        modified: metadata.mtime(),
        position: 0,
        skip: 0,
    }))
}
