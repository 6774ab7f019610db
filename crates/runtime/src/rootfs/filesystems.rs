//! The entries of `mounts`.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use linux::Errno;
use linux::file::{self, PROC_MAGIC};
use linux::mount::{self as kernel, Attributes, Depth, FsContext};
use linux::rootfs::Root;
use oci::runtime::Mount;

use super::{Setup, cgroups, copy_up, set_attributes};
use crate::error::Context as _;
use crate::mounts::Options;
use crate::{Error, Result};

/// What may be mounted over in `/proc`: files that LXCFS and others stand in for.
const ALLOWED_IN_PROC: [&str; 10] = [
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/meminfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/uptime",
    "/proc/loadavg",
    "/proc/slabinfo",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/sys/crypto/fips_enabled",
];

pub(super) fn mount(setup: &Setup<'_>, mount: &Mount, options: &Options) -> Result<()> {
    if let Some(depth) = options.bind {
        return bind(setup, mount, options, depth);
    }
    match mount.kind.as_str() {
        "cgroup" | "cgroup2" => cgroups::mount(setup, mount, options),
        "proc" | "sysfs" => {
            let target = plain_folder(setup, &mount.destination)?;
            attach(
                &new(&mount.kind, &source(mount), options)?,
                &target,
                options,
            )
        }
        "tmpfs" => tmpfs(setup, mount, options),
        _ => {
            let target = folder(setup, &mount.destination)?;
            attach(
                &new(&mount.kind, &source(mount), options)?,
                &target,
                options,
            )
        }
    }
}

fn source(mount: &Mount) -> PathBuf {
    if mount.source.as_os_str().is_empty() {
        PathBuf::from(&mount.kind)
    } else {
        mount.source.clone()
    }
}

/// A detached mount of a new filesystem.
pub(super) fn new(kind: &str, source: &Path, options: &Options) -> Result<OwnedFd> {
    let make = || {
        let context = FsContext::new(kind)?;
        context.string("source", source)?;
        for option in &options.data {
            // Every devpts is a new one since Linux 4.7, and the word is not known to all of them.
            if !(kind == "devpts" && option == "newinstance") {
                context.option(option)?;
            }
        }
        context.create()?.mount(options.set)
    };
    make().context(|| format!("mount {kind}"))
}

/// The attributes that a new filesystem got with its mount are done; the rest follows.
fn attach(tree: &OwnedFd, target: &OwnedFd, options: &Options) -> Result<()> {
    let set = || {
        kernel::attach(tree, target)?;
        finish(tree, options)
    };
    set().context(|| "attach")
}

fn finish(tree: &OwnedFd, options: &Options) -> linux::Result<()> {
    if !options.recursive_set.is_empty() || !options.recursive_clear.is_empty() {
        set_attributes(
            tree,
            Depth::Recursive,
            options.recursive_set,
            options.recursive_clear,
        )?;
    }
    for (propagation, depth) in &options.propagation {
        kernel::set_propagation(tree, *propagation, *depth)?;
    }
    Ok(())
}

fn bind(setup: &Setup<'_>, mount: &Mount, options: &Options, depth: Depth) -> Result<()> {
    let path = setup.plan.bundle.join(&mount.source);
    let source = match &options.subpath {
        Some(below) => Root::open(&path).and_then(|root| root.resolve(below)),
        None => file::open_path(&path),
    }
    .context(|| "open the source")?;
    let target = if file::is_dir(&file::stat(&source).context(|| "stat the source")?) {
        folder(setup, &mount.destination)?
    } else {
        let target = setup
            .root()
            .make_file(&mount.destination, 0o755)
            .context(|| "make the mount point")?;
        outside_of_proc(&target, &mount.destination)?;
        target
    };
    let tree = match kernel::clone_tree(source, depth) {
        // The source is in another mount namespace, where another container shares it: it is cloned from there.
        Err(error) if error.errno() == Errno::INVAL => {
            clone_elsewhere(&path, depth).unwrap_or(Err(error))
        }
        cloned => cloned,
    }
    .context(|| "bind")?;
    if !options.set.is_empty() || !options.clear.is_empty() {
        set_attributes(&tree, Depth::One, options.set, options.clear)
            .context(|| "set the mount's flags")?;
    }
    attach(&tree, &target, options)
}

