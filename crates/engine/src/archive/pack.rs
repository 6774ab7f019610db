//! Out of a container: a tree as a tar.
//!
//! The container may change the tree while it is read. Each directory is opened anew by its path inside the root, and
//! each entry in it without following links, so the worst that can happen is that something else of the container's own
//! is read; a file that shrinks meanwhile is filled up with zeros, so that the archive stays whole.

use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use image::tar::{Entry, EntryKind, Time, Writer};
use linux::file::{self, Mode, OFlags, Stat};
use linux::rootfs::Root;
use linux::{Errno, xattr};

/// Kept of a file's attributes: capabilities, and what users put there. Labels and access lists are the host's.
fn is_kept(name: &[u8]) -> bool {
    name == b"security.capability" || name.starts_with(b"user.")
}

/// Writes what lies at `path` under the name `top`; an empty `top` leaves the folder itself out.
pub(super) fn pack(root: &Root, path: &Path, top: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut packer = Packer {
        root,
        writer: Writer::new(out),
        links: HashMap::new(),
        dir: None,
    };
    let handle = root.resolve_nofollow(path).map_err(io::Error::other)?;
    let is_dir = file::is_dir(&file::stat(&handle).map_err(io::Error::other)?);
    let start = Item {
        path: path.to_owned(),
        name: top.as_bytes().to_vec(),
    };
    if is_dir {
        packer.walk(&start)?;
    } else {
        packer.entry(&start)?;
    }
    packer.writer.finish()?;
    Ok(())
}

/// Something to pack: where it is in the root, and what it is called in the archive.
struct Item {
    path: PathBuf,
    name: Vec<u8>,
}

struct Packer<'a, W> {
    root: &'a Root,
    writer: Writer<W>,
    /// Names of files that have more than one, by device and inode.
    links: HashMap<(u64, u64), Vec<u8>>,
    /// The folder opened last.
    dir: Option<(PathBuf, OwnedFd)>,
}

impl<W: Write> Packer<'_, W> {
    /// Depth first, names sorted, with neither recursion nor a descriptor a level: a container can nest very deep.
    fn walk(&mut self, start: &Item) -> io::Result<()> {
        let folder = self
            .root
            .open_file(&start.path, OFlags::RDONLY | OFlags::DIRECTORY, 0);
        let folder = folder.map_err(io::Error::other)?;
        if !start.name.is_empty() {
            let stat = file::stat(&folder).map_err(io::Error::other)?;
            let name = with_slash(&start.name);
            self.write(&stat, name, Some(&folder), Vec::new())?;
        }
        let mut waiting = children(&folder, start)?;
        drop(folder);
        while let Some(item) = waiting.pop() {
            if self.entry(&item)? {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
                match self.root.open_file(&item.path, flags, 0) {
                    Ok(folder) => waiting.extend(children(&folder, &item)?),
                    Err(error) if is_gone(&error) => {}
                    Err(error) => return Err(io::Error::other(error)),
                }
            }
        }
        Ok(())
    }

    /// Packs one entry; true for a folder, whose content follows.
    fn entry(&mut self, item: &Item) -> io::Result<bool> {
        match self.try_entry(item) {
            Err(error)
                if error
                    .get_ref()
                    .and_then(|e| e.downcast_ref())
                    .is_some_and(is_gone) =>
            {
                Ok(false)
            }
            result => result,
        }
    }

    fn try_entry(&mut self, item: &Item) -> io::Result<bool> {
        let base = item.path.file_name().unwrap_or(OsStr::new(".")).to_owned();
        let parent = item.path.parent().unwrap_or(Path::new("/"));
        self.open_dir(parent)?;
        let Some((_, dir)) = &self.dir else {
            return Ok(false);
        };
        let stat = file::stat_at(dir, &base).map_err(io::Error::other)?;
        match kind(&stat) {
            Some(EntryKind::Directory) => {
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
                let folder =
                    file::open_at(dir, &base, flags, Mode::empty()).map_err(io::Error::other)?;
                let stat = file::stat(&folder).map_err(io::Error::other)?;
                self.write(&stat, with_slash(&item.name), Some(&folder), Vec::new())?;
                Ok(true)
            }
            Some(EntryKind::Regular) => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
                let opened =
                    file::open_at(dir, &base, flags, Mode::empty()).map_err(io::Error::other)?;
                self.regular(&opened, item).map(|()| false)
            }
            Some(EntryKind::Symlink) => {
                let target = file::read_link(dir, &base).map_err(io::Error::other)?;
                let target = target.as_os_str().as_bytes().to_vec();
                self.write(&stat, item.name.clone(), None, target)
                    .map(|()| false)
            }
            Some(_) => self
                .write(&stat, item.name.clone(), None, Vec::new())
                .map(|()| false),
            // A socket is nothing without who listens on it.
            None => Ok(false),
        }
    }

    fn open_dir(&mut self, parent: &Path) -> io::Result<()> {
        if self.dir.as_ref().is_some_and(|(path, _)| path == parent) {
            return Ok(());
        }
        let dir = self
            .root
            .open_file(parent, OFlags::PATH | OFlags::DIRECTORY, 0)
            .map_err(io::Error::other)?;
        self.dir = Some((parent.to_owned(), dir));
        Ok(())
    }

    fn regular(&mut self, opened: &OwnedFd, item: &Item) -> io::Result<()> {
        let stat = file::stat(opened).map_err(io::Error::other)?;
        if kind(&stat) != Some(EntryKind::Regular) {
            return Ok(());
        }
        let identity = (stat.st_dev, stat.st_ino);
        if stat.st_nlink > 1 {
            if let Some(first) = self.links.get(&identity) {
                let mut entry = entry(&stat, EntryKind::HardLink, item.name.clone());
                entry.link = first.clone();
                return self.writer.entry(&entry, &mut io::empty());
            }
            self.links.insert(identity, item.name.clone());
        }
        self.write(&stat, item.name.clone(), Some(opened), Vec::new())
    }

    fn write(
        &mut self,
        stat: &Stat,
        name: Vec<u8>,
        opened: Option<&OwnedFd>,
        link: Vec<u8>,
    ) -> io::Result<()> {
        let Some(kind) = kind(stat) else {
            return Ok(());
        };
        let mut entry = entry(stat, kind, name);
        entry.link = link;
        entry.xattrs = opened.map(attributes).unwrap_or_default();
        let content = opened
            .filter(|_| kind == EntryKind::Regular)
            .map(AsFd::as_fd);
        let content = content
            .map(|fd| fd.try_clone_to_owned())
            .transpose()?
            .map(File::from);
        let size = entry.size;
        self.writer.entry_with(&entry, |out| match content {
            Some(file) => copy_exactly(file, size, out),
            None => Ok(()),
        })
    }
}

