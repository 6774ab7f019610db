//! Files and folders by descriptor and name, without following what nobody asked to follow.

use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, IFlags};

use crate::error::Context as _;
use crate::{Errno, Result};

pub use rustix::fs::{Mode, OFlags, Stat};

/// In place of a folder's descriptor: paths are absolute, or of the current folder.
pub const CURRENT: std::os::fd::BorrowedFd<'static> = CWD;

/// Opens a path of the host, close-on-exec.
pub fn open(path: &Path, flags: OFlags) -> Result<OwnedFd> {
    open_at(CWD, path, flags, Mode::empty())
}

/// `openat(2)`, close-on-exec.
pub fn open_at(
    dir: impl AsFd,
    path: impl AsRef<Path>,
    flags: OFlags,
    mode: Mode,
) -> Result<OwnedFd> {
    let path = path.as_ref();
    rustix::fs::openat(dir, path, flags | OFlags::CLOEXEC, mode)
        .context(|| format!("openat({path:?}, {flags:?})"))
}

/// A file by handle, without access to its contents.
pub fn open_path(path: &Path) -> Result<OwnedFd> {
    open(path, OFlags::PATH)
}

/// Opens again, for reading or writing, what a descriptor refers to. Goes through /proc/self/fd.
pub fn reopen(fd: impl AsFd, flags: OFlags) -> Result<OwnedFd> {
    open(&crate::fd::proc_path(&fd), flags)
}

/// Has ext4 look for a region of the disk of its own for each folder that is made in this one (`chattr +T`), for folders
/// that have nothing to do with each other. Else all would fill the region where this folder lies, and where others have
/// just been removed, ext4 without a journal passes over their inodes one by one for minutes: half of the time that a
/// load of layers takes, and a sixth of a container's.
pub fn spread_out(folder: &Path) -> Result<()> {
    let opened = open(folder, OFlags::RDONLY | OFlags::DIRECTORY)?;
    let describe = || format!("ioctl(FS_IOC_SETFLAGS, {folder:?})");
    let flags = rustix::fs::ioctl_getflags(&opened).context(describe)?;
    if flags.contains(IFlags::TOPDIR) {
        return Ok(());
    }
    rustix::fs::ioctl_setflags(&opened, flags | IFlags::TOPDIR).context(describe)
}

pub fn stat(fd: impl AsFd) -> Result<Stat> {
    rustix::fs::fstat(fd).context(|| "fstat()")
}

/// ENOENT and the like included; the last component is not followed.
pub fn stat_at(dir: impl AsFd, path: impl AsRef<Path>) -> Result<Stat> {
    let path = path.as_ref();
    rustix::fs::statat(dir, path, AtFlags::SYMLINK_NOFOLLOW)
        .context(|| format!("newfstatat({path:?})"))
}

#[must_use]
pub fn is_dir(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

#[must_use]
pub fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

#[must_use]
pub fn is_symlink(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
}

#[must_use]
pub fn is_char_device(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
}

#[must_use]
pub fn is_block_device(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::BlockDevice
}

/// Major and minor number of a device number.
#[must_use]
pub fn device_numbers(device: u64) -> (u32, u32) {
    (rustix::fs::major(device), rustix::fs::minor(device))
}

pub fn make_dir(dir: impl AsFd, name: impl AsRef<Path>, mode: u32) -> Result<()> {
    let name = name.as_ref();
    rustix::fs::mkdirat(dir, name, Mode::from_raw_mode(mode))
        .context(|| format!("mkdirat({name:?}, {mode:#o})"))
}

pub fn remove_file(dir: impl AsFd, name: impl AsRef<Path>) -> Result<()> {
    let name = name.as_ref();
    rustix::fs::unlinkat(dir, name, AtFlags::empty()).context(|| format!("unlinkat({name:?})"))
}

pub fn remove_dir(dir: impl AsFd, name: impl AsRef<Path>) -> Result<()> {
    let name = name.as_ref();
    rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)
        .context(|| format!("unlinkat({name:?}, AT_REMOVEDIR)"))
}

