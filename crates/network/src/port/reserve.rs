//! Ports of the host that nobody else has.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::path::Path;

use linux::Errno;
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, ipproto, sockopt};

use super::{Protocol, Published};
use crate::{Error, Result};

/// Ports that are wanted, before a choice is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub protocol: Protocol,
    /// Of the host, all with the same ports; `0.0.0.0` and `::` are two.
    pub addresses: Vec<IpAddr>,
    /// The first and the last port of the host that may be taken; `None` leaves it to us, in the host's range for ephemeral ports.
    pub host: Option<(u16, u16)>,
    /// The first port of the container.
    pub container: u16,
    /// How many ports of the container, at least 1, each with one of the host's.
    pub count: u16,
}

/// Published ports and what keeps them from being taken by somebody else on the host.
#[derive(Debug)]
pub struct Reserved {
    /// One an address.
    pub published: Vec<Published>,
    /// Bound sockets that do not listen, and where; at most [`HELD`] an address, of larger ranges none. They are worth something as long
    /// as they are open: keep them in who outlives the daemon.
    pub sockets: Vec<(SocketAddr, OwnedFd)>,
}

/// Larger ranges are only tried; no sockets are kept.
pub const HELD: u16 = 64;

/// Where Docker looks, if the kernel does not say what its range is.
const EPHEMERAL: (u16, u16) = (49153, 65535);

/// Joins what clients take apart: ports of the host that follow each other and lead to ports that do too.
#[must_use]
pub fn merge(mut wanted: Vec<Wanted>) -> Vec<Wanted> {
    wanted.sort_by_key(|w| (w.protocol, w.addresses.clone(), w.host, w.container));
    let mut merged: Vec<Wanted> = Vec::with_capacity(wanted.len());
    for next in wanted {
        match merged.last_mut() {
            Some(last) if follows(last, &next) => {
                last.count += next.count;
                last.host = last
                    .host
                    .zip(next.host)
                    .map(|((first, _), (_, end))| (first, end));
            }
            _ => merged.push(next),
        }
    }
    merged
}

/// Both have no choice, and the second begins where the first ends.
fn follows(last: &Wanted, next: &Wanted) -> bool {
    let (Some(a), Some(b)) = (last.host, next.host) else {
        return false;
    };
    let fixed =
        |w: &Wanted, (first, end): (u16, u16)| end.checked_sub(first) == w.count.checked_sub(1);
    (last.protocol, &last.addresses) == (next.protocol, &next.addresses)
        && fixed(last, a)
        && fixed(next, b)
        && a.1.checked_add(1) == Some(b.0)
        && last.container.checked_add(last.count) == Some(next.container)
        && last.count.checked_add(next.count).is_some()
}

/// Takes ports on the host that nobody has, `taken` being those of all other endpoints of this engine.
///
/// # Errors
///
/// [`Error::PortInUse`] and [`Error::PortRefused`], in Docker's words; nothing stays bound.
pub fn reserve(wanted: &Wanted, taken: &[Published]) -> Result<Reserved> {
    let (first, last) = wanted.host.unwrap_or_else(ephemeral);
    if wanted.count == 0
        || wanted.addresses.is_empty()
        || wanted.container.checked_add(wanted.count - 1).is_none()
    {
        return Err(Error::Invalid(
            "invalid port range: it is empty, or ends beyond 65535".into(),
        ));
    }
    let room = u32::from(last) + 1;
    let mut refusal = Error::NoPort;
    let mut at = u32::from(first);
    while at + u32::from(wanted.count) <= room {
        let start = u16::try_from(at).map_err(|_| Error::NoPort)?;
        match try_at(wanted, start, taken) {
            Ok(reserved) => return Ok(reserved),
            Err(error) if is_final(&error) => return Err(error),
            Err(error) => refusal = error,
        }
        at += 1;
    }
    // With a choice, which of the ports was refused last says nothing.
    match wanted.host {
        Some((first, last)) if u32::from(last - first) < u32::from(wanted.count) => Err(refusal),
        _ => Err(Error::NoPort),
    }
}

/// Trying another port would not help.
fn is_final(error: &Error) -> bool {
    !matches!(error, Error::PortInUse(_)) && error.errno() != Some(Errno::ADDRINUSE)
}

fn ephemeral() -> (u16, u16) {
    let path = Path::new("/proc/sys/net/ipv4/ip_local_port_range");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut numbers = text.split_whitespace().map_while(|n| n.parse().ok());
    numbers.next().zip(numbers.next()).unwrap_or(EPHEMERAL)
}

