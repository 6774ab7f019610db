//! Datagrams whose address on this side matters: a host has several, and who asks one of them wants the answer from there.

use std::mem::MaybeUninit;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd as _};

use crate::error::{Context as _, check, last_errno};
use crate::{Errno, Result};

/// The address of this host that a datagram came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Here {
    pub ip: IpAddr,
    /// The device, for addresses that are valid on their link only; else 0.
    pub device: u32,
}

/// A datagram that has been received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    pub length: usize,
    pub from: SocketAddr,
    /// `None` unless the socket was told to say it ([`say_here`]).
    pub here: Option<Here>,
}

/// Room for one message with either structure in it, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Has the socket say to which address of this host each datagram came.
pub fn say_here(socket: impl AsFd, v4: bool) -> Result<()> {
    let (level, name) = if v4 {
        (libc::IPPROTO_IP, libc::IP_PKTINFO)
    } else {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
    };
    let on: libc::c_int = 1;
    // SAFETY: the option is an int, and `on` is one.
    check(unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    })
    .context(|| format!("setsockopt({level}, {name})"))
    .map(drop)
}

/// Receives one datagram. Of a longer one the rest is lost.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> Result<Received> {
    let mut name = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut control = Control([0; 64]);
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: a message of zeros is one without parts.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = name.as_mut_ptr().cast();
    message.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len();
    // SAFETY: all parts of the message live until the call returns, and have the lengths that it says.
    let length = unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut message, 0) };
    let length = usize::try_from(length)
        .map_err(|_| last_errno())
        .context(|| "recvmsg()")?;
    // SAFETY: all zeros are a valid address structure, of no family; the kernel may have written one over it.
    let name = unsafe { name.assume_init() };
    let from = address(&name)
        .ok_or(Errno::AFNOSUPPORT)
        .context(|| "recvmsg()")?;
    let here = here(&message);
    Ok(Received { length, from, here })
}

/// Sends a datagram, from an address of this host if one is said.
pub fn send(socket: impl AsFd, bytes: &[u8], to: SocketAddr, from: Option<Here>) -> Result<usize> {
    let mut control = Control([0; 64]);
    let mut part = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let (name, length) = structure(to);
    // SAFETY: a message of zeros is one without parts.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = (&raw const name).cast_mut().cast();
    message.msg_namelen = length;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    if let Some(from) = from {
        message.msg_control = control.0.as_mut_ptr().cast();
        message.msg_controllen = control.0.len();
        put_here(&mut message, from);
    }
    let flags = libc::MSG_NOSIGNAL;
    // SAFETY: all parts of the message live until the call returns, have the lengths that it says, and are only read.
    let sent = unsafe { libc::sendmsg(socket.as_fd().as_raw_fd(), &raw const message, flags) };
    usize::try_from(sent)
        .map_err(|_| last_errno())
        .context(|| format!("sendmsg({} bytes, {to})", bytes.len()))
}

fn here(message: &libc::msghdr) -> Option<Here> {
    // SAFETY: the kernel has filled the message in, and its control buffer lives as long as it; each header is checked by CMSG_FIRSTHDR to
    // lie within the buffer. The structures behind it are read unaligned, and the kernel writes them whole.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(message);
        let header = header.as_ref()?;
        let data = libc::CMSG_DATA(header);
        let room = (header.cmsg_len as usize)
            .checked_sub(data.offset_from_unsigned(std::ptr::from_ref(header).cast()))?;
        match (header.cmsg_level, header.cmsg_type) {
            (libc::IPPROTO_IP, libc::IP_PKTINFO) if room >= size_of::<libc::in_pktinfo>() => {
                let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                let ip = Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr));
                let ip = IpAddr::V4(ip);
                Some(Here { ip, device: 0 })
            }
            (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) if room >= size_of::<libc::in6_pktinfo>() => {
                let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                let ip = Ipv6Addr::from(info.ipi6_addr.s6_addr);
                let device = if ip.is_unicast_link_local() {
                    info.ipi6_ifindex
                } else {
                    0
                };
                let ip = IpAddr::V6(ip);
                Some(Here { ip, device })
            }
            _ => None,
        }
    }
}

