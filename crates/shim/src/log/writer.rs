//! From what the container wrote to lines on disk.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use super::files::{self, Compressor};
use super::{Config, Driver, Error, Stream, json, local};
use crate::time::Timestamp;

/// Docker cuts longer lines into pieces of this size.
const MAX_LINE: usize = 16 * 1024;

/// Encoded bytes that are worth a `write` of their own.
const BATCH: usize = 256 * 1024;

/// Writes a log. Output comes in as it is read from the container; lines are cut, stamped and written in batches.
///
/// What the disk refuses is kept in memory, so whoever hands output in should stop while the writer
/// [is stalled](Self::is_stalled), and [try again](Self::retry) later. Output that cannot be held back is
/// [skipped](Self::skip): a line in the log says then how much is missing.
#[derive(Debug)]
pub struct Writer {
    config: Config,
    file: Option<File>,
    size: u64,
    /// The start of an unfinished line, by stream.
    pending: [Pending; 2],
    json_attrs: Vec<u8>,
    suffix: Vec<u8>,
    batch: Vec<u8>,
    /// The disk has refused the batch.
    stalled: bool,
    /// What the disk said last; told to the caller at the end of the call.
    failure: Option<Error>,
    /// Bytes of output that are in the batch or in unfinished lines.
    held: u64,
    /// Bytes of output that were skipped since the last line that is in the log.
    skipped: u64,
    compressor: Option<Compressor>,
    /// Whether rotated files wait for compression.
    plain: bool,
}

#[derive(Debug, Default)]
struct Pending {
    text: Vec<u8>,
    /// When the line's first piece was written, once it is too long for one: all its pieces carry that moment.
    since: Option<Timestamp>,
}

impl Writer {
    /// Opens the log for appending and creates it if need be.
    pub fn open(config: &Config) -> Result<Self, Error> {
        let mut writer = Self {
            json_attrs: json::attrs_member(&config.attrs),
            plain: config.compress,
            config: config.clone(),
            file: None,
            size: 0,
            pending: Default::default(),
            suffix: Vec::new(),
            batch: Vec::new(),
            stalled: false,
            failure: None,
            held: 0,
            skipped: 0,
            compressor: None,
        };
        if config.driver != Driver::None {
            let mut file = files::open(&config.path)?;
            writer.size =
                mend(config.driver, &mut file).map_err(Error::of("read log", &config.path))?;
            writer.file = Some(file);
            writer.begin_file();
            writer.flush()?;
        }
        Ok(writer)
    }

