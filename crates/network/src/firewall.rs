//! The firewall: one table of family `inet`, one of family `netdev`, both named after the engine.
//!
//! ```text
//! inet    raw          prerouting, before connections are tracked: nothing from a bridge has an address of 127.0.0.0/8
//!         prerouting   published ports, for what comes from elsewhere      ports4, ranges4 and so on -> address and port
//!         output       the same for the host's own connections
//!         forward      what goes into a bridge must have been translated, or be opened; nothing leaves an internal one
//!         postrouting  the bridge's address for what returns to the same bridge; the host's for what leaves
//! netdev  tv...        one a port of a bridge: first `senders`; then what is for a container of the same bridge goes straight there
//!         senders      each port sends with its endpoint's addresses only; ARP and neighbour discovery (`ipv6`) too
//!         links        where a bridge's containers do not reach each other: what links have opened
//! ```
//!
//! Between containers of a bridge a frame passes no bridge and no FORWARD: with br_netfilter, other tables would drop it there, as
//! Docker's policy does. It is also the shorter way. Whoever looks at the bridge with tcpdump does not see these frames; on the ports,
//! and in the containers, they are seen.
//!
//! The rules never change, but for the chains of ports; networks, endpoints and ports are elements of sets and maps. A range of ports whose numbers are the same on
//! both sides is one element, of any size; a range that is shifted is one element a port, since the kernel has no
//! such translation.
//!
//! # Hosts that drop what is forwarded
//!
//! A packet passes all chains of a hook, whoever owns them; an `accept` ends only the chain that says it, a `drop` is final. So where
//! another table drops in FORWARD (ufw's policy; Docker's, where it turned forwarding on), our accepting a packet does not help it, and nothing that we may do does: there is no verdict that skips
//! the chains of others, flowtables take over connections only after their first packets have passed, and what would avoid the
//! hook altogether (VRF, ipvlan, a translation in BPF) is not in every kernel. We do not change others' tables, so
//! [`crate::Host::forwarding_obstacles`] names such chains, those of iptables-legacy too, in words for the user, and
//!
//! - published ports then go through the proxy (`Endpoint::carried`), which is a local process on both sides and so meets INPUT and OUTPUT only;
//! - what containers send outside could go through the keeper as well: sockets in the container's namespace, as those for names, take TCP and
//!   UDP over, and the keeper opens the same connection from the host, which meets OUTPUT only (to be built);
//! - until then, what containers send outside needs a rule of the administrator's (`ufw route allow in on br-...`). firewalld lets pass
//!   what is translated, and what goes from its default zone, which devices without another are in, to a device of the same
//!   zone; in an other setting the bridge wants to be in the zone `trusted`;
//! - where connections are established, ufw and firewalld let them pass, so answers need nothing.
//!
//! Whoever turns forwarding on makes a router of the host. If it was us, the devices that were there at that moment go on not
//! forwarding among each other (set `guarded`); devices made later, as those of libvirt, are not concerned.

mod chains;
mod conntrack;
mod elements;
mod expression;
mod frames;
mod guard;
mod legacy;
mod links;
mod obstacles;
mod sets;
mod transaction;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::Ipv4Addr;

use linux::Errno;
use linux::netlink::Protocol;

use crate::devices::Plug;
use crate::host::Owner;
use crate::link;
use crate::netlink::{Batch, Connection};
use crate::{DeviceName, Endpoint, Expected, Identity, Linked, Links, Network, Published, Result};
use chains::Chain;
use sets::Element;
use transaction::Transaction;

pub(crate) use conntrack::destination as conntrack_destination;
#[cfg(test)]
pub(crate) use guard::dump;
pub(crate) use guard::{Watcher, guarded_devices, tables};
pub(crate) use obstacles::{is_on_the_way, obstacles};
#[cfg(test)]
pub(crate) use transaction::{add_dropping_chain, flush};

/// What the tables are to hold.
#[derive(Debug, Default)]
struct Model {
    networks: BTreeMap<Identity, Member>,
    guarded: Vec<Guarded>,
}

/// A device that is not to forward to others like it, of one family of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Guarded {
    /// IPv4, else IPv6.
    pub(crate) v4: bool,
    pub(crate) device: DeviceName,
}

#[derive(Debug)]
struct Member {
    network: Network,
    endpoints: BTreeMap<Identity, Plugged>,
}

/// An endpoint, and where it is.
#[derive(Debug)]
struct Plugged {
    endpoint: Endpoint,
    /// `None` if it has no port on the host.
    place: Option<Place>,
    links: Vec<Linked>,
}

/// The index of an endpoint's port; and of its bridge, if containers reach each other there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    port: u32,
    together: Option<u32>,
}

/// Our tables, and what is to be in them.
#[derive(Debug)]
pub(crate) struct Firewall {
    owner: Owner,
    table: String,
    connection: Connection,
    /// To ask for devices' indices.
    route: Connection,
    model: Model,
    /// Whether this kernel can send frames from port to port (NFT_FWD_NETDEV).
    shortcuts: bool,
    /// Whether it can remove what may not be there (Linux 6.3).
    destroys: bool,
}

