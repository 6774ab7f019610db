//! What networks and endpoints are in the sets. The same elements are put in one by one and all at once, so the two
//! never differ.

use std::net::IpAddr;

use super::sets::{self, Bytes, Element, OfFamily, Set};
use super::{Guarded, Place, links};
use crate::{
    Bridge, DeviceName, Endpoint, GatewayMode, LinkedPorts, Network, Prefix, Protocol, Published,
    Subnet,
};

const NFPROTO_IPV4: u8 = 2;
const NFPROTO_IPV6: u8 = 10;

fn element(set: &'static Set, key: Bytes) -> Element {
    Element {
        set,
        key,
        last: None,
        value: None,
    }
}

const fn of(address: IpAddr) -> &'static OfFamily {
    match address {
        IpAddr::V4(_) => &sets::V4,
        IpAddr::V6(_) => &sets::V6,
    }
}

/// The addresses of a subnet, as a range of the first part of a key whose other parts are `rest`.
fn of_prefix(set: &'static Set, prefix: Prefix, rest: impl Fn(Bytes) -> Bytes) -> Element {
    Element {
        last: Some(rest(Bytes::new().address(prefix.last()))),
        ..element(set, rest(Bytes::new().address(prefix.first())))
    }
}

pub(super) fn guarded(guarded: &Guarded) -> Element {
    let family = if guarded.v4 {
        NFPROTO_IPV4
    } else {
        NFPROTO_IPV6
    };
    let key = Bytes::new().with(&[family]);
    element(&sets::GUARDED, key.device(guarded.device.as_str()))
}

/// Nothing, for a network without a bridge.
pub(super) fn of_network(network: &Network) -> Vec<Element> {
    let Some(bridge) = network.bridge() else {
        return Vec::new();
    };
    let device = bridge.device.as_str();
    let itself = || Bytes::new().device(device);
    let mut elements = vec![element(&sets::BRIDGES, itself())];
    if bridge.inter_container {
        elements.push(element(&sets::TOGETHER, itself().device(device)));
    }
    if network.internal {
        elements.push(element(&sets::INTERNAL, itself()));
        return elements;
    }
    for trusted in &bridge.trusted {
        let key = Bytes::new().device(trusted.as_str()).device(device);
        elements.push(element(&sets::TRUSTED, key));
    }
    for (subnet, mode) in [
        (&network.v4, bridge.gateway_mode_v4),
        (&network.v6, bridge.gateway_mode_v6),
    ] {
        if let Some(subnet) = subnet {
            elements.extend(of_subnet(subnet, bridge, mode));
        }
    }
    elements
}

fn of_subnet(subnet: &Subnet, bridge: &Bridge, mode: GatewayMode) -> Vec<Element> {
    let device = bridge.device.as_str();
    let sets = of(subnet.prefix.address());
    let number = if subnet.prefix.is_ipv4() {
        NFPROTO_IPV4
    } else {
        NFPROTO_IPV6
    };
    let mut elements = vec![of_prefix(&sets.local, subnet.prefix, |key| {
        key.device(device)
    })];
    let with_family = || Bytes::new().with(&[number]).device(device);
    match mode {
        GatewayMode::Nat => {}
        GatewayMode::NatUnprotected => elements.push(element(&sets::UNPROTECTED, with_family())),
        GatewayMode::Routed => elements.push(element(&sets::ROUTED, with_family())),
        GatewayMode::Isolated => return elements,
    }
    if mode == GatewayMode::Routed || !bridge.masquerade {
        return elements;
    }
    let source = bridge
        .source
        .iter()
        .find(|a| a.is_ipv4() == subnet.prefix.is_ipv4());
    elements.push(match source {
        Some(&address) => Element {
            value: Some(Bytes::new().address(address)),
            ..of_prefix(&sets.source, subnet.prefix, |key| key)
        },
        None => of_prefix(&sets.masquerade, subnet.prefix, |key| key),
    });
    elements
}

/// What may come from an endpoint's port, and where its bridge's other ports find it.
pub(super) fn of_endpoint(name: &DeviceName, place: Place, endpoint: &Endpoint) -> Vec<Element> {
    let port = || Bytes::new().device(name.as_str());
    let mac = endpoint.mac.octets();
    let mut elements = Vec::new();
    if let Some(bridge) = place.together {
        elements.push(Element {
            value: Some(Bytes::new().index(place.port)),
            ..element(&sets::NEIGHBOURS, Bytes::new().index(bridge).with(&mac))
        });
        let v6 = endpoint.addresses().filter(|address| address.ip.is_ipv6());
        elements.extend(v6.map(|address| Element {
            value: Some(Bytes::new().index(place.port)),
            ..element(
                &sets::TARGETS,
                Bytes::new().index(bridge).address(address.ip),
            )
        }));
    }
    if endpoint.any_source {
        return elements;
    }
    elements.push(element(&sets::SENDERS, port().with(&mac)));
    let has_v6 = endpoint.addresses().any(|address| address.ip.is_ipv6());
    // What the kernel gives a device that has IPv6.
    let on_link = has_v6.then(|| endpoint.mac.link_local().into());
    let own = endpoint
        .addresses()
        .map(|address| address.ip)
        .chain(on_link);
    elements.extend(own.map(|address| {
        let key = port().with(&mac).address(address);
        element(&of(address).members, key)
    }));
    elements
}

