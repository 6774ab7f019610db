//! Datagrams that are carried on: each client has a flow of its own, with a socket from which the container is spoken to.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use linux::datagram::{self, Here};
use linux::epoll::EventFlags;

use super::super::numbered::Numbered;
use super::super::watch::{Kind, Token, Watch};

/// How long a flow lasts in which nothing flows. Docker's.
const IDLE: Duration = Duration::from_secs(90);
/// How often idle ones are looked for.
const SWEEP: Duration = Duration::from_secs(10);
/// How many flows a door has; a further one takes the place of the one that has been idle for longest.
const OF_DOOR: usize = 1024;
const OF_ALL: usize = 8192;
/// How many datagrams are taken at once before others have their turn.
const BURST: usize = 64;

#[derive(Default)]
pub(super) struct Flows {
    all: Numbered<Flow>,
    numbers: BTreeMap<(u32, Client), u32>,
    sweep: Option<Instant>,
}

/// Who sends, and to which of the host's addresses: the answers come from there.
type Client = (SocketAddr, Option<Here>);

struct Flow {
    door: u32,
    client: Client,
    /// Connected to the container.
    socket: UdpSocket,
    used: Instant,
}

impl Flows {
    /// Carries on what has come to a door.
    pub(super) fn arrive(
        &mut self,
        watch: &mut Watch,
        (door, socket, to): (u32, &UdpSocket, SocketAddr),
        buffer: &mut [u8],
    ) {
        for _ in 0..BURST {
            let Ok(received) = datagram::receive(socket, buffer) else {
                return;
            };
            let client = (received.from, received.here);
            let Some(flow) = self.flow(watch, (door, client), to) else {
                continue;
            };
            flow.used = Instant::now();
            // Refused: what the container said to an earlier one. Datagrams may be lost.
            let _sent = flow.socket.send(&buffer[..received.length]);
        }
    }

    fn flow(
        &mut self,
        watch: &mut Watch,
        (door, client): (u32, Client),
        to: SocketAddr,
    ) -> Option<&mut Flow> {
        if let Some(number) = self.numbers.get(&(door, client)) {
            return self.all.get_mut(*number);
        }
        let of_door = self.all.values().filter(|flow| flow.door == door).count();
        if of_door >= OF_DOOR || self.all.len() >= OF_ALL {
            self.end_oldest(door);
        }
        if self.all.len() >= OF_ALL {
            return None;
        }
        let any: SocketAddr = match to {
            SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
            SocketAddr::V6(_) => ([0u16; 8], 0).into(),
        };
        let socket = UdpSocket::bind(any).ok()?;
        socket.set_nonblocking(true).ok()?;
        socket.connect(to).ok()?;
        let number = watch.number();
        let token = Token::new(Kind::Flow, number);
        watch.add(&socket, token, EventFlags::IN).ok()?;
        let used = Instant::now();
        self.sweep.get_or_insert(used + SWEEP);
        self.numbers.insert((door, client), number);
        let flow = Flow {
            door,
            client,
            socket,
            used,
        };
        self.all.insert(number, flow);
        self.all.get_mut(number)
    }

    fn end_oldest(&mut self, door: u32) {
        let of_door = self.all.iter().filter(|(_, flow)| flow.door == door);
        let oldest = of_door.min_by_key(|(_, flow)| flow.used);
        if let Some(number) = oldest.map(|(number, _)| number) {
            self.end(number);
        }
    }

    fn end(&mut self, number: u32) {
        if let Some(flow) = self.all.remove(number) {
            self.numbers.remove(&(flow.door, flow.client));
        }
    }

    /// Brings a container's answers back to the client.
    pub(super) fn answer<'a>(
        &mut self,
        number: u32,
        buffer: &mut [u8],
        door: impl FnOnce(u32) -> Option<&'a UdpSocket>,
    ) {
        let Some(flow) = self.all.get_mut(number) else {
            return;
        };
        let Some(door) = door(flow.door) else {
            return;
        };
        for _ in 0..BURST {
            match flow.socket.recv(buffer) {
                Ok(length) => {
                    flow.used = Instant::now();
                    let (client, here) = flow.client;
                    let _sent = datagram::send(door, &buffer[..length], client, here);
                }
                // Nothing more; or nobody listens in the container, which reading has told once.
                Err(_) => return,
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.sweep
    }

    pub(super) fn expire(&mut self, now: Instant) {
        if self.sweep.is_none_or(|at| at > now) {
            return;
        }
        for number in self.all.numbers_of(|flow| flow.used + IDLE <= now) {
            self.end(number);
        }
        self.sweep = (!self.all.is_empty()).then(|| now + SWEEP);
    }

    pub(super) fn forget(&mut self, door: u32) {
        for number in self.all.numbers_of(|flow| flow.door == door) {
            self.end(number);
        }
    }
}
