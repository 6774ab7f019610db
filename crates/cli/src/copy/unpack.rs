//! Unpacks an archive that a container sent into a local folder.
//!
//! What a container sends is a stranger's: every path is resolved by the kernel beneath the folder (openat2 with RESOLVE_BENEATH),
//! so that neither `..` nor a link in the archive or already in the folder leads out of it.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid,
};
use rustix::io::Errno;
use tar::{Archive, Entry, EntryType};

/// Whom the files belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Whoever runs the client.
    Caller,
    /// As in the container.
    Archive,
}

/// How to unpack.
#[derive(Debug)]
pub(crate) struct Options {
    /// The folder; it exists.
    pub(crate) folder: PathBuf,
    /// The name the top of the archive takes: from, to.
    pub(crate) rename: Option<(String, String)>,
    /// Whom the files belong to.
    pub(crate) owner: Owner,
}

/// Unpacks everything.
pub(crate) fn unpack(archive: impl Read, options: &Options) -> io::Result<()> {
    let root = rustix::fs::openat(
        CWD,
        &options.folder,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let mut unpacker = Unpacker {
        root,
        owner: options.owner,
        folders: Vec::new(),
    };
    for entry in Archive::new(archive).entries()? {
        let mut entry = entry?;
        let renamed = renamed(&entry.path()?, options.rename.as_ref())?;
        let link = entry
            .link_name()?
            .map(|link| renamed_link(&link, entry.header().entry_type(), options))
            .transpose()?;
        let path = renamed.display().to_string();
        unpacker
            .entry(&mut entry, &renamed, link.as_deref())
            .map_err(|error| told(&path, &error))?;
    }
    unpacker.date_folders();
    Ok(())
}

fn told(path: &str, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("{path}: {}", crate::failure::errno_text(error)),
    )
}

/// The path in the folder, without anything that leads out of it.
fn renamed(path: &Path, rename: Option<&(String, String)>) -> io::Result<PathBuf> {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{}: leads out of the archive", path.display()),
                ));
            }
            _ => {}
        }
    }
    let Some((from, to)) = rename else {
        return Ok(clean);
    };
    if from == "." || from == "/" {
        return Ok(Path::new(to).join(clean));
    }
    Ok(match clean.strip_prefix(from) {
        Ok(rest) if rest.as_os_str().is_empty() => PathBuf::from(to),
        Ok(rest) => Path::new(to).join(rest),
        Err(_) => clean,
    })
}

/// Hard links name paths in the archive; symbolic links are kept as they are.
fn renamed_link(link: &Path, kind: EntryType, options: &Options) -> io::Result<PathBuf> {
    if kind == EntryType::Link {
        renamed(link, options.rename.as_ref())
    } else {
        Ok(link.to_owned())
    }
}

struct Unpacker {
    root: OwnedFd,
    owner: Owner,
    /// Folders get their times last: unpacking into them changes those.
    folders: Vec<(PathBuf, i64)>,
}

