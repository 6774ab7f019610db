//! What is left of a layer's tar when the file contents are taken out, so that the tar can be made again to the byte:
//! its digest (the diff ID) is part of the image's identity, and how a stranger's tar tool wrote headers cannot be guessed.
//!
//! The file is one zstd stream of records: `L` u32 bytes (raw bytes of the archive), `F` u64 ordinal, u32 path
//! (a regular file's content starts), `R` u64 offset, u64 length (a run of that file), `E` (end). Numbers are little
//! endian. A file that an entry of the same archive replaced lies in `replaced/<ordinal>` beside `diff`.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};

/// Level 1 halves the headers' entropy-free bytes at 500 MB/s; more costs time that applying does not have.
const LEVEL: i32 = 1;

/// The longest record that a reader takes, against a damaged file.
const MAX_LITERAL: usize = 64 * 1024;
const MAX_PATH: usize = 64 * 1024;

/// Collects raw bytes (as [`Write`]) and the places where file contents belong between them.
pub(crate) struct Recorder<W: Write> {
    out: zstd::stream::write::Encoder<'static, BufWriter<W>>,
    literal: Vec<u8>,
}

impl<W: Write> Recorder<W> {
    pub(crate) fn new(out: W) -> io::Result<Recorder<W>> {
        let out =
            zstd::stream::write::Encoder::new(BufWriter::with_capacity(64 * 1024, out), LEVEL)?;
        Ok(Recorder {
            out,
            literal: Vec::with_capacity(MAX_LITERAL),
        })
    }

    /// Here comes content of the regular file at `path`, the `ordinal`th of this archive, in `runs` of offset and length.
    pub(crate) fn content(
        &mut self,
        ordinal: u64,
        path: &[u8],
        runs: &[(u64, u64)],
    ) -> io::Result<()> {
        self.flush_literal()?;
        self.out.write_all(b"F")?;
        self.out.write_all(&ordinal.to_le_bytes())?;
        self.out.write_all(&(path.len() as u32).to_le_bytes())?;
        self.out.write_all(path)?;
        for (offset, length) in runs {
            self.out.write_all(b"R")?;
            self.out.write_all(&offset.to_le_bytes())?;
            self.out.write_all(&length.to_le_bytes())?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.flush_literal()?;
        self.out.write_all(b"E")?;
        self.out
            .finish()?
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
    }

    fn flush_literal(&mut self) -> io::Result<()> {
        if self.literal.is_empty() {
            return Ok(());
        }
        self.out.write_all(b"L")?;
        self.out
            .write_all(&(self.literal.len() as u32).to_le_bytes())?;
        self.out.write_all(&self.literal)?;
        self.literal.clear();
        Ok(())
    }
}

impl<W: Write> Write for Recorder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.literal.len() == MAX_LITERAL {
            self.flush_literal()?;
        }
        let taken = bytes.len().min(MAX_LITERAL - self.literal.len());
        self.literal.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes the archive again; `open` finds a file by its ordinal and path.
pub(crate) fn rebuild(
    skeleton: impl Read,
    out: &mut dyn Write,
    mut open: impl FnMut(u64, &[u8]) -> io::Result<File>,
) -> io::Result<()> {
    let mut input = BufReader::new(zstd::stream::read::Decoder::new(skeleton)?);
    let mut current: Option<File> = None;
    loop {
        match &array::<1>(&mut input)? {
            b"L" => {
                let bytes = bytes(&mut input, MAX_LITERAL)?;
                out.write_all(&bytes)?;
            }
            b"F" => {
                let ordinal = u64::from_le_bytes(array(&mut input)?);
                let path = bytes(&mut input, MAX_PATH)?;
                current = Some(open(ordinal, &path)?);
            }
            b"R" => {
                let (offset, length) = (
                    u64::from_le_bytes(array(&mut input)?),
                    u64::from_le_bytes(array(&mut input)?),
                );
                copy_run(current.as_mut().ok_or_else(damaged)?, offset, length, out)?;
            }
            b"E" => return Ok(()),
            _ => return Err(damaged()),
        }
    }
}

fn copy_run(file: &mut File, offset: u64, length: u64, out: &mut dyn Write) -> io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    let mut left = length;
    let mut buffer = vec![
        0u8;
        usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(256 * 1024)
    ];
    while left > 0 {
        let want = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        file.read_exact(&mut buffer[..want])?;
        out.write_all(&buffer[..want])?;
        left -= want as u64;
    }
    Ok(())
}

fn bytes(input: &mut impl Read, most: usize) -> io::Result<Vec<u8>> {
    let length = u32::from_le_bytes(array(input)?) as usize;
    if length > most {
        return Err(damaged());
    }
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn array<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut array = [0; N];
    input.read_exact(&mut array)?;
    Ok(array)
}

fn damaged() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "the layer's skeleton is damaged",
    )
}
