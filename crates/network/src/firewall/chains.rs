//! The chains and their rules, which never change.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use super::expression::{Expressions, Load, Nat, Verdict, register};
use super::frames;
use super::links;
use super::sets::{self, Family, OfFamily};
use crate::DeviceName;

/// A chain that the kernel calls, with its rules.
pub(super) struct Chain {
    pub(super) family: Family,
    pub(super) name: Cow<'static, str>,
    /// The chain's type, hook and priority; none for one that rules jump to.
    pub(super) hook: Option<(&'static str, u32, i32)>,
    /// For what comes in by this device only.
    pub(super) device: Option<DeviceName>,
    pub(super) rules: Vec<Rule>,
}

pub(super) type Rule = Box<dyn Fn(&mut Expressions<'_, '_>)>;

const PREROUTING: u32 = 0;
const FORWARD: u32 = 2;
const OUTPUT: u32 = 3;
const POSTROUTING: u32 = 4;

const RAW: i32 = -300;
const DNAT: i32 = -100;
pub(super) const FILTER: i32 = 0;
const SNAT: i32 = 100;

const ESTABLISHED_RELATED: [u8; 4] = 6u32.to_ne_bytes();
const DESTINATION_TRANSLATED: [u8; 4] = (1u32 << 5).to_ne_bytes();
/// `RTN_LOCAL`.
const LOCAL_ROUTE: [u8; 4] = 2u32.to_ne_bytes();

pub(super) const ICMP: u8 = 1;
pub(super) const ICMP6: u8 = 58;
const ECHO_REQUEST: u8 = 8;
const ECHO_REQUEST6: u8 = 128;

/// All chains but those of ports; those that others jump to first. What sends frames from port to port is there only where the
/// kernel can do that.
pub(super) fn all(shortcuts: bool) -> Vec<Chain> {
    let chain = |name, kind, hook, priority, rules| Chain {
        family: Family::Inet,
        name: Cow::Borrowed(name),
        hook: Some((kind, hook, priority)),
        device: None,
        rules,
    };
    let of_ports = |name, rules| Chain {
        family: Family::Netdev,
        name: Cow::Borrowed(name),
        hook: None,
        device: None,
        rules,
    };
    let mut all = vec![
        chain("raw", "filter", PREROUTING, RAW, raw()),
        chain("prerouting", "nat", PREROUTING, DNAT, prerouting()),
        chain("output", "nat", OUTPUT, DNAT, output()),
        chain("forward", "filter", FORWARD, FILTER, forward()),
        chain("postrouting", "nat", POSTROUTING, SNAT, postrouting()),
        of_ports("ipv6", frames::ipv6_senders()),
        of_ports("senders", frames::senders()),
    ];
    if shortcuts {
        all.push(of_ports(links::CHAIN, links::rules()));
    }
    all
}

pub(super) fn rule(write: impl Fn(&mut Expressions<'_, '_>) + 'static) -> Rule {
    Box::new(write)
}

/// One of the two families of addresses, and what belongs to it.
#[derive(Clone, Copy)]
struct Side {
    /// `NFPROTO_IPV4` or `NFPROTO_IPV6`.
    number: u8,
    sets: &'static OfFamily,
    source: Load,
    destination: Load,
    loopback: &'static [u8],
    echo: (u8, u8),
}

const SIDE4: Side = Side {
    number: 2,
    sets: &sets::V4,
    source: Load::Source4,
    destination: Load::Destination4,
    loopback: &[127],
    echo: (ICMP, ECHO_REQUEST),
};

const SIDE6: Side = Side {
    number: 10,
    sets: &sets::V6,
    source: Load::Source6,
    destination: Load::Destination6,
    loopback: &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
    echo: (ICMP6, ECHO_REQUEST6),
};

impl Side {
    fn is(self, e: &mut Expressions<'_, '_>) {
        e.load(Load::Family, register(0))
            .compare(register(0), true, &[self.number]);
    }
}

/// A bridge lets loopback addresses be routed, for connections of the host itself to published ports. Nothing with such an
/// address comes out of a container.
fn raw() -> Vec<Rule> {
    let from_bridge = |address: Load| {
        rule(move |e| {
            e.load(Load::InDevice, register(0))
                .lookup(sets::BRIDGES.name, register(0), true);
            SIDE4.is(e);
            e.load(address, register(0))
                .compare(register(0), true, SIDE4.loopback)
                .decide(Verdict::Drop);
        })
    };
    vec![from_bridge(Load::Source4), from_bridge(Load::Destination4)]
}

/// From elsewhere nobody reaches what is published on a loopback address, whatever the devices' `route_localnet` says.
fn prerouting() -> Vec<Rule> {
    let mut rules = translations(SIDE4, true);
    rules.extend(translations(SIDE6, true));
    rules
}

/// The host's own connections. To `::1` they are the proxy's: IPv6 loopback addresses cannot be routed.
fn output() -> Vec<Rule> {
    let mut rules = translations(SIDE4, false);
    rules.extend(translations(SIDE6, true));
    rules
}

fn translations(side: Side, not_loopback: bool) -> Vec<Rule> {
    use Load::{DestinationPort, L4Protocol};
    let sets = side.sets;
    let address = register(0);
    let port = register(side.destination.registers());
    let translate = move |map: &'static str, one_address: bool, with_port: bool| {
        rule(move |e| {
            side.is(e);
            if not_loopback {
                e.load(side.destination, register(0))
                    .compare(register(0), false, side.loopback);
            }
            if one_address {
                e.load_all(&[side.destination, L4Protocol, DestinationPort]);
            } else {
                e.load(Load::DestinationType, register(0))
                    .compare(register(0), true, &LOCAL_ROUTE);
                e.load_all(&[L4Protocol, DestinationPort]);
            }
            e.map(map, register(0), register(0)).translate(Nat {
                destination: true,
                family: side.number.into(),
                address,
                port: with_port.then_some(port),
            });
        })
    };
    vec![
        translate(sets.ports.name, true, true),
        translate(sets.ranges.name, true, false),
        translate(sets.ports_any.name, false, true),
        translate(sets.ranges_any.name, false, false),
    ]
}

