//! Questions for names that nobody here has, asked of other name servers.
//!
//! Each is asked from a socket of its own, which the kernel gives a random port, connected, so that nobody else is heard, and
//! under a random number; an answer counts only if it is to the question that was asked.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use linux::epoll::{Event, EventFlags};
use linux::ns::{self, Kinds};
use network::dns;
use shim::keeping::{Side, Upstream};

use super::Error;
use super::names::Server;
use super::numbered::Numbered;
use super::watch::{Kind, Token, Watch};

/// How long a name server may take while there is another to ask, and the last one. Resolvers ask again after 5 s.
const PATIENCE: Duration = Duration::from_millis(1500);
const LAST_PATIENCE: Duration = Duration::from_secs(4);

/// How many questions wait for answers, of one container and of all. More are refused, so that a container which asks wildly takes
/// neither memory nor ports from others.
const OF_ONE: usize = 128;
const OF_ALL: usize = 1024;

/// A container's question.
pub(super) struct Question {
    pub(super) server: u32,
    pub(super) asker: Asker,
    pub(super) message: Vec<u8>,
    /// How many name servers have been asked in vain.
    failed: usize,
}

/// Who waits for the answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Asker {
    Datagram(SocketAddr),
    Stream(u32),
}

/// What has come of waiting.
pub(super) enum Heard {
    Nothing,
    Answer(Question, Vec<u8>),
    /// The next name server is to be asked.
    Failure(Question),
}

/// Questions that wait.
pub(super) struct Queries {
    all: Numbered<Query>,
    /// The host's namespace, to come back to.
    home: OwnedFd,
}

struct Query {
    question: Question,
    /// The message as it was sent, under a number of its own.
    sent: Vec<u8>,
    way: Way,
    deadline: Instant,
}

/// As the container has asked, so is asked.
enum Way {
    Datagram(UdpSocket),
    Stream(Conversation),
}

/// A message with its length before it goes out, another comes back.
struct Conversation {
    stream: TcpStream,
    unsent: Vec<u8>,
    received: Vec<u8>,
}

impl Question {
    pub(super) fn new(server: u32, asker: Asker, message: &[u8]) -> Self {
        let message = message.to_vec();
        Self {
            server,
            asker,
            message,
            failed: 0,
        }
    }
}

impl Queries {
    pub(super) fn new() -> Result<Self, Error> {
        let home = std::fs::File::open("/proc/self/ns/net");
        let home = home.map_err(|error| Error::Socket("open the network namespace", error))?;
        Ok(Self {
            all: Numbered::default(),
            home: home.into(),
        })
    }

    /// Asks the first name server that has not failed, or gives the question back if there is none.
    pub(super) fn ask(
        &mut self,
        watch: &mut Watch,
        server: Option<&Server>,
        mut question: Question,
    ) -> Result<(), Question> {
        let Some(server) = server.filter(|_| self.has_room(question.server)) else {
            return Err(question);
        };
        let upstreams = &server.said.upstreams;
        while let Some(upstream) = upstreams.get(question.failed) {
            let is_last = question.failed + 1 == upstreams.len();
            let Ok((sent, way)) = self.open(upstream, server.netns(), &question) else {
                question.failed += 1;
                continue;
            };
            let number = watch.number();
            if watch
                .add(way.fd(), Token::new(Kind::Query, number), way.interest())
                .is_err()
            {
                return Err(question);
            }
            let patience = if is_last { LAST_PATIENCE } else { PATIENCE };
            let query = Query {
                question,
                sent,
                way,
                deadline: Instant::now() + patience,
            };
            self.all.insert(number, query);
            return Ok(());
        }
        Err(question)
    }

    fn has_room(&self, server: u32) -> bool {
        let of_one = self.all.values().filter(|q| q.question.server == server);
        self.all.len() < OF_ALL && of_one.count() < OF_ONE
    }

    fn open(
        &self,
        upstream: &Upstream,
        netns: &OwnedFd,
        question: &Question,
    ) -> Result<(Vec<u8>, Way), Error> {
        let mut sent = question.message.clone();
        let mut id = [0; 2];
        getrandom::fill(&mut id).map_err(|error| Error::Refused(error.to_string()))?;
        if let Some(place) = sent.first_chunk_mut::<2>() {
            *place = id;
        }
        let by_stream = matches!(question.asker, Asker::Stream(_));
        let open = || match by_stream {
            false => datagram(upstream.address, &sent),
            true => conversation(upstream.address, &sent),
        };
        let way = match upstream.from {
            Side::Host => open(),
            Side::Container => self.away(netns, open)?,
        };
        let way = way.map_err(|error| Error::Socket("ask a name server", error))?;
        Ok((sent, way))
    }

    /// Makes a socket in another namespace; it stays of that one. This process has one thread and comes back at once.
    fn away<T>(&self, netns: &OwnedFd, make: impl FnOnce() -> T) -> Result<T, Error> {
        ns::enter(netns, Kinds::NETWORK)?;
        let made = make();
        if ns::enter(&self.home, Kinds::NETWORK).is_err() {
            // Anywhere else this process would do its work for the wrong side. The daemon starts another.
            linux::process::exit_now(1);
        }
        Ok(made)
    }

