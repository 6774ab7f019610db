//! The protocol between the daemon and a shim.
//!
//! Every connection is a unix stream socket that carries frames: `u32` little-endian length of what follows, one
//! byte of kind, payload. The length counts the kind and is at most [`MAX_FRAME`]. The client speaks first, with a
//! [`Hello`] that names its version and what the connection is for:
//!
//! - **control**: [`Request`]s are answered by [`Reply`]s with the same `seq`, and [`Event`]s come unasked to every
//!   control connection. The shim answers the hello with [`Welcome`]; requests may follow the hello at once.
//! - **attach**: raw output frames come from the shim and raw input frames go to it, for one process. The shim
//!   answers with [`Welcome`], closes with [`Ended`] when the process has ended and its output is drained. An attach to a
//!   process that does not exist yet is held until it is started, so a client that connects before it asks for the start misses
//!   no byte: the shim takes every waiting connection in before it starts or execs anything.
//!
//! A connection the shim cannot accept gets [`Refused`] and is closed.
//!
//! **Versions.** A shim outlives the daemon that started it, so a later daemon meets shims of earlier versions. Both
//! sides ignore fields they do not know, skip frames of a kind they do not know, and answer an unknown operation
//! with [`ErrorKind::Unsupported`]; what a version adds is optional for ever. [`Welcome`] tells the shim's version.

mod frame;
mod setup;

use serde::{Deserialize, Serialize};

pub use frame::{Decoder, Frame, FrameError, Kind, MAX_FRAME, Message, encode, encode_raw};
pub use setup::{ExecExit, ExitRecord, ExternalRuntime, RootfsSetup, Setup};

use crate::time::Timestamp;

/// The version this library speaks.
pub const VERSION: u32 = 1;

/// The descriptor on which the shim inherits the first control connection. The first thing on it, before any frame, is
/// the [`assignment`].
pub const CONTROL_FD: i32 = 3;

/// The length of an assignment.
pub const ASSIGNMENT: usize = 64;

/// Names of what the engine writes into the bundle folder: the OCI runtime spec, the [`Setup`], the listening socket.
pub const SPEC_FILE: &str = "config.json";
pub const SETUP_FILE: &str = "shim.json";
pub const SOCKET_FILE: &str = "shim.sock";

/// How the process id `init` or an exec is named in frames: this one is the container's first process.
pub const INIT: &str = "init";

/// The process of an exec, as the OCI runtime spec describes processes.
pub use oci::runtime::Process;

/// The argument vector a shim is spawned with. What container it is for it learns later, so that it can be spawned before
/// there is one; it puts the id in the place of the dashes then.
pub fn arguments() -> Vec<String> {
    vec![
        "tare-shim".to_owned(),
        "--id".to_owned(),
        "-".repeat(ASSIGNMENT),
    ]
}

/// What makes a shim the shim of a container: its id, filled up with spaces, which travels with three descriptors: the
/// bundle folder, the listening socket, and a file for the shim's stderr. A fourth is the network namespace for the
/// container. With a fifth, a pipe, the container's program starts when a byte has come through that: until then the namespace is
/// being connected. Its end without one means that there is no start.
#[must_use]
pub fn assignment(id: &str) -> [u8; ASSIGNMENT] {
    let mut bytes = [b' '; ASSIGNMENT];
    for (place, byte) in bytes.iter_mut().zip(id.bytes()) {
        *place = byte;
    }
    bytes
}

/// The first frame of a connection, sent by the client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    pub version: u32,
    pub role: Role,
}

impl Hello {
    /// The hello of this version.
    pub fn new(role: Role) -> Self {
        Self {
            version: VERSION,
            role,
        }
    }
}

/// What a connection is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    Control,
    Attach(Attach),
}

/// Which streams of which process an attach connection carries. With a terminal all output is [`Kind::Stdout`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Attach {
    /// [`INIT`] (or nothing) for the first process, else the id of an exec.
    pub process: String,
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
}

/// The shim's answer to a hello it accepts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    pub version: u32,
}

