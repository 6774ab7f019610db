use std::io::{self, Read, Write};

use super::header::{Dialect, EntryKind, Header, Time};
use super::pax::Records;
use super::sparse::{self, Run};
use super::{BLOCK, MAX_CHAIN, MAX_EXTENSION, MAX_JUNK, TarError};

/// One thing an archive holds, with what extension headers said merged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As written: may be absolute, may hold `..`; never holds a NUL.
    pub path: Vec<u8>,
    /// Target of a hard or symbolic link, otherwise empty.
    pub link: Vec<u8>,
    pub kind: EntryKind,
    /// Permission bits with setuid, setgid, sticky.
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    /// Bytes of the file once its holes are back in; 0 for what has no content.
    pub size: u64,
    pub mtime: Time,
    pub atime: Option<Time>,
    pub device: (u32, u32),
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    runs: Option<Vec<Run>>,
    /// Bytes of content in the archive.
    stored: u64,
}

impl Entry {
    /// A file, directory or link of root's, with no time but what is set after.
    pub fn new(kind: EntryKind, path: impl Into<Vec<u8>>, mode: u32) -> Entry {
        Entry {
            path: path.into(),
            link: Vec::new(),
            kind,
            mode,
            uid: 0,
            gid: 0,
            size: 0,
            mtime: Time::default(),
            atime: None,
            device: (0, 0),
            xattrs: Vec::new(),
            runs: None,
            stored: 0,
        }
    }

    /// Where the bytes that [`Walker::read`] gives belong in the file: offset and length, in the order they come.
    pub fn runs(&self) -> Vec<(u64, u64)> {
        match &self.runs {
            Some(runs) => runs.iter().map(|r| (r.offset, r.length)).collect(),
            None if self.stored == 0 => Vec::new(),
            None => vec![(0, self.stored)],
        }
    }

    pub fn is_sparse(&self) -> bool {
        self.runs.is_some()
    }
}

/// Goes through an archive entry by entry. Raw bytes of everything but file contents are written to `raw` in order.
pub struct Walker<R, W> {
    input: R,
    raw: W,
    /// Content of the current entry not yet read, and the padding after it.
    left: u64,
    padding: u64,
    entries: u64,
}

impl<R: Read> Walker<R, io::Sink> {
    /// For who does not need the archive back.
    pub fn new(input: R) -> Walker<R, io::Sink> {
        Walker::with_raw(input, io::sink())
    }
}

impl<R: Read, W: Write> Walker<R, W> {
    pub fn with_raw(input: R, raw: W) -> Walker<R, W> {
        Walker {
            input,
            raw,
            left: 0,
            padding: 0,
            entries: 0,
        }
    }

