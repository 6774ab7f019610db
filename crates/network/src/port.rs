//! Ports of containers that are reached through addresses of the host.
//!
//! # What the kernel does, and what is left for the proxy
//!
//! Translated in the kernel, by `firewall`'s maps: what comes from outside, from other containers and from
//! the container itself through an address of the host (hairpin), and from the host itself, to 127.0.0.1 as well (the
//! bridge gets `route_localnet`, and frames with loopback addresses from its ports are dropped). TCP, UDP and SCTP, IPv4 and
//! IPv6.
//!
//! For the proxy remain:
//!
//! 1. **`::1`**: the kernel routes no loopback address of IPv6. A listener at `[::1]:PORT` for a port published on `::` or `::1`.
//! 2. **IPv6 to a container that has none** (published on `::` or an IPv6 address, on a network without IPv6): a listener at
//!    that address; the source address is lost, as with Docker.
//! 3. **`publish-mode=host-socket`**, in which every port is a listener of the host's, so that its INPUT rules hold.
//! 4. **A host whose own FORWARD rules drop** (see `firewall`): the proxy is a local process on both sides, so
//!    nothing is forwarded. The caller decides with [`crate::Host::forwarding_obstacles`].
//! 5. **Another container of the same bridge without inter-container communication**, through an address of the host, where
//!    br_netfilter is on: there the kernel bridges what it has translated, and isolated ports do not speak with each other.
//!
//! Containers of a network in gateway mode `routed` or `isolated` need none of it: nothing is published on the host.
//!
//! The keeper (crate docs, "Names") runs it: one epoll loop for all ports, `splice` for TCP, a table of flows for UDP.
//! It gets the listening sockets from [`reserve`].

mod reserve;

pub use reserve::{HELD, Reserved, Wanted, has_ipv6, merge, reserve};

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

/// Ports of the host that lead to as many of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Published {
    pub protocol: Protocol,
    /// Of the host; `0.0.0.0` is every IPv4 address, `::` every IPv6 address.
    pub address: IpAddr,
    /// The first port of the host; 0 where the container's own ports are opened, and the host has no part in it.
    pub host: u16,
    /// The first port of the container.
    pub container: u16,
    /// How many ports, at least 1.
    pub count: u16,
}

impl Protocol {
    /// As IP has it.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl Published {
    /// The last port of the host.
    #[must_use]
    pub const fn last_of_host(&self) -> u16 {
        self.host.saturating_add(self.count.saturating_sub(1))
    }

    /// The last port of the container.
    #[must_use]
    pub const fn last_of_container(&self) -> u16 {
        self.container.saturating_add(self.count.saturating_sub(1))
    }
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}
