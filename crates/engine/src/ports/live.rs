//! Ports that come and go while a container runs.

use std::net::SocketAddr;
use std::os::fd::BorrowedFd;

use network::{Protocol, Published};

use super::proxy::of_socket;
use super::{Wish, note, publish_wishes};
use crate::container::Container;
use crate::error::Result;
use crate::networks::Connection;
use crate::shared::Shared;

/// Publishes further ports. On an error none of them is.
pub(crate) fn add(shared: &Shared, container: &Container, wishes: &[Wish]) -> Result<()> {
    let mut places = container.live().places.clone();
    let before = shared.networks.joined(&places);
    let mut joined = before.clone();
    publish_wishes(shared, container, wishes, &mut places, &mut joined)?;
    if let Err(error) = set(shared, &before, &joined) {
        shared.networks.note(&container.birth.id, &before);
        let _unset = set(shared, &joined, &before);
        hold_only(shared, container, &before)?;
        return Err(error);
    }
    container.live().places = places;
    Ok(())
}

/// Ends ports; those that nothing is said of go on.
pub(crate) fn remove(shared: &Shared, container: &Container, wishes: &[Wish]) -> Result<()> {
    let mut places = container.live().places.clone();
    let before = shared.networks.joined(&places);
    let mut joined = before.clone();
    for one in &mut joined {
        let all = std::mem::take(&mut one.endpoint.ports);
        one.endpoint.ports = all.iter().flat_map(|port| left_of(port, wishes)).collect();
    }
    set(shared, &before, &joined)?;
    note(shared, &container.birth.id, &mut places, &joined);
    container.live().places = places;
    hold_only(shared, container, &joined)
}

/// Brings the rules to what endpoints have now, one transaction an endpoint.
fn set(shared: &Shared, before: &[Connection], now: &[Connection]) -> Result<()> {
    let host = shared.networks.host()?;
    let changed = before
        .iter()
        .zip(now)
        .filter(|(a, b)| a.endpoint != b.endpoint);
    for (_, one) in changed {
        host.set_ports(&one.network, &one.endpoint.id, &one.endpoint.ports)?;
    }
    Ok(())
}

/// Lets go of sockets whose ports are nobody's any more.
fn hold_only(shared: &Shared, container: &Container, joined: &[Connection]) -> Result<()> {
    let is_one = |at: SocketAddr, port: &Published| {
        port.address == at.ip() && (port.host..=port.last_of_host()).contains(&at.port())
    };
    let ports = joined.iter().flat_map(|one| &one.endpoint.ports);
    let key = container.birth.id.as_str();
    if ports.clone().next().is_none() {
        return shared.keeper.release(key);
    }
    // The same number is another port of another protocol.
    shared.keeper.hold_only(key, |socket| {
        of_socket(socket).is_none_or(|at| {
            let is_tcp = of_stream(socket);
            ports.clone().any(|port| {
                is_one(at, port) && is_tcp.is_none_or(|tcp| tcp == (port.protocol != Protocol::Udp))
            })
        })
    })
}

/// Whether a socket is one for connections.
fn of_stream(socket: BorrowedFd<'_>) -> Option<bool> {
    linux::socket::is_stream(socket).ok()
}

/// A range without the ports that are meant.
pub(super) fn left_of(port: &Published, wishes: &[Wish]) -> Vec<Published> {
    let is_meant = |n: u16| {
        wishes.iter().any(|wish| {
            let container = port.container.saturating_add(n);
            let host = port.host.saturating_add(n);
            (wish.container, wish.protocol) == (container, port.protocol)
                && wish.address.is_none_or(|address| address == port.address)
                && wish
                    .host
                    .is_none_or(|(first, last)| (first..=last).contains(&host))
        })
    };
    let mut left: Vec<Published> = Vec::new();
    let mut goes_on = false;
    for n in 0..port.count {
        if is_meant(n) {
            goes_on = false;
            continue;
        }
        match left.last_mut().filter(|_| goes_on) {
            Some(last) => last.count += 1,
            None => left.push(Published {
                host: if port.host == 0 { 0 } else { port.host + n },
                container: port.container + n,
                count: 1,
                ..*port
            }),
        }
        goes_on = true;
    }
    left
}
