//! A redb database that can be had again after an error of the disk: redb answers everything after one with
//! `PreviousIo` until the file is closed and opened anew, which also repairs what the failed commit left.
//! `registry`'s `server::store` has the same, for the two crates share no place above redb.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use redb::{DatabaseError, ReadTransaction, ReadableDatabase as _, WriteTransaction};

pub(crate) struct Handle {
    path: PathBuf,
    cache: usize,
    /// `None` while opening anew has failed. Held only to begin a transaction, never during one.
    redb: RwLock<Option<redb::Database>>,
    /// Whose turn it is to write; nobody else opens the file anew, since a live write would keep the old one open.
    turn: Mutex<()>,
}

impl Handle {
    pub(crate) fn open(path: &Path, cache: usize) -> Result<Handle, DatabaseError> {
        Ok(Handle {
            path: path.to_owned(),
            cache,
            redb: RwLock::new(Some(open(path, cache)?)),
            turn: Mutex::new(()),
        })
    }

    /// Reads that go on when the file is opened anew end with `DatabaseClosed`; they would have failed anyway.
    pub(crate) fn read(&self) -> Result<ReadTransaction, redb::Error> {
        let begun = self.begin_read();
        if !begun.as_ref().is_err_and(is_lost) {
            return begun;
        }
        // Whoever writes now will open it; waiting could be for oneself.
        let turn = match self.turn.try_lock() {
            Ok(turn) => turn,
            Err(std::sync::TryLockError::Poisoned(turn)) => turn.into_inner(),
            Err(std::sync::TryLockError::WouldBlock) => return begun,
        };
        self.reopen(&turn)?;
        self.begin_read()
    }

    /// Runs `work` with the one write transaction there may be, and sees to it that the next can begin.
    pub(crate) fn write<T, E>(
        &self,
        failed: impl Fn(redb::Error) -> E,
        work: impl FnOnce(WriteTransaction) -> Result<T, E>,
    ) -> Result<T, E> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = match self.begin_write() {
            Err(error) if is_lost(&error) => {
                self.reopen(&turn).map_err(&failed)?;
                self.begin_write()
            }
            other => other,
        };
        let result = work(begun.map_err(&failed)?);
        // Readers shall not meet the error either. If this fails, the next who needs it tries again.
        if result.is_err() && self.begin_write().as_ref().is_err_and(is_lost) {
            let _ = self.reopen(&turn);
        }
        result
    }

    fn begin_read(&self) -> Result<ReadTransaction, redb::Error> {
        let held = self.redb.read().unwrap_or_else(PoisonError::into_inner);
        let redb = held.as_ref().ok_or(redb::Error::DatabaseClosed)?;
        Ok(redb.begin_read()?)
    }

    fn begin_write(&self) -> Result<WriteTransaction, redb::Error> {
        let held = self.redb.read().unwrap_or_else(PoisonError::into_inner);
        let redb = held.as_ref().ok_or(redb::Error::DatabaseClosed)?;
        Ok(redb.begin_write()?)
    }

    fn reopen(&self, _turn: &MutexGuard<'_, ()>) -> Result<(), redb::Error> {
        let mut held = self.redb.write().unwrap_or_else(PoisonError::into_inner);
        // The old one's lock on the file goes first.
        *held = None;
        *held = Some(open(&self.path, self.cache)?);
        Ok(())
    }
}

fn open(path: &Path, cache: usize) -> Result<redb::Database, DatabaseError> {
    redb::Builder::new().set_cache_size(cache).create(path)
}

/// Whether only closing and opening anew helps. A commit that failed leaves the allocator unknown: `Corrupted` of this
/// process's memory, which opening makes again from the file (or finds the file itself corrupted, and says so).
fn is_lost(error: &redb::Error) -> bool {
    matches!(
        error,
        redb::Error::PreviousIo | redb::Error::DatabaseClosed | redb::Error::Corrupted(_)
    )
}
