//! Another OCI runtime in place of our own, by the command line that runc, crun and runsc share.
//!
//! The container's first process becomes the shim's child when the runtime's own processes have ended, because the
//! shim is a subreaper. The root filesystem, which our own runtime mounts inside the container only, is mounted here in
//! a mount namespace of the shim's: it is gone with the shim.

use std::fs;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use linux::mount::{Depth, Propagation};
use linux::process::ExitStatus;
use linux::signal::Signal;
use linux::spawn::Command;
use oci::runtime::{NamespaceKind, Spec};
use shim::protocol::{self, ErrorKind, ExternalRuntime, OpError, RootfsSetup, Setup};

use super::container::{Networking, Started, bundle, overlay};
use super::process::{Ours, Pipes};
use super::requests::{Stdio, chain, failed};

/// Names in the bundle, next to what the engine wrote.
const ROOTFS: &str = "rootfs";
const PID_FILE: &str = "runtime.pid";
const LOG_FILE: &str = "runtime.log";
const CONSOLE_SOCKET: &str = "console.sock";
const PROCESS_FILE: &str = "process.json";

/// A container that another runtime keeps.
pub(super) struct External {
    runtime: ExternalRuntime,
    id: String,
    bundle: PathBuf,
    /// Where its memory cgroup counts what the kernel killed.
    memory_events: Vec<PathBuf>,
}

/// What a command of the runtime gets as standard streams.
type Streams = Option<(OwnedFd, OwnedFd, OwnedFd)>;

impl External {
    /// Makes and starts a container. An error leaves nothing behind.
    pub(super) fn launch(
        runtime: &ExternalRuntime,
        setup: &Setup,
        (spec, networking): (&Spec, Networking),
        stdio: Stdio,
    ) -> Result<(Self, Started), OpError> {
        let bundle = bundle()?;
        if let Some(namespace) = &networking.namespace {
            name_network(spec, namespace)?;
        }
        mount_rootfs(setup, &bundle).map_err(|error| failed(error.to_string()))?;
        let mut external = Self {
            runtime: runtime.clone(),
            id: setup.id.clone(),
            bundle,
            memory_events: Vec::new(),
        };
        let started = external.create(stdio).and_then(|started| {
            external.memory_events = memory_events(started.pid);
            Networking::wait(networking.gate)?;
            external
                .run("start", &[external.id.as_str()], None)
                .map(|()| started)
        });
        match started {
            Ok(started) => Ok((external, started)),
            Err(error) => {
                // What failed says why; the clean-up that follows it has nothing to add.
                let _ = external.delete();
                Err(error)
            }
        }
    }

    fn create(&self, stdio: Stdio) -> Result<Started, OpError> {
        let bundle = self.bundle.to_string_lossy();
        self.with_io(stdio, |options, streams| {
            let mut args = vec!["--bundle", &*bundle];
            args.extend(options);
            args.push(&self.id);
            self.run("create", &args, streams)
        })
    }

    /// Starts a further process.
    pub(super) fn exec(
        &self,
        process: &protocol::Process,
        stdio: Stdio,
    ) -> Result<Started, OpError> {
        let mut process = process.clone();
        process.terminal = stdio.tty;
        let json = serde_json::to_vec(&process).map_err(|error| failed(error.to_string()))?;
        fs::write(PROCESS_FILE, json)
            .map_err(|error| failed(format!("write {PROCESS_FILE}: {error}")))?;
        self.with_io(stdio, |options, streams| {
            let mut args = vec!["--detach", "--process", PROCESS_FILE];
            args.extend(options);
            args.push(&self.id);
            self.run("exec", &args, streams)
        })
    }

