//! Links, addresses and routes: messages of rtnetlink.

use std::net::IpAddr;

use crate::netlink::{Batch, Connection, Message, MessageWriter, flag, u32_at};
use crate::{Address, DeviceName, Mac, Prefix, Result};

pub(crate) const NEWLINK: u16 = 16;
const DELLINK: u16 = 17;
const GETLINK: u16 = 18;
const NEWADDR: u16 = 20;
const DELADDR: u16 = 21;
const GETADDR: u16 = 22;
const NEWROUTE: u16 = 24;
const GETROUTE: u16 = 26;

/// The attribute that says who has given an address (Linux 5.18), and our own answer to it.
const PROTOCOL: u16 = 11;
pub(crate) const BY_US: u8 = b'T';

/// Attributes of links.
pub(crate) mod ifla {
    pub(crate) const ADDRESS: u16 = 1;
    pub(crate) const IFNAME: u16 = 3;
    pub(crate) const MTU: u16 = 4;
    pub(crate) const LINK: u16 = 5;
    pub(crate) const MASTER: u16 = 10;
    pub(crate) const LINKINFO: u16 = 18;
    pub(crate) const AF_SPEC: u16 = 26;
    pub(crate) const GROUP: u16 = 27;
    pub(crate) const NET_NS_FD: u16 = 28;
    pub(crate) const EXT_MASK: u16 = 29;
    pub(crate) const INFO_KIND: u16 = 1;
    pub(crate) const INFO_DATA: u16 = 2;
    pub(crate) const INFO_SLAVE_KIND: u16 = 4;
    pub(crate) const INFO_SLAVE_DATA: u16 = 5;
    pub(crate) const VETH_PEER: u16 = 1;
    pub(crate) const BR_FORWARD_DELAY: u16 = 1;
    pub(crate) const BRPORT_HAIRPIN: u16 = 4;
    pub(crate) const BRPORT_ISOLATED: u16 = 33;
}

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// `IFF_UP`.
const UP: u32 = 1;
const SKIP_STATS: u32 = 8;
const NO_DAD: u32 = 2;
const MAIN_TABLE: u8 = 254;
const PROTOCOL_BOOT: u8 = 3;
const SCOPE_LINK: u8 = 253;
const UNICAST: u8 = 1;
const RTNH_ONLINK: u32 = 4;
pub(crate) const CREATE: u16 = flag::ACK | flag::CREATE | flag::EXCL;

/// `struct ifinfomsg`.
pub(crate) fn ifinfo(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut fixed = [0; 16];
    fixed[4..8].copy_from_slice(&index.to_ne_bytes());
    fixed[8..12].copy_from_slice(&flags.to_ne_bytes());
    fixed[12..16].copy_from_slice(&change.to_ne_bytes());
    fixed
}

/// A link as the kernel tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) group: u32,
    pub(crate) master: u32,
    pub(crate) kind: String,
    pub(crate) is_up: bool,
}

impl Link {
    pub(crate) fn read(message: &Message<'_>) -> Option<Self> {
        if message.kind != NEWLINK {
            return None;
        }
        let attributes = message.attributes(16);
        let info = attributes.nested(ifla::LINKINFO);
        Some(Self {
            index: u32_at(message.payload, 4)?,
            name: attributes.text(ifla::IFNAME)?.to_owned(),
            group: attributes.u32(ifla::GROUP).unwrap_or(0),
            master: attributes.u32(ifla::MASTER).unwrap_or(0),
            kind: info.text(ifla::INFO_KIND).unwrap_or_default().to_owned(),
            is_up: u32_at(message.payload, 8)? & UP != 0,
        })
    }
}

/// All links of the namespace.
pub(crate) fn list(connection: &mut Connection) -> Result<Vec<Link>> {
    let mut batch = Batch::new();
    batch
        .message(
            GETLINK,
            flag::DUMP,
            &ifinfo(0, 0, 0),
            "list the network devices",
        )
        .u32(ifla::EXT_MASK, SKIP_STATS);
    let mut links = Vec::new();
    connection.ask(&batch, |message| links.extend(Link::read(message)))?;
    Ok(links)
}

/// The link of this name, or `None`.
pub(crate) fn find(connection: &mut Connection, name: &DeviceName) -> Result<Option<Link>> {
    let mut batch = Batch::new();
    ask_for(&mut batch, name);
    let mut link = None;
    match connection.ask(&batch, |message| link = Link::read(message).or(link.take())) {
        Err(error) if error.errno() == Some(linux::Errno::NODEV) => Ok(None),
        result => result.map(|()| link),
    }
}

/// Asks for a link among other messages; [`Link::read`] understands the answer.
pub(crate) fn ask_for(batch: &mut Batch, name: &DeviceName) {
    batch
        .message(
            GETLINK,
            flag::ACK,
            &ifinfo(0, 0, 0),
            format!("look for the network device {name}"),
        )
        .text(ifla::IFNAME, name.as_str())
        .u32(ifla::EXT_MASK, SKIP_STATS);
}