/// One way of a link: frames that come in by `device` and are for `address` go out by the port of the index `port`.
pub(super) fn of_link(
    pick: links::Pick,
    device: &DeviceName,
    address: IpAddr,
    ports: &[LinkedPorts],
    port: u32,
) -> Vec<Element> {
    let (partners, opened) = pick(of(address));
    let to = |element: Element| Element {
        value: Some(Bytes::new().index(port)),
        ..element
    };
    let pair = || Bytes::new().device(device.as_str()).address(address);
    let mut elements = vec![to(element(partners, pair()))];
    elements.extend(ports.iter().map(|ports| {
        let key = |number| with_protocol(pair(), ports.protocol).port(number);
        to(Element {
            last: Some(key(ports.last)),
            ..element(opened, key(ports.first))
        })
    }));
    elements
}

/// What an endpoint's published ports are. Ports of the host are translated, those of a routed network opened. An entry
/// for which the endpoint has no address of its family is the proxy's.
pub(super) fn of_ports(
    network: &Network,
    endpoint: &Endpoint,
    ports: &[Published],
) -> Vec<Element> {
    let (Some(bridge), false) = (network.bridge(), network.internal) else {
        return Vec::new();
    };
    let mut elements = Vec::new();
    let mut opened = Vec::new();
    for port in ports {
        let (own, mode) = match port.address {
            IpAddr::V4(_) => (endpoint.v4, bridge.gateway_mode_v4),
            IpAddr::V6(_) => (endpoint.v6, bridge.gateway_mode_v6),
        };
        let Some(own) = own else {
            continue;
        };
        let is_translated = matches!(mode, GatewayMode::Nat | GatewayMode::NatUnprotected);
        if is_translated && !endpoint.carried {
            elements.extend(translated(own.ip, port));
        }
        if let Some(set) = opening(bridge, mode, of(own.ip)) {
            opened.push(Opened {
                name: set.name,
                set,
                own: own.ip,
                protocol: port.protocol,
                first: port.container,
                last: port.last_of_container(),
            });
        }
    }
    elements.extend(joined(opened).iter().map(Opened::element));
    elements
}

/// In which set a port is that is reached by the container's own address.
fn opening(bridge: &Bridge, mode: GatewayMode, sets: &'static OfFamily) -> Option<&'static Set> {
    match mode {
        GatewayMode::Isolated => None,
        GatewayMode::Routed => Some(&sets.open),
        GatewayMode::Nat | GatewayMode::NatUnprotected if bridge.direct => Some(&sets.open),
        GatewayMode::Nat | GatewayMode::NatUnprotected => {
            (!bridge.trusted.is_empty()).then_some(&sets.direct)
        }
    }
}

/// Ports of a container in one of these sets.
struct Opened {
    name: &'static str,
    set: &'static Set,
    own: IpAddr,
    protocol: Protocol,
    first: u16,
    last: u16,
}

impl Opened {
    fn element(&self) -> Element {
        let own = || with_protocol(Bytes::new().address(self.own), self.protocol);
        Element {
            last: Some(own().port(self.last)),
            ..element(self.set, own().port(self.first))
        }
    }

    fn kind(&self) -> (&'static str, IpAddr, Protocol) {
        (self.name, self.own, self.protocol)
    }
}

/// Several ports of the host may lead to one of the container, but ranges of a set must not overlap.
fn joined(mut all: Vec<Opened>) -> Vec<Opened> {
    all.sort_by_key(|one| (one.kind(), one.first));
    let mut joined: Vec<Opened> = Vec::new();
    for one in all {
        match joined.last_mut() {
            Some(last) if last.kind() == one.kind() && one.first <= last.last.saturating_add(1) => {
                last.last = last.last.max(one.last);
            }
            _ => joined.push(one),
        }
    }
    joined
}

fn with_protocol(key: Bytes, protocol: Protocol) -> Bytes {
    key.with(&[protocol.number()])
}

fn translated(own: IpAddr, port: &Published) -> Vec<Element> {
    let sets = of(own);
    let key = |number| {
        let key = if port.address.is_unspecified() {
            Bytes::new()
        } else {
            Bytes::new().address(port.address)
        };
        with_protocol(key, port.protocol).port(number)
    };
    let any = port.address.is_unspecified();
    if port.count > 1 && port.host == port.container {
        let set = if any { &sets.ranges_any } else { &sets.ranges };
        return vec![Element {
            set,
            key: key(port.host),
            last: Some(key(port.last_of_host())),
            value: Some(Bytes::new().address(own)),
        }];
    }
    let set = if any { &sets.ports_any } else { &sets.ports };
    let single = |n: u16| Element {
        set,
        key: key(port.host.saturating_add(n)),
        last: None,
        value: Some(
            Bytes::new()
                .address(own)
                .port(port.container.saturating_add(n)),
        ),
    };
    (0..port.count).map(single).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn opened(first: u16, count: u16) -> Opened {
        Opened {
            name: sets::V4.open.name,
            set: &sets::V4.open,
            own: [10, 9, 0, 2].into(),
            protocol: Protocol::Tcp,
            first,
            last: first.saturating_add(count),
        }
    }

    proptest! {
        #[test]
        fn joined_ranges_do_not_touch_and_hold_the_same_ports(
            ranges in prop::collection::vec((0u16..300, 0u16..20), 0..12)
        ) {
            let all = || ranges.iter().map(|(first, count)| opened(*first, *count));
            let joined = joined(all().collect());
            for pair in joined.windows(2) {
                prop_assert!(pair[0].last + 1 < pair[1].first);
            }
            let holds = |one: &Opened, port: u16| (one.first..=one.last).contains(&port);
            for port in 0..330 {
                let before = all().any(|one| holds(&one, port));
                prop_assert_eq!(joined.iter().any(|one| holds(one, port)), before);
            }
        }
    }
}
