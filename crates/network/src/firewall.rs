//! The firewall: one table of family `inet`, one of family `bridge`, both named after the engine.
//!
//! ```text
//! inet    raw          prerouting, before connections are tracked: nothing from a bridge has an address of 127.0.0.0/8
//!         prerouting   published ports, for what comes from elsewhere      ports4, ranges4 and so on -> address and port
//!         output       the same for the host's own connections
//!         forward      what goes into a bridge must have been translated, or be opened; nothing leaves an internal one
//!         postrouting  the bridge's address for what returns to the same bridge; the host's for what leaves
//! bridge  senders      each port sends with its endpoint's addresses only; ARP and neighbour discovery too
//! ```
//!
//! The rules never change; networks, endpoints and ports are elements of sets and maps. A range of ports whose numbers are the same on
//! both sides is one element, of any size; a range that is shifted is one element a port, since the kernel has no
//! such translation.
//!
//! # Hosts that drop what is forwarded
//!
//! A packet passes all chains of a hook, whoever owns them; an `accept` ends only the chain that says it, a `drop` is final. So where
//! another table drops in FORWARD (ufw's policy; Docker's, where it turned forwarding on; firewalld for devices
//! without a zone), our accepting a packet does not help it, and nothing that we may do does: there is no verdict that skips
//! the chains of others, flowtables take over connections only after their first packets have passed, and what would avoid the
//! hook altogether (VRF, ipvlan, a translation in BPF) is not in every kernel. We do not change others' tables, so
//! [`crate::Host::forwarding_obstacles`] names such chains, in words for the user, and
//!
//! - published ports then go through the proxy, which is a local process on both sides and so meets INPUT and OUTPUT only;
//! - what containers send outside needs a rule of the administrator's (`ufw route allow in on br-...`), or with firewalld
//!   the bridge in the zone `trusted`, which is asked for over its D-Bus interface, as Docker does;
//! - where connections are established, ufw and firewalld let them pass, so answers need nothing.
//!
//! Whoever turns forwarding on makes a router of the host. If it was us, the devices that were there at that moment go on not
//! forwarding among each other (set `guarded`); devices made later, as those of libvirt, are not concerned.

mod chains;
mod conntrack;
mod elements;
mod expression;
mod guard;
mod sets;
mod transaction;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use linux::Errno;
use linux::netlink::Protocol;

use crate::host::Owner;
use crate::netlink::{Batch, Connection};
use crate::{DeviceName, Endpoint, Expected, Identity, Network, Published, Result};
use sets::Element;
use transaction::Transaction;

pub(crate) use guard::{Watcher, obstacles};
#[cfg(test)]
pub(crate) use guard::{dump, tables};
#[cfg(test)]
pub(crate) use transaction::{add_dropping_chain, flush};

/// What the tables are to hold.
#[derive(Clone, Debug, Default)]
struct Model {
    networks: BTreeMap<Identity, Member>,
    guarded: Vec<DeviceName>,
}

#[derive(Clone, Debug)]
struct Member {
    network: Network,
    endpoints: BTreeMap<Identity, Endpoint>,
}

/// Our tables, and what is to be in them.
#[derive(Debug)]
pub(crate) struct Firewall {
    owner: Owner,
    table: String,
    connection: Connection,
    model: Model,
}

impl Firewall {
    pub(crate) fn open(owner: Owner) -> Result<Self> {
        Ok(Self {
            owner,
            table: owner.table(),
            connection: Connection::open(Protocol::Netfilter)?,
            model: Model::default(),
        })
    }

    /// The port of our socket, by which our own changes are told from others'.
    pub(crate) fn socket_port(&self) -> Result<u32> {
        self.connection.port()
    }

    pub(crate) fn knows(&self, network: &Identity) -> bool {
        self.model.networks.contains_key(network)
    }

    /// Knows the network from now on; a network that is known is changed.
    pub(crate) fn add_network(&mut self, network: &Network) -> Result<()> {
        let known = self.model.networks.get_mut(&network.id);
        if let Some(member) = known {
            if member.network == *network {
                return Ok(());
            }
            let before = std::mem::replace(&mut member.network, network.clone());
            let result = self.restore();
            if let (Err(_), Some(member)) = (&result, self.model.networks.get_mut(&network.id)) {
                member.network = before;
            }
            return result;
        }
        let member = Member {
            network: network.clone(),
            endpoints: BTreeMap::new(),
        };
        self.model.networks.insert(network.id.clone(), member);
        let result = self.add(&elements::of_network(network));
        if result.is_err() {
            self.model.networks.remove(&network.id);
        }
        result
    }

