//! The two ends of an attached client: [`Input`] towards a process, [`Output`] from it.
//!
//! Both speak straight to the shim over one unix connection; no task stands between. An attach to a container that
//! does not run yet waits for its start and misses no byte: the connection is made before the shim is told to start.

use bytes::Bytes;

use crate::detach::DetachKeys;
use crate::error::Result;

/// Which standard output a piece came from. With a terminal everything is `Stdout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    Stdout,
    Stderr,
}

/// What a client that attaches wants.
#[derive(Debug, Clone, Default)]
pub struct AttachOptions {
    pub stdin: bool,
    pub stdout: bool,
    pub stderr: bool,
    /// Follow what happens from now on; without it only `logs` are given.
    pub stream: bool,
    /// Give what was logged before first.
    pub logs: bool,
    /// `None`: Docker's `ctrl-p,ctrl-q`. Only watched for with a terminal.
    pub detach_keys: Option<DetachKeys>,
}

/// An attached client.
#[derive(Debug)]
pub struct Attached {
    /// Whether the process has a terminal, so that its output is raw and not multiplexed.
    pub tty: bool,
    pub input: Input,
    pub output: Output,
}

/// What became of a piece of input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Go on.
    Continue,
    /// The client pressed the detach keys: let it go, the container runs on.
    Detached,
    /// The process takes no more input.
    Closed,
}

/// Bytes to the process's stdin.
#[derive(Debug)]
pub struct Input {}

impl Input {
    /// Writes a piece; returns when the shim has taken it.
    pub async fn write(&mut self, _bytes: &[u8]) -> Result<Flow> {
        todo!()
    }

    /// The client has no more input (a half close).
    pub async fn close(&mut self) -> Result<()> {
        todo!()
    }
}

/// Bytes from the process's outputs.
#[derive(Debug)]
pub struct Output {}

impl Output {
    /// The next piece; `None` when the process's output has ended (or the container was removed unstarted).
    pub async fn next(&mut self) -> Option<(Stream, Bytes)> {
        todo!()
    }
}
