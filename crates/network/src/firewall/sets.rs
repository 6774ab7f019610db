//! The sets and maps that the rules look things up in, and their elements as bytes.

use crate::netlink::MessageWriter;

/// A part of a key or value: its type in `nft`'s numbering, so that `nft list` shows it well, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Family,
    Ipv4,
    Ipv6,
    Mac,
    Protocol,
    Port,
    Index,
    Device,
}

impl Field {
    const fn datatype(self) -> u32 {
        match self {
            Self::Family => 2,
            Self::Ipv4 => 7,
            Self::Ipv6 => 8,
            Self::Mac => 9,
            Self::Protocol => 12,
            Self::Port => 13,
            Self::Index => 20,
            Self::Device => 41,
        }
    }

    const fn length(self) -> u32 {
        match self {
            Self::Family | Self::Protocol => 1,
            Self::Port => 2,
            Self::Ipv4 | Self::Index => 4,
            Self::Mac => 6,
            Self::Ipv6 | Self::Device => 16,
        }
    }
}

/// Which table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Family {
    Inet,
    Netdev,
}

impl Family {
    pub(super) const ALL: [Self; 2] = [Self::Inet, Self::Netdev];

    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Netdev => 5,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Set {
    pub(super) family: Family,
    pub(super) name: &'static str,
    key: &'static [Field],
    value: &'static [Field],
    /// Elements are ranges.
    ranges: bool,
}

const fn set(family: Family, name: &'static str, key: &'static [Field]) -> Set {
    Set {
        family,
        name,
        key,
        value: &[],
        ranges: false,
    }
}

const fn map(name: &'static str, key: &'static [Field], value: &'static [Field]) -> Set {
    Set {
        value,
        ..set(Family::Inet, name, key)
    }
}

/// A map to the index of a bridge's port.
const fn to_port(name: &'static str, key: &'static [Field]) -> Set {
    Set {
        value: &[Field::Index],
        ..set(Family::Netdev, name, key)
    }
}

const fn of_ranges(set: Set) -> Set {
    Set {
        ranges: true,
        ..set
    }
}

use Field::{Device, Ipv4, Ipv6, Mac, Port, Protocol};

/// Our bridges.
pub(super) static BRIDGES: Set = set(Family::Inet, "bridges", &[Device]);
/// A bridge and itself, where containers may speak with each other.
pub(super) static TOGETHER: Set = set(Family::Inet, "together", &[Device, Device]);
/// Bridges that nothing is forwarded from and to.
pub(super) static INTERNAL: Set = set(Family::Inet, "internal", &[Device]);
/// Devices that did not forward among each other before we turned forwarding on.
pub(super) static GUARDED: Set = set(Family::Inet, "guarded", &[Field::Family, Device]);
/// A device of the host's and a bridge whose published ports it reaches by the containers' own addresses.
pub(super) static TRUSTED: Set = set(Family::Inet, "trusted", &[Device, Device]);
/// Bridges into which everything from outside may go.
pub(super) static UNPROTECTED: Set = set(Family::Inet, "unprotected", &[Field::Family, Device]);
/// Bridges whose containers are reached by their own addresses.
pub(super) static ROUTED: Set = set(Family::Inet, "routed", &[Field::Family, Device]);

/// The sets that there are once for each family of addresses.
#[derive(Debug)]
pub(super) struct OfFamily {
    /// A bridge's subnet and the bridge.
    pub(super) local: Set,
    /// Subnets whose packets leave with the address of the device they leave by.
    pub(super) masquerade: Set,
    /// Subnets whose packets leave with this address.
    pub(super) source: Set,
    /// Ports that are published at one address, or at all; singly, or as ranges whose numbers stay.
    pub(super) ports: Set,
    pub(super) ports_any: Set,
    pub(super) ranges: Set,
    pub(super) ranges_any: Set,
    /// Ports that everybody reaches by the container's own address: published ones of routed networks.
    pub(super) open: Set,
    /// The same for trusted devices only.
    pub(super) direct: Set,
    /// A port of the bridge and what may come from it.
    pub(super) members: Set,
    /// Two ports with a link between them, whichever way: the one, the address behind the other, and where that is.
    pub(super) partners: Set,
    /// What a link opens: from a port to the address and ports behind another. And what comes back from those.
    pub(super) links: Set,
    pub(super) replies: Set,
}

pub(super) static V4: OfFamily = OfFamily {
    local: of_ranges(set(Family::Inet, "local4", &[Ipv4, Device])),
    masquerade: of_ranges(set(Family::Inet, "masquerade4", &[Ipv4])),
    source: of_ranges(map("source4", &[Ipv4], &[Ipv4])),
    ports: map("ports4", &[Ipv4, Protocol, Port], &[Ipv4, Port]),
    ports_any: map("ports4_any", &[Protocol, Port], &[Ipv4, Port]),
    ranges: of_ranges(map("ranges4", &[Ipv4, Protocol, Port], &[Ipv4])),
    ranges_any: of_ranges(map("ranges4_any", &[Protocol, Port], &[Ipv4])),
    open: of_ranges(set(Family::Inet, "open4", &[Ipv4, Protocol, Port])),
    direct: of_ranges(set(Family::Inet, "direct4", &[Ipv4, Protocol, Port])),
    members: set(Family::Netdev, "members4", &[Device, Mac, Ipv4]),
    partners: to_port("partners4", &[Device, Ipv4]),
    links: of_ranges(to_port("links4", &[Device, Ipv4, Protocol, Port])),
    replies: of_ranges(to_port("replies4", &[Device, Ipv4, Protocol, Port])),
};

pub(super) static V6: OfFamily = OfFamily {
    local: of_ranges(set(Family::Inet, "local6", &[Ipv6, Device])),
    masquerade: of_ranges(set(Family::Inet, "masquerade6", &[Ipv6])),
    source: of_ranges(map("source6", &[Ipv6], &[Ipv6])),
    ports: map("ports6", &[Ipv6, Protocol, Port], &[Ipv6, Port]),
    ports_any: map("ports6_any", &[Protocol, Port], &[Ipv6, Port]),
    ranges: of_ranges(map("ranges6", &[Ipv6, Protocol, Port], &[Ipv6])),
    ranges_any: of_ranges(map("ranges6_any", &[Protocol, Port], &[Ipv6])),
    open: of_ranges(set(Family::Inet, "open6", &[Ipv6, Protocol, Port])),
    direct: of_ranges(set(Family::Inet, "direct6", &[Ipv6, Protocol, Port])),
    members: set(Family::Netdev, "members6", &[Device, Mac, Ipv6]),
    partners: to_port("partners6", &[Device, Ipv6]),
    links: of_ranges(to_port("links6", &[Device, Ipv6, Protocol, Port])),
    replies: of_ranges(to_port("replies6", &[Device, Ipv6, Protocol, Port])),
};

/// Ports of our bridges whose senders are looked at, and the hardware address each has.
pub(super) static SENDERS: Set = set(Family::Netdev, "senders", &[Device, Mac]);
/// Where a bridge's containers are that reach each other: the bridge and the hardware address, and the port.
pub(super) static NEIGHBOURS: Set = to_port("neighbours", &[Field::Index, Mac]);
/// The same by the address that neighbour discovery asks for.
pub(super) static TARGETS: Set = to_port("targets6", &[Field::Index, Ipv6]);

/// Every set, in the order in which they are made.
pub(super) static ALL: [&Set; 36] = [
    &BRIDGES,
    &TOGETHER,
    &INTERNAL,
    &GUARDED,
    &TRUSTED,
    &UNPROTECTED,
    &ROUTED,
    &V4.local,
    &V4.masquerade,
    &V4.source,
    &V4.ports,
    &V4.ports_any,
    &V4.ranges,
    &V4.ranges_any,
    &V4.open,
    &V4.direct,
    &V6.local,
    &V6.masquerade,
    &V6.source,
    &V6.ports,
    &V6.ports_any,
    &V6.ranges,
    &V6.ranges_any,
    &V6.open,
    &V6.direct,
    &V4.members,
    &V6.members,
    &V4.partners,
    &V6.partners,
    &V4.links,
    &V6.links,
    &V4.replies,
    &V6.replies,
    &SENDERS,
    &NEIGHBOURS,
    &TARGETS,
];

const fn padded(field: Field) -> u32 {
    field.length().next_multiple_of(4)
}

fn describe(fields: &[Field]) -> (u32, u32) {
    if let [field] = fields {
        return (field.datatype(), field.length());
    }
    let datatype = fields.iter().fold(0, |sum, f| sum << 6 | f.datatype());
    (datatype, fields.iter().copied().map(padded).sum())
}

impl Set {
    /// The attributes of the message that makes it, behind the table's.
    pub(super) fn write(&self, message: &mut MessageWriter<'_>, id: u32) {
        const INTERVAL: u32 = 0x4;
        const MAP: u32 = 0x8;
        const CONCAT: u32 = 0x80;
        let concat = self.ranges && self.key.len() > 1;
        let flags = u32::from(self.ranges) * INTERVAL
            + u32::from(!self.value.is_empty()) * MAP
            + u32::from(concat) * CONCAT;
        let (datatype, length) = describe(self.key);
        message
            .text(2, self.name)
            .be32(3, flags)
            .be32(4, datatype)
            .be32(5, length);
        if !self.value.is_empty() {
            let (datatype, length) = describe(self.value);
            message.be32(6, datatype).be32(7, length);
        }
        if concat {
            message.nest(9, |desc| {
                desc.nest(2, |fields| {
                    for field in self.key {
                        fields.nest(1, |one| {
                            one.be32(1, field.length());
                        });
                    }
                });
            });
        }
        message.be32(10, id);
    }