    /// Reads what has come for a question.
    pub(super) fn hear(
        &mut self,
        watch: &Watch,
        number: u32,
        event: Event,
        buffer: &mut [u8],
    ) -> Heard {
        let Some(query) = self.all.get_mut(number) else {
            return Heard::Nothing;
        };
        let received = match &mut query.way {
            Way::Datagram(socket) => match socket.recv(buffer) {
                Ok(length) => Ok(Some(buffer[..length].to_vec())),
                Err(error) => or_nothing(error),
            },
            Way::Stream(conversation) => conversation.go_on(watch, number, event, buffer),
        };
        let reply = match received {
            Ok(None) => return Heard::Nothing,
            Ok(Some(reply)) if !dns::is_answer(&query.sent, &reply) => return Heard::Nothing,
            Ok(Some(reply)) => Some(reply),
            Err(_) => None,
        };
        let Some(query) = self.all.remove(number) else {
            return Heard::Nothing;
        };
        finish(query, reply)
    }

    /// Takes out the questions whose name servers have been silent for too long.
    pub(super) fn expired(&mut self, now: Instant) -> Vec<Question> {
        let late = self.all.numbers_of(|query| query.deadline <= now);
        let late = late
            .into_iter()
            .filter_map(|number| self.all.remove(number));
        late.map(|query| query.question.failed_once_more())
            .collect()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.all.values().map(|query| query.deadline).min()
    }

    /// Drops what a container waits for.
    pub(super) fn forget(&mut self, server: u32) {
        self.all.retain(|query| query.question.server != server);
    }
}

impl Question {
    fn failed_once_more(mut self) -> Self {
        self.failed += 1;
        self
    }
}

/// A server that has failed, or refuses, is one to be passed over, as Docker does.
fn finish(query: Query, reply: Option<Vec<u8>>) -> Heard {
    let by_datagram = matches!(query.way, Way::Datagram(_));
    let question = query.question;
    let Some(mut reply) = reply.filter(|reply| !dns::is_failure(reply)) else {
        return Heard::Failure(question.failed_once_more());
    };
    if by_datagram && !dns::has_room(&question.message, reply.len()) {
        reply = dns::truncate(&question.message).unwrap_or_default();
    }
    let ids = (reply.first_chunk_mut::<2>(), question.message.first_chunk());
    if let (Some(place), Some(id)) = ids {
        *place = *id;
    }
    Heard::Answer(question, reply)
}

fn or_nothing<T>(error: io::Error) -> io::Result<Option<T>> {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
        _ => Err(error),
    }
}

fn datagram(to: SocketAddr, message: &[u8]) -> io::Result<Way> {
    let any: SocketAddr = if to.is_ipv4() {
        ([0, 0, 0, 0], 0).into()
    } else {
        ([0u16; 8], 0).into()
    };
    let socket = UdpSocket::bind(any)?;
    socket.set_nonblocking(true)?;
    socket.connect(to)?;
    socket.send(message)?;
    Ok(Way::Datagram(socket))
}

fn conversation(to: SocketAddr, message: &[u8]) -> io::Result<Way> {
    let stream = linux::socket::connect_later(to)
        .map_err(|error| io::Error::from_raw_os_error(error.errno().raw_os_error()))?;
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    let mut unsent = length.to_be_bytes().to_vec();
    unsent.extend_from_slice(message);
    Ok(Way::Stream(Conversation {
        stream: TcpStream::from(stream),
        unsent,
        received: Vec::new(),
    }))
}

impl Way {
    fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Datagram(socket) => socket.as_fd(),
            Self::Stream(conversation) => conversation.stream.as_fd(),
        }
    }

    fn interest(&self) -> EventFlags {
        match self {
            Self::Datagram(_) => EventFlags::IN,
            Self::Stream(_) => EventFlags::IN | EventFlags::OUT,
        }
    }
}

impl Conversation {
    /// The answer, once it is whole.
    fn go_on(
        &mut self,
        watch: &Watch,
        number: u32,
        event: Event,
        buffer: &mut [u8],
    ) -> io::Result<Option<Vec<u8>>> {
        if event.is_writable() && !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(error) => return or_nothing(error),
            }
            if self.unsent.is_empty() {
                let token = Token::new(Kind::Query, number);
                watch
                    .modify(&self.stream, token, EventFlags::IN)
                    .map_err(io::Error::other)?;
            }
        }
        if !event.is_readable() {
            return Ok(None);
        }
        match self.stream.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => self.received.extend_from_slice(&buffer[..count]),
            Err(error) => return or_nothing(error),
        }
        let Some((length, rest)) = self.received.split_first_chunk::<2>() else {
            return Ok(None);
        };
        let message = rest.get(..usize::from(u16::from_be_bytes(*length)));
        Ok(message.map(<[u8]>::to_vec))
    }
}