/// What goes into one of our bridges, and what leaves one that must not be left.
fn forward() -> Vec<Rule> {
    let in_set = |set: &'static str, parts: &'static [Load], verdict| {
        rule(move |e| {
            e.load_all(parts);
            e.lookup(set, register(0), true).decide(verdict);
        })
    };
    let (incoming, outgoing) = (Load::InDevice, Load::OutDevice);
    let both: &'static [Load] = &[Load::InDevice, Load::OutDevice];
    let mut rules = vec![
        rule(|e| {
            e.load(Load::CtState, register(0))
                .mask(register(0), &ESTABLISHED_RELATED)
                .compare(register(0), false, &[0; 4])
                .decide(Verdict::Accept);
        }),
        in_set(sets::TOGETHER.name, both, Verdict::Accept),
        in_set(sets::INTERNAL.name, &[Load::InDevice], Verdict::Drop),
        in_set(sets::INTERNAL.name, &[Load::OutDevice], Verdict::Drop),
        rule(move |e| {
            e.load_all(&[Load::Family, incoming])
                .lookup(sets::GUARDED.name, register(0), true)
                .load_all(&[Load::Family, outgoing])
                .lookup(sets::GUARDED.name, register(0), true)
                .decide(Verdict::Drop);
        }),
        rule(move |e| {
            e.load(outgoing, register(0))
                .lookup(sets::BRIDGES.name, register(0), false)
                .decide(Verdict::Accept);
        }),
        rule(|e| {
            e.load(Load::CtStatus, register(0))
                .mask(register(0), &DESTINATION_TRANSLATED)
                .compare(register(0), false, &[0; 4])
                .decide(Verdict::Accept);
        }),
        rule(move |e| {
            e.load(incoming, register(0))
                .lookup(sets::BRIDGES.name, register(0), false);
            e.load_all(&[Load::Family, outgoing]);
            e.lookup(sets::UNPROTECTED.name, register(0), true)
                .decide(Verdict::Accept);
        }),
    ];
    for side in [SIDE4, SIDE6] {
        rules.push(direct(side));
        rules.extend(routed(side));
    }
    rules.push(rule(|e| {
        e.decide(Verdict::Drop);
    }));
    rules
}

