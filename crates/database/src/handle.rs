//! Opening anew after an error of the disk: redb answers everything after one with `PreviousIo` until the file is
//! closed and opened anew, which also repairs what the failed commit left.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use redb::{DatabaseError, ReadTransaction, ReadableDatabase as _, WriteTransaction};

use crate::reserve::Reserve;

/// A database's file. One writer at a time, readers never wait.
pub struct Handle {
    path: PathBuf,
    /// Bytes.
    cache: usize,
    reserve: Reserve,
    /// `None` while opening anew has failed. Held only to begin a transaction, never during one.
    redb: RwLock<Option<redb::Database>>,
    /// Whose turn it is to write; nobody else opens the file anew, since a live write would keep the old one open.
    turn: Mutex<()>,
}

impl Handle {
    /// Opens the file, which is made if it is not there, with a cache of that many bytes; a file beside it, whose name
    /// ends in `.reserve`, keeps room for removals.
    pub fn open(path: &Path, cache: usize) -> Result<Handle, DatabaseError> {
        Ok(Handle {
            path: path.to_owned(),
            cache,
            reserve: Reserve::beside(path),
            redb: RwLock::new(Some(open(path, cache)?)),
            turn: Mutex::new(()),
        })
    }

    /// Reads that go on when the file is opened anew end with `DatabaseClosed`; they would have failed anyway.
    pub fn read(&self) -> Result<ReadTransaction, redb::Error> {
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
    pub fn write<T, E>(
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

    /// The same for what gives room back, which must be possible when the disk has none.
    pub fn write_less<T, E>(
        &self,
        failed: impl Fn(redb::Error) -> E,
        work: impl FnOnce(WriteTransaction) -> Result<T, E>,
    ) -> Result<T, E> {
        let _lent = self.reserve.lend();
        self.write(failed, work)
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

#[cfg(test)]
mod tests {
    use std::os::fd::{AsRawFd as _, OwnedFd};

    use redb::{ReadableTableMetadata as _, TableDefinition};
    use rustix::mount::{self, FsMountFlags, FsOpenFlags, MountAttrFlags};

    use super::*;

    const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("table");

    fn put(handle: &Handle, key: u64) -> Result<(), redb::Error> {
        handle.write(
            |error| error,
            |writer| {
                let value = vec![1; 4000];
                writer.open_table(TABLE)?.insert(key, &*value)?;
                Ok(writer.commit()?)
            },
        )
    }

    /// A disk of 4 MiB that is mounted nowhere and ends with the descriptor, and its root.
    fn small_disk() -> (OwnedFd, PathBuf) {
        let context = mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
        mount::fsconfig_set_string(&context, "size", "4m").unwrap();
        mount::fsconfig_create(&context).unwrap();
        let flags = FsMountFlags::FSMOUNT_CLOEXEC;
        let disk = mount::fsmount(&context, flags, MountAttrFlags::empty()).unwrap();
        let root = PathBuf::from(format!("/proc/self/fd/{}", disk.as_raw_fd()));
        (disk, root)
    }

    /// Fills the disk, then the pages that the file has already; says how many rows that were.
    fn fill(root: &Path, handle: &Handle) -> u64 {
        let _ = std::fs::write(root.join("filler"), vec![1; 8 << 20]);
        let written = (1..4000).take_while(|key| put(handle, *key).is_ok());
        written.count() as u64
    }

    fn count(handle: &Handle) -> u64 {
        let table = handle.read().unwrap().open_table(TABLE).unwrap();
        table.len().unwrap()
    }

    /// After one push on a full disk the registry took no push and no deletion until it was restarted.
    #[test]
    fn a_database_whose_disk_was_full_writes_again_when_there_is_room() {
        let (_disk, root) = small_disk();
        let handle = Handle::open(&root.join("a.redb"), 1 << 20).unwrap();
        put(&handle, 0).unwrap();
        let written = fill(&root, &handle);
        assert_eq!(
            count(&handle),
            written + 1,
            "no commit is lost, and none half there"
        );
        assert!(put(&handle, 5000).is_err(), "the disk was not full");
        std::fs::remove_file(root.join("filler")).unwrap();
        put(&handle, 5000).unwrap();
        assert_eq!(count(&handle), written + 2);
    }

    #[test]
    fn what_removes_can_be_written_on_a_full_disk() {
        let (_disk, root) = small_disk();
        let handle = Handle::open(&root.join("a.redb"), 1 << 20).unwrap();
        put(&handle, 0).unwrap();
        let written = fill(&root, &handle);
        assert!(put(&handle, 5000).is_err(), "the disk was not full");
        for key in 0..=written {
            let removed = handle.write_less(
                |error| error,
                |writer| {
                    writer.open_table(TABLE)?.remove(key)?;
                    Ok(writer.commit()?)
                },
            );
            removed.unwrap();
        }
        assert_eq!(count(&handle), 0);
    }
}
