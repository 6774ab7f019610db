//! The container's first process, from the clone to its program: the child's side of [`crate::create`].

use std::convert::Infallible;
use std::os::fd::OwnedFd;
use std::path::Path;

use linux::file::OFlags;
use linux::ns::{self, Kinds};
use linux::process as kernel;
use linux::signal::{self, Signal, SignalSet};
use oci::runtime::{Hook, State, Status};

use crate::channel::{Channel, Message};
use crate::error::Context as _;
use crate::plan::Plan;
use crate::process::{self, Streams};
use crate::program::Found;
use crate::rootfs::Setup;
use crate::{Error, Kind, Result, cgroup, hooks, namespaces, sysctl};

/// What holds the process back until it is started.
pub(crate) enum Gate {
    /// The creator's channel; it also hears why an execve failed.
    Channel,
    /// For a creator that does not stay: a FIFO that is written to by who starts, and a file for the reason.
    Fifo { fifo: OwnedFd, failure: OwnedFd },
}

/// The child's part of a launch.
pub(crate) struct Init<'a> {
    pub(crate) plan: &'a Plan<'a>,
    pub(crate) channel: Channel,
    pub(crate) gate: Gate,
    pub(crate) streams: Streams,
    pub(crate) preserved: Vec<OwnedFd>,
    /// Ends with its creator.
    pub(crate) follows_creator: bool,
    pub(crate) new_keyring: bool,
}

