//! Into a container: a tar of a stranger's into a tree of a stranger's.
//!
//! Every parent folder is resolved inside the root, so a link planted in the container, or by an earlier entry, leads
//! nowhere else; the last component is never followed.

use std::ffi::{CString, OsStr};
use std::fs::{self, File, FileTimes, Permissions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use image::tar::{Entry, EntryKind, TarError, Time, Walker};
use linux::file::{self, Mode, Node, OFlags};
use linux::rootfs::Root;
use linux::{Errno, xattr};

use super::Unpack;
use crate::error::{Context as _, Error, Result};

/// Unpacks into the folder, which is resolved already.
pub(super) fn unpack(
    root: &Root,
    folder: &Path,
    options: Unpack,
    tar: &mut dyn Read,
) -> Result<()> {
    let mut unpacker = Unpacker {
        root,
        folder,
        options,
        parent: None,
        folders: Vec::new(),
    };
    let mut walker = Walker::new(tar);
    while let Some(entry) = walker.next_entry().map_err(broken)? {
        unpacker.entry(&entry, &mut walker)?;
    }
    unpacker.set_folder_times();
    Ok(())
}

/// What is wrong with the archive; Docker says `unexpected EOF` for all of it, we also say what.
fn broken(error: TarError) -> Error {
    Error::system("unexpected EOF").caused_by(error)
}

struct Unpacker<'a> {
    root: &'a Root,
    folder: &'a Path,
    options: Unpack,
    /// The folder entries went into last.
    parent: Option<(PathBuf, OwnedFd)>,
    /// Folders made, whose times are set when nothing is made in them any more.
    folders: Vec<(PathBuf, Time)>,
}

/// A cleaned name: below the folder, or the folder itself.
fn clean(name: &[u8]) -> Result<PathBuf> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in name.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if parts.pop().is_some() => {}
            b".." => {
                let name = String::from_utf8_lossy(name);
                return Err(Error::system(format!("invalid entry name {name:?}")));
            }
            part => parts.push(part),
        }
    }
    Ok(parts.iter().map(|part| OsStr::from_bytes(part)).collect())
}

