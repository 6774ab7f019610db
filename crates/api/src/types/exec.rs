//! Execs: further processes in a running container.

use super::wire::{is_default, wire};

wire! {
    /// Body of `POST /containers/{id}/exec`.
    pub struct ExecCreateRequest {
        /// `user[:group]`.
        pub user: String,
        /// With all capabilities.
        pub privileged: bool,
        /// With a terminal.
        pub tty: bool,
        /// Height and width of the terminal.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub console_size: Option<[u32; 2]>,
        /// Whether the starting client sends stdin.
        pub attach_stdin: bool,
        /// Whether it wants stderr.
        pub attach_stderr: bool,
        /// Whether it wants stdout.
        pub attach_stdout: bool,
        /// The keys that leave the exec, as `ctrl-p,ctrl-q`.
        pub detach_keys: String,
        /// Further variables.
        pub env: Option<Vec<String>>,
        /// Where it starts.
        pub working_dir: String,
        /// What it runs.
        pub cmd: Option<super::StrSlice>,
    }

    /// Answer of `POST /containers/{id}/exec`.
    pub struct ExecCreateResponse {
        /// The exec's id.
        pub id: String,
    }

    /// Body of `POST /exec/{id}/start`.
    pub struct ExecStartRequest {
        /// Whether to leave at once.
        pub detach: bool,
        /// With a terminal.
        pub tty: bool,
        /// Height and width of the terminal.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub console_size: Option<[u32; 2]>,
    }

    /// Answer of `GET /exec/{id}/json`.
    pub struct ExecInspect {
        /// The exec's id.
        #[serde(rename = "ID")]
        pub id: String,
        /// Whether its process lives.
        pub running: bool,
        /// How it ended; `null` until then.
        pub exit_code: Option<i64>,
        /// What it runs.
        pub process_config: ProcessConfig,
        /// Whether stdin is open.
        pub open_stdin: bool,
        /// Whether stderr is attached.
        pub open_stderr: bool,
        /// Whether stdout is attached.
        pub open_stdout: bool,
        /// Always false.
        pub can_remove: bool,
        /// The container's id.
        #[serde(rename = "ContainerID")]
        pub container_id: String,
        /// As the request gave them.
        pub detach_keys: String,
        /// Its process on the host; 0 if it has not begun.
        pub pid: i64,
    }

    /// An exec's process; these names begin in lower case.
    pub struct ProcessConfig {
        /// With a terminal.
        #[serde(rename = "tty")]
        pub tty: bool,
        /// The program.
        #[serde(rename = "entrypoint")]
        pub entrypoint: String,
        /// Its arguments.
        #[serde(rename = "arguments")]
        pub arguments: Vec<String>,
        /// With all capabilities.
        #[serde(rename = "privileged", skip_serializing_if = "Option::is_none")]
        pub privileged: Option<bool>,
        /// `user[:group]`.
        #[serde(rename = "user", skip_serializing_if = "is_default")]
        pub user: String,
    }
}
