//! The way to a container's name server: sockets in its namespace, and two rules that lead port 53 to them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use linux::netlink::Protocol;

use crate::error::Doing as _;
use crate::netlink::Connection;
use crate::{NameSockets, Result, firewall};

/// Where containers find their name server.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 11);

/// Binds both sockets, for the calling thread's network namespace. A second endpoint of the same container finds the rules there already, and
/// leads the port to its own sockets.
pub(crate) fn listen() -> Result<NameSockets> {
    let any_port = SocketAddr::from((ADDRESS, 0));
    let bound = || -> std::io::Result<_> {
        let (udp, tcp) = (UdpSocket::bind(any_port)?, TcpListener::bind(any_port)?);
        let ports = (udp.local_addr()?.port(), tcp.local_addr()?.port());
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        Ok((udp, tcp, ports))
    };
    let (udp, tcp, ports) = bound()
        .map_err(|error| {
            let errno = linux::Errno::from_io_error(&error).unwrap_or(linux::Errno::IO);
            linux::Error::new(format!("bind({any_port})"), errno)
        })
        .doing(|| "failed to listen for the container's questions for names")?;
    let mut connection = Connection::open(Protocol::Netfilter)?;
    firewall::lead_names(&mut connection, ADDRESS, ports)?;
    Ok(NameSockets {
        udp: udp.into(),
        tcp: tcp.into(),
    })
}
