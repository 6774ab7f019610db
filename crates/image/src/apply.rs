//! Makes a layer's directory from its tar, the way overlayfs wants a lower directory.
//!
//! Every path is resolved by the kernel below the target (openat2, RESOLVE_IN_ROOT): no name and no link that the
//! archive makes leads out. Nothing is ever unpacked over something that was there before the archive. An absolute name
//! counts from the target, as in Docker (archives made by Nix hold such); `..` in a name is refused.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::rc::Rc;

use oci::{Algorithm, Digest};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags};

use crate::hashing::Hashing;
use crate::skeleton::Recorder;
use crate::tar::{Entry, EntryKind, TarError, Time, Walker};

mod attributes;
mod parents;
mod path;
mod replace;
mod room;

pub(crate) use room::{Limits, room};

use parents::Parents;
use path::{InvalidPath, Path};
use room::{Counted, Taken};

/// What came of applying an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Applied {
    /// Digest of the uncompressed tar.
    pub(crate) diff_id: Digest,
    /// Bytes of the tar.
    pub(crate) tar_size: u64,
    /// Bytes of the files, each inode once.
    pub(crate) size: u64,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum ApplyError {
    #[error(transparent)]
    Tar(TarError),
    #[error("invalid path {path:?} in archive: {why}")]
    Path { path: String, why: InvalidPath },
    #[error("invalid symlink {path:?} -> {target:?}: it leads out of the archive")]
    SymlinkEscape { path: String, target: String },
    #[error("{doing} {path:?}")]
    Entry {
        doing: &'static str,
        path: String,
        source: io::Error,
    },
    #[error("the archive holds more than {0} bytes, which is the most that a layer may hold")]
    TooLarge(u64),
    #[error("make room")]
    Room(#[source] io::Error),
    #[error("the archive holds more than {0} entries")]
    TooMany(u64),
    #[error("keep the archive's skeleton")]
    Skeleton(#[source] io::Error),
}

impl From<TarError> for ApplyError {
    fn from(error: TarError) -> Self {
        match error {
            TarError::Write(error) => ApplyError::kept(error),
            other => ApplyError::Tar(other),
        }
    }
}

impl ApplyError {
    /// What writing the skeleton came to, which may be the end of what the layer may take (see [`Counted`]).
    fn kept(error: io::Error) -> Self {
        error
            .downcast::<ApplyError>()
            .unwrap_or_else(ApplyError::Skeleton)
    }
}

/// Where a layer goes: its empty `diff` directory, and where files that the archive itself replaces are kept.
pub(crate) struct Target {
    pub(crate) diff: OwnedFd,
    /// The directory that holds `diff`; `replaced/` is made in it when it is needed.
    pub(crate) home: OwnedFd,
}

/// Applies the tar that `input` gives, uncompressed, and writes its skeleton. Its diff ID is made with `algorithm`.
pub(crate) fn apply<W: Write>(
    input: &mut dyn Read,
    algorithm: Algorithm,
    target: &Target,
    skeleton: W,
    limits: Limits,
) -> Result<(Applied, W), ApplyError> {
    let mut tar = Tar {
        input,
        hashing: Hashing::new(algorithm),
        size: 0,
    };
    let taken = Rc::new(RefCell::new(Taken::new(target.diff.as_fd(), limits)));
    let skeleton = Counted::new(skeleton, Rc::clone(&taken));
    let skeleton = Recorder::new(skeleton).map_err(ApplyError::kept)?;
    let mut walker = Walker::with_raw(&mut tar, skeleton);
    let mut layer = Layer {
        target,
        taken,
        parents: Parents::new(target.diff.as_fd()),
        directories: Vec::new(),
        inodes: std::collections::HashMap::new(),
        ordinal: 0,
        size: 0,
        buffer: vec![0; 128 * 1024],
    };
    while let Some(entry) = walker.next_entry()? {
        if walker.entries() > limits.entries {
            return Err(ApplyError::TooMany(limits.entries));
        }
        layer.entry(&entry, &mut walker)?;
    }
    layer.finish()?;
    let size = layer.size;
    let skeleton = walker.into_raw().finish().map_err(ApplyError::kept)?;
    Ok((
        Applied {
            diff_id: tar.hashing.finish().map_err(TarError::Read)?,
            tar_size: tar.size,
            size,
        },
        skeleton.into_inner(),
    ))
}

/// What comes in, measured.
struct Tar<'a> {
    input: &'a mut dyn Read,
    hashing: Hashing,
    size: u64,
}

impl Read for Tar<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.input.read(buffer)?;
        self.hashing.update(&buffer[..got]);
        self.size += got as u64;
        Ok(got)
    }
}

