//! A container's files as one tree, without mounting anything that the host or the container would see.
//!
//! Running: a thread joins the container's mount namespace, leaves it for a copy of its own, takes the kernel's file
//! systems (`/proc`, `/sys`, `/dev`) out of that copy, and clones what is left as a detached tree. Stopped: the overlay
//! and the volumes are mounted in a private namespace, and cloned the same way. The namespace ends with the thread, the
//! tree with its descriptor.

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use linux::Errno;
use linux::file::{self, OFlags};
use linux::mount::{self, Depth, Propagation};
use linux::ns::{self, Kinds};
use linux::pidfd::PidFd;
use linux::rootfs::Root;

use super::{Files, Overlay};
use crate::error::{Context as _, Result};
use crate::mounts::{Kind, MountPoint};

/// Mounted by every runtime, and no files of the container's.
const KERNEL: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The whole tree: root filesystem, volumes, and what else is mounted.
pub(super) fn open(files: &Files) -> Result<Root> {
    let describe = || format!("look into container {}", files.name);
    let tree = match files.pid.map(running).transpose() {
        // It has ended since: its mounts are gone with it.
        Err(error) if error.errno() == Errno::SRCH => stopped(files),
        Ok(Some(tree)) => Ok(tree),
        Ok(None) => stopped(files),
        Err(error) => Err(error),
    };
    tree.map(Root::from_fd).context(describe)
}

/// The root filesystem alone.
pub(super) fn bare(files: &Files) -> Result<Root> {
    let describe = || format!("look into container {}", files.name);
    let layers = || ns::in_private_mounts(|| overlay(&files.overlay));
    let tree = match files.pid.map(running_root).transpose() {
        Err(error) if error.errno() == Errno::SRCH => layers(),
        Ok(Some(tree)) => Ok(tree),
        Ok(None) => layers(),
        Err(error) => Err(error),
    };
    tree.map(Root::from_fd).context(describe)
}

fn running(pid: u32) -> linux::Result<OwnedFd> {
    in_mounts_of(pid, || {
        for path in KERNEL {
            // Until it is none (EINVAL) or was never there; more than one may lie on another.
            while mount::unmount_detached(Path::new(path)).is_ok() {}
        }
        mount::clone_tree(mount::open_target(Path::new("/"))?, Depth::Recursive)
    })
}

fn running_root(pid: u32) -> linux::Result<OwnedFd> {
    in_mounts_of(pid, || {
        mount::clone_tree(mount::open_target(Path::new("/"))?, Depth::One)
    })
}

/// Runs `work` in a private copy of a process's mount namespace.
fn in_mounts_of(
    pid: u32,
    work: impl FnOnce() -> linux::Result<OwnedFd> + Send,
) -> linux::Result<OwnedFd> {
    let process = PidFd::open(pid)?;
    ns::in_namespace(process.as_fd(), Kinds::MOUNT, || {
        ns::unshare(Kinds::MOUNT)?;
        mount::change_propagation(Path::new("/"), Propagation::Private, Depth::Recursive)?;
        work()
    })
}

fn stopped(files: &Files) -> linux::Result<OwnedFd> {
    ns::in_private_mounts(|| {
        let tree = overlay(&files.overlay)?;
        // Any folder would do: this namespace is nobody else's.
        mount::attach(&tree, file::open_path(&files.overlay.upper)?)?;
        let root = Root::from_fd(tree);
        for point in &files.mounts {
            bind(&root, point)?;
        }
        mount::clone_tree(&root, Depth::Recursive)
    })
}

fn overlay(layers: &Overlay) -> linux::Result<OwnedFd> {
    root_of(&layers.lower, &layers.upper, &layers.work)
}

/// A container's root file system as a detached mount; without layers below, `upper` is all of it.
pub(crate) fn root_of(lower: &[PathBuf], upper: &Path, work: &Path) -> linux::Result<OwnedFd> {
    if lower.is_empty() {
        return mount::clone_tree(file::open_path(upper)?, Depth::One);
    }
    mount::overlay(lower, upper, work)
}

/// Binds a volume or a path of the host where the container has it.
fn bind(root: &Root, point: &MountPoint) -> linux::Result<()> {
    if point.kind == Kind::Tmpfs || point.source.is_empty() {
        return Ok(());
    }
    let source = match file::open(Path::new(&point.source), OFlags::PATH) {
        // A source that is gone is for the next start to complain about.
        Err(error) if error.errno() == Errno::NOENT => return Ok(()),
        source => source?,
    };
    let source = match point.subpath.as_str() {
        "" => source,
        subpath => Root::from_fd(source).resolve(Path::new(subpath))?,
    };
    let destination = Path::new(&point.destination);
    let target = if file::is_dir(&file::stat(&source)?) {
        root.make_dirs(destination, 0o755)?
    } else {
        root.make_file(destination, 0o644)?
    };
    let depth = if point.non_recursive {
        Depth::One
    } else {
        Depth::Recursive
    };
    mount::attach(mount::clone_tree(&source, depth)?, target)
}
