//! The `cgroup` mount: what a container sees in `/sys/fs/cgroup`, on every kind of machine.

use std::os::fd::OwnedFd;
use std::path::Path;

use linux::file;
use linux::mount::{self as kernel, Attributes, Depth, FsContext};
use linux::ns::Kinds;
use linux::rootfs::Root;
use oci::runtime::Mount;

use super::{Setup, filesystems, set_attributes};
use crate::Result;
use crate::cgroup::Hierarchy;
use crate::error::Context as _;
use crate::mounts::Options;

pub(super) fn mount(setup: &Setup<'_>, mount: &Mount, options: &Options) -> Result<()> {
    let target = filesystems::folder(setup, &mount.destination)?;
    if setup.plan.layout.v1.is_empty() || mount.kind == "cgroup2" {
        return unified(setup, &target, options);
    }
    let described = Options {
        set: options.set.without(Attributes::READ_ONLY),
        data: vec!["mode=755".into()],
        ..Options::default()
    };
    let top = filesystems::new("tmpfs", Path::new("tmpfs"), &described)?;
    kernel::attach(&top, &target).context(|| "attach the folder of the hierarchies")?;
    let top = Root::from_fd(top);
    for hierarchy in &setup.plan.layout.v1 {
        hierarchy_v1(setup, &top, hierarchy, options)?;
    }
    if setup.plan.layout.unified.is_some() {
        let target = top
            .make_dirs(Path::new("unified"), 0o755)
            .context(|| "make a mount point")?;
        unified(setup, &target, options)?;
    }
    if options.set.contains(Attributes::READ_ONLY) {
        set_attributes(&top, Depth::One, Attributes::READ_ONLY, Attributes::empty())
            .context(|| "make the folder of the hierarchies read-only")?;
    }
    Ok(())
}

/// One hierarchy under the name it has on the host, with a link for each of several controllers.
fn hierarchy_v1(
    setup: &Setup<'_>,
    top: &Root,
    hierarchy: &Hierarchy,
    options: &Options,
) -> Result<()> {
    let describe = || format!("mount the cgroup hierarchy {:?}", hierarchy.controllers);
    let name = hierarchy.mount.file_name().unwrap_or_default();
    let target = top.make_dirs(Path::new(name), 0o755).context(describe)?;
    let tree = if setup.plan.namespaces.has(Kinds::CGROUP) {
        let make = || {
            let context = FsContext::new("cgroup")?;
            context.string("source", "cgroup")?;
            for option in hierarchy.mount_options() {
                context.option(&option)?;
            }
            context.create()?.mount(options.set)
        };
        make().context(describe)?
    } else {
        own_folder(&hierarchy.mount, setup, options).context(describe)?
    };
    kernel::attach(&tree, &target).context(describe)?;
    for controller in hierarchy
        .controllers
        .iter()
        .filter(|held| !held.contains('=') && held.as_str() != name)
    {
        file::symlink(&name.to_string_lossy(), top, controller).context(describe)?;
    }
    Ok(())
}

fn unified(setup: &Setup<'_>, target: &OwnedFd, options: &Options) -> Result<()> {
    let describe = || "mount the cgroup2 hierarchy";
    let tree = match &setup.plan.layout.unified {
        Some(mount) if !setup.plan.namespaces.has(Kinds::CGROUP) => {
            own_folder(mount, setup, options).context(describe)?
        }
        _ => filesystems::new(
            "cgroup2",
            Path::new("cgroup"),
            &Options {
                data: Vec::new(),
                ..options.clone()
            },
        )?,
    };
    kernel::attach(tree, target).context(describe)
}

/// Without a cgroup namespace a container sees no more than its own folder of the host's hierarchy.
fn own_folder(mount: &Path, setup: &Setup<'_>, options: &Options) -> linux::Result<OwnedFd> {
    let folder = file::open_path(&crate::cgroup::join(mount, &setup.plan.cgroup_path))?;
    let tree = kernel::clone_tree(folder, Depth::One)?;
    set_attributes(&tree, Depth::One, options.set, options.clear)?;
    Ok(tree)
}
