//! A further process in a running container: one clone, then the child goes where the first process is.

use std::convert::Infallible;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use linux::clone;
use linux::file::{self, OFlags};
use linux::ns::{self, Kinds};
use linux::pidfd::PidFd;
use linux::process as kernel;
use linux::signal::Signal;
use oci::runtime::Process;

use crate::channel::{Channel, Message};
use crate::container::{Exec, Parts};
use crate::error::Context as _;
use crate::process::{self, ProcessPlan, Streams};
use crate::program::Found;
use crate::{Error, Kind, ProcessIo, Result, cgroup, init};

/// How long each step of a process may take that no hook of the user's is part of. The caller does nothing else meanwhile.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the caller decides besides the process itself.
pub(crate) struct Terms {
    pub(crate) preserved: Vec<OwnedFd>,
    pub(crate) new_keyring: bool,
}

struct Child<'a> {
    parts: &'a Parts,
    plan: &'a ProcessPlan,
    kinds: Kinds,
    channel: Channel,
    streams: Streams,
    terms: Terms,
}

pub(crate) fn exec(parts: &Parts, process: &Process, io: ProcessIo, terms: Terms) -> Result<Exec> {
    if parts.cgroup.is_frozen() {
        return Err(Error::new(
            Kind::WrongState,
            "cannot exec in a paused container",
        ));
    }
    let plan = ProcessPlan::with_filter(process, &parts.personality, parts.filter.clone())?;
    let (channel, other) = Channel::pair()?;
    let kinds = kinds_to_join(parts.pid)?;
    let child = Child {
        parts,
        plan: &plan,
        kinds,
        channel: other,
        streams: io.into(),
        terms,
    };
    let unified = parts.cgroup.unified_fd().map(|fd| fd.as_fd());
    let own = file::open(Path::new("/proc/self/ns/pid"), OFlags::RDONLY)
        .context(|| "open /proc/self/ns/pid")?;
    ns::enter(&parts.pidfd, Kinds::PID).map_err(|error| gone(parts, error))?;
    let forked = clone::fork(Kinds::empty(), unified, move || child.run());
    ns::enter(&own, Kinds::PID).context(|| "failed to return to the own pid namespace")?;
    let forked = forked.context(|| "failed to start a process")?;
    match attend(&channel, &forked.pidfd) {
        Ok(console) => Ok(Exec {
            pid: forked.pid,
            pidfd: forked.pidfd,
            console,
        }),
        Err(error) => {
            let _ = forked.pidfd.signal(Signal::KILL);
            let _ = forked.pidfd.wait();
            Err(error)
        }
    }
}

fn gone(parts: &Parts, error: linux::Error) -> Error {
    // Its namespaces are gone with a process that has ended, reaped or not.
    let has_ended = parts
        .pidfd
        .wait_readable(Some(std::time::Duration::ZERO))
        .unwrap_or(true);
    if has_ended {
        return Error::new(Kind::NoSuchContainer, "cannot exec in a stopped container");
    }
    Error::system("failed to join the pid namespace", error)
}

/// Everything but the pid namespace. Joining a user namespace one is already in is an error, any other is not.
fn kinds_to_join(pid: u32) -> Result<Kinds> {
    let mut kinds = Kinds::MOUNT | Kinds::NETWORK | Kinds::IPC | Kinds::UTS | Kinds::CGROUP;
    for (kind, name) in [(Kinds::USER, "user"), (Kinds::TIME, "time")] {
        let of = |who: &str| file::stat_following(&PathBuf::from(format!("/proc/{who}/ns/{name}")));
        // Otherwise the kernel lacks the kind, or the process has just ended, which joining the rest will tell.
        let (Ok(theirs), Ok(ours)) = (of(&pid.to_string()), of("self")) else {
            continue;
        };
        if theirs.st_ino != ours.st_ino {
            kinds |= kind;
        }
    }
    Ok(kinds)
}

fn attend(channel: &Channel, child: &PidFd) -> Result<Option<OwnedFd>> {
    let receive = || channel.receive_from(child, Some(PATIENCE));
    let mut console = None;
    loop {
        match receive()? {
            Some(Message::Console(master)) => console = Some(master),
            // Its end closes with the execve, which is what Ready promises.
            Some(Message::Ready) => {
                return match receive()? {
                    None => Ok(console),
                    Some(Message::Failed(error)) => Err(error),
                    Some(_) => Err(Error::new(
                        Kind::System,
                        "the container's process talks nonsense",
                    )),
                };
            }
            Some(Message::Failed(error)) => return Err(error),
            _ => return Err(Error::decode(&[])),
        }
    }
}

impl Child<'_> {
    fn run(self) -> i32 {
        let Err(error) = self.prepare_and_exec();
        drop(self.channel.send(&Message::Failed(error)));
        255
    }

    fn prepare_and_exec(&self) -> Result<Infallible> {
        let Self { parts, plan, .. } = self;
        init::reset_signals()?;
        kernel::setsid().context(|| "failed to start a session")?;
        plan.set_oom_score()?;
        // Processes of the container that may trace ours would find the runtime's memory and descriptors.
        kernel::set_dumpable(false).context(|| "failed to become undumpable")?;
        for folder in parts.cgroup.v1_fds() {
            cgroup::enter(folder, Path::new(""))
                .context(|| "failed to enter the container's cgroup")?;
        }
        plan.apply_limits()?;
        ns::enter(&parts.pidfd, self.kinds)
            .context(|| "failed to join the container's namespaces")?;
        if self.terms.new_keyring {
            init::join_keyring(&parts.id)?;
        }
        self.set_up_streams()?;
        process::replace_null_streams()?;
        process::give_streams_to(plan.uid());
        linux::fd::close_on_exec_from(3).context(|| "failed to close inherited descriptors")?;
        for fd in &self.terms.preserved {
            linux::fd::set_inherited(fd, true).context(|| "failed to preserve a descriptor")?;
        }
        plan.drop_privileges()?;
        let program = Found::look_up(&plan.args, &plan.env, plan.uid())?;
        self.channel.send(&Message::Ready)?;
        plan.finish()?;
        Err(program.exec())
    }

    fn set_up_streams(&self) -> Result<()> {
        let size = match &self.streams {
            Streams::Fds(fds) => return process::place(fds),
            Streams::Terminal(size) => *size,
        };
        let describe = || "failed to open the container's /dev/pts/ptmx";
        let root = linux::rootfs::Root::open(Path::new("/")).context(describe)?;
        let ptmx = root
            .open_file(Path::new("/dev/pts/ptmx"), OFlags::RDWR, 0)
            .context(describe)?;
        let (master, slave) = process::make_terminal(ptmx, size)?;
        self.channel.send(&Message::Console(master))?;
        linux::tty::set_controlling(&slave).context(|| "failed to set the controlling terminal")?;
        process::place(&[&slave; 3])
    }
}