    /// Ranges of a key with one part are two elements: where one begins, and where it has ended.
    const fn has_separate_ends(&self) -> bool {
        self.ranges && self.key.len() == 1
    }
}

/// A key, value, or end of a range being put together, each part padded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Bytes(Vec<u8>);

impl Bytes {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn with(mut self, part: &[u8]) -> Self {
        self.0.extend_from_slice(part);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(super) fn address(self, address: std::net::IpAddr) -> Self {
        let (bytes, length) = crate::link::octets(address);
        self.with(&bytes[..length])
    }

    pub(super) fn device(self, name: &str) -> Self {
        let mut bytes = [0; 16];
        let length = name.len().min(15);
        bytes[..length].copy_from_slice(&name.as_bytes()[..length]);
        self.with(&bytes)
    }

    /// Of a device. As everything of the kernel's own in its byte order.
    pub(super) fn index(self, index: u32) -> Self {
        self.with(&index.to_ne_bytes())
    }

    pub(super) fn port(self, port: u16) -> Self {
        self.with(&port.to_be_bytes())
    }

    /// The number behind this one; `None` behind the last.
    fn successor(&self) -> Option<Self> {
        let mut bytes = self.0.clone();
        for byte in bytes.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                return Some(Self(bytes));
            }
        }
        None
    }
}

