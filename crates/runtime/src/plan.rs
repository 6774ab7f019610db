//! A container's configuration, checked before anything is made.

use std::path::{Path, PathBuf};

use linux::ns::Kinds;
use oci::runtime::{Linux, Mount, Spec};

use crate::cgroup::Layout;
use crate::launch::Launch;
use crate::mounts::Options;
use crate::namespaces::Namespaces;
use crate::process::ProcessPlan;
use crate::{Error, Result, Rootfs, sysctl};

/// What the child and its parent work from.
pub(crate) struct Plan<'a> {
    pub(crate) id: &'a str,
    pub(crate) spec: &'a Spec,
    pub(crate) linux: &'a Linux,
    pub(crate) bundle: &'a Path,
    pub(crate) rootfs: Rootfs<'a>,
    pub(crate) readonly_root: bool,
    pub(crate) no_pivot: bool,
    pub(crate) process: ProcessPlan,
    pub(crate) mounts: Vec<(&'a Mount, Options)>,
    pub(crate) namespaces: Namespaces,
    pub(crate) layout: Layout,
    pub(crate) cgroup_path: PathBuf,
    pub(crate) sysctl: Vec<(PathBuf, &'a str)>,
}

static NO_LINUX: std::sync::LazyLock<Linux> = std::sync::LazyLock::new(Linux::default);

impl<'a> Plan<'a> {
    pub(crate) fn new(launch: &'a Launch<'_>) -> Result<Self> {
        let spec = launch.spec;
        check_version(&spec.oci_version)?;
        let linux = spec.linux.as_ref().unwrap_or(&NO_LINUX);
        let process = spec
            .process
            .as_ref()
            .ok_or_else(|| Error::invalid("process is not set in the configuration"))?;
        let namespaces = Namespaces::open(linux, launch.network.as_ref())?;
        let plan = Self {
            id: launch.id,
            spec,
            linux,
            bundle: launch.bundle,
            rootfs: launch.rootfs,
            readonly_root: spec.root.as_ref().is_some_and(|root| root.readonly),
            no_pivot: launch.no_pivot,
            process: ProcessPlan::new(process, linux, launch.filters)?,
            mounts: mounts(spec)?,
            sysctl: sysctl::check(&linux.sysctl, &namespaces)?,
            namespaces,
            layout: Layout::detect()?,
            cgroup_path: cgroup_path(linux, launch.id),
        };
        plan.check()?;
        Ok(plan)
    }

    /// Combinations that cannot be honoured.
    fn check(&self) -> Result<()> {
        let new = self.namespaces.new;
        if !new.contains(Kinds::MOUNT) {
            return Err(Error::invalid(
                "a container without a mount namespace of its own is not supported",
            ));
        }
        let has_names = !self.spec.hostname.is_empty() || !self.spec.domainname.is_empty();
        if has_names && !self.namespaces.has(Kinds::UTS) {
            return Err(Error::invalid(
                "unable to set hostname without a private UTS namespace",
            ));
        }
        if new.contains(Kinds::USER)
            && (self.linux.uid_mappings.is_empty() || self.linux.gid_mappings.is_empty())
        {
            return Err(Error::invalid(
                "a user namespace needs uidMappings and gidMappings",
            ));
        }
        if !self.namespaces.has(Kinds::USER) && !self.linux.uid_mappings.is_empty() {
            return Err(Error::invalid("uidMappings need a user namespace"));
        }
        if !self.linux.time_offsets.is_empty() && !new.contains(Kinds::TIME) {
            return Err(Error::invalid("timeOffsets need a new time namespace"));
        }
        if self.linux.intel_rdt.is_some() {
            return Err(Error::invalid("intelRdt is not supported"));
        }
        if !self.linux.mount_label.is_empty() {
            return Err(Error::invalid(
                "mountLabel needs SELinux, which is not supported",
            ));
        }
        let mapped = |mount: &&(&Mount, Options)| {
            !mount.0.uid_mappings.is_empty() || !mount.0.gid_mappings.is_empty()
        };
        match self.mounts.iter().find(mapped) {
            Some((mount, _)) => {
                let place = mount.destination.display();
                Err(Error::invalid(format!(
                    "id-mapped mounts are not supported (on {place})"
                )))
            }
            None => Ok(()),
        }
    }

    /// Nodes are made in the container's `/dev`, unless that is a folder of the host's.
    pub(crate) fn needs_dev(&self) -> bool {
        !self.mounts.iter().any(|(mount, options)| {
            options.bind.is_some()
                && mount
                    .destination
                    .components()
                    .eq(Path::new("/dev").components())
        })
    }

    /// The limits of the container's cgroup.
    pub(crate) fn resources(&self) -> Option<&'a oci::runtime::Resources> {
        self.linux.resources.as_ref()
    }

    /// Its own user namespace makes the container's root somebody else outside.
    pub(crate) fn has_user_namespace(&self) -> bool {
        self.namespaces.has(Kinds::USER)
    }
}

fn check_version(version: &str) -> Result<()> {
    if version.starts_with("1.") {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "unsupported ociVersion {version:?}: 1.x is supported"
    )))
}

fn mounts(spec: &Spec) -> Result<Vec<(&Mount, Options)>> {
    let check = |mount: &Mount| {
        let place = &mount.destination;
        if place.file_name().is_none() {
            return Err(Error::invalid(format!(
                "invalid mount destination {:?}",
                place.display()
            )));
        }
        Ok(())
    };
    spec.mounts
        .iter()
        .map(|mount| check(mount).and_then(|()| Ok((mount, Options::parse(mount)?))))
        .collect()
}

pub(crate) fn cgroup_path(linux: &Linux, id: &str) -> PathBuf {
    if linux.cgroups_path.as_os_str().is_empty() {
        Path::new("/").join(id)
    } else {
        linux.cgroups_path.clone()
    }
}