    /// How many entries there were so far.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The next entry, after whatever of the last one's content was not read. At the end of the archive (two empty
    /// blocks, or the end of the stream between entries) the rest of the stream is read too, since it counts for the
    /// digest, and `None` comes.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TarError> {
        self.skip_content()?;
        let mut pending = Pending::default();
        for _ in 0..=MAX_CHAIN {
            let Some(block) = self.header_block(pending.is_empty())? else {
                self.drain()?;
                return Ok(None);
            };
            if let Some(entry) = self.take(&block, &mut pending)? {
                self.entries += 1;
                return Ok(Some(entry));
            }
        }
        Err(TarError::LongChain)
    }

    /// Reads content of the current entry (of a sparse one: its runs, one after the other). 0 at its end.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let want = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if want == 0 {
            return Ok(0);
        }
        let got = read_some(&mut self.input, &mut buffer[..want])?;
        if got == 0 {
            return Err(TarError::Truncated);
        }
        self.left -= got as u64;
        Ok(got)
    }

    /// The current entry's content as a reader, for who needs one.
    pub fn content(&mut self) -> Content<'_, R, W> {
        Content(self)
    }

    /// Where raw bytes go; lets the owner mark where content belongs between them.
    pub fn raw(&mut self) -> &mut W {
        &mut self.raw
    }

    pub fn into_raw(self) -> W {
        self.raw
    }

    fn take(
        &mut self,
        block: &[u8; BLOCK],
        pending: &mut Pending,
    ) -> Result<Option<Entry>, TarError> {
        let header = Header(block);
        match header.flag() {
            b'x' => pending.pax = Some(Records::parse(&self.extension(header.size()?)?)?),
            // Global headers (git archive writes one) hold nothing a file system takes; Docker passes over them too.
            b'g' => drop(self.extension(header.size()?)?),
            b'L' => pending.name = Some(c_string(self.extension(header.size()?)?)),
            b'K' => pending.link = Some(c_string(self.extension(header.size()?)?)),
            _ => return self.entry(&header, std::mem::take(pending)).map(Some),
        }
        Ok(None)
    }

    fn entry(&mut self, header: &Header<'_>, pending: Pending) -> Result<Entry, TarError> {
        let pax = pending.pax.unwrap_or_default();
        let path = pax.path.or(pending.name).unwrap_or_else(|| header.name());
        let kind = kind(header, &path)?;
        let stored = match kind {
            EntryKind::Regular => pax.size.map_or_else(|| header.size(), Ok)?,
            _ => 0,
        };
        let mut entry = Entry {
            path: pax.sparse.name.clone().unwrap_or(path),
            link: match kind {
                EntryKind::HardLink | EntryKind::Symlink => pax
                    .link
                    .or(pending.link)
                    .unwrap_or_else(|| header.link().to_vec()),
                _ => Vec::new(),
            },
            kind,
            mode: header.mode()?,
            uid: pax.uid.map_or_else(|| header.uid(), Ok)?,
            gid: pax.gid.map_or_else(|| header.gid(), Ok)?,
            size: stored,
            mtime: pax.mtime.map_or_else(|| header.mtime(), Ok)?,
            atime: pax.atime,
            device: match kind {
                EntryKind::CharDevice | EntryKind::BlockDevice => header.device()?,
                _ => (0, 0),
            },
            xattrs: pax.xattrs,
            runs: None,
            stored,
        };
        if entry.path.contains(&0) || entry.link.contains(&0) {
            return Err(TarError::Nul);
        }
        self.left = stored;
        self.padding = padding(stored);
        if kind == EntryKind::Regular {
            self.read_sparse_map(header, &pax.sparse, &mut entry)?;
        }
        Ok(entry)
    }

    fn read_sparse_map(
        &mut self,
        header: &Header<'_>,
        records: &super::pax::SparseRecords,
        entry: &mut Entry,
    ) -> Result<(), TarError> {
        let runs = if header.flag() == b'S' {
            let size = super::header::number(&header.0[483..495], "realsize")?;
            entry.size = u64::try_from(size).map_err(|_| TarError::Sparse)?;
            self.old_gnu_map(header)?
        } else if (records.major, records.minor) == (Some(1), Some(0)) {
            entry.size = records.size.ok_or(TarError::Sparse)?;
            let runs = sparse::pax_1_0(|| self.map_block())?;
            entry.stored = self.left;
            runs
        } else if let Some(map) = &records.map {
            entry.size = records.size.ok_or(TarError::Sparse)?;
            sparse::from_pairs(map)?
        } else {
            return Ok(());
        };
        sparse::check(&runs, entry.size, entry.stored)?;
        entry.runs = Some(runs);
        Ok(())
    }

    fn old_gnu_map(&mut self, header: &Header<'_>) -> Result<Vec<Run>, TarError> {
        if header.dialect() != Dialect::Gnu {
            return Err(TarError::Sparse);
        }
        let mut runs = Vec::new();
        let mut more = sparse::old_gnu(header.0, 386, 4, &mut runs)?;
        while more {
            let block = self.block()?.ok_or(TarError::Truncated)?;
            more = sparse::old_gnu(&block, 0, 21, &mut runs)?;
        }
        Ok(runs)
    }

    /// A block of the sparse map that PAX 1.0 puts before the content: it is not content, so it goes to `raw`.
    fn map_block(&mut self) -> Result<[u8; BLOCK], TarError> {
        self.left = self
            .left
            .checked_sub(BLOCK as u64)
            .ok_or(TarError::Sparse)?;
        self.block()?.ok_or(TarError::Truncated)
    }

    /// The next header block; `None` at the end of the archive.
    fn header_block(&mut self, may_end: bool) -> Result<Option<[u8; BLOCK]>, TarError> {
        let Some(block) = self.block()? else {
            return if may_end {
                Ok(None)
            } else {
                Err(TarError::Truncated)
            };
        };
        let header = Header(&block);
        if header.is_zero() {
            // One empty block alone is not the end by POSIX, but everyone takes it as one.
            return if may_end {
                Ok(None)
            } else {
                Err(TarError::Truncated)
            };
        }
        header.check()?;
        Ok(Some(block))
    }

    /// Reads one block and passes it on raw; `None` at the end of the stream.
    fn block(&mut self) -> Result<Option<[u8; BLOCK]>, TarError> {
        let mut block = [0u8; BLOCK];
        let mut have = 0;
        while have < BLOCK {
            match read_some(&mut self.input, &mut block[have..])? {
                0 if have == 0 => return Ok(None),
                0 => return Err(TarError::Truncated),
                n => have += n,
            }
        }
        self.raw.write_all(&block).map_err(TarError::Write)?;
        Ok(Some(block))
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, TarError> {
        if size > MAX_EXTENSION {
            return Err(TarError::LongExtension(size));
        }
        let mut bytes = Vec::with_capacity(size as usize + BLOCK);
        while (bytes.len() as u64) < size {
            bytes.extend_from_slice(&self.block()?.ok_or(TarError::Truncated)?);
        }
        bytes.truncate(size as usize);
        Ok(bytes)
    }

    fn skip_content(&mut self) -> Result<(), TarError> {
        let mut buffer = [0u8; 8 * 1024];
        while self.left > 0 {
            self.read(&mut buffer)?;
        }
        let mut padding = self.padding as usize;
        self.padding = 0;
        while padding > 0 {
            match read_some(&mut self.input, &mut buffer[..padding])? {
                0 => return Err(TarError::Truncated),
                n => {
                    self.raw.write_all(&buffer[..n]).map_err(TarError::Write)?;
                    padding -= n;
                }
            }
        }
        Ok(())
    }

    /// Docker and GNU tar pass over what follows the end. It must be kept, for the digest is over it too; padding is
    /// zeros, and whoever hides more than a little there wants the disk.
    fn drain(&mut self) -> Result<(), TarError> {
        let mut buffer = [0u8; 8 * 1024];
        let mut junk = 0;
        loop {
            let read = match read_some(&mut self.input, &mut buffer)? {
                0 => return Ok(()),
                n => &buffer[..n],
            };
            junk += read.iter().filter(|byte| **byte != 0).count() as u64;
            if junk > MAX_JUNK {
                return Err(TarError::Junk);
            }
            self.raw.write_all(read).map_err(TarError::Write)?;
        }
    }
}

