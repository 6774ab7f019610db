//! Published ports: from what the user said to ports of the host that lead to a container while it runs.
//!
//! A container's ports belong to the endpoints that its default routes lead through, as with Docker: those on IPv4 addresses of the host to that of
//! the IPv4 route, those on IPv6 addresses to that of the IPv6 route, or to the IPv4 one if there is no other. They are
//! part of the endpoint's record; the rules follow from it. The sockets that keep others on the host from a port are held by the
//! keeper, under the container's id.

mod live;
mod proxy;
mod view;
mod wish;

use std::collections::BTreeMap;
use std::net::IpAddr;

use network::port::{self, Wanted};
use network::{Endpoint, GatewayMode, Host, Published};
use oci::ContainerId;

use crate::container::Container;
use crate::error::{Error, Result};
use crate::networks::{Connection, Place};
use crate::shared::Shared;

pub(crate) use live::{add, remove};
use proxy::{Proxy, lead_elsewhere, pieces, target};
pub use view::PortView;
pub(crate) use view::view;
pub(crate) use wish::{Ports, Wish, wish, wishes};

/// Where a container's ports lead: the places of those of its endpoints that have its default routes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Ways {
    v4: Option<usize>,
    v6: Option<usize>,
}

impl Ways {
    fn of(joined: &[Connection]) -> Self {
        let leads = |wanted: fn(&Endpoint) -> bool| {
            let of = |one: &Connection| one.network.bridge().is_some() && wanted(&one.endpoint);
            joined.iter().position(of)
        };
        Self {
            v4: leads(|endpoint| endpoint.gateway_v4.is_some()),
            v6: leads(|endpoint| endpoint.gateway_v6.is_some()),
        }
    }

    /// Which endpoint a port on this address of the host belongs to.
    fn at(self, address: IpAddr) -> Option<usize> {
        match address {
            IpAddr::V4(_) => self.v4,
            IpAddr::V6(_) => self.v6.or(self.v4),
        }
    }
}

/// Gives the endpoints of a container that starts its published ports, reserved on the host. On an error nothing is held.
pub(crate) fn publish(
    shared: &Shared,
    container: &Container,
    places: &mut [Place],
    joined: &mut [Connection],
) -> Result<()> {
    let wishes = wishes(&container.birth.options, &container.published())?;
    publish_wishes(shared, container, &wishes, places, joined)
}

/// The same for some wishes; those who are published already stay.
pub(crate) fn publish_wishes(
    shared: &Shared,
    container: &Container,
    wishes: &[Wish],
    places: &mut [Place],
    joined: &mut [Connection],
) -> Result<()> {
    let ways = Ways::of(joined);
    let Some(main) = ways.v4.or(ways.v6).filter(|_| !wishes.is_empty()) else {
        return Ok(());
    };
    let id = &container.birth.id;
    let failed = |error: Error, endpoint: &Endpoint| {
        let name = container.name();
        Error::new(
            error.kind(),
            format!(
                "driver failed programming external connectivity on endpoint {name} ({})",
                endpoint.id
            ),
        )
        .caused_by(error.chain())
    };
    let default = shared.networks.binding_of(&joined[main].network.id);
    let proxy = Proxy {
        carries: match joined.iter().find(|one| !one.endpoint.ports.is_empty()) {
            Some(one) => one.endpoint.carried,
            None => shared.networks.carries(&joined[main].network.id)?,
        },
        is_there: shared.networks.has_proxy(),
    };
    let _one_at_a_time = shared.networks.reserving();
    let mut taken = shared.networks.published();
    let mut made = opened(wishes, default, ways, joined);
    let mut sockets = Vec::new();
    let all = port::merge(wanted((wishes, default), (ways, joined), proxy));
    for wanted in all.into_iter().flat_map(|one| pieces(one, proxy)) {
        let reserved = port::reserve(&wanted, &taken).map_err(|error| {
            failed(
                refused(error, &wanted, &joined[main].endpoint),
                &joined[main].endpoint,
            )
        })?;
        taken.extend(&reserved.published);
        for (at, socket) in reserved.sockets {
            let to = target(at, &wanted, &reserved.published, (ways, joined));
            sockets.push((proxy.use_of(at, wanted.protocol, to), socket));
        }
        made.extend(reserved.published);
    }
    if !sockets.is_empty() {
        let held = shared.keeper.hold(id.as_str(), sockets);
        held.map_err(|error| failed(error, &joined[main].endpoint))?;
    }
    for published in made {
        if let Some(at) = ways.at(published.address) {
            joined[at].endpoint.ports.push(published);
            joined[at].endpoint.carried = proxy.carries;
        }
    }
    note(shared, id, places, joined);
    Ok(())
}

fn note(shared: &Shared, id: &ContainerId, places: &mut [Place], joined: &[Connection]) {
    for one in joined {
        let of = |place: &&mut Place| place.network.as_ref() == Some(&one.network.id);
        if let Some(place) = places.iter_mut().find(of) {
            place.endpoint = Some(one.endpoint.clone());
        }
    }
    shared.networks.note(id, joined);
}

