//! Answers to containers' questions for names, and to the host's.

mod host;

use std::collections::BTreeMap;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Instant;

use linux::epoll::{Event, EventFlags};
use network::Identity;
use network::dns::{self, Answer, Table, Transport};
use shim::keeping::{self, HostNames, Zone};

use super::Error;
use super::forward::{Asker, Heard, Queries, Question};
use super::numbered::Numbered;
use super::stream::Streams;
use super::watch::{Kind, Token, Watch};

/// How many datagrams of one container are answered before others have their turn.
const BURST: usize = 64;

/// All networks' names, and who is told them.
pub(super) struct Names {
    tables: BTreeMap<Identity, Table>,
    servers: Numbered<Server>,
    streams: Streams,
    queries: Queries,
    /// Streams with room for further questions.
    resumed: Vec<u32>,
    /// Addresses that share a name take turns.
    turn: usize,
}

/// What serves a container, or the host.
pub(super) struct Server {
    pub(super) said: keeping::Server,
    private: Table,
    sockets: Sockets,
    /// What it is for the host.
    host: Option<HostNames>,
}

/// In a container's namespace, which is the last of them.
struct Sockets {
    udp: UdpSocket,
    tcp: TcpListener,
    netns: OwnedFd,
}

impl Sockets {
    fn new(fds: Vec<OwnedFd>) -> Result<Option<Self>, Error> {
        let Ok([udp, tcp, netns]) = <[OwnedFd; 3]>::try_from(fds) else {
            return Ok(None);
        };
        let sockets = Self {
            udp: UdpSocket::from(udp),
            tcp: TcpListener::from(tcp),
            netns,
        };
        let nonblocking = |error| Error::Socket("set up a name server's sockets", error);
        sockets.udp.set_nonblocking(true).map_err(nonblocking)?;
        sockets.tcp.set_nonblocking(true).map_err(nonblocking)?;
        Ok(Some(sockets))
    }
}

impl Server {
    pub(super) fn netns(&self) -> &OwnedFd {
        &self.sockets.netns
    }
}

impl Names {
    pub(super) fn new() -> Result<Self, Error> {
        Ok(Self {
            tables: BTreeMap::new(),
            servers: Numbered::default(),
            streams: Streams::default(),
            queries: Queries::new()?,
            resumed: Vec::new(),
            turn: 0,
        })
    }

    /// Tables alone need nobody who keeps them, and the host needs no answers when there are none.
    pub(super) fn is_empty(&self) -> bool {
        let mut servers = self.servers.values();
        servers.all(|server| server.host.is_some() && self.tables.is_empty())
    }

    pub(super) fn networks(&self) -> Vec<Identity> {
        self.tables.keys().cloned().collect()
    }

    pub(super) fn servers(&self) -> Vec<String> {
        let servers = self.servers.values();
        let of_containers = servers.filter(|server| server.host.is_none());
        of_containers.map(|server| server.said.id.clone()).collect()
    }

    pub(super) fn set(&mut self, zone: Zone) {
        let mut table = Table::new(&zone.name);
        for named in zone.entries {
            table.set(named);
        }
        self.tables.insert(zone.network, table);
    }

    pub(super) fn forget(&mut self, network: &Identity) {
        self.tables.remove(network);
    }

    pub(super) fn serve(
        &mut self,
        watch: &mut Watch,
        said: keeping::Server,
        fds: Vec<OwnedFd>,
    ) -> Result<(), Error> {
        let mut private = Table::new("");
        for named in &said.private {
            private.set(named.clone());
        }
        let refuse = |text: &str| Err(Error::Refused(format!("{text}: {}", said.id)));
        let known = self.number_of(&said.id);
        if fds.is_empty() {
            let Some(server) = known.and_then(|number| self.servers.get_mut(number)) else {
                return refuse("a container that is not served");
            };
            (server.said, server.private) = (said, private);
            return Ok(());
        }
        let Some(sockets) = Sockets::new(fds)? else {
            return refuse("two sockets and a namespace belong to a server");
        };
        self.unserve(watch, &said.id);
        let server = Server {
            said,
            private,
            sockets,
            host: None,
        };
        self.insert(watch, server)
    }

    fn insert(&mut self, watch: &mut Watch, server: Server) -> Result<(), Error> {
        let number = watch.number();
        let (udp, tcp) = (&server.sockets.udp, &server.sockets.tcp);
        watch.add(udp, Token::new(Kind::Datagrams, number), EventFlags::IN)?;
        watch.add(tcp, Token::new(Kind::Streams, number), EventFlags::IN)?;
        self.servers.insert(number, server);
        Ok(())
    }

    fn number_of(&self, id: &str) -> Option<u32> {
        let mut servers = self.servers.iter();
        let found = servers.find(|(_, server)| server.host.is_none() && server.said.id == id);
        found.map(|(number, _)| number)
    }

