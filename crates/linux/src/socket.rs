//! Unix sockets: pairs, and descriptors sent through them.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};

use crate::error::{Context as _, check};
use crate::{Errno, Result};

/// At most this many descriptors travel with a message.
pub const MAX_FDS: usize = 64;

/// Two connected stream sockets.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(SocketType::STREAM)
}

/// Two connected sockets that keep message borders, and say when the other end is gone.
pub fn packet_pair() -> Result<(OwnedFd, OwnedFd)> {
    socketpair(SocketType::SEQPACKET)
}

fn socketpair(kind: SocketType) -> Result<(OwnedFd, OwnedFd)> {
    rustix::net::socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
        .context(|| format!("socketpair(AF_UNIX, {kind:?})"))
}

/// Connects a stream socket to a path, of at most 107 bytes as the kernel has it.
pub fn connect(path: &std::path::Path) -> Result<OwnedFd> {
    let address =
        rustix::net::SocketAddrUnix::new(path).context(|| format!("connect({path:?})"))?;
    let socket = rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .context(|| "socket(AF_UNIX)")?;
    rustix::net::connect(&socket, &address).context(|| format!("connect({path:?})"))?;
    Ok(socket)
}

/// Begins to connect a TCP socket, and does not wait: it is writable when that is done, and the first use of it tells whether it
/// has failed.
pub fn connect_later(to: std::net::SocketAddr) -> Result<OwnedFd> {
    let family = if to.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)
        .context(|| format!("socket({family:?}, SOCK_STREAM)"))?;
    match rustix::net::connect(&socket, &to) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(errno) => Err(errno).context(|| format!("connect({to})")),
    }
}

/// Has a bound socket listen.
pub fn listen(socket: impl AsFd, backlog: i32) -> Result<()> {
    rustix::net::listen(socket, backlog).context(|| format!("listen({backlog})"))
}

/// Whether a socket is one for connections, not for datagrams.
pub fn is_stream(socket: impl AsFd) -> Result<bool> {
    let kind = rustix::net::sockopt::socket_type(socket).context(|| "getsockopt(SO_TYPE)")?;
    Ok(kind == rustix::net::SocketType::STREAM)
}

/// What is left of a listening socket's ended connections keeps nobody from binding its address anew, who says so too. While it
/// listens, nobody else binds it all the same.
pub fn allow_rebinding(socket: impl AsFd) -> Result<()> {
    rustix::net::sockopt::set_socket_reuseaddr(socket, true).context(|| "setsockopt(SO_REUSEADDR)")
}

/// Has the kernel ask now and then whether the other side of a connection is still there.
pub fn keep_alive(socket: impl AsFd) -> Result<()> {
    rustix::net::sockopt::set_socket_keepalive(socket, true).context(|| "setsockopt(SO_KEEPALIVE)")
}

/// Asks for an option that is a structure. The buffer holds what the question needs, and then the answer; how long that is comes back.
pub fn ask_option(socket: impl AsFd, level: i32, name: i32, buffer: &mut [u8]) -> Result<usize> {
    let call = || format!("getsockopt({level}, {name}, {} bytes)", buffer.len());
    let mut length = libc::socklen_t::try_from(buffer.len())
        .map_err(|_| Errno::INVAL)
        .context(call)?;
    // SAFETY: the kernel reads and writes at most `length` bytes of the buffer, which is borrowed for the call.
    check(unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            buffer.as_mut_ptr().cast(),
            &raw mut length,
        )
    })
    .context(|| format!("getsockopt({level}, {name})"))?;
    Ok(length as usize)
}

/// Sends bytes with descriptors, as one message. Never raises SIGPIPE.
pub fn send_fds(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize> {
    if fds.len() > MAX_FDS {
        return Err(Errno::INVAL).context(|| format!("sendmsg({} descriptors)", fds.len()));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(fds));
    }
    loop {
        match rustix::net::sendmsg(
            &socket,
            &[IoSlice::new(bytes)],
            &mut control,
            SendFlags::NOSIGNAL,
        ) {
            Err(Errno::INTR) => {}
            result => return result.context(|| format!("sendmsg({} bytes)", bytes.len())),
        }
    }
}

/// Receives one message: how many bytes went into `buffer` (0 when the other end is closed), and the descriptors.
/// More than [`MAX_FDS`] descriptors are dropped by the kernel.
pub fn recv_fds(socket: impl AsFd, buffer: &mut [u8]) -> Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut parts = [IoSliceMut::new(buffer)];
        match rustix::net::recvmsg(&socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            result => break result.context(|| "recvmsg()")?,
        }
    };
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    Ok((received.bytes, fds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_travel() {
        let (a, b) = packet_pair().unwrap();
        let (reader, writer) = crate::fd::pipe().unwrap();
        send_fds(&a, b"x", &[writer.as_fd()]).unwrap();
        drop(writer);
        let mut buffer = [0; 8];
        let (count, fds) = recv_fds(&b, &mut buffer).unwrap();
        assert_eq!((count, fds.len()), (1, 1));
        crate::file::write_all(&fds[0], b"hello").unwrap();
        drop(fds);
        assert_eq!(crate::file::read_all(reader, 100).unwrap(), b"hello");
        drop(a);
        assert_eq!(recv_fds(&b, &mut buffer).unwrap().0, 0);
    }
}
