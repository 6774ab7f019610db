//! Links between containers of a bridge whose containers do not reach each other otherwise.

use std::collections::BTreeMap;

use crate::{Identity, Protocol};

/// What an endpoint may reach of another one in its network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linked {
    pub to: Identity,
    pub ports: Vec<LinkedPorts>,
}

/// Ports in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LinkedPorts {
    pub protocol: Protocol,
    pub first: u16,
    pub last: u16,
}

/// All links of a network, by the endpoint that has them.
pub type Links = BTreeMap<Identity, Vec<Linked>>;

impl Linked {
    /// A link to an endpoint. Ports may come in any order, and overlap.
    #[must_use]
    pub fn new(to: Identity, mut ports: Vec<LinkedPorts>) -> Self {
        ports.sort();
        let mut merged: Vec<LinkedPorts> = Vec::new();
        for one in ports {
            match merged.last_mut() {
                Some(last)
                    if last.protocol == one.protocol
                        && u32::from(one.first) <= u32::from(last.last) + 1 =>
                {
                    last.last = last.last.max(one.last);
                }
                _ => merged.push(one),
            }
        }
        Self { to, ports: merged }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_said_once() {
        let ports = |protocol, first, last| LinkedPorts {
            protocol,
            first,
            last,
        };
        let (tcp, udp) = (Protocol::Tcp, Protocol::Udp);
        let link = Linked::new(
            "ab".repeat(32).parse().unwrap(),
            vec![
                ports(tcp, 80, 80),
                ports(udp, 81, 81),
                ports(tcp, 81, 90),
                ports(tcp, 85, 86),
                ports(tcp, 92, 65535),
                ports(tcp, 65535, 65535),
            ],
        );
        assert_eq!(
            link.ports,
            [
                ports(tcp, 80, 90),
                ports(tcp, 92, 65535),
                ports(udp, 81, 81)
            ]
        );
    }
}