    /// Adds what the container wrote at `at`. Whole lines are on disk when this returns, or in memory with an error; the
    /// start of an unfinished line is kept for the next call.
    pub fn write(&mut self, stream: Stream, mut bytes: &[u8], at: Timestamp) -> Result<(), Error> {
        if self.file.is_none() {
            return Ok(());
        }
        self.held += bytes.len() as u64;
        self.stamp(stream, at);
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if line.len() <= MAX_LINE && self.pending[stream as usize].is_empty() {
                self.entry(stream, line, true, at);
            } else {
                self.extend_line(stream, line, at);
                self.end_line(stream, true, at);
            }
            bytes = rest;
        }
        self.extend_line(stream, bytes, at);
        self.settle()
    }

    /// Writes what is left of unfinished lines, whatever the disk said before.
    pub fn finish(&mut self, at: Timestamp) -> Result<(), Error> {
        self.end_lines(false, at);
        self.retry(at)
    }

    /// Whether the container waits while the disk refuses its log.
    pub fn is_blocking(&self) -> bool {
        self.config.buffer.is_none()
    }

    /// Whether so many bytes more may be [written](Self::write) to memory while the disk refuses the log and nobody waits for it.
    /// What comes after something was skipped is skipped too.
    pub fn has_room(&self, bytes: usize) -> bool {
        let fits = |most| self.held.saturating_add(bytes as u64) <= most;
        self.skipped == 0 && self.config.buffer.is_some_and(fits)
    }

    /// Whether the disk has refused what is in memory.
    pub fn is_stalled(&self) -> bool {
        self.stalled
    }

    /// Bytes of output that are not in the log: held in memory or skipped.
    pub fn missing(&self) -> u64 {
        self.held + self.skipped
    }

    /// Bytes of output that were given up since the last line that is in the log.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Offers the disk once more what it has refused, and marks the place of what was skipped meanwhile.
    pub fn retry(&mut self, at: Timestamp) -> Result<(), Error> {
        self.stalled = false;
        self.failure = None;
        self.flush()?;
        if self.skipped > 0 {
            let text = format!(
                "[tare: {} bytes of output are missing here: the log could not be written]",
                self.skipped
            );
            self.stamp(Stream::Stderr, at);
            self.entry(Stream::Stderr, text.as_bytes(), true, at);
            self.settle()?;
            self.skipped = 0;
        }
        Ok(())
    }

    /// Gives output up. The lines that it would have ended end before it, so that nothing is joined over the gap.
    pub fn skip(&mut self, bytes: &[u8], at: Timestamp) {
        if self.file.is_some() {
            self.end_lines(true, at);
            self.skipped += bytes.len() as u64;
        }
    }

    fn end_lines(&mut self, whole: bool, at: Timestamp) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if !self.pending[stream as usize].text.is_empty() && self.file.is_some() {
                self.stamp(stream, at);
                self.end_line(stream, whole, at);
            }
        }
    }

    /// Writes the batch and tells what went wrong since the call began.
    fn settle(&mut self) -> Result<(), Error> {
        if !self.stalled {
            let result = self.flush();
            self.note(result);
        }
        self.failure.take().map_or(Ok(()), Err)
    }

    fn note(&mut self, result: Result<(), Error>) {
        if let Err(error) = result {
            self.failure = Some(error);
        }
    }

    /// Does a bit of compression of rotated files; tells whether there is more to do. For when the container is quiet.
    pub fn compress_some(&mut self) -> Result<bool, Error> {
        if self.compressor.is_none() {
            let due = self.plain && self.config.compress && self.file.is_some();
            self.plain = false;
            self.compressor = if due {
                Compressor::begin(&self.config.path, self.config.max_file)?
            } else {
                None
            };
        }
        let Some(compressor) = &mut self.compressor else {
            return Ok(false);
        };
        match compressor.step() {
            Ok(true) => {}
            Ok(false) => {
                self.compressor = None;
                self.plain = true;
            }
            Err(error) => {
                self.cancel_compression();
                return Err(error);
            }
        }
        Ok(true)
    }

    /// Whether [`Writer::compress_some`] has something to do.
    pub fn has_work(&self) -> bool {
        self.config.compress && self.file.is_some() && (self.plain || self.compressor.is_some())
    }

    /// Gives memory back; for when the container is quiet.
    pub fn trim(&mut self) {
        if self.batch.is_empty() {
            self.batch = Vec::new();
        }
        self.suffix = Vec::new();
        for pending in &mut self.pending {
            pending.text.shrink_to_fit();
        }
    }

    fn stamp(&mut self, stream: Stream, at: Timestamp) {
        if self.config.driver == Driver::JsonFile {
            json::suffix(stream, &self.json_attrs, at, &mut self.suffix);
        }
    }

    /// Adds to the unfinished line, and writes a piece each time it is full.
    fn extend_line(&mut self, stream: Stream, mut bytes: &[u8], at: Timestamp) {
        while !bytes.is_empty() {
            let pending = &mut self.pending[stream as usize].text;
            let (now, later) = bytes.split_at(bytes.len().min(MAX_LINE - pending.len()));
            pending.extend_from_slice(now);
            bytes = later;
            if pending.len() == MAX_LINE {
                self.piece(stream, at);
            }
        }
    }

    /// Writes a full piece. A character that the cut would split goes to the next one.
    fn piece(&mut self, stream: Stream, at: Timestamp) {
        let mut text = std::mem::take(&mut self.pending[stream as usize].text);
        let kept = split_character(&text);
        let since = *self.pending[stream as usize].since.get_or_insert(at);
        self.entry_at(stream, &text[..text.len() - kept], false, since, at);
        let cut = text.len() - kept;
        text.drain(..cut);
        self.pending[stream as usize].text = text;
    }

    fn end_line(&mut self, stream: Stream, whole: bool, at: Timestamp) {
        let Pending { text, since } = std::mem::take(&mut self.pending[stream as usize]);
        self.entry_at(stream, &text, whole, since.unwrap_or(at), at);
    }

    /// An entry whose line began at another moment than this batch.
    fn entry_at(
        &mut self,
        stream: Stream,
        text: &[u8],
        whole: bool,
        since: Timestamp,
        at: Timestamp,
    ) {
        self.stamp(stream, since);
        self.entry(stream, text, whole, since);
        self.stamp(stream, at);
    }

    fn entry(&mut self, stream: Stream, text: &[u8], whole: bool, at: Timestamp) {
        let full = self
            .config
            .max_size
            .is_some_and(|max| self.size + self.batch.len() as u64 >= max);
        if (full || self.batch.len() >= BATCH) && !self.stalled {
            let mut result = self.flush();
            if full && result.is_ok() {
                result = self.rotate();
            }
            self.note(result);
        }
        match self.config.driver {
            Driver::JsonFile => json::encode(text, whole, &self.suffix, &mut self.batch),
            Driver::Local => local::encode(stream, text, whole, at, &mut self.batch),
            Driver::None => {}
        }
    }

    /// Writes the batch, wholly or not at all: what a full disk let through of it is taken back, so that the next
    /// entry does not continue half a line. What was refused stays in the batch.
    fn flush(&mut self) -> Result<(), Error> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        if self.batch.is_empty() {
            return Ok(());
        }
        if let Err(error) = file.write_all(&self.batch) {
            let _ = file.set_len(self.size);
            self.stalled = true;
            return Err(Error::of("write log", &self.config.path)(error));
        }
        self.size += self.batch.len() as u64;
        self.batch.clear();
        self.held = 0;
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), Error> {
        self.cancel_compression();
        // Without a new file the old one grows on: losing output would be worse.
        self.file = Some(files::rotate(&self.config.path, self.config.max_file)?);
        self.size = 0;
        self.plain = true;
        self.begin_file();
        Ok(())
    }

    fn begin_file(&mut self) {
        if self.config.driver != Driver::Local {
            return;
        }
        if self.size == 0 {
            self.batch
                .extend_from_slice(&local::file_start(&self.config.attrs));
        } else {
            self.batch
                .extend_from_slice(&local::attrs_record(&self.config.attrs));
        }
    }

    fn cancel_compression(&mut self) {
        if let Some(compressor) = self.compressor.take() {
            compressor.cancel();
        }
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.since.is_none()
    }
}

