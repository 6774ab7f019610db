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
    elements.extend(endpoint.addresses().map(|address| {
        let key = port().with(&mac).address(address.ip);
        element(&of(address.ip).members, key)
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

/// What one entry of an endpoint's published ports is. Ports of the host are translated, those of a routed network opened. An entry
/// for which the endpoint has no address of its family is the proxy's.
pub(super) fn of_port(network: &Network, endpoint: &Endpoint, port: &Published) -> Vec<Element> {
    let (Some(bridge), false) = (network.bridge(), network.internal) else {
        return Vec::new();
    };
    let (address, mode) = match port.address {
        IpAddr::V4(_) => (endpoint.v4, bridge.gateway_mode_v4),
        IpAddr::V6(_) => (endpoint.v6, bridge.gateway_mode_v6),
    };
    match (address, mode) {
        (None, _) | (_, GatewayMode::Isolated) => Vec::new(),
        (Some(own), GatewayMode::Routed) => vec![opened(own.ip, port)],
        (Some(_), GatewayMode::Nat | GatewayMode::NatUnprotected) if endpoint.carried => Vec::new(),
        (Some(own), GatewayMode::Nat | GatewayMode::NatUnprotected) => translated(own.ip, port),
    }
}

fn with_protocol(key: Bytes, protocol: Protocol) -> Bytes {
    key.with(&[protocol.number()])
}

fn opened(own: IpAddr, port: &Published) -> Element {
    let key = |number| with_protocol(Bytes::new().address(own), port.protocol).port(number);
    Element {
        last: Some(key(port.last_of_container())),
        ..element(&of(own).open, key(port.container))
    }
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
