//! Which compression a stream has, and undoing it within bounds.

use std::cell::Cell;
use std::io::{self, BufReader, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use oci::{Algorithm, Digest, Hasher};

/// What the first bytes of a stream say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    Plain,
    Gzip,
    Zstd,
    Bzip2,
    Xz,
}

/// How many bytes [`Compression::of`] wants to see.
pub(crate) const MAGIC: usize = 6;

/// A stream may always grow to this much; beyond it, only by [`MAX_RATIO`].
const FREE_GROWTH: u64 = 64 << 20;

/// Deflate cannot do better than 1032:1, so only a bomb made with one of the others exceeds this.
const MAX_RATIO: u64 = 1100;

/// A frame that wants a larger window (memory) is refused; the zstd tool too wants `--long=28` said for it.
const ZSTD_WINDOW_LOG: u32 = 27;

/// The same for xz, whose highest preset needs half of it.
const XZ_MEMORY_KIB: u32 = 128 << 10;

const CHUNK: usize = 256 * 1024;

/// Chunks under way between the threads: enough to keep both busy, and a bound on memory.
const AHEAD: usize = 2;

impl Compression {
    pub(crate) fn of(head: &[u8]) -> Compression {
        match head {
            [0x1f, 0x8b, 8, ..] => Compression::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
            // A skippable frame may come first (zstd:chunked and pzstd write them).
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
            [b'B', b'Z', b'h', ..] => Compression::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Compression::Xz,
            _ => Compression::Plain,
        }
    }
}

/// What went through [`decompressed_and_hashed`], as it came.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) digest: Digest,
    pub(crate) size: u64,
}

/// Runs `work` over the decompressed bytes of `input`, which a second thread reads and decompresses ahead of it. The
/// input is read to its end if `work` succeeds.
pub(crate) fn decompressed<T>(
    input: impl Read + Send,
    work: impl FnOnce(&mut Chunks) -> T,
) -> (T, io::Result<()>) {
    let (sender, receiver) = sync_channel(AHEAD);
    let (back, empties) = sync_channel(AHEAD + 2);
    thread::scope(|scope| {
        let producer = scope.spawn(move || produce(input, &Output { sender, empties }));
        let mut reader = Chunks {
            receiver,
            back,
            current: Vec::new(),
            at: 0,
        };
        let result = work(&mut reader);
        drop(reader);
        let outcome = producer.join();
        (
            result,
            outcome.unwrap_or_else(|_| Err(io::Error::other("the decompressing thread panicked"))),
        )
    })
}

/// Runs `work` over the bytes of `input` without their compression (gzip, zstd, bzip2, xz or none), which a second thread
/// undoes ahead of it. The error is of the compressed stream.
pub fn decompress<T>(
    input: impl Read + Send,
    work: impl FnOnce(&mut (dyn Read + Send)) -> T,
) -> (T, io::Result<()>) {
    decompressed(input, |chunks| work(chunks))
}

/// The same, and the digest of the stream as it came.
pub(crate) fn decompressed_and_hashed<T>(
    input: impl Read + Send,
    algorithm: Algorithm,
    work: impl FnOnce(&mut Chunks) -> T,
) -> (T, io::Result<Source>) {
    let mut hashed = Hashed {
        input,
        hasher: algorithm.hasher(),
        size: 0,
    };
    let (result, outcome) = decompressed(&mut hashed, work);
    (
        result,
        outcome.map(|()| Source {
            digest: hashed.hasher.finish(),
            size: hashed.size,
        }),
    )
}

struct Hashed<R> {
    input: R,
    hasher: Hasher,
    size: u64,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buffer)?;
        self.hasher.update(&buffer[..got]);
        self.size += got as u64;
        Ok(got)
    }
}

/// The producer's end. Chunks that were read come back to be filled again: memory of this size would otherwise be
/// mapped and faulted in anew each time.
struct Output {
    sender: SyncSender<io::Result<Vec<u8>>>,
    empties: Receiver<Vec<u8>>,
}

fn produce(input: impl Read, output: &Output) -> io::Result<()> {
    let consumed = Cell::new(0);
    let outcome = pump(
        &mut Metered {
            input,
            size: &consumed,
        },
        &consumed,
        output,
    );
    if let Err(error) = &outcome {
        // The consumer learns of it in place of its next bytes; if it is gone already, nobody asks.
        let _ = output
            .sender
            .send(Err(io::Error::new(error.kind(), error.to_string())));
    }
    outcome
}

