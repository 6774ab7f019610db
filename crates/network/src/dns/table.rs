use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::Identity;

/// The names of one network.
#[derive(Clone, Debug, Default)]
pub struct Table {
    network: String,
    endpoints: BTreeMap<Identity, Named>,
    /// Who has a name, which is in lower case; each once and in order.
    names: BTreeMap<String, Vec<Identity>>,
    addresses: BTreeMap<IpAddr, Identity>,
}

/// An endpoint's names. Several endpoints may share a name: then all their addresses are answered, each time in another order.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Named {
    pub endpoint: Identity,
    /// The container's name first (PTR answers with it), then aliases and the short id.
    pub names: Vec<String>,
    pub addresses: Vec<IpAddr>,
}

impl Table {
    /// An empty table of the network of this name, which may follow a container's: `web.frontend`. One without a name is
    /// for names that go with no address: it answers nobody who asks what an address is called.
    #[must_use]
    pub fn new(network: &str) -> Self {
        Self {
            network: network.to_ascii_lowercase(),
            ..Self::default()
        }
    }

    /// Puts an endpoint's names in, in place of those it had.
    pub fn set(&mut self, named: Named) {
        self.remove(&named.endpoint);
        for name in &named.names {
            let holders = self.names.entry(name.to_ascii_lowercase()).or_default();
            if let Err(place) = holders.binary_search(&named.endpoint) {
                holders.insert(place, named.endpoint.clone());
            }
        }
        for &address in &named.addresses {
            self.addresses.insert(address, named.endpoint.clone());
        }
        self.endpoints.insert(named.endpoint.clone(), named);
    }

    /// False if it is not there.
    pub fn remove(&mut self, endpoint: &Identity) -> bool {
        let Some(named) = self.endpoints.remove(endpoint) else {
            return false;
        };
        for name in &named.names {
            let name = name.to_ascii_lowercase();
            if let Some(holders) = self.names.get_mut(&name) {
                holders.retain(|holder| holder != endpoint);
                if holders.is_empty() {
                    self.names.remove(&name);
                }
            }
        }
        for address in &named.addresses {
            if self.addresses.get(address) == Some(endpoint) {
                self.addresses.remove(address);
            }
        }
        true
    }

    /// The addresses of a name, which is in lower case and may have the network's name behind it.
    pub(super) fn find(&self, name: &str) -> Option<Vec<IpAddr>> {
        let short = name
            .strip_suffix(self.network.as_str())
            .and_then(|name| name.strip_suffix('.'));
        let holders = self
            .names
            .get(name)
            .or_else(|| self.names.get(short?))?
            .iter();
        let named = holders.filter_map(|holder| self.endpoints.get(holder));
        Some(
            named
                .flat_map(|named| named.addresses.iter().copied())
                .collect(),
        )
    }

    /// The addresses of the endpoint whose own name this is, in lower case: of its container, no alias.
    pub(super) fn find_own(&self, name: &str) -> Vec<IpAddr> {
        let holders = self.names.get(name).into_iter().flatten();
        let named = holders.filter_map(|holder| self.endpoints.get(holder));
        let is_own = |named: &&Named| {
            let own = named.names.first();
            own.is_some_and(|own| own.eq_ignore_ascii_case(name))
        };
        let own = named.filter(is_own);
        own.flat_map(|named| named.addresses.iter().copied())
            .collect()
    }

    /// The addresses of a name with the network's behind it, both in lower case.
    pub(super) fn find_with_network(&self, name: &str) -> Option<Vec<IpAddr>> {
        let short = name
            .strip_suffix(self.network.as_str())?
            .strip_suffix('.')?;
        self.names.contains_key(short).then(|| self.find(short))?
    }

    /// Whether there is a name that ends in this one: then it is none itself, but not nothing either (RFC 8020).
    pub(super) fn has_below(&self, name: &str) -> bool {
        let is_below = |longer: &str, name: &str| {
            let front = longer.strip_suffix(name);
            front.is_some_and(|front| front.ends_with('.'))
        };
        let network = self.network.as_str();
        let within = name.strip_suffix(network);
        let within = within.and_then(|front| front.strip_suffix('.'));
        let is_one = |key: &String| {
            is_below(key, name) || within.is_some_and(|within| is_below(key, within))
        };
        network == name || is_below(network, name) || self.names.keys().any(is_one)
    }

    /// The name of who has an address, with the network's.
    pub(super) fn name_of(&self, address: IpAddr) -> Option<String> {
        let named = self.endpoints.get(self.addresses.get(&address)?)?;
        let name = named.names.first()?;
        (!self.network.is_empty()).then(|| format!("{name}.{}", self.network))
    }
}

/// The address that a name of `in-addr.arpa` or `ip6.arpa` means.
pub(super) fn reverse(name: &str) -> Option<IpAddr> {
    if let Some(digits) = name.strip_suffix(".in-addr.arpa") {
        let mut parts = digits.split('.').rev();
        let mut octets = [0; 4];
        for octet in &mut octets {
            *octet = parts.next()?.parse().ok()?;
        }
        return parts
            .next()
            .is_none()
            .then(|| Ipv4Addr::from(octets).into());
    }
    let mut nibbles = name.strip_suffix(".ip6.arpa")?.split('.').rev();
    let mut number = 0u128;
    for _ in 0..32 {
        let nibble = nibbles.next().filter(|nibble| nibble.len() == 1)?;
        number = number << 4 | u128::from(u8::from_str_radix(nibble, 16).ok()?);
    }
    nibbles
        .next()
        .is_none()
        .then(|| Ipv6Addr::from(number).into())
}
