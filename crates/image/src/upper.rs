//! What a container's writable layer says against the layers below: as a list (`diff`) and as a layer's tar.
//!
//! Nothing is mounted for it: the directories are read the way overlayfs does. Which lower directories a path is
//! looked up in is carried along on the way down, so that a whiteout or an opaque directory in one layer hides what
//! the layers below it have.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use oci::{ContainerId, Digest, Hasher};

use crate::layers::io_error;
use crate::{Error, Result, Store};

pub(crate) mod pack;

#[cfg(test)]
pub(crate) use pack::pack as pack_directory;
pub(crate) use pack::xattrs;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    Modified = 0,
    Added = 1,
    Deleted = 2,
}

/// One line of `diff`; the path is absolute in the container. Bytes that are no UTF-8 are replaced.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    pub path: String,
    pub kind: ChangeKind,
}

impl Store {
    /// What a container changed: parents before children, names in order. As Docker has it, a directory is `Modified` if
    /// its owner or mode is, or if anything in it changed; a file that was only copied up is no change.
    pub fn changes(&self, container: &ContainerId) -> Result<Vec<Change>> {
        let (driver, snapshot) = self.with_driver(container)?;
        let changes = driver.changes(&snapshot.home, &snapshot.lower_dirs);
        changes.map_err(io_error("compare", &snapshot.upper))
    }

    /// A container's changes as a layer's tar, sorted, so that the same changes give the same bytes. Gives its diff ID.
    pub fn diff(&self, container: &ContainerId, out: impl Write) -> Result<Digest> {
        let (driver, snapshot) = self.with_driver(container)?;
        let mut hashed = Hashed {
            out,
            hasher: Hasher::sha256(),
        };
        driver
            .pack(&snapshot.home, &snapshot.lower_dirs, &mut hashed)
            .map_err(|source| Error::Stream {
                what: "write the layer",
                source,
            })?;
        Ok(hashed.hasher.finish())
    }
}

struct Hashed<W> {
    out: W,
    hasher: Hasher,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What differs, by path without the slash at its beginning; in the order of [`Store::changes`].
pub(crate) struct Changes(Vec<(Vec<u8>, ChangeKind)>);

impl Changes {
    /// Of a directory that overlayfs has on top of `lowers`.
    pub(crate) fn of_overlay(upper: &Path, lowers: &[PathBuf]) -> io::Result<Changes> {
        Changes::between(upper, lowers, false)
    }

    /// Of a directory that began as a copy of what `lowers` show together.
    pub(crate) fn of_copy(upper: &Path, lowers: &[PathBuf]) -> io::Result<Changes> {
        Changes::between(upper, lowers, true)
    }

    fn between(upper: &Path, lowers: &[PathBuf], complete: bool) -> io::Result<Changes> {
        let mut comparison = Comparison {
            found: Vec::new(),
            complete,
        };
        let root = fs::symlink_metadata(upper)?;
        let lower = Lower {
            metadata: Some(root),
            directories: lowers.to_vec(),
        };
        comparison.directory(upper, b"", &lower)?;
        Ok(Changes(comparison.found))
    }

    /// For people.
    pub(crate) fn listed(self) -> Vec<Change> {
        let listed = self.0.into_iter().map(|(path, kind)| Change {
            path: format!("/{}", String::from_utf8_lossy(&path)),
            kind,
        });
        listed.collect()
    }

    pub(crate) fn by_path(&self) -> BTreeMap<&[u8], ChangeKind> {
        self.0.iter().map(|(path, kind)| (&**path, *kind)).collect()
    }

    /// Bytes of the files that are new or other, each inode once.
    pub(crate) fn size(&self, upper: &Path) -> io::Result<u64> {
        let mut seen = HashSet::new();
        let mut total = 0;
        for (path, _) in self
            .0
            .iter()
            .filter(|(_, kind)| *kind != ChangeKind::Deleted)
        {
            match fs::symlink_metadata(upper.join(OsStr::from_bytes(path))) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
                Ok(metadata) if metadata.is_dir() => {}
                Ok(metadata) if metadata.nlink() > 1 && !seen.insert(metadata.ino()) => {}
                Ok(metadata) => total += metadata.len(),
            }
        }
        Ok(total)
    }
}

