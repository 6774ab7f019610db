//! What `docker create` can say, as data.
//!
//! The daemon copies the wire's fields here without judging them; [`check`](crate::check) refuses by name what this
//! engine cannot honour. After creation the same type, merged with the image's configuration, is the container's
//! effective configuration and part of its record on disk (`state.rs`), so fields are only ever added, each with a default.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// Everything a create request says about a container but its name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerOptions {
    /// The image as the user wrote it; empty for none.
    pub image: String,
    /// The platform asked for (`linux/amd64`), if any.
    pub platform: Option<String>,
    /// `None`: the image's. `Some([])` clears it.
    pub cmd: Option<Vec<String>>,
    /// `None`: the image's. `Some([])` or `Some([""])` clears it, and the image's command with it.
    pub entrypoint: Option<Vec<String>>,
    /// `NAME=value` sets, `NAME` alone unsets what the image set.
    pub env: Vec<String>,
    /// `user[:group]`, names or numbers; empty: the image's, else root.
    pub user: String,
    /// Absolute; empty: the image's, else `/`.
    pub working_dir: String,
    /// Empty: the short id (or the host's name with host UTS or network).
    pub hostname: String,
    /// Empty: none.
    pub domainname: String,
    /// Give the first process a terminal.
    pub tty: bool,
    /// Keep stdin open while nobody is attached.
    pub open_stdin: bool,
    /// Close stdin when the first attached client leaves.
    pub stdin_once: bool,
    /// Which streams the client said it attaches; shown, and nothing else.
    pub attach: AttachedStreams,
    /// Labels; the image's are merged below them.
    pub labels: BTreeMap<String, String>,
    /// Signal `stop` sends first; empty: the image's, else SIGTERM.
    pub stop_signal: String,
    /// Seconds `stop` waits before SIGKILL; `None`: the daemon's (10). Negative: for ever.
    pub stop_timeout: Option<i64>,
    /// `80/tcp` and the like; merged with the image's.
    pub exposed_ports: BTreeSet<String>,
    /// Paths of anonymous volumes, `VOLUME` of the image merged in.
    pub volumes: BTreeSet<String>,
    /// A health check: kept and shown. A request that sets one is refused until health checks run.
    pub healthcheck: Option<Healthcheck>,
    /// Windows only; refused when true in a request, kept from images.
    pub args_escaped: bool,
    /// Switch networking off (the old `--net=none`).
    pub network_disabled: bool,
    /// `SHELL` of an image; shown only.
    pub shell: Option<Vec<String>>,
    /// `ONBUILD` of an image; shown only.
    pub on_build: Option<Vec<String>>,
    /// The hardware address in the network that the mode names.
    pub mac_address: String,
    /// What concerns the host.
    pub host: HostOptions,
    /// What the container is to be like in the networks it is to be in, by their names.
    pub networks: BTreeMap<String, EndpointOptions>,
}

/// What a container is to be like in one network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EndpointOptions {
    /// Further names there.
    pub aliases: Vec<String>,
    /// `CONTAINER[:ALIAS]`: names that nobody else there knows.
    pub links: Vec<String>,
    /// Empty: one that follows from the address.
    pub mac_address: String,
    pub driver_options: BTreeMap<String, String>,
    /// The network with the highest has the default route.
    pub gateway_priority: i64,
    /// Empty: any.
    pub ipv4: String,
    pub ipv6: String,
    /// Refused.
    pub link_local: Vec<String>,
}

/// A port of the container, and where on the host it is to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortBinding {
    /// `80/tcp`.
    pub port: String,
    /// Empty: the network's choice.
    pub host_ip: String,
    /// A port, or a range to choose one of; empty: any.
    pub host_port: String,
}

/// The standard streams a client said it attaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AttachedStreams {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

/// A health check; durations in nanoseconds as Docker has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Healthcheck {
    /// Empty: inherit. `["NONE"]`: none.
    pub test: Vec<String>,
    pub interval: i64,
    pub timeout: i64,
    pub start_period: i64,
    pub start_interval: i64,
    pub retries: i64,
}

/// The request's `HostConfig`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostOptions {
    /// `[source:]target[:options]`, as `-v` has it.
    pub binds: Vec<String>,
    /// `--mount`.
    pub mounts: Vec<MountOption>,
    /// Path in the container to mount options.
    pub tmpfs: BTreeMap<String, String>,
    /// `CONTAINER[:ro|rw]`.
    pub volumes_from: Vec<String>,
    /// Driver for volumes that have none named.
    pub volume_driver: String,
    /// Where the client writes the id; shown only.
    pub container_id_file: String,
    pub log: LogOptions,
    /// Empty, `default`, `none`, `host`, `container:NAME`, or a network's name.
    pub network_mode: String,
    /// `-p`.
    pub published: Vec<PortBinding>,
    pub publish_all_ports: bool,
    pub restart: RestartPolicy,
    pub auto_remove: bool,
    pub cap_add: Vec<String>,
    pub cap_drop: Vec<String>,
    /// Empty (the daemon's default), `private` or `host`.
    pub cgroupns_mode: String,
    pub dns: Vec<String>,
    pub dns_options: Vec<String>,
    pub dns_search: Vec<String>,
    /// `host:ip`.
    pub extra_hosts: Vec<String>,
    pub group_add: Vec<String>,
    /// Empty, `private`, `shareable`, `none`, `host`, `container:NAME`.
    pub ipc_mode: String,
    /// Legacy `--cgroup`; refused unless empty.
    pub cgroup: String,
    /// As it was asked for; once made, `ID:ALIAS` of containers on the default bridge.
    pub links: Vec<String>,
    pub oom_score_adj: i64,
    /// Empty, `host`, `container:NAME`.
    pub pid_mode: String,
    pub privileged: bool,
    pub readonly_rootfs: bool,
    /// `seccomp=...`, `no-new-privileges[=bool]`, `label=...`, `apparmor=...`, `systempaths=unconfined`.
    pub security_opt: Vec<String>,
    pub storage_opt: BTreeMap<String, String>,
    /// Empty or `host`.
    pub uts_mode: String,
    /// Empty or `host`.
    pub userns_mode: String,
    /// Bytes; 0: the default, 64 MiB.
    pub shm_size: i64,
    pub sysctls: BTreeMap<String, String>,
    /// A runtime's name; empty: the default.
    pub runtime: String,
    /// `[height, width]` of the client's terminal at creation.
    pub console_size: (u16, u16),
    /// Windows only; refused unless empty or `default`.
    pub isolation: String,
    /// `None`: the daemon's default (off).
    pub init: Option<bool>,
    pub annotations: BTreeMap<String, String>,
    /// `None`: the default list. `Some([])`: none.
    pub masked_paths: Option<Vec<String>>,
    /// `None`: the default list. `Some([])`: none.
    pub readonly_paths: Option<Vec<String>>,
    pub resources: ResourceOptions,
}

