//! Containers that ask over connections: what did not fit into a datagram.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use linux::epoll::{Event, EventFlags};

use super::numbered::Numbered;
use super::watch::{Kind, Token, Watch};

/// How long a connection may be silent.
const IDLE: Duration = Duration::from_secs(10);
/// How many connections there may be, of one container and of all.
const OF_ONE: usize = 32;
const OF_ALL: usize = 512;
/// How many questions of a connection may wait for other name servers.
const WAITING: usize = 16;
/// Nothing more is read from a connection that does not take its answers.
const UNSENT: usize = 128 << 10;
/// A question and its length.
const INPUT: usize = 2 + (64 << 10);

/// All of them.
#[derive(Default)]
pub(super) struct Streams {
    all: Numbered<Stream>,
}

struct Stream {
    server: u32,
    stream: TcpStream,
    input: Vec<u8>,
    unsent: Vec<u8>,
    waiting: usize,
    deadline: Instant,
    /// Nothing more will come.
    has_ended: bool,
    broken: bool,
}

impl Streams {
    /// Takes connections from addresses that are heard.
    pub(super) fn accept(
        &mut self,
        watch: &mut Watch,
        server: u32,
        listener: &TcpListener,
        hears: impl Fn(SocketAddr) -> bool,
    ) {
        while let Ok((stream, from)) = listener.accept() {
            if !hears(from) {
                continue;
            }
            let of_one = self.all.values().filter(|one| one.server == server).count();
            if of_one >= OF_ONE || self.all.len() >= OF_ALL || stream.set_nonblocking(true).is_err()
            {
                continue;
            }
            let number = watch.number();
            let token = Token::new(Kind::Stream, number);
            if watch.add(&stream, token, EventFlags::IN).is_err() {
                continue;
            }
            let stream = Stream {
                server,
                stream,
                input: Vec::new(),
                unsent: Vec::new(),
                waiting: 0,
                deadline: Instant::now() + IDLE,
                has_ended: false,
                broken: false,
            };
            self.all.insert(number, stream);
        }
    }

    /// Reads what is there.
    pub(super) fn receive(&mut self, number: u32, event: Event, buffer: &mut [u8]) {
        let Some(one) = self.all.get_mut(number) else {
            return;
        };
        // Both directions are over: there is nobody to answer.
        one.broken |= event.flags.intersects(EventFlags::HUP | EventFlags::ERR);
        if !event.is_readable() || !one.takes_more() {
            return;
        }
        let room = buffer.len().min(INPUT - one.input.len());
        match one.stream.read(&mut buffer[..room]) {
            Ok(0) => one.has_ended = true,
            Ok(count) => {
                one.input.extend_from_slice(&buffer[..count]);
                one.deadline = Instant::now() + IDLE;
            }
            Err(error) => one.broken |= !is_temporary(&error),
        }
    }

    /// A question that is whole, and whose it is.
    pub(super) fn next_query(&mut self, number: u32) -> Option<(u32, Vec<u8>)> {
        let one = self.all.get_mut(number)?;
        if one.waiting >= WAITING || one.unsent.len() >= UNSENT {
            return None;
        }
        let (length, rest) = one.input.split_first_chunk::<2>()?;
        let end = usize::from(u16::from_be_bytes(*length));
        let query = rest.get(..end)?.to_vec();
        one.input.drain(..2 + end);
        Some((one.server, query))
    }

    /// A question of it waits for another name server.
    pub(super) fn wait(&mut self, number: u32) {
        if let Some(one) = self.all.get_mut(number) {
            one.waiting += 1;
        }
    }

    pub(super) fn answer(&mut self, number: u32, reply: &[u8]) {
        if let (Some(one), Ok(length)) = (self.all.get_mut(number), u16::try_from(reply.len())) {
            one.unsent.extend_from_slice(&length.to_be_bytes());
            one.unsent.extend_from_slice(reply);
        }
    }

    /// The same to one that has waited.
    pub(super) fn answer_late(&mut self, number: u32, reply: &[u8]) {
        if let Some(one) = self.all.get_mut(number) {
            one.waiting = one.waiting.saturating_sub(1);
        }
        self.answer(number, reply);
    }

    /// Sends what can be sent, and says what is to be waited for next.
    pub(super) fn flush(&mut self, watch: &Watch, number: u32) {
        let Some(one) = self.all.get_mut(number) else {
            return;
        };
        one.send();
        let mut interest = EventFlags::empty();
        interest.set(EventFlags::IN, one.takes_more() && !one.has_ended);
        interest.set(EventFlags::OUT, !one.unsent.is_empty());
        let token = Token::new(Kind::Stream, number);
        let watched = watch.modify(&one.stream, token, interest);
        if watched.is_err() || one.is_over() {
            self.all.remove(number);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.all.values().map(|one| one.deadline).min()
    }

    pub(super) fn expire(&mut self, now: Instant) {
        self.all.retain(|one| one.deadline > now);
    }

    /// Drops a container's.
    pub(super) fn forget(&mut self, server: u32) {
        self.all.retain(|one| one.server != server);
    }
}

impl Stream {
    fn takes_more(&self) -> bool {
        self.unsent.len() < UNSENT && self.input.len() < INPUT && self.waiting < WAITING
    }

    fn send(&mut self) {
        while !self.unsent.is_empty() && !self.broken {
            match self.stream.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => self.broken |= !is_temporary(&error),
            }
        }
    }

    fn is_over(&self) -> bool {
        let is_served = self.unsent.is_empty() && self.waiting == 0;
        self.broken || self.has_ended && is_served
    }
}

fn is_temporary(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
