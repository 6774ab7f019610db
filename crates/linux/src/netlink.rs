//! Sockets that speak with the kernel's tables: links, addresses and routes, and netfilter.

use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

use crate::error::{Context as _, check};
use crate::{Errno, Result};

/// Whom to speak with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Route,
    Netfilter,
}

/// A socket in the network namespace that the calling thread was in. Only the kernel's messages reach it: it is connected, so
/// no other process can answer in the kernel's place.
#[derive(Debug)]
pub struct Socket(OwnedFd);

impl Socket {
    /// Answers are short (they do not repeat the request), and say in words what was wrong.
    pub fn open(protocol: Protocol) -> Result<Self> {
        let number = match protocol {
            Protocol::Route => None,
            Protocol::Netfilter => Some(netlink::NETFILTER),
        };
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            number,
        )
        .context(|| format!("socket(AF_NETLINK, {protocol:?})"))?;
        rustix::net::connect(&socket, &SocketAddrNetlink::new(0, 0))
            .context(|| format!("connect(AF_NETLINK, {protocol:?})"))?;
        let socket = Self(socket);
        socket.set_option(libc::NETLINK_CAP_ACK, 1)?;
        socket.set_option(libc::NETLINK_EXT_ACK, 1)?;
        Ok(socket)
    }

    /// Hears what the kernel tells everybody of this group.
    pub fn join(&self, group: u32) -> Result<()> {
        self.set_option(libc::NETLINK_ADD_MEMBERSHIP, group.cast_signed())
    }

    /// How large a batch may be, whatever the machine's limit for others is.
    pub fn set_send_room(&self, bytes: u32) -> Result<()> {
        self.set(
            (libc::SOL_SOCKET, libc::SO_SNDBUFFORCE),
            bytes.cast_signed(),
        )
    }

    /// The number by which the kernel names this socket.
    pub fn port(&self) -> Result<u32> {
        let name = rustix::net::getsockname(&self.0).context(|| "getsockname(AF_NETLINK)")?;
        SocketAddrNetlink::try_from(name)
            .map(|name| name.pid())
            .context(|| "getsockname(AF_NETLINK)")
    }

    fn set_option(&self, option: libc::c_int, value: libc::c_int) -> Result<()> {
        self.set((libc::SOL_NETLINK, option), value)
    }

    fn set(&self, (level, option): (libc::c_int, libc::c_int), value: libc::c_int) -> Result<()> {
        // SAFETY: the option's value is an int that outlives the call.
        check(unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                level,
                option,
                (&raw const value).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        })
        .map(drop)
        .context(|| format!("setsockopt({level}, {option}, {value})"))
    }

    /// Sends messages. The kernel has worked through them when this returns, and the answers wait.
    pub fn send(&self, messages: &[u8]) -> Result<()> {
        loop {
            match rustix::net::send(&self.0, messages, SendFlags::empty()) {
                Err(Errno::INTR) => {}
                Ok(sent) if sent == messages.len() => return Ok(()),
                Ok(_) => return Err(Errno::MSGSIZE).context(|| "sendto(AF_NETLINK)"),
                Err(errno) => {
                    return Err(errno)
                        .context(|| format!("sendto(AF_NETLINK, {} bytes)", messages.len()));
                }
            }
        }
    }

    /// One datagram of answers, if one waits already. ENOBUFS when answers were lost, EMSGSIZE when one does not fit.
    pub fn receive_waiting(&self, buffer: &mut [u8]) -> Result<Option<usize>> {
        match self.receive_with(buffer, RecvFlags::DONTWAIT) {
            Err(error) if error.errno() == Errno::AGAIN => Ok(None),
            result => result.map(Some),
        }
    }

    /// One datagram of answers.
    pub fn receive(&self, buffer: &mut [u8]) -> Result<usize> {
        self.receive_with(buffer, RecvFlags::empty())
    }

    fn receive_with(&self, buffer: &mut [u8], flags: RecvFlags) -> Result<usize> {
        let room = buffer.len();
        loop {
            match rustix::net::recv(&self.0, &mut *buffer, flags | RecvFlags::TRUNC) {
                Err(Errno::INTR) => {}
                Ok((_, length)) if length > room => {
                    return Err(Errno::MSGSIZE).context(|| format!("recvfrom({length} bytes)"));
                }
                result => {
                    return result
                        .map(|(_, length)| length)
                        .context(|| "recvfrom(AF_NETLINK)");
                }
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_but_the_kernel_answers() {
        let socket = Socket::open(Protocol::Route).unwrap();
        let mut buffer = [0; 64];
        assert_eq!(socket.receive_waiting(&mut buffer).unwrap(), None);
        // An empty message of a type that does nothing, with a wish for an answer.
        let noop = [16, 0, 0, 0, 1, 0, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0];
        socket.send(&noop).unwrap();
        let length = socket.receive(&mut buffer).unwrap();
        // NLMSG_ERROR, of sequence number 7, with error 0.
        assert_eq!(
            (length, buffer[4], buffer[8], &buffer[16..20]),
            (36, 2, 7, &[0; 4][..])
        );
    }
}