/// See [`Walker::content`].
pub struct Content<'a, R, W>(&'a mut Walker<R, W>);

impl<R: Read, W: Write> Read for Content<'_, R, W> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error {
            TarError::Read(e) => e,
            other => io::Error::new(io::ErrorKind::UnexpectedEof, other),
        })
    }
}

/// Extension headers that wait for their entry.
#[derive(Default)]
struct Pending {
    pax: Option<Records>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.pax.is_none() && self.name.is_none() && self.link.is_none()
    }
}

fn kind(header: &Header<'_>, path: &[u8]) -> Result<EntryKind, TarError> {
    Ok(match header.flag() {
        // Before POSIX, a directory was a file whose name ends with a slash.
        0 if path.ends_with(b"/") => EntryKind::Directory,
        0 | b'0' | b'7' | b'S' => EntryKind::Regular,
        b'1' => EntryKind::HardLink,
        b'2' => EntryKind::Symlink,
        b'3' => EntryKind::CharDevice,
        b'4' => EntryKind::BlockDevice,
        b'5' => EntryKind::Directory,
        b'6' => EntryKind::Fifo,
        other => return Err(TarError::Kind(other)),
    })
}

fn c_string(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}

fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

fn read_some(input: &mut impl Read, buffer: &mut [u8]) -> Result<usize, TarError> {
    loop {
        match input.read(buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            other => return other.map_err(TarError::Read),
        }
    }
}
