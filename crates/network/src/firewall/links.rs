//! Ways between containers of a bridge whose containers do not reach each other: a container that links to another one (`--link`)
//! reaches its ports. The bridge isolates its ports from each other, so these frames go from port to port, past it.
//!
//! From the one that is linked to come answers alone: over TCP nothing that opens a connection; of other protocols what comes from the
//! opened ports, as with Docker.

use super::chains::{ICMP, ICMP6, Rule, rule};
use super::elements;
use super::expression::{Expressions, Load, Verdict, register};
use super::frames::{
    ARP, IPV4, IPV6, NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION, ether_type, icmp6_of_type,
};
use super::sets::{self, Element, OfFamily, Set};
use super::{Firewall, Plugged};
use crate::{DeviceName, Identity, Linked, Network, Result};

/// What the chains of such ports jump to.
pub(super) const CHAIN: &str = "links";

const TCP: u8 = 6;
const SYN: u8 = 0x02;
const SYN_OR_ACK: u8 = 0x12;
/// Without the flags in front of it.
const FRAGMENT_OFFSET: [u8; 2] = [0x1f, 0xff];
const UNREACHABLE: u8 = 3;
const UNREACHABLE6: u8 = 1;
const TOO_BIG6: u8 = 2;

/// What differs between the families of addresses.
#[derive(Clone, Copy)]
struct Side {
    ether: [u8; 2],
    sets: &'static OfFamily,
    destination: Load,
}

const SIDE4: Side = Side {
    ether: IPV4,
    sets: &sets::V4,
    destination: Load::Destination4,
};

const SIDE6: Side = Side {
    ether: IPV6,
    sets: &sets::V6,
    destination: Load::Destination6,
};

fn send(e: &mut Expressions<'_, '_>, map: &str, key: &[Load]) {
    e.load_all(key)
        .map(map, register(0), register(0))
        .send_by(register(0));
}

fn protocol(e: &mut Expressions<'_, '_>, wanted: bool, number: u8) {
    e.load(Load::L4Protocol, register(0))
        .compare(register(0), wanted, &[number]);
}

/// The rules of the chain; what none of them sends goes to the bridge, which lets it reach the host alone.
pub(super) fn rules() -> Vec<Rule> {
    let mut rules = vec![rule(|e| {
        ether_type(e, ARP);
        send(
            e,
            sets::V4.partners.name,
            &[Load::InDevice, Load::ArpTarget],
        );
    })];
    rules.extend(ports(SIDE4));
    // All pieces of a packet but the first are without ports.
    rules.push(rule(|e| {
        ether_type(e, IPV4);
        e.load(Load::FragmentOffset4, register(0))
            .mask(register(0), &FRAGMENT_OFFSET)
            .compare(register(0), false, &[0; 2]);
        to_partner(e, SIDE4);
    }));
    rules.push(rule(|e| {
        ether_type(e, IPV4);
        protocol(e, true, ICMP);
        e.load(Load::IcmpType, register(0))
            .compare(register(0), true, &[UNREACHABLE]);
        to_partner(e, SIDE4);
    }));
    rules.extend(ports(SIDE6));
    rules.push(rule(|e| {
        ether_type(e, IPV6);
        icmp6_of_type(e, NEIGHBOUR_SOLICITATION);
        let key = [Load::InDevice, Load::NeighbourTarget];
        send(e, sets::V6.partners.name, &key);
    }));
    for kind in [NEIGHBOUR_ADVERTISEMENT, UNREACHABLE6, TOO_BIG6] {
        rules.push(rule(move |e| {
            ether_type(e, IPV6);
            icmp6_of_type(e, kind);
            to_partner(e, SIDE6);
        }));
    }
    rules
}

fn to_partner(e: &mut Expressions<'_, '_>, side: Side) {
    send(
        e,
        side.sets.partners.name,
        &[Load::InDevice, side.destination],
    );
}