/// Clones `/proc/<pid>/root/<path>` inside the mount namespace of that process; `None` for a path of another form.
fn clone_elsewhere(path: &Path, depth: Depth) -> Option<linux::Result<OwnedFd>> {
    let (process, inner) = path
        .to_str()?
        .strip_prefix("/proc/")?
        .split_once("/root/")?;
    let process: u32 = process.parse().ok()?;
    let inner = Path::new("/").join(inner);
    let namespace = match file::open(
        Path::new(&format!("/proc/{process}/ns/mnt")),
        file::OFlags::RDONLY,
    ) {
        Ok(namespace) => namespace,
        Err(error) => return Some(Err(error)),
    };
    Some(linux::ns::in_namespace(
        namespace,
        linux::ns::Kinds::MOUNT,
        || kernel::clone_tree(file::open_path(&inner)?, depth),
    ))
}

/// A tmpfs has the mode of the folder it covers, unless its options say another. Where none was, it has the kernel's: 1777,
/// so that `--tmpfs /scratch` is of use to any user.
fn tmpfs(setup: &Setup<'_>, mount: &Mount, options: &Options) -> Result<()> {
    let covered = setup.root().resolve(&mount.destination);
    let target = folder(setup, &mount.destination)?;
    let mut options = options.clone();
    let says_mode = |option: &String| option.starts_with("mode=");
    if let Ok(covered) = covered
        && !options.data.iter().any(says_mode)
    {
        let stat = file::stat(&covered).context(|| "stat the mount point")?;
        options
            .data
            .push(format!("mode={:o}", stat.st_mode & 0o7777));
    }
    if !options.copy_up {
        return attach(&new("tmpfs", &source(mount), &options)?, &target, &options);
    }
    let readonly = options.set.contains(Attributes::READ_ONLY);
    let writable = Options {
        set: options.set.without(Attributes::READ_ONLY),
        ..options.clone()
    };
    let tree = new("tmpfs", &source(mount), &writable)?;
    copy_up::copy(&target, &tree).context(|| "copy what the tmpfs covers")?;
    if readonly {
        set_attributes(
            &tree,
            Depth::One,
            Attributes::READ_ONLY,
            Attributes::empty(),
        )
        .context(|| "make it read-only")?;
    }
    attach(&tree, &target, &options)
}

/// A folder as mount point, made where missing.
pub(super) fn folder(setup: &Setup<'_>, destination: &Path) -> Result<OwnedFd> {
    let target = setup
        .root()
        .make_dirs(destination, 0o755)
        .context(|| "make the mount point")?;
    outside_of_proc(&target, destination)?;
    Ok(target)
}

/// `/proc` and `/sys` are never mounted through a symlink: what is then protected in them would be elsewhere.
fn plain_folder(setup: &Setup<'_>, destination: &Path) -> Result<OwnedFd> {
    let plain = match setup.root().resolve_nofollow(destination) {
        Err(error) if error.errno() == Errno::NOENT => setup.root().make_dirs(destination, 0o755),
        result => result,
    };
    let plain = plain.context(|| "make the mount point")?;
    if !file::is_dir(&file::stat(&plain).context(|| "stat the mount point")?) {
        return Err(Error::invalid(format!(
            "{destination:?} must be mounted on an ordinary directory"
        )));
    }
    Ok(plain)
}

/// The handle itself is looked at, so no symlink can lead a mount into procfs.
fn outside_of_proc(target: &OwnedFd, destination: &Path) -> Result<()> {
    let is_proc =
        file::filesystem_magic(target).context(|| "statfs the mount point")? == PROC_MAGIC;
    let is_its_root = destination == Path::new("/proc");
    if !is_proc
        || is_its_root
        || ALLOWED_IN_PROC
            .iter()
            .any(|allowed| destination == Path::new(allowed))
    {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{destination:?} cannot be mounted because it is inside /proc"
    )))
}