pub fn symlink(target: &str, dir: impl AsFd, name: impl AsRef<Path>) -> Result<()> {
    let name = name.as_ref();
    rustix::fs::symlinkat(target, dir, name).context(|| format!("symlinkat({target:?}, {name:?})"))
}

pub fn read_link(dir: impl AsFd, name: impl AsRef<Path>) -> Result<PathBuf> {
    let name = name.as_ref();
    let target = rustix::fs::readlinkat(dir, name, Vec::new())
        .context(|| format!("readlinkat({name:?})"))?;
    Ok(std::ffi::OsStr::from_bytes(target.as_bytes()).into())
}

/// What `mknod` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    Block { major: u32, minor: u32 },
    Char { major: u32, minor: u32 },
    Fifo,
}

pub fn make_node(dir: impl AsFd, name: impl AsRef<Path>, node: Node, mode: u32) -> Result<()> {
    let name = name.as_ref();
    let (kind, device) = match node {
        Node::Block { major, minor } => (FileType::BlockDevice, rustix::fs::makedev(major, minor)),
        Node::Char { major, minor } => {
            (FileType::CharacterDevice, rustix::fs::makedev(major, minor))
        }
        Node::Fifo => (FileType::Fifo, 0),
    };
    rustix::fs::mknodat(dir, name, kind, Mode::from_raw_mode(mode), device)
        .context(|| format!("mknodat({name:?}, {node:?})"))
}

/// Changes the owner of `name` itself, not of what a symlink points at.
pub fn change_owner(dir: impl AsFd, name: impl AsRef<Path>, uid: u32, gid: u32) -> Result<()> {
    let name = name.as_ref();
    let ids = (
        Some(rustix::fs::Uid::from_raw(uid)),
        Some(rustix::fs::Gid::from_raw(gid)),
    );
    rustix::fs::chownat(dir, name, ids.0, ids.1, AtFlags::SYMLINK_NOFOLLOW)
        .context(|| format!("fchownat({name:?}, {uid}, {gid})"))
}

/// Changes the owner of an open file.
pub fn change_owner_of(file: impl AsFd, uid: u32, gid: u32) -> Result<()> {
    let ids = (
        Some(rustix::fs::Uid::from_raw(uid)),
        Some(rustix::fs::Gid::from_raw(gid)),
    );
    rustix::fs::fchown(file, ids.0, ids.1).context(|| format!("fchown({uid}, {gid})"))
}

pub fn change_mode(dir: impl AsFd, name: impl AsRef<Path>, mode: u32) -> Result<()> {
    let name = name.as_ref();
    rustix::fs::chmodat(dir, name, Mode::from_raw_mode(mode), AtFlags::empty())
        .context(|| format!("fchmodat({name:?}, {mode:#o})"))
}

/// Writes all of `bytes` into an existing kernel file (cgroup, sysctl, id map) in one write, as those want it.
pub fn write_at(dir: impl AsFd, name: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
    let name = name.as_ref();
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOCTTY;
    let fd = rustix::fs::openat(dir, name, flags, Mode::empty())
        .context(|| format!("openat({name:?}, O_WRONLY)"))?;
    write_once(fd, bytes).map_err(|error| {
        crate::Error::new(
            format!("write({name:?}, {:?})", String::from_utf8_lossy(bytes)),
            error.errno(),
        )
    })
}

/// One `write(2)` of the whole; a short one is EIO.
pub fn write_once(fd: impl AsFd, bytes: &[u8]) -> Result<()> {
    loop {
        match rustix::io::write(&fd, bytes) {
            Err(Errno::INTR) => {}
            Ok(count) if count == bytes.len() => return Ok(()),
            Ok(_) => return Err(Errno::IO).context(|| "write()"),
            Err(errno) => return Err(errno).context(|| "write()"),
        }
    }
}

/// The whole of a small file; EFBIG beyond `limit` bytes.
pub fn read_at(dir: impl AsFd, name: impl AsRef<Path>, limit: u64) -> Result<Vec<u8>> {
    let name = name.as_ref();
    let fd = open_at(dir, name, OFlags::RDONLY | OFlags::NOCTTY, Mode::empty())?;
    read_all(fd, limit).map_err(|error| crate::Error::new(format!("read({name:?})"), error.errno()))
}

