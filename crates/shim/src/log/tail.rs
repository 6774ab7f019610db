//! The last lines of a log, found from its end.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

use flate2::read::MultiGzDecoder;

use super::reader::{LogFile, Source};
use super::{Driver, local};

const BLOCK: u64 = 64 * 1024;

/// Keeps of `files` (newest first) those that hold the last `count` entries, the oldest of them placed at the first.
pub(super) fn keep(driver: Driver, files: Vec<LogFile>, count: u64) -> io::Result<Vec<LogFile>> {
    let mut wanted = count;
    let mut kept = Vec::new();
    for mut file in files {
        let found = match &mut file.source {
            Source::Plain(plain) => {
                let (found, at) = match driver {
                    Driver::Local => last_records(plain, wanted)?,
                    _ => last_lines(plain, wanted)?,
                };
                file.position = plain.seek(SeekFrom::Start(at))?;
                found
            }
            Source::Gzip(packed) => {
                let total = count_entries(driver, packed.as_mut());
                rewind(packed)?;
                file.skip = total.saturating_sub(wanted);
                total.min(wanted)
            }
        };
        kept.push(file);
        wanted -= found;
        if wanted == 0 {
            break;
        }
    }
    Ok(kept)
}

/// The body of the file's first record, which may hold the attributes of all lines; empty without one.
pub(super) fn first_record(file: &LogFile) -> io::Result<Vec<u8>> {
    let Source::Plain(plain) = &file.source else {
        return Ok(Vec::new());
    };
    let mut header = [0; 4];
    let start = local::MAGIC.len() as u64;
    if plain.read_exact_at(&mut header, start).is_err() {
        return Ok(Vec::new());
    }
    let length = u32::from_le_bytes(header) as usize;
    if length > local::MAX_BODY {
        return Ok(Vec::new());
    }
    let mut body = vec![0; length];
    plain.read_exact_at(&mut body, start + 4)?;
    Ok(body)
}

/// How many of the wanted lines the file has, and where the first of them starts. A line without its newline yet is
/// no line.
fn last_lines(file: &File, wanted: u64) -> io::Result<(u64, u64)> {
    let size = file.metadata()?.len();
    let (mut end, mut newlines) = (size, 0);
    let mut block = vec![0; BLOCK as usize];
    if wanted == 0 {
        return Ok((0, size));
    }
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let bytes = &mut block[..(end - start) as usize];
        file.read_exact_at(bytes, start)?;
        for at in memchr::memrchr_iter(b'\n', bytes) {
            if newlines == wanted {
                return Ok((wanted, start + at as u64 + 1));
            }
            newlines += 1;
        }
        end = start;
    }
    Ok((newlines, 0))
}

/// The same for the `local` format, from record to record by the lengths at their ends.
fn last_records(file: &File, wanted: u64) -> io::Result<(u64, u64)> {
    let size = file.metadata()?.len();
    let (mut end, mut found) = (size, 0);
    while found < wanted {
        let Some((start, kind)) = record_before(file, end)? else {
            return Ok((found, 0));
        };
        end = start;
        found += u64::from(kind < 2);
    }
    Ok((found, end))
}

/// Where the record that ends at `end` starts, and its body's first byte.
fn record_before(file: &File, end: u64) -> io::Result<Option<(u64, u8)>> {
    let first = local::MAGIC.len() as u64;
    if end < first + 9 {
        return Ok(None);
    }
    let mut trailer = [0; 4];
    file.read_exact_at(&mut trailer, end - 4)?;
    let Some(start) = end
        .checked_sub(u64::from(u32::from_le_bytes(trailer)) + 8)
        .filter(|&start| start >= first)
    else {
        return Ok(None);
    };
    let mut header = [0; 5];
    file.read_exact_at(&mut header, start)?;
    Ok((header[..4] == trailer).then_some((start, header[4])))
}

/// Counts to the end, or to where a damaged file cannot be read further.
fn count_entries(driver: Driver, source: &mut impl Read) -> u64 {
    if driver == Driver::Local {
        return count_records(source);
    }
    let mut block = vec![0; BLOCK as usize];
    let mut count = 0;
    while let Ok(length @ 1..) = source.read(&mut block) {
        count += memchr::memchr_iter(b'\n', &block[..length]).count() as u64;
    }
    count
}

fn count_records(source: &mut impl Read) -> u64 {
    let mut reader = io::BufReader::with_capacity(BLOCK as usize, source);
    let mut magic = [0; local::MAGIC.len()];
    let (mut header, mut count) = ([0; 5], 0);
    if reader.read_exact(&mut magic).is_err() {
        return 0;
    }
    while reader.read_exact(&mut header).is_ok() {
        let rest = u64::from(u32::from_le_bytes([
            header[0], header[1], header[2], header[3],
        ])) + 3;
        if io::copy(&mut reader.by_ref().take(rest), &mut io::sink()).is_err() {
            break;
        }
        count += u64::from(header[4] < 2);
    }
    count
}

fn rewind(packed: &mut MultiGzDecoder<File>) -> io::Result<()> {
    let mut file = packed.get_ref().try_clone()?;
    file.seek(SeekFrom::Start(0))?;
    *packed = MultiGzDecoder::new(file);
    Ok(())
}
