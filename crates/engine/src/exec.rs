//! Further processes in a running container.

mod records;

pub(crate) use records::take_in;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use oci::ContainerId;
use oci::runtime::{Process, Spec};
use serde::{Deserialize, Serialize};
use shim::protocol::{self, Attach, Op, Value};
use tokio::sync::watch;

use crate::attach::{self, Attached};
use crate::blocking;
use crate::container::{Container, Handle, Order};
use crate::engine::Engine;
use crate::error::{Context as _, Error, Result};
use crate::lifecycle::Phase;
use crate::lookup;
use crate::owner::no_such_exec;
use crate::shared::Shared;
use crate::spec;

/// What `docker exec` says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecOptions {
    pub cmd: Vec<String>,
    pub env: Vec<String>,
    /// Empty: the container's.
    pub user: String,
    /// Empty: the container's.
    pub working_dir: String,
    pub tty: bool,
    pub attach_stdin: bool,
    pub attach_stdout: bool,
    pub attach_stderr: bool,
    pub privileged: bool,
    /// `None`: `ctrl-p,ctrl-q`.
    pub detach_keys: Option<crate::DetachKeys>,
    /// `[height, width]` of the terminal.
    pub console_size: Option<(u16, u16)>,
}

/// How an exec is started.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExecStart {
    /// Nobody attaches.
    pub detach: bool,
    /// `[height, width]`, if the start says it.
    pub console_size: Option<(u16, u16)>,
}

/// One exec at one moment.
#[derive(Debug, Clone)]
pub struct ExecView {
    /// 64 hex digits.
    pub id: String,
    pub container: ContainerId,
    pub running: bool,
    /// `None` until it has ended.
    pub exit_code: Option<i32>,
    /// 0 until it runs; it stays when it has ended.
    pub pid: u32,
    pub options: ExecOptions,
    /// Whether its stdin is held open.
    pub open_stdin: bool,
}

/// An exec as the engine keeps it.
#[derive(Debug)]
pub(crate) struct Exec {
    pub(crate) id: String,
    pub(crate) container: ContainerId,
    pub(crate) options: ExecOptions,
    progress: Mutex<Progress>,
    /// True once it has ended.
    ended: watch::Sender<bool>,
}

/// How far an exec has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Created,
    Starting,
    Running { pid: u32 },
    Ended { pid: u32, code: i32, at: Instant },
}

/// The exit code of what was killed.
const KILLED: i32 = 137;

impl Progress {
    fn ended(pid: u32, code: i32) -> Self {
        Self::Ended {
            pid,
            code,
            at: Instant::now(),
        }
    }

    fn pid(self) -> u32 {
        match self {
            Self::Created | Self::Starting => 0,
            Self::Running { pid } | Self::Ended { pid, .. } => pid,
        }
    }

    fn exit_code(self) -> Option<i32> {
        match self {
            Self::Ended { code, .. } => Some(code),
            _ => None,
        }
    }
}

/// How long an ended exec can still be asked for its exit code.
const REMEMBERED: Duration = Duration::from_secs(300);

impl Exec {
    fn new(container: ContainerId, options: ExecOptions) -> Self {
        let id = ContainerId::random().to_string();
        Self::restored(id, container, options, Progress::Created)
    }

