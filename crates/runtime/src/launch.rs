use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use linux::clone;
use linux::file::{self, OFlags};
use linux::signal::Signal;
use linux::tty::Size;
use oci::runtime::{Linux, Spec, Status};
use serde::{Deserialize, Serialize};

use crate::cgroup::Cgroup;
use crate::channel::{Channel, Message};
use crate::container::{Container, Parts};
use crate::error::Context as _;
use crate::init::{Gate, Init};
use crate::plan::Plan;
use crate::process::Streams;
use crate::{Error, Kind, Result, hooks, namespaces};

/// A container to be made.
#[derive(Debug)]
pub struct Launch<'a> {
    /// In the names of errors and in the state that hooks get.
    pub id: &'a str,
    pub spec: &'a Spec,
    /// For the state that hooks get, and for relative sources of bind mounts.
    pub bundle: &'a Path,
    /// In place of the spec's `root.path`; its `readonly` holds.
    pub rootfs: Rootfs<'a>,
    pub io: ProcessIo,
    /// Descriptors that the program keeps, at the numbers they have.
    pub preserved: Vec<OwnedFd>,
    /// Change root without pivot_root, for a machine whose root is an initramfs.
    pub no_pivot: bool,
    /// A folder, of the caller's alone, in which compiled seccomp filters are kept; for profiles that come again and
    /// again.
    pub filters: Option<&'a Path>,
    /// Taken in place of a new network namespace: made ahead, with its loopback interface up.
    pub network: Option<OwnedFd>,
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
    /// `upper` goes with the container: nothing waits until it is on the disk.
    #[serde(default)]
    pub scratch: bool,
}

