use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use linux::Errno;
use linux::pidfd::PidFd;
use linux::signal::Signal;
use oci::runtime::{Hooks, Linux, Process, Spec, State, Status};

use crate::cgroup::Cgroup;
use crate::error::Context as _;
use crate::seccomp::Filter;
use crate::{Error, Kind, ProcessIo, Result, exec, hooks};

/// A container that has been started.
#[derive(Debug)]
pub struct Container {
    parts: Parts,
}

/// What is kept of a container; little, because a shim keeps it for as long as it lives.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) id: String,
    pub(crate) bundle: PathBuf,
    pub(crate) pid: u32,
    pub(crate) pidfd: PidFd,
    pub(crate) cgroup: Cgroup,
    /// Its mount namespace: the last reference to it is the caller's, so it is not taken down before the exit has
    /// been told.
    #[expect(dead_code, reason = "it is held, not used")]
    pub(crate) mounts: Option<OwnedFd>,
    pub(crate) filter: Option<Rc<Filter>>,
    pub(crate) hooks: Option<Hooks>,
    pub(crate) annotations: BTreeMap<String, String>,
    /// The part of the configuration that later processes share.
    pub(crate) personality: Linux,
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
    pub(crate) const fn new(parts: Parts) -> Self {
        Self { parts }
    }

    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.parts.pid
    }

    /// The first process: readable once it has ended. The caller reaps it with [`PidFd::wait`].
    #[must_use]
    pub const fn pidfd(&self) -> &PidFd {
        &self.parts.pidfd
    }

    /// Signals the first process. `NoSuchContainer` once it has been reaped.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        match self.parts.pidfd.signal(signal) {
            Err(error) if error.errno() == Errno::SRCH => {
                Err(Error::new(Kind::NoSuchContainer, "container not running"))
            }
            result => result.context(|| format!("failed to send {}", signal.name())),
        }
    }

    /// Kills every process of the container's cgroup.
    pub fn kill_all(&self) -> Result<()> {
        self.parts.cgroup.kill()
    }

    /// Signals every process of the container's cgroup once.
    pub fn signal_all(&self, signal: Signal) -> Result<()> {
        if signal == Signal::KILL {
            self.kill_all()
        } else {
            self.parts.cgroup.signal_each(signal)
        }
    }

    /// Freezes every process; returns once they are frozen.
    pub fn pause(&self) -> Result<()> {
        self.parts.cgroup.set_frozen(true)
    }

    pub fn resume(&self) -> Result<()> {
        self.parts.cgroup.set_frozen(false)
    }

    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.parts.cgroup.is_frozen()
    }

    /// Every process of the container, as the caller's pid namespace counts.
    pub fn pids(&self) -> Result<Vec<u32>> {
        self.parts.cgroup.pids()
    }

    /// Runs a further process in the container's namespaces and cgroup; returns once it is its program. It has the
    /// container's seccomp filter.
    pub fn exec(&self, process: &Process, io: ProcessIo) -> Result<Exec> {
        exec::exec(
            &self.parts,
            process,
            io,
            exec::Terms {
                preserved: Vec::new(),
                new_keyring: true,
            },
        )
    }

    pub(crate) fn exec_on(
        &self,
        process: &Process,
        io: ProcessIo,
        terms: exec::Terms,
    ) -> Result<Exec> {
        exec::exec(&self.parts, process, io, terms)
    }

    /// Whether the kernel has killed a process of the container for want of memory.
    #[must_use]
    pub fn oom_killed(&self) -> bool {
        self.parts.cgroup.oom_kills() > 0
    }

    /// Becomes readable each time the container runs out of memory; `None` where no cgroup tells.
    pub fn watch_oom(&self) -> Result<Option<crate::OomWatch>> {
        self.parts.cgroup.watch_oom()
    }

    /// The container's folders in the cgroup hierarchies, one a hierarchy.
    #[must_use]
    pub fn cgroup_paths(&self) -> Vec<PathBuf> {
        self.parts.cgroup.paths()
    }

    /// Kills what is left, removes the cgroups, runs the poststop hooks. The first process is reaped if it is the
    /// caller's child and nobody has. All is tried; the first error is told.
    ///
    /// The container's mounts end with this value: whoever wants to tell the end before the kernel takes them down,
    /// for which it waits for every CPU, drops it later.
    pub fn delete(&self) -> Result<()> {
        let removed = self.tear_down();
        let stopped = match &self.parts.hooks {
            Some(hooks) => hooks::run("poststop", &hooks.poststop, &self.state(Status::Stopped)),
            None => Ok(()),
        };
        removed.and(stopped)
    }

    /// As [`Container::delete`] for a container that never was one: without hooks, and without a word.
    pub(crate) fn destroy(&self) {
        let _ = self.tear_down();
    }

    fn tear_down(&self) -> Result<()> {
        let Parts { cgroup, pidfd, .. } = &self.parts;
        let is_alive = pidfd.exists().unwrap_or(true);
        let killed = if is_alive || !cgroup.pids()?.is_empty() {
            // The first process may be outside of every cgroup when not one hierarchy is mounted.
            let _ = pidfd.signal(Signal::KILL);
            cgroup.kill()
        } else {
            Ok(())
        };
        let reaped = match pidfd.wait() {
            Err(error) if error.errno() == Errno::CHILD => Ok(()),
            result => result
                .map(drop)
                .context(|| "failed to wait for the container's process"),
        };
        killed.and(reaped).and(cgroup.remove())
    }

    pub(crate) fn run_poststart(&self) -> Result<()> {
        match &self.parts.hooks {
            Some(hooks) => hooks::run("poststart", &hooks.poststart, &self.state(Status::Running)),
            None => Ok(()),
        }
    }

    fn state(&self, status: Status) -> State {
        State {
            oci_version: oci::runtime::VERSION.to_owned(),
            id: self.parts.id.clone(),
            status,
            pid: (status != Status::Stopped).then_some(self.parts.pid),
            bundle: self.parts.bundle.clone(),
            annotations: self.parts.annotations.clone(),
        }
    }
}

/// What hooks and `state` are told.
pub(crate) fn state(
    id: &str,
    bundle: &Path,
    spec: &Spec,
    status: Status,
    pid: Option<u32>,
) -> State {
    State {
        oci_version: oci::runtime::VERSION.to_owned(),
        id: id.to_owned(),
        status,
        pid,
        bundle: bundle.to_owned(),
        annotations: spec.annotations.clone(),
    }
}