fn try_at(wanted: &Wanted, start: u16, taken: &[Published]) -> Result<Reserved> {
    let mut reserved = Reserved {
        published: Vec::new(),
        sockets: Vec::new(),
    };
    for &address in &wanted.addresses {
        let published = Published {
            protocol: wanted.protocol,
            address,
            host: start,
            container: wanted.container,
            count: wanted.count,
        };
        if let Some(port) = taken.iter().find_map(|other| collision(&published, other)) {
            return Err(Error::PortInUse((address, port).into()));
        }
        for port in start..=published.last_of_host() {
            let socket = bind(wanted.protocol, (address, port).into())?;
            if wanted.count <= HELD {
                let at = SocketAddr::from((address, port));
                reserved.sockets.extend(socket.map(|socket| (at, socket)));
            }
        }
        reserved.published.push(published);
    }
    Ok(reserved)
}

/// Whether this host has IPv6, that is, lets somebody bind `::1`.
#[must_use]
pub fn has_ipv6() -> bool {
    static HAS: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *HAS.get_or_init(|| {
        bind_plainly(Protocol::Tcp, (std::net::Ipv6Addr::LOCALHOST, 0).into()).is_ok()
    })
}

/// The first port that both want. The port 0 is none.
fn collision(one: &Published, other: &Published) -> Option<u16> {
    if other.host == 0 {
        return None;
    }
    let same_address = one.address == other.address
        || one.address.is_ipv4() == other.address.is_ipv4()
            && (one.address.is_unspecified() || other.address.is_unspecified());
    let port = one.host.max(other.host);
    let both = port <= one.last_of_host() && port <= other.last_of_host();
    (same_address && one.protocol == other.protocol && both).then_some(port)
}

/// `None` if the kernel has no sockets of this protocol: then nobody else can have the port either.
fn bind(protocol: Protocol, address: SocketAddr) -> Result<Option<OwnedFd>> {
    match bind_plainly(protocol, address) {
        Ok(socket) => Ok(Some(socket)),
        Err(Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT) if protocol == Protocol::Sctp => Ok(None),
        // What is left of connections that have ended stands in the way for a minute, unless one says that it does not matter.
        Err(Errno::ADDRINUSE) if protocol == Protocol::Tcp => bind_over_ended(address).map(Some),
        Err(errno) => Err(errno),
    }
    .map_err(|errno| Error::PortRefused {
        address,
        protocol,
        source: linux::Error::new(format!("bind({address})"), errno),
    })
}

fn socket(protocol: Protocol, address: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, ipproto::TCP),
        Protocol::Udp => (SocketType::DGRAM, ipproto::UDP),
        Protocol::Sctp => (SocketType::STREAM, ipproto::SCTP),
    };
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, Some(number))?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    Ok(socket)
}

