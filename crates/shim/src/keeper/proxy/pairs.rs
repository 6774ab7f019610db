//! Connections that are carried on: what one side says goes to the other, half closes included.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};

use linux::epoll::{Event, EventFlags};

use super::super::numbered::Numbered;
use super::super::watch::{Kind, Token, Watch};

/// How many connections are carried on at once, if so many descriptors may be open: a connection takes two, and a third stays for the rest.
const MOST: u64 = 65536;
const DESCRIPTORS: u64 = 3;
/// A door has at most one in so many of them: whoever holds all of its connections shuts no other one.
const SHARE: usize = 2;
/// How many are accepted at one door before others have their turn.
const BURST: usize = 64;

pub(super) struct Pairs {
    all: Numbered<Pair>,
    most: usize,
}

impl Default for Pairs {
    fn default() -> Self {
        let limit = linux::rlimit::resource("NOFILE").map(|limit| limit.get().0);
        let most = limit.map_or(MOST, |limit| MOST.min(limit / DESCRIPTORS));
        Self::with_most(usize::try_from(most).unwrap_or(0))
    }
}

/// Whether there is room for another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Left,
    /// Not for this door.
    NoneHere,
    None,
}

struct Pair {
    door: u32,
    client: End,
    target: End,
}

/// One side of a pair.
struct End {
    stream: TcpStream,
    kind: Kind,
    /// What it has still to take.
    unsent: Vec<u8>,
    /// It has said all it will say.
    has_ended: bool,
    /// It has been told that nothing more comes.
    is_told: bool,
    is_connected: bool,
    /// What is waited for; nothing when it is not watched at all.
    interest: EventFlags,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Target,
}

impl Pairs {
    fn with_most(most: usize) -> Self {
        let all = Numbered::default();
        Self { all, most }
    }

    /// Accepts whoever waits at a door.
    pub(super) fn accept(
        &mut self,
        watch: &mut Watch,
        (door, listener, to): (u32, &TcpListener, SocketAddr),
    ) -> Room {
        let of_door = self.all.values().filter(|pair| pair.door == door).count();
        let room_of_door = (self.most / SHARE).saturating_sub(of_door);
        for accepted in 0..BURST {
            if self.all.len() >= self.most {
                return Room::None;
            }
            if accepted >= room_of_door {
                return Room::NoneHere;
            }
            match listener.accept() {
                Ok((client, _)) => {
                    // A target that cannot be reached: the client sees its connection end.
                    if let Ok(pair) = Pair::new(door, client, to) {
                        let number = watch.number();
                        self.all.insert(number, pair);
                        self.settle(watch, number);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Room::Left,
                Err(error) if is_of_connection(&error) => {}
                Err(_) => return Room::None,
            }
        }
        Room::Left
    }

    /// Something can be read from, or written to, one side.
    pub(super) fn ready(
        &mut self,
        watch: &Watch,
        number: u32,
        (side, event): (Side, Event),
        buffer: &mut [u8],
    ) {
        let Some(pair) = self.all.get_mut(number) else {
            return;
        };
        if pair.carry(side, event, buffer).is_err() {
            self.all.remove(number);
            return;
        }
        self.settle(watch, number);
    }

    /// Sees to what is waited for next; a pair that is done ends.
    fn settle(&mut self, watch: &Watch, number: u32) {
        let Some(pair) = self.all.get_mut(number) else {
            return;
        };
        let (client, target) = (pair.interest(Side::Client), pair.interest(Side::Target));
        let watched = pair
            .client
            .wait_for(watch, number, client)
            .and_then(|()| pair.target.wait_for(watch, number, target));
        if watched.is_err() || pair.is_done() {
            self.all.remove(number);
        }
    }

    pub(super) fn forget(&mut self, door: u32) {
        self.all.retain(|pair| pair.door != door);
    }
}

/// The connection has gone before it was accepted (accept(2)); the next one may be well.
fn is_of_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::Interrupted
            | ErrorKind::NetworkDown
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
    )
}

impl Pair {
    fn new(door: u32, client: TcpStream, to: SocketAddr) -> linux::Result<Self> {
        linux::fd::set_nonblocking(&client, true)?;
        let target = TcpStream::from(linux::socket::connect_later(to)?);
        for stream in [&client, &target] {
            // Who is gone without a word is noticed in the end.
            linux::socket::keep_alive(stream)?;
            let _at_once = stream.set_nodelay(true);
        }
        let mut client = End::new(client, Kind::Client);
        client.is_connected = true;
        Ok(Self {
            door,
            client,
            target: End::new(target, Kind::Target),
        })
    }

