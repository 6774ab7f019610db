//! Networks, and a container's place in them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::wire::{is_default, wire};

/// Published ports by container port (`80/tcp`); `None` is a port that is exposed but not published.
pub type PortMap = BTreeMap<String, Option<Vec<PortBinding>>>;

/// `NetworkSettings` of a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct NetworkSettings {
    /// The default bridge's name; always empty in practice, gone with API 1.52.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<String>,
    /// Id of the network namespace.
    #[serde(rename = "SandboxID")]
    pub sandbox_id: String,
    /// Path of the network namespace.
    pub sandbox_key: String,
    /// Ports in use.
    pub ports: Option<PortMap>,
    /// The default network's endpoint, spread out; `None` leaves it out, as API 1.52 and newer do.
    #[serde(flatten)]
    pub legacy: Option<LegacyNetworkSettings>,
    /// Endpoints by the network's name.
    pub networks: Option<BTreeMap<String, EndpointSettings>>,
}

wire! {
    /// One address on the host that a container's port is bound to.
    pub struct PortBinding {
        /// The host's address; empty is every address.
        pub host_ip: String,
        /// The host's port, or a range; empty lets the daemon choose.
        pub host_port: String,
    }

    /// Of our own: a change of the ports of a container that is there.
    pub struct PortsChange {
        /// Ports that end; what a binding leaves open means all.
        pub remove: PortMap,
        /// Ports that are published.
        pub add: PortMap,
    }

    /// `NetworkingConfig` of a create request: the networks to join.
    pub struct NetworkingConfig {
        /// Settings by the network's name; `null` for none.
        pub endpoints_config: Option<BTreeMap<String, Option<EndpointSettings>>>,
    }

    /// A container's endpoint in one network.
    pub struct EndpointSettings {
        /// Addresses the user asked for.
        #[serde(rename = "IPAMConfig")]
        pub ipam_config: Option<EndpointIpam>,
        /// Legacy links, `container:alias`.
        pub links: Option<Vec<String>>,
        /// Further names in this network.
        pub aliases: Option<Vec<String>>,
        /// The interface's hardware address.
        pub mac_address: String,
        /// Options for the network's driver.
        pub driver_opts: Option<BTreeMap<String, String>>,
        /// Which network's gateway becomes the default route: the highest wins.
        pub gw_priority: i64,
        /// The network's id.
        #[serde(rename = "NetworkID")]
        pub network_id: String,
        /// The endpoint's id.
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        /// IPv4 gateway.
        pub gateway: String,
        /// IPv4 address.
        #[serde(rename = "IPAddress")]
        pub ip_address: String,
        /// IPv4 prefix length.
        #[serde(rename = "IPPrefixLen")]
        pub ip_prefix_len: i64,
        /// IPv6 gateway.
        #[serde(rename = "IPv6Gateway")]
        pub ipv6_gateway: String,
        /// IPv6 address.
        #[serde(rename = "GlobalIPv6Address")]
        pub global_ipv6_address: String,
        /// IPv6 prefix length.
        #[serde(rename = "GlobalIPv6PrefixLen")]
        pub global_ipv6_prefix_len: i64,
        /// Names the network's resolver answers to (API 1.44).
        #[serde(rename = "DNSNames")]
        pub dns_names: Option<Vec<String>>,
    }

    /// Addresses the user asked for at one endpoint.
    pub struct EndpointIpam {
        /// IPv4 address.
        #[serde(rename = "IPv4Address", skip_serializing_if = "is_default")]
        pub ipv4_address: String,
        /// IPv6 address.
        #[serde(rename = "IPv6Address", skip_serializing_if = "is_default")]
        pub ipv6_address: String,
        /// Link-local addresses.
        #[serde(rename = "LinkLocalIPs", skip_serializing_if = "is_default")]
        pub link_local_ips: Vec<String>,
    }

    /// `NetworkSettings` of an entry of the container list.
    pub struct NetworkSettingsSummary {
        /// Endpoints by the network's name.
        pub networks: Option<BTreeMap<String, EndpointSettings>>,
    }

    /// A network, as list and inspect answer.
    pub struct Network {
        /// Its name.
        pub name: String,
        /// Its id.
        pub id: String,
        /// When it was made, RFC 3339.
        pub created: String,
        /// `local`, `global` or `swarm`.
        pub scope: String,
        /// The driver's name.
        pub driver: String,
        /// Whether it hands out IPv4 addresses.
        #[serde(rename = "EnableIPv4")]
        pub enable_ipv4: bool,
        /// Whether it hands out IPv6 addresses.
        #[serde(rename = "EnableIPv6")]
        pub enable_ipv6: bool,
        /// Address management.
        #[serde(rename = "IPAM")]
        pub ipam: Ipam,
        /// Whether it is cut off from outside.
        pub internal: bool,
        /// Whether a plain container may join a swarm network.
        pub attachable: bool,
        /// Whether it is the swarm's routing mesh.
        pub ingress: bool,
        /// The network whose settings it takes.
        pub config_from: ConfigReference,
        /// Whether it holds settings only.
        pub config_only: bool,
        /// Endpoints by the container's id.
        pub containers: BTreeMap<String, NetworkContainer>,
        /// The driver's options.
        pub options: BTreeMap<String, String>,
        /// Labels.
        pub labels: BTreeMap<String, String>,
    }

    /// The body of a request for a new network.
    pub struct NetworkCreateRequest {
        /// Its name.
        pub name: String,
        /// The driver's name.
        #[serde(skip_serializing_if = "is_default")]
        pub driver: String,
        /// `local`, `global` or `swarm`.
        #[serde(skip_serializing_if = "is_default")]
        pub scope: String,
        /// Whether it hands out IPv4 addresses; it does if nothing is said.
        #[serde(rename = "EnableIPv4", skip_serializing_if = "Option::is_none")]
        pub enable_ipv4: Option<bool>,
        /// Whether it hands out IPv6 addresses.
        #[serde(rename = "EnableIPv6", skip_serializing_if = "Option::is_none")]
        pub enable_ipv6: Option<bool>,
        /// Address management.
        #[serde(rename = "IPAM")]
        pub ipam: Option<Ipam>,
        /// Whether it is cut off from outside.
        pub internal: bool,
        /// Whether a plain container may join a swarm network.
        pub attachable: bool,
        /// Whether it is the swarm's routing mesh.
        pub ingress: bool,
        /// Whether it holds settings only.
        pub config_only: bool,
        /// The network whose settings it takes.
        pub config_from: Option<ConfigReference>,
        /// The driver's options.
        pub options: Option<BTreeMap<String, String>>,
        /// Labels.
        pub labels: Option<BTreeMap<String, String>>,
    }

    /// The body of a request to connect a container.
    pub struct NetworkConnectRequest {
        /// The container's name or id.
        pub container: String,
        /// What it is to be like there.
        pub endpoint_config: Option<EndpointSettings>,
    }

    /// The body of a request to disconnect a container.
    pub struct NetworkDisconnectRequest {
        /// The container's name or id.
        pub container: String,
        /// Also one that is not there any more.
        pub force: bool,
    }

    /// The answer to a request for a new network.
    pub struct NetworkCreateResponse {
        /// The network's id.
        pub id: String,
        /// What the user should know.
        pub warning: String,
    }

    /// Address management of a network.
    pub struct Ipam {
        /// The driver's name.
        pub driver: String,
        /// The driver's options.
        pub options: Option<BTreeMap<String, String>>,
        /// Address pools.
        pub config: Option<Vec<IpamPool>>,
    }

    /// One address pool.
    pub struct IpamPool {
        /// The subnet.
        #[serde(skip_serializing_if = "is_default")]
        pub subnet: String,
        /// The part of the subnet that containers get addresses from.
        #[serde(rename = "IPRange", skip_serializing_if = "is_default")]
        pub ip_range: String,
        /// The gateway's address.
        #[serde(skip_serializing_if = "is_default")]
        pub gateway: String,
        /// Addresses that are taken.
        #[serde(rename = "AuxiliaryAddresses", skip_serializing_if = "is_default")]
        pub auxiliary_addresses: BTreeMap<String, String>,
    }

    /// A reference to another network's settings.
    pub struct ConfigReference {
        /// That network's name.
        pub network: String,
    }

    /// A container's endpoint, seen from the network.
    pub struct NetworkContainer {
        /// The container's name.
        pub name: String,
        /// The endpoint's id.
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        /// Hardware address.
        pub mac_address: String,
        /// IPv4 address with its prefix length.
        #[serde(rename = "IPv4Address")]
        pub ipv4_address: String,
        /// IPv6 address with its prefix length.
        #[serde(rename = "IPv6Address")]
        pub ipv6_address: String,
    }

    /// The default network's endpoint as old clients look for it.
    pub struct LegacyNetworkSettings {
        /// Whether the bridge port is in hairpin mode.
        pub hairpin_mode: bool,
        /// Always empty.
        #[serde(rename = "LinkLocalIPv6Address")]
        pub link_local_ipv6_address: String,
        /// Always 0.
        #[serde(rename = "LinkLocalIPv6PrefixLen")]
        pub link_local_ipv6_prefix_len: i64,
        /// Always null.
        #[serde(rename = "SecondaryIPAddresses")]
        pub secondary_ip_addresses: Option<Vec<serde_json::Value>>,
        /// Always null.
        #[serde(rename = "SecondaryIPv6Addresses")]
        pub secondary_ipv6_addresses: Option<Vec<serde_json::Value>>,
        /// The endpoint's id.
        #[serde(rename = "EndpointID")]
        pub endpoint_id: String,
        /// IPv4 gateway.
        pub gateway: String,
        /// IPv6 address.
        #[serde(rename = "GlobalIPv6Address")]
        pub global_ipv6_address: String,
        /// IPv6 prefix length.
        #[serde(rename = "GlobalIPv6PrefixLen")]
        pub global_ipv6_prefix_len: i64,
        /// IPv4 address.
        #[serde(rename = "IPAddress")]
        pub ip_address: String,
        /// IPv4 prefix length.
        #[serde(rename = "IPPrefixLen")]
        pub ip_prefix_len: i64,
        /// IPv6 gateway.
        #[serde(rename = "IPv6Gateway")]
        pub ipv6_gateway: String,
        /// Hardware address.
        pub mac_address: String,
    }
}