/// Begins the making of a link; what is particular to its kind follows.
pub(crate) fn create<'a>(
    batch: &'a mut Batch,
    name: &DeviceName,
    doing: impl Into<String>,
) -> MessageWriter<'a> {
    let mut message = batch.message(NEWLINK, CREATE, &ifinfo(0, 0, 0), doing);
    message.text(ifla::IFNAME, name.as_str());
    message
}

/// Begins a change of a link that is there.
pub(crate) fn change<'a>(
    batch: &'a mut Batch,
    name: &DeviceName,
    doing: impl Into<String>,
) -> MessageWriter<'a> {
    let mut message = batch.message(NEWLINK, flag::ACK, &ifinfo(0, 0, 0), doing);
    message.text(ifla::IFNAME, name.as_str());
    message
}

pub(crate) fn set_up(batch: &mut Batch, name: &DeviceName) {
    batch
        .message(
            NEWLINK,
            flag::ACK,
            &ifinfo(0, UP, UP),
            format!("bring the network device {name} up"),
        )
        .text(ifla::IFNAME, name.as_str());
}

/// Link-local IPv6 addresses are not made by themselves any more.
pub(crate) fn without_link_local(message: &mut MessageWriter<'_>) {
    const ADDR_GEN_MODE: u16 = 8;
    const NONE: u8 = 1;
    message.nest(ifla::AF_SPEC, |spec| {
        spec.nest(AF_INET6, |inet6| {
            inet6.u8(ADDR_GEN_MODE, NONE);
        });
    });
}

/// Packets with addresses of 127.0.0.0/8 may be routed through the device.
pub(crate) fn with_routed_loopback(message: &mut MessageWriter<'_>) {
    const INET_CONF: u16 = 1;
    const ROUTE_LOCALNET: u16 = 26;
    message.nest(ifla::AF_SPEC, |spec| {
        spec.nest(AF_INET, |inet| {
            inet.nest(INET_CONF, |conf| {
                conf.u32(ROUTE_LOCALNET, 1);
            });
        });
    });
}

pub(crate) fn delete(batch: &mut Batch, name: &str) {
    batch
        .message(
            DELLINK,
            flag::ACK,
            &ifinfo(0, 0, 0),
            format!("remove the network device {name}"),
        )
        .text(ifla::IFNAME, name);
}

pub(crate) fn mac(message: &mut MessageWriter<'_>, mac: Mac) {
    message.bytes(ifla::ADDRESS, &mac.octets());
}

pub(crate) const fn family(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => AF_INET as u8,
        IpAddr::V6(_) => AF_INET6 as u8,
    }
}

pub(crate) fn octets(address: IpAddr) -> ([u8; 16], usize) {
    let mut bytes = [0; 16];
    match address {
        IpAddr::V4(v4) => {
            bytes[..4].copy_from_slice(&v4.octets());
            (bytes, 4)
        }
        IpAddr::V6(v6) => (v6.octets(), 16),
    }
}

/// Gives a link an address, at once usable: nobody else has addresses of our subnets, so duplicates are not looked for.
pub(crate) fn add_address(batch: &mut Batch, index: u32, address: Address, doing: String) {
    new_address(batch, index, address, doing).u8(PROTOCOL, BY_US);
}

/// The same without our mark, which containers need not see.
pub(crate) fn add_unmarked(batch: &mut Batch, index: u32, address: Address, doing: String) {
    new_address(batch, index, address, doing);
}

fn new_address(
    batch: &mut Batch,
    index: u32,
    address: Address,
    doing: String,
) -> MessageWriter<'_> {
    const ADDRESS: u16 = 1;
    const LOCAL: u16 = 2;
    const BROADCAST: u16 = 4;
    const FLAGS: u16 = 8;
    let mut fixed = [0; 8];
    fixed[0] = family(address.ip);
    fixed[1] = address.length();
    fixed[4..].copy_from_slice(&index.to_ne_bytes());
    let (bytes, length) = octets(address.ip);
    let mut message = batch.message(NEWADDR, CREATE, &fixed, doing);
    message
        .bytes(LOCAL, &bytes[..length])
        .bytes(ADDRESS, &bytes[..length]);
    if address.ip.is_ipv6() {
        message.u32(FLAGS, NO_DAD);
    } else if let Ok(prefix) = Prefix::of(address.ip, address.length())
        && address.length() < 31
    {
        let (bytes, length) = octets(prefix.last());
        message.bytes(BROADCAST, &bytes[..length]);
    }
    message
}

/// Where a route leads.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hop {
    pub(crate) device: u32,
    pub(crate) via: Option<IpAddr>,
    /// The gateway is on the link, though no address says so.
    pub(crate) on_link: bool,
}

