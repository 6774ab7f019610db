//! The keeper: what containers need of the network, held by a process that outlives the daemon. See [`shim::keeping`].
//!
//! Single thread, one epoll. It ends when the daemon says so, or when no daemon is connected and nothing is kept.

mod control;
mod forward;
mod held;
mod names;
mod numbered;
mod proxy;
mod stream;
mod watch;

use std::ffi::OsString;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use linux::epoll::{Event, EventFlags};
use linux::signal::Signal;
use shim::keeping::{self, FrameError};

use control::Daemons;
use held::Held;
use names::Names;
use watch::{Kind, Token, Watch};

/// The largest datagram, and what a pipe or a socket gives at once.
const BUFFER: usize = 64 << 10;

/// How long nothing has to happen before memory is given back.
const QUIET: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("usage: the engine starts tare-keeper")]
    Usage,
    #[error(transparent)]
    Linux(#[from] linux::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("{0}")]
    Socket(&'static str, #[source] std::io::Error),
    #[error("{0}")]
    Refused(String),
}

/// Runs the keeper. The arguments are for people who look at the processes.
pub(crate) fn main(_args: &[OsString]) -> ExitCode {
    // Started from a descriptor, it would be called by that number before Linux 6.14.
    let _ = linux::process::set_name(c"tare-keeper");
    let Err(error) = Keeper::new().and_then(Keeper::run) else {
        return ExitCode::SUCCESS;
    };
    eprintln!("tare-keeper: {}", chain(&error));
    ExitCode::FAILURE
}

fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// Everything the keeper knows.
struct Keeper {
    watch: Watch,
    listener: UnixListener,
    daemons: Daemons,
    names: Names,
    held: Held,
    /// What is read goes through here; given back when nothing has come for a while.
    buffer: Vec<u8>,
    /// Memory has been given back.
    is_trimmed: bool,
    done: bool,
}

impl Keeper {
    fn new() -> Result<Self, Error> {
        linux::memory::keep_small();
        let listener = linux::fd::inherited(keeping::LISTENER_FD).map_err(|_| Error::Usage)?;
        let control = linux::fd::inherited(keeping::CONTROL_FD).map_err(|_| Error::Usage)?;
        // The daemon decides over its end; a signal meant for the daemon's process group must not.
        for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::PIPE] {
            linux::signal::set_ignored(signal, true)?;
        }
        raise_descriptors();
        let listener = UnixListener::from(listener);
        let nonblocking = |error| Error::Socket("set up the socket", error);
        listener.set_nonblocking(true).map_err(nonblocking)?;
        let mut watch = Watch::new()?;
        watch.add(&listener, Token::new(Kind::Listener, 0), EventFlags::IN)?;
        let mut daemons = Daemons::default();
        daemons.adopt(&mut watch, UnixStream::from(control))?;
        Ok(Self {
            watch,
            listener,
            daemons,
            names: Names::new()?,
            held: Held::default(),
            buffer: Vec::new(),
            is_trimmed: false,
            done: false,
        })
    }

    fn run(mut self) -> Result<(), Error> {
        let mut events = Vec::new();
        while !self.done {
            self.watch.epoll.wait(&mut events, self.timeout())?;
            for &event in &events {
                self.dispatch(event);
            }
            let now = Instant::now();
            self.names.go_on(&mut self.watch, now);
            self.held.proxies.go_on(&self.watch, now);
            if events.is_empty() {
                self.trim();
            } else {
                self.is_trimmed = false;
            }
            self.done |= self.daemons.is_empty() && self.keeps_nothing();
        }
        Ok(())
    }

    fn dispatch(&mut self, event: Event) {
        let token = Token::from(event.token);
        let (watch, number) = (&mut self.watch, token.number);
        if self.buffer.is_empty() {
            self.buffer.resize(BUFFER, 0);
        }
        let (names, proxies, buffer) = (&mut self.names, &mut self.held.proxies, &mut self.buffer);
        match token.kind {
            Kind::Listener => self.accept(),
            Kind::Daemon => self.hear(number),
            Kind::Datagrams => names.datagrams_ready(watch, number, buffer),
            Kind::Streams => names.streams_ready(watch, number),
            Kind::Stream => names.stream_ready(watch, number, event, buffer),
            Kind::Query => names.query_ready(watch, number, event, buffer),
            Kind::Door => proxies.door_ready(watch, number, buffer),
            Kind::Client => proxies.client_ready(watch, number, event, buffer),
            Kind::Target => proxies.target_ready(watch, number, event, buffer),
            Kind::Flow => proxies.flow_ready(number, buffer),
        }
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            // Without a place for it the daemon hears that the connection has ended.
            let _adopted = self.daemons.adopt(&mut self.watch, stream);
        }
    }

    fn keeps_nothing(&self) -> bool {
        self.names.is_empty() && self.held.is_empty()
    }

    /// Until the next deadline, or until memory may be given back.
    fn timeout(&self) -> Option<Duration> {
        let now = Instant::now();
        let deadlines = [self.names.deadline(), self.held.proxies.deadline()];
        let deadline = deadlines.into_iter().flatten().min();
        let deadline = deadline.map(|at| at.saturating_duration_since(now));
        let quiet = (!self.is_trimmed).then_some(QUIET);
        [deadline, quiet].into_iter().flatten().min()
    }

    fn trim(&mut self) {
        if !self.is_trimmed {
            self.is_trimmed = true;
            self.buffer = Vec::new();
            linux::memory::trim();
            linux::memory::release_code();
        }
    }
}

/// Each container takes two descriptors, each port one: as many as the kernel allows.
fn raise_descriptors() {
    if let Some(limit) = linux::rlimit::resource("NOFILE") {
        let (_, hard) = limit.get();
        let _raised = limit.set(hard, hard);
    }
}