    /// Runs a command that starts a process: gives it pipes or a console socket, and reads the pid it wrote.
    fn with_io(
        &self,
        stdio: Stdio,
        command: impl FnOnce(Vec<&str>, Streams) -> Result<(), OpError>,
    ) -> Result<Started, OpError> {
        remove(PID_FILE);
        let options = vec!["--pid-file", PID_FILE];
        let ours = if stdio.tty {
            remove(CONSOLE_SOCKET);
            let listener = UnixListener::bind(CONSOLE_SOCKET)
                .map_err(|error| failed(format!("bind {CONSOLE_SOCKET}: {error}")))?;
            let tty = ["--console-socket", CONSOLE_SOCKET];
            command(options.into_iter().chain(tty).collect(), None)?;
            console(&listener, stdio)?
        } else {
            let Pipes {
                stdin,
                stdout,
                stderr,
                ours,
            } = Pipes::new(stdio.stdin).map_err(|error| linux_failed(&error))?;
            command(options, Some((stdin, stdout, stderr)))?;
            ours
        };
        let text = fs::read_to_string(PID_FILE)
            .map_err(|error| failed(format!("read {PID_FILE}: {error}")))?;
        let pid = text
            .trim()
            .parse()
            .map_err(|_| failed(format!("{PID_FILE} holds {text:?}")))?;
        Ok(Started { pid, ours })
    }

    /// Runs a command of the runtime and waits for it.
    fn run(&self, command: &str, args: &[&str], streams: Streams) -> Result<(), OpError> {
        remove(LOG_FILE);
        let mut process = self.command(command, args);
        if let Some((stdin, stdout, stderr)) = streams {
            process = process.fd(stdin, 0).fd(stdout, 1).fd(stderr, 2);
        }
        let child = process.spawn().map_err(|error| linux_failed(&error))?;
        match linux::process::wait(child.pid).map_err(|error| linux_failed(&error))? {
            ExitStatus::Exited(0) => Ok(()),
            status => Err(self.explain(command, status)),
        }
    }

    fn command(&self, command: &str, args: &[&str]) -> Command {
        let mut process =
            Command::new(&self.runtime.path).env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        for option in &self.runtime.args {
            process = process.arg(option);
        }
        process = process.arg("--root").arg(&self.runtime.root);
        process = process
            .arg("--log")
            .arg(LOG_FILE)
            .arg("--log-format")
            .arg("json")
            .arg(command);
        args.iter().fold(process, Command::arg)
    }

    /// What the runtime logged last, as the error it is.
    fn explain(&self, command: &str, status: ExitStatus) -> OpError {
        let log = fs::read_to_string(LOG_FILE).unwrap_or_default();
        let logged = log.lines().rev().find_map(|line| {
            let entry: serde_json::Value = serde_json::from_str(line).ok()?;
            Some(entry.get("msg")?.as_str()?.to_owned())
        });
        let runtime = self.runtime.path.display();
        let message =
            logged.unwrap_or_else(|| format!("{runtime} {command} ended with {}", status.code()));
        let kind = if message.contains("executable file not found")
            || message.contains("no such file or directory")
        {
            ErrorKind::ExecutableNotFound
        } else if message.contains("permission denied") {
            ErrorKind::PermissionDenied
        } else {
            ErrorKind::System
        };
        OpError { kind, message }
    }

    pub(super) fn kill_all(&self) -> Result<(), String> {
        for pid in self.pids()? {
            // One that has just ended needs no signal.
            let _ = linux::signal::kill(pid.cast_signed(), Signal::KILL);
        }
        Ok(())
    }

    pub(super) fn pause(&self) -> Result<(), String> {
        self.run("pause", &[&self.id], None)
            .map_err(|error| error.message)
    }

    pub(super) fn resume(&self) -> Result<(), String> {
        self.run("resume", &[&self.id], None)
            .map_err(|error| error.message)
    }

    pub(super) fn pids(&self) -> Result<Vec<u32>, String> {
        let (output, writer) = linux::fd::pipe().map_err(|error| error.to_string())?;
        let command = self
            .command("ps", &["--format", "json", &self.id])
            .fd(writer, 1);
        let child = command.spawn().map_err(|error| error.to_string())?;
        let bytes = linux::file::read_all(output, 1 << 20).map_err(|error| error.to_string())?;
        linux::process::wait(child.pid).map_err(|error| error.to_string())?;
        serde_json::from_slice::<Option<Vec<u32>>>(&bytes)
            .map(Option::unwrap_or_default)
            .map_err(|error| format!("{} ps: {error}", self.runtime.path.display()))
    }

