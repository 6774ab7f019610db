//! `maskedPaths` and `readonlyPaths`.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use linux::Errno;
use linux::file;
use linux::mount::{self, Attributes, Depth, FsContext};
use linux::rootfs::Root;

use super::set_attributes;
use crate::error::Context as _;
use crate::{Error, Result};

/// Each path becomes a read-only bind mount of itself; what is not there needs no protection.
pub(super) fn make_readonly(root: &Root, paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        let protect = || {
            let Some(target) = existing(root, path)? else {
                return Ok(());
            };
            let tree = mount::clone_tree(&target, Depth::Recursive)?;
            set_attributes(
                &tree,
                Depth::One,
                Attributes::READ_ONLY,
                Attributes::empty(),
            )?;
            mount::attach(tree, target)
        };
        protect().context(|| format!("can't make {:?} read-only", path.display()))?;
    }
    Ok(())
}

/// A file is covered by the null device, a folder by an empty read-only tmpfs, one for all. No detached mount is left
/// over to be closed: the kernel would wait for all its CPUs to have forgotten it.
pub(super) fn mask(root: &Root, paths: &[PathBuf]) -> Result<()> {
    let (mut null, mut empty) = (None, None);
    for path in paths {
        let describe = || format!("can't mask path {:?}", path.display());
        let Some(target) = existing(root, path).context(describe)? else {
            continue;
        };
        let is_dir = file::is_dir(&file::stat(&target).context(describe)?);
        let first = if is_dir { &mut empty } else { &mut null };
        let cover = match first {
            Some(attached) => mount::clone_tree(attached, Depth::One).context(describe)?,
            None if is_dir => empty_folder()?,
            None => null_device()?,
        };
        mount::attach(&cover, target).context(describe)?;
        first.get_or_insert(cover);
    }
    Ok(())
}

fn existing(root: &Root, path: &Path) -> linux::Result<Option<OwnedFd>> {
    match root.resolve(path) {
        Ok(target) => Ok(Some(target)),
        Err(error) if matches!(error.errno(), Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(error),
    }
}

fn empty_folder() -> Result<OwnedFd> {
    let make = || {
        let context = FsContext::new("tmpfs")?;
        for (key, value) in [("source", "tmpfs"), ("size", "4k"), ("mode", "755")] {
            context.string(key, value)?;
        }
        context.create()?.mount(Attributes::READ_ONLY)
    };
    make().context(|| "failed to make an empty folder for masked paths")
}

/// The host's own, checked to be one: a container's could be anything (CVE-2025-31133). Read-only, which a device does
/// not mind, because the inode is the host's: root in the container is not to change its mode or owner.
fn null_device() -> Result<OwnedFd> {
    let null = file::open_path(Path::new("/dev/null")).context(|| "failed to open /dev/null")?;
    let stat = file::stat(&null).context(|| "failed to stat /dev/null")?;
    if !file::is_char_device(&stat) || file::device_numbers(stat.st_rdev) != (1, 3) {
        return Err(Error::invalid(
            "the host's /dev/null is not the null device",
        ));
    }
    let bind = || {
        let cover = mount::clone_tree(&null, Depth::One)?;
        let locked = Attributes::READ_ONLY | Attributes::NO_SUID | Attributes::NO_EXEC;
        set_attributes(&cover, Depth::One, locked, Attributes::empty())?;
        Ok(cover)
    };
    bind().context(|| "failed to bind /dev/null for masked paths")
}