/// Sets a route, in place of one to the same prefix.
pub(crate) fn set_route(batch: &mut Batch, to: Prefix, hop: Hop, doing: String) {
    const DST: u16 = 1;
    const OIF: u16 = 4;
    const GATEWAY: u16 = 5;
    let mut fixed = [0; 12];
    fixed[0] = family(to.address());
    fixed[1] = to.length();
    fixed[4] = MAIN_TABLE;
    fixed[5] = PROTOCOL_BOOT;
    fixed[6] = if hop.via.is_some() { 0 } else { SCOPE_LINK };
    fixed[7] = UNICAST;
    if hop.on_link {
        fixed[8..].copy_from_slice(&RTNH_ONLINK.to_ne_bytes());
    }
    let flags = flag::ACK | flag::CREATE | flag::REPLACE;
    let mut message = batch.message(NEWROUTE, flags, &fixed, doing);
    if to.length() > 0 {
        let (bytes, length) = octets(to.address());
        message.bytes(DST, &bytes[..length]);
    }
    message.u32(OIF, hop.device);
    if let Some(via) = hop.via {
        let (bytes, length) = octets(via);
        message.bytes(GATEWAY, &bytes[..length]);
    }
}

/// The prefixes of all unicast routes but the default ones, with the devices that they lead to (0 for several).
pub(crate) fn routes(connection: &mut Connection) -> Result<Vec<(Prefix, u32)>> {
    let mut found = Vec::new();
    for (family, width) in [(AF_INET, 4), (AF_INET6, 16)] {
        let mut fixed = [0; 12];
        fixed[0] = family as u8;
        let mut batch = Batch::new();
        batch.message(GETROUTE, flag::DUMP, &fixed, "list the host's routes");
        connection.ask(&batch, |message| found.extend(route(message, width)))?;
    }
    Ok(found)
}

/// The addresses of a link, but for those of its own link only.
pub(crate) fn addresses(connection: &mut Connection, index: u32) -> Result<Vec<Address>> {
    let found = marked_addresses(connection, index)?;
    Ok(found.into_iter().map(|(address, _)| address).collect())
}

/// The same, and who gave it each.
pub(crate) fn marked_addresses(
    connection: &mut Connection,
    index: u32,
) -> Result<Vec<(Address, u8)>> {
    let mut found = Vec::new();
    let mut batch = Batch::new();
    batch.message(GETADDR, flag::DUMP, &[0; 8], "list the host's addresses");
    connection.ask(&batch, |message| {
        found.extend(marked_address(message, index));
    })?;
    Ok(found)
}

pub(crate) fn address(message: &Message<'_>, index: u32) -> Option<Address> {
    marked_address(message, index).map(|(address, _)| address)
}

fn marked_address(message: &Message<'_>, index: u32) -> Option<(Address, u8)> {
    const ADDRESS: u16 = 1;
    const LOCAL: u16 = 2;
    const SCOPE_UNIVERSE: u8 = 0;
    let fixed = message.payload.get(..8)?;
    if message.kind != NEWADDR || u32_at(fixed, 4)? != index || fixed[3] != SCOPE_UNIVERSE {
        return None;
    }
    let attributes = message.attributes(8);
    let bytes = attributes.get(LOCAL).or_else(|| attributes.get(ADDRESS))?;
    let ip = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        16 => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
        _ => return None,
    };
    let protocol = attributes.get(PROTOCOL).and_then(|bytes| bytes.first());
    let address = Address::new(ip, fixed[1]).ok()?;
    Some((address, protocol.copied().unwrap_or(0)))
}

pub(crate) fn route(message: &Message<'_>, width: usize) -> Option<(Prefix, u32)> {
    const DST: u16 = 1;
    const OIF: u16 = 4;
    const CLONED: u32 = 0x200;
    let fixed = message.payload.get(..12)?;
    let cloned = u32_at(fixed, 8)? & CLONED != 0;
    if message.kind != NEWROUTE || fixed[7] != UNICAST || fixed[1] == 0 || cloned {
        return None;
    }
    let attributes = message.attributes(12);
    let bytes = attributes.get(DST)?.get(..width)?;
    let address = match width {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    let prefix = Prefix::of(address, fixed[1]).ok()?;
    Some((prefix, attributes.u32(OIF).unwrap_or(0)))
}

/// Takes an address from a link.
pub(crate) fn remove_address(batch: &mut Batch, index: u32, address: Address) {
    const LOCAL: u16 = 2;
    let mut fixed = [0; 8];
    (fixed[0], fixed[1]) = (family(address.ip), address.length());
    fixed[4..].copy_from_slice(&index.to_ne_bytes());
    let (bytes, length) = octets(address.ip);
    let doing = format!("remove the address {address}");
    batch
        .message(DELADDR, flag::ACK, &fixed, doing)
        .bytes(LOCAL, &bytes[..length]);
}

/// The same in a test, by the device's name.
#[cfg(test)]
pub(crate) fn forget_address(connection: &mut Connection, device: &str, address: Address) {
    let index = find(connection, &device.parse().unwrap())
        .unwrap()
        .unwrap()
        .index;
    let mut batch = Batch::new();
    remove_address(&mut batch, index, address);
    connection.run(batch).unwrap();
}