    pub(super) fn oom_killed(&self) -> bool {
        self.memory_events.iter().any(|path| {
            let text = fs::read_to_string(path).unwrap_or_default();
            text.lines()
                .filter_map(|line| line.strip_prefix("oom_kill "))
                .any(|count| count.trim() != "0")
        })
    }

    /// Removes what the container leaves.
    pub(super) fn delete(&self) -> Result<(), String> {
        self.run("delete", &["--force", &self.id], None)
            .map_err(|error| error.message)
    }
}

/// Writes the specification anew: in place of a new network namespace the runtime enters this one, by a path that leads to our
/// descriptor for as long as this process holds it.
fn name_network(spec: &Spec, namespace: &OwnedFd) -> Result<(), OpError> {
    let mut spec = spec.clone();
    let namespaces = spec
        .linux
        .iter_mut()
        .flat_map(|linux| &mut linux.namespaces);
    for one in namespaces.filter(|one| one.kind == NamespaceKind::Network) {
        let (pid, fd) = (std::process::id(), namespace.as_raw_fd());
        one.path = format!("/proc/{pid}/fd/{fd}").into();
    }
    let json = serde_json::to_vec(&spec).map_err(|error| failed(error.to_string()))?;
    fs::write(protocol::SPEC_FILE, json)
        .map_err(|error| failed(format!("write {}: {error}", protocol::SPEC_FILE)))
}

/// Mounts the root filesystem where the spec's `root.path` says, seen by this process and its children only.
fn mount_rootfs(setup: &Setup, bundle: &Path) -> Result<(), linux::Error> {
    let target = bundle.join(ROOTFS);
    fs::create_dir_all(&target).map_err(|error| {
        linux::Error::new(
            format!("mkdir({target:?})"),
            linux::Errno::from_io_error(&error).unwrap_or(linux::Errno::IO),
        )
    })?;
    linux::ns::unshare(linux::ns::Kinds::MOUNT)?;
    linux::mount::change_propagation(Path::new("/"), Propagation::Slave, Depth::Recursive)?;
    let root = match (overlay(setup), &setup.rootfs) {
        (Some(overlay), _) => overlay.mount()?,
        (None, RootfsSetup::Dir { path } | RootfsSetup::Overlay { upper: path, .. }) => {
            linux::mount::clone_tree(linux::file::open_path(path)?, Depth::One)?
        }
    };
    linux::mount::attach(root, linux::file::open_path(&target)?)
}

/// The terminal's master, which the runtime has sent.
fn console(listener: &UnixListener, stdio: Stdio) -> Result<Ours, OpError> {
    // The command has ended well, so it has connected and sent: nothing here waits.
    listener
        .set_nonblocking(true)
        .map_err(|error| failed(error.to_string()))?;
    let (socket, _) = listener
        .accept()
        .map_err(|error| failed(format!("no terminal from the runtime: {error}")))?;
    let (_, fds) =
        linux::socket::recv_fds(&socket, &mut [0; 4096]).map_err(|error| linux_failed(&error))?;
    let master = fds
        .into_iter()
        .next()
        .ok_or_else(|| failed("no terminal from the runtime".to_owned()))?;
    if let Some(size) = stdio.terminal_size() {
        linux::tty::set_size(&master, size).map_err(|error| linux_failed(&error))?;
    }
    Ours::terminal(master).map_err(|error| linux_failed(&error))
}

/// Where a process's memory cgroup counts OOM kills: `memory.events` of cgroup v2, `memory.oom_control` of v1.
fn memory_events(pid: u32) -> Vec<PathBuf> {
    let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let mut found = Vec::new();
    for line in cgroups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let path = path.trim_start_matches('/');
        if controllers
            .split(',')
            .any(|controller| controller == "memory")
        {
            found.push(
                Path::new("/sys/fs/cgroup/memory")
                    .join(path)
                    .join("memory.oom_control"),
            );
        } else if controllers.is_empty() {
            found.push(Path::new("/sys/fs/cgroup").join(path).join("memory.events"));
        }
    }
    found
}

/// Removes a file of an earlier command, if there is one.
fn remove(path: &str) {
    // What is in the way will be met when it is made again.
    let _ = fs::remove_file(path);
}

fn linux_failed(error: &linux::Error) -> OpError {
    failed(chain(error))
}
