//! Which namespaces are new, which are joined, which stay the caller's.

use std::os::fd::OwnedFd;
use std::path::Path;

use linux::file::{self, OFlags};
use linux::ns::{self, Kinds};
use oci::runtime::{IdMapping, Linux, NamespaceKind, TimeOffset};

use crate::error::Context as _;
use crate::{Error, Result};

/// The specification's list, with the files of those to join opened in the caller's view.
#[derive(Debug)]
pub(crate) struct Namespaces {
    pub(crate) new: Kinds,
    pub(crate) joined: Vec<(Kinds, OwnedFd)>,
}

/// Made by the clone itself: the pid namespace, because the caller of unshare stays outside of it, and the user
/// namespace, because it must own all others.
const BY_CLONE: [Kinds; 2] = [Kinds::PID, Kinds::USER];

impl Namespaces {
    /// `network` is taken in place of a new namespace, unless a new user namespace is to own that.
    pub(crate) fn open(linux: &Linux, network: Option<&OwnedFd>) -> Result<Self> {
        let mut namespaces = Self {
            new: Kinds::empty(),
            joined: Vec::new(),
        };
        for namespace in &linux.namespaces {
            let kind = flag(namespace.kind);
            if namespaces.has(kind) {
                return Err(Error::invalid(format!(
                    "namespace {:?} is listed twice",
                    namespace.kind
                )));
            }
            if namespace.path.as_os_str().is_empty() {
                namespaces.new |= kind;
            } else {
                namespaces.joined.push((kind, open(&namespace.path)?));
            }
        }
        if let Some(network) = network
            && namespaces.new.contains(Kinds::NETWORK)
            && !namespaces.has(Kinds::USER)
        {
            namespaces.new = namespaces.new.without(Kinds::NETWORK);
            let network = linux::fd::duplicate(network).context(|| "duplicate a descriptor")?;
            namespaces.joined.push((Kinds::NETWORK, network));
        }
        // The namespaces to join are entered before anything else, the owner of the rest first.
        namespaces
            .joined
            .sort_by_key(|(kind, _)| *kind != Kinds::USER);
        Ok(namespaces)
    }

    /// New or joined.
    pub(crate) fn has(&self, kind: Kinds) -> bool {
        self.new.contains(kind) || self.joined.iter().any(|(held, _)| *held == kind)
    }

    pub(crate) fn by_clone(&self) -> Kinds {
        BY_CLONE
            .into_iter()
            .fold(Kinds::empty(), |all, kind| all | self.new.common(kind))
    }

    /// What the child makes by itself while its parent makes the cgroups; the cgroup namespace comes later, when it
    /// is in them.
    pub(crate) fn by_unshare(&self) -> Kinds {
        self.new
            .without(self.by_clone())
            .without(Kinds::CGROUP)
            .without(Kinds::TIME)
    }

    /// The pid namespace to join has to be entered by the caller of the clone.
    pub(crate) fn joined_pid(&self) -> Option<&OwnedFd> {
        self.joined
            .iter()
            .find(|(kind, _)| *kind == Kinds::PID)
            .map(|(_, fd)| fd)
    }

    /// In the child: enters every namespace to join.
    pub(crate) fn join(&self) -> Result<()> {
        for (kind, fd) in self.joined.iter().filter(|(kind, _)| *kind != Kinds::PID) {
            ns::enter(fd, *kind).context(|| format!("failed to join the {kind:?} namespace"))?;
        }
        Ok(())
    }
}

fn flag(kind: NamespaceKind) -> Kinds {
    match kind {
        NamespaceKind::Pid => Kinds::PID,
        NamespaceKind::Network => Kinds::NETWORK,
        NamespaceKind::Mount => Kinds::MOUNT,
        NamespaceKind::Ipc => Kinds::IPC,
        NamespaceKind::Uts => Kinds::UTS,
        NamespaceKind::User => Kinds::USER,
        NamespaceKind::Cgroup => Kinds::CGROUP,
        NamespaceKind::Time => Kinds::TIME,
    }
}

fn open(path: &Path) -> Result<OwnedFd> {
    file::open(path, OFlags::RDONLY)
        .context(|| format!("failed to open the namespace {}", path.display()))
}

/// Runs `work`, whose children are born in the pid namespace of `target`: a namespace file, or a process's pidfd.
pub(crate) fn with_pid_namespace<T>(
    target: Option<&OwnedFd>,
    work: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let Some(target) = target else { return work() };
    let own = open(Path::new("/proc/self/ns/pid"))?;
    ns::enter(target, Kinds::PID).context(|| "failed to join the pid namespace")?;
    let result = work();
    ns::enter(&own, Kinds::PID).context(|| "failed to return to the own pid namespace")?;
    result
}

/// Gives a new user namespace its ids.
pub(crate) fn write_id_maps(pid: u32, linux: &Linux) -> Result<()> {
    for (name, mappings) in [
        ("uid_map", &linux.uid_mappings),
        ("gid_map", &linux.gid_mappings),
    ] {
        let lines: Vec<_> = mappings
            .iter()
            .map(
                |IdMapping {
                     container_id,
                     host_id,
                     size,
                 }| format!("{container_id} {host_id} {size}\n"),
            )
            .collect();
        let path = format!("/proc/{pid}/{name}");
        file::write_at(file::CURRENT, &path, lines.concat().as_bytes())
            .context(|| format!("failed to set {name}"))?;
    }
    Ok(())
}

/// In the child: a time namespace with its offsets, entered at once; the offsets cannot change after that.
pub(crate) fn enter_new_time_namespace<'a>(
    offsets: impl Iterator<Item = (&'a String, &'a TimeOffset)>,
) -> Result<()> {
    ns::unshare(Kinds::TIME).context(|| "failed to make a time namespace")?;
    let lines: Vec<_> = offsets
        .map(|(clock, offset)| format!("{clock} {} {}\n", offset.secs, offset.nanosecs))
        .collect();
    if !lines.is_empty() {
        file::write_at(
            file::CURRENT,
            "/proc/self/timens_offsets",
            lines.concat().as_bytes(),
        )
        .context(|| "failed to set timeOffsets")?;
    }
    let made = open(Path::new("/proc/self/ns/time_for_children"))?;
    ns::enter(made, Kinds::TIME).context(|| "failed to enter the time namespace")
}
