//! The process beside a container: parent of its processes, keeper of their input and output, writer of its log, and
//! the one that leaves the exit record. It needs no daemon once the container runs.
//!
//! ```text
//!            listener ──► Connection (control | attach) ◄──── frames ────► daemon
//!                              ▲ output        │ input
//!                              │               ▼
//! epoll ── loop ──────────► Process (init, execs): pipes or a terminal
//!                              │
//!                              └──► log, exit record
//! ```
//!
//! One thread and one epoll set; nothing here blocks but the launch, the exit record and the log's own writes.

mod assignment;
mod connection;
mod container;
mod ending;
mod events;
mod external;
mod oom;
mod process;
mod requests;
mod stall;
mod streams;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::ExitCode;
use std::time::Instant;

use linux::epoll::{Epoll, EventFlags};
use linux::signal::Signal;
use linux::signalfd::SignalFd;
use shim::log;
use shim::protocol::{self, Phase, Setup};
use shim::time::Timestamp;

use assignment::Assignment;
use connection::Connection;
use container::Container;
use process::Process;
use stall::Stall;

/// What went wrong while the shim itself was set up.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("usage: the engine starts tare-shim, and tells it on descriptor 3 for which container")]
    Usage,
    #[error("read {file}")]
    Read {
        file: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("understand {file}")]
    Parse {
        file: &'static str,
        #[source]
        source: serde_json::Error,
    },
    #[error(transparent)]
    Linux(#[from] linux::Error),
    #[error("set up the sockets")]
    Socket(#[source] std::io::Error),
}

/// Runs the shim until its container has ended.
pub(crate) fn main(args: &[OsString]) -> ExitCode {
    // Started from a descriptor, it would be called by that number before Linux 6.14.
    let _ = linux::process::set_name(c"tare-shim");
    let Err(error) = run(args) else {
        return ExitCode::SUCCESS;
    };
    let mut text = format!("tare-shim: {error}");
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    eprintln!("{text}");
    ExitCode::FAILURE
}

fn run(args: &[OsString]) -> Result<(), Error> {
    match Assignment::wait(args)? {
        Some(assignment) => Supervisor::new(assignment)?.run(),
        None => Ok(()),
    }
}

/// Everything the shim knows.
struct Supervisor {
    setup: Setup,
    phase: Phase,
    epoll: Epoll,
    signals: SignalFd,
    listener: Option<UnixListener>,
    connections: BTreeMap<u32, Connection>,
    /// The first process is number 0; execs follow.
    processes: BTreeMap<u32, Process>,
    next_number: u32,
    /// For the container, if it is to have one of its own.
    network: Option<OwnedFd>,
    /// Tells when that is connected.
    gate: Option<OwnedFd>,
    container: Option<Container>,
    /// The container once it has been deleted, for its mounts to end with this process and not before.
    #[expect(dead_code, reason = "it is held, not used")]
    remains: Option<Container>,
    log: Option<log::Writer>,
    /// The log could not be written, and that has been told.
    log_failed: bool,
    /// The disk takes no more of the log: what is done about it.
    stall: Option<Stall>,
    /// Whether rotated logs may wait for compression.
    compressing: bool,
    started_at: Option<Timestamp>,
    oom_killed: bool,
    /// Tells when a container with a limit runs out of memory.
    oom: Option<runtime::OomWatch>,
    /// What is read goes through here; given back when the container has been quiet for a while.
    buffer: Vec<u8>,
    /// After the end: how long slow readers may take with the rest of the output.
    linger: Option<Instant>,
    /// The loop ends.
    done: bool,
}

/// What an epoll token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Listener,
    Signals,
    Connection(u32),
    Output(u32, usize),
    Input(u32),
    OutOfMemory,
}

impl Token {
    fn pack(self) -> u64 {
        let (kind, number) = match self {
            Self::Listener => (0, 0),
            Self::Signals => (1, 0),
            Self::Connection(number) => (2, number),
            Self::Output(number, stream) => (3 + stream as u64, number),
            Self::Input(number) => (5, number),
            Self::OutOfMemory => (6, 0),
        };
        kind << 32 | u64::from(number)
    }

    fn unpack(token: u64) -> Self {
        let number = token as u32;
        match token >> 32 {
            0 => Self::Listener,
            1 => Self::Signals,
            2 => Self::Connection(number),
            5 => Self::Input(number),
            6 => Self::OutOfMemory,
            stream => Self::Output(number, usize::from(stream != 3)),
        }
    }
}

impl Supervisor {
    fn new(assignment: Assignment) -> Result<Self, Error> {
        let Assignment {
            control,
            listener,
            network,
            gate,
        } = assignment;
        listener.set_nonblocking(true).map_err(Error::Socket)?;
        let supervisor = Self {
            setup: read_json(protocol::SETUP_FILE)?,
            phase: Phase::Created,
            epoll: Epoll::new()?,
            signals: SignalFd::new(&[Signal::CHLD])?,
            listener: Some(listener),
            connections: BTreeMap::new(),
            processes: BTreeMap::new(),
            next_number: 0,
            network,
            gate,
            container: None,
            remains: None,
            log: None,
            log_failed: false,
            stall: None,
            compressing: false,
            started_at: None,
            oom_killed: false,
            oom: None,
            buffer: Vec::new(),
            linger: None,
            done: false,
        };
        supervisor.watch(control)
    }

    fn watch(mut self, control: UnixStream) -> Result<Self, Error> {
        if let Some(listener) = &self.listener {
            self.epoll
                .add(listener, Token::Listener.pack(), EventFlags::IN)?;
        }
        self.epoll
            .add(&self.signals, Token::Signals.pack(), EventFlags::IN)?;
        self.adopt(control);
        Ok(self)
    }

    /// A number no connection or process of this shim has had.
    fn number(&mut self) -> u32 {
        self.next_number += 1;
        self.next_number
    }
}

fn read_json<T: serde::de::DeserializeOwned>(file: &'static str) -> Result<T, Error> {
    let bytes = fs::read(file).map_err(|source| Error::Read { file, source })?;
    serde_json::from_slice(&bytes).map_err(|source| Error::Parse { file, source })
}
