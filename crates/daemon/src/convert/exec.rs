//! Execs on the wire.

use api::types::exec::{ExecCreateRequest, ExecInspect, ProcessConfig};
use engine::{DetachKeys, ExecOptions, ExecView};

use super::create::cells;
use crate::http::failure::Failure;

/// What a client asks for.
pub(crate) fn options(wire: ExecCreateRequest) -> Result<ExecOptions, Failure> {
    Ok(ExecOptions {
        cmd: wire.cmd.unwrap_or_default().0,
        env: wire.env.unwrap_or_default(),
        user: wire.user,
        working_dir: wire.working_dir,
        tty: wire.tty,
        attach_stdin: wire.attach_stdin,
        attach_stdout: wire.attach_stdout,
        attach_stderr: wire.attach_stderr,
        privileged: wire.privileged,
        detach_keys: detach_keys(&wire.detach_keys)?,
        console_size: console_size(wire.console_size),
    })
}

/// `None` for the usual ones.
pub(crate) fn detach_keys(text: &str) -> Result<Option<DetachKeys>, Failure> {
    if text.is_empty() {
        Ok(None)
    } else {
        Ok(Some(text.parse()?))
    }
}

/// `[height, width]`; nothing where one of them is 0.
pub(crate) fn console_size(size: Option<[u32; 2]>) -> Option<(u16, u16)> {
    size.filter(|[height, width]| *height > 0 && *width > 0)
        .map(|[height, width]| (cells(height), cells(width)))
}

/// `GET /exec/{id}/json`.
pub(crate) fn inspect(view: &ExecView) -> ExecInspect {
    let (entrypoint, arguments) = match view.options.cmd.split_first() {
        Some((first, rest)) => (first.clone(), rest.to_vec()),
        None => (String::new(), Vec::new()),
    };
    ExecInspect {
        id: view.id.clone(),
        running: view.running,
        exit_code: view.exit_code.map(i64::from),
        process_config: ProcessConfig {
            tty: view.options.tty,
            entrypoint,
            arguments,
            privileged: Some(view.options.privileged),
            user: view.options.user.clone(),
        },
        open_stdin: view.open_stdin,
        open_stderr: view.options.attach_stderr,
        open_stdout: view.options.attach_stdout,
        can_remove: false,
        container_id: view.container.to_string(),
        detach_keys: String::new(),
        pid: i64::from(view.pid),
    }
}