    pub(crate) fn remove_network(&mut self, network: &Identity) -> Result<()> {
        let Some(member) = self.model.networks.remove(network) else {
            return Ok(());
        };
        let mut old = elements::of_network(&member.network);
        for endpoint in member.endpoints.values() {
            old.extend(all_of(self.owner, &member.network, endpoint));
        }
        let result = self.take(&old);
        if result.is_err() {
            self.model.networks.insert(network.clone(), member);
        }
        result
    }

    /// Lets an endpoint's port send, and publishes its ports.
    pub(crate) fn add_endpoint(&mut self, network: &Network, endpoint: &Endpoint) -> Result<()> {
        let new = all_of(self.owner, network, endpoint);
        let endpoints = self.endpoints(&network.id)?;
        endpoints.insert(endpoint.id.clone(), endpoint.clone());
        let result = self.add(&new).and_then(|()| self.forget(&endpoint.ports));
        if result.is_err() {
            self.endpoints(&network.id)?.remove(&endpoint.id);
        }
        result
    }

    pub(crate) fn remove_endpoint(&mut self, network: &Network, endpoint: &Identity) -> Result<()> {
        let known = self.endpoints(&network.id).ok();
        let Some(known) = known.and_then(|endpoints| endpoints.remove(endpoint)) else {
            return Ok(());
        };
        let result = self.take(&all_of(self.owner, network, &known));
        if result.is_err() {
            let endpoints = self.endpoints(&network.id)?;
            endpoints.insert(endpoint.clone(), known);
            return result;
        }
        self.forget(&known.ports)
    }

    /// The ports of an endpoint are these from now on.
    pub(crate) fn set_ports(
        &mut self,
        network: &Network,
        endpoint: &Identity,
        ports: &[Published],
    ) -> Result<()> {
        let known = self
            .endpoints(&network.id)?
            .get_mut(endpoint)
            .ok_or_else(|| unknown(&network.id))?;
        let before = std::mem::replace(&mut known.ports, ports.to_vec());
        let not_in = |all: &[Published], others: &[Published]| -> Vec<Published> {
            all.iter()
                .filter(|p| !others.contains(p))
                .copied()
                .collect()
        };
        let (added, removed) = (not_in(ports, &before), not_in(&before, ports));
        let new = of_ports(network, known, &added);
        let old = of_ports(network, known, &removed);
        let result = self.apply(|transaction| {
            transaction.remove(&old);
            transaction.add(&new);
        });
        let result = result.and_then(|()| self.forget(&[added, removed].concat()));
        if let (Err(_), Some(known)) = (&result, self.endpoints(&network.id)?.get_mut(endpoint)) {
            known.ports = before;
        }
        result
    }

    /// The ports of an endpoint that is known.
    pub(crate) fn ports(
        &mut self,
        network: &Network,
        endpoint: &Identity,
    ) -> Result<Vec<Published>> {
        let endpoints = self.endpoints(&network.id)?;
        let known = endpoints.get(endpoint);
        known
            .map(|e| e.ports.clone())
            .ok_or_else(|| unknown(&network.id))
    }

    fn endpoints(&mut self, network: &Identity) -> Result<&mut BTreeMap<Identity, Endpoint>> {
        let member = self.model.networks.get_mut(network);
        member
            .map(|m| &mut m.endpoints)
            .ok_or_else(|| unknown(network))
    }

    /// Devices that are not to forward among each other.
    pub(crate) fn guard(&mut self, devices: Vec<DeviceName>) -> Result<()> {
        let new: Vec<_> = devices.iter().map(elements::guarded).collect();
        let before = self.model.guarded.len();
        self.model.guarded.extend(devices);
        let result = self.add(&new);
        if result.is_err() {
            self.model.guarded.truncate(before);
        }
        result
    }

