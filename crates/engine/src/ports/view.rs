//! Ports as they are shown.

use std::collections::BTreeMap;
use std::net::IpAddr;

use network::{Endpoint, Protocol, Published};

use super::Ports;
use crate::networks::Place;
use crate::options::{ContainerOptions, PortBinding};

/// An address of the host, and its port there, if it has one.
type Binding = (IpAddr, Option<u16>);
/// A port of the container.
type Key = (u16, Protocol);

/// A container's ports as `inspect` shows them: those that are exposed, and where on the host they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortView {
    /// `80/tcp`.
    pub port: String,
    pub number: u16,
    pub protocol: String,
    /// Addresses of the host, and its port there, if it has one.
    pub bindings: Vec<Binding>,
}

/// What a container that runs exposes and publishes.
pub(crate) fn view(
    options: &ContainerOptions,
    published: &[PortBinding],
    places: &[Place],
) -> Vec<PortView> {
    let endpoints: Vec<_> = places
        .iter()
        .filter_map(|place| place.endpoint.as_ref())
        .collect();
    if endpoints.is_empty() {
        return Vec::new();
    }
    let leads = |one: &&&Endpoint| one.gateway_v4.is_some() || one.gateway_v6.is_some();
    let Some(_) = endpoints.iter().find(leads) else {
        return Vec::new();
    };
    let bound = published.iter().map(|binding| binding.port.as_str());
    let exposed = options
        .exposed_ports
        .iter()
        .map(String::as_str)
        .chain(bound);
    let numbers = exposed
        .filter_map(Ports::read)
        .flat_map(|ports| (ports.first..=ports.last).map(move |port| (port, ports.protocol)));
    let on_host = endpoints
        .iter()
        .flat_map(|endpoint| &endpoint.ports)
        .flat_map(each);
    let mut all: BTreeMap<Key, Vec<Binding>> = numbers.map(|key| (key, Vec::new())).collect();
    for (key, binding) in on_host {
        all.entry(key).or_default().push(binding);
    }
    all.into_iter()
        .map(|(key, bindings)| one_view(key, bindings))
        .collect()
}

fn one_view((number, protocol): Key, mut bindings: Vec<Binding>) -> PortView {
    bindings.sort();
    PortView {
        port: format!("{number}/{protocol}"),
        number,
        protocol: protocol.to_string(),
        bindings,
    }
}

/// The ports of a range, one by one.
fn each(published: &Published) -> impl Iterator<Item = (Key, Binding)> {
    let Published {
        protocol,
        address,
        host,
        container,
        count,
    } = *published;
    (0..count).map(move |n| {
        let on_host = (host > 0).then(|| host.saturating_add(n));
        ((container.saturating_add(n), protocol), (address, on_host))
    })
}
