//! Paths inside a root filesystem that someone else, perhaps hostile, arranges while we look.
//!
//! Every path is resolved as if the root were `/`: absolute symlinks stay inside, `..` stops at the root, magic links
//! are not followed. What comes out is a handle, and whatever is done next is done through it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};

use crate::error::Context as _;
use crate::{Errno, Result, fd, file};

/// A root filesystem, by a handle on its topmost folder.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
}

/// What a missing last component becomes.
#[derive(Clone, Copy)]
enum Leaf {
    Dir(u32),
    File(u32),
}

/// As the kernel counts: ELOOP beyond.
const MAX_SYMLINKS: usize = 40;

impl Root {
    /// The root at a path of the host, which is trusted.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self {
            fd: file::open(path, OFlags::PATH | OFlags::DIRECTORY)?,
        })
    }

    /// The root of a running process, through `/proc/PID/root`. The process may be gone by then: compare its pidfd.
    pub fn of_process(pid: u32) -> Result<Self> {
        Self::open(Path::new(&format!("/proc/{pid}/root")))
    }

    #[must_use]
    pub const fn from_fd(fd: OwnedFd) -> Self {
        Self { fd }
    }

    /// A handle on what `path` means, following symlinks to the end.
    pub fn resolve(&self, path: &Path) -> Result<OwnedFd> {
        self.open_file(path, OFlags::PATH, 0)
    }

    /// A handle on `path` itself, if need be on the symlink it is.
    pub fn resolve_nofollow(&self, path: &Path) -> Result<OwnedFd> {
        self.open_file(path, OFlags::PATH | OFlags::NOFOLLOW, 0)
    }

    /// Opens, or with `O_CREAT` makes, a file. Never waits on a FIFO or takes a terminal for the controlling one,
    /// unless `flags` say otherwise: pass `O_NONBLOCK` for files of strangers.
    pub fn open_file(&self, path: &Path, flags: OFlags, mode: u32) -> Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = flags | OFlags::CLOEXEC;
        let flags = if flags.contains(OFlags::PATH) {
            flags
        } else {
            flags | OFlags::NOCTTY
        };
        // EAGAIN says that something was renamed meanwhile; who keeps renaming gets the error.
        for _ in 0..64 {
            match rustix::fs::openat2(
                &self.fd,
                relative(path),
                flags,
                Mode::from_raw_mode(mode),
                resolve,
            ) {
                Err(Errno::AGAIN) => {}
                result => {
                    return result
                        .context(|| format!("openat2({path:?}, {flags:?}, RESOLVE_IN_ROOT)"));
                }
            }
        }
        Err(Errno::AGAIN).context(|| format!("openat2({path:?}, {flags:?}, RESOLVE_IN_ROOT)"))
    }

    /// A handle on the folder `path`, made with all its parents where missing, through dangling symlinks, too.
    pub fn make_dirs(&self, path: &Path, mode: u32) -> Result<OwnedFd> {
        match self.open_file(path, OFlags::PATH | OFlags::DIRECTORY, 0) {
            Err(error) if error.errno() == Errno::NOENT => self.walk(path, Leaf::Dir(mode)),
            result => result,
        }
    }

    /// A handle on the file `path`, made empty with all its parents (mode 0755) where missing.
    pub fn make_file(&self, path: &Path, mode: u32) -> Result<OwnedFd> {
        match self.resolve(path) {
            Err(error) if error.errno() == Errno::NOENT => self.walk(path, Leaf::File(mode)),
            result => result,
        }
    }

    /// The folder that holds the last component of `path`, and that component, of which nothing is said.
    /// EINVAL for the root itself and what ends in `..`.
    pub fn parent(&self, path: &Path) -> Result<(OwnedFd, OsString)> {
        let name = path
            .file_name()
            .ok_or(Errno::INVAL)
            .context(|| format!("parent of {path:?}"))?;
        let dir = path.parent().unwrap_or_else(|| Path::new("/"));
        Ok((
            self.open_file(dir, OFlags::PATH | OFlags::DIRECTORY, 0)?,
            name.to_owned(),
        ))
    }

    /// Where a handle lies, as seen from the root. ENOENT when it is not inside (any more).
    pub fn path_of(&self, handle: impl AsFd) -> Result<PathBuf> {
        let (root, path) = (fd::current_path(&self.fd)?, fd::current_path(handle)?);
        let inside = path
            .strip_prefix(&root)
            .map_err(|_| Errno::NOENT)
            .context(|| format!("path of {path:?}"))?;
        Ok(Path::new("/").join(inside))
    }

    /// Component by component with no symlink followed by the kernel, making what is missing. `..` goes back along
    /// the folders gone through, so no rename can lead it out.
    fn walk(&self, path: &Path, leaf: Leaf) -> Result<OwnedFd> {
        let describe = || format!("make {path:?} in the root");
        let mut rest: VecDeque<OsString> = components(path);
        let mut trail: Vec<OwnedFd> = Vec::new();
        let mut symlinks = 0;
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                trail.pop();
                continue;
            }
            let here = trail.last().map_or(self.fd.as_fd(), AsFd::as_fd);
            let wanted = if rest.is_empty() {
                leaf
            } else {
                Leaf::Dir(0o755)
            };
            let entry = open_or_make(here, &name, wanted)?;
            match FileType::from_raw_mode(file::stat(&entry)?.st_mode) {
                FileType::Symlink => {
                    symlinks += 1;
                    if symlinks > MAX_SYMLINKS {
                        return Err(Errno::LOOP).context(describe);
                    }
                    let target = file::read_link(&entry, "")?;
                    if target.is_absolute() {
                        trail.clear();
                    }
                    components(&target)
                        .into_iter()
                        .rev()
                        .for_each(|name| rest.push_front(name));
                }
                FileType::Directory => trail.push(entry),
                _ if rest.is_empty() && matches!(leaf, Leaf::File(_)) => return Ok(entry),
                _ => return Err(Errno::NOTDIR).context(describe),
            }
        }
        match (trail.pop(), leaf) {
            (_, Leaf::File(_)) => Err(Errno::ISDIR).context(describe),
            (Some(dir), Leaf::Dir(_)) => Ok(dir),
            (None, Leaf::Dir(_)) => fd::duplicate(&self.fd),
        }
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A handle on an entry itself, made first where it is missing.
fn open_or_make(dir: BorrowedFd<'_>, name: &OsStr, leaf: Leaf) -> Result<OwnedFd> {
    let open = || file::open_at(dir, name, OFlags::PATH | OFlags::NOFOLLOW, Mode::empty());
    match open() {
        Err(error) if error.errno() == Errno::NOENT => {}
        result => return result,
    }
    let made = match leaf {
        Leaf::Dir(mode) => file::make_dir(dir, name, mode),
        Leaf::File(mode) => {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY;
            file::open_at(dir, name, flags, Mode::from_raw_mode(mode)).map(drop)
        }
    };
    match made {
        Err(error) if error.errno() != Errno::EXIST => Err(error),
        _ => open(),
    }
}

/// Names and `..`; the root, `.` and empty ones say nothing.
fn components(path: &Path) -> VecDeque<OsString> {
    let keep = |component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(keep).collect()
}

/// `openat2` takes the empty path for an error, and we for the root.
fn relative(path: &Path) -> &Path {
    if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    }
}

#[cfg(test)]
mod tests;
