use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use linux::tty::Size;
use serde::{Deserialize, Serialize};

use crate::{Container, Result};

/// A container to be made.
#[derive(Debug)]
pub struct Launch<'a> {
    /// In the names of errors and in the state that hooks get.
    pub id: &'a str,
    pub spec: &'a oci::runtime::Spec,
    /// For the state that hooks get.
    pub bundle: &'a Path,
    /// In place of the spec's `root.path`; its `readonly` holds.
    pub rootfs: Rootfs<'a>,
    pub io: ProcessIo,
    /// Descriptors that the program finds at 3, 4 and so on.
    pub preserved: Vec<OwnedFd>,
}

/// Where the root filesystem comes from.
#[derive(Clone, Copy, Debug)]
pub enum Rootfs<'a> {
    /// A folder, as in an OCI bundle.
    Dir(&'a Path),
    /// Layers that are mounted in the container's own mount namespace only.
    Overlay(&'a Overlay),
}

/// An overlay as data: `lower` uppermost first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overlay {
    pub lower: Vec<PathBuf>,
    pub upper: PathBuf,
    pub work: PathBuf,
}

/// Standard streams of a process.
#[derive(Debug)]
pub enum ProcessIo {
    Fds {
        stdin: OwnedFd,
        stdout: OwnedFd,
        stderr: OwnedFd,
    },
    /// A terminal of the container's own devpts; its master is handed out as `console`.
    Terminal { size: Option<Size> },
}

/// A container whose first process waits to become its program.
#[derive(Debug)]
pub struct Created {
    container: Container,
    console: Option<OwnedFd>,
}

/// Makes a container. Whatever fails leaves nothing behind.
pub fn create(launch: Launch<'_>) -> Result<Created> {
    todo!("{launch:?}")
}

impl Created {
    /// The first process, as the caller's pid namespace counts.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.container.pid()
    }

    /// The master of the terminal; `Some` once, with [`ProcessIo::Terminal`].
    pub fn console(&mut self) -> Option<OwnedFd> {
        self.console.take()
    }

    /// Lets the process become its program. Reports it if that fails, and leaves nothing behind then.
    pub fn start(self) -> Result<Container> {
        todo!()
    }

    /// Kills the process and removes what was made.
    pub fn abort(self) {
        todo!()
    }
}