    fn ends(&mut self, from: Side) -> (&mut End, &mut End) {
        match from {
            Side::Client => (&mut self.client, &mut self.target),
            Side::Target => (&mut self.target, &mut self.client),
        }
    }

    /// Carries what can be carried; an error is the end of both sides.
    fn carry(&mut self, side: Side, event: Event, buffer: &mut [u8]) -> io::Result<()> {
        let (this, other) = self.ends(side);
        if event.is_writable() {
            this.is_connected = true;
            this.send(&[])?;
            if other.has_ended {
                this.tell_end();
            }
        }
        let may_read = event.is_readable() && !this.has_ended;
        if !may_read || !other.is_connected || !other.unsent.is_empty() {
            return Ok(());
        }
        match this.stream.read(buffer) {
            Ok(0) => {
                this.has_ended = true;
                other.tell_end();
            }
            Ok(count) => other.send(&buffer[..count])?,
            Err(error) if is_nothing(&error) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn interest(&self, side: Side) -> EventFlags {
        let (this, other) = match side {
            Side::Client => (&self.client, &self.target),
            Side::Target => (&self.target, &self.client),
        };
        let mut interest = EventFlags::empty();
        let has_room = other.is_connected && other.unsent.is_empty();
        interest.set(
            EventFlags::IN,
            this.is_connected && !this.has_ended && has_room,
        );
        interest.set(
            EventFlags::OUT,
            !this.is_connected || !this.unsent.is_empty(),
        );
        interest
    }

    fn is_done(&self) -> bool {
        let is_done = |end: &End| end.has_ended && end.is_told;
        is_done(&self.client) && is_done(&self.target)
    }
}

impl End {
    fn new(stream: TcpStream, kind: Kind) -> Self {
        Self {
            stream,
            kind,
            unsent: Vec::new(),
            has_ended: false,
            is_told: false,
            is_connected: false,
            interest: EventFlags::empty(),
        }
    }

    /// Sends what has waited and then more; what is not taken waits.
    fn send(&mut self, more: &[u8]) -> io::Result<()> {
        if !self.unsent.is_empty() {
            let count = written(&mut self.stream, &self.unsent)?;
            self.unsent.drain(..count);
            if self.unsent.is_empty() {
                self.unsent = Vec::new();
            }
        }
        let count = match self.unsent.is_empty() {
            true => written(&mut self.stream, more)?,
            false => 0,
        };
        self.unsent.extend_from_slice(&more[count..]);
        Ok(())
    }

    /// Says that nothing more comes, once everything has been sent.
    fn tell_end(&mut self) {
        if self.unsent.is_empty() && !self.is_told {
            self.is_told = true;
            // One that has gone needs not be told.
            let _told = self.stream.shutdown(Shutdown::Write);
        }
    }

    /// A descriptor that nothing is wanted of is not watched, or epoll would report its end again and again.
    fn wait_for(&mut self, watch: &Watch, number: u32, interest: EventFlags) -> linux::Result<()> {
        let token = Token::new(self.kind, number);
        if interest == self.interest {
            return Ok(());
        }
        if self.interest.is_empty() {
            watch.add(&self.stream, token, interest)?;
        } else if interest.is_empty() {
            watch.remove(&self.stream);
        } else {
            watch.modify(&self.stream, token, interest)?;
        }
        self.interest = interest;
        Ok(())
    }
}

/// How much has been taken.
fn written(stream: &mut TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut count = 0;
    while count < bytes.len() {
        match stream.write(&bytes[count..]) {
            Ok(more) => count += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_door_that_is_full_leaves_room_for_others() {
        let mut watch = Watch::new().unwrap();
        let target = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = target.local_addr().unwrap();
        let doors = [(); 2].map(|()| {
            let door = TcpListener::bind("127.0.0.1:0").unwrap();
            door.set_nonblocking(true).unwrap();
            door
        });
        let connect = |door: usize| TcpStream::connect(doors[door].local_addr().unwrap()).unwrap();
        let mut pairs = Pairs::with_most(3 * SHARE);
        let held = [(); 5].map(|()| connect(0));
        assert_eq!(pairs.accept(&mut watch, (1, &doors[0], to)), Room::NoneHere);
        assert_eq!(pairs.all.len(), 3);
        let _other = connect(1);
        assert_eq!(pairs.accept(&mut watch, (2, &doors[1], to)), Room::Left);
        assert_eq!(pairs.all.len(), 4);
        // Whoever waited comes in when somebody has gone.
        pairs.forget(1);
        assert_eq!(pairs.accept(&mut watch, (1, &doors[0], to)), Room::Left);
        assert_eq!(pairs.all.len(), 3);
        drop(held);
    }
}
