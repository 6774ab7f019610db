//! Bounds against archives made to harm, and against a disk that fills up.

use std::cell::RefCell;
use std::io::{self, Write};
use std::os::fd::BorrowedFd;
use std::rc::Rc;

use rustix::fs;

use super::ApplyError;

/// After so much more is written, the disk is looked at again: others write there too.
const LOOK: u64 = 16 << 20;

/// What one layer may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of file content, and of the skeleton as it lies on the disk, whatever room there is.
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            bytes: u64::MAX,
            entries: 20_000_000,
        }
    }
}

/// Bytes that layers may still take of a file system. A hundredth of it, at most 1 GiB, stays free: logs, databases and
/// containers must go on when somebody's image is too large.
pub(crate) fn room(space: &fs::StatVfs) -> u64 {
    let bytes = |blocks: u64| blocks.saturating_mul(space.f_frsize);
    let kept = (bytes(space.f_blocks) / 100).min(1 << 30);
    bytes(space.f_bavail).saturating_sub(kept)
}

/// What a layer has taken so far, and how much more it may.
pub(super) struct Taken<'a> {
    on: BorrowedFd<'a>,
    most: u64,
    written: u64,
    /// How far it may go before the disk is looked at again.
    fits: u64,
}

impl<'a> Taken<'a> {
    /// `on` is the file system that is written to.
    pub(super) fn new(on: BorrowedFd<'a>, limits: Limits) -> Self {
        Taken {
            on,
            most: limits.bytes,
            written: 0,
            fits: 0,
        }
    }

    /// Asks for so many bytes more, before they are written.
    pub(super) fn more(&mut self, bytes: u64) -> Result<(), ApplyError> {
        let written = self.written.saturating_add(bytes);
        if written > self.most {
            return Err(ApplyError::TooLarge(self.most));
        }
        if written > self.fits {
            let space = fs::fstatvfs(self.on).map_err(|e| ApplyError::Room(e.into()))?;
            let room = room(&space);
            if bytes > room {
                let what = format!(
                    "no space left on device: {bytes} bytes more are wanted, and {room} may be taken"
                );
                let source = io::Error::new(io::ErrorKind::StorageFull, what);
                return Err(ApplyError::Room(source));
            }
            self.fits = written.saturating_add(LOOK.min(room - bytes));
        }
        self.written = written;
        Ok(())
    }
}

/// Where a layer's skeleton goes, counted like the contents of its files: an archive may be all headers.
pub(crate) struct Counted<'a, W> {
    to: W,
    taken: Rc<RefCell<Taken<'a>>>,
}

impl<'a, W> Counted<'a, W> {
    pub(super) fn new(to: W, taken: Rc<RefCell<Taken<'a>>>) -> Self {
        Counted { to, taken }
    }

    pub(super) fn into_inner(self) -> W {
        self.to
    }
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let more = self.taken.borrow_mut().more(bytes.len() as u64);
        more.map_err(io::Error::other)?;
        self.to.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
