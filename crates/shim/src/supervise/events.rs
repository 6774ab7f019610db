//! The loop: waits for something to happen and hands it on.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use linux::epoll::{Event, EventFlags};
use shim::protocol::{
    self, Ended, ErrorKind, Hello, Kind, Message, OpError, Phase, VERSION, Welcome,
};

use super::connection::{Connection, OUTBOX_LIMIT, Received, Role};
use super::stall::Stall;
use super::{Error, Supervisor, Token};

/// What one read asks for: a pipe holds as much.
const BUFFER: usize = 64 * 1024;

/// How long the container has to be quiet before memory is given back.
const QUIET: Duration = Duration::from_secs(1);

/// More clients than a daemon makes; who asks for more is refused.
const MAX_CONNECTIONS: usize = 1024;

impl Supervisor {
    /// Runs until the container has ended and everybody has been told.
    pub(super) fn run(&mut self) -> Result<(), Error> {
        let mut events = Vec::new();
        while !self.done {
            let busy = self.compressing;
            let timeout = if busy {
                Some(Duration::ZERO)
            } else {
                self.timeout()
            };
            self.epoll.wait(&mut events, timeout)?;
            for event in &events {
                self.dispatch(*event);
            }
            if events.is_empty() && busy {
                self.compress_some();
            } else if events.is_empty() {
                self.trim();
            }
            self.check_deadlines();
        }
        Ok(())
    }

    fn dispatch(&mut self, event: Event) {
        match Token::unpack(event.token) {
            Token::Listener => self.accept_all(),
            Token::Signals => self.reap(),
            Token::Connection(number) => self.connection_ready(number, event),
            Token::Output(number, stream) => self.output_ready(number, stream),
            Token::Input(number) => self.input_ready(number),
            Token::OutOfMemory => self.out_of_memory(),
        }
    }

    /// Until the next deadline, or until memory may be given back.
    fn timeout(&self) -> Option<Duration> {
        let deadlines = self
            .processes
            .values()
            .filter_map(|process| process.deadline)
            .chain(self.linger)
            .chain(self.stall.as_ref().map(Stall::next_try));
        let next = deadlines
            .min()
            .map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let quiet = (!self.buffer.is_empty()).then_some(QUIET);
        [next, quiet].into_iter().flatten().min()
    }

    fn trim(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        self.buffer = Vec::new();
        if let Some(log) = &mut self.log {
            log.trim();
        }
        self.connections.values_mut().for_each(Connection::trim);
        linux::memory::trim();
        linux::memory::release_code();
    }

    /// The read buffer, taken out for the length of a call; [`Supervisor::put_buffer`] brings it back.
    pub(super) fn take_buffer(&mut self) -> Vec<u8> {
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.is_empty() {
            buffer.resize(BUFFER, 0);
        }
        buffer
    }

    pub(super) fn put_buffer(&mut self, buffer: Vec<u8>) {
        self.buffer = buffer;
    }