    fn restored(
        id: String,
        container: ContainerId,
        options: ExecOptions,
        progress: Progress,
    ) -> Self {
        Self {
            id,
            container,
            options,
            ended: watch::Sender::new(progress.exit_code().is_some()),
            progress: Mutex::new(progress),
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, code: i32) {
        let mut progress = self.progress();
        *progress = Progress::ended(progress.pid(), code);
        drop(progress);
        self.ended.send_replace(true);
    }

    fn is_forgotten(&self) -> bool {
        matches!(*self.progress(), Progress::Ended { at, .. } if at.elapsed() > REMEMBERED)
    }

    fn view(&self) -> ExecView {
        let progress = *self.progress();
        ExecView {
            id: self.id.clone(),
            container: self.container.clone(),
            running: matches!(progress, Progress::Starting | Progress::Running { .. }),
            exit_code: progress.exit_code(),
            pid: progress.pid(),
            open_stdin: self.options.attach_stdin,
            options: self.options.clone(),
        }
    }
}

/// An exec has ended, says the shim.
pub(crate) fn ended(shared: &Shared, container: &Container, id: &str, code: i32) {
    container.live().execs.remove(id);
    let Some(exec) = shared.execs().get(id).cloned() else {
        return;
    };
    exec.end(code);
    shared.announce(
        container,
        "exec_die",
        &[("execID", id.to_owned()), ("exitCode", code.to_string())],
    );
}

/// The container has ended, and every exec with it.
pub(crate) fn all_ended(shared: &Shared, container: &Container) {
    let running = std::mem::take(&mut container.live().execs);
    for id in running {
        ended(shared, container, &id, KILLED);
    }
}

impl Engine {
    /// Returns the exec's id.
    pub async fn exec_create(&self, name: &str, options: ExecOptions) -> Result<String> {
        let shared = self.shared();
        let handle = shared.find(name)?;
        match handle.phase() {
            Phase::Running { .. } => {}
            Phase::Paused { .. } => {
                return Err(Error::conflict(format!(
                    "Container {name} is paused, unpause the container before exec"
                )));
            }
            _ => return Err(handle.not_running()),
        }
        if options.cmd.is_empty() {
            return Err(Error::invalid("No exec command specified"));
        }
        if !options.user.is_empty() {
            // A user who does not exist is an error now, not once the client has an open stream.
            let (container, user) = (Arc::clone(&handle.container), options.user.clone());
            blocking(move || {
                let pid = container
                    .phase()
                    .pid()
                    .ok_or_else(|| container.not_running())?;
                lookup::identity_in(pid, &user, &[]).map(drop)
            })
            .await?;
        }
        let exec = Arc::new(Exec::new(handle.birth.id.clone(), options));
        let id = exec.id.clone();
        shared.execs().retain(|_, exec| !exec.is_forgotten());
        let (work, container, new) = (
            Arc::clone(shared),
            Arc::clone(&handle.container),
            Arc::clone(&exec),
        );
        blocking(move || records::keep(&work, &container, &new)).await?;
        announce(shared, &handle, "exec_create", &exec);
        shared.execs().insert(id.clone(), exec);
        Ok(id)
    }

    /// Returns once it runs; `None` when detached.
    pub async fn exec_start(&self, id: &str, start: ExecStart) -> Result<Option<Attached>> {
        let shared = self.shared();
        let exec = self.exec(id)?;
        let handle = shared.find(exec.container.as_str())?;
        match handle.phase() {
            Phase::Running { .. } => {}
            Phase::Paused { .. } => {
                let id = &exec.container;
                return Err(Error::conflict(format!(
                    "Container {id} is paused, unpause the container before exec"
                )));
            }
            _ => return Err(handle.not_running()),
        }
        claim(&exec)?;
        announce(shared, &handle, "exec_start", &exec);
        let result = self.run_exec(&handle, &exec, start).await;
        if let Err(error) = &result {
            let code = failure_code(error);
            exec.end(code);
            let (work, failed) = (Arc::clone(shared), Arc::clone(&exec));
            blocking(move || records::keep_failure(&work, &failed, code)).await;
        }
        result
    }

    pub fn exec_inspect(&self, id: &str) -> Result<ExecView> {
        self.exec(id).map(|exec| exec.view())
    }

    pub async fn exec_resize(&self, id: &str, height: u16, width: u16) -> Result<()> {
        let exec = self.exec(id)?;
        let handle = self.shared().find(exec.container.as_str())?;
        if !exec.view().running {
            return Err(Error::conflict(format!("exec {id} is not running")));
        }
        let op = Op::Resize {
            process: exec.id.clone(),
            columns: width,
            rows: height,
        };
        handle.ask(op).await.map(drop)
    }

    fn exec(&self, id: &str) -> Result<Arc<Exec>> {
        self.shared()
            .execs()
            .get(id)
            .cloned()
            .ok_or_else(|| no_such_exec(id))
    }