/// A trusted device reaches published ports by the containers' own addresses.
fn direct(side: Side) -> Rule {
    rule(move |e| {
        side.is(e);
        e.load_all(&[Load::InDevice, Load::OutDevice]);
        e.lookup(sets::TRUSTED.name, register(0), true);
        e.load_all(&[side.destination, Load::L4Protocol, Load::DestinationPort]);
        e.lookup(side.sets.direct.name, register(0), true)
            .decide(Verdict::Accept);
    })
}

fn routed(side: Side) -> [Rule; 2] {
    [
        rule(move |e| {
            side.is(e);
            e.load_all(&[side.destination, Load::L4Protocol, Load::DestinationPort]);
            e.lookup(side.sets.open.name, register(0), true)
                .decide(Verdict::Accept);
        }),
        rule(move |e| {
            side.is(e);
            e.load_all(&[Load::Family, Load::OutDevice]);
            e.lookup(sets::ROUTED.name, register(0), true)
                .load(Load::L4Protocol, register(0))
                .compare(register(0), true, &[side.echo.0])
                .load(Load::IcmpType, register(0))
                .compare(register(0), true, &[side.echo.1])
                .decide(Verdict::Accept);
        }),
    ]
}

/// What comes back to its own bridge through a published port, and what leaves.
fn postrouting() -> Vec<Rule> {
    let mut rules = vec![rule(|e| {
        SIDE4.is(e);
        e.load(Load::Source4, register(0))
            .compare(register(0), true, SIDE4.loopback)
            .load(Load::OutDevice, register(0))
            .lookup(sets::BRIDGES.name, register(0), true)
            .masquerade();
    })];
    for side in [SIDE4, SIDE6] {
        let sets = side.sets;
        rules.extend([
            rule(move |e| {
                side.is(e);
                e.load(Load::CtStatus, register(0))
                    .mask(register(0), &DESTINATION_TRANSLATED)
                    .compare(register(0), false, &[0; 4]);
                e.load_all(&[side.source, Load::OutDevice]);
                e.lookup(sets.local.name, register(0), true).masquerade();
            }),
            rule(move |e| {
                side.is(e);
                e.load_all(&[side.source, Load::OutDevice]);
                e.lookup(sets.local.name, register(0), true)
                    .decide(Verdict::Accept);
            }),
            rule(move |e| {
                side.is(e);
                e.load(side.source, register(0))
                    .map(sets.source.name, register(0), register(0))
                    .translate(Nat {
                        destination: false,
                        family: side.number.into(),
                        address: register(0),
                        port: None,
                    });
            }),
            rule(move |e| {
                side.is(e);
                e.load(side.source, register(0))
                    .lookup(sets.masquerade.name, register(0), true)
                    .masquerade();
            }),
        ]);
    }
    rules
}

fn names(address: Ipv4Addr, ports: (u16, u16)) -> Vec<Rule> {
    let lead = |protocol: u8, port: u16| {
        rule(move |e| {
            SIDE4.is(e);
            e.load(Load::Destination4, register(0))
                .compare(register(0), true, &address.octets())
                .load(Load::L4Protocol, register(0))
                .compare(register(0), true, &[protocol])
                .load(Load::DestinationPort, register(0))
                .compare(register(0), true, &53u16.to_be_bytes())
                .set(register(0), &address.octets())
                .set(register(1), &port.to_be_bytes())
                .translate(Nat {
                    destination: true,
                    family: SIDE4.number.into(),
                    address: register(0),
                    port: Some(register(1)),
                });
        })
    };
    vec![lead(17, ports.0), lead(6, ports.1)]
}

/// A chain for a container's own namespace, which leads port 53 of its name server to the ports at which that listens (UDP, TCP).
pub(super) fn of_names(address: Ipv4Addr, ports: (u16, u16)) -> Chain {
    Chain {
        family: Family::Inet,
        name: Cow::Borrowed("names"),
        hook: Some(("nat", OUTPUT, DNAT)),
        device: None,
        rules: names(address, ports),
    }
}
