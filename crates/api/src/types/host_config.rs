//! `HostConfig`: how a container sits on its host.

use std::collections::BTreeMap;

use super::StrSlice;
use super::mount::Mount;
use super::network::PortMap;
use super::wire::{is_default, wire};

wire! {
    /// All of Docker's `HostConfig`, in its order.
    pub struct HostConfig {
        /// `-v`: `source:target[:options]`.
        pub binds: Option<Vec<String>>,
        /// `--cidfile`.
        #[serde(rename = "ContainerIDFile")]
        pub container_id_file: String,
        /// `--log-driver` and `--log-opt`.
        pub log_config: LogConfig,
        /// `--network`: `default`, `bridge`, `host`, `none`, `container:NAME` or a network's name.
        pub network_mode: String,
        /// `-p`.
        pub port_bindings: Option<PortMap>,
        /// `--restart`.
        pub restart_policy: RestartPolicy,
        /// `--rm`.
        pub auto_remove: bool,
        /// `--volume-driver`.
        pub volume_driver: String,
        /// `--volumes-from`.
        pub volumes_from: Option<Vec<String>>,
        /// Height and width of the first terminal.
        pub console_size: [u32; 2],
        /// `--annotation`.
        #[serde(skip_serializing_if = "is_default")]
        pub annotations: BTreeMap<String, String>,
        /// `--cap-add`.
        pub cap_add: Option<StrSlice>,
        /// `--cap-drop`.
        pub cap_drop: Option<StrSlice>,
        /// `--cgroupns`: `host`, `private` or empty.
        pub cgroupns_mode: String,
        /// `--dns`.
        pub dns: Option<Vec<String>>,
        /// `--dns-option`.
        pub dns_options: Option<Vec<String>>,
        /// `--dns-search`.
        pub dns_search: Option<Vec<String>>,
        /// `--add-host`: `name:address`.
        pub extra_hosts: Option<Vec<String>>,
        /// `--group-add`.
        pub group_add: Option<Vec<String>>,
        /// `--ipc`.
        pub ipc_mode: String,
        /// Long unused.
        pub cgroup: String,
        /// `--link`.
        pub links: Option<Vec<String>>,
        /// `--oom-score-adj`.
        pub oom_score_adj: i64,
        /// `--pid`.
        pub pid_mode: String,
        /// `--privileged`.
        pub privileged: bool,
        /// `-P`.
        pub publish_all_ports: bool,
        /// `--read-only`.
        pub readonly_rootfs: bool,
        /// `--security-opt`.
        pub security_opt: Option<Vec<String>>,
        /// `--storage-opt`.
        #[serde(skip_serializing_if = "is_default")]
        pub storage_opt: BTreeMap<String, String>,
        /// `--tmpfs`: options by path.
        #[serde(skip_serializing_if = "is_default")]
        pub tmpfs: BTreeMap<String, String>,
        /// `--uts`.
        #[serde(rename = "UTSMode")]
        pub uts_mode: String,
        /// `--userns`.
        pub userns_mode: String,
        /// `--shm-size`, in bytes.
        pub shm_size: i64,
        /// `--sysctl`.
        #[serde(skip_serializing_if = "is_default")]
        pub sysctls: BTreeMap<String, String>,
        /// `--runtime`.
        #[serde(skip_serializing_if = "is_default")]
        pub runtime: String,
        /// Windows: `default`, `process` or `hyperv`.
        pub isolation: String,
        /// `--cpu-shares`.
        pub cpu_shares: i64,
        /// `--memory`, in bytes.
        pub memory: i64,
        /// `--cpus`, in billionths.
        pub nano_cpus: i64,
        /// `--cgroup-parent`.
        pub cgroup_parent: String,
        /// `--blkio-weight`.
        pub blkio_weight: u16,
        /// `--blkio-weight-device`.
        pub blkio_weight_device: Option<Vec<WeightDevice>>,
        /// `--device-read-bps`.
        pub blkio_device_read_bps: Option<Vec<ThrottleDevice>>,
        /// `--device-write-bps`.
        pub blkio_device_write_bps: Option<Vec<ThrottleDevice>>,
        /// `--device-read-iops`.
        #[serde(rename = "BlkioDeviceReadIOps")]
        pub blkio_device_read_iops: Option<Vec<ThrottleDevice>>,
        /// `--device-write-iops`.
        #[serde(rename = "BlkioDeviceWriteIOps")]
        pub blkio_device_write_iops: Option<Vec<ThrottleDevice>>,
        /// `--cpu-period`, in microseconds.
        pub cpu_period: i64,
        /// `--cpu-quota`, in microseconds.
        pub cpu_quota: i64,
        /// `--cpu-rt-period`, in microseconds.
        pub cpu_realtime_period: i64,
        /// `--cpu-rt-runtime`, in microseconds.
        pub cpu_realtime_runtime: i64,
        /// `--cpuset-cpus`.
        pub cpuset_cpus: String,
        /// `--cpuset-mems`.
        pub cpuset_mems: String,
        /// `--device`.
        pub devices: Option<Vec<DeviceMapping>>,
        /// `--device-cgroup-rule`.
        pub device_cgroup_rules: Option<Vec<String>>,
        /// `--gpus`.
        pub device_requests: Option<Vec<DeviceRequest>>,
        /// `--kernel-memory-tcp`; gone from the kernel.
        #[serde(rename = "KernelMemoryTCP", skip_serializing_if = "is_default")]
        pub kernel_memory_tcp: i64,
        /// `--kernel-memory`; gone from the kernel.
        #[serde(skip_serializing_if = "is_default")]
        pub kernel_memory: i64,
        /// `--memory-reservation`, in bytes.
        pub memory_reservation: i64,
        /// `--memory-swap`: memory and swap together, in bytes; -1 is without limit.
        pub memory_swap: i64,
        /// `--memory-swappiness`, 0 to 100; -1 is the kernel's.
        pub memory_swappiness: Option<i64>,
        /// `--oom-kill-disable`.
        pub oom_kill_disable: Option<bool>,
        /// `--pids-limit`; 0 or -1 is without limit.
        pub pids_limit: Option<i64>,
        /// `--ulimit`.
        pub ulimits: Option<Vec<Ulimit>>,
        /// Windows.
        pub cpu_count: i64,
        /// Windows.
        pub cpu_percent: i64,
        /// Windows.
        #[serde(rename = "IOMaximumIOps")]
        pub io_maximum_iops: u64,
        /// Windows.
        #[serde(rename = "IOMaximumBandwidth")]
        pub io_maximum_bandwidth: u64,
        /// `--mount`.
        #[serde(skip_serializing_if = "is_default")]
        pub mounts: Vec<Mount>,
        /// Paths that are hidden; `null` asks for the default list.
        pub masked_paths: Option<Vec<String>>,
        /// Paths that are read-only; `null` asks for the default list.
        pub readonly_paths: Option<Vec<String>>,
        /// `--init`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub init: Option<bool>,
    }

    /// Where a container's output goes.
    pub struct LogConfig {
        /// The driver's name.
        pub r#type: String,
        /// Its options.
        pub config: Option<BTreeMap<String, String>>,
    }

    /// When a container that ended is started again.
    pub struct RestartPolicy {
        /// `no`, `always`, `on-failure` or `unless-stopped`.
        pub name: String,
        /// For `on-failure`; 0 is for ever.
        pub maximum_retry_count: i64,
    }

    /// A block device's weight.
    pub struct WeightDevice {
        /// The device's path.
        pub path: String,
        /// 10 to 1000.
        pub weight: u16,
    }

    /// A block device's limit.
    pub struct ThrottleDevice {
        /// The device's path.
        pub path: String,
        /// Bytes or operations a second.
        pub rate: u64,
    }

    /// A device of the host given to the container.
    pub struct DeviceMapping {
        /// Its path on the host.
        pub path_on_host: String,
        /// Its path in the container.
        pub path_in_container: String,
        /// Of `r`, `w` and `m`.
        pub cgroup_permissions: String,
    }

    /// Devices asked of a driver.
    pub struct DeviceRequest {
        /// The driver's name.
        pub driver: String,
        /// How many; -1 is all.
        pub count: i64,
        /// Devices by name.
        #[serde(rename = "DeviceIDs")]
        pub device_ids: Option<Vec<String>>,
        /// Alternatives of capabilities that must all be there.
        pub capabilities: Option<Vec<Vec<String>>>,
        /// The driver's options.
        pub options: Option<BTreeMap<String, String>>,
    }

    /// A resource limit of the container's processes.
    pub struct Ulimit {
        /// Its name, without `RLIMIT_`, in lower case.
        pub name: String,
        /// The hard limit; -1 is without limit.
        pub hard: i64,
        /// The soft limit; -1 is without limit.
        pub soft: i64,
    }
}