    /// Attaches first, so that no output is missed, then lets the shim start the process.
    async fn run_exec(
        &self,
        handle: &Handle,
        exec: &Arc<Exec>,
        start: ExecStart,
    ) -> Result<Option<Attached>> {
        let process = self.exec_process(handle, exec).await?;
        let attached = if start.detach {
            None
        } else {
            Some(self.attach_exec(handle, exec).await?)
        };
        let size = start
            .console_size
            .or(exec.options.console_size)
            .map(|(height, width)| (width, height));
        let op = Op::Exec {
            id: exec.id.clone(),
            process: Box::new(process),
            tty: exec.options.tty,
            stdin: exec.options.attach_stdin && !start.detach,
            size: size.filter(|_| exec.options.tty),
        };
        handle.live().execs.insert(exec.id.clone());
        match handle.ask(op).await {
            Ok(Value::Started { pid, .. }) => {
                // It may have ended before this line.
                let mut progress = exec.progress();
                match &mut *progress {
                    Progress::Ended { pid: of_ended, .. } => *of_ended = pid,
                    starting => *starting = Progress::Running { pid },
                }
                drop(progress);
                Ok(attached)
            }
            Ok(other) => Err(Error::system(format!(
                "the shim answered an exec with {other:?}"
            ))),
            Err(error) => {
                handle.live().execs.remove(&exec.id);
                let message = format!(
                    "OCI runtime exec failed: exec failed: unable to start container process: {}",
                    error.chain()
                );
                Err(Error::new(error.kind(), message))
            }
        }
    }

    async fn attach_exec(&self, handle: &Handle, exec: &Exec) -> Result<Attached> {
        let options = &exec.options;
        let wanted = Attach {
            process: exec.id.clone(),
            stdin: options.attach_stdin,
            stdout: options.attach_stdout,
            stderr: options.attach_stderr,
        };
        let (mut attached, client) =
            attach::waiting(wanted, options.tty, options.detach_keys.clone());
        attached.output.settled = Some(exec.ended.subscribe());
        handle.tell_owner(Order::Attach(client)).await?;
        Ok(attached)
    }

    /// The process the shim is to start.
    async fn exec_process(&self, handle: &Handle, exec: &Arc<Exec>) -> Result<Process> {
        let (shared, container, exec) = (
            Arc::clone(self.shared()),
            Arc::clone(&handle.container),
            Arc::clone(exec),
        );
        blocking(move || {
            let model = model(&shared, &container)?;
            let options = &exec.options;
            let pid = container
                .phase()
                .pid()
                .ok_or_else(|| container.not_running())?;
            let user = match options.user.as_str() {
                "" => &container.birth.options.user,
                user => user,
            };
            let identity = lookup::identity_in(pid, user, &container.birth.options.host.group_add)?;
            Ok(spec::for_exec(
                &model,
                options,
                &identity,
                &shared.host.capabilities,
            ))
        })
        .await
    }
}

/// The first process: remembered since the start, or read from the bundle after a restart of the daemon.
fn model(shared: &Shared, container: &Container) -> Result<Arc<Process>> {
    if let Some(model) = container.live().model.clone() {
        return Ok(model);
    }
    let path = shared
        .paths
        .bundle(&container.birth.id)
        .join(protocol::SPEC_FILE);
    let bytes = std::fs::read(&path).context(|| format!("read {}", path.display()))?;
    let spec: Spec =
        serde_json::from_slice(&bytes).context(|| format!("read {}", path.display()))?;
    let model = Arc::new(spec.process.unwrap_or_default());
    container.live().model = Some(Arc::clone(&model));
    Ok(model)
}

/// An exec is started once.
fn claim(exec: &Exec) -> Result<()> {
    let mut progress = exec.progress();
    match *progress {
        Progress::Created => {
            *progress = Progress::Starting;
            Ok(())
        }
        Progress::Ended { .. } => Err(Error::conflict(format!(
            "exec command {} has already run",
            exec.id
        ))),
        _ => Err(Error::conflict(format!(
            "exec command {} is already running",
            exec.id
        ))),
    }
}

/// The exit code a failed exec counts as.
fn failure_code(error: &Error) -> i32 {
    let text = error.to_string();
    if text.contains("executable file not found") || text.contains("no such file or directory") {
        127
    } else if text.contains("permission denied") {
        126
    } else {
        128
    }
}

fn announce(shared: &Shared, container: &Container, action: &str, exec: &Exec) {
    let mut command = exec.options.cmd.join(" ");
    if exec.options.cmd.len() == 1 {
        // Docker puts a space between the program and its arguments, be there any or not.
        command.push(' ');
    }
    shared.announce(
        container,
        format!("{action}: {command}"),
        &[("execID", exec.id.clone())],
    );
}
