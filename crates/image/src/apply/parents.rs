use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{self, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, Result};

pub(super) const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Docker's mode for directories that an archive names only in passing.
const IMPLIED_MODE: Mode = Mode::from_raw_mode(0o755);

/// Opens the directories that entries are made in, keeping the last one open: archives go directory by directory.
pub(super) struct Parents<'a> {
    root: BorrowedFd<'a>,
    last: Option<(Vec<u8>, OwnedFd)>,
}

impl<'a> Parents<'a> {
    pub(super) fn new(root: BorrowedFd<'a>) -> Parents<'a> {
        Parents { root, last: None }
    }

    /// The directory at `path`, made with all that lead to it where it is missing. Symlinks on the way are followed as in
    /// a container: an absolute one starts at the root, and none leads out of it.
    pub(super) fn open(&mut self, path: &[u8]) -> Result<BorrowedFd<'_>> {
        if path.is_empty() {
            return Ok(self.root);
        }
        let known = self.last.as_ref().is_some_and(|(last, _)| last == path);
        if !known {
            let dir = match open_in_root(self.root, path) {
                Err(Errno::NOENT) => make_all(self.root, path)?,
                other => other?,
            };
            self.last = Some((path.to_vec(), dir));
        }
        Ok(self.last.as_ref().map_or(self.root, |(_, dir)| dir.as_fd()))
    }

    /// Something on the way may have changed: look again next time.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }
}

/// Opens a directory below `root`, which is `/` to every link on the way.
pub(super) fn open_in_root(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    open(
        root,
        path,
        flags,
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    )
}

/// The same with no symlink on the way at all.
pub(super) fn open_beneath_nofollow(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    let path = if path.is_empty() { b"." } else { path };
    open(
        root,
        path,
        DIRECTORY,
        ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS,
    )
}

fn open(
    root: BorrowedFd<'_>,
    path: &[u8],
    flags: OFlags,
    resolve: ResolveFlags,
) -> Result<OwnedFd> {
    loop {
        match fs::openat2(root, path, flags, Mode::empty(), resolve) {
            // Something in the system was renamed during the walk (openat2(2)); it has nothing to do with us.
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
}

fn make_all(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd> {
    let mut end = 0;
    loop {
        end = path[end..]
            .iter()
            .position(|b| *b == b'/')
            .map_or(path.len(), |at| end + at);
        let parent_end = path[..end].iter().rposition(|b| *b == b'/');
        let (parent, name) = match parent_end {
            Some(slash) => (&path[..slash], &path[slash + 1..end]),
            None => (&b""[..], &path[..end]),
        };
        let dir = open_in_root(root, parent)?;
        match fs::mkdirat(&dir, name, IMPLIED_MODE) {
            // The umask of the process has no say in what a layer holds.
            Ok(()) => fs::chmodat(&dir, name, IMPLIED_MODE, fs::AtFlags::empty())?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        if end == path.len() {
            return open_in_root(root, path);
        }
        end += 1;
    }
}
