//! Looking at the machine's rules: whether somebody has changed ours.

use linux::netlink::Protocol;

use super::Guarded;
use super::transaction::{SUBSYSTEM, generic};
use crate::Result;
use crate::netlink::{Batch, Connection, Message, flag};

const GETSETELEM: u16 = SUBSYSTEM | 13;
const NEWGEN: u16 = SUBSYSTEM | 15;
/// `NFNLGRP_NFTABLES`.
const CHANGES: u32 = 7;

/// Hears of every change of rules.
pub(crate) struct Watcher {
    connection: Connection,
    table: String,
    /// Whose changes are ours.
    port: u32,
    touched: bool,
}

impl Watcher {
    pub(crate) fn open(table: String, port: u32) -> Result<Self> {
        let connection = Connection::open(Protocol::Netfilter)?;
        connection.join(CHANGES)?;
        Ok(Self {
            connection,
            table,
            port,
            touched: false,
        })
    }

    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Reads what has happened; true if somebody else has changed our tables. A transaction's changes come first, then the number of
    /// the generation it made.
    pub(crate) fn is_damaged(&mut self) -> Result<bool> {
        let (table, port, touched) = (&self.table, self.port, &mut self.touched);
        let mut damaged = false;
        let complete = self.connection.read_changes(|message| {
            if message.port == port {
                return;
            }
            if message.kind == NEWGEN {
                damaged |= std::mem::take(touched);
            } else {
                *touched |= message.attributes(4).text(1) == Some(table);
            }
        })?;
        Ok(damaged || !complete)
    }
}

/// The devices in our set `guarded`, if the table is there.
pub(super) fn read_guarded(connection: &mut Connection, table: &str) -> Result<Vec<Guarded>> {
    let set = super::sets::GUARDED.name;
    let mut batch = Batch::new();
    batch
        .message(
            GETSETELEM,
            flag::DUMP,
            &generic(super::sets::GUARDED.family.number(), 0),
            "read our firewall table",
        )
        .text(1, table)
        .text(2, set);
    let mut devices = Vec::new();
    let asked = connection.ask(&batch, |message| {
        devices.extend(guarded_devices(message));
    });
    match asked {
        Err(error) if error.errno() == Some(linux::Errno::NOENT) => Ok(Vec::new()),
        result => result.map(|()| devices),
    }
}

/// The elements of that set in a part of the answer.
pub(crate) fn guarded_devices(message: &Message<'_>) -> Vec<Guarded> {
    let elements = message.attributes(4).nested(3);
    let guarded = elements.filter_map(|(_, element)| {
        let key = crate::netlink::Attributes::new(element).nested(1);
        guarded(key.get(1)?)
    });
    guarded.collect()
}

/// The family, padded to four bytes, and the device's name.
fn guarded(key: &[u8]) -> Option<Guarded> {
    const NFPROTO_IPV4: u8 = 2;
    let name = key.get(4..)?.split(|byte| *byte == 0).next()?;
    Some(Guarded {
        v4: *key.first()? == NFPROTO_IPV4,
        device: std::str::from_utf8(name).ok()?.parse().ok()?,
    })
}

/// Every element of our tables, the set and the bytes of the element; and every chain.
#[cfg(test)]
pub(crate) fn dump(table: &str) -> Vec<(String, Vec<u8>)> {
    const GETCHAIN: u16 = SUBSYSTEM | 4;
    let mut connection = Connection::open(Protocol::Netfilter).unwrap();
    let mut found = Vec::new();
    for set in super::sets::ALL {
        let mut batch = Batch::new();
        let fixed = generic(set.family.number(), 0);
        batch
            .message(GETSETELEM, flag::DUMP, &fixed, "dump")
            .text(1, table)
            .text(2, set.name);
        let _ = connection.ask(&batch, |message| {
            for (_, element) in message.attributes(4).nested(3) {
                found.push((set.name.to_owned(), element.to_vec()));
            }
        });
    }
    let mut batch = Batch::new();
    batch.message(GETCHAIN, flag::DUMP, &generic(0, 0), "dump");
    let chains = connection.ask(&batch, |message| {
        let attributes = message.attributes(4);
        if attributes.text(1) == Some(table) {
            found.push(("chain".into(), attributes.text(3).unwrap().into()));
        }
    });
    chains.unwrap();
    found.sort();
    found
}

/// The names of all tables.
pub(crate) fn tables() -> Result<Vec<String>> {
    const GETTABLE: u16 = SUBSYSTEM | 1;
    let mut connection = Connection::open(Protocol::Netfilter)?;
    let mut batch = Batch::new();
    let doing = "list the tables of the firewall";
    batch.message(GETTABLE, flag::DUMP, &generic(0, 0), doing);
    let mut found = Vec::new();
    connection.ask(&batch, |m| {
        found.extend(m.attributes(4).text(1).map(str::to_owned));
    })?;
    Ok(found)
}
