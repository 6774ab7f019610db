//! Containers: create, inspect, list and the small answers about them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::host_config::HostConfig;
use super::mount::MountPoint;
use super::network::{NetworkSettings, NetworkSettingsSummary, NetworkingConfig};
use super::wire::{is_default, null_is_default, wire};
use super::{Set, StrSlice};

/// Body of `POST /containers/create`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CreateRequest {
    /// The members of `Config`, which stand beside the other two.
    #[serde(flatten)]
    pub config: ContainerConfig,
    /// How it sits on the host.
    #[serde(deserialize_with = "null_is_default")]
    pub host_config: HostConfig,
    /// Networks to join.
    #[serde(deserialize_with = "null_is_default")]
    pub networking_config: NetworkingConfig,
}

wire! {
    /// `Config`: what a container runs, apart from its host.
    pub struct ContainerConfig {
        /// The container's host name.
        pub hostname: String,
        /// Its NIS domain.
        pub domainname: String,
        /// `user[:group]`, names or numbers.
        pub user: String,
        /// Whether the creating client attaches to stdin.
        pub attach_stdin: bool,
        /// Whether the creating client attaches to stdout.
        pub attach_stdout: bool,
        /// Whether the creating client attaches to stderr.
        pub attach_stderr: bool,
        /// Ports the program listens on, as `80/tcp`.
        #[serde(skip_serializing_if = "is_default")]
        pub exposed_ports: Set,
        /// Whether the process gets a terminal.
        pub tty: bool,
        /// Whether stdin stays open without a client.
        pub open_stdin: bool,
        /// Whether stdin is closed when the first client leaves.
        pub stdin_once: bool,
        /// `NAME=value`; a bare `NAME` takes it away.
        pub env: Option<Vec<String>>,
        /// Arguments, or the command if there is no entrypoint.
        pub cmd: Option<StrSlice>,
        /// How to find out whether it is well.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub healthcheck: Option<HealthConfig>,
        /// Windows: the command is one escaped string.
        #[serde(skip_serializing_if = "is_default")]
        pub args_escaped: bool,
        /// The image's name as the user gave it.
        pub image: String,
        /// Anonymous volumes by path.
        pub volumes: Option<Set>,
        /// Where the process starts.
        pub working_dir: String,
        /// The command that always runs.
        pub entrypoint: Option<StrSlice>,
        /// No network at all.
        #[serde(skip_serializing_if = "is_default")]
        pub network_disabled: bool,
        /// The first network's hardware address; gone with API 1.52.
        #[serde(skip_serializing_if = "is_default")]
        pub mac_address: String,
        /// Build triggers of the image.
        pub on_build: Option<Vec<String>>,
        /// Labels.
        pub labels: Option<BTreeMap<String, String>>,
        /// The signal that asks it to end.
        #[serde(skip_serializing_if = "is_default")]
        pub stop_signal: String,
        /// Seconds until it is killed.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub stop_timeout: Option<i64>,
        /// The shell for the shell form of a command.
        #[serde(skip_serializing_if = "is_default")]
        pub shell: StrSlice,
    }

    /// A health check; durations in nanoseconds, 0 takes the default.
    pub struct HealthConfig {
        /// `NONE`, or `CMD` or `CMD-SHELL` and what follows; empty takes the image's.
        #[serde(skip_serializing_if = "is_default")]
        pub test: Vec<String>,
        /// Between two checks.
        #[serde(skip_serializing_if = "is_default")]
        pub interval: i64,
        /// How long a check may take.
        #[serde(skip_serializing_if = "is_default")]
        pub timeout: i64,
        /// While failures do not count yet.
        #[serde(skip_serializing_if = "is_default")]
        pub start_period: i64,
        /// Between two checks in the start period.
        #[serde(skip_serializing_if = "is_default")]
        pub start_interval: i64,
        /// Failures in a row until it is unhealthy.
        #[serde(skip_serializing_if = "is_default")]
        pub retries: i64,
    }

    /// Answer of `POST /containers/create`.
    pub struct CreateResponse {
        /// The new container's id.
        pub id: String,
        /// What was asked but will not be.
        pub warnings: Vec<String>,
    }

    /// Answer of `GET /containers/{id}/json`.
    pub struct ContainerInspect {
        /// Its id, 64 hexadecimal digits.
        pub id: String,
        /// When it was made, RFC 3339 with nanoseconds.
        pub created: String,
        /// The program of its first process.
        pub path: String,
        /// That program's arguments.
        pub args: Vec<String>,
        /// Its life.
        pub state: Option<State>,
        /// The image's id.
        pub image: String,
        /// The file mounted on /etc/resolv.conf.
        pub resolv_conf_path: String,
        /// The file mounted on /etc/hostname.
        pub hostname_path: String,
        /// The file mounted on /etc/hosts.
        pub hosts_path: String,
        /// The json-file log.
        pub log_path: String,
        /// Its name with a slash before it.
        pub name: String,
        /// How often the restart policy started it.
        pub restart_count: i64,
        /// The storage driver.
        pub driver: String,
        /// The operating system.
        pub platform: String,
        /// SELinux label of its mounts.
        pub mount_label: String,
        /// SELinux label of its processes.
        pub process_label: String,
        /// Its AppArmor profile.
        pub app_armor_profile: String,
        /// Ids of its execs; `null` if there are none.
        #[serde(rename = "ExecIDs")]
        pub exec_ids: Option<Vec<String>>,
        /// How it sits on the host.
        pub host_config: Option<HostConfig>,
        /// Where its filesystem lies; absent when image storage is containerd's.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub graph_driver: Option<GraphDriver>,
        /// Bytes written on top of the image; only with `size=1`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub size_rw: Option<i64>,
        /// Bytes of the whole filesystem; only with `size=1`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub size_root_fs: Option<i64>,
        /// What is mounted in it.
        pub mounts: Vec<MountPoint>,
        /// What it runs.
        pub config: Option<ContainerConfig>,
        /// Its place in networks.
        pub network_settings: Option<NetworkSettings>,
    }

    /// A container's life so far.
    pub struct State {
        /// `created`, `running`, `paused`, `restarting`, `removing`, `exited` or `dead`.
        pub status: String,
        /// Whether a process lives, paused or not.
        pub running: bool,
        /// Whether it is frozen.
        pub paused: bool,
        /// Whether it waits to be started again.
        pub restarting: bool,
        /// Whether the kernel ended it for want of memory.
        #[serde(rename = "OOMKilled")]
        pub oom_killed: bool,
        /// Whether removing it failed.
        pub dead: bool,
        /// The first process on the host; 0 if there is none.
        pub pid: i64,
        /// How its last run ended.
        pub exit_code: i64,
        /// Why it could not be started.
        pub error: String,
        /// RFC 3339; the year 1 if never.
        pub started_at: String,
        /// RFC 3339; the year 1 if never.
        pub finished_at: String,
        /// Only with a health check.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub health: Option<Health>,
    }

    /// How well a container is.
    pub struct Health {
        /// `none`, `starting`, `healthy` or `unhealthy`.
        pub status: String,
        /// Failures in a row.
        pub failing_streak: i64,
        /// The last five checks; only in inspect.
        #[serde(skip_serializing_if = "is_default")]
        pub log: Vec<HealthCheckResult>,
    }

    /// One health check that ran.
    pub struct HealthCheckResult {
        /// When it began, RFC 3339.
        pub start: String,
        /// When it ended, RFC 3339.
        pub end: String,
        /// Its exit code; 0 is well.
        pub exit_code: i64,
        /// Its output, cut at 4 KiB.
        pub output: String,
    }

    /// Where a filesystem's layers lie on the host.
    pub struct GraphDriver {
        /// For overlay2: `LowerDir`, `MergedDir`, `UpperDir`, `WorkDir`, and `ID` for a container.
        pub data: Option<BTreeMap<String, String>>,
        /// The driver's name.
        pub name: String,
    }

    /// One entry of `GET /containers/json`.
    pub struct ContainerSummary {
        /// Its id.
        pub id: String,
        /// Its names with a slash before each.
        pub names: Vec<String>,
        /// The image as the user named it, or its id when that name has moved on.
        pub image: String,
        /// The image's id.
        #[serde(rename = "ImageID")]
        pub image_id: String,
        /// Program and arguments with spaces between.
        pub command: String,
        /// When it was made, in Unix seconds.
        pub created: i64,
        /// Published and exposed ports.
        pub ports: Vec<Port>,
        /// Bytes written on top of the image; only with `size=1`, and only if there are any.
        #[serde(skip_serializing_if = "is_default")]
        pub size_rw: i64,
        /// Bytes of the whole filesystem; only with `size=1`.
        #[serde(skip_serializing_if = "is_default")]
        pub size_root_fs: i64,
        /// Labels.
        pub labels: Option<BTreeMap<String, String>>,
        /// As `State.Status`.
        pub state: String,
        /// In words, as `Up 2 hours (Paused)`.
        pub status: String,
        /// The little of it that the list tells.
        pub host_config: HostConfigSummary,
        /// API 1.52.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub health: Option<HealthSummary>,
        /// Its place in networks.
        pub network_settings: Option<NetworkSettingsSummary>,
        /// What is mounted in it.
        pub mounts: Vec<MountPoint>,
    }

    /// `HostConfig` of the list.
    pub struct HostConfigSummary {
        /// The network mode.
        #[serde(skip_serializing_if = "is_default")]
        pub network_mode: String,
        /// Annotations.
        #[serde(skip_serializing_if = "is_default")]
        pub annotations: BTreeMap<String, String>,
    }

    /// `Health` of the list.
    pub struct HealthSummary {
        /// As in [`Health`].
        #[serde(skip_serializing_if = "is_default")]
        pub status: String,
        /// Failures in a row.
        pub failing_streak: i64,
    }

    /// A port of the list.
    pub struct Port {
        /// The host's address.
        #[serde(rename = "IP", skip_serializing_if = "is_default")]
        pub ip: String,
        /// In the container.
        pub private_port: u16,
        /// On the host; 0 if it is not published.
        #[serde(skip_serializing_if = "is_default")]
        pub public_port: u16,
        /// `tcp`, `udp` or `sctp`.
        pub r#type: String,
    }

    /// Answer of `POST /containers/{id}/wait`.
    pub struct WaitResponse {
        /// Only if waiting itself failed, or the container could not be started.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub error: Option<WaitError>,
        /// How it ended.
        pub status_code: i64,
    }

    /// Why there is no exit code.
    pub struct WaitError {
        /// In words.
        pub message: String,
    }

    /// Answer of `GET /containers/{id}/top`.
    pub struct TopResponse {
        /// One row a process.
        pub processes: Vec<Vec<String>>,
        /// The column's names.
        pub titles: Vec<String>,
    }

    /// One entry of `GET /containers/{id}/changes`.
    pub struct Change {
        /// Its path in the container.
        pub path: String,
        /// 0 modified, 1 added, 2 deleted.
        pub kind: u8,
    }

    /// Header `X-Docker-Container-Path-Stat`, base64 of this as JSON; its names are in lower camel case.
    pub struct PathStat {
        /// The last part of the path.
        #[serde(rename = "name")]
        pub name: String,
        /// In bytes.
        #[serde(rename = "size")]
        pub size: i64,
        /// Type and permissions in the bits of Go's `os.FileMode`, which are not `st_mode`'s.
        #[serde(rename = "mode")]
        pub mode: u32,
        /// Modification time, RFC 3339.
        #[serde(rename = "mtime")]
        pub mtime: String,
        /// Where a symbolic link points.
        #[serde(rename = "linkTarget")]
        pub link_target: String,
    }
}