impl Unpacker {
    fn entry(
        &mut self,
        entry: &mut Entry<'_, impl Read>,
        path: &Path,
        link: Option<&Path>,
    ) -> io::Result<()> {
        let kind = entry.header().entry_type();
        let Some(name) = path.file_name() else {
            // The top itself, when its content is unpacked into a folder that is there.
            return Ok(());
        };
        let parent = self.parent(path)?;
        let name = Path::new(name);
        if kind.is_dir() {
            self.make_folder(&parent, name, path)?;
        } else {
            clear(&parent, name, path)?;
        }
        let missing = || io::Error::new(io::ErrorKind::InvalidData, "a link without a target");
        match kind {
            EntryType::Directory => {}
            EntryType::Symlink => rustix::fs::symlinkat(link.ok_or_else(missing)?, &parent, name)?,
            EntryType::Link => self.hard_link(link.ok_or_else(missing)?, &parent, name)?,
            EntryType::Fifo | EntryType::Char | EntryType::Block => {
                make_node(entry, &parent, name)?;
            }
            _ if kind.is_file() || kind == EntryType::GNUSparse => {
                write_file(entry, &parent, name)?;
            }
            other => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("an entry of unknown type {:?}", char::from(other.as_byte())),
                ));
            }
        }
        if kind != EntryType::Link {
            self.set_attributes(entry, &parent, name, path)?;
        }
        Ok(())
    }

    /// The folder that the entry goes into, made if the archive did not bring it.
    fn parent(&self, path: &Path) -> io::Result<OwnedFd> {
        let parent = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        match self.open_folder(parent) {
            Err(Errno::NOENT) => {}
            other => return Ok(other?),
        }
        let above = self.parent(parent)?;
        rustix::fs::mkdirat(
            &above,
            Path::new(parent.file_name().unwrap_or_default()),
            Mode::from_raw_mode(0o755),
        )?;
        Ok(self.open_folder(parent)?)
    }

    fn open_folder(&self, path: &Path) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat2(
            &self.root,
            path,
            flags,
            Mode::empty(),
            ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS,
        )
    }

    fn make_folder(&self, parent: &OwnedFd, name: &Path, path: &Path) -> io::Result<()> {
        match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
            Err(Errno::EXIST) if self.open_folder(path).is_err() => {
                let path = path.display();
                Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    format!("cannot overwrite non-directory \"{path}\" with directory \"{path}\""),
                ))
            }
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn hard_link(&self, target: &Path, parent: &OwnedFd, name: &Path) -> io::Result<()> {
        let target_name = target
            .file_name()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a link to a folder"))?;
        let target_parent = self.parent(target)?;
        Ok(rustix::fs::linkat(
            &target_parent,
            Path::new(target_name),
            parent,
            name,
            AtFlags::empty(),
        )?)
    }

    fn set_attributes(
        &mut self,
        entry: &Entry<'_, impl Read>,
        parent: &OwnedFd,
        name: &Path,
        path: &Path,
    ) -> io::Result<()> {
        let header = entry.header();
        let kind = header.entry_type();
        if self.owner == Owner::Archive {
            let id = |id: u64| {
                u32::try_from(id).map_err(|_| {
                    io::Error::new(io::ErrorKind::InvalidData, "an owner out of range")
                })
            };
            let (user, group) = (
                Uid::from_raw(id(header.uid()?)?),
                Gid::from_raw(id(header.gid()?)?),
            );
            rustix::fs::chownat(
                parent,
                name,
                Some(user),
                Some(group),
                AtFlags::SYMLINK_NOFOLLOW,
            )?;
        }
        if !kind.is_symlink() {
            // What was just made under this name is no link, so this follows none.
            rustix::fs::chmodat(
                parent,
                name,
                Mode::from_raw_mode(header.mode()? & 0o7777),
                AtFlags::empty(),
            )?;
        }
        let modified = i64::try_from(header.mtime()?).unwrap_or(0);
        if kind.is_dir() {
            self.folders.push((path.to_owned(), modified));
            return Ok(());
        }
        set_time(parent, name, modified)
    }

    fn date_folders(&self) {
        for (path, modified) in self.folders.iter().rev() {
            let Some(name) = path.file_name() else {
                continue;
            };
            // A time that cannot be set spoils no copy.
            let _ = self
                .parent(path)
                .and_then(|parent| set_time(&parent, Path::new(name), *modified));
        }
    }
}

/// Takes away what is there under the name, unless it is a folder.
fn clear(parent: &OwnedFd, name: &Path, path: &Path) -> io::Result<()> {
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR | Errno::PERM) => {
            let path = path.display();
            Err(io::Error::new(
                io::ErrorKind::IsADirectory,
                format!("cannot overwrite directory \"{path}\" with non-directory \"{path}\""),
            ))
        }
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn write_file(entry: &mut Entry<'_, impl Read>, parent: &OwnedFd, name: &Path) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = std::fs::File::from(rustix::fs::openat(
        parent,
        name,
        flags,
        Mode::from_raw_mode(0o600),
    )?);
    io::copy(entry, &mut file)?;
    file.flush()
}

fn make_node(entry: &Entry<'_, impl Read>, parent: &OwnedFd, name: &Path) -> io::Result<()> {
    let header = entry.header();
    let kind = match header.entry_type() {
        EntryType::Char => FileType::CharacterDevice,
        EntryType::Block => FileType::BlockDevice,
        _ => FileType::Fifo,
    };
    let device = rustix::fs::makedev(
        header.device_major()?.unwrap_or(0),
        header.device_minor()?.unwrap_or(0),
    );
    Ok(rustix::fs::mknodat(
        parent,
        name,
        kind,
        Mode::from_raw_mode(0o600),
        device,
    )?)
}

fn set_time(parent: impl AsFd, name: &Path, seconds: i64) -> io::Result<()> {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    Ok(rustix::fs::utimensat(
        parent,
        name,
        &times,
        AtFlags::SYMLINK_NOFOLLOW,
    )?)
}