fn pump(
    metered: &mut Metered<'_, impl Read>,
    consumed: &Cell<u64>,
    output: &Output,
) -> io::Result<()> {
    let mut head = Vec::with_capacity(MAGIC);
    metered.by_ref().take(MAGIC as u64).read_to_end(&mut head)?;
    let compression = Compression::of(&head);
    let stream = io::Cursor::new(head).chain(&mut *metered);
    let within: &dyn Fn(u64) -> bool = &|made| within_bounds(made, consumed.get());
    match compression {
        Compression::Plain => forward(stream, output, &|_| true)?,
        Compression::Gzip => {
            let decoder =
                flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(CHUNK, stream));
            forward(decoder, output, within)?;
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(stream)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            forward(decoder, output, within)?;
        }
        Compression::Bzip2 => {
            let buffered = BufReader::with_capacity(CHUNK, stream);
            forward(
                bzip2::bufread::MultiBzDecoder::new(buffered),
                output,
                within,
            )?;
        }
        Compression::Xz => {
            let buffered = BufReader::with_capacity(CHUNK, stream);
            let decoder = lzma_rust2::XzReader::new_mem_limit(buffered, true, XZ_MEMORY_KIB);
            forward(decoder, output, within)?;
        }
    }
    io::copy(metered, &mut io::sink()).map(drop)
}

fn within_bounds(made: u64, consumed: u64) -> bool {
    made <= FREE_GROWTH || made / MAX_RATIO <= consumed
}

fn forward(
    mut decoder: impl Read,
    output: &Output,
    within: &dyn Fn(u64) -> bool,
) -> io::Result<()> {
    let mut made = 0u64;
    loop {
        let mut chunk = output.empties.try_recv().unwrap_or_default();
        chunk.resize(CHUNK, 0);
        let length = fill(&mut decoder, &mut chunk)?;
        if length == 0 {
            return Ok(());
        }
        chunk.truncate(length);
        made += length as u64;
        if !within(made) {
            let text = format!(
                "refused: the stream grows more than {MAX_RATIO} times when it is decompressed"
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        if output.sender.send(Ok(chunk)).is_err() {
            // The consumer gave up; its own error says why.
            return Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the stream was not read to its end",
            ));
        }
    }
}

/// Reads until the buffer is full or the stream ends.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < buffer.len() {
        match input.read(&mut buffer[length..]) {
            Ok(0) => break,
            Ok(got) => length += got,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(length)
}

/// Counts what a decoder takes.
struct Metered<'a, R> {
    input: R,
    size: &'a Cell<u64>,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buffer)?;
        self.size.set(self.size.get() + got as u64);
        Ok(got)
    }
}

/// The consumer's end: chunks as one stream.
pub(crate) struct Chunks {
    receiver: Receiver<io::Result<Vec<u8>>>,
    back: SyncSender<Vec<u8>>,
    current: Vec<u8>,
    at: usize,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.current.len() {
            let Ok(next) = self.receiver.recv() else {
                return Ok(0);
            };
            let empty = std::mem::replace(&mut self.current, next?);
            self.at = 0;
            if empty.capacity() > 0 {
                // A full queue or a producer that is done: the chunk is simply freed.
                let _ = self.back.try_send(empty);
            }
        }
        let got = buffer.len().min(self.current.len() - self.at);
        buffer[..got].copy_from_slice(&self.current[self.at..self.at + got]);
        self.at += got;
        Ok(got)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn through(bytes: &[u8]) -> (io::Result<Vec<u8>>, io::Result<Source>) {
        decompressed_and_hashed(bytes, Algorithm::Sha256, |input| {
            let mut all = Vec::new();
            input.read_to_end(&mut all).map(|_| all)
        })
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn bzip2(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn xz(bytes: &[u8]) -> Vec<u8> {
        let options = lzma_rust2::XzOptions::with_preset(1);
        let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_kind_comes_out_the_same() {
        let text = b"some text ".repeat(100_000);
        let zstd = zstd::encode_all(&text[..], 1).unwrap();
        // Two gzip members in a row are one stream.
        let two = [gzip(&text[..1000]), gzip(&text[1000..])].concat();
        for packed in [&text, &gzip(&text), &zstd, &two, &bzip2(&text), &xz(&text)] {
            let (out, source) = through(packed);
            assert_eq!(out.unwrap(), text);
            let source = source.unwrap();
            assert_eq!(source.size, packed.len() as u64);
            assert!(source.digest.matches(packed));
        }
        assert_eq!(through(b"").0.unwrap(), b"");
        assert_eq!(through(b"abc").0.unwrap(), b"abc");
    }

    #[test]
    fn a_cut_stream_is_an_error() {
        let text = b"some text ".repeat(1000);
        for packed in [gzip(&text), bzip2(&text), xz(&text)] {
            let (out, source) = through(&packed[..packed.len() / 2]);
            assert!(out.is_err() && source.is_err());
        }
        assert!(through(b"BZh91AY&SY").0.is_err());
    }

    #[test]
    fn growth_beyond_any_gzip_is_a_bomb() {
        assert!(within_bounds(FREE_GROWTH, 1));
        assert!(within_bounds(FREE_GROWTH * 2, FREE_GROWTH / 500));
        assert!(!within_bounds(FREE_GROWTH * 2, FREE_GROWTH / 5000));
    }
}
