//! In the child: the container's root filesystem, from the layers to the last masked path. Everything is reached
//! through handles below the new root; `/` is still the host's, until [`Setup::pivot`].

mod cgroups;
mod copy_up;
mod devices;
mod filesystems;
mod paths;

use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;

use linux::file;
use linux::mount::{self, Attributes, Depth, Propagation};
use linux::rootfs::Root;
use oci::runtime::RootfsPropagation;

use crate::error::Context as _;
use crate::plan::Plan;
use crate::{Error, Result, Rootfs};

/// The new root, mounted over `/` but not yet entered.
pub(crate) struct Setup<'a> {
    plan: &'a Plan<'a>,
    root: Root,
}

impl<'a> Setup<'a> {
    /// Mounts the layers or the folder. Mounts of the host reach us from here on only as `rootfsPropagation` has it;
    /// ours never reach the host.
    pub(crate) fn mount_root(plan: &'a Plan<'a>) -> Result<Self> {
        let top = Path::new("/");
        let (propagation, depth) = propagation(plan.linux.rootfs_propagation);
        mount::change_propagation(top, propagation, depth)
            .context(|| "failed to set the propagation of /")?;
        if propagation != Propagation::Private {
            mount::change_propagation(top, Propagation::Private, Depth::One)
                .context(|| "failed to make / private")?;
        }
        let tree = match plan.rootfs {
            Rootfs::Overlay(overlay) => overlay
                .mount()
                .context(|| "failed to mount the layers of the root filesystem")?,
            Rootfs::Dir(path) => {
                let describe = || format!("failed to mount the root filesystem {}", path.display());
                let folder = file::open(path, file::OFlags::PATH | file::OFlags::DIRECTORY)
                    .context(describe)?;
                mount::clone_tree(folder, Depth::Recursive).context(describe)?
            }
        };
        let describe = || "failed to attach the root filesystem";
        mount::attach(&tree, mount::open_target(top).context(describe)?).context(describe)?;
        Ok(Self {
            plan,
            root: Root::from_fd(tree),
        })
    }

    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// Every mount, then the device nodes and links in `/dev`.
    pub(crate) fn populate(&self) -> Result<()> {
        for (mount, options) in &self.plan.mounts {
            filesystems::mount(self, mount, options).map_err(|error| {
                error.within(|| {
                    format!(
                        "error mounting {:?} to rootfs at {:?}",
                        mount.source.display(),
                        mount.destination.display()
                    )
                })
            })?;
        }
        if self.plan.needs_dev() {
            devices::make_all(self)?;
        }
        Ok(())
    }

    /// The folder the program starts in is made if the image lacks it.
    pub(crate) fn make_working_folder(&self, cwd: &Path) -> Result<()> {
        match self.root.make_dirs(cwd, 0o755) {
            Ok(_) => Ok(()),
            // Docker's words.
            Err(error) if error.errno() == linux::Errno::NOTDIR => Err(Error::invalid(format!(
                "Cannot mkdir: {} is not a directory",
                cwd.display()
            ))),
            Err(error) => Err(error).context(|| format!("mkdir {:?}", cwd.display())),
        }
    }

    /// A bind mount of the terminal's slave on `/dev/console`.
    pub(crate) fn mount_console(&self, slave: &OwnedFd) -> Result<()> {
        let describe = || "failed to mount the terminal on /dev/console";
        let target = self
            .root
            .make_file(Path::new("/dev/console"), 0o600)
            .context(describe)?;
        let tree = mount::clone_tree(slave, Depth::One).context(describe)?;
        mount::attach(tree, target).context(describe)
    }

    /// Masked and read-only paths, then the root itself if it is to be read-only.
    pub(crate) fn restrict(&self) -> Result<()> {
        paths::make_readonly(&self.root, &self.plan.linux.readonly_paths)?;
        paths::mask(&self.root, &self.plan.linux.masked_paths)?;
        if self.plan.readonly_root {
            set_attributes(
                self.root.as_fd(),
                Depth::One,
                Attributes::READ_ONLY,
                Attributes::empty(),
            )
            .context(|| "failed to make the root filesystem read-only")?;
        }
        Ok(())
    }

    /// The new root becomes `/`, the old one is gone. Only then may it be shared: the kernel pivots to no shared mount.
    pub(crate) fn pivot(self) -> Result<()> {
        linux::process::fchdir(&self.root).context(|| "failed to enter the root filesystem")?;
        if self.plan.no_pivot {
            linux::process::chroot(Path::new(".")).context(|| "failed to change root")?;
            linux::process::chdir(Path::new("/")).context(|| "failed to change root")?;
        } else {
            mount::pivot_into_current().context(|| "failed to pivot_root")?;
        }
        if self.plan.linux.rootfs_propagation.is_none() {
            return Ok(());
        }
        let (propagation, depth) = propagation(self.plan.linux.rootfs_propagation);
        mount::change_propagation(Path::new("/"), propagation, depth)
            .context(|| "failed to set the propagation of the root filesystem")
    }
}

fn propagation(asked: Option<RootfsPropagation>) -> (Propagation, Depth) {
    match asked {
        None | Some(RootfsPropagation::RSlave) => (Propagation::Slave, Depth::Recursive),
        Some(RootfsPropagation::Slave) => (Propagation::Slave, Depth::One),
        Some(RootfsPropagation::Private) => (Propagation::Private, Depth::One),
        Some(RootfsPropagation::RPrivate) => (Propagation::Private, Depth::Recursive),
        Some(RootfsPropagation::Shared) => (Propagation::Shared, Depth::One),
        Some(RootfsPropagation::RShared) => (Propagation::Shared, Depth::Recursive),
        Some(RootfsPropagation::Unbindable) => (Propagation::Unbindable, Depth::One),
        Some(RootfsPropagation::RUnbindable) => (Propagation::Unbindable, Depth::Recursive),
    }
}

/// With mount_setattr, or before Linux 5.12 by a remount, which cannot be recursive.
fn set_attributes(
    tree: impl std::os::fd::AsFd,
    depth: Depth,
    set: Attributes,
    clear: Attributes,
) -> linux::Result<()> {
    match mount::set_attributes(&tree, depth, set, clear) {
        Err(error) if error.errno() == linux::Errno::NOSYS && depth == Depth::One => {
            mount::remount_bind(&tree, set)
        }
        result => result,
    }
}
