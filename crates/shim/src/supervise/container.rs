//! The running container, made by our own runtime or by another one.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;

use linux::signal::Signal;
use oci::runtime::Spec;
use runtime::{Launch, OomWatch, Overlay, ProcessIo, Rootfs};
use shim::protocol::{self, ErrorKind, OpError, RootfsSetup, Setup};

use super::external::External;
use super::process::{Ours, Pipes};
use super::requests::{Stdio, chain, failed};

/// A container that has been started.
pub(super) enum Container {
    Own(Box<runtime::Container>),
    External(External),
}

/// Where the container's network comes from.
pub(super) struct Networking {
    /// In place of a new one.
    pub(super) namespace: Option<OwnedFd>,
    /// The program starts when a byte has come.
    pub(super) gate: Option<OwnedFd>,
}

/// A process that runs, and the shim's ends of its input and output.
pub(super) struct Started {
    pub(super) pid: u32,
    pub(super) ours: Ours,
}

impl Networking {
    /// Waits until the network is there.
    pub(super) fn wait(gate: Option<OwnedFd>) -> Result<(), OpError> {
        let Some(gate) = gate else {
            return Ok(());
        };
        File::from(gate)
            .read_exact(&mut [0])
            .map_err(|_| failed("the container's network was not connected".to_owned()))
    }
}

impl Container {
    /// Makes and starts a container. An error leaves nothing behind.
    pub(super) fn launch(
        setup: &Setup,
        spec: &Spec,
        stdio: Stdio,
        networking: Networking,
    ) -> Result<(Self, Started), OpError> {
        if let Some(external) = &setup.external_runtime {
            let (external, started) = External::launch(external, setup, (spec, networking), stdio)?;
            return Ok((Self::External(external), started));
        }
        let overlay = overlay(setup);
        let rootfs = match (&setup.rootfs, &overlay) {
            (_, Some(overlay)) => Rootfs::Overlay(overlay),
            (RootfsSetup::Dir { path } | RootfsSetup::Overlay { upper: path, .. }, None) => {
                Rootfs::Dir(path)
            }
        };
        let (io, ours) = own_io(stdio)?;
        let bundle = linux::process::current_dir().map_err(|error| linux_failed(&error))?;
        let launch = Launch {
            id: &setup.id,
            spec,
            bundle: &bundle,
            rootfs,
            io,
            preserved: Vec::new(),
            no_pivot: false,
            filters: setup.filters.as_deref(),
            network: networking.namespace,
        };
        let mut created = runtime::create(launch).map_err(|error| refused(&error))?;
        if let Err(error) = Networking::wait(networking.gate) {
            created.abort();
            return Err(error);
        }
        let console = created.console();
        let container = created.start().map_err(|error| refused(&error))?;
        let pid = container.pid();
        let ours = match ours_of(ours, console) {
            Ok(ours) => ours,
            Err(error) => {
                let _ = container.delete();
                return Err(error);
            }
        };
        Ok((Self::Own(Box::new(container)), Started { pid, ours }))
    }

    /// Starts a further process.
    pub(super) fn exec(
        &self,
        process: &protocol::Process,
        stdio: Stdio,
    ) -> Result<Started, OpError> {
        match self {
            Self::Own(container) => {
                let (io, ours) = own_io(stdio)?;
                let exec = container
                    .exec(process, io)
                    .map_err(|error| refused(&error))?;
                Ok(Started {
                    pid: exec.pid,
                    ours: ours_of(ours, exec.console)?,
                })
            }
            Self::External(external) => external.exec(process, stdio),
        }
    }

    pub(super) fn kill_all(&self) -> Result<(), String> {
        match self {
            Self::Own(container) => container.kill_all().map_err(|error| chain(&error)),
            Self::External(external) => external.kill_all(),
        }
    }