/// An element of a set, or of a map with `value`.
#[derive(Clone, Debug)]
pub(super) struct Element {
    pub(super) set: &'static Set,
    pub(super) key: Bytes,
    /// The last key of a range.
    pub(super) last: Option<Bytes>,
    pub(super) value: Option<Bytes>,
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Element {}

impl std::hash::Hash for Element {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl Element {
    /// Everything by which elements differ; no two sets have one name.
    fn parts(&self) -> (&'static str, &Bytes, Option<&Bytes>, Option<&Bytes>) {
        let (last, value) = (self.last.as_ref(), self.value.as_ref());
        (self.set.name, &self.key, last, value)
    }

    pub(super) fn write(&self, message: &mut MessageWriter<'_>) {
        const INTERVAL_END: u32 = 1;
        let data = |bytes: &Bytes, kind, element: &mut MessageWriter<'_>| {
            element.nest(kind, |data| {
                data.bytes(1, &bytes.0);
            });
        };
        message.nest(1, |element| {
            data(&self.key, 1, element);
            if let Some(value) = &self.value {
                data(value, 2, element);
            }
            if let (Some(last), false) = (&self.last, self.set.has_separate_ends()) {
                data(last, 10, element);
            }
        });
        let end = self.last.as_ref().and_then(Bytes::successor);
        if let (Some(end), true) = (end, self.set.has_separate_ends()) {
            message.nest(1, |element| {
                element.be32(3, INTERVAL_END);
                data(&end, 1, element);
            });
        }
    }
}
