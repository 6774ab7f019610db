//! Ports of the host that lead to a container through this process, where the kernel cannot do it (`network::port` says where that is).
//!
//! Each such port is a door. What comes through it is carried on from here, so the container sees this host as the other side, as with
//! Docker's proxy.

mod datagrams;
mod pairs;

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use linux::epoll::{Event, EventFlags};
use shim::keeping::Use;

use super::Error;
use super::numbered::Numbered;
use super::watch::{Kind, Token, Watch};
use datagrams::Flows;
use pairs::{Pairs, Room, Side};

/// How many connections wait to be accepted.
const BACKLOG: i32 = 4096;
/// How long doors stay shut when there is no room for another connection.
const REST: Duration = Duration::from_millis(100);

/// All doors, and what goes through them.
#[derive(Default)]
pub(super) struct Proxies {
    doors: Numbered<Door>,
    pairs: Pairs,
    flows: Flows,
    /// Until when no connection is accepted, for lack of descriptors.
    resting: Option<Instant>,
}

struct Door {
    key: String,
    socket: Socket,
    to: SocketAddr,
}

enum Socket {
    Tcp(TcpListener),
    Udp(UdpSocket),
}

impl Door {
    fn fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Tcp(listener) => listener.as_fd(),
            Socket::Udp(socket) => socket.as_fd(),
        }
    }
}

impl Proxies {
    /// Opens a door, if the use of the socket asks for one.
    pub(super) fn open(
        &mut self,
        watch: &mut Watch,
        key: &str,
        (of, socket): (Use, &OwnedFd),
    ) -> Result<(), Error> {
        let copy = || linux::fd::duplicate(socket);
        let (socket, to) = match of {
            Use::Reserve => return Ok(()),
            Use::ProxyTcp { to } => {
                linux::socket::listen(socket, BACKLOG)?;
                linux::socket::allow_rebinding(socket)?;
                (Socket::Tcp(copy()?.into()), to)
            }
            Use::ProxyUdp { to } => {
                let door = UdpSocket::from(copy()?);
                let at = door.local_addr();
                let at = at.map_err(|error| Error::Socket("ask for a socket's address", error))?;
                // One that has a single address answers from there anyway.
                if at.ip().is_unspecified() {
                    linux::datagram::say_here(&door, at.is_ipv4())?;
                }
                (Socket::Udp(door), to)
            }
        };
        let key = key.to_owned();
        let door = Door { key, socket, to };
        linux::fd::set_nonblocking(door.fd(), true)?;
        let number = watch.number();
        watch.add(door.fd(), Token::new(Kind::Door, number), EventFlags::IN)?;
        self.doors.insert(number, door);
        Ok(())
    }

    /// Shuts the doors of a key that are meant; whatever goes through them ends.
    pub(super) fn shut(
        &mut self,
        watch: &Watch,
        key: &str,
        is_meant: impl Fn(BorrowedFd<'_>) -> bool,
    ) {
        let is_one = |door: &Door| door.key == key && is_meant(door.fd());
        for number in self.doors.numbers_of(is_one) {
            if let Some(door) = self.doors.remove(number) {
                watch.remove(door.fd());
            }
            self.pairs.forget(number);
            self.flows.forget(number);
        }
    }

    /// Somebody comes.
    pub(super) fn door_ready(&mut self, watch: &mut Watch, number: u32, buffer: &mut [u8]) {
        let Some(door) = self.doors.get(number) else {
            return;
        };
        match &door.socket {
            Socket::Udp(socket) => self.flows.arrive(watch, (number, socket, door.to), buffer),
            Socket::Tcp(listener) => match self.pairs.accept(watch, (number, listener, door.to)) {
                Room::Left => {}
                Room::NoneHere => self.rest(watch, |of| of == number),
                Room::None => self.rest(watch, |_| true),
            },
        }
    }

    /// Nobody is accepted at these doors for a while.
    fn rest(&mut self, watch: &Watch, rests: impl Fn(u32) -> bool) {
        self.resting.get_or_insert(Instant::now() + REST);
        let resting = self.doors.iter().filter(|(number, _)| rests(*number));
        for (_, door) in resting {
            watch.remove(door.fd());
        }
    }

    pub(super) fn client_ready(
        &mut self,
        watch: &Watch,
        number: u32,
        event: Event,
        buffer: &mut [u8],
    ) {
        self.pairs
            .ready(watch, number, (Side::Client, event), buffer);
    }

    pub(super) fn target_ready(
        &mut self,
        watch: &Watch,
        number: u32,
        event: Event,
        buffer: &mut [u8],
    ) {
        self.pairs
            .ready(watch, number, (Side::Target, event), buffer);
    }

    /// A container answers a datagram.
    pub(super) fn flow_ready(&mut self, number: u32, buffer: &mut [u8]) {
        let doors = &self.doors;
        self.flows
            .answer(number, buffer, |door| match &doors.get(door)?.socket {
                Socket::Udp(socket) => Some(socket),
                Socket::Tcp(_) => None,
            });
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.resting.into_iter().chain(self.flows.deadline()).min()
    }

    pub(super) fn go_on(&mut self, watch: &Watch, now: Instant) {
        self.flows.expire(now);
        if self.resting.is_some_and(|until| until <= now) {
            self.resting = None;
            for (number, door) in self.doors.iter() {
                let _watched = watch.add(door.fd(), Token::new(Kind::Door, number), EventFlags::IN);
            }
        }
    }
}
