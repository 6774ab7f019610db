//! Mounts, by descriptor: a tree is made detached, given its attributes, and attached where a handle points, so that
//! no path is looked up twice (CVE-2021-30465).

use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::Path;

use rustix::fs::CWD;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags,
};

use crate::error::{Context as _, check};
use crate::{Errno, Error, Result, fd, file};

mod overlay;

pub use overlay::{allow_again, overlay, scratch_overlay};

/// `MOUNT_ATTR_*`: what a mount forbids, whatever its filesystem allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes(u64);

impl Attributes {
    pub const READ_ONLY: Self = Self(0x1);
    pub const NO_SUID: Self = Self(0x2);
    pub const NO_DEV: Self = Self(0x4);
    pub const NO_EXEC: Self = Self(0x8);
    pub const NO_ATIME: Self = Self(0x10);
    pub const STRICT_ATIME: Self = Self(0x20);
    pub const NO_DIR_ATIME: Self = Self(0x80);
    pub const ID_MAP: Self = Self(0x10_0000);
    pub const NO_SYMLINK_FOLLOW: Self = Self(0x20_0000);
    /// All of the access time setting; relatime is its zero.
    pub const ATIME_MASK: Self = Self(0x70);

    #[must_use]
    pub const fn empty() -> Self {
        Self(0)
    }

    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl std::ops::BitOr for Attributes {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl std::ops::BitOrAssign for Attributes {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// How mounts below a mount are seen by its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    Private,
    Shared,
    Slave,
    Unbindable,
}

impl Propagation {
    const fn flag(self) -> MountPropagationFlags {
        match self {
            Self::Private => MountPropagationFlags::PRIVATE,
            Self::Shared => MountPropagationFlags::SHARED,
            Self::Slave => MountPropagationFlags::DOWNSTREAM,
            Self::Unbindable => MountPropagationFlags::UNBINDABLE,
        }
    }
}

/// One mount, or it and all below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    One,
    Recursive,
}

/// A detached copy of the mount that `source` is in, from `source` on. It is unmounted when the descriptor is
/// closed, unless [`attach`]ed before.
pub fn clone_tree(source: impl AsFd, depth: Depth) -> Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if depth == Depth::Recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(source, "", flags).context(|| "open_tree(OPEN_TREE_CLONE)")
}

/// Attaches a detached tree on what `target` refers to, a folder or file as the tree's own root is.
pub fn attach(tree: impl AsFd, target: impl AsFd) -> Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, "", target, "", flags).context(|| "move_mount()")
}

#[repr(C)]
#[derive(Default)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

/// Sets and clears attributes of the mount (tree) that `mount` is the root of (Linux 5.12). ENOSYS before.
pub fn set_attributes(
    mount: impl AsFd,
    depth: Depth,
    set: Attributes,
    clear: Attributes,
) -> Result<()> {
    let attributes = MountAttr {
        set: set.0,
        clear: clear.0,
        ..MountAttr::default()
    };
    set_attr(mount, depth, &attributes)
        .context(|| format!("mount_setattr({depth:?}, {attributes})"))
}

/// Shows the files of a detached mount under the ids of a user namespace.
pub fn map_ids(mount: impl AsFd, depth: Depth, user_namespace: impl AsFd) -> Result<()> {
    let userns = u64::from(user_namespace.as_fd().as_raw_fd().unsigned_abs());
    let attributes = MountAttr {
        set: Attributes::ID_MAP.0,
        userns,
        ..MountAttr::default()
    };
    set_attr(mount, depth, &attributes)
        .context(|| format!("mount_setattr({depth:?}, {attributes})"))
}

/// Changes the propagation of the mount (tree) that `mount` is the root of, by descriptor.
pub fn set_propagation(mount: impl AsFd, propagation: Propagation, depth: Depth) -> Result<()> {
    let attributes = MountAttr {
        propagation: u64::from(propagation.flag().bits()),
        ..MountAttr::default()
    };
    match set_attr(&mount, depth, &attributes) {
        Err(Errno::NOSYS) => change_propagation(&fd::proc_path(&mount), propagation, depth),
        result => result.context(|| format!("mount_setattr({depth:?}, {propagation:?})")),
    }
}

fn set_attr(mount: impl AsFd, depth: Depth, attributes: &MountAttr) -> rustix::io::Result<()> {
    let recursive = if depth == Depth::Recursive {
        libc::AT_RECURSIVE
    } else {
        0
    };
    // SAFETY: the path is an empty C string, the attributes are of the size given, and both outlive the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | recursive,
            std::ptr::from_ref(attributes),
            size_of::<MountAttr>(),
        )
    })
    .map(drop)
}

impl std::fmt::Display for MountAttr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "set {:#x}, clear {:#x}", self.set, self.clear)
    }
}

/// Changes the propagation of the mount at a path.
pub fn change_propagation(path: &Path, propagation: Propagation, depth: Depth) -> Result<()> {
    let mut flags = propagation.flag();
    if depth == Depth::Recursive {
        flags |= MountPropagationFlags::REC;
    }
    rustix::mount::mount_change(path, flags)
        .context(|| format!("mount({path:?}, {propagation:?}, {depth:?})"))
}

/// Remounts the bind mount that `mount` is the root of with other attributes, for kernels without mount_setattr.
pub fn remount_bind(mount: impl AsFd, attributes: Attributes) -> Result<()> {
    let flags = MountFlags::BIND | classic_flags(attributes);
    rustix::mount::mount_remount(fd::proc_path(&mount), flags, "")
        .context(|| format!("mount(MS_REMOUNT|MS_BIND, {attributes:?})"))
}

