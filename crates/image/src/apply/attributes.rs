//! Owner, mode, xattrs and times of what was made.

use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::fs::{self, AtFlags, Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::{Errno, Result};

use crate::tar::{Entry, EntryKind, Time};

/// Owner, mode and xattrs of an open file or directory. The mode comes after the owner, since chown(2) takes setuid
/// away; file capabilities come last, since both take those away.
pub(super) fn set_on(fd: BorrowedFd<'_>, entry: &Entry) -> Result<()> {
    fs::fchown(
        fd,
        Some(Uid::from_raw(entry.uid)),
        Some(Gid::from_raw(entry.gid)),
    )?;
    fs::fchmod(fd, Mode::from_raw_mode(entry.mode))?;
    set_xattrs(fd, entry)
}

/// The same of a file that has just been made with [`mode_of_new`]. Most files need neither call: two of the seven
/// that a small file takes.
pub(super) fn set_on_new(fd: BorrowedFd<'_>, made: &Stat, entry: &Entry) -> Result<()> {
    if (made.st_uid, made.st_gid) != (entry.uid, entry.gid) {
        let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        fs::fchown(fd, Some(uid), Some(gid))?;
    }
    let wanted = Mode::from_raw_mode(entry.mode);
    if Mode::from_raw_mode(made.st_mode) != wanted {
        fs::fchmod(fd, wanted)?;
    }
    set_xattrs(fd, entry)
}

/// What to make a file with: the mode it is to have, but for the bits that a change of owner takes away.
pub(super) fn mode_of_new(entry: &Entry) -> Mode {
    Mode::from_raw_mode(entry.mode) & (Mode::RWXU | Mode::RWXG | Mode::RWXO)
}

fn set_xattrs(fd: BorrowedFd<'_>, entry: &Entry) -> Result<()> {
    for (name, value) in wanted(entry) {
        tolerate(fs::fsetxattr(fd, name, value, XattrFlags::empty()))?;
    }
    Ok(())
}

/// The same of something that cannot be opened: a symlink, a device, a fifo.
pub(super) fn set_at(dir: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Result<()> {
    let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
    fs::chownat(dir, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    if entry.kind != EntryKind::Symlink {
        fs::chmodat(dir, name, Mode::from_raw_mode(entry.mode), AtFlags::empty())?;
    }
    if wanted(entry).next().is_some() {
        let path = [
            format!("/proc/self/fd/{}/", dir.as_raw_fd()).as_bytes(),
            name,
        ]
        .concat();
        for (name, value) in wanted(entry) {
            tolerate(fs::lsetxattr(&path, name, value, XattrFlags::empty()))?;
        }
    }
    Ok(())
}

pub(super) fn set_times_on(fd: BorrowedFd<'_>, entry: &Entry) -> Result<()> {
    fs::futimens(
        fd,
        &timestamps(entry.atime.unwrap_or(entry.mtime), entry.mtime),
    )
}

pub(super) fn set_times_at(dir: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Result<()> {
    let times = timestamps(entry.atime.unwrap_or(entry.mtime), entry.mtime);
    fs::utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)
}

pub(super) fn set_directory_times(dir: BorrowedFd<'_>, atime: Time, mtime: Time) -> Result<()> {
    fs::futimens(dir, &timestamps(atime, mtime))
}

/// Marks a directory as hiding all that is below it (kernel documentation, overlayfs, "whiteouts and opaque directories").
pub(super) fn set_opaque(dir: BorrowedFd<'_>) -> Result<()> {
    fs::fsetxattr(dir, "trusted.overlay.opaque", b"y", XattrFlags::empty())
}

/// All but overlayfs's own: `trusted.overlay.redirect` in a stranger's layer could show other directories of the host's
/// layers under a name of its choice.
fn wanted(entry: &Entry) -> impl Iterator<Item = (&[u8], &[u8])> {
    let own =
        |name: &[u8]| name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.");
    entry
        .xattrs
        .iter()
        .filter(move |(name, _)| !own(name))
        .map(|(name, value)| (&name[..], &value[..]))
}

/// A file system without xattrs, or one that does not let this kind of file have them, is no error, as in Docker.
fn tolerate(result: Result<()>) -> Result<()> {
    match result {
        Err(Errno::NOTSUP | Errno::PERM) => Ok(()),
        other => other,
    }
}

fn timestamps(atime: Time, mtime: Time) -> Timestamps {
    let spec = |time: Time| Timespec {
        tv_sec: time.seconds,
        tv_nsec: i64::from(time.nanoseconds),
    };
    Timestamps {
        last_access: spec(atime),
        last_modification: spec(mtime),
    }
}
