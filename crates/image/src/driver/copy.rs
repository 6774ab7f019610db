//! Lays a layer over a directory the way overlayfs would show the two, by copying.
//!
//! No symlink is ever followed: what is a directory in the target was made here, or is seen to be none and goes.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};

use crate::upper::{is_opaque, is_whiteout, xattrs};

/// `layer` over `target`, which no one else touches.
pub(super) fn over(layer: &Path, target: &Path) -> io::Result<()> {
    let mut copy = Copy {
        links: HashMap::new(),
    };
    let metadata = fs::symlink_metadata(layer)?;
    copy.children(layer, target)?;
    attributes(layer, target, &metadata)
}

struct Copy {
    /// Files of several links, by inode, where they came first.
    links: HashMap<u64, PathBuf>,
}

impl Copy {
    fn children(&mut self, layer: &Path, target: &Path) -> io::Result<()> {
        for entry in fs::read_dir(layer)? {
            let name = entry?.file_name();
            self.entry(&layer.join(&name), target, &name)?;
        }
        Ok(())
    }

    fn entry(&mut self, source: &Path, parent: &Path, name: &OsStr) -> io::Result<()> {
        let target = parent.join(name);
        let metadata = fs::symlink_metadata(source)?;
        if is_whiteout(&metadata) {
            return clear(&target);
        }
        if metadata.is_dir() {
            let there = fs::symlink_metadata(&target).is_ok_and(|m| m.is_dir());
            if !there || is_opaque(source) {
                clear(&target)?;
                fs::create_dir(&target)?;
            }
            self.children(source, &target)?;
            return attributes(source, &target, &metadata);
        }
        clear(&target)?;
        if metadata.nlink() > 1 {
            if let Some(first) = self.links.get(&metadata.ino()) {
                return fs::hard_link(first, &target);
            }
            self.links.insert(metadata.ino(), target.clone());
        }
        make(source, &target, &metadata)?;
        attributes(source, &target, &metadata)
    }
}

fn clear(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    }
}

/// Anything but a directory.
fn make(source: &Path, target: &Path, metadata: &Metadata) -> io::Result<()> {
    let kind = metadata.file_type();
    if kind.is_symlink() {
        return symlink(fs::read_link(source)?, target);
    }
    if kind.is_file() {
        return content(source, target);
    }
    let node = if kind.is_char_device() {
        FileType::CharacterDevice
    } else if kind.is_block_device() {
        FileType::BlockDevice
    } else {
        FileType::Fifo
    };
    let mode = Mode::RUSR | Mode::WUSR;
    Ok(rustix::fs::mknodat(
        CWD,
        target,
        node,
        mode,
        metadata.rdev(),
    )?)
}

/// Shares the blocks where the file system can (FICLONE on btrfs and XFS), else copies them.
fn content(source: &Path, target: &Path) -> io::Result<()> {
    let mut from = File::open(source)?;
    let mut to = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(target)?;
    if rustix::fs::ioctl_ficlone(&to, &from).is_ok() {
        return Ok(());
    }
    io::copy(&mut from, &mut to).map(drop)
}

/// Owner, mode, xattrs and times, in the order in which none undoes another.
fn attributes(source: &Path, target: &Path, metadata: &Metadata) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid()));
    let here = AtFlags::SYMLINK_NOFOLLOW;
    rustix::fs::chownat(CWD, target, Some(uid), Some(gid), here)?;
    if !metadata.is_symlink() {
        let mode = Mode::from_raw_mode(metadata.mode() & 0o7777);
        rustix::fs::chmodat(CWD, target, mode, AtFlags::empty())?;
    }
    for (name, value) in xattrs(source)? {
        match rustix::fs::lsetxattr(target, &*name, &value, XattrFlags::empty()) {
            // As with layers: a file system without them is no error.
            Ok(()) | Err(rustix::io::Errno::NOTSUP | rustix::io::Errno::PERM) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let times = Timestamps {
        last_access: Timespec {
            tv_sec: metadata.atime(),
            tv_nsec: metadata.atime_nsec(),
        },
        last_modification: Timespec {
            tv_sec: metadata.mtime(),
            tv_nsec: metadata.mtime_nsec(),
        },
    };
    Ok(rustix::fs::utimensat(CWD, target, &times, here)?)
}
