//! What happens when an archive names the same path twice: the later entry wins, and the earlier one's content is kept
//! aside, because the archive cannot be made again without it.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{self, AtFlags, Dir, FileType, Mode};
use rustix::io::Errno;

use super::{ApplyError, Layer, attributes, context, parents};
use crate::tar::Entry;

impl Layer<'_> {
    /// Makes room at a path for something that is no directory.
    pub(super) fn clear(
        &mut self,
        parent: &[u8],
        name: &[u8],
        entry: &Entry,
    ) -> Result<(), ApplyError> {
        let dir = self
            .parents
            .open(parent)
            .map_err(context("open the directory of", &entry.path))?;
        match fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            other => other.map_err(context("stat", &entry.path))?,
        };
        let dir = dir
            .try_clone_to_owned()
            .map_err(context("open the directory of", &entry.path))?;
        self.parents.forget();
        self.retire(dir.as_fd(), name)
            .map_err(context("replace", &entry.path))
    }

    /// A directory entry meets something of its name: a directory stays and takes the new attributes, a whiteout turns
    /// into an opaque directory, anything else goes.
    pub(super) fn make_directory_of_what_is_there(
        &mut self,
        parent: &[u8],
        name: &[u8],
        entry: &Entry,
    ) -> Result<(), ApplyError> {
        let fail = |doing| context(doing, &entry.path);
        let dir = self
            .parents
            .open(parent)
            .map_err(fail("open the directory of"))?;
        let stat = fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).map_err(fail("stat"))?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            return Ok(());
        }
        let whiteout =
            FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0;
        self.clear(parent, name, entry)?;
        let dir = self
            .parents
            .open(parent)
            .map_err(fail("open the directory of"))?;
        fs::mkdirat(dir, name, Mode::RWXU).map_err(fail("make directory"))?;
        if whiteout {
            let made =
                fs::openat(dir, name, parents::DIRECTORY, Mode::empty()).map_err(fail("open"))?;
            attributes::set_opaque(made.as_fd()).map_err(fail("make opaque"))?;
        }
        Ok(())
    }

    /// Takes away what is there, with all below it; regular files move to `replaced/<ordinal>`.
    fn retire(&mut self, dir: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<()> {
        let stat = fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let inner = fs::openat(dir, name, parents::DIRECTORY, Mode::empty())?;
                for child in Dir::read_from(&inner)?.collect::<Result<Vec<_>, _>>()? {
                    let child = child.file_name().to_bytes();
                    if !matches!(child, b"." | b"..") {
                        self.retire(inner.as_fd(), child)?;
                    }
                }
                fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
            }
            FileType::RegularFile => {
                if stat.st_nlink == 1 {
                    self.size = self
                        .size
                        .saturating_sub(u64::try_from(stat.st_size).unwrap_or(0));
                }
                self.keep_aside(dir, name, &stat)
            }
            FileType::Symlink => {
                self.size = self
                    .size
                    .saturating_sub(u64::try_from(stat.st_size).unwrap_or(0));
                fs::unlinkat(dir, name, AtFlags::empty())
            }
            _ => fs::unlinkat(dir, name, AtFlags::empty()),
        }
    }

    fn keep_aside(
        &mut self,
        dir: BorrowedFd<'_>,
        name: &[u8],
        stat: &fs::Stat,
    ) -> rustix::io::Result<()> {
        let Some(ordinal) = self.inodes.get(&stat.st_ino) else {
            return fs::unlinkat(dir, name, AtFlags::empty());
        };
        let home = self.target.home.as_fd();
        match fs::mkdirat(home, "replaced", Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        let replaced = fs::openat(home, "replaced", parents::DIRECTORY, Mode::empty())?;
        let ordinal = ordinal.to_string();
        if fs::statat(&replaced, &ordinal, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            // Another hard link to it was replaced before; rename(2) between links of one file would do nothing.
            // The one aside and this one: with it the last name in the layer goes.
            if stat.st_nlink == 2 {
                self.size = self
                    .size
                    .saturating_sub(u64::try_from(stat.st_size).unwrap_or(0));
            }
            return fs::unlinkat(dir, name, AtFlags::empty());
        }
        fs::renameat(dir, name, &replaced, ordinal)
    }
}
