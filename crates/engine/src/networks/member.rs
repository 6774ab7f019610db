//! A network in memory: its record, its addresses, and the endpoints of the containers that run.

use std::collections::BTreeMap;
use std::net::IpAddr;

use network::ipam::Pool;
use network::{Address, DeviceName, Driver, Endpoint, Identity, Mac, Network};
use oci::ContainerId;

use super::record::Record;
use super::{addresses, drivers, wish};
use crate::error::{Error, ErrorKind, Result};
use crate::options::EndpointOptions;

#[derive(Debug)]
pub(super) struct Member {
    pub(super) record: Record,
    /// Of its subnets, in their order.
    pub(super) pools: Vec<Pool>,
    pub(super) endpoints: BTreeMap<ContainerId, Endpoint>,
}

impl Member {
    pub(super) fn new(record: Record) -> Result<Self> {
        let subnets = record.made.iter().flat_map(Network::subnets);
        Ok(Self {
            pools: subnets.map(Pool::new).collect::<Result<_, _>>()?,
            endpoints: BTreeMap::new(),
            record,
        })
    }

    /// An endpoint that is there already.
    pub(super) fn adopt(&mut self, container: ContainerId, endpoint: Endpoint) {
        for address in endpoint.v4.iter().chain(&endpoint.v6) {
            let pool = self
                .pools
                .iter_mut()
                .find(|pool| pool.prefix().contains(address.ip));
            if pool.is_some_and(|pool| pool.claim(address.ip).is_err()) {
                tracing::warn!(%container, %address, "two running containers have one address");
            }
        }
        self.endpoints.insert(container, endpoint);
    }

    /// Frames for an address of two containers would find one of them only.
    fn has(&self, mac: Mac) -> bool {
        self.endpoints.values().any(|other| other.mac == mac)
    }

    /// An endpoint after a wish; the addresses are taken, if all went well.
    pub(super) fn endpoint(
        &mut self,
        network: &Network,
        wanted: &EndpointOptions,
        devices: &[&str],
    ) -> Result<Endpoint> {
        let settings = wish::settings(wanted)?;
        let id: Identity = ContainerId::random().as_str().parse()?;
        let device = match settings.device {
            Some(name) if devices.contains(&name.as_str()) => {
                return Err(Error::invalid(format!(
                    "the container has a device {name} already"
                )));
            }
            Some(name) => name,
            None => free_device(drivers::device_prefix(&self.record.request), devices)?,
        };
        if let Some(mac) = settings.mac.filter(|mac| self.has(*mac)) {
            return Err(Error::new(
                ErrorKind::Forbidden,
                format!(
                    "the MAC address {mac} is in use in the network {}",
                    self.record.name()
                ),
            ));
        }
        let v4 = self.take(true, &wanted.ipv4)?;
        let v6 = self.take(false, &wanted.ipv6);
        let v6 = v6.inspect_err(|_| self.give_back(&v4))?;
        let of_address = match (&network.driver, v4.map(|address| address.ip)) {
            // Unless somebody has chosen it already.
            (Driver::Bridge(_), Some(IpAddr::V4(ip))) if !self.has(Mac::of(ip)) => Mac::of(ip),
            // A new one each time: a link takes none twice, and the kernel removes the device of a container that has ended in its own
            // time, when the next one has its IP address already.
            _ => Mac::from_seed(u64::from_str_radix(&id.as_str()[..16], 16).unwrap_or(1)),
        };
        debug_assert_eq!(network.id, self.record.id);
        Ok(Endpoint {
            id,
            device,
            mac: settings.mac.unwrap_or(of_address),
            v4,
            v6,
            extra: settings.link_local,
            gateway_v4: None,
            gateway_v6: None,
            routes: Vec::new(),
            sysctls: settings.sysctls,
            names: false,
            any_source: false,
            ports: Vec::new(),
            carried: false,
        })
    }

    /// The address that is wished for, or the lowest that is free in the first subnet that has one.
    fn take(&mut self, v4: bool, wish: &str) -> Result<Option<Address>> {
        let mut pools = self
            .pools
            .iter_mut()
            .filter(|pool| pool.prefix().is_ipv4() == v4);
        let taken = match wish.parse::<IpAddr>() {
            Ok(ip) => {
                let Some(pool) = pools.find(|pool| pool.prefix().contains(ip)) else {
                    return Ok(None);
                };
                pool.claim(ip)?;
                Some((ip, pool.prefix()))
            }
            Err(_) => {
                let mut full = None;
                let found = pools.find_map(|pool| {
                    full = Some(pool.prefix());
                    Some((pool.take().ok()?, pool.prefix()))
                });
                if let (None, Some(prefix)) = (found, full) {
                    return Err(Error::system(format!(
                        "no available {} addresses on this network's address pools: {} ({})",
                        addresses::family(prefix.address()),
                        self.record.name(),
                        self.record.id
                    )));
                }
                found
            }
        };
        let address = |(ip, prefix): (IpAddr, network::Prefix)| Address::new(ip, prefix.length());
        Ok(taken.map(address).transpose()?)
    }

    pub(super) fn give_back<'a>(&mut self, addresses: impl IntoIterator<Item = &'a Address>) {
        for address in addresses {
            for pool in &mut self.pools {
                pool.release(address.ip);
            }
        }
    }
}

fn free_device(prefix: &str, taken: &[&str]) -> Result<DeviceName> {
    let mut names = (0..).map(|number: u32| format!("{prefix}{number}"));
    let free = names
        .find(|name| !taken.contains(&name.as_str()))
        .unwrap_or_default();
    Ok(free.parse()?)
}