fn ports(side: Side) -> Vec<Rule> {
    use Load::{DestinationPort, InDevice, L4Protocol, SourcePort};
    let back = [InDevice, side.destination, L4Protocol, SourcePort];
    vec![
        rule(move |e| {
            ether_type(e, side.ether);
            let key = [InDevice, side.destination, L4Protocol, DestinationPort];
            send(e, side.sets.links.name, &key);
        }),
        rule(move |e| {
            ether_type(e, side.ether);
            protocol(e, true, TCP);
            e.load(Load::TcpFlags, register(0))
                .mask(register(0), &[SYN_OR_ACK])
                .compare(register(0), true, &[SYN])
                .decide(Verdict::Return);
        }),
        rule(move |e| {
            ether_type(e, side.ether);
            // Their first bytes are no ports.
            protocol(e, false, ICMP);
            protocol(e, false, ICMP6);
            send(e, side.sets.replies.name, &back);
        }),
    ]
}

impl Firewall {
    /// What an endpoint may reach of others in its network is this from now on. Where all may reach each other it makes no difference.
    pub(crate) fn set_links(
        &mut self,
        network: &Network,
        endpoint: &Identity,
        links: Vec<Linked>,
    ) -> Result<()> {
        let linked = self.links(&network.id);
        let known = self.endpoints(&network.id)?.get_mut(endpoint);
        let known = known.ok_or_else(|| super::unknown(&network.id))?;
        let before = std::mem::replace(&mut known.links, links);
        let now = self.links(&network.id);
        let result = self.apply(|transaction| {
            transaction.remove(&missing(&linked, &now));
            transaction.add(&missing(&now, &linked));
        });
        if let (Err(_), Some(known)) = (&result, self.endpoints(&network.id)?.get_mut(endpoint)) {
            known.links = before;
        }
        result
    }

    /// The elements of all links of a network, each once. Those to endpoints that are not there are none.
    pub(super) fn links(&self, network: &Identity) -> Vec<Element> {
        let member = self.model.networks.get(network);
        let isolates = |one: &&super::Member| {
            let bridge = one.network.bridge();
            bridge.is_some_and(|bridge| !bridge.inter_container)
        };
        let Some(member) = member.filter(isolates).filter(|_| self.shortcuts) else {
            return Vec::new();
        };
        let mut all: Vec<Element> = Vec::new();
        for from in member.endpoints.values() {
            for link in &from.links {
                let to = member.endpoints.get(&link.to);
                let new = to.map_or_else(Vec::new, |to| self.of_link(from, to, link));
                for element in new {
                    if !all.contains(&element) {
                        all.push(element);
                    }
                }
            }
        }
        all.sort_by_key(|element| element.set.name);
        all
    }

    fn of_link(&self, from: &Plugged, to: &Plugged, link: &Linked) -> Vec<Element> {
        let (Some(here), Some(there)) = (from.place, to.place) else {
            return Vec::new();
        };
        let name = |plugged: &Plugged| DeviceName::of_port(self.owner, &plugged.endpoint.id);
        let (own, other) = (name(from), name(to));
        let ways = |from: &Plugged, device: &DeviceName, port: u32, set: Pick| {
            let addresses = from.endpoint.addresses();
            let way = |ip| elements::of_link(set, device, ip, &link.ports, port);
            addresses.flat_map(|one| way(one.ip)).collect::<Vec<_>>()
        };
        let mut all = ways(to, &own, there.port, |sets| (&sets.partners, &sets.links));
        all.extend(ways(from, &other, here.port, |sets| {
            (&sets.partners, &sets.replies)
        }));
        all
    }
}

/// The sets that elements of one way of a link are in.
pub(super) type Pick = fn(&'static OfFamily) -> (&'static Set, &'static Set);

/// What of `all` is not in `others`.
pub(super) fn missing(all: &[Element], others: &[Element]) -> Vec<Element> {
    let is_there = |one: &&Element| others.contains(one);
    let all = all.iter();
    all.filter(|one| !is_there(one)).cloned().collect()
}
