//! Batches that the kernel carries out as a whole or not at all.

use super::chains::{self, Chain};
use super::expression::Expressions;
use super::sets::{self, Element, Family};
use crate::DeviceName;
use crate::netlink::{Batch, MessageWriter, flag};

pub(super) const SUBSYSTEM: u16 = 10 << 8;
const NEWTABLE: u16 = SUBSYSTEM;
const DELTABLE: u16 = SUBSYSTEM | 2;
const NEWCHAIN: u16 = SUBSYSTEM | 3;
const DESTROYCHAIN: u16 = SUBSYSTEM | 27;
const NEWRULE: u16 = SUBSYSTEM | 6;
const NEWSET: u16 = SUBSYSTEM | 9;
const NEWSETELEM: u16 = SUBSYSTEM | 12;
const DELSETELEM: u16 = SUBSYSTEM | 14;
const BEGIN: u16 = 0x10;
const END: u16 = 0x11;
/// A list of elements is an attribute, whose length has 16 bits.
const ELEMENTS_PER_MESSAGE: usize = 400;

/// A batch in the making, for the tables of one name.
pub(super) struct Transaction<'a> {
    table: &'a str,
    batch: Batch,
}

/// `struct nfgenmsg`: family, version, resource.
pub(super) const fn generic(family: u8, resource: u16) -> [u8; 4] {
    let [high, low] = resource.to_be_bytes();
    [family, 0, high, low]
}

impl<'a> Transaction<'a> {
    pub(super) fn new(table: &'a str) -> Self {
        let mut batch = Batch::new();
        batch.message(BEGIN, 0, &generic(0, SUBSYSTEM >> 8), "");
        Self { table, batch }
    }

    fn message(
        &mut self,
        kind: u16,
        flags: u16,
        family: Family,
        doing: impl Into<String>,
    ) -> MessageWriter<'_> {
        let fixed = generic(family.number(), 0);
        let mut message = self.batch.message(kind, flags, &fixed, doing);
        message.text(1, self.table);
        message
    }

    /// Both tables are gone after this, whether they were there or not.
    pub(super) fn remove_tables(&mut self) {
        for family in Family::ALL {
            let doing = format!("remove the firewall table {}", self.table);
            self.message(NEWTABLE, flag::CREATE, family, doing.clone());
            self.message(DELTABLE, 0, family, doing);
        }
    }

    /// One table with one chain. EEXIST if it is there.
    pub(super) fn make_table_of(&mut self, chain: &Chain) {
        let doing = format!("make the firewall table {}", self.table);
        let flags = flag::CREATE | flag::EXCL;
        self.message(NEWTABLE, flags, chain.family, doing);
        self.make_chain(chain);
    }

    /// The table of this chain is gone, or there is an error if it is not there.
    pub(super) fn remove_table_of(&mut self, chain: &Chain) {
        let doing = format!("remove the firewall table {}", self.table);
        self.message(DELTABLE, 0, chain.family, doing);
    }

    /// Both tables, with all chains, rules and sets, but without elements.
    pub(super) fn make_tables(&mut self, shortcuts: bool) {
        for family in Family::ALL {
            let doing = format!("make the firewall table {}", self.table);
            self.message(NEWTABLE, flag::CREATE, family, doing);
        }
        for (id, set) in (1..).zip(sets::ALL) {
            let doing = format!("make the firewall set {}", set.name);
            let mut message = self.message(NEWSET, flag::CREATE, set.family, doing);
            set.write(&mut message, id);
        }
        for chain in chains::all(shortcuts) {
            self.make_chain(&chain);
        }
    }

    pub(super) fn make_chain(&mut self, chain: &Chain) {
        let doing = format!("make the firewall chain {}", chain.name);
        let mut message = self.message(NEWCHAIN, flag::CREATE, chain.family, doing);
        message.text(3, &chain.name);
        if let Some((kind, hook, priority)) = chain.hook {
            message
                .nest(4, |inside| {
                    inside.be32(1, hook).be32(2, priority.cast_unsigned());
                    if let Some(device) = &chain.device {
                        inside.text(3, device.as_str());
                    }
                })
                .text(7, kind);
        }
        drop(message);
        for (number, rule) in chain.rules.iter().enumerate() {
            let doing = format!(
                "make rule {} of the firewall chain {}",
                number + 1,
                chain.name
            );
            let flags = flag::CREATE | flag::APPEND;
            self.message(NEWRULE, flags, chain.family, doing)
                .text(2, &chain.name)
                .nest(4, |list| rule(&mut Expressions::new(list)));
        }
    }

    /// The chain of a port is gone, if it was there. Kernels before 6.3 refuse the whole transaction, with EINVAL; there, a chain goes with
    /// its device.
    pub(super) fn destroy_chain_of(&mut self, port: &DeviceName) {
        let doing = format!("remove the firewall chain {port}");
        self.message(DESTROYCHAIN, 0, Family::Netdev, doing)
            .text(3, port.as_str());
    }

    pub(super) fn add(&mut self, elements: &[Element]) {
        self.change(NEWSETELEM, flag::CREATE, "put into", elements);
    }

    pub(super) fn remove(&mut self, elements: &[Element]) {
        self.change(DELSETELEM, 0, "take out of", elements);
    }

    /// Elements of one set go into one message.
    fn change(&mut self, kind: u16, flags: u16, what: &str, elements: &[Element]) {
        let same = |a: &Element, b: &Element| std::ptr::eq(a.set, b.set);
        for run in elements.chunk_by(same) {
            let set = run[0].set;
            for part in run.chunks(ELEMENTS_PER_MESSAGE) {
                let doing = format!("{what} the firewall set {}", set.name);
                self.message(kind, flags, set.family, doing)
                    .text(2, set.name)
                    .nest(3, |list| part.iter().for_each(|e| e.write(list)));
            }
        }
    }

    /// The batch; `None` if there is nothing in it.
    pub(super) fn finish(mut self) -> Option<Batch> {
        if self.batch.len() == 1 {
            return None;
        }
        self.batch.acknowledge_last();
        self.batch.message(END, 0, &generic(0, SUBSYSTEM >> 8), "");
        Some(self.batch)
    }
}

/// What `nft flush ruleset` sends.
#[cfg(test)]
pub(crate) fn flush() {
    in_a_batch(|batch| {
        batch.message(DELTABLE, flag::ACK, &generic(0, 0), "flush");
    });
}

/// A chain of somebody else's, which drops what is forwarded; of IPv6 if the table's name ends in 6.
#[cfg(test)]
pub(crate) fn add_dropping_chain(table: &str, chain: &str) {
    let family = if table.ends_with('6') { 10 } else { 2 };
    in_a_batch(|batch| {
        batch
            .message(NEWTABLE, flag::CREATE, &generic(family, 0), "table")
            .text(1, table);
        batch
            .message(
                NEWCHAIN,
                flag::CREATE | flag::ACK,
                &generic(family, 0),
                "chain",
            )
            .text(1, table)
            .text(3, chain)
            .nest(4, |hook| {
                hook.be32(1, 2).be32(2, 0);
            })
            .be32(5, 0)
            .text(7, "filter");
    });
}

#[cfg(test)]
fn in_a_batch(write: impl FnOnce(&mut Batch)) {
    let mut connection =
        crate::netlink::Connection::open(linux::netlink::Protocol::Netfilter).unwrap();
    let mut batch = Batch::new();
    batch.message(BEGIN, 0, &generic(0, SUBSYSTEM >> 8), "");
    write(&mut batch);
    batch.message(END, 0, &generic(0, SUBSYSTEM >> 8), "");
    connection.run(batch).unwrap();
}