impl Overlay {
    /// The detached mount.
    pub fn mount(&self) -> linux::Result<OwnedFd> {
        if self.scratch {
            linux::mount::scratch_overlay(&self.lower, &self.upper, &self.work)
        } else {
            linux::mount::overlay(&self.lower, &self.upper, &self.work)
        }
    }
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

impl From<ProcessIo> for Streams {
    fn from(io: ProcessIo) -> Self {
        match io {
            ProcessIo::Fds {
                stdin,
                stdout,
                stderr,
            } => Self::Fds([stdin, stdout, stderr]),
            ProcessIo::Terminal { size } => Self::Terminal(size),
        }
    }
}

/// A container whose first process waits to become its program.
#[derive(Debug)]
pub struct Created {
    container: Container,
    channel: Channel,
    patience: Option<Duration>,
    console: Option<OwnedFd>,
}

/// How the process and its creator part.
pub(crate) struct Terms {
    pub(crate) gate: Gate,
    pub(crate) follows_creator: bool,
    pub(crate) new_keyring: bool,
}

/// Makes a container, whose processes end with the caller's thread. Whatever fails leaves nothing behind.
pub fn create(launch: Launch<'_>) -> Result<Created> {
    create_on(
        launch,
        Terms {
            gate: Gate::Channel,
            follows_creator: true,
            new_keyring: true,
        },
    )
}

pub(crate) fn create_on(mut launch: Launch<'_>, terms: Terms) -> Result<Created> {
    let io = std::mem::replace(&mut launch.io, ProcessIo::Terminal { size: None });
    let preserved = std::mem::take(&mut launch.preserved);
    let plan = Plan::new(&launch)?;
    let mut cgroup = Cgroup::make_unified(&plan.layout, &plan.cgroup_path)?;
    let (mut channel, other) = Channel::pair()?;
    let init = Init {
        plan: &plan,
        channel: other,
        gate: terms.gate,
        streams: io.into(),
        preserved,
        follows_creator: terms.follows_creator,
        new_keyring: terms.new_keyring,
    };
    let child = match fork(&plan, &cgroup, &mut channel, init) {
        Ok(child) => child,
        Err(error) => {
            let _ = cgroup.remove();
            return Err(error);
        }
    };
    match attend(&plan, &mut cgroup, &channel, &child) {
        Ok(console) => Ok(Created {
            container: container(&plan, child, cgroup),
            channel,
            patience: patience(plan.spec),
            console,
        }),
        Err(error) => {
            undo(&child, &cgroup);
            Err(error)
        }
    }
}

/// The child takes `init` with it: its ends of channel and streams are closed here when this returns, and ours of the
/// channel in the child.
fn fork(
    plan: &Plan<'_>,
    cgroup: &Cgroup,
    channel: &mut Channel,
    init: Init<'_>,
) -> Result<clone::Child> {
    let unified = cgroup.unified_fd().map(|fd| fd.as_fd());
    namespaces::with_pid_namespace(plan.namespaces.joined_pid(), || {
        clone::fork(plan.namespaces.by_clone(), unified, || init.run(channel))
            .context(|| "failed to start a process")
    })
}

/// The parent's side of the set-up; returns when only the execve is left.
fn attend(
    plan: &Plan<'_>,
    cgroup: &mut Cgroup,
    channel: &Channel,
    child: &clone::Child,
) -> Result<Option<OwnedFd>> {
    prepare(plan, cgroup, child.pid)?;
    // A child that has failed meanwhile does not listen, but it has said why.
    let _ = channel.send(&Message::Go);
    let mut console = None;
    loop {
        match channel.receive_from(&child.pidfd, patience(plan.spec))? {
            Some(Message::Console(master)) => console = Some(master),
            Some(Message::RunHooks) => {
                run_hooks(plan, child.pid)?;
                channel.send(&Message::HooksDone)?;
            }
            Some(Message::Ready) => break,
            Some(Message::Failed(error)) => return Err(error),
            _ => return Err(Error::decode(&[])),
        }
    }
    if let Some(resources) = plan.resources() {
        cgroup.set_device_rules(resources)?;
    }
    Ok(console)
}

/// How long the child may be silent: hooks of the user's take what they take.
fn patience(spec: &Spec) -> Option<Duration> {
    spec.hooks.is_none().then_some(Duration::from_secs(60))
}

fn prepare(plan: &Plan<'_>, cgroup: &mut Cgroup, pid: u32) -> Result<()> {
    if plan.namespaces.new.contains(linux::ns::Kinds::USER) {
        namespaces::write_id_maps(pid, plan.linux)?;
    }
    cgroup.make_rest(&plan.layout, &plan.cgroup_path)?;
    if plan.has_user_namespace() {
        cgroup.add(pid)?;
    }
    plan.resources()
        .map_or(Ok(()), |resources| cgroup.set_limits(resources))
}

fn run_hooks(plan: &Plan<'_>, pid: u32) -> Result<()> {
    let Some(hooks) = &plan.spec.hooks else {
        return Ok(());
    };
    let state =
        crate::container::state(plan.id, plan.bundle, plan.spec, Status::Creating, Some(pid));
    hooks::run("prestart", &hooks.prestart, &state)?;
    hooks::run("createRuntime", &hooks.create_runtime, &state)
}

fn container(plan: &Plan<'_>, child: clone::Child, cgroup: Cgroup) -> Container {
    // Held so that the mounts are not taken down while somebody waits for the exit.
    let mounts = file::open(
        Path::new(&format!("/proc/{}/ns/mnt", child.pid)),
        OFlags::RDONLY,
    )
    .ok();
    Container::new(Parts {
        id: plan.id.to_owned(),
        bundle: plan.bundle.to_owned(),
        pid: child.pid,
        pidfd: child.pidfd,
        cgroup,
        mounts,
        filter: plan.process.filter.clone(),
        hooks: plan.spec.hooks.clone(),
        annotations: plan.spec.annotations.clone(),
        personality: Linux {
            personality: plan.linux.personality.clone(),
            ..Linux::default()
        },
    })
}

/// Nothing stays of a container that could not be made. What goes wrong meanwhile is less than what went wrong.
fn undo(child: &clone::Child, cgroup: &Cgroup) {
    let _ = child.pidfd.signal(Signal::KILL);
    let _ = cgroup.kill();
    let _ = child.pidfd.wait();
    let _ = cgroup.remove();
}

impl Created {
    /// The first process, as the caller's pid namespace counts.
    #[must_use]
    pub const fn pid(&self) -> u32 {
        self.container.pid()
    }

    /// The master of the terminal; `Some` once, with [`ProcessIo::Terminal`].
    pub fn console(&mut self) -> Option<OwnedFd> {
        self.console.take()
    }

    /// Lets the process become its program, then runs the poststart hooks. Reports what fails before the execve, and
    /// leaves nothing behind then.
    pub fn start(self) -> Result<Container> {
        match self.execute().and_then(|()| self.container.run_poststart()) {
            Ok(()) => Ok(self.container),
            Err(error) => {
                self.abort();
                Err(error)
            }
        }
    }

    /// The other end closes with the execve.
    fn execute(&self) -> Result<()> {
        self.channel.send(&Message::Start)?;
        let child = self.container.pidfd();
        match self.channel.receive_from(child, self.patience)? {
            None => Ok(()),
            Some(Message::Failed(error)) => Err(error),
            Some(_) => Err(Error::new(
                Kind::System,
                "the container's process talks nonsense",
            )),
        }
    }

    /// For a creator that does not stay: the process waits for somebody else.
    pub(crate) fn leave(self) -> Container {
        self.container
    }

    /// Kills the process and removes what was made.
    pub fn abort(self) {
        self.container.destroy();
    }
}
