use std::os::fd::OwnedFd;
use std::path::PathBuf;

use linux::pidfd::PidFd;
use linux::signal::Signal;
use oci::runtime::Process;

use crate::{ProcessIo, Result};

/// A container that has been started.
#[derive(Debug)]
pub struct Container {
    pid: u32,
    pidfd: PidFd,
}

/// A further process in a container: a child of the caller's, to be waited for through `pidfd`.
#[derive(Debug)]
pub struct Exec {
    pub pid: u32,
    pub pidfd: PidFd,
    /// The master of its terminal, if it has one.
    pub console: Option<OwnedFd>,
}

impl Container {
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.pid
    }

    /// The first process: readable once it has ended. The caller reaps it with [`PidFd::wait`].
    #[must_use]
    pub const fn pidfd(&self) -> &PidFd {
        &self.pidfd
    }

    /// Signals the first process.
    pub fn signal(&self, _signal: Signal) -> Result<()> {
        todo!()
    }

    /// Kills every process of the container's cgroup.
    pub fn kill_all(&self) -> Result<()> {
        todo!()
    }

    /// Freezes every process; returns once they are frozen.
    pub fn pause(&self) -> Result<()> {
        todo!()
    }

    pub fn resume(&self) -> Result<()> {
        todo!()
    }

    /// Every process of the container, as the caller's pid namespace counts.
    pub fn pids(&self) -> Result<Vec<u32>> {
        todo!()
    }

    /// Runs a further process in the container's namespaces and cgroup.
    pub fn exec(&self, _process: &Process, _io: ProcessIo) -> Result<Exec> {
        todo!()
    }

    /// Whether the kernel has killed a process of the container for want of memory.
    #[must_use]
    pub fn oom_killed(&self) -> bool {
        todo!()
    }

    /// The container's folders in the cgroup hierarchies, one a hierarchy.
    #[must_use]
    pub fn cgroup_paths(&self) -> Vec<PathBuf> {
        todo!()
    }

    /// Kills what is left, runs the poststop hooks, removes the cgroups.
    pub fn delete(self) -> Result<()> {
        todo!()
    }
}