impl Unpacker<'_> {
    fn entry<R: Read>(&mut self, entry: &Entry, walker: &mut Walker<R, io::Sink>) -> Result<()> {
        let name = clean(&entry.path)?;
        let Some(base) = name.file_name() else {
            return Ok(());
        };
        let describe = || format!("unpack {}", name.display());
        self.open_parent(&name).context(describe)?;
        let Some((_, parent)) = &self.parent else {
            return Ok(());
        };
        let there = self.make_room(parent, &name, base, entry)?;
        match entry.kind {
            EntryKind::Directory => {
                if !there {
                    file::make_dir(parent, base, 0o700).context(describe)?;
                }
                self.attributes(parent, base, entry).context(describe)?;
                self.folders.push((self.folder.join(&name), entry.mtime));
            }
            EntryKind::Regular => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
                let made = file::open_at(parent, base, flags, Mode::from_raw_mode(0o600))
                    .context(describe)?;
                let made = fill(made.into(), entry, walker).context(describe)?;
                self.attributes(parent, base, entry).context(describe)?;
                set_times(&made, entry.mtime);
            }
            EntryKind::Symlink => {
                let path = linux::fd::proc_path(parent).join(base);
                std::os::unix::fs::symlink(OsStr::from_bytes(&entry.link), path)
                    .context(describe)?;
                self.own(parent, base, entry).context(describe)?;
            }
            EntryKind::HardLink => self.hard_link(parent, base, entry).context(describe)?,
            EntryKind::CharDevice | EntryKind::BlockDevice | EntryKind::Fifo => {
                file::make_node(parent, base, node(entry), 0o600).context(describe)?;
                self.attributes(parent, base, entry).context(describe)?;
            }
        }
        Ok(())
    }

    /// Opens the folder an entry goes into, and makes it where the archive forgot it.
    fn open_parent(&mut self, name: &Path) -> linux::Result<()> {
        let path = self.folder.join(name.parent().unwrap_or(Path::new("")));
        if self
            .parent
            .as_ref()
            .is_none_or(|(opened, _)| *opened != path)
        {
            let handle = self.root.make_dirs(&path, 0o755)?;
            self.parent = Some((path, handle));
        }
        Ok(())
    }

    /// Removes what is in the way; true when a folder is there that the entry describes, too.
    fn make_room(
        &self,
        parent: &OwnedFd,
        name: &Path,
        base: &OsStr,
        entry: &Entry,
    ) -> Result<bool> {
        let describe = || format!("unpack {}", name.display());
        let stat = match file::stat_at(parent, base) {
            Err(error) if error.errno() == Errno::NOENT => return Ok(false),
            stat => stat.context(describe)?,
        };
        let (is_dir, wants_dir) = (file::is_dir(&stat), entry.kind == EntryKind::Directory);
        if is_dir && wants_dir {
            return Ok(true);
        }
        if self.options.no_overwrite_dir_non_dir && is_dir != wants_dir {
            let (there, new) = if is_dir {
                ("directory", "non-directory")
            } else {
                ("non-directory", "directory")
            };
            let (name, folder) = (
                name.display().to_string(),
                self.folder.display().to_string(),
            );
            return Err(Error::system(format!(
                "cannot overwrite {there} {name:?} with {new} {folder:?}"
            )));
        }
        if is_dir {
            fs::remove_dir_all(linux::fd::proc_path(parent).join(base)).context(describe)?;
        } else {
            file::remove_file(parent, base).context(describe)?;
        }
        Ok(false)
    }

    /// A second name for a file that is below the folder.
    fn hard_link(&self, parent: &OwnedFd, base: &OsStr, entry: &Entry) -> Result<()> {
        let target = clean(&entry.link)?;
        let (dir, name) = self
            .root
            .parent(&self.folder.join(&target))
            .context(|| "find its target".to_owned())?;
        let (from, to) = (
            linux::fd::proc_path(&dir).join(name),
            linux::fd::proc_path(parent).join(base),
        );
        fs::hard_link(from, to).context(|| format!("link to {}", target.display()))
    }

    /// Owner, extended attributes and mode, in the order in which none undoes another.
    fn attributes(&self, parent: &OwnedFd, base: &OsStr, entry: &Entry) -> io::Result<()> {
        self.own(parent, base, entry).map_err(io::Error::other)?;
        // Through a handle, because a change of mode by name would follow a link put there meanwhile.
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let handle = file::open_at(parent, base, flags, Mode::empty()).map_err(io::Error::other)?;
        let path = linux::fd::proc_path(&handle);
        for (name, value) in &entry.xattrs {
            let name = CString::new(&name[..])?;
            // Most containers' filesystems have no place for some of them; Docker passes over them, too.
            let _ = file::reopen(&handle, OFlags::RDONLY | OFlags::NONBLOCK)
                .and_then(|opened| xattr::set_of(opened, &name, value));
        }
        fs::set_permissions(path, Permissions::from_mode(entry.mode & 0o7777))
    }

    fn own(&self, parent: &OwnedFd, base: &OsStr, entry: &Entry) -> linux::Result<()> {
        let (uid, gid) = self.options.owner.unwrap_or((entry.uid, entry.gid));
        file::change_owner(parent, base, uid, gid)
    }

    /// Times of folders come last, because making something in a folder changes them.
    fn set_folder_times(&self) {
        for (path, mtime) in self.folders.iter().rev() {
            // A folder that is gone again has no time to set.
            if let Ok(folder) = self
                .root
                .open_file(path, OFlags::RDONLY | OFlags::DIRECTORY, 0)
            {
                set_times(&File::from(folder), *mtime);
            }
        }
    }
}

/// Writes a file's content, holes left out.
fn fill<R: Read>(
    mut file: File,
    entry: &Entry,
    walker: &mut Walker<R, io::Sink>,
) -> io::Result<File> {
    let mut buffer = vec![0; 128 << 10];
    for (offset, length) in entry.runs() {
        file.seek(SeekFrom::Start(offset))?;
        let mut left = length;
        while left > 0 {
            let want = buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let count = walker.read(&mut buffer[..want]).map_err(io::Error::other)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            file.write_all(&buffer[..count])?;
            left -= count as u64;
        }
    }
    if entry.is_sparse() {
        file.set_len(entry.size)?;
    }
    Ok(file)
}

/// A time that cannot be set leaves the file as good as it is.
fn set_times(file: &File, mtime: Time) {
    let seconds = Duration::from_secs(mtime.seconds.unsigned_abs());
    let whole = match mtime.seconds {
        0.. => SystemTime::UNIX_EPOCH.checked_add(seconds),
        _ => SystemTime::UNIX_EPOCH.checked_sub(seconds),
    };
    let time =
        whole.and_then(|time| time.checked_add(Duration::from_nanos(mtime.nanoseconds.into())));
    if let Some(time) = time {
        let _ = file.set_times(FileTimes::new().set_modified(time).set_accessed(time));
    }
}

fn node(entry: &Entry) -> Node {
    let (major, minor) = entry.device;
    match entry.kind {
        EntryKind::CharDevice => Node::Char { major, minor },
        EntryKind::BlockDevice => Node::Block { major, minor },
        _ => Node::Fifo,
    }
}
