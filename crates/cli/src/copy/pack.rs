//! Packs local files into a tar archive.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

/// What is packed.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// The file or folder; not followed if it is a link.
    pub(crate) path: PathBuf,
    /// What it is called in the archive.
    pub(crate) name: PathBuf,
}

/// Writes the archive. Sockets are left out: no archive can hold them.
pub(crate) fn pack(source: &Source, out: impl Write) -> io::Result<()> {
    let mut packer = Packer {
        archive: Builder::new(out),
        links: HashMap::new(),
    };
    packer.tree(&source.path, &source.name)?;
    packer.archive.finish()
}

struct Packer<W: Write> {
    archive: Builder<W>,
    /// Where a file that has several names was packed first.
    links: HashMap<(u64, u64), PathBuf>,
}

impl<W: Write> Packer<W> {
    fn tree(&mut self, path: &Path, name: &Path) -> io::Result<()> {
        let found = fs::symlink_metadata(path).map_err(|error| told(path, &error))?;
        if !found.is_dir() {
            return self.file(path, name, &found);
        }
        // The slash says that it is a folder; tar crates add none.
        let mut folder = name.as_os_str().to_owned();
        folder.push("/");
        let mut header = header(&found, EntryType::Directory);
        self.archive
            .append_data(&mut header, Path::new(&folder), io::empty())?;
        for child in children(path)? {
            self.tree(&path.join(&child), &name.join(&child))?;
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, name: &Path, found: &Metadata) -> io::Result<()> {
        let kind = found.file_type();
        if kind.is_symlink() {
            let target = fs::read_link(path).map_err(|error| told(path, &error))?;
            return self
                .archive
                .append_link(&mut header(found, EntryType::Symlink), name, target);
        }
        if found.nlink() > 1 {
            if let Some(first) = self.links.get(&(found.dev(), found.ino())) {
                return self
                    .archive
                    .append_link(&mut header(found, EntryType::Link), name, first);
            }
            self.links
                .insert((found.dev(), found.ino()), name.to_owned());
        }
        if kind.is_file() {
            let mut header = header(found, EntryType::Regular);
            header.set_size(found.len());
            let content = File::open(path).map_err(|error| told(path, &error))?;
            // A file that grows meanwhile must not spoil what follows; one that shrinks is told below.
            return self
                .archive
                .append_data(&mut header, name, Exactly::new(content, found.len()));
        }
        let special = if kind.is_fifo() {
            EntryType::Fifo
        } else if kind.is_char_device() {
            EntryType::Char
        } else if kind.is_block_device() {
            EntryType::Block
        } else {
            return Ok(());
        };
        let mut header = header(found, special);
        header.set_device_major(rustix::fs::major(found.rdev()))?;
        header.set_device_minor(rustix::fs::minor(found.rdev()))?;
        self.archive.append_data(&mut header, name, io::empty())
    }
}

/// In the order of their names, so that the same folder gives the same archive.
fn children(folder: &Path) -> io::Result<Vec<OsString>> {
    let entries = fs::read_dir(folder).map_err(|error| told(folder, &error))?;
    let mut names: Vec<_> = entries
        .map(|entry| Ok(entry?.file_name()))
        .collect::<io::Result<_>>()?;
    names.sort();
    Ok(names)
}

fn header(found: &Metadata, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(found.mode() & 0o7777);
    header.set_uid(found.uid().into());
    header.set_gid(found.gid().into());
    header.set_mtime(u64::try_from(found.mtime()).unwrap_or(0));
    header.set_size(0);
    header
}

fn told(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("{}: {}", path.display(), crate::failure::errno_text(error)),
    )
}

/// A reader of exactly as many bytes as the header promised.
struct Exactly {
    content: io::Take<File>,
}

impl Exactly {
    fn new(content: File, length: u64) -> Exactly {
        Exactly {
            content: io::Read::take(content, length),
        }
    }
}

impl io::Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.content.read(buffer)?;
        if count == 0 && !buffer.is_empty() && self.content.limit() > 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "a file became shorter while it was read",
            ));
        }
        Ok(count)
    }
}
