//! What reaches disk between the engine and a shim: the [`Setup`] it is started with, the [`ExitRecord`] it leaves.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::log;
use crate::time::Timestamp;

/// The bundle's `shim.json`, written by the engine beside the OCI spec. The shim reads it once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// [`VERSION`](super::VERSION) of the writer.
    pub version: u32,
    /// The container's id.
    pub id: String,
    pub rootfs: RootfsSetup,
    #[serde(default)]
    pub tty: bool,
    /// Columns and rows of the terminal at the start.
    #[serde(default)]
    pub console_size: Option<(u16, u16)>,
    /// Whether the first process has an input; without one it reads end of file.
    #[serde(default)]
    pub open_stdin: bool,
    /// Whether the input ends with the first attach client that had it.
    #[serde(default)]
    pub stdin_once: bool,
    pub log: log::Config,
    /// Where the [`ExitRecord`] goes; its folder exists.
    pub exit_record: PathBuf,
    /// Where an [`ExecExit`] a line goes when an exec ends; its folder exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec_exits: Option<PathBuf>,
    /// The container is removed when it ends (`--rm`): its exit record has to outlive the daemon, but need not outlive a
    /// loss of power, so nobody waits for the disk.
    #[serde(default)]
    pub auto_remove: bool,
    /// Where compiled filters are kept, for a seccomp profile that most containers have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filters: Option<PathBuf>,
    /// Another OCI runtime in place of the library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_runtime: Option<ExternalRuntime>,
}

/// The container's root filesystem, as data: it is mounted inside the container's own mount namespace only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum RootfsSetup {
    /// A folder that is there.
    Dir { path: PathBuf },
    /// overlayfs: read-only layers, topmost first, and the container's own.
    Overlay {
        lower: Vec<PathBuf>,
        upper: PathBuf,
        work: PathBuf,
    },
}

/// An OCI runtime called by its command line (`runc`, `crun`, `runsc`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalRuntime {
    pub path: PathBuf,
    /// Global options, placed before the command.
    #[serde(default)]
    pub args: Vec<String>,
    /// Where it keeps its state (`--root`).
    pub root: PathBuf,
}

/// How a container ended; on disk before anyone is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// [`VERSION`](super::VERSION) of the writer.
    pub version: u32,
    pub id: String,
    /// The exit code, or 128 and the signal.
    pub code: i32,
    pub at: Timestamp,
    #[serde(default)]
    pub oom_killed: bool,
}

/// How an exec ended; a line of [`Setup::exec_exits`], written before anyone is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecExit {
    /// [`VERSION`](super::VERSION) of the writer.
    pub version: u32,
    pub id: String,
    pub pid: u32,
    /// The exit code, or 128 and the signal.
    pub code: i32,
}