/// What becomes of a port on an address of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    /// It leads to the container.
    Translated,
    /// The host has no part in it: the container's own port is opened.
    Opened,
    Nothing,
}

fn done(ways: Ways, joined: &[Connection], address: IpAddr, proxy: Proxy) -> Done {
    let Some(one) = ways.at(address).map(|at| &joined[at]) else {
        return Done::Nothing;
    };
    let Some(bridge) = one.network.bridge() else {
        return Done::Nothing;
    };
    let has_v6 = one.endpoint.v6.is_some();
    let (mode, is_carried) = match address {
        IpAddr::V4(_) => (bridge.gateway_mode_v4, false),
        IpAddr::V6(_) if has_v6 => (bridge.gateway_mode_v6, false),
        // Carried on to the container's IPv4 address.
        IpAddr::V6(_) => (bridge.gateway_mode_v4, true),
    };
    match mode {
        GatewayMode::Nat | GatewayMode::NatUnprotected if is_carried && !proxy.is_there => {
            Done::Nothing
        }
        GatewayMode::Nat | GatewayMode::NatUnprotected => Done::Translated,
        GatewayMode::Routed if !is_carried => Done::Opened,
        GatewayMode::Routed | GatewayMode::Isolated => Done::Nothing,
    }
}

/// The host's addresses of a wish.
fn addresses(wish: &Wish, default: IpAddr) -> Vec<IpAddr> {
    match wish.address {
        Some(address) => vec![address],
        None if default.is_unspecified() && default.is_ipv4() => every_address(),
        None => vec![default],
    }
}

/// What to reserve on the host.
fn wanted(
    (wishes, default): (&[Wish], IpAddr),
    (ways, joined): (Ways, &[Connection]),
    proxy: Proxy,
) -> Vec<Wanted> {
    let one = |wish: &Wish| {
        let addresses = addresses(wish, default).into_iter();
        Wanted {
            protocol: wish.protocol,
            addresses: addresses
                .filter(|address| done(ways, joined, *address, proxy) == Done::Translated)
                .collect(),
            host: wish.host,
            container: wish.container,
            count: 1,
        }
    };
    wishes
        .iter()
        .map(one)
        .filter(|wanted| !wanted.addresses.is_empty())
        .collect()
}

/// Ports that need nothing of the host; their port there is 0.
fn opened(wishes: &[Wish], default: IpAddr, ways: Ways, joined: &[Connection]) -> Vec<Published> {
    let of = |wish: &Wish| {
        let (protocol, container) = (wish.protocol, wish.container);
        let addresses = addresses(wish, default).into_iter();
        // The proxy has no part in it.
        let proxy = Proxy {
            carries: false,
            is_there: false,
        };
        let opened =
            addresses.filter(|address| done(ways, joined, *address, proxy) == Done::Opened);
        let published = opened.map(move |address| Published {
            protocol,
            address,
            host: 0,
            container,
            count: 1,
        });
        published.collect::<Vec<_>>()
    };
    wishes.iter().flat_map(of).collect()
}

/// `0.0.0.0`, and `::` if this host has IPv6.
fn every_address() -> Vec<IpAddr> {
    let mut all = vec![IpAddr::from([0, 0, 0, 0])];
    if port::has_ipv6() {
        all.push(IpAddr::from([0u16; 8]));
    }
    all
}

/// The network's own refusals, with the container's address where Docker has it.
fn refused(error: network::Error, wanted: &Wanted, endpoint: &Endpoint) -> Error {
    let network::Error::PortRefused {
        address,
        protocol,
        ref source,
    } = error
    else {
        return error.into();
    };
    let fixed = wanted
        .host
        .filter(|(first, last)| last - first + 1 == wanted.count);
    let behind = fixed.map_or(0, |(first, _)| address.port().saturating_sub(first));
    let own = endpoint
        .v4
        .or(endpoint.v6)
        .map(|own| own.ip.to_string())
        .unwrap_or_default();
    let own = if own.contains(':') {
        format!("[{own}]")
    } else {
        own
    };
    Error::system(format!(
        "failed to bind host port for {address}:{own}:{}/{protocol}: {}",
        wanted.container.saturating_add(behind),
        linux::errno_text(source.errno())
    ))
}

/// What has to change in the kernel after the default routes of a container that runs have changed.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    /// By the connection's number.
    lost: Vec<(usize, Vec<Published>)>,
    gained: Vec<(usize, Vec<Published>)>,
}

impl Moves {
    fn between(before: &[Vec<Published>], joined: &[Connection]) -> Self {
        let mut moves = Self::default();
        for (index, (before, one)) in before.iter().zip(joined).enumerate() {
            let now = &one.endpoint.ports;
            let not_in = |all: &[Published], others: &[Published]| -> Vec<Published> {
                let left = all.iter().filter(|port| !others.contains(port));
                left.copied().collect()
            };
            moves.lost.push((index, not_in(before, now)));
            moves.gained.push((index, not_in(now, before)));
        }
        moves.lost.retain(|(_, ports)| !ports.is_empty());
        moves.gained.retain(|(_, ports)| !ports.is_empty());
        moves
    }

