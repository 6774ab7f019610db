use std::io::{self, Read, Write};

use super::header::{EntryKind, Time};
use super::{BLOCK, Entry};

/// Writes an archive: ustar headers, with PAX records before them where ustar cannot say it. The same entries give
/// the same bytes.
pub struct Writer<W> {
    out: W,
}

impl<W: Write> Writer<W> {
    pub fn new(out: W) -> Writer<W> {
        Writer { out }
    }

    /// Writes an entry and, for a regular file, `entry.size` bytes of `content`; less is an error. `xattrs`, times below
    /// the second and everything that ustar cannot hold become PAX records. Holes are written as zeros.
    pub fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> io::Result<()> {
        self.entry_with(entry, |out| {
            io::copy(&mut content.take(entry.size), out).map(drop)
        })
    }

    /// The same with a function that writes the content.
    pub fn entry_with(
        &mut self,
        entry: &Entry,
        content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut block = [0u8; BLOCK];
        let records = fill(&mut block, entry);
        if !records.is_empty() {
            self.pax(entry, &records)?;
        }
        self.out.write_all(&block)?;
        if entry.kind != EntryKind::Regular {
            return Ok(());
        }
        let mut counted = Counted {
            out: &mut self.out,
            written: 0,
        };
        content(&mut counted)?;
        if counted.written != entry.size {
            let text = format!(
                "{} changed its size while it was read",
                String::from_utf8_lossy(&entry.path)
            );
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        self.pad(entry.size)
    }

    /// A small file made of bytes at hand.
    pub fn file(&mut self, mut entry: Entry, bytes: &[u8]) -> io::Result<()> {
        entry.size = bytes.len() as u64;
        self.entry(&entry, &mut &bytes[..])
    }

    /// The two empty blocks at the end.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&[0; BLOCK * 2])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn pax(&mut self, entry: &Entry, records: &[u8]) -> io::Result<()> {
        let mut block = [0u8; BLOCK];
        let base = entry
            .path
            .rsplit(|b| *b == b'/')
            .find(|c| !c.is_empty())
            .unwrap_or(b"root");
        let name: Vec<u8> = [b"PaxHeaders.0/", &base[..base.len().min(80)]].concat();
        put_text(&mut block[0..100], &name);
        put_octal(&mut block[100..108], 0o644);
        put_octal(&mut block[108..116], 0);
        put_octal(&mut block[116..124], 0);
        put_octal(&mut block[124..136], records.len() as u64);
        put_octal(&mut block[136..148], 0);
        seal(&mut block, b'x');
        self.out.write_all(&block)?;
        self.out.write_all(records)?;
        self.pad(records.len() as u64)
    }

    fn pad(&mut self, size: u64) -> io::Result<()> {
        let padding = (size.wrapping_neg() % BLOCK as u64) as usize;
        self.out.write_all(&[0u8; BLOCK][..padding])
    }
}

struct Counted<'a, W> {
    out: &'a mut W,
    written: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Fills the ustar header; gives the PAX records for what it cannot hold.
fn fill(block: &mut [u8; BLOCK], entry: &Entry) -> Vec<u8> {
    let mut records = Vec::new();
    let plain = |name: &[u8], most: usize| name.len() <= most && name.is_ascii();
    if !plain(&entry.path, 100) {
        record(&mut records, b"path", &entry.path);
    }
    if !plain(&entry.link, 100) {
        record(&mut records, b"linkpath", &entry.link);
    }
    put_text(&mut block[0..100], &entry.path);
    put_text(&mut block[157..257], &entry.link);
    put_octal(&mut block[100..108], u64::from(entry.mode));
    let mut numeric = |range: std::ops::Range<usize>, key: &[u8], value: u64| {
        let most = 1u64 << (3 * (range.len() - 1));
        if value >= most {
            record(&mut records, key, value.to_string().as_bytes());
        }
        put_octal(&mut block[range], if value < most { value } else { 0 });
    };
    numeric(108..116, b"uid", entry.uid.into());
    numeric(116..124, b"gid", entry.gid.into());
    numeric(124..136, b"size", entry.size);
    put_octal(&mut block[329..337], entry.device.0.into());
    put_octal(&mut block[337..345], entry.device.1.into());
    let ustar_time = u64::try_from(entry.mtime.seconds)
        .ok()
        .filter(|s| *s < 1 << 33);
    put_octal(&mut block[136..148], ustar_time.unwrap_or(0));
    if ustar_time.is_none() || entry.mtime.nanoseconds != 0 {
        record(&mut records, b"mtime", pax_time(entry.mtime).as_bytes());
    }
    for (name, value) in &entry.xattrs {
        record(&mut records, &[b"SCHILY.xattr.", &name[..]].concat(), value);
    }
    seal(block, flag(entry.kind));
    records
}

fn flag(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::Regular => b'0',
        EntryKind::HardLink => b'1',
        EntryKind::Symlink => b'2',
        EntryKind::CharDevice => b'3',
        EntryKind::BlockDevice => b'4',
        EntryKind::Directory => b'5',
        EntryKind::Fifo => b'6',
    }
}

fn seal(block: &mut [u8; BLOCK], flag: u8) {
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|b| u64::from(*b)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

fn put_text(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
}

fn put_octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    field[..digits].copy_from_slice(format!("{value:0digits$o}").as_bytes());
}

/// `length key=value\n`; the length counts its own digits.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend_from_slice(length.to_string().as_bytes());
    records.push(b' ');
    records.extend_from_slice(key);
    records.push(b'=');
    records.extend_from_slice(value);
    records.push(b'\n');
}

fn pax_time(time: Time) -> String {
    let (sign, seconds, nanoseconds) = match (time.seconds < 0, time.nanoseconds) {
        (true, n) if n > 0 => ("-", -(time.seconds + 1), 1_000_000_000 - n),
        (true, _) => ("-", -time.seconds, 0),
        (false, n) => ("", time.seconds, n),
    };
    let text = format!("{sign}{seconds}.{nanoseconds:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