    /// Takes every waiting client in, and what each has said so far.
    pub(super) fn accept_all(&mut self) {
        while let Some(Ok((socket, _))) = self
            .listener
            .as_ref()
            .map(std::os::unix::net::UnixListener::accept)
        {
            if self.connections.len() < MAX_CONNECTIONS {
                self.adopt(socket);
            }
        }
        let fresh = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.role == Role::Fresh);
        for number in fresh.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.receive(number);
        }
    }

    pub(super) fn adopt(&mut self, socket: UnixStream) {
        let number = self.number();
        if let Ok(connection) = Connection::new(socket) {
            self.connections.insert(number, connection);
            self.settle(number);
        }
    }

    fn connection_ready(&mut self, number: u32, event: Event) {
        if event.is_writable() {
            self.settle(number);
        }
        let Some(connection) = self.connections.get(&number) else {
            return;
        };
        if !event.is_readable() || connection.closing {
            return;
        }
        if connection.held {
            // Hung up while its input waits. What it has sent is still to be read, so it is left alone until the
            // process takes input again; watching it meanwhile would report the hang-up without end.
            self.unwatch(number);
        } else {
            self.receive(number);
        }
    }

    /// Reads once from a client and handles the frames that are whole now.
    fn receive(&mut self, number: u32) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        if buffer.is_empty() {
            buffer.resize(BUFFER, 0);
        }
        let received = connection.receive(&mut buffer);
        self.buffer = buffer;
        match received {
            Received::Nothing => {}
            Received::Gone => self.drop_connection(number),
            Received::Bytes => self.handle_frames(number),
        }
    }

    /// Handles the frames a client has sent, as long as its input need not wait.
    pub(super) fn handle_frames(&mut self, number: u32) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        // Taken out while its frames, which borrow it, are handled.
        let mut decoder = std::mem::take(&mut connection.decoder);
        let mut broken = None;
        while self
            .connections
            .get(&number)
            .is_some_and(|connection| !connection.held && !connection.closing)
        {
            match decoder
                .next_frame()
                .and_then(|frame| frame.map(|frame| frame.message()).transpose())
            {
                Ok(Some(message)) => self.handle_message(number, message),
                Ok(None) => break,
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
        }
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.decoder = decoder;
        }
        match broken {
            Some(error) => self.refuse(number, ErrorKind::Invalid, error.to_string()),
            None => self.settle(number),
        }
    }

    fn handle_message(&mut self, number: u32, message: Message<'_>) {
        let Some(connection) = self.connections.get(&number) else {
            return;
        };
        match (&connection.role, message) {
            (Role::Fresh, Message::Hello(hello)) => self.handle_hello(number, hello),
            (Role::Control, Message::Request(Ok(request))) => self.handle_request(number, request),
            (Role::Control, Message::Request(Err(reply))) => {
                self.send(number, Kind::Reply, &*reply);
            }
            (Role::Attach(attach), Message::Stdin(bytes)) if attach.stdin => {
                self.handle_input(number, bytes);
            }
            (Role::Attach(attach), Message::StdinClosed) if attach.stdin => {
                self.handle_input_end(number);
            }
            (Role::Control | Role::Attach(_), Message::Unknown(_)) => {}
            (Role::Fresh, _) => {
                self.refuse(
                    number,
                    ErrorKind::Invalid,
                    "a connection begins with a hello".to_owned(),
                );
            }
            (_, other) => {
                let message = format!(
                    "a frame that has no place here: {:?}",
                    std::mem::discriminant(&other)
                );
                self.refuse(number, ErrorKind::Invalid, message);
            }
        }
    }

    fn handle_hello(&mut self, number: u32, hello: Hello) {
        if hello.version == 0 {
            return self.refuse(
                number,
                ErrorKind::Unsupported,
                "protocol version 0 never was".to_owned(),
            );
        }
        let role = match hello.role {
            protocol::Role::Control => Role::Control,
            protocol::Role::Attach(mut attach) => {
                if attach.process.is_empty() {
                    attach.process = protocol::INIT.to_owned();
                }
                if attach.process == protocol::INIT && self.phase == Phase::Exiting {
                    return self.refuse(
                        number,
                        ErrorKind::Conflict,
                        "the container has ended".to_owned(),
                    );
                }
                Role::Attach(attach)
            }
        };
        let held = match &role {
            Role::Attach(attach) => self.find(&attach.process).is_none(),
            _ => false,
        };
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.role = role;
            connection.held = held;
            connection.frame(Kind::Welcome, &Welcome { version: VERSION });
        }
    }

    /// Says why, and closes the connection.
    fn refuse(&mut self, number: u32, kind: ErrorKind, message: String) {
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.frame(Kind::Refused, &OpError { kind, message });
            connection.closing = true;
        }
        self.settle(number);
    }

    /// Sends a frame to one client.
    pub(super) fn send<T: serde::Serialize>(&mut self, number: u32, kind: Kind, payload: &T) {
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.frame(kind, payload);
        }
        self.settle(number);
    }

    /// Tells every control connection.
    pub(super) fn tell(&mut self, event: &protocol::Event) {
        let controls = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.role == Role::Control);
        for number in controls.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.send(number, Kind::Event, event);
        }
    }

    /// Ends the attach connections of a process that has ended.
    pub(super) fn end_attached(&mut self, process: &str, code: i32) {
        let attached = |connection: &Connection| {
            connection
                .attached()
                .is_some_and(|attach| attach.process == process)
        };
        let numbers = self
            .connections
            .iter()
            .filter(|(_, connection)| attached(connection) && !connection.closing);
        for number in numbers.map(|(number, _)| *number).collect::<Vec<_>>() {
            if let Some(connection) = self.connections.get_mut(&number) {
                connection.frame(Kind::Ended, &Ended { code: Some(code) });
                connection.closing = true;
            }
            self.settle(number);
        }
    }

    /// Sends what a client's socket takes and watches it for what it needs next.
    pub(super) fn settle(&mut self, number: u32) {
        let Some(connection) = self.connections.get_mut(&number) else {
            return;
        };
        let failed = connection.flush().is_err();
        if failed || connection.closing && connection.unsent() == 0 {
            return self.drop_connection(number);
        }
        let wanted = connection.wanted();
        if connection.interest != Some(wanted) {
            let token = Token::Connection(number).pack();
            let result = match connection.interest {
                None => self.epoll.add(&connection.socket, token, wanted),
                Some(_) => self.epoll.modify(&connection.socket, token, wanted),
            };
            connection.interest = Some(wanted);
            if result.is_err() {
                return self.drop_connection(number);
            }
        }
        if connection.unsent() < OUTBOX_LIMIT / 2 {
            self.resume_outputs();
        }
    }

    fn unwatch(&mut self, number: u32) {
        if let Some(connection) = self.connections.get_mut(&number)
            && connection.interest.take().is_some()
        {
            // A socket that cannot be taken out of the set is not in it.
            let _ = self.epoll.delete(&connection.socket);
        }
    }

    /// Forgets a client. Its input ends with it, where the container was made so.
    pub(super) fn drop_connection(&mut self, number: u32) {
        self.unwatch(number);
        let Some(connection) = self.connections.remove(&number) else {
            return;
        };
        if let Some(attach) = connection.attached()
            && attach.stdin
        {
            self.input_gone(&attach.process);
        }
        self.resume_outputs();
        let abandoned = self.phase == Phase::Created && !self.has_control();
        if abandoned
            || self.phase == Phase::Exiting && self.linger.is_some() && self.connections.is_empty()
        {
            self.done = true;
        }
    }

    fn has_control(&self) -> bool {
        self.connections
            .values()
            .any(|connection| matches!(connection.role, Role::Control | Role::Fresh))
    }

    /// Watches a descriptor of a process.
    pub(super) fn watch_fd(&self, fd: impl AsFd, token: Token, flags: EventFlags) {
        // The set holds it already, or the kernel is out of memory and the next event will fail louder.
        let _ = self.epoll.add(fd, token.pack(), flags);
    }
}