impl Firewall {
    pub(crate) fn open(owner: Owner) -> Result<Self> {
        Ok(Self {
            owner,
            table: owner.table(),
            connection: Connection::open(Protocol::Netfilter)?,
            route: Connection::open(Protocol::Route)?,
            model: Model::default(),
            shortcuts: true,
            destroys: true,
        })
    }

    /// The port of our socket, by which our own changes are told from others'.
    pub(crate) fn socket_port(&self) -> Result<u32> {
        self.connection.port()
    }

    pub(crate) fn knows(&self, network: &Identity) -> bool {
        self.model.networks.contains_key(network)
    }

    /// Whether another network has the same device.
    pub(crate) fn shares_device(&self, network: &Network) -> bool {
        let mut others = self.model.networks.values();
        others.any(|other| {
            other.network.id != network.id && other.network.device() == network.device()
        })
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
        let new = elements::of_network(network);
        let result = self.apply(|transaction| transaction.add(&new));
        if result.is_err() {
            self.model.networks.remove(&network.id);
        }
        result
    }

    pub(crate) fn remove_network(&mut self, network: &Identity) -> Result<()> {
        let Some(member) = self.model.networks.get(network) else {
            return Ok(());
        };
        let endpoints: Vec<_> = member.endpoints.keys().cloned().collect();
        let network = member.network.clone();
        for endpoint in &endpoints {
            self.remove_endpoint(&network, endpoint)?;
        }
        let member = self.model.networks.remove(&network.id);
        let old = elements::of_network(&network);
        let result = self.apply(|transaction| transaction.remove(&old));
        if let (Err(_), Some(member)) = (&result, member) {
            self.model.networks.insert(network.id, member);
        }
        result
    }

    /// Lets an endpoint's port send, and publishes its ports.
    pub(crate) fn add_endpoint(
        &mut self,
        network: &Network,
        endpoint: &Endpoint,
        plug: Option<Plug>,
    ) -> Result<()> {
        let place = |plug: Plug| Place::new(network, plug).with_shortcuts(self.shortcuts);
        let plugged = Plugged {
            endpoint: endpoint.clone(),
            place: plug.map(place),
            links: Vec::new(),
        };
        let chain = self.chain_of(&plugged);
        let mut new = self.all_of(network, &plugged);
        let linked = self.links(&network.id);
        self.endpoints(&network.id)?
            .insert(endpoint.id.clone(), plugged);
        new.extend(links::missing(&self.links(&network.id), &linked));
        let result = self.apply(|transaction| {
            chain.iter().for_each(|chain| transaction.make_chain(chain));
            transaction.add(&new);
        });
        let result = result.and_then(|()| self.forget(&endpoint.ports));
        if result.is_err() {
            self.endpoints(&network.id)?.remove(&endpoint.id);
        }
        result
    }

    pub(crate) fn remove_endpoint(&mut self, network: &Network, endpoint: &Identity) -> Result<()> {
        let linked = self.links(&network.id);
        let known = self.endpoints(&network.id).ok();
        let Some(known) = known.and_then(|endpoints| endpoints.remove(endpoint)) else {
            return Ok(());
        };
        let mut old = self.all_of(network, &known);
        old.extend(links::missing(&linked, &self.links(&network.id)));
        let port = DeviceName::of_port(self.owner, endpoint);
        let with_chain = known.place.is_some() && self.destroys;
        let mut result = self.apply(|transaction| {
            transaction.remove(&old);
            if with_chain {
                transaction.destroy_chain_of(&port);
            }
        });
        if with_chain && matches!(&result, Err(error) if error.errno() == Some(Errno::INVAL)) {
            self.destroys = false;
            result = self.apply(|transaction| transaction.remove(&old));
        }
        if result.is_err() {
            let endpoints = self.endpoints(&network.id)?;
            endpoints.insert(endpoint.clone(), known);
            return result;
        }
        self.forget(&known.endpoint.ports)
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
        let known = &mut known.endpoint;
        let before = std::mem::replace(&mut known.ports, ports.to_vec());
        let not_in = |all: &[Published], others: &[Published]| -> Vec<Published> {
            all.iter()
                .filter(|p| !others.contains(p))
                .copied()
                .collect()
        };
        let (added, removed) = (not_in(ports, &before), not_in(&before, ports));
        // Not of what was added and removed: several ports may be one element.
        let new: HashSet<_> = elements::of_ports(network, known, ports)
            .into_iter()
            .collect();
        let old: HashSet<_> = elements::of_ports(network, known, &before)
            .into_iter()
            .collect();
        let in_order = |some: std::collections::hash_set::Difference<'_, Element, _>| {
            let mut all: Vec<_> = some.cloned().collect();
            all.sort_by_key(|element| (element.set.family, element.set.name));
            all
        };
        let (new, old) = (
            in_order(new.difference(&old)),
            in_order(old.difference(&new)),
        );
        let result = self.apply(|transaction| {
            transaction.remove(&old);
            transaction.add(&new);
        });
        let result = result.and_then(|()| self.forget(&[added, removed].concat()));
        if let (Err(_), Some(known)) = (&result, self.endpoints(&network.id)?.get_mut(endpoint)) {
            known.endpoint.ports = before;
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
            .map(|known| known.endpoint.ports.clone())
            .ok_or_else(|| unknown(&network.id))
    }

