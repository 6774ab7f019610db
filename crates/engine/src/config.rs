//! What the daemon tells the engine when it opens it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use shim::keeping::HostNames;

use crate::networks::Networking;
use crate::options::LogOptions;
use crate::remote::Registries;

/// How an engine is set up. Paths are absolute; nothing is read from the environment or `/etc` but what is named here.
#[derive(Debug, Clone)]
pub struct Config {
    /// Tells this engine from all others on this machine, for ever: its networks bear a mark made of it.
    pub id: String,
    /// `/var/lib/tare`: what must survive a reboot.
    pub data_root: PathBuf,
    /// `/run/tare`: what must not.
    pub exec_root: PathBuf,
    /// Parent of every container's cgroup, `/tare`.
    pub cgroup_parent: String,
    /// The `tare-shim` binary.
    pub shim_path: PathBuf,
    /// Other OCI runtimes by name, for `--runtime`. Our own is always there as [`crate::RUNTIME`].
    pub runtimes: BTreeMap<String, ExternalRuntime>,
    /// Runtime of containers that name none.
    pub default_runtime: String,
    /// Driver and options of containers that name none; without a driver `json-file`, 10 MB in 5 files.
    pub log: LogOptions,
    /// The daemon's labels, shown in `info`.
    pub labels: Vec<String>,
    /// Name of the engine in events (`Actor.Attributes.name` of daemon events).
    pub name: String,
    /// Seconds `stop` waits when nobody says (10).
    pub stop_timeout: u32,
    /// Bytes of /dev/shm when nobody says (64 MiB).
    pub shm_size: u64,
    /// Run `docker-init` in containers that do not say.
    pub init: bool,
    /// Name servers for containers when they name none; empty: the host's.
    pub dns: Vec<String>,
    pub dns_options: Vec<String>,
    pub dns_search: Vec<String>,
    /// Where the host is told names of containers, and below which domain; `None`: nowhere.
    pub host_names: Option<HostNames>,
    /// Ulimits of containers that do not set them.
    pub ulimits: Vec<crate::options::Ulimit>,
    /// A seccomp profile (JSON) in place of the built-in one; `unconfined` for none.
    pub seccomp_profile: Option<String>,
    /// `--no-new-privileges` for every container that does not say otherwise.
    pub no_new_privileges: bool,
    /// The default bridge, and where subnets come from.
    pub networking: Networking,
    /// How images come and go.
    pub registries: Registries,
    /// Bytes of file content that one layer may hold; `None`: as many as the disk can take.
    pub max_layer_size: Option<u64>,
    /// How new containers get their root file systems.
    pub storage_driver: image::DriverKind,
}

impl Config {
    /// The configuration of a daemon that was told nothing but where its folders and its shim are.
    pub fn new(
        data_root: impl Into<PathBuf>,
        exec_root: impl Into<PathBuf>,
        shim_path: impl Into<PathBuf>,
    ) -> Self {
        let data_root = data_root.into();
        Self {
            id: data_root.to_string_lossy().into_owned(),
            data_root,
            exec_root: exec_root.into(),
            cgroup_parent: "/tare".to_owned(),
            shim_path: shim_path.into(),
            runtimes: BTreeMap::new(),
            default_runtime: crate::RUNTIME.to_owned(),
            log: LogOptions::default(),
            labels: Vec::new(),
            name: String::new(),
            stop_timeout: 10,
            shm_size: 64 << 20,
            init: false,
            dns: Vec::new(),
            dns_options: Vec::new(),
            dns_search: Vec::new(),
            host_names: None,
            ulimits: Vec::new(),
            seccomp_profile: None,
            no_new_privileges: false,
            networking: Networking::default(),
            registries: Registries::default(),
            max_layer_size: None,
            storage_driver: image::DriverKind::default(),
        }
    }
}

/// Another OCI runtime that the shim drives through its command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExternalRuntime {
    pub path: PathBuf,
    pub args: Vec<String>,
}
