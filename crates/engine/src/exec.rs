//! Further processes in a running container.

use oci::ContainerId;

/// What `docker exec` says.
#[derive(Debug, Clone, Default)]
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
    /// 0 until it runs.
    pub pid: u32,
    pub options: ExecOptions,
    /// Whether its stdin is held open.
    pub open_stdin: bool,
}