    pub(crate) fn endpoints_of(&self, network: &Identity) -> Vec<Identity> {
        let member = self.model.networks.get(network);
        member.map_or_else(Vec::new, |member| {
            member.endpoints.keys().cloned().collect()
        })
    }

    fn endpoints(&mut self, network: &Identity) -> Result<&mut BTreeMap<Identity, Plugged>> {
        let member = self.model.networks.get_mut(network);
        member
            .map(|m| &mut m.endpoints)
            .ok_or_else(|| unknown(network))
    }

    /// Devices that are not to forward among each other.
    pub(crate) fn guard(&mut self, devices: Vec<Guarded>) -> Result<()> {
        let new: Vec<_> = devices.iter().map(elements::guarded).collect();
        let before = self.model.guarded.len();
        self.model.guarded.extend(devices);
        let result = self.apply(|transaction| transaction.add(&new));
        if result.is_err() {
            self.model.guarded.truncate(before);
        }
        result
    }

    /// The tables are what the records say, whatever they were, in one transaction. Only the guarded devices stay: they are in no record.
    pub(crate) fn replace(&mut self, expected: &[Expected<'_>]) -> Result<()> {
        let plugged = |endpoint: &Endpoint, links: &Links| Plugged {
            endpoint: endpoint.clone(),
            place: None,
            links: links.get(&endpoint.id).cloned().unwrap_or_default(),
        };
        let member = |e: &Expected<'_>| {
            let endpoints = e.endpoints.iter();
            let endpoints = endpoints.map(|one| (one.id.clone(), plugged(one, e.links)));
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

    /// Makes the tables anew. A port that vanishes meanwhile is left out the next time.
    pub(crate) fn restore(&mut self) -> Result<()> {
        let tried = self.shortcuts;
        let result = match self.restore_once() {
            Err(error) if error.errno() == Some(Errno::NOENT) => self.restore_once(),
            result => return result,
        };
        match result {
            Err(error) if tried && error.errno() == Some(Errno::NOENT) => {
                self.shortcuts = false;
                self.restore_once()
            }
            result => result,
        }
    }

    fn restore_once(&mut self) -> Result<()> {
        let links = link::list(&mut self.route)?;
        let indices: HashMap<&str, u32> =
            links.iter().map(|l| (l.name.as_str(), l.index)).collect();
        let index = |name: &DeviceName| indices.get(name.as_str()).copied();
        for member in self.model.networks.values_mut() {
            let bridge = member.network.bridge().and_then(|b| index(&b.device));
            for plugged in member.endpoints.values_mut() {
                let port = index(&DeviceName::of_port(self.owner, &plugged.endpoint.id));
                let plug = port.zip(bridge).map(|(port, bridge)| Plug { port, bridge });
                plugged.place = plug
                    .map(|plug| Place::new(&member.network, plug).with_shortcuts(self.shortcuts));
            }
        }
        let mut transaction = Transaction::new(&self.table);
        transaction.remove_tables();
        transaction.make_tables(self.shortcuts);
        let members = self.model.networks.values();
        for plugged in members.flat_map(|member| member.endpoints.values()) {
            let chain = self.chain_of(plugged);
            chain.iter().for_each(|chain| transaction.make_chain(chain));
        }
        transaction.add(&self.all_elements());
        let batch = transaction.finish();
        self.run(batch)
    }

    fn chain_of(&self, plugged: &Plugged) -> Option<Chain> {
        let port = frames::Port {
            together: plugged.place?.together,
            checked: !plugged.endpoint.any_source,
            linked: plugged.place?.together.is_none() && self.shortcuts,
        };
        let name = DeviceName::of_port(self.owner, &plugged.endpoint.id);
        Some(frames::of_port(name, port))
    }

    fn all_of(&self, network: &Network, plugged: &Plugged) -> Vec<Element> {
        let endpoint = &plugged.endpoint;
        let name = DeviceName::of_port(self.owner, &endpoint.id);
        let mut all = plugged.place.map_or_else(Vec::new, |place| {
            elements::of_endpoint(&name, place, endpoint)
        });
        all.extend(elements::of_ports(network, endpoint, &endpoint.ports));
        all
    }

    fn all_elements(&self) -> Vec<Element> {
        let mut all: Vec<_> = self.model.guarded.iter().map(elements::guarded).collect();
        for member in self.model.networks.values() {
            all.extend(elements::of_network(&member.network));
            for plugged in member.endpoints.values() {
                all.extend(self.all_of(&member.network, plugged));
            }
            all.extend(self.links(&member.network.id));
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

impl Place {
    fn new(network: &Network, plug: Plug) -> Self {
        let shares = network
            .bridge()
            .is_some_and(|bridge| bridge.inter_container);
        Self {
            port: plug.port,
            together: shares.then_some(plug.bridge),
        }
    }

    fn with_shortcuts(self, shortcuts: bool) -> Self {
        Self {
            together: self.together.filter(|_| shortcuts),
            ..self
        }
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
