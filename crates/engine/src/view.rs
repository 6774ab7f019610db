//! What `inspect` and `ps` see of a container: a snapshot in memory, taken without asking anybody.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use oci::{ContainerId, Digest};

use crate::options::{ContainerOptions, Echo, EndpointOptions, LogOptions, PortBinding};
use crate::ports::PortView;

/// One container at one moment.
#[derive(Debug, Clone)]
pub struct ContainerView {
    pub id: ContainerId,
    /// Without the leading slash.
    pub name: String,
    pub created: Timestamp,
    /// The program and its arguments: entrypoint and command joined.
    pub path: String,
    pub args: Vec<String>,
    /// `None` for a container without an image.
    pub image: Option<Digest>,
    pub state: StateView,
    /// The request merged with the image's configuration.
    pub options: Arc<ContainerOptions>,
    pub echo: Arc<Echo>,
    pub log: LogOptions,
    /// The runtime in force.
    pub runtime: String,
    pub resolv_conf_path: PathBuf,
    pub hostname_path: PathBuf,
    pub hosts_path: PathBuf,
    /// Empty unless the driver is `json-file`.
    pub log_path: PathBuf,
    pub restart_count: u32,
    /// Running execs.
    pub exec_ids: Vec<String>,
    pub graph: GraphView,
    pub mounts: Vec<MountView>,
    /// `/db:/web/alias`, of the default bridge.
    pub links: Vec<String>,
    /// What others that link to it call it, `web/alias`, in order; known in lists only.
    pub linked_as: Vec<String>,
    pub networks: Vec<PlaceView>,
    /// What is to be published.
    pub published: Vec<PortBinding>,
    /// Of a container that runs, by number.
    pub ports: Vec<PortView>,
    /// Only when asked for.
    pub size: Option<SizeView>,
}

/// Docker's `State.Status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    Created,
    Running,
    Paused,
    Restarting,
    Removing,
    Exited,
    Dead,
}

impl Status {
    /// Docker's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Restarting => "restarting",
            Status::Removing => "removing",
            Status::Exited => "exited",
            Status::Dead => "dead",
        }
    }
}

/// The life of a container so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateView {
    pub status: Status,
    /// True while running or paused.
    pub running: bool,
    pub oom_killed: bool,
    /// 0 while it does not run.
    pub pid: u32,
    pub exit_code: i32,
    /// Why the last start failed.
    pub error: String,
    /// `None` is Docker's `0001-01-01T00:00:00Z`.
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// `GraphDriver.Data` of overlay2.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GraphView {
    pub driver: image::DriverKind,
    /// Topmost first.
    pub lower: Vec<PathBuf>,
    pub upper: PathBuf,
    pub work: PathBuf,
    pub merged: PathBuf,
}

/// What kind of thing is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MountKind {
    Bind,
    Volume,
    Tmpfs,
}

impl MountKind {
    /// Docker's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            MountKind::Bind => "bind",
            MountKind::Volume => "volume",
            MountKind::Tmpfs => "tmpfs",
        }
    }
}

/// One entry of `Mounts` in `inspect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountView {
    pub kind: MountKind,
    /// A volume's name, else empty.
    pub name: String,
    pub source: String,
    pub destination: String,
    /// `local` for volumes, else empty.
    pub driver: String,
    /// As `-v` had it (`ro,z`); empty for `--mount`.
    pub mode: String,
    pub read_write: bool,
    pub propagation: String,
}

/// A container's place in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlaceView {
    /// The network's name.
    pub network: String,
    /// Empty while there is no such network.
    pub network_id: String,
    /// What was asked for.
    pub wish: EndpointOptions,
    /// The container's names there.
    pub names: Vec<String>,
    /// The network's, while the container runs.
    pub gateway_v4: Option<IpAddr>,
    pub gateway_v6: Option<IpAddr>,
    /// `None` while it does not run.
    pub endpoint: Option<network::Endpoint>,
}

/// Sizes in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SizeView {
    /// The writable layer.
    pub rw: u64,
    /// With all the layers below.
    pub root_fs: u64,
}