struct Comparison {
    found: Vec<(Vec<u8>, ChangeKind)>,
    /// The upper directory holds everything: what is not in it is gone.
    complete: bool,
}

/// What the layers below show at one path.
#[derive(Default)]
struct Lower {
    metadata: Option<Metadata>,
    /// If it is a directory: the directories whose union it is, topmost first.
    directories: Vec<PathBuf>,
}

impl Lower {
    /// What is below at a name in this directory.
    fn child(&self, name: &OsStr) -> io::Result<Lower> {
        let mut child = Lower::default();
        for directory in &self.directories {
            let path = directory.join(name);
            let metadata = match fs::symlink_metadata(&path) {
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                    ) =>
                {
                    continue;
                }
                other => other?,
            };
            if is_whiteout(&metadata) {
                break;
            }
            let is_dir = metadata.is_dir();
            if child.metadata.is_some() && !is_dir {
                break;
            }
            child.metadata.get_or_insert(metadata);
            if !is_dir {
                break;
            }
            let opaque = is_opaque(&path);
            child.directories.push(path);
            if opaque {
                break;
            }
        }
        Ok(child)
    }

    /// Names that show in this directory.
    fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for directory in &self.directories {
            for entry in fs::read_dir(directory)? {
                let name = entry?.file_name();
                if !names.contains(&name) && self.child(&name)?.metadata.is_some() {
                    names.push(name);
                }
            }
        }
        Ok(names)
    }
}

impl Comparison {
    fn directory(&mut self, upper: &Path, path: &[u8], lower: &Lower) -> io::Result<()> {
        let mut names: BTreeMap<OsString, bool> = BTreeMap::new();
        for entry in fs::read_dir(upper)? {
            names.insert(entry?.file_name(), true);
        }
        if self.complete || is_opaque(upper) {
            for name in lower.names()? {
                names.entry(name).or_insert(false);
            }
        }
        for (name, in_upper) in names {
            let below = lower.child(&name)?;
            let path = match path {
                b"" => name.as_bytes().to_vec(),
                path => [path, b"/", name.as_bytes()].concat(),
            };
            if in_upper {
                self.compare(&upper.join(&name), path, &below)?;
            } else {
                self.found.push((path, ChangeKind::Deleted));
            }
        }
        Ok(())
    }

    fn compare(&mut self, upper: &Path, path: Vec<u8>, below: &Lower) -> io::Result<()> {
        let metadata = match fs::symlink_metadata(upper) {
            // The container is running and has just removed it.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        if is_whiteout(&metadata) {
            if below.metadata.is_some() {
                self.found.push((path, ChangeKind::Deleted));
            }
            return Ok(());
        }
        let kind = match &below.metadata {
            None => Some(ChangeKind::Added),
            Some(old) if differ(old, &metadata) => Some(ChangeKind::Modified),
            Some(_) => None,
        };
        let place = self.found.len();
        if metadata.is_dir() {
            self.directory(upper, &path, below)?;
        }
        let changed_inside = self.found.len() > place;
        let kind = kind.or(changed_inside.then_some(ChangeKind::Modified));
        if let Some(kind) = kind {
            self.found.insert(place, (path, kind));
        }
        Ok(())
    }
}

/// Docker's comparison: a directory's times and size say nothing.
fn differ(old: &Metadata, new: &Metadata) -> bool {
    let owner = |m: &Metadata| (m.mode(), m.uid(), m.gid(), m.rdev());
    let content = |m: &Metadata| (m.mtime(), m.mtime_nsec(), m.len());
    owner(old) != owner(new) || (!new.is_dir() && content(old) != content(new))
}

/// Character device 0/0 (kernel documentation, overlayfs, "whiteouts and opaque directories").
pub(crate) fn is_whiteout(metadata: &Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

pub(crate) fn is_opaque(directory: &Path) -> bool {
    let mut value = [0u8; 1];
    rustix::fs::lgetxattr(directory, "trusted.overlay.opaque", &mut value[..])
        .is_ok_and(|n| n == 1 && value == *b"y")
}

#[cfg(test)]
mod tests;
