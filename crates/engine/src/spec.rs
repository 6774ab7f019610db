//! From a container's options to the OCI runtime spec its shim launches, with Docker's defaults.
//!
//! Built anew at every start, so that what options mean is settled late (the pid behind `container:NAME`, the devices the
//! host has) and a later version's defaults reach old containers.

mod capabilities;
mod devices;
mod process;
mod resources;

use std::path::{Path, PathBuf};

use oci::runtime::{Linux, Mount, Namespace, NamespaceKind, Root, Spec};

use crate::config::Config;
use crate::error::Result;
use crate::mode::{CgroupNs, Ipc, Network, Pid, UserNs, Uts};
use crate::mounts::{Kind, MountPoint};
use crate::options::{ContainerOptions, HostOptions};
use crate::state::Birth;

pub(crate) use capabilities::{all as all_capabilities, settle as settle_capabilities};
pub(crate) use devices::check_rules as check_device_rules;
pub(crate) use process::{brings_seccomp, for_exec};

/// What the spec needs besides the record.
pub(crate) struct Surroundings<'a> {
    pub(crate) config: &'a Config,
    pub(crate) host: &'a Host,
    /// The container's folder under the data root, with hostname, hosts and resolv.conf.
    pub(crate) folder: &'a Path,
    /// Who its process is.
    pub(crate) identity: crate::users::Identity,
    /// The hostname in force.
    pub(crate) hostname: &'a str,
    /// Pids of the containers whose namespaces are joined.
    pub(crate) joined: Joined,
    /// Variables of linked containers.
    pub(crate) linked: &'a [String],
    /// Our init, when the container wants it.
    pub(crate) init_path: Option<&'a Path>,
}

/// Pids of the containers whose namespaces are joined.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Joined {
    pub(crate) network: Option<u32>,
    pub(crate) pid: Option<u32>,
    pub(crate) ipc: Option<u32>,
}

/// What does not change while the engine runs.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    /// Names of the capabilities this process can give away.
    pub(crate) capabilities: Vec<String>,
    pub(crate) kernel: crate::seccomp::KernelVersion,
    /// Only cgroup v2 is mounted.
    pub(crate) unified: bool,
    pub(crate) hostname: String,
    /// The machine's processors and memory nodes as the kernel lists them, `0-3`; empty where it does not.
    pub(crate) cpus: String,
    pub(crate) memory_nodes: String,
}

impl Host {
    /// Looks at the machine.
    pub(crate) fn look() -> Self {
        let line = |path: &str| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            text.trim().to_owned()
        };
        let release = line("/proc/sys/kernel/osrelease");
        Self {
            capabilities: all_capabilities(),
            kernel: release
                .parse()
                .unwrap_or(crate::seccomp::KernelVersion(5, 10)),
            unified: Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
            hostname: line("/proc/sys/kernel/hostname"),
            cpus: line("/sys/devices/system/cpu/online"),
            memory_nodes: line("/sys/devices/system/node/online"),
        }
    }
}

