//! What becomes of the sockets that reserve ports: whether the keeper only holds them, or carries on what comes to them.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;

use network::port::{self, Wanted};
use network::{Protocol, Published};
use oci::ContainerId;
use shim::keeping::Use;

use super::Ways;
use crate::networks::Connection;
use crate::shared::Shared;

/// What the proxy does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proxy {
    /// All of a container's ports.
    pub(super) carries: bool,
    /// Or at least what the kernel cannot translate.
    pub(super) is_there: bool,
}

/// Where a port of the host leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) address: SocketAddr,
    /// Whether the container has an address of the family of the host's.
    pub(super) is_alike: bool,
}

impl Proxy {
    /// What is done with the socket that reserves a port. `network::port` says what the kernel cannot translate.
    pub(super) fn use_of(self, at: SocketAddr, protocol: Protocol, target: Option<Target>) -> Use {
        let Some(target) = target else {
            return Use::Reserve;
        };
        let ip = at.ip();
        // What comes for other addresses is translated before it gets to the socket.
        let has_loopback = ip.is_ipv6() && (ip.is_unspecified() || ip.is_loopback());
        let is_needed = !target.is_alike || has_loopback;
        let to = target.address;
        match protocol {
            Protocol::Tcp if self.carries || is_needed && self.is_there => Use::ProxyTcp { to },
            Protocol::Udp if self.carries || is_needed && self.is_there => Use::ProxyUdp { to },
            _ => Use::Reserve,
        }
    }
}

/// Of larger ranges no sockets are kept, and what is carried needs them all.
pub(super) fn pieces(wanted: Wanted, proxy: Proxy) -> Vec<Wanted> {
    let fixed = wanted
        .host
        .filter(|_| proxy.carries && wanted.count > port::HELD);
    let Some((first, _)) = fixed else {
        return vec![wanted];
    };
    let starts = (0..wanted.count).step_by(port::HELD.into());
    let piece = |start: u16| {
        let count = port::HELD.min(wanted.count - start);
        Wanted {
            host: Some((first + start, first + start + (count - 1))),
            container: wanted.container + start,
            count,
            ..wanted.clone()
        }
    };
    starts.map(piece).collect()
}

pub(super) fn target(
    at: SocketAddr,
    wanted: &Wanted,
    published: &[Published],
    (ways, joined): (Ways, &[Connection]),
) -> Option<Target> {
    let of_address = published.iter().find(|one| one.address == at.ip())?;
    let port = wanted.container + (at.port() - of_address.host);
    let (ip, is_alike) = own_address(at.ip(), ways, joined)?;
    Some(Target {
        address: (ip, port).into(),
        is_alike,
    })
}

/// The address of the container that an address of the host leads to, and whether it is one of the same family.
fn own_address(of_host: IpAddr, ways: Ways, joined: &[Connection]) -> Option<(IpAddr, bool)> {
    let endpoint = &joined[ways.at(of_host)?].endpoint;
    let own = match of_host {
        IpAddr::V4(_) => endpoint.v4,
        IpAddr::V6(_) => endpoint.v6.or(endpoint.v4),
    }?;
    Some((own.ip, own.ip.is_ipv4() == of_host.is_ipv4()))
}

/// What the proxy carries on goes to the container's addresses of now.
pub(super) fn lead_elsewhere(shared: &Shared, id: &ContainerId, ways: Ways, joined: &[Connection]) {
    let change = |of: Use, socket: BorrowedFd<'_>| {
        let at = of_socket(socket)?;
        let (ip, _) = own_address(at.ip(), ways, joined)?;
        let elsewhere = |to: SocketAddr| (ip, to.port()).into();
        Some(match of {
            Use::Reserve => Use::Reserve,
            Use::ProxyTcp { to } => Use::ProxyTcp { to: elsewhere(to) },
            Use::ProxyUdp { to } => Use::ProxyUdp { to: elsewhere(to) },
        })
    };
    let changed = shared
        .keeper
        .use_otherwise(id.as_str(), |of, socket| change(of, socket).unwrap_or(of));
    if let Err(error) = changed {
        tracing::error!(%id, error = error.chain(), "the proxy cannot follow a container to another network");
    }
}

/// The address that a socket is bound to.
pub(super) fn of_socket(socket: BorrowedFd<'_>) -> Option<SocketAddr> {
    let copy = linux::fd::duplicate(socket).ok()?;
    std::net::TcpListener::from(copy).local_addr().ok()
}