/// What is left of an open file; EFBIG beyond `limit` bytes.
pub fn read_all(fd: impl AsFd, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(4096);
    loop {
        if bytes.len() as u64 > limit {
            return Err(Errno::FBIG).context(|| "read()");
        }
        if bytes.len() == bytes.capacity() {
            bytes.reserve(bytes.len());
        }
        match rustix::io::read(&fd, rustix::buffer::spare_capacity(&mut bytes)) {
            Ok(0) => return Ok(bytes),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).context(|| "read()"),
        }
    }
}

/// What one `read(2)` gives, at most `limit` bytes; nothing at the end.
pub fn read_some(fd: impl AsFd, limit: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(limit);
    loop {
        match rustix::io::read(&fd, rustix::buffer::spare_capacity(&mut bytes)) {
            Err(Errno::INTR) => {}
            result => {
                result.context(|| "read()")?;
                return Ok(bytes);
            }
        }
    }
}

/// At most `limit` bytes from the start of an open file, wherever its position is.
pub fn read_start(fd: impl AsFd, limit: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(limit);
    rustix::io::pread(fd, rustix::buffer::spare_capacity(&mut bytes), 0).context(|| "pread64()")?;
    Ok(bytes)
}

/// Whether the calling process may execute a file, with its effective ids.
pub fn may_execute(path: &Path) -> Result<()> {
    rustix::fs::accessat(CWD, path, rustix::fs::Access::EXEC_OK, AtFlags::EACCESS)
        .context(|| format!("faccessat2({path:?}, X_OK)"))
}

/// As [`stat_at`], but following symlinks.
pub fn stat_following(path: &Path) -> Result<Stat> {
    rustix::fs::stat(path).context(|| format!("newfstatat({path:?})"))
}

/// Writes all of `bytes` to an open file.
pub fn write_all(fd: impl AsFd, bytes: &[u8]) -> Result<()> {
    let fd = fd
        .as_fd()
        .try_clone_to_owned()
        .context(|| "fcntl(F_DUPFD_CLOEXEC)")?;
    std::fs::File::from(fd)
        .write_all(bytes)
        .context(|| "write()")
}

/// Copies the contents of one open file to another.
pub fn copy(from: OwnedFd, to: OwnedFd) -> Result<()> {
    std::io::copy(&mut std::fs::File::from(from), &mut std::fs::File::from(to))
        .map(drop)
        .context(|| "copy_file_range()")
}

/// A file in memory only, holding `bytes`, to be read from the start.
pub fn in_memory(bytes: &[u8]) -> Result<OwnedFd> {
    let fd = rustix::fs::memfd_create("tare", rustix::fs::MemfdFlags::CLOEXEC)
        .context(|| "memfd_create()")?;
    write_all(&fd, bytes)?;
    rustix::fs::seek(&fd, rustix::fs::SeekFrom::Start(0)).context(|| "lseek()")?;
    Ok(fd)
}

/// Names in a folder, without `.` and `..`.
pub fn list(dir: impl AsFd) -> Result<Vec<std::ffi::OsString>> {
    let entries = rustix::fs::Dir::read_from(dir).context(|| "openat(\".\")")?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.context(|| "getdents64()")?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(std::ffi::OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}

/// The magic number of the filesystem an open file is on.
pub fn filesystem_magic(fd: impl AsFd) -> Result<u64> {
    let stat = rustix::fs::fstatfs(fd).context(|| "fstatfs()")?;
    Ok(stat.f_type as u64)
}

/// `f_type` of procfs.
pub const PROC_MAGIC: u64 = 0x9fa0;
/// `f_type` of devpts.
pub const DEVPTS_MAGIC: u64 = 0x1cd1;
/// `f_type` of cgroup v2.
pub const CGROUP2_MAGIC: u64 = 0x6367_7270;

/// Whether the filesystem an open file is on is mounted read-only there.
pub fn is_on_readonly_mount(fd: impl AsFd) -> Result<bool> {
    let stat = rustix::fs::fstatvfs(fd).context(|| "fstatfs()")?;
    Ok(stat.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY))
}