fn classic_flags(attributes: Attributes) -> MountFlags {
    let table = [
        (Attributes::READ_ONLY, MountFlags::RDONLY),
        (Attributes::NO_SUID, MountFlags::NOSUID),
        (Attributes::NO_DEV, MountFlags::NODEV),
        (Attributes::NO_EXEC, MountFlags::NOEXEC),
        (Attributes::NO_ATIME, MountFlags::NOATIME),
        (Attributes::STRICT_ATIME, MountFlags::STRICTATIME),
        (Attributes::NO_DIR_ATIME, MountFlags::NODIRATIME),
    ];
    let held = table
        .iter()
        .filter(|(attribute, _)| attributes.contains(*attribute));
    held.fold(MountFlags::empty(), |flags, (_, flag)| flags | *flag)
}

/// A filesystem on its way to being mounted: `fsopen(2)`.
#[derive(Debug)]
pub struct FsContext {
    fd: OwnedFd,
    kind: String,
}

impl FsContext {
    /// ENODEV when the kernel does not have the filesystem.
    pub fn new(kind: &str) -> Result<Self> {
        let fd = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)
            .context(|| format!("fsopen({kind:?})"))?;
        Ok(Self {
            fd,
            kind: kind.to_owned(),
        })
    }

    /// `key=value`; the kernel takes at most 255 bytes.
    pub fn string(&self, key: &str, value: impl AsRef<Path>) -> Result<()> {
        let value = value.as_ref();
        rustix::mount::fsconfig_set_string(&self.fd, key, value).map_err(|errno| {
            self.explain(format!("fsconfig({}, {key}={value:?})", self.kind), errno)
        })
    }

    pub fn flag(&self, key: &str) -> Result<()> {
        rustix::mount::fsconfig_set_flag(&self.fd, key)
            .map_err(|errno| self.explain(format!("fsconfig({}, {key})", self.kind), errno))
    }

    /// One option of `mount -o`: `key=value` or a flag.
    pub fn option(&self, option: &str) -> Result<()> {
        match option.split_once('=') {
            Some((key, value)) => self.string(key, value),
            None => self.flag(option),
        }
    }

    /// Makes the superblock.
    pub fn create(self) -> Result<Self> {
        rustix::mount::fsconfig_create(&self.fd).map_err(|errno| {
            self.explain(
                format!("fsconfig({}, FSCONFIG_CMD_CREATE)", self.kind),
                errno,
            )
        })?;
        Ok(self)
    }

    /// A detached mount of the superblock.
    pub fn mount(self, attributes: Attributes) -> Result<OwnedFd> {
        let flags =
            MountAttrFlags::from_bits_retain(u32::try_from(attributes.0).unwrap_or_default());
        rustix::mount::fsmount(&self.fd, FsMountFlags::FSMOUNT_CLOEXEC, flags)
            .map_err(|errno| self.explain(format!("fsmount({})", self.kind), errno))
    }

    /// Adds what the filesystem itself has to say: the messages queued on its context.
    fn explain(&self, call: String, errno: Errno) -> Error {
        let mut message = [0; 1024];
        match rustix::io::read(&self.fd, &mut message) {
            Ok(count) if count > 2 => {
                let text = String::from_utf8_lossy(&message[2..count]);
                Error::new(format!("{call} ({})", text.trim_end()), errno)
            }
            _ => Error::new(call, errno),
        }
    }
}

/// The classic `mount(2)`, on what `target` refers to.
pub fn mount_on(
    source: &str,
    target: impl AsFd,
    kind: &str,
    attributes: Attributes,
    data: impl AsRef<Path>,
) -> Result<()> {
    let data = std::ffi::CString::new(std::os::unix::ffi::OsStrExt::as_bytes(
        data.as_ref().as_os_str(),
    ))
    .map_err(|_| Errno::INVAL)
    .context(|| format!("mount({source:?}, {kind:?})"))?;
    rustix::mount::mount(
        source,
        fd::proc_path(&target),
        kind,
        classic_flags(attributes),
        data.as_c_str(),
    )
    .context(|| format!("mount({source:?}, {kind:?}, {data:?})"))
}

/// Detaches the mount at `path` and what is below it, at once for all, for good when its last user is gone.
pub fn unmount_detached(path: &Path) -> Result<()> {
    rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)
        .context(|| format!("umount2({path:?}, MNT_DETACH)"))
}

/// Makes the mount whose root is the current folder the root, and detaches the old one: `pivot_root(".", ".")`
/// needs no folder for the old root inside the new one, on top of which the old one then lies.
pub fn pivot_into_current() -> Result<()> {
    let old = file::open_path(Path::new("/"))?;
    rustix::process::pivot_root(".", ".").context(|| r#"pivot_root(".", ".")"#)?;
    rustix::process::fchdir(&old).context(|| "fchdir(the old root)")?;
    // Slave, so that the detaching is not seen outside.
    change_propagation(Path::new("."), Propagation::Slave, Depth::Recursive)?;
    unmount_detached(Path::new("."))?;
    rustix::process::chdir("/").context(|| r#"chdir("/")"#)
}

/// Without pivot_root (a root on initramfs has no parent to pivot to): moves the mount of the current folder over
/// `/` and changes root to it.
pub fn move_current_to_root() -> Result<()> {
    rustix::mount::mount_move(".", "/").context(|| r#"mount(".", "/", MS_MOVE)"#)?;
    rustix::process::chroot(".").context(|| r#"chroot(".")"#)?;
    rustix::process::chdir("/").context(|| r#"chdir("/")"#)
}

/// A handle on `path` with its mounts on top, for [`clone_tree`] and [`attach`].
pub fn open_target(path: &Path) -> Result<OwnedFd> {
    file::open_at(CWD, path, file::OFlags::PATH, file::Mode::empty())
}