fn bind_plainly(protocol: Protocol, address: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let socket = socket(protocol, address)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

/// Listening shows whether somebody else listens; afterwards it must end, since nobody would accept.
fn bind_over_ended(address: SocketAddr) -> rustix::io::Result<OwnedFd> {
    let socket = socket(Protocol::Tcp, address)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, 1)?;
    rustix::net::shutdown(&socket, Shutdown::Both)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use linux::ns::{self, Kinds};

    use super::*;
    use crate::Kind;

    /// In a namespace of its own, where no other test has ports.
    fn alone(test: impl FnOnce() + Send) {
        ns::on_thread(|| -> linux::Result<()> {
            ns::unshare(Kinds::NETWORK)?;
            ns::bring_loopback_up()?;
            test();
            Ok(())
        })
        .unwrap();
    }

    fn wanted(host: Option<(u16, u16)>, container: u16, count: u16) -> Wanted {
        Wanted {
            protocol: Protocol::Tcp,
            addresses: vec![[0, 0, 0, 0].into(), [0u16; 8].into()],
            host,
            container,
            count,
        }
    }

    #[test]
    fn a_port_that_is_reserved_is_nobody_else_s_and_refuses() {
        alone(|| {
            let reserved = reserve(&wanted(Some((8080, 8080)), 80, 1), &[]).unwrap();
            assert_eq!((reserved.published.len(), reserved.sockets.len()), (2, 2));
            assert!(TcpListener::bind("0.0.0.0:8080").is_err());
            assert!(TcpListener::bind("[::1]:8080").is_err());
            let refused = TcpStream::connect("127.0.0.1:8080").unwrap_err();
            assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
            drop(reserved);
            TcpListener::bind("0.0.0.0:8080").unwrap();
        });
    }

    #[test]
    fn a_port_that_is_taken_is_said_in_docker_s_words() {
        alone(|| {
            let mut one = wanted(Some((8080, 8080)), 80, 1);
            one.addresses.pop();
            let listener = TcpListener::bind("127.0.0.1:8080").unwrap();
            let error = reserve(&one, &[]).unwrap_err();
            assert_eq!(
                error.to_string(),
                "failed to bind host port 0.0.0.0:8080/tcp: address already in use"
            );
            assert_eq!(error.kind(), Kind::Conflict);
            drop(listener);
            let first = reserve(&one, &[]).unwrap().published;
            let mut other = one.clone();
            other.addresses = vec![[127, 0, 0, 1].into()];
            let error = reserve(&other, &first).unwrap_err();
            assert_eq!(
                error.to_string(),
                "Bind for 127.0.0.1:8080 failed: port is already allocated"
            );
            other.protocol = Protocol::Udp;
            reserve(&other, &first).unwrap();
            other.addresses = vec![[192, 0, 2, 1].into()];
            let error = reserve(&other, &[]).unwrap_err();
            assert_eq!(error.errno(), Some(Errno::ADDRNOTAVAIL));
        });
    }

    #[test]
    fn connections_that_have_ended_are_not_in_the_way() {
        alone(|| {
            let listener = TcpListener::bind("127.0.0.1:8080").unwrap();
            let client = TcpStream::connect("127.0.0.1:8080").unwrap();
            // The side that closes first keeps the port.
            drop(listener.accept().unwrap());
            drop((client, listener));
            reserve(&wanted(Some((8080, 8080)), 80, 1), &[]).unwrap();
        });
    }

    #[test]
    fn a_choice_is_made_for_all_addresses() {
        alone(|| {
            let listener = TcpListener::bind("[::]:8000").unwrap();
            let udp = UdpSocket::bind("0.0.0.0:8001").unwrap();
            let got = reserve(&wanted(Some((8000, 8009)), 80, 1), &[]).unwrap();
            assert!(got.published.iter().all(|p| p.host == 8001));
            let taken = got.published.clone();
            let got = reserve(&wanted(Some((8000, 8009)), 80, 4), &taken).unwrap();
            assert_eq!(
                (got.published[1].host, got.published[1].last_of_host()),
                (8002, 8005)
            );
            let error = reserve(&wanted(Some((8000, 8000)), 80, 1), &[]).unwrap_err();
            assert_eq!(error.kind(), Kind::Conflict);
            let error = reserve(&wanted(Some((8000, 8001)), 80, 1), &taken).unwrap_err();
            assert_eq!(error.kind(), Kind::Exhausted);
            drop((listener, udp));
            let (low, high) = ephemeral();
            let free = reserve(&wanted(None, 80, 1), &[]).unwrap();
            assert!((low..=high).contains(&free.published[0].host));
            assert_eq!(free.published[0].host, free.published[1].host);
        });
    }

    #[test]
    fn large_ranges_keep_no_descriptors() {
        alone(|| {
            let range = Some((20000, 29999));
            let got = reserve(&wanted(range, 20000, 10000), &[]).unwrap();
            assert!(got.sockets.is_empty());
            let listener = TcpListener::bind("127.0.0.1:25000").unwrap();
            let error = reserve(&wanted(range, 20000, 10000), &[]).unwrap_err();
            assert!(error.to_string().contains("0.0.0.0:25000"), "{error}");
            drop(listener);
            assert!(reserve(&wanted(Some((65000, 65535)), 65000, 600), &[]).is_err());
            assert!(reserve(&wanted(range, 20000, 0), &[]).is_err());
        });
    }

    #[test]
    fn what_belongs_together_is_merged() {
        let one = |port: u16, container| wanted(Some((port, port)), container, 1);
        let all: Vec<_> = (20000..30000).rev().map(|port| one(port, port)).collect();
        assert_eq!(merge(all), [wanted(Some((20000, 29999)), 20000, 10000)]);
        let apart = vec![
            one(80, 80),
            one(81, 82),
            wanted(Some((83, 90)), 83, 1),
            wanted(None, 84, 1),
        ];
        let mut merged = merge(apart.clone());
        merged.sort_by_key(|w| w.container);
        assert_eq!(merged, apart);
        let mut udp = one(81, 81);
        udp.protocol = Protocol::Udp;
        assert_eq!(merge(vec![one(80, 80), udp]).len(), 2);
    }
}
