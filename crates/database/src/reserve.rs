//! Room on the disk that is kept for removals: each writes new pages before any old one is free.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// More than one removal's transaction dirties.
const SIZE: u64 = 1 << 20;

/// A file of that size, which is not there while a removal uses its room, nor as long as the disk has none for it.
pub(crate) struct Reserve {
    path: PathBuf,
    turn: Mutex<()>,
}

/// The reserve is filled again when this goes, if that is possible.
pub(crate) struct Lent<'a> {
    reserve: &'a Reserve,
    _turn: MutexGuard<'a, ()>,
}

impl Reserve {
    pub(crate) fn beside(database: &Path) -> Reserve {
        let reserve = Reserve {
            path: database.with_extension("reserve"),
            turn: Mutex::new(()),
        };
        reserve.fill();
        reserve
    }

    /// Gives the room up if the disk has little else.
    pub(crate) fn lend(&self) -> Lent<'_> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let free = statvfs(self.path.parent().unwrap_or(&self.path))
            .map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        if free < SIZE {
            let _ = fs::remove_file(&self.path);
        }
        Lent {
            reserve: self,
            _turn: turn,
        }
    }

    fn fill(&self) {
        // Without it a removal on a full disk may fail; nothing else.
        if !self.path.exists() && self.allocate().is_err() {
            let _ = fs::remove_file(&self.path);
        }
    }

    fn allocate(&self) -> io::Result<()> {
        let file = File::create(&self.path)?;
        Ok(fallocate(&file, FallocateFlags::empty(), 0, SIZE)?)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.reserve.fill();
    }
}
