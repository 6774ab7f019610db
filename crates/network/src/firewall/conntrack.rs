//! Connections that the kernel remembers. Datagrams follow a remembered connection past all rules, so where a port of UDP begins or ends
//! to lead to a container, what is remembered of it must be forgotten (moby#8795, moby#53384).

use linux::Errno;

use super::transaction::generic;
use crate::netlink::{Attributes, Batch, Connection, Message, flag};
use crate::{Protocol, Published, Result};

const SUBSYSTEM: u16 = 1 << 8;
const GET: u16 = SUBSYSTEM | 1;
const DELETE: u16 = SUBSYSTEM | 2;
const TUPLE_ORIG: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const PROTO_NUM: u16 = 1;
const PROTO_DST_PORT: u16 = 3;
const FILTER: u16 = 25;
const FILTER_ORIG_FLAGS: u16 = 1;
/// `CTA_FILTER_F_CTA_PROTO_NUM`, by which the kernel itself leaves out what is not UDP.
const BY_PROTOCOL: u32 = 1 << 3;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// Forgets what is remembered of those of these ports that are UDP's.
pub(super) fn forget(connection: &mut Connection, ports: &[Published]) -> Result<()> {
    for (family, is_ipv4) in [(AF_INET, true), (AF_INET6, false)] {
        let concerned: Vec<_> = ports
            .iter()
            .filter(|p| p.protocol == Protocol::Udp && p.address.is_ipv4() == is_ipv4)
            .collect();
        if concerned.is_empty() {
            continue;
        }
        let is_one = |port| {
            concerned
                .iter()
                .any(|p| (p.host..=p.last_of_host()).contains(&port))
        };
        for batch in remembered(connection, family, is_one)? {
            match connection.run(batch) {
                // It has ended meanwhile.
                Err(error) if error.errno() == Some(Errno::NOENT) => {}
                result => result?,
            }
        }
    }
    Ok(())
}

/// What deletes each connection of UDP whose first datagram was for one of the ports.
fn remembered(
    connection: &mut Connection,
    family: u8,
    is_one: impl Fn(u16) -> bool,
) -> Result<Vec<Batch>> {
    let mut batch = Batch::new();
    let doing = "list the connections that the kernel remembers";
    batch
        .message(GET, flag::DUMP, &generic(family, 0), doing)
        .nest(TUPLE_ORIG, |tuple| {
            tuple.nest(TUPLE_PROTO, |proto| {
                proto.u8(PROTO_NUM, Protocol::Udp.number());
            });
        })
        .nest(FILTER, |filter| {
            filter.u32(FILTER_ORIG_FLAGS, BY_PROTOCOL);
        });
    let mut found = Vec::new();
    let asked = connection.ask(&batch, |message| {
        found.extend(destination(message).filter(|(_, port)| is_one(*port)));
    });
    match asked {
        // A kernel that cannot be asked about connections (CONFIG_NF_CT_NETLINK).
        Err(error) if matches!(error.errno(), Some(Errno::OPNOTSUPP | Errno::INVAL)) => {
            return Ok(Vec::new());
        }
        result => result?,
    }
    Ok(found
        .iter()
        .map(|(tuple, _)| deletion(family, tuple))
        .collect())
}

fn deletion(family: u8, tuple: &[u8]) -> Batch {
    const NESTED: u16 = 0x8000;
    let mut batch = Batch::new();
    let doing = "forget a connection";
    batch
        .message(DELETE, flag::ACK, &generic(family, 0), doing)
        .bytes(TUPLE_ORIG | NESTED, tuple);
    batch
}

/// A connection's first direction as the kernel wrote it, and the port that it was for, if it is UDP's.
pub(crate) fn destination(message: &Message<'_>) -> Option<(Vec<u8>, u16)> {
    if message.kind != SUBSYSTEM {
        return None;
    }
    let tuple = message.attributes(4).get(TUPLE_ORIG)?;
    let proto = Attributes::new(tuple).nested(TUPLE_PROTO);
    let port: [u8; 2] = proto.get(PROTO_DST_PORT)?.try_into().ok()?;
    let is_udp = proto.get(PROTO_NUM)? == [Protocol::Udp.number()];
    is_udp.then(|| (tuple.to_vec(), u16::from_be_bytes(port)))
}
