//! `GET /info` and `GET /version`.

use std::collections::BTreeMap;

use super::wire::{is_default, wire};

wire! {
    /// Answer of `GET /version`.
    pub struct Version {
        /// The product.
        pub platform: Platform,
        /// The parts the engine is made of.
        #[serde(skip_serializing_if = "is_default")]
        pub components: Vec<Component>,
        /// The engine's version.
        pub version: String,
        /// The newest API version it speaks.
        pub api_version: String,
        /// The oldest API version it speaks.
        #[serde(rename = "MinAPIVersion")]
        pub min_api_version: String,
        /// The commit it was built from.
        pub git_commit: String,
        /// The Go version in Docker; empty here.
        pub go_version: String,
        /// The operating system.
        pub os: String,
        /// The processor in Go's words.
        pub arch: String,
        /// The kernel's release.
        #[serde(skip_serializing_if = "is_default")]
        pub kernel_version: String,
        /// Whether experimental features are on.
        #[serde(skip_serializing_if = "is_default")]
        pub experimental: bool,
        /// When it was built, RFC 3339.
        #[serde(skip_serializing_if = "is_default")]
        pub build_time: String,
    }

    /// The product's name.
    pub struct Platform {
        /// The name.
        pub name: String,
    }

    /// One part of an engine.
    pub struct Component {
        /// Its name.
        pub name: String,
        /// Its version.
        pub version: String,
        /// What else there is to say.
        #[serde(skip_serializing_if = "is_default")]
        pub details: BTreeMap<String, String>,
    }

    /// Answer of `GET /info`.
    pub struct Info {
        /// The engine's id, kept over its restarts.
        #[serde(rename = "ID")]
        pub id: String,
        /// How many.
        pub containers: i64,
        /// How many of them run.
        pub containers_running: i64,
        /// How many of them are paused.
        pub containers_paused: i64,
        /// How many of them do neither.
        pub containers_stopped: i64,
        /// How many.
        pub images: i64,
        /// The storage driver.
        pub driver: String,
        /// What it has to say, name and value each.
        pub driver_status: Vec<[String; 2]>,
        /// What the systems's plugins are, empty if there is nothing to say.
        #[serde(skip_serializing_if = "is_default")]
        pub system_status: Vec<[String; 2]>,
        /// Drivers by kind.
        pub plugins: Plugins,
        /// What the kernel's control groups offer.
        pub memory_limit: bool,
        /// As before.
        pub swap_limit: bool,
        /// As before.
        #[serde(skip_serializing_if = "is_default")]
        pub kernel_memory: bool,
        /// As before; gone with API 1.52.
        #[serde(rename = "KernelMemoryTCP", skip_serializing_if = "is_default")]
        pub kernel_memory_tcp: bool,
        /// As before.
        pub cpu_cfs_period: bool,
        /// As before.
        pub cpu_cfs_quota: bool,
        /// As before.
        #[serde(rename = "CPUShares")]
        pub cpu_shares: bool,
        /// As before.
        #[serde(rename = "CPUSet")]
        pub cpu_set: bool,
        /// As before.
        pub pids_limit: bool,
        /// Whether the kernel forwards packets.
        #[serde(rename = "IPv4Forwarding")]
        pub ipv4_forwarding: bool,
        /// Up to API 1.49.
        #[serde(rename = "BridgeNfIptables", skip_serializing_if = "Option::is_none")]
        pub bridge_nf_iptables: Option<bool>,
        /// Up to API 1.49.
        #[serde(rename = "BridgeNfIp6tables", skip_serializing_if = "Option::is_none")]
        pub bridge_nf_ip6tables: Option<bool>,
        /// Whether the engine logs for debugging.
        pub debug: bool,
        /// Its open files.
        pub n_fd: i64,
        /// As `MemoryLimit`.
        pub oom_kill_disable: bool,
        /// Its goroutines in Docker; its tasks here.
        pub n_goroutines: i64,
        /// Its clock, RFC 3339.
        pub system_time: String,
        /// The default log driver.
        pub logging_driver: String,
        /// `cgroupfs`, `systemd` or `none`.
        pub cgroup_driver: String,
        /// `1` or `2`.
        #[serde(skip_serializing_if = "is_default")]
        pub cgroup_version: String,
        /// Clients that listen to events.
        pub n_events_listener: i64,
        /// The kernel's release.
        pub kernel_version: String,
        /// The host's distribution.
        pub operating_system: String,
        /// The distribution's version.
        #[serde(rename = "OSVersion")]
        pub os_version: String,
        /// `linux`.
        #[serde(rename = "OSType")]
        pub os_type: String,
        /// The processor in the kernel's words.
        pub architecture: String,
        /// The default registry's index.
        pub index_server_address: String,
        /// What is known about registries.
        pub registry_config: Option<RegistryConfig>,
        /// Processors.
        #[serde(rename = "NCPU")]
        pub ncpu: i64,
        /// Bytes of memory.
        pub mem_total: i64,
        /// Always `null` without swarm.
        pub generic_resources: Option<Vec<serde_json::Value>>,
        /// The data root.
        pub docker_root_dir: String,
        /// The engine's proxy.
        pub http_proxy: String,
        /// The engine's proxy.
        pub https_proxy: String,
        /// Who is reached without it.
        pub no_proxy: String,
        /// The host's name.
        pub name: String,
        /// The engine's labels.
        pub labels: Option<Vec<String>>,
        /// Whether experimental features are on.
        pub experimental_build: bool,
        /// The engine's version.
        pub server_version: String,
        /// OCI runtimes by name.
        pub runtimes: BTreeMap<String, Runtime>,
        /// The one that is used unless another is asked for.
        pub default_runtime: String,
        /// Swarm's state.
        pub swarm: Swarm,
        /// Whether containers outlive the daemon.
        pub live_restore_enabled: bool,
        /// Windows.
        pub isolation: String,
        /// What `--init` runs.
        pub init_binary: String,
        /// Commit of containerd.
        pub containerd_commit: Commit,
        /// Commit of the runtime.
        pub runc_commit: Commit,
        /// Commit of init.
        pub init_commit: Commit,
        /// As `name=seccomp,profile=builtin`.
        pub security_options: Vec<String>,
        /// The product's licence.
        #[serde(skip_serializing_if = "is_default")]
        pub product_license: String,
        /// Pools that networks get their subnets from.
        #[serde(skip_serializing_if = "is_default")]
        pub default_address_pools: Vec<AddressPool>,
        /// What filters packets (API 1.49).
        #[serde(skip_serializing_if = "Option::is_none")]
        pub firewall_backend: Option<FirewallBackend>,
        /// Devices found by their drivers (API 1.50).
        #[serde(skip_serializing_if = "is_default")]
        pub discovered_devices: Vec<serde_json::Value>,
        /// Where device specifications are looked for.
        #[serde(rename = "CDISpecDirs")]
        pub cdi_spec_dirs: Vec<String>,
        /// Where containerd is; absent here.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub containerd: Option<Containerd>,
        /// What the user should know.
        pub warnings: Option<Vec<String>>,
    }

    /// Drivers by kind.
    pub struct Plugins {
        /// Volume drivers.
        pub volume: Vec<String>,
        /// Network drivers.
        pub network: Vec<String>,
        /// Authorisation plugins; `null` if there are none.
        pub authorization: Option<Vec<String>>,
        /// Log drivers.
        pub log: Vec<String>,
    }

    /// What is known about registries.
    pub struct RegistryConfig {
        /// By the index's name.
        pub index_configs: BTreeMap<String, IndexConfig>,
        /// Networks whose registries may be without TLS.
        #[serde(rename = "InsecureRegistryCIDRs")]
        pub insecure_registry_cidrs: Vec<String>,
        /// Mirrors of Docker Hub.
        pub mirrors: Option<Vec<String>>,
    }

    /// One registry.
    pub struct IndexConfig {
        /// Its mirrors.
        pub mirrors: Vec<String>,
        /// Its name.
        pub name: String,
        /// Whether it is Docker's own.
        pub official: bool,
        /// Whether TLS is demanded.
        pub secure: bool,
    }

    /// An OCI runtime; these names begin in lower case.
    pub struct Runtime {
        /// Its file.
        #[serde(rename = "path", skip_serializing_if = "is_default")]
        pub path: String,
        /// Arguments before the command.
        #[serde(rename = "runtimeArgs", skip_serializing_if = "is_default")]
        pub runtime_args: Vec<String>,
        /// A containerd shim's name.
        #[serde(rename = "runtimeType", skip_serializing_if = "is_default")]
        pub runtime_type: String,
        /// What it says about itself.
        #[serde(rename = "status", skip_serializing_if = "is_default")]
        pub status: BTreeMap<String, String>,
    }

    /// Swarm's state.
    pub struct Swarm {
        /// This node's id.
        #[serde(rename = "NodeID")]
        pub node_id: String,
        /// Its address.
        pub node_addr: String,
        /// `inactive` without a swarm.
        pub local_node_state: String,
        /// Whether it is a manager.
        pub control_available: bool,
        /// What is wrong.
        pub error: String,
        /// The other managers.
        pub remote_managers: Option<Vec<serde_json::Value>>,
    }

    /// The commit something was built from.
    pub struct Commit {
        /// Its id.
        #[serde(rename = "ID")]
        pub id: String,
        /// What was expected; up to API 1.48.
        #[serde(skip_serializing_if = "is_default")]
        pub expected: String,
    }

    /// A pool that networks get their subnets from.
    pub struct AddressPool {
        /// The pool.
        pub base: String,
        /// Prefix length of a subnet.
        pub size: i64,
    }

    /// What filters packets.
    pub struct FirewallBackend {
        /// `iptables`, `nftables` or `none`.
        pub driver: String,
        /// What it has to say.
        #[serde(skip_serializing_if = "is_default")]
        pub info: Vec<[String; 2]>,
    }

    /// Where containerd is.
    pub struct Containerd {
        /// Its socket.
        pub address: String,
        /// Its namespaces.
        pub namespaces: ContainerdNamespaces,
    }

    /// Docker's namespaces in containerd.
    pub struct ContainerdNamespaces {
        /// For containers.
        pub containers: String,
        /// For plugins.
        pub plugins: String,
    }
}