/// What is in a folder, last name first.
fn children(folder: &OwnedFd, item: &Item) -> io::Result<Vec<Item>> {
    let mut names = match file::list(folder) {
        Err(error) if is_gone(&error) => Vec::new(),
        names => names.map_err(io::Error::other)?,
    };
    names.sort_unstable_by(|a, b| b.cmp(a));
    let prefix = if item.name.is_empty() {
        Vec::new()
    } else {
        with_slash(&item.name)
    };
    let child = |name: &std::ffi::OsString| Item {
        path: item.path.join(name),
        name: [&prefix[..], name.as_bytes()].concat(),
    };
    Ok(names.iter().map(child).collect())
}

fn with_slash(name: &[u8]) -> Vec<u8> {
    if name.ends_with(b"/") {
        name.to_vec()
    } else {
        [name, b"/"].concat()
    }
}

/// As many bytes as the header said, whatever has become of the file.
fn copy_exactly(file: File, size: u64, out: &mut dyn Write) -> io::Result<()> {
    let mut buffer = vec![0; 128 << 10];
    let mut left = size;
    let mut file = file.take(size);
    while left > 0 {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        out.write_all(&buffer[..count])?;
        left -= count as u64;
    }
    io::copy(&mut io::repeat(0).take(left), out).map(drop)
}

fn kind(stat: &Stat) -> Option<EntryKind> {
    Some(match stat.st_mode & 0o170_000 {
        0o100_000 => EntryKind::Regular,
        0o040_000 => EntryKind::Directory,
        0o120_000 => EntryKind::Symlink,
        0o020_000 => EntryKind::CharDevice,
        0o060_000 => EntryKind::BlockDevice,
        0o010_000 => EntryKind::Fifo,
        _ => return None,
    })
}

fn entry(stat: &Stat, kind: EntryKind, name: Vec<u8>) -> Entry {
    let mut entry = Entry::new(kind, name, stat.st_mode & 0o7777);
    (entry.uid, entry.gid) = (stat.st_uid, stat.st_gid);
    entry.mtime = Time {
        seconds: stat.st_mtime,
        nanoseconds: stat.st_mtime_nsec as u32,
    };
    if kind == EntryKind::Regular {
        entry.size = u64::try_from(stat.st_size).unwrap_or_default();
    }
    if matches!(kind, EntryKind::CharDevice | EntryKind::BlockDevice) {
        entry.device = file::device_numbers(stat.st_rdev);
    }
    entry
}

fn attributes(opened: &OwnedFd) -> Vec<(Vec<u8>, Vec<u8>)> {
    // A file that cannot be asked is packed without.
    let names = xattr::list_of(opened).unwrap_or_default();
    let kept = names.into_iter().filter(|name| is_kept(name.as_bytes()));
    let with_value = |name: CString| {
        Some((
            name.as_bytes().to_vec(),
            xattr::get_of(opened, &name).ok()??,
        ))
    };
    kept.filter_map(with_value).collect()
}

/// The container removed or replaced it while we looked.
fn is_gone(error: &linux::Error) -> bool {
    matches!(error.errno(), Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
}
