//! A writable layer as the tar of a layer (image-spec 1.1, layer.md): everything in it, with overlayfs's marks turned
//! into the standard's.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::{ChangeKind, Changes, is_opaque, is_whiteout};
use crate::tar::{Entry, EntryKind, Time, Writer};

/// Longer lists of names, or values, than the kernel has (xattr(7)).
const XATTR_MAX: usize = 65_536;

pub(crate) fn pack(root: &Path, out: &mut dyn Write) -> io::Result<()> {
    pack_only(root, None, out)
}

/// The same of a directory that holds more than what changed.
pub(crate) fn pack_changes(root: &Path, changes: &Changes, out: &mut dyn Write) -> io::Result<()> {
    pack_only(root, Some(changes.by_path()), out)
}

fn pack_only(
    root: &Path,
    only: Option<BTreeMap<&[u8], ChangeKind>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut packing = Packing {
        tar: Writer::new(io::BufWriter::with_capacity(128 * 1024, out)),
        links: HashMap::new(),
        only,
    };
    packing.directory(root, b"")?;
    packing.tar.finish()?.flush()
}

struct Packing<'a, W: Write> {
    /// What to take, where not all of it; what is gone becomes a whiteout.
    only: Option<BTreeMap<&'a [u8], ChangeKind>>,
    tar: Writer<W>,
    /// Files of several links, by inode, under the name they came first.
    links: HashMap<u64, Vec<u8>>,
}

impl<W: Write> Packing<'_, W> {
    fn directory(&mut self, directory: &Path, path: &[u8]) -> io::Result<()> {
        if !path.is_empty() && is_opaque(directory) {
            self.mark(&[path, b".wh..wh..opq"].concat())?;
        }
        let mut names = fs::read_dir(directory)?
            .map(|e| Ok(e?.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        names.extend(self.gone(path));
        names.sort();
        names.dedup();
        for name in names {
            let kind = self.change(&[path, name.as_bytes()].concat());
            match kind {
                None => continue,
                Some(ChangeKind::Deleted) => {
                    self.mark(&[path, b".wh.", name.as_bytes()].concat())?;
                    continue;
                }
                Some(_) => {}
            }
            let child = directory.join(&name);
            let metadata = match fs::symlink_metadata(&child) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                other => other?,
            };
            if is_whiteout(&metadata) {
                self.mark(&[path, b".wh.", name.as_bytes()].concat())?;
            } else {
                self.entry(&child, [path, name.as_bytes()].concat(), &metadata)?;
            }
        }
        Ok(())
    }

    /// What became of a path, if it is to be taken.
    fn change(&self, path: &[u8]) -> Option<ChangeKind> {
        match &self.only {
            None => Some(ChangeKind::Added),
            Some(only) => only.get(path).copied(),
        }
    }

    /// Names that are gone from a directory; `path` is empty or ends with a slash.
    fn gone(&self, path: &[u8]) -> Vec<OsString> {
        let Some(only) = &self.only else {
            return Vec::new();
        };
        let inside = only
            .range(path..)
            .take_while(|(name, _)| name.starts_with(path));
        inside
            .filter(|(_, kind)| **kind == ChangeKind::Deleted)
            .map(|(name, _)| &name[path.len()..])
            .filter(|name| !name.contains(&b'/'))
            .map(|name| OsString::from_vec(name.to_vec()))
            .collect()
    }

    /// An empty file whose name is the message.
    fn mark(&mut self, path: &[u8]) -> io::Result<()> {
        self.tar
            .file(Entry::new(EntryKind::Regular, path, 0o644), b"")
    }

    fn entry(&mut self, file: &Path, mut path: Vec<u8>, metadata: &Metadata) -> io::Result<()> {
        let Some(kind) = kind(metadata) else {
            return Ok(());
        };
        if kind == EntryKind::Directory {
            path.push(b'/');
        }
        let mut entry = Entry::new(kind, path, metadata.mode() & 0o7777);
        (entry.uid, entry.gid) = (metadata.uid(), metadata.gid());
        // Whole seconds, as Docker's layers have them.
        entry.mtime = Time {
            seconds: metadata.mtime(),
            nanoseconds: 0,
        };
        if matches!(kind, EntryKind::CharDevice | EntryKind::BlockDevice) {
            let device = metadata.rdev();
            entry.device = (rustix::fs::major(device), rustix::fs::minor(device));
        }
        if kind == EntryKind::Symlink {
            entry.link = fs::read_link(file)?.into_os_string().into_vec();
        }
        if kind != EntryKind::Directory && metadata.nlink() > 1 {
            if let Some(first) = self.links.get(&metadata.ino()) {
                (entry.kind, entry.link) = (EntryKind::HardLink, first.clone());
                return self.tar.entry(&entry, &mut io::empty());
            }
            self.links.insert(metadata.ino(), entry.path.clone());
        }
        entry.xattrs = xattrs(file)?;
        match kind {
            EntryKind::Regular => {
                entry.size = metadata.len();
                self.tar.entry(&entry, &mut File::open(file)?)
            }
            _ => self.tar.entry(&entry, &mut io::empty()),
        }?;
        if kind == EntryKind::Directory {
            self.directory(file, &entry.path)?;
        }
        Ok(())
    }
}

/// `None` for a socket, which no tar can hold; Docker leaves them out too.
fn kind(metadata: &Metadata) -> Option<EntryKind> {
    let kind = metadata.file_type();
    Some(if kind.is_dir() {
        EntryKind::Directory
    } else if kind.is_file() {
        EntryKind::Regular
    } else if kind.is_symlink() {
        EntryKind::Symlink
    } else if kind.is_char_device() {
        EntryKind::CharDevice
    } else if kind.is_block_device() {
        EntryKind::BlockDevice
    } else if kind.is_fifo() {
        EntryKind::Fifo
    } else {
        return None;
    })
}

/// All xattrs but overlayfs's own, sorted.
pub(crate) fn xattrs(file: &Path) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut names = vec![0u8; XATTR_MAX];
    let length = match rustix::fs::llistxattr(file, &mut names[..]) {
        Err(rustix::io::Errno::NOTSUP) => return Ok(Vec::new()),
        other => other?,
    };
    let mut found = Vec::new();
    for name in names[..length]
        .split(|b| *b == 0)
        .filter(|name| !name.is_empty())
    {
        if name.starts_with(b"trusted.overlay.") || name == b"security.selinux" {
            continue;
        }
        let mut value = vec![0u8; XATTR_MAX];
        let length = rustix::fs::lgetxattr(file, name, &mut value[..])?;
        value.truncate(length);
        found.push((name.to_vec(), value));
    }
    found.sort();
    Ok(found)
}