    /// The tables are what the records say, whatever they were, in one transaction. Only the guarded devices stay: they are in no record.
    pub(crate) fn replace(&mut self, expected: &[Expected<'_>]) -> Result<()> {
        let member = |e: &Expected<'_>| {
            let endpoints = e.endpoints.iter().map(|e| (e.id.clone(), e.clone()));
            let member = Member {
                network: e.network.clone(),
                endpoints: endpoints.collect(),
            };
            (e.network.id.clone(), member)
        };
        if self.model.guarded.is_empty() {
            self.model.guarded = guard::read_guarded(&mut self.connection, &self.table)?;
        }
        self.model.networks = expected.iter().map(member).collect();
        self.restore()
    }

    /// Makes the tables anew.
    pub(crate) fn restore(&mut self) -> Result<()> {
        let mut transaction = Transaction::new(&self.table);
        transaction.remove_tables();
        transaction.make_tables(&DeviceName::port_prefix(self.owner));
        transaction.add(&self.all_elements());
        let batch = transaction.finish();
        self.run(batch)
    }

    fn all_elements(&self) -> Vec<Element> {
        let mut all: Vec<_> = self.model.guarded.iter().map(elements::guarded).collect();
        for member in self.model.networks.values() {
            all.extend(elements::of_network(&member.network));
            for endpoint in member.endpoints.values() {
                all.extend(all_of(self.owner, &member.network, endpoint));
            }
        }
        all.sort_by_key(|element| (element.set.family, element.set.name));
        all
    }

    /// Both tables are gone, and with them everything that was known.
    pub(crate) fn remove(&mut self) -> Result<()> {
        self.model = Model::default();
        let mut transaction = Transaction::new(&self.table);
        transaction.remove_tables();
        let batch = transaction.finish();
        self.run(batch)
    }

    fn forget(&mut self, ports: &[Published]) -> Result<()> {
        conntrack::forget(&mut self.connection, ports)
    }

    fn add(&mut self, new: &[Element]) -> Result<()> {
        self.apply(|transaction| transaction.add(new))
    }

    fn take(&mut self, old: &[Element]) -> Result<()> {
        self.apply(|transaction| transaction.remove(old))
    }

    /// Changes elements, after the model. If the tables are not as they should be (somebody flushed them, or they are not there
    /// yet), they are made anew from the model.
    fn apply(&mut self, change: impl FnOnce(&mut Transaction<'_>)) -> Result<()> {
        let mut transaction = Transaction::new(&self.table);
        change(&mut transaction);
        let batch = transaction.finish();
        match self.run(batch) {
            Err(error) if matches!(error.errno(), Some(Errno::NOENT | Errno::EXIST)) => {
                self.restore()
            }
            result => result,
        }
    }

    fn run(&mut self, batch: Option<Batch>) -> Result<()> {
        batch.map_or(Ok(()), |batch| self.connection.run(batch))
    }
}

/// Leads port 53 of `address` to other ports, in the namespace of `connection`, in place of where it was led before.
pub(crate) fn lead_names(
    connection: &mut Connection,
    address: Ipv4Addr,
    ports: (u16, u16),
) -> Result<()> {
    let chain = chains::of_names(address, ports);
    let mut run = |change: &dyn Fn(&mut Transaction<'_>)| {
        let mut transaction = Transaction::new("tare-names");
        change(&mut transaction);
        transaction
            .finish()
            .map_or(Ok(()), |batch| connection.run(batch))
    };
    // Nothing is removed if nothing is there: whoever closes a socket waits 10 ms for what was removed to be gone.
    match run(&|transaction| transaction.make_table_of(&chain)) {
        Err(error) if error.errno() == Some(Errno::EXIST) => run(&|transaction| {
            transaction.remove_table_of(&chain);
            transaction.make_table_of(&chain);
        }),
        result => result,
    }
}

fn unknown(network: &Identity) -> crate::Error {
    crate::Error::Invalid(format!(
        "the network {} or its endpoint is not there",
        network.short()
    ))
}

fn of_ports(network: &Network, endpoint: &Endpoint, ports: &[Published]) -> Vec<Element> {
    let of_port = |port| elements::of_port(network, endpoint, port);
    ports.iter().flat_map(of_port).collect()
}

fn all_of(owner: Owner, network: &Network, endpoint: &Endpoint) -> Vec<Element> {
    let mut all = elements::of_endpoint(owner, network, endpoint);
    all.extend(of_ports(network, endpoint, &endpoint.ports));
    all
}