/// The layer so far.
struct Layer<'a> {
    target: &'a Target,
    taken: Rc<RefCell<Taken<'a>>>,
    parents: Parents<'a>,
    /// Times are set when nothing will be made in a directory any more.
    directories: Vec<(Vec<u8>, Time, Time)>,
    /// Which regular entry an inode holds, to find its content after a later entry of the same name took its place.
    inodes: std::collections::HashMap<u64, u64>,
    ordinal: u64,
    size: u64,
    buffer: Vec<u8>,
}

impl Layer<'_> {
    fn entry<R: Read, W: Write>(
        &mut self,
        entry: &Entry,
        walker: &mut Walker<R, Recorder<W>>,
    ) -> Result<(), ApplyError> {
        let path = Path::parse(&entry.path).map_err(|why| ApplyError::Path {
            path: lossy(&entry.path),
            why,
        })?;
        let made = match path.split() {
            None => self.root(entry),
            Some((parent, name)) => {
                if let Some(hidden) = name.strip_prefix(b".wh.") {
                    self.whiteout(parent, hidden, entry)
                } else if entry.kind == EntryKind::Regular {
                    return self.regular(&path, parent, name, entry, walker);
                } else {
                    self.other(&path, parent, name, entry)
                }
            }
        };
        made?;
        // A regular file's content that goes nowhere (the root, a whiteout) must survive in the skeleton.
        self.keep_content(entry, walker)
    }

    /// `./`: the attributes of the layer's own root.
    fn root(&mut self, entry: &Entry) -> Result<(), ApplyError> {
        if entry.kind != EntryKind::Directory {
            let path = lossy(&entry.path);
            return Err(ApplyError::Path {
                path,
                why: InvalidPath::Root,
            });
        }
        attributes::set_on(self.target.diff.as_fd(), entry)
            .map_err(context("set attributes of", &entry.path))?;
        self.directories
            .push((Vec::new(), entry.atime.unwrap_or(entry.mtime), entry.mtime));
        Ok(())
    }

    fn regular<R: Read, W: Write>(
        &mut self,
        path: &Path<'_>,
        parent: &[u8],
        name: &[u8],
        entry: &Entry,
        walker: &mut Walker<R, Recorder<W>>,
    ) -> Result<(), ApplyError> {
        let fail = |doing| context(doing, &entry.path);
        let file = self.create(parent, name, entry)?;
        let mut file = File::from(file);
        self.ordinal += 1;
        let made = fs::fstat(&file).map_err(fail("stat"))?;
        self.inodes.insert(made.st_ino, self.ordinal);
        let runs = entry.runs();
        if !runs.is_empty() {
            walker
                .raw()
                .content(self.ordinal, path.bytes(), &runs)
                .map_err(ApplyError::kept)?;
        }
        for (offset, length) in &runs {
            self.write_run(&mut file, entry, (*offset, *length), walker)?;
        }
        if entry.is_sparse() {
            file.set_len(entry.size)
                .map_err(context("set the length of", &entry.path))?;
        }
        self.size += entry.size;
        attributes::set_on_new(file.as_fd(), &made, entry).map_err(fail("set attributes of"))?;
        attributes::set_times_on(file.as_fd(), entry).map_err(fail("set times of"))
    }

    fn create(&mut self, parent: &[u8], name: &[u8], entry: &Entry) -> Result<OwnedFd, ApplyError> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = attributes::mode_of_new(entry);
        let open = context("open the directory of", &entry.path);
        let dir = self.parents.open(parent).map_err(&open)?;
        match fs::openat(dir, name, flags, mode) {
            Err(rustix::io::Errno::EXIST) => {
                self.clear(parent, name, entry)?;
                fs::openat(self.parents.open(parent).map_err(open)?, name, flags, mode)
            }
            other => other,
        }
        .map_err(context("create", &entry.path))
    }

    fn write_run<R: Read, W: Write>(
        &mut self,
        file: &mut File,
        entry: &Entry,
        (offset, length): (u64, u64),
        walker: &mut Walker<R, Recorder<W>>,
    ) -> Result<(), ApplyError> {
        self.taken.borrow_mut().more(length)?;
        if offset > 0 {
            io::Seek::seek(file, io::SeekFrom::Start(offset))
                .map_err(context("seek in", &entry.path))?;
        }
        let mut left = length;
        while left > 0 {
            let want = usize::try_from(left)
                .unwrap_or(usize::MAX)
                .min(self.buffer.len());
            let got = walker.read(&mut self.buffer[..want])?;
            if got == 0 {
                return Err(TarError::Truncated.into());
            }
            file.write_all(&self.buffer[..got])
                .map_err(context("write", &entry.path))?;
            left -= got as u64;
        }
        Ok(())
    }

    fn keep_content<R: Read, W: Write>(
        &mut self,
        entry: &Entry,
        walker: &mut Walker<R, Recorder<W>>,
    ) -> Result<(), ApplyError> {
        if entry.runs().is_empty() {
            return Ok(());
        }
        loop {
            let got = walker.read(&mut self.buffer)?;
            if got == 0 {
                return Ok(());
            }
            self.taken.borrow_mut().more(got as u64)?;
            walker
                .raw()
                .write_all(&self.buffer[..got])
                .map_err(ApplyError::kept)?;
        }
    }

    /// Everything but regular files.
    fn other(
        &mut self,
        path: &Path<'_>,
        parent: &[u8],
        name: &[u8],
        entry: &Entry,
    ) -> Result<(), ApplyError> {
        match entry.kind {
            EntryKind::Directory => return self.directory(path, parent, name, entry),
            EntryKind::HardLink => return self.hard_link(path, parent, name, entry),
            _ => {}
        }
        self.clear(parent, name, entry)?;
        let fail = |doing| context(doing, &entry.path);
        let dir = self
            .parents
            .open(parent)
            .map_err(fail("open the directory of"))?;
        if entry.kind == EntryKind::Symlink {
            if path.leads_out(&entry.link) {
                return Err(ApplyError::SymlinkEscape {
                    path: lossy(&entry.path),
                    target: lossy(&entry.link),
                });
            }
            fs::symlinkat(&entry.link, dir, name).map_err(fail("make symlink"))?;
            self.size += entry.link.len() as u64;
        } else {
            let kind = match entry.kind {
                EntryKind::CharDevice => FileType::CharacterDevice,
                EntryKind::BlockDevice => FileType::BlockDevice,
                _ => FileType::Fifo,
            };
            let device = fs::makedev(entry.device.0, entry.device.1);
            fs::mknodat(dir, name, kind, Mode::RUSR | Mode::WUSR, device)
                .map_err(fail("make node"))?;
        }
        attributes::set_at(dir, name, entry).map_err(fail("set attributes of"))?;
        attributes::set_times_at(dir, name, entry).map_err(fail("set times of"))
    }

    fn directory(
        &mut self,
        path: &Path<'_>,
        parent: &[u8],
        name: &[u8],
        entry: &Entry,
    ) -> Result<(), ApplyError> {
        let fail = |doing| context(doing, &entry.path);
        let dir = self
            .parents
            .open(parent)
            .map_err(fail("open the directory of"))?;
        match fs::mkdirat(dir, name, Mode::RWXU) {
            Ok(()) => {}
            Err(rustix::io::Errno::EXIST) => {
                self.make_directory_of_what_is_there(parent, name, entry)?;
            }
            Err(error) => return Err(fail("make directory")(error)),
        }
        let dir = self
            .parents
            .open(parent)
            .map_err(fail("open the directory of"))?;
        let made =
            fs::openat(dir, name, parents::DIRECTORY, Mode::empty()).map_err(fail("open"))?;
        attributes::set_on(made.as_fd(), entry).map_err(fail("set attributes of"))?;
        self.directories.push((
            path.bytes().to_vec(),
            entry.atime.unwrap_or(entry.mtime),
            entry.mtime,
        ));
        Ok(())
    }

    fn hard_link(
        &mut self,
        path: &Path<'_>,
        parent: &[u8],
        name: &[u8],
        entry: &Entry,
    ) -> Result<(), ApplyError> {
        let fail = |doing| context(doing, &entry.path);
        let invalid = |why| ApplyError::Path {
            path: lossy(&entry.link),
            why,
        };
        let target = Path::parse(&entry.link).map_err(invalid)?;
        let Some((target_parent, target_name)) = target.split() else {
            return Err(invalid(InvalidPath::Root));
        };
        if target.bytes() == path.bytes() {
            return Err(invalid(InvalidPath::LinkToItself));
        }
        let source = parents::open_in_root(self.target.diff.as_fd(), target_parent).map_err(
            context("open the directory of the link's target", &entry.link),
        )?;
        fs::statat(&source, target_name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(context("find the hard link's target", &entry.link))?;
        self.clear(parent, name, entry)?;
        let dir = self
            .parents
            .open(parent)
            .map_err(fail("open the directory of"))?;
        fs::linkat(&source, target_name, dir, name, AtFlags::empty())
            .map_err(fail("make hard link"))
    }

    /// `.wh.NAME` hides NAME of the layers below; `.wh..wh..opq` all of a directory (image-spec 1.1, layer.md,
    /// "Whiteouts"). Other names that start with `.wh..wh.` are AUFS's own and mean nothing here.
    fn whiteout(&mut self, parent: &[u8], hidden: &[u8], entry: &Entry) -> Result<(), ApplyError> {
        let fail = |doing| context(doing, &entry.path);
        let dir = self
            .parents
            .open(parent)
            .map_err(fail("open the directory of"))?;
        if hidden == b".wh..opq" {
            return attributes::set_opaque(dir).map_err(fail("make opaque the directory of"));
        }
        if hidden.starts_with(b".wh.") {
            return Ok(());
        }
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(ApplyError::Path {
                path: lossy(&entry.path),
                why: InvalidPath::Whiteout,
            });
        }
        match fs::mknodat(dir, hidden, FileType::CharacterDevice, Mode::empty(), 0) {
            Ok(()) => Ok(()),
            // The layer has something of that name: a file hides what is below by being there, a directory must be opaque.
            Err(rustix::io::Errno::EXIST) => {
                match fs::openat(dir, hidden, parents::DIRECTORY, Mode::empty()) {
                    Ok(existing) => {
                        attributes::set_opaque(existing.as_fd()).map_err(fail("make opaque"))
                    }
                    Err(_) => Ok(()),
                }
            }
            Err(error) => Err(fail("make whiteout")(error)),
        }
    }

    fn finish(&mut self) -> Result<(), ApplyError> {
        for (path, atime, mtime) in self.directories.drain(..).rev() {
            match parents::open_beneath_nofollow(self.target.diff.as_fd(), &path) {
                Ok(dir) => attributes::set_directory_times(dir.as_fd(), atime, mtime)
                    .map_err(context("set times of", &path))?,
                // A later entry put something else in its place.
                Err(_) => continue,
            }
        }
        Ok(())
    }
}

/// A name in an archive as a path below the layer's root; `None` if it names nothing there.
pub(crate) fn parse_path(name: &[u8]) -> Option<Vec<u8>> {
    Path::parse(name).ok().map(|path| path.bytes().to_vec())
}

/// Opens a directory of a layer the way entries were made in it.
pub(crate) fn open_parent(root: BorrowedFd<'_>, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    parents::open_in_root(root, path)
}

/// Opens a file of an applied layer for reading, as its entry's path says.
pub(crate) fn open_file(diff: &OwnedFd, path: &[u8]) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    Ok(File::from(fs::openat2(
        diff,
        path,
        flags,
        Mode::empty(),
        resolve,
    )?))
}

fn lossy(path: &[u8]) -> String {
    String::from_utf8_lossy(&path[..path.len().min(4096)]).into_owned()
}

fn context<'a, E: Into<io::Error>>(
    doing: &'static str,
    path: &'a [u8],
) -> impl Fn(E) -> ApplyError + 'a {
    move |error| ApplyError::Entry {
        doing,
        path: lossy(path),
        source: error.into(),
    }
}

#[cfg(test)]
mod tests;