/// Limits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResourceOptions {
    pub cpu_shares: i64,
    /// Bytes; 0: unlimited.
    pub memory: i64,
    /// Billionths of a CPU; 0: unlimited.
    pub nano_cpus: i64,
    pub cgroup_parent: String,
    pub blkio_weight: u16,
    /// `(path, weight)`.
    pub blkio_weight_device: Vec<(String, u16)>,
    /// `(path, rate)`.
    pub blkio_device_read_bps: Vec<(String, u64)>,
    pub blkio_device_write_bps: Vec<(String, u64)>,
    pub blkio_device_read_iops: Vec<(String, u64)>,
    pub blkio_device_write_iops: Vec<(String, u64)>,
    pub cpu_period: i64,
    pub cpu_quota: i64,
    pub cpu_realtime_period: i64,
    pub cpu_realtime_runtime: i64,
    pub cpuset_cpus: String,
    pub cpuset_mems: String,
    pub devices: Vec<DeviceMapping>,
    pub device_cgroup_rules: Vec<String>,
    /// Names of GPU-like requests; refused.
    pub device_requests: Vec<String>,
    /// Deprecated and gone from Linux; refused unless 0.
    pub kernel_memory: i64,
    pub kernel_memory_tcp: i64,
    pub memory_reservation: i64,
    /// Memory and swap together; -1: unlimited swap; 0: twice the memory.
    pub memory_swap: i64,
    pub memory_swappiness: Option<i64>,
    pub oom_kill_disable: Option<bool>,
    /// `None`, 0 or -1: unlimited.
    pub pids_limit: Option<i64>,
    pub ulimits: Vec<Ulimit>,
    /// Windows only; refused unless 0.
    pub cpu_count: i64,
    pub cpu_percent: i64,
    pub io_maximum_iops: u64,
    pub io_maximum_bandwidth: u64,
}

/// `--device`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceMapping {
    pub path_on_host: String,
    pub path_in_container: String,
    /// Some of `rwm`; empty: `rwm`.
    pub cgroup_permissions: String,
}

/// `--ulimit`; -1 is unlimited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ulimit {
    pub name: String,
    pub soft: i64,
    pub hard: i64,
}

/// `--restart`. Only `no` (or empty) is accepted so far.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RestartPolicy {
    pub name: String,
    pub maximum_retry_count: i64,
}

/// `--log-driver` and `--log-opt`; an empty driver is the daemon's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LogOptions {
    pub driver: String,
    pub options: BTreeMap<String, String>,
}

/// One `--mount`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MountOption {
    /// `bind`, `volume`, `tmpfs`; others are refused by name.
    pub kind: String,
    /// A path, a volume's name, or empty.
    pub source: String,
    pub target: String,
    pub read_only: bool,
    /// `default`, `consistent`, `cached`, `delegated`: all the same on Linux.
    pub consistency: String,
    pub bind: Option<BindOptions>,
    pub volume: Option<VolumeOptions>,
    pub tmpfs: Option<TmpfsOptions>,
    /// `ImageOptions` were given (only for kind `image`, which is refused).
    pub has_image_options: bool,
    /// `ClusterOptions` were given (only for kind `cluster`, which is refused).
    pub has_cluster_options: bool,
}

/// What `--mount type=bind` adds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BindOptions {
    /// `private`, `rprivate`, `shared`, `rshared`, `slave`, `rslave`; empty: `rprivate`.
    pub propagation: String,
    pub non_recursive: bool,
    pub create_mountpoint: bool,
    /// Read-only, but not the mounts below it.
    pub read_only_non_recursive: bool,
    /// Read-only with everything below, or an error.
    pub read_only_force_recursive: bool,
}

/// What `--mount type=volume` adds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VolumeOptions {
    pub no_copy: bool,
    pub labels: BTreeMap<String, String>,
    pub subpath: String,
    /// Empty or `local`.
    pub driver: String,
    pub driver_options: BTreeMap<String, String>,
}

/// What `--mount type=tmpfs` adds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TmpfsOptions {
    /// Bytes; 0: the kernel's default, half the memory.
    pub size: i64,
    /// Permission bits; 0: 01777.
    pub mode: u32,
    /// Extra options as `[name, value?]`.
    pub options: Vec<Vec<String>>,
}

/// The create request's own documents, kept word for word so that `inspect` can echo what the client said.
///
/// The engine never looks inside: which names the wire has for things is the daemon's business.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Echo {
    /// `Config`: the request without `HostConfig` and `NetworkingConfig`.
    pub config: Box<RawValue>,
    pub host_config: Box<RawValue>,
    pub networking: Box<RawValue>,
}
