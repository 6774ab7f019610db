//! Names of containers: tables, and answers out of them. No sockets: who has them gives the bytes of a query in, and sends
//! the bytes that come out.

use std::net::IpAddr;

use crate::{Identity, Prefix};

/// The names of one network.
#[derive(Clone, Debug, Default)]
pub struct Table {
    network: String,
    hosts: Vec<Named>,
}

/// An endpoint's names. Several endpoints may share a name: then all their addresses are answered, each time in another order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    pub endpoint: Identity,
    /// The container's name first (PTR answers with it), then aliases and the short id.
    pub names: Vec<String>,
    pub addresses: Vec<IpAddr>,
}

/// What to do with a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Send this back.
    Reply(Vec<u8>),
    /// The name is none of ours: ask the upstream servers.
    Forward,
    /// This is no query: send nothing.
    Ignore,
}

/// What carried the query: a datagram's answer must fit into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

impl Table {
    /// An empty table of the network of this name, which may follow a container's: `web.frontend`.
    #[must_use]
    pub fn new(network: &str) -> Self {
        Self {
            network: network.to_owned(),
            hosts: Vec::new(),
        }
    }

    /// Puts an endpoint's names in, in place of those it had.
    pub fn set(&mut self, named: Named) {
        self.remove(&named.endpoint);
        self.hosts.push(named);
    }

    pub fn remove(&mut self, endpoint: &Identity) {
        self.hosts.retain(|host| host.endpoint != *endpoint);
    }
}

/// Answers a query of a container that is in the networks of `tables`, that of its default route first. Other networks'
/// names are not there for it. `subnets` are theirs: an address in one of them is not asked for upstream.
#[must_use]
pub fn answer(query: &[u8], transport: Transport, tables: &[&Table], subnets: &[Prefix]) -> Answer {
    todo!()
}