const MASKED_PATHS: &[&str] = &[
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

const READONLY_PATHS: &[&str] = &[
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// The lists in force, for `inspect` and the spec: `(masked, readonly)`.
pub(crate) fn system_paths(options: &HostOptions) -> (Vec<String>, Vec<String>) {
    let unconfined = options.privileged
        || options
            .security_opt
            .iter()
            .any(|o| o == "systempaths=unconfined");
    let list = |asked: &Option<Vec<String>>, default: &[&str]| match asked {
        Some(list) => list.clone(),
        None if unconfined => Vec::new(),
        None => default.iter().map(|p| (*p).to_owned()).collect(),
    };
    (
        list(&options.masked_paths, MASKED_PATHS),
        list(&options.readonly_paths, READONLY_PATHS),
    )
}

/// Builds the spec.
pub(crate) fn build(birth: &Birth, around: &Surroundings<'_>) -> Result<Spec> {
    let options = &birth.options;
    let host = &options.host;
    let modes = Modes::of(host, around.host)?;
    let capabilities = capabilities::of(host, &around.host.capabilities)?;
    let (masked, readonly) = system_paths(host);
    let paths = |list: Vec<String>| list.into_iter().map(PathBuf::from).collect();
    let devices = devices::of(host)?;
    let shared = birth
        .mounts
        .iter()
        .any(|m| matches!(m.propagation.as_str(), "shared" | "rshared"));
    let slave = birth
        .mounts
        .iter()
        .any(|m| matches!(m.propagation.as_str(), "slave" | "rslave"));
    let linux = Linux {
        sysctl: sysctls(host, &modes),
        resources: Some(resources::of(host, devices.rules)?),
        cgroups_path: cgroup_path(birth, around.config),
        namespaces: namespaces(&modes, &around.joined),
        devices: devices.nodes,
        seccomp: process::seccomp(host, &capabilities, around)?,
        rootfs_propagation: match (shared, slave) {
            (true, _) => Some(oci::runtime::RootfsPropagation::Shared),
            (_, true) => Some(oci::runtime::RootfsPropagation::RSlave),
            _ => None,
        },
        masked_paths: paths(masked),
        readonly_paths: paths(readonly),
        ..Default::default()
    };
    Ok(Spec {
        oci_version: oci::runtime::VERSION.to_owned(),
        process: Some(process::first(birth, capabilities, around)?),
        root: Some(Root {
            path: PathBuf::from("rootfs"),
            readonly: host.readonly_rootfs,
        }),
        hostname: if modes.uts == Uts::Private {
            around.hostname.to_owned()
        } else {
            String::new()
        },
        domainname: if modes.uts == Uts::Private {
            options.domainname.clone()
        } else {
            String::new()
        },
        mounts: mounts(birth, around, &modes),
        annotations: host.annotations.clone(),
        linux: Some(linux),
        ..Default::default()
    })
}

/// The modes in force.
struct Modes {
    network: Network,
    pid: Pid,
    ipc: Ipc,
    uts: Uts,
    cgroup: CgroupNs,
}

impl Modes {
    fn of(host: &HostOptions, machine: &Host) -> Result<Self> {
        let _: UserNs = host.userns_mode.parse()?;
        let cgroup = match host.cgroupns_mode.parse()? {
            // As Docker: private on v2, the host's on v1; privileged containers see the host's.
            CgroupNs::Default if machine.unified && !host.privileged => CgroupNs::Private,
            CgroupNs::Default => CgroupNs::Host,
            asked => asked,
        };
        Ok(Self {
            network: host.network_mode.parse()?,
            pid: host.pid_mode.parse()?,
            ipc: host.ipc_mode.parse()?,
            uts: host.uts_mode.parse()?,
            cgroup,
        })
    }
}

/// The container's cgroup below the mount point of each hierarchy.
pub(crate) fn cgroup_path(birth: &Birth, config: &Config) -> PathBuf {
    let parent = match birth.options.host.resources.cgroup_parent.as_str() {
        "" => config.cgroup_parent.as_str(),
        parent => parent,
    };
    Path::new("/")
        .join(parent.trim_start_matches('/'))
        .join(birth.id.as_str())
}

fn namespaces(modes: &Modes, joined: &Joined) -> Vec<Namespace> {
    let fresh = |kind| {
        Some(Namespace {
            kind,
            path: PathBuf::new(),
        })
    };
    let of = |pid: Option<u32>, kind, file: &str| {
        pid.map(|pid| Namespace {
            kind,
            path: format!("/proc/{pid}/ns/{file}").into(),
        })
    };
    let network = match modes.network {
        Network::None | Network::Named(_) => fresh(NamespaceKind::Network),
        Network::Host => None,
        Network::Container(_) => of(joined.network, NamespaceKind::Network, "net"),
    };
    let pid = match modes.pid {
        Pid::Private => fresh(NamespaceKind::Pid),
        Pid::Host => None,
        Pid::Container(_) => of(joined.pid, NamespaceKind::Pid, "pid"),
    };
    let ipc = match modes.ipc {
        Ipc::Private | Ipc::None | Ipc::Shareable => fresh(NamespaceKind::Ipc),
        Ipc::Host => None,
        Ipc::Container(_) => of(joined.ipc, NamespaceKind::Ipc, "ipc"),
    };
    // With the network of another container its host name comes too, as in Docker.
    let uts = match (modes.uts, &modes.network) {
        (Uts::Host, _) => None,
        (Uts::Private, Network::Container(_)) => of(joined.network, NamespaceKind::Uts, "uts"),
        (Uts::Private, _) => fresh(NamespaceKind::Uts),
    };
    let cgroup = match modes.cgroup {
        CgroupNs::Private => fresh(NamespaceKind::Cgroup),
        _ => None,
    };
    let mount = fresh(NamespaceKind::Mount);
    [mount, network, uts, pid, ipc, cgroup]
        .into_iter()
        .flatten()
        .collect()
}

/// Unprivileged ping and low ports, as Docker sets them in a network namespace of its own; then what the user asks.
fn sysctls(host: &HostOptions, modes: &Modes) -> std::collections::BTreeMap<String, String> {
    let mut sysctls = std::collections::BTreeMap::new();
    if matches!(modes.network, Network::None | Network::Named(_)) {
        sysctls.insert(
            "net.ipv4.ip_unprivileged_port_start".to_owned(),
            "0".to_owned(),
        );
        sysctls.insert(
            "net.ipv4.ping_group_range".to_owned(),
            "0 2147483647".to_owned(),
        );
    }
    sysctls.extend(host.sysctls.clone());
    sysctls
}

fn mount(destination: &str, kind: &str, source: &str, options: &[&str]) -> Mount {
    Mount {
        destination: destination.into(),
        kind: kind.to_owned(),
        source: source.into(),
        options: options.iter().map(|o| (*o).to_owned()).collect(),
        ..Default::default()
    }
}

fn mounts(birth: &Birth, around: &Surroundings<'_>, modes: &Modes) -> Vec<Mount> {
    let host = &birth.options.host;
    let mut mounts = system_mounts(host.privileged);
    mounts.extend(shm(birth, around.config, modes, &around.joined));
    if let Some(init) = around.init_path {
        let mut bind = mount(process::INIT, "bind", "", &["bind", "ro"]);
        bind.source = init.to_owned();
        mounts.push(bind);
    }
    // What the user mounts on a default one takes its place, and all come shallow before deep: a bind of /etc must not
    // hide /etc/hosts.
    let own = |m: &Mount| {
        birth
            .mounts
            .iter()
            .any(|p| m.destination == Path::new(&p.destination))
    };
    mounts.retain(|m| !own(m));
    let mut later: Vec<Mount> = birth.mounts.iter().map(user_mount).collect();
    later.extend(
        network_files(birth, around.folder)
            .into_iter()
            .filter(|m| !own(m)),
    );
    later.sort_by_key(|m| m.destination.components().count());
    mounts.extend(later);
    mounts
}

fn system_mounts(privileged: bool) -> Vec<Mount> {
    let mut ro = vec!["nosuid", "noexec", "nodev"];
    if !privileged {
        ro.push("ro");
    }
    let mut mounts = vec![
        mount("/proc", "proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount(
            "/dev",
            "tmpfs",
            "tmpfs",
            &["nosuid", "strictatime", "mode=755", "size=65536k"],
        ),
        mount(
            "/dev/pts",
            "devpts",
            "devpts",
            &[
                "nosuid",
                "noexec",
                "newinstance",
                "ptmxmode=0666",
                "mode=0620",
                "gid=5",
            ],
        ),
        mount("/sys", "sysfs", "sysfs", &ro),
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &ro),
    ];
    // Whose queues it shows is decided by the IPC namespace, the host's or another container's too.
    mounts.push(mount(
        "/dev/mqueue",
        "mqueue",
        "mqueue",
        &["nosuid", "noexec", "nodev"],
    ));
    mounts
}

fn shm(birth: &Birth, config: &Config, modes: &Modes, joined: &Joined) -> Option<Mount> {
    let size = match birth.options.host.shm_size {
        0 => config.shm_size,
        size => size.unsigned_abs(),
    };
    match modes.ipc {
        Ipc::None => None,
        Ipc::Host => Some(mount(
            "/dev/shm",
            "bind",
            "/dev/shm",
            &["rbind", "nosuid", "noexec", "nodev"],
        )),
        Ipc::Container(_) => joined.ipc.map(|pid| {
            let source = format!("/proc/{pid}/root/dev/shm");
            mount(
                "/dev/shm",
                "bind",
                &source,
                &["rbind", "nosuid", "noexec", "nodev"],
            )
        }),
        Ipc::Private | Ipc::Shareable => Some(mount(
            "/dev/shm",
            "tmpfs",
            "shm",
            &[
                "nosuid",
                "noexec",
                "nodev",
                "mode=1777",
                &format!("size={size}"),
            ],
        )),
    }
}

/// Binds of the files that name the container and its resolvers. With another container's network they are that
/// container's; the caller has copied them.
fn network_files(birth: &Birth, folder: &Path) -> Vec<Mount> {
    let read_only = birth.options.host.readonly_rootfs;
    ["resolv.conf", "hostname", "hosts"]
        .into_iter()
        .map(|file| {
            let mut options = vec!["rbind", "rprivate"];
            if read_only {
                options.push("ro");
            }
            let mut bind = mount(&format!("/etc/{file}"), "bind", "", &options);
            bind.source = folder.join(file);
            bind
        })
        .collect()
}

fn user_mount(point: &MountPoint) -> Mount {
    let (kind, source) = match point.kind {
        Kind::Tmpfs => ("tmpfs", PathBuf::from("tmpfs")),
        Kind::Bind | Kind::Volume => ("bind", PathBuf::from(&point.source)),
    };
    Mount {
        destination: point.destination.clone().into(),
        kind: kind.to_owned(),
        source,
        options: point.spec_options(),
        ..Default::default()
    }
}

/// Refuses malformed and unsupported `--security-opt` at creation.
pub(crate) fn check_security(host: &HostOptions) -> Result<()> {
    process::SecurityOptions::check(host)
}

/// Whether `options` want a program of ours as process 1.
pub(crate) fn wants_init(options: &ContainerOptions, config: &Config) -> bool {
    options.host.init.unwrap_or(config.init)
}

#[cfg(test)]
mod tests;