    /// Signals every process of the container.
    pub(super) fn signal_all(&self, signal: Signal) -> Result<(), String> {
        if signal == Signal::KILL {
            return self.kill_all();
        }
        for pid in self.pids()? {
            // One that has just ended needs no signal.
            let _ = linux::signal::kill(pid.cast_signed(), signal);
        }
        Ok(())
    }

    pub(super) fn pause(&self) -> Result<(), String> {
        match self {
            Self::Own(container) => container.pause().map_err(|error| chain(&error)),
            Self::External(external) => external.pause(),
        }
    }

    pub(super) fn resume(&self) -> Result<(), String> {
        match self {
            Self::Own(container) => container.resume().map_err(|error| chain(&error)),
            Self::External(external) => external.resume(),
        }
    }

    pub(super) fn pids(&self) -> Result<Vec<u32>, String> {
        match self {
            Self::Own(container) => container.pids().map_err(|error| chain(&error)),
            Self::External(external) => external.pids(),
        }
    }

    pub(super) fn oom_killed(&self) -> bool {
        match self {
            Self::Own(container) => container.oom_killed(),
            Self::External(external) => external.oom_killed(),
        }
    }

    /// `None` also with another runtime, which has cgroups of its own: then the end tells.
    pub(super) fn watch_oom(&self) -> Result<Option<OomWatch>, String> {
        match self {
            Self::Own(container) => container.watch_oom().map_err(|error| chain(&error)),
            Self::External(_) => Ok(None),
        }
    }

    /// Removes what the container leaves, but for its mounts, which end with this value.
    pub(super) fn delete(&self) -> Result<(), String> {
        match self {
            Self::Own(container) => container.delete().map_err(|error| chain(&error)),
            Self::External(external) => external.delete(),
        }
    }
}

/// The overlay a setup describes.
pub(super) fn overlay(setup: &Setup) -> Option<Overlay> {
    match &setup.rootfs {
        RootfsSetup::Dir { .. } => None,
        RootfsSetup::Overlay { lower, upper, work } => Some(Overlay {
            lower: lower.clone(),
            upper: upper.clone(),
            work: work.clone(),
            scratch: setup.auto_remove,
        }),
    }
}

fn own_io(stdio: Stdio) -> Result<(ProcessIo, Option<Ours>), OpError> {
    if stdio.tty {
        return Ok((
            ProcessIo::Terminal {
                size: stdio.terminal_size(),
            },
            None,
        ));
    }
    let Pipes {
        stdin,
        stdout,
        stderr,
        ours,
    } = Pipes::new(stdio.stdin).map_err(|error| linux_failed(&error))?;
    Ok((
        ProcessIo::Fds {
            stdin,
            stdout,
            stderr,
        },
        Some(ours),
    ))
}

/// The pipes, or else the terminal.
fn ours_of(pipes: Option<Ours>, console: Option<OwnedFd>) -> Result<Ours, OpError> {
    match (pipes, console) {
        (Some(pipes), _) => Ok(pipes),
        (None, Some(console)) => Ours::terminal(console).map_err(|error| linux_failed(&error)),
        (None, None) => Err(failed("the runtime gave no terminal".to_owned())),
    }
}

fn linux_failed(error: &linux::Error) -> OpError {
    failed(error.to_string())
}

fn refused(error: &runtime::Error) -> OpError {
    let kind = match error.kind() {
        runtime::Kind::NotFound => ErrorKind::ExecutableNotFound,
        runtime::Kind::PermissionDenied => ErrorKind::PermissionDenied,
        runtime::Kind::Invalid => ErrorKind::Invalid,
        runtime::Kind::NoSuchContainer => ErrorKind::NoSuchProcess,
        runtime::Kind::WrongState => ErrorKind::Conflict,
        runtime::Kind::System => ErrorKind::System,
    };
    OpError {
        kind,
        message: chain(error),
    }
}

/// The bundle's place, for runtimes that are told it.
pub(super) fn bundle() -> Result<std::path::PathBuf, OpError> {
    linux::process::current_dir()
        .map_err(|error| linux_failed(&error))
        .map(|path| Path::new(&path).to_owned())
}