    /// Comes before [`Moves::put_in`]: no port belongs to two endpoints.
    pub(crate) fn take_out(&self, host: &Host, joined: &[Connection]) -> Result<()> {
        for (index, ports) in &self.lost {
            let one = &joined[*index];
            host.unpublish(&one.network, &one.endpoint.id, ports)?;
        }
        Ok(())
    }

    /// Undoes everything, when the last connection could not be made: the others have the ports that they had.
    pub(crate) fn take_back(&self, shared: &Shared, id: &ContainerId, others: &[Connection]) {
        shared.networks.note(id, others);
        if others.iter().all(|one| one.endpoint.ports.is_empty()) {
            release(shared, id);
        }
        let published = shared.networks.host().and_then(|host| {
            for (index, ports) in self.lost.iter().filter(|(index, _)| *index < others.len()) {
                let one = &others[*index];
                host.publish(&one.network, &one.endpoint.id, ports)?;
            }
            Ok(())
        });
        if let Err(error) = published {
            tracing::error!(%id, error = error.chain(), "cannot publish a container's ports again");
        }
    }

    /// All but what the connection `new` gains, which comes with its ports when it is made.
    pub(crate) fn put_in(
        &self,
        host: &Host,
        joined: &[Connection],
        new: Option<usize>,
    ) -> Result<()> {
        for (index, ports) in self.gained.iter().filter(|(index, _)| Some(*index) != new) {
            let one = &joined[*index];
            host.publish(&one.network, &one.endpoint.id, ports)?;
        }
        Ok(())
    }
}

/// Gives a container's ports to the endpoints that its default routes lead through now. `orphans` are those of an endpoint
/// that it has left.
pub(crate) fn rearrange(
    shared: &Shared,
    container: &Container,
    places: &mut [Place],
    joined: &mut [Connection],
    orphans: &[Published],
) -> Result<Moves> {
    let before: Vec<Vec<Published>> = joined
        .iter()
        .map(|one| one.endpoint.ports.clone())
        .collect();
    let all = [&before.concat(), orphans].concat();
    if all.is_empty() {
        publish(shared, container, places, joined)?;
        return Ok(Moves::between(&before, joined));
    }
    let ways = Ways::of(joined);
    let carried = joined.iter().any(|one| one.endpoint.carried);
    for (index, one) in joined.iter_mut().enumerate() {
        one.endpoint.carried = carried;
        let own = all
            .iter()
            .filter(|port| ways.at(port.address) == Some(index));
        one.endpoint.ports = own.copied().collect();
    }
    if joined.iter().all(|one| one.endpoint.ports.is_empty()) {
        release(shared, &container.birth.id);
    }
    note(shared, &container.birth.id, places, joined);
    lead_elsewhere(shared, &container.birth.id, ways, joined);
    Ok(Moves::between(&before, joined))
}

/// Lets go of what is held for a container.
pub(crate) fn release(shared: &Shared, id: &ContainerId) {
    if let Err(error) = shared.keeper.release(id.as_str()) {
        tracing::error!(%id, error = error.chain(), "cannot let go of published ports");
    }
}

/// Takes over what is held for containers that run, holds anew what has been lost, and lets go of the rest.
pub(crate) fn adopt(shared: &Shared, running: &BTreeMap<ContainerId, Vec<Connection>>) {
    let held = shared.keeper.keys();
    let has_ports = |joined: &[Connection]| joined.iter().any(|one| !one.endpoint.ports.is_empty());
    for key in &held {
        let mut running = running.iter();
        if !running.any(|(id, joined)| id.as_str() == key && has_ports(joined)) {
            tracing::info!(container = key, "let go of ports without a container");
            let _released = shared.keeper.release(key);
        }
    }
    let lost = running.iter().filter(|(id, _)| !held.contains(id.as_str()));
    for (id, joined) in lost {
        for port in joined.iter().flat_map(|one| &one.endpoint.ports) {
            let is_held = port.host > 0 && port.count <= port::HELD;
            if is_held && let Err(error) = hold(shared, id, port, joined) {
                // Somebody else has taken it meanwhile. The rules lead to the container all the same.
                tracing::warn!(%id, error = error.chain(), "a published port cannot be reserved again");
            }
        }
    }
}

fn hold(
    shared: &Shared,
    id: &ContainerId,
    published: &Published,
    joined: &[Connection],
) -> Result<()> {
    let wanted = Wanted {
        protocol: published.protocol,
        addresses: vec![published.address],
        host: Some((published.host, published.last_of_host())),
        container: published.container,
        count: published.count,
    };
    let proxy = Proxy {
        carries: joined.iter().any(|one| one.endpoint.carried),
        is_there: shared.networks.has_proxy(),
    };
    let ways = Ways::of(joined);
    let reserved = port::reserve(&wanted, &[])?;
    let sockets = reserved.sockets.into_iter().map(|(at, socket)| {
        let to = target(at, &wanted, &reserved.published, (ways, joined));
        (proxy.use_of(at, wanted.protocol, to), socket)
    });
    shared.keeper.hold(id.as_str(), sockets.collect())
}

#[cfg(test)]
mod tests;