    pub(super) fn unserve(&mut self, watch: &Watch, id: &str) {
        if let Some(number) = self.number_of(id) {
            self.remove(watch, number);
        }
    }

    fn remove(&mut self, watch: &Watch, number: u32) {
        if let Some(server) = self.servers.remove(number) {
            watch.remove(&server.sockets.udp);
            watch.remove(&server.sockets.tcp);
        }
        self.streams.forget(number);
        self.queries.forget(number);
    }

    /// Somebody asks by datagram.
    pub(super) fn datagrams_ready(&mut self, watch: &mut Watch, number: u32, buffer: &mut [u8]) {
        for _ in 0..BURST {
            let Some(server) = self.servers.get(number) else {
                break;
            };
            let Ok((length, from)) = server.sockets.udp.recv_from(buffer) else {
                break;
            };
            if !server.hears(from) {
                continue;
            }
            match self.answer(number, &buffer[..length], Transport::Udp) {
                Answer::Reply(reply) => self.deliver(number, Asker::Datagram(from), &reply),
                Answer::Forward => {
                    let question = Question::new(number, Asker::Datagram(from), &buffer[..length]);
                    self.ask_elsewhere(watch, question);
                }
                Answer::Ignore => {}
            }
        }
    }

    /// Somebody connects.
    pub(super) fn streams_ready(&mut self, watch: &mut Watch, number: u32) {
        if let Some(server) = self.servers.get(number) {
            let hears = |from| server.hears(from);
            self.streams
                .accept(watch, number, &server.sockets.tcp, hears);
        }
    }

    /// Somebody asks over a connection, or can be answered there.
    pub(super) fn stream_ready(
        &mut self,
        watch: &mut Watch,
        number: u32,
        event: Event,
        buffer: &mut [u8],
    ) {
        self.streams.receive(number, event, buffer);
        self.answer_stream(watch, number);
    }

    fn answer_stream(&mut self, watch: &mut Watch, number: u32) {
        while let Some((server, query)) = self.streams.next_query(number) {
            match self.answer(server, &query, Transport::Tcp) {
                Answer::Reply(reply) => self.streams.answer(number, &reply),
                Answer::Forward => {
                    self.streams.wait(number);
                    let question = Question::new(server, Asker::Stream(number), &query);
                    self.ask_elsewhere(watch, question);
                }
                Answer::Ignore => {}
            }
        }
        self.streams.flush(watch, number);
    }

    fn answer(&mut self, number: u32, query: &[u8], transport: Transport) -> Answer {
        let Some(server) = self.servers.get(number) else {
            return Answer::Ignore;
        };
        if let Some(names) = &server.host {
            self.turn = self.turn.wrapping_add(1);
            let tables: Vec<&Table> = self.tables.values().collect();
            return dns::answer_host(query, transport, &names.domain, &tables, self.turn);
        }
        let mut tables = vec![&server.private];
        let networks = server.said.networks.iter();
        tables.extend(networks.filter_map(|network| self.tables.get(network)));
        self.turn = self.turn.wrapping_add(1);
        dns::answer(query, transport, &tables, self.turn)
    }

    fn ask_elsewhere(&mut self, watch: &mut Watch, question: Question) {
        let server = self.servers.get(question.server);
        if let Err(question) = self.queries.ask(watch, server, question) {
            self.give_up(&question);
        }
    }

    /// Another name server has answered, or cannot be reached.
    pub(super) fn query_ready(
        &mut self,
        watch: &mut Watch,
        number: u32,
        event: Event,
        buffer: &mut [u8],
    ) {
        let heard = self.queries.hear(watch, number, event, buffer);
        match heard {
            Heard::Nothing => {}
            Heard::Answer(question, reply) => {
                self.deliver(question.server, question.asker, &reply);
            }
            Heard::Failure(question) => self.ask_elsewhere(watch, question),
        }
    }

    fn give_up(&mut self, question: &Question) {
        if let Some(reply) = dns::servfail(&question.message) {
            self.deliver(question.server, question.asker, &reply);
        }
    }

    /// A container that takes no answers gets none.
    fn deliver(&mut self, server: u32, asker: Asker, reply: &[u8]) {
        match asker {
            Asker::Datagram(to) => {
                if let Some(server) = self.servers.get(server) {
                    let _sent = server.sockets.udp.send_to(reply, to);
                }
            }
            Asker::Stream(number) => {
                self.streams.answer_late(number, reply);
                self.resumed.push(number);
            }
        }
    }

    /// When something has to be done though nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let both = [self.queries.deadline(), self.streams.deadline()];
        both.into_iter().flatten().min()
    }

    /// Does it, and what has become possible meanwhile.
    pub(super) fn go_on(&mut self, watch: &mut Watch, now: Instant) {
        for question in self.queries.expired(now) {
            self.ask_elsewhere(watch, question);
        }
        self.streams.expire(now);
        while let Some(number) = self.resumed.pop() {
            self.answer_stream(watch, number);
        }
    }
}