impl Init<'_> {
    /// Becomes the program; otherwise reports why not, and returns an exit code. `creators` is the other end of the
    /// channel, which a child inherits.
    pub(crate) fn run(self, creators: &mut Channel) -> i32 {
        let Err(error) = self
            .channel
            .replace(creators)
            .and_then(|()| self.prepare_and_exec());
        // In the case of a FIFO the creator is there only before the process is ready; afterwards only the file is.
        drop(self.channel.send(&Message::Failed(error.clone())));
        if let Gate::Fifo { failure, .. } = &self.gate {
            drop(linux::file::write_once(failure, &error.encode()));
        }
        255
    }

    fn prepare_and_exec(&self) -> Result<Infallible> {
        let plan = self.plan;
        reset_signals()?;
        kernel::setsid().context(|| "failed to start a session")?;
        plan.process.set_oom_score()?;
        // Until the program is executed, nobody in the container is to look into what is still the runtime.
        kernel::set_dumpable(false).context(|| "failed to become undumpable")?;
        if plan.has_user_namespace() {
            self.wait_for_go()?;
        }
        self.enter_namespaces()?;
        let setup = Setup::mount_root(plan)?;
        if !plan.has_user_namespace() {
            self.wait_for_go()?;
        }
        self.enter_cgroups()?;
        setup.populate()?;
        let slave = self.set_up_streams(&setup)?;
        self.run_outer_hooks()?;
        setup.make_working_folder(&plan.process.cwd)?;
        if let Some(slave) = &slave {
            setup.mount_console(slave)?;
        }
        set_names(plan)?;
        sysctl::write(&plan.sysctl)?;
        setup.restrict()?;
        plan.process.apply_limits()?;
        setup.pivot()?;
        self.finish(slave)
    }

    fn enter_namespaces(&self) -> Result<()> {
        let namespaces = &self.plan.namespaces;
        namespaces.join()?;
        if namespaces.new.contains(Kinds::TIME) {
            namespaces::enter_new_time_namespace(self.plan.linux.time_offsets.iter())?;
        }
        if namespaces.has(Kinds::USER) {
            kernel::set_gid(0).context(|| "failed to become root of the user namespace")?;
            kernel::set_uid(0).context(|| "failed to become root of the user namespace")?;
        }
        ns::unshare(namespaces.by_unshare()).context(|| "failed to make namespaces")?;
        if namespaces.new.contains(Kinds::NETWORK) {
            ns::bring_loopback_up().context(|| "failed to bring the loopback interface up")?;
        }
        Ok(())
    }

    fn wait_for_go(&self) -> Result<()> {
        match self.channel.receive()? {
            Some(Message::Go) => Ok(()),
            _ => Err(Error::new(Kind::System, "the runtime gave up")),
        }
    }

    /// The parent has entered them for a process in a user namespace, which may not.
    fn enter_cgroups(&self) -> Result<()> {
        let plan = self.plan;
        if !plan.has_user_namespace() {
            cgroup::enter_v1(&plan.layout, &plan.cgroup_path)?;
        }
        if plan.namespaces.new.contains(Kinds::CGROUP) {
            ns::unshare(Kinds::CGROUP).context(|| "failed to make a cgroup namespace")?;
        }
        Ok(())
    }

    /// The given streams at once; a terminal's slave is handed back, to be bound on /dev/console.
    fn set_up_streams(&self, setup: &Setup<'_>) -> Result<Option<OwnedFd>> {
        let size = match &self.streams {
            Streams::Fds(fds) => {
                process::place(fds)?;
                return Ok(None);
            }
            Streams::Terminal(size) => *size,
        };
        let describe = || "failed to open the container's /dev/ptmx";
        let ptmx = setup
            .root()
            .open_file(Path::new("/dev/pts/ptmx"), OFlags::RDWR, 0)
            .context(describe)?;
        let (master, slave) = process::make_terminal(ptmx, size)?;
        self.channel.send(&Message::Console(master))?;
        Ok(Some(slave))
    }

    /// `prestart` and `createRuntime` run in the runtime, `createContainer` here, all before the root is changed.
    fn run_outer_hooks(&self) -> Result<()> {
        let Some(hooks) = &self.plan.spec.hooks else {
            return Ok(());
        };
        if !hooks.prestart.is_empty() || !hooks.create_runtime.is_empty() {
            self.channel.send(&Message::RunHooks)?;
            if !matches!(self.channel.receive()?, Some(Message::HooksDone)) {
                return Err(Error::new(Kind::System, "the runtime gave up"));
            }
        }
        self.run_hooks("createContainer", &hooks.create_container, Status::Created)
    }

    fn run_hooks(&self, name: &str, hooks: &[Hook], status: Status) -> Result<()> {
        if hooks.is_empty() {
            return Ok(());
        }
        let state = State {
            oci_version: oci::runtime::VERSION.to_owned(),
            id: self.plan.id.to_owned(),
            status,
            pid: Some(kernel::id()),
            bundle: self.plan.bundle.to_owned(),
            annotations: self.plan.spec.annotations.clone(),
        };
        hooks::run(name, hooks, &state)
    }

    /// Inside the container now.
    fn finish(&self, slave: Option<OwnedFd>) -> Result<Infallible> {
        let process = &self.plan.process;
        if self.new_keyring {
            join_keyring(self.plan.id)?;
        }
        if let Some(slave) = slave {
            linux::tty::set_controlling(&slave)
                .context(|| "failed to set the controlling terminal")?;
            process::place(&[&slave; 3])?;
        }
        process::replace_null_streams()?;
        process::give_streams_to(process.uid());
        self.place_preserved()?;
        process.drop_privileges()?;
        let program = Found::look_up(&process.args, &process.env, process.uid())?;
        if self.follows_creator {
            kernel::set_parent_death_signal(Signal::KILL)
                .context(|| "failed to follow the creator")?;
        }
        self.channel.send(&Message::Ready)?;
        self.wait_for_start()?;
        if let Some(hooks) = &self.plan.spec.hooks {
            self.run_hooks("startContainer", &hooks.start_container, Status::Created)?;
        }
        process.finish()?;
        Err(program.exec())
    }

    /// Whatever else is open closes when the program is executed.
    fn place_preserved(&self) -> Result<()> {
        linux::fd::close_on_exec_from(3).context(|| "failed to close inherited descriptors")?;
        for fd in &self.preserved {
            linux::fd::set_inherited(fd, true).context(|| "failed to preserve a descriptor")?;
        }
        Ok(())
    }

    fn wait_for_start(&self) -> Result<()> {
        let is_started = match &self.gate {
            Gate::Channel => self.channel.wait_for_start()?,
            Gate::Fifo { fifo, .. } => !linux::file::read_some(fifo, 1)
                .context(|| "failed to wait for the start")?
                .is_empty(),
        };
        if is_started {
            Ok(())
        } else {
            Err(Error::new(Kind::System, "the runtime gave up"))
        }
    }
}

fn set_names(plan: &Plan<'_>) -> Result<()> {
    if !plan.spec.hostname.is_empty() {
        kernel::set_hostname(&plan.spec.hostname).context(|| "failed to set the hostname")?;
    }
    if !plan.spec.domainname.is_empty() {
        kernel::set_domainname(&plan.spec.domainname).context(|| "failed to set the domainname")?;
    }
    Ok(())
}

/// The creator's handlers are gone with the execve, but not what it ignores or blocks.
pub(crate) fn reset_signals() -> Result<()> {
    signal::reset_all();
    signal::set_mask(&SignalSet::empty())
        .map(drop)
        .context(|| "failed to unblock signals")
}

/// Keys of the runtime's session are not the container's.
pub(crate) fn join_keyring(id: &str) -> Result<()> {
    let name = std::ffi::CString::new(format!("_ses.{id}"))
        .map_err(|_| Error::invalid("NUL in the id"))?;
    match kernel::join_session_keyring(&name) {
        // A kernel without keyrings, or a machine whose policy forbids them (our own inside a container).
        Err(error)
            if matches!(
                error.errno(),
                linux::Errno::NOSYS | linux::Errno::PERM | linux::Errno::ACCESS
            ) =>
        {
            Ok(())
        }
        result => result.context(|| "failed to join a session keyring"),
    }
}