/// How many bytes at the end belong to a UTF-8 character that is not whole.
fn split_character(text: &[u8]) -> usize {
    let tail = &text[text.len().saturating_sub(3)..];
    match std::str::from_utf8(tail) {
        Err(error) if error.error_len().is_none() => tail.len() - error.valid_up_to(),
        // The tail may begin inside a character, and then only its last bytes tell.
        Err(_) => (1..tail.len())
            .find(|&n| incomplete(&tail[tail.len() - n..]))
            .unwrap_or(0),
        Ok(_) => 0,
    }
}

fn incomplete(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes)
        .is_err_and(|error| error.error_len().is_none() && error.valid_up_to() == 0)
}

/// Makes a file that a killed shim left end with a whole record, and tells its size.
fn mend(driver: Driver, file: &mut File) -> std::io::Result<u64> {
    let size = file.seek(SeekFrom::End(0))?;
    if size == 0 {
        return Ok(0);
    }
    if driver == Driver::JsonFile {
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            return Ok(size + 1);
        }
        return Ok(size);
    }
    let whole = local_whole(file, size)?;
    if whole < size {
        file.set_len(whole)?;
    }
    Ok(whole)
}

/// How much of a `local` file is whole records.
fn local_whole(file: &mut File, size: u64) -> std::io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut magic = [0; local::MAGIC.len()];
    if size < magic.len() as u64 {
        return Ok(0);
    }
    file.read_exact(&mut magic)?;
    if magic != *local::MAGIC {
        return Ok(0);
    }
    let mut at = magic.len() as u64;
    let mut reader = std::io::BufReader::with_capacity(64 * 1024, file);
    while let Some(next) = next_record(&mut reader, at, size)? {
        at = next;
    }
    Ok(at)
}

fn next_record(
    reader: &mut std::io::BufReader<&mut File>,
    at: u64,
    size: u64,
) -> std::io::Result<Option<u64>> {
    if at + 8 > size {
        return Ok(None);
    }
    let (mut header, mut trailer) = ([0; 4], [0; 4]);
    reader.read_exact(&mut header)?;
    let length = u64::from(u32::from_le_bytes(header));
    if length == 0 || length > local::MAX_BODY as u64 || at + 8 + length > size {
        return Ok(None);
    }
    reader.seek_relative(length as i64)?;
    reader.read_exact(&mut trailer)?;
    Ok((header == trailer).then_some(at + 8 + length))
}