/// The shim's answer to a hello it does not accept; it closes the connection after it.
pub type Refused = OpError;

/// The last frame of an attach connection: the process has ended, and its output is drained. [`Event::Exited`] has been
/// sent on the control connections before. `code` is absent when the process never ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i32>,
}

/// An operation and the number its reply will carry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    pub seq: u64,
    pub op: Op,
}

/// What a control connection can ask for. `process` is [`INIT`] or the id of an exec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Op {
    /// Launches the container's first process; answered by [`Value::Started`] after its `execve` succeeded. After
    /// an error nothing is left and the shim ends.
    Start,
    /// Starts a further process. `id` must be new; its attach connections are made before.
    Exec {
        id: String,
        process: Box<Process>,
        #[serde(default)]
        tty: bool,
        /// Whether its input stays open for attach connections; else it reads end of file.
        #[serde(default)]
        stdin: bool,
        /// Columns and rows of the terminal.
        #[serde(default)]
        size: Option<(u16, u16)>,
    },
    /// Sends a signal by number to the process, or with `all` to every process of the container.
    Signal {
        process: String,
        signal: i32,
        #[serde(default)]
        all: bool,
    },
    /// Sets the terminal's size.
    Resize {
        process: String,
        columns: u16,
        rows: u16,
    },
    Pause,
    Resume,
    /// The container's processes as the host numbers them: [`Value::Pids`].
    Pids,
    /// What the shim knows: [`Value::State`].
    State,
    /// Closes the process's input once what was written to it before has gone.
    CloseStdin {
        process: String,
    },
    /// Ends a shim whose container was never started. A running container is left alone (`Conflict`).
    Shutdown,
    /// What a later version asks for.
    #[serde(other)]
    Unknown,
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    pub seq: u64,
    pub result: Result<Value, OpError>,
}

/// What an operation answers when it succeeds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Value {
    Done,
    /// A process runs: its pid on the host, and when its `execve` had succeeded.
    Started {
        pid: u32,
        at: Timestamp,
    },
    Pids {
        pids: Vec<u32>,
    },
    State(Box<State>),
    #[serde(other)]
    Unknown,
}

/// Why an operation failed. `message` is for users, in runc's words where those are well known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct OpError {
    pub kind: ErrorKind,
    pub message: String,
}

/// What the caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The executable does not exist: exit code 127.
    ExecutableNotFound,
    /// The executable may not be executed: exit code 126.
    PermissionDenied,
    /// There is no such process.
    NoSuchProcess,
    /// Not now: not started, started already, ended already, paused already.
    Conflict,
    /// The request makes no sense.
    Invalid,
    /// This shim does not know the operation or the version.
    Unsupported,
    /// The kernel or the disk said no, or a kind of a later version.
    #[serde(other)]
    System,
}

/// What happened, told to every control connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    Started {
        process: String,
        pid: u32,
        at: Timestamp,
    },
    /// The process has ended and its output is drained. For [`INIT`] the exit record is on disk, the cgroup is gone
    /// (with [`Setup::auto_remove`] it goes now), and the shim ends after this event.
    Exited {
        process: String,
        /// The exit code, or 128 and the signal.
        code: i32,
        at: Timestamp,
        oom_killed: bool,
    },
    Paused,
    Resumed,
    /// The kernel killed a process of the container for memory.
    OutOfMemory,
    /// Something a person should know, such as a log that cannot be written.
    Warning {
        message: String,
    },
    #[serde(other)]
    Unknown,
}

/// What a shim knows about its container.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub version: u32,
    pub id: String,
    pub phase: Phase,
    /// The first process's pid on the host; 0 before the start.
    #[serde(default)]
    pub pid: u32,
    #[serde(default)]
    pub started_at: Option<Timestamp>,
    #[serde(default)]
    pub oom_killed: bool,
    /// The ids and pids of the execs that run.
    #[serde(default)]
    pub execs: Vec<(String, u32)>,
}

/// Where a container stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Not started yet.
    Created,
    Running,
    Paused,
    /// The first process has ended; its output is being drained.
    Exiting,
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests;
