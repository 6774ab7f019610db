//! What comes from the ports of our bridges: who may send what, and the short way between containers.

use std::borrow::Cow;

use super::chains::{Chain, FILTER, ICMP6, Rule, rule};
use super::expression::{Expressions, Load, Verdict, register};
use super::links;
use super::sets::{self, Family};
use crate::DeviceName;

const ROUTER_ADVERTISEMENT: u8 = 134;
pub(super) const NEIGHBOUR_SOLICITATION: u8 = 135;
pub(super) const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const REDIRECT: u8 = 137;
/// Who listens to which multicast groups (MLD).
const GROUP_REPORT: u8 = 131;
const GROUP_REPORT_2: u8 = 143;
const INGRESS: u32 = 0;

/// A port of a bridge of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Port {
    /// The bridge's index, if its containers reach each other.
    pub(super) together: Option<u32>,
    /// Whether what it sends is looked at.
    pub(super) checked: bool,
    /// Whether links may open a way to others.
    pub(super) linked: bool,
}

/// The chain of a port. What is for a container of the same bridge goes straight to its port: past the bridge, and so past
/// br_netfilter and whatever other tables would have dropped in FORWARD. Broadcasts, and what is for the host, take the usual way.
pub(super) fn of_port(device: DeviceName, port: Port) -> Chain {
    let mut rules = Vec::new();
    if port.checked {
        rules.push(rule(|e| {
            e.decide(Verdict::Jump("senders"));
        }));
    }
    if let Some(bridge) = port.together {
        // IPv6 asks for a neighbour by a multicast, which a bridge would take past FORWARD as well.
        rules.push(rule(move |e| {
            ether_type(e, IPV6);
            icmp6_of_type(e, NEIGHBOUR_SOLICITATION);
            e.set(register(0), &bridge.to_ne_bytes())
                .load(Load::NeighbourTarget, register(1))
                .map(sets::TARGETS.name, register(0), register(0))
                .send_by(register(0));
        }));
        rules.push(rule(move |e| {
            e.set(register(0), &bridge.to_ne_bytes())
                .load(Load::EtherDestination, register(1))
                .map(sets::NEIGHBOURS.name, register(0), register(0))
                .send_by(register(0));
        }));
    }
    if port.linked {
        rules.push(rule(|e| {
            e.decide(Verdict::Jump(links::CHAIN));
        }));
    }
    Chain {
        family: Family::Netdev,
        name: Cow::Owned(device.to_string()),
        hook: Some(("filter", INGRESS, FILTER)),
        device: Some(device),
        rules,
    }
}

pub(super) const IPV4: [u8; 2] = [0x08, 0x00];
pub(super) const ARP: [u8; 2] = [0x08, 0x06];
pub(super) const IPV6: [u8; 2] = [0x86, 0xdd];

pub(super) fn ether_type(e: &mut Expressions<'_, '_>, value: [u8; 2]) {
    e.load(Load::EtherType, register(0))
        .compare(register(0), true, &value);
}

fn let_member(e: &mut Expressions<'_, '_>, set: &str, mac: Load, address: Load) {
    e.load_all(&[Load::InDevice, mac, address]);
    e.lookup(set, register(0), true).decide(Verdict::Return);
}

/// Goes on if the frame comes from a port with its own hardware address.
fn own_mac(e: &mut Expressions<'_, '_>) {
    e.load_all(&[Load::InDevice, Load::EtherSource]);
    e.lookup(sets::SENDERS.name, register(0), true);
}

fn unspecified(e: &mut Expressions<'_, '_>) {
    e.load(Load::Source6, register(0))
        .compare(register(0), true, &[0; 16]);
}

/// What comes from a port has the hardware address and an address of its endpoint. A port without an endpoint sends nothing.
pub(super) fn senders() -> Vec<Rule> {
    vec![
        rule(|e| {
            ether_type(e, IPV4);
            let_member(e, sets::V4.members.name, Load::EtherSource, Load::Source4);
        }),
        rule(|e| {
            ether_type(e, ARP);
            own_mac(e);
            let_member(
                e,
                sets::V4.members.name,
                Load::ArpSourceMac,
                Load::ArpSource,
            );
        }),
        // Somebody who asks whether an address is free has none yet.
        rule(|e| {
            ether_type(e, ARP);
            own_mac(e);
            e.load(Load::ArpSource, register(0))
                .compare(register(0), true, &[0; 4])
                .decide(Verdict::Return);
        }),
        rule(|e| {
            ether_type(e, IPV6);
            e.decide(Verdict::Goto("ipv6"));
        }),
        rule(|e| {
            e.decide(Verdict::Drop);
        }),
    ]
}

pub(super) fn icmp6_of_type(e: &mut Expressions<'_, '_>, value: u8) {
    e.load(Load::L4Protocol, register(0))
        .compare(register(0), true, &[ICMP6])
        .load(Load::IcmpType, register(0))
        .compare(register(0), true, &[value]);
}

/// No container is a router (CVE-2020-13401), and each speaks for its own addresses only, that on the link among them: with the bridge's one
/// could take what others send to the host.
pub(super) fn ipv6_senders() -> Vec<Rule> {
    let dropped = move |value: u8| {
        rule(move |e| {
            icmp6_of_type(e, value);
            e.decide(Verdict::Drop);
        })
    };
    let reports = |value: u8| {
        rule(move |e| {
            icmp6_of_type(e, value);
            own_mac(e);
            unspecified(e);
            e.decide(Verdict::Return);
        })
    };
    let members = sets::V6.members.name;
    vec![
        dropped(ROUTER_ADVERTISEMENT),
        dropped(REDIRECT),
        rule(move |e| {
            icmp6_of_type(e, NEIGHBOUR_ADVERTISEMENT);
            let_member(e, members, Load::EtherSource, Load::NeighbourTarget);
        }),
        dropped(NEIGHBOUR_ADVERTISEMENT),
        rule(move |e| let_member(e, members, Load::EtherSource, Load::Source6)),
        // Without an address yet, one asks whether anybody has that which is to be one's own, and reports groups.
        rule(move |e| {
            icmp6_of_type(e, NEIGHBOUR_SOLICITATION);
            unspecified(e);
            let_member(e, members, Load::EtherSource, Load::NeighbourTarget);
        }),
        reports(GROUP_REPORT),
        reports(GROUP_REPORT_2),
        rule(|e| {
            e.decide(Verdict::Drop);
        }),
    ]
}