fn put_here(message: &mut libc::msghdr, from: Here) {
    match from.ip {
        IpAddr::V4(ip) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr {
                    s_addr: u32::from(ip).to_be(),
                },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            put(message, (libc::IPPROTO_IP, libc::IP_PKTINFO), info);
        }
        IpAddr::V6(ip) => {
            let info = libc::in6_pktinfo {
                ipi6_addr: libc::in6_addr {
                    s6_addr: ip.octets(),
                },
                ipi6_ifindex: from.device,
            };
            put(message, (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO), info);
        }
    }
}

fn put<T>(message: &mut libc::msghdr, (level, kind): (i32, i32), info: T) {
    let length = size_of::<T>() as u32;
    // SAFETY: the message's control buffer is of 64 bytes and aligned for a header; header and structure together are 40 at most.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(message);
        (*header).cmsg_level = level;
        (*header).cmsg_type = kind;
        (*header).cmsg_len = libc::CMSG_LEN(length) as usize;
        libc::CMSG_DATA(header).cast::<T>().write_unaligned(info);
        message.msg_controllen = libc::CMSG_SPACE(length) as usize;
    }
}

fn address(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let start = std::ptr::from_ref(name);
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the storage is larger than every address structure, and aligned for it; the family says which one it is.
            let v4 = unsafe { start.cast::<libc::sockaddr_in>().read() };
            let ip = Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { start.cast::<libc::sockaddr_in6>().read() };
            let ip = Ipv6Addr::from(v6.sin6_addr.s6_addr);
            let port = u16::from_be(v6.sin6_port);
            Some(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id).into())
        }
        _ => None,
    }
}

fn structure(to: SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all zeros are a valid address structure.
    let mut name: libc::sockaddr_storage = unsafe { std::mem::zeroed() };
    let start = &raw mut name;
    let length = match to {
        SocketAddr::V4(to) => {
            let v4 = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: to.port().to_be(),
                sin_addr: libc::in_addr {
                    s_addr: u32::from(*to.ip()).to_be(),
                },
                sin_zero: [0; 8],
            };
            // SAFETY: the storage is larger than every address structure, and aligned for it.
            unsafe { start.cast::<libc::sockaddr_in>().write(v4) };
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(to) => {
            let v6 = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: to.port().to_be(),
                sin6_flowinfo: to.flowinfo(),
                sin6_addr: libc::in6_addr {
                    s6_addr: to.ip().octets(),
                },
                sin6_scope_id: to.scope_id(),
            };
            // SAFETY: as above.
            unsafe { start.cast::<libc::sockaddr_in6>().write(v6) };
            size_of::<libc::sockaddr_in6>()
        }
    };
    (name, length as libc::socklen_t)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn answered_from_where_it_was_asked(any: &str, here: &str, client: &str) {
        let server = UdpSocket::bind((any, 0)).unwrap();
        say_here(&server, any == "0.0.0.0").unwrap();
        let port = server.local_addr().unwrap().port();
        let client = UdpSocket::bind((client, 0)).unwrap();
        // Connected: an answer from elsewhere is not heard.
        client.connect((here, port)).unwrap();
        client.send(b"who?").unwrap();
        let mut buffer = [0; 16];
        let received = receive(&server, &mut buffer).unwrap();
        assert_eq!(&buffer[..received.length], b"who?");
        assert_eq!(received.from, client.local_addr().unwrap());
        assert_eq!(received.here.unwrap().ip.to_string(), here);
        send(&server, b"me", received.from, received.here).unwrap();
        assert_eq!(client.recv(&mut buffer).unwrap(), 2);
        assert_eq!(&buffer[..2], b"me");
    }

    #[test]
    fn answers_come_from_where_was_asked() {
        answered_from_where_it_was_asked("0.0.0.0", "127.0.0.9", "127.0.0.1");
        answered_from_where_it_was_asked("::", "::1", "::1");
    }

    #[test]
    fn without_being_told_to_a_socket_does_not_say() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.send_to(b"x", server.local_addr().unwrap()).unwrap();
        let received = receive(&server, &mut [0; 4]).unwrap();
        assert_eq!((received.length, received.here), (1, None));
    }
}
