//! What a network is. All of it is data that the caller keeps and gives back.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{DeviceName, Identity, Prefix};

/// A network that containers can join. `host` and `none` are no networks in this sense: they need nothing from here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    pub id: Identity,
    pub driver: Driver,
    /// Its addresses; at least one of the two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v4: Option<Subnet>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub v6: Option<Subnet>,
    /// Further ones of either family: where containers share a device of the host, its link may have several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub more: Vec<Subnet>,
    /// Nothing outside is reached, and nobody outside reaches it.
    #[serde(default)]
    pub internal: bool,
    /// The devices' MTU; the kernel's 1500 if `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mtu: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    Bridge(Bridge),
    Macvlan(Macvlan),
    Ipvlan(Ipvlan),
}

/// A subnet and how its addresses are used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    pub prefix: Prefix,
    /// The bridge's own address, and where containers send what is for elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<IpAddr>,
    /// Where addresses are handed out, if not in all of `prefix`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<Prefix>,
    /// Addresses that are something else's, by name (`--aux-address`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reserved: BTreeMap<String, IpAddr>,
}

/// A bridge of ours, or one that the administrator made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// `br-` and the first twelve digits of the network's id, if nothing else was asked for: [`DeviceName::of_bridge`].
    pub device: DeviceName,
    /// Whether its containers reach each other without publishing.
    #[serde(default = "yes")]
    pub inter_container: bool,
    /// Whether what leaves gets the host's address.
    #[serde(default = "yes")]
    pub masquerade: bool,
    /// The address that what leaves gets in place of that of the outgoing device (`com.docker.network.host_ipv4`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source: Vec<IpAddr>,
    #[serde(default)]
    pub gateway_mode_v4: GatewayMode,
    #[serde(default)]
    pub gateway_mode_v6: GatewayMode,
    /// The bridge gets no IPv4 address (`com.docker.network.bridge.inhibit_ipv4`).
    #[serde(default)]
    pub inhibit_v4: bool,
    /// Devices through which published ports are reached by the containers' own addresses
    /// (`com.docker.network.bridge.trusted_host_interfaces`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted: Vec<DeviceName>,
    /// The same for all devices (`--allow-direct-routing`). In no record: it is the daemon's to say.
    #[serde(skip)]
    pub direct: bool,
}

fn yes() -> bool {
    true
}

/// How a bridge's containers and the world outside see each other (`com.docker.network.bridge.gateway_mode_ipv4`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GatewayMode {
    /// Published ports through the host's address; nothing else comes in.
    #[default]
    Nat,
    /// Published ports through the host's address, and every port through the container's own.
    NatUnprotected,
    /// No translation: published ports, and pings, through the container's own address.
    Routed,
    /// The bridge has no address: containers reach neither the host nor anything else.
    Isolated,
}

/// A device of the host that each container has a share of, with a hardware address of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Macvlan {
    pub parent: Parent,
    #[serde(default)]
    pub mode: MacvlanMode,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MacvlanMode {
    Private,
    Vepa,
    #[default]
    Bridge,
    Passthru,
}

/// A device of the host whose hardware address the containers share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ipvlan {
    pub parent: Parent,
    #[serde(default)]
    pub mode: IpvlanMode,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpvlanMode {
    #[default]
    L2,
    L3,
    L3s,
}

/// The device that containers share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Parent {
    /// One of the host's.
    Device(DeviceName),
    /// A VLAN of one of the host's (`eth0.50`), made with the network if it is not there.
    Vlan {
        device: DeviceName,
        of: DeviceName,
        id: u16,
    },
    /// One that leads nowhere, made with the network: its containers reach each other only.
    Dummy(DeviceName),
}

impl Network {
    /// The subnets of both families, IPv4 first.
    pub fn subnets(&self) -> impl Iterator<Item = &Subnet> {
        self.subnets_of(true).chain(self.subnets_of(false))
    }

    /// The subnets of IPv4, else of IPv6.
    pub fn subnets_of(&self, v4: bool) -> impl Iterator<Item = &Subnet> {
        let first = if v4 { &self.v4 } else { &self.v6 };
        let more = self.more.iter();
        first
            .iter()
            .chain(more.filter(move |subnet| subnet.prefix.is_ipv4() == v4))
    }

    /// The bridge, or the device that containers share.
    #[must_use]
    pub const fn device(&self) -> &DeviceName {
        match &self.driver {
            Driver::Bridge(bridge) => &bridge.device,
            Driver::Macvlan(Macvlan { parent, .. }) | Driver::Ipvlan(Ipvlan { parent, .. }) => {
                parent.device()
            }
        }
    }

    #[must_use]
    pub const fn bridge(&self) -> Option<&Bridge> {
        match &self.driver {
            Driver::Bridge(bridge) => Some(bridge),
            Driver::Macvlan(_) | Driver::Ipvlan(_) => None,
        }
    }
}

impl Bridge {
    /// A bridge with Docker's defaults.
    #[must_use]
    pub const fn new(device: DeviceName) -> Self {
        Self {
            device,
            inter_container: true,
            masquerade: true,
            source: Vec::new(),
            gateway_mode_v4: GatewayMode::Nat,
            gateway_mode_v6: GatewayMode::Nat,
            inhibit_v4: false,
            trusted: Vec::new(),
            direct: false,
        }
    }
}

impl Subnet {
    /// The whole prefix, its first address being the gateway.
    #[must_use]
    pub fn new(prefix: Prefix) -> Self {
        Self {
            prefix,
            gateway: crate::ipam::first_host(prefix),
            range: None,
            reserved: BTreeMap::new(),
        }
    }
}
