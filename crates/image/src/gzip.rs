//! Gzip on all cores, with the same bytes whatever their number.
//!
//! The input is cut into blocks of a fixed size; each becomes a gzip member of its own, and members in a row are one
//! gzip stream (RFC 1952, 2.2). Cutting costs a tenth of a percent in size. Every reader takes it; pigz and bgzip have
//! written such streams for years.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use oci::{Digest, Hasher};

/// Bytes of input a member: part of the format, since another size gives other bytes.
const BLOCK: usize = 1 << 20;

/// Part of the format too. Docker and BuildKit take Go's default, which is about as small and slower.
const LEVEL: u32 = 5;

/// Threads beyond this only wait for the one that reads the layer.
const MOST_THREADS: usize = 8;

type Packed = io::Result<Vec<u8>>;

struct Job {
    block: Vec<u8>,
    done: SyncSender<Packed>,
}

/// Compresses what `work` writes. Gives the digest and size of the result.
pub(crate) fn compress(
    out: &mut (dyn Write + Send),
    work: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<(Digest, u64)> {
    let threads = thread::available_parallelism().map_or(2, usize::from);
    compress_on(threads.min(MOST_THREADS), out, work)
}

fn compress_on(
    threads: usize,
    out: &mut (dyn Write + Send),
    work: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<(Digest, u64)> {
    let (jobs, queue) = sync_channel::<Job>(threads);
    let queue = Arc::new(Mutex::new(queue));
    thread::scope(|scope| {
        for _ in 0..threads {
            let queue = queue.clone();
            scope.spawn(move || serve(&queue));
        }
        let mut blocks = Blocks {
            out,
            jobs,
            pending: VecDeque::new(),
            ahead: threads * 2,
            block: Vec::with_capacity(BLOCK),
            hasher: Hasher::sha256(),
            size: 0,
        };
        work(&mut blocks)?;
        blocks.finish()
    })
}

fn serve(queue: &Mutex<Receiver<Job>>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        // A receiver that is gone has met an error of its own.
        let _ = job.done.send(member(&job.block));
    }
}

/// One block as a gzip member without name or time.
fn member(block: &[u8]) -> Packed {
    let level = flate2::Compression::new(LEVEL);
    let out = Vec::with_capacity(block.len() / 2);
    let mut encoder = flate2::GzBuilder::new()
        .operating_system(255)
        .write(out, level);
    encoder.write_all(block)?;
    encoder.finish()
}

/// Cuts what is written into blocks and writes their members in order.
struct Blocks<'a> {
    out: &'a mut (dyn Write + Send),
    jobs: SyncSender<Job>,
    pending: VecDeque<Receiver<Packed>>,
    /// Blocks under way at most: the bound on memory.
    ahead: usize,
    block: Vec<u8>,
    hasher: Hasher,
    size: u64,
}

impl Blocks<'_> {
    fn submit(&mut self) -> io::Result<()> {
        while self.pending.len() >= self.ahead {
            self.collect()?;
        }
        let (done, result) = sync_channel(1);
        let block = std::mem::replace(&mut self.block, Vec::with_capacity(BLOCK));
        let sent = self.jobs.send(Job { block, done });
        sent.map_err(|_| io::Error::other("the compressing threads are gone"))?;
        self.pending.push_back(result);
        Ok(())
    }

    fn collect(&mut self) -> io::Result<()> {
        let Some(next) = self.pending.pop_front() else {
            return Ok(());
        };
        let member = next
            .recv()
            .map_err(|_| io::Error::other("a compressing thread panicked"))??;
        self.hasher.update(&member);
        self.size += member.len() as u64;
        self.out.write_all(&member)
    }

    fn finish(mut self) -> io::Result<(Digest, u64)> {
        if !self.block.is_empty() || self.size == 0 && self.pending.is_empty() {
            self.submit()?;
        }
        while !self.pending.is_empty() {
            self.collect()?;
        }
        self.out.flush()?;
        Ok((self.hasher.finish(), self.size))
    }
}

impl Write for Blocks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK {
            self.submit()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn packed(threads: usize, bytes: &[u8], piece: usize) -> (Vec<u8>, Digest, u64) {
        let mut out = Vec::new();
        let (digest, size) = compress_on(threads, &mut out, |tar| {
            bytes
                .chunks(piece)
                .try_for_each(|chunk| tar.write_all(chunk))
        })
        .unwrap();
        (out, digest, size)
    }

    #[test]
    fn the_bytes_do_not_depend_on_threads_or_on_how_they_were_written() {
        let text: Vec<u8> = (0..5_000_000u32)
            .flat_map(|n| (n / 7).to_le_bytes()[..1].to_vec())
            .collect();
        let (one, digest, size) = packed(1, &text, 4096);
        assert!(digest.matches(&one));
        assert_eq!(size, one.len() as u64);
        for (threads, piece) in [(2, 1000), (5, 3_000_000)] {
            assert_eq!(packed(threads, &text, piece).0, one);
        }
        let mut back = Vec::new();
        flate2::read::MultiGzDecoder::new(&one[..])
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, text);
    }

    #[test]
    fn nothing_is_a_gzip_stream_too() {
        let (bytes, ..) = packed(2, b"", 1);
        let mut back = Vec::new();
        flate2::read::MultiGzDecoder::new(&bytes[..])
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, b"");
    }

    #[test]
    fn an_error_of_the_sink_comes_back() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let result = compress_on(2, &mut Full, |tar| tar.write_all(&vec![7; 20 * BLOCK]));
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
