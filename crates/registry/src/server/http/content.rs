//! Bodies of answers: bytes at hand, or a part of a file.
//!
//! A file's pages are mostly in the kernel's cache, so the first try is a read that does not wait (`RWF_NOWAIT`), here
//! on the async thread; only what would wait for the disk goes to a thread that may. Buffers are lent out and come
//! back when the connection has sent them, so a pull costs the same memory whatever its size.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use tokio::task::JoinHandle;

use crate::server::cache::Arriving;
use crate::server::store::Blob;

/// The body of an answer.
pub(crate) enum Content {
    Bytes(Option<Bytes>),
    File(FilePart),
    /// A blob that is still coming from another registry.
    Arriving(Box<Arriving>),
}

/// Bytes of a file, read as the connection takes them.
pub(crate) struct FilePart {
    file: Arc<File>,
    at: u64,
    end: u64,
    buffers: Arc<Buffers>,
    waiting: Option<JoinHandle<io::Result<Lent>>>,
}

/// Buffers that are used again and again.
#[derive(Default)]
pub(crate) struct Buffers(Mutex<Vec<Box<[u8]>>>);

/// A buffer on its way, with how much of it is filled.
pub(crate) struct Lent {
    buffer: Box<[u8]>,
    filled: usize,
    home: Arc<Buffers>,
}

const BUFFER: usize = 256 << 10;
/// Buffers that are kept while nobody needs them.
const KEPT: usize = 32;

impl Buffers {
    /// A buffer of at least `wanted` bytes, if that is no more than usual.
    pub(crate) fn lend(self: &Arc<Buffers>, wanted: u64) -> Lent {
        let small = usize::try_from(wanted).is_ok_and(|wanted| wanted <= BUFFER / 8);
        let kept = if small { None } else { self.kept().pop() };
        let size = if small {
            usize::try_from(wanted).unwrap_or(BUFFER)
        } else {
            BUFFER
        };
        Lent {
            buffer: kept.unwrap_or_else(|| vec![0; size].into_boxed_slice()),
            filled: 0,
            home: Arc::clone(self),
        }
    }

    /// Bytes of a file that are sure to be in the kernel's cache, at most as many as a buffer holds.
    pub(crate) fn fill(
        self: &Arc<Buffers>,
        file: &File,
        at: u64,
        wanted: u64,
    ) -> io::Result<Bytes> {
        let mut lent = self.lend(wanted);
        let count = self::wanted(&lent, wanted);
        lent.filled = file.read_at(&mut lent.buffer[..count], at)?;
        Ok(Bytes::from_owner(lent))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Vec<Box<[u8]>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if self.buffer.len() == BUFFER {
            let mut kept = self.home.kept();
            if kept.len() < KEPT {
                kept.push(std::mem::take(&mut self.buffer));
            }
        }
    }
}

impl FilePart {
    pub(crate) fn new(file: File, part: std::ops::Range<u64>, buffers: Arc<Buffers>) -> FilePart {
        FilePart {
            file: Arc::new(file),
            at: part.start,
            end: part.end,
            buffers,
            waiting: None,
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.at >= self.end {
            return Poll::Ready(None);
        }
        let lent = match &mut self.waiting {
            Some(read) => {
                let read = ready!(Pin::new(read).poll(cx));
                self.waiting = None;
                read.map_err(io::Error::other).flatten()
            }
            None => match self.read_now() {
                Some(read) => read,
                None => {
                    self.waiting = Some(self.read_later());
                    return self.poll(cx);
                }
            },
        };
        Poll::Ready(Some(lent.and_then(|lent| {
            if lent.filled == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.at += lent.filled as u64;
            Ok(Bytes::from_owner(lent))
        })))
    }

    /// What the cache has; `None` when the disk must be waited for.
    fn read_now(&self) -> Option<io::Result<Lent>> {
        let mut lent = self.buffers.lend(self.end - self.at);
        let wanted = wanted(&lent, self.end - self.at);
        let mut slices = [IoSliceMut::new(&mut lent.buffer[..wanted])];
        match preadv2(&*self.file, &mut slices, self.at, ReadWriteFlags::NOWAIT) {
            Ok(filled) => {
                lent.filled = filled;
                Some(Ok(lent))
            }
            // Not there yet, or a filesystem that cannot say.
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR | Errno::NOSYS) => None,
            Err(error) => Some(Err(error.into())),
        }
    }

    fn read_later(&self) -> JoinHandle<io::Result<Lent>> {
        let mut lent = self.buffers.lend(self.end - self.at);
        let wanted = wanted(&lent, self.end - self.at);
        let (file, at) = (Arc::clone(&self.file), self.at);
        tokio::task::spawn_blocking(move || {
            lent.filled = file.read_at(&mut lent.buffer[..wanted], at)?;
            Ok(lent)
        })
    }
}

fn wanted(lent: &Lent, left: u64) -> usize {
    usize::try_from(left).map_or(lent.buffer.len(), |left| left.min(lent.buffer.len()))
}

impl Content {
    pub(crate) fn empty() -> Content {
        Content::Bytes(None)
    }

    /// A whole blob.
    pub(crate) fn file(blob: Blob, buffers: &Arc<Buffers>) -> Content {
        Content::File(FilePart::new(blob.file, 0..blob.size, Arc::clone(buffers)))
    }

    pub(crate) fn of(bytes: impl Into<Bytes>) -> Content {
        Content::Bytes(Some(bytes.into()))
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let next = match &mut *self {
            Content::Bytes(bytes) => Poll::Ready(bytes.take().filter(|b| !b.is_empty()).map(Ok)),
            Content::File(part) => part.poll(cx),
            Content::Arriving(arriving) => arriving.poll(cx),
        };
        next.map(|bytes| bytes.map(|bytes| bytes.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Content::Bytes(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            Content::File(part) => part.at >= part.end,
            Content::Arriving(arriving) => arriving.left() == 0,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Content::Bytes(bytes) => bytes.as_ref().map_or(0, |b| b.len() as u64),
            Content::File(part) => part.end.saturating_sub(part.at),
            Content::Arriving(arriving) => arriving.left(),
        })
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn parts_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blob");
        let bytes: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
        std::fs::write(&path, &bytes).unwrap();
        let buffers = Arc::new(Buffers::default());
        for part in [0..4_000_000, 1..2, 3_999_999..4_000_000, 300_000..900_000] {
            let file = File::open(&path).unwrap();
            let range = part.start as usize..part.end as usize;
            let body = Content::File(FilePart::new(file, part, Arc::clone(&buffers)));
            let read = body.collect().await.unwrap().to_bytes();
            assert!(read == bytes[range]);
        }
        assert!(buffers.kept().len() <= KEPT);
    }

    #[tokio::test]
    async fn a_file_that_is_too_short_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("blob");
        std::fs::write(&path, b"short").unwrap();
        let part = FilePart::new(File::open(&path).unwrap(), 0..9, Arc::default());
        assert!(Content::File(part).collect().await.is_err());
    }
}
