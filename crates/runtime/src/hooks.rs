//! Hooks: programs of the configuration, with the container's state on their stdin.

use std::time::{Duration, Instant};

use linux::file;
use linux::process::ExitStatus;
use linux::signal::Signal;
use linux::spawn::Command;
use oci::runtime::{Hook, State};

use crate::error::Context as _;
use crate::{Error, Kind, Result};

/// Runs hooks one after the other, up to the first that fails.
pub(crate) fn run(name: &str, hooks: &[Hook], state: &State) -> Result<()> {
    if hooks.is_empty() {
        return Ok(());
    }
    let state = serde_json::to_vec(state)
        .map_err(|error| Error::invalid(format!("state for hooks: {error}")))?;
    hooks.iter().enumerate().try_for_each(|(index, hook)| {
        run_one(hook, &state)
            .map_err(|error| error.within(|| format!("error running {name} hook #{index}")))
    })
}

fn run_one(hook: &Hook, state: &[u8]) -> Result<()> {
    if !hook.path.is_absolute() {
        return Err(Error::invalid(format!(
            "hook path {:?} is not absolute",
            hook.path.display()
        )));
    }
    let describe = || format!("failed to run {}", hook.path.display());
    let stdin = file::in_memory(state).context(describe)?;
    let stderr = file::in_memory(b"").context(describe)?;
    let output = linux::fd::duplicate(&stderr).context(describe)?;
    let mut command = Command::new(&hook.path).fd(stdin, 0).fd(stderr, 2);
    if let Some(name) = hook.args.first() {
        command = command.arg0(name);
    }
    command = hook.args.iter().skip(1).fold(command, Command::arg);
    for pair in &hook.env {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        command = command.env(key, value);
    }
    let child = command.spawn().context(describe)?;
    let timeout = hook
        .timeout
        .and_then(|seconds| u64::try_from(seconds).ok())
        .filter(|seconds| *seconds > 0);
    let started = Instant::now();
    if !child
        .pidfd
        .wait_readable(timeout.map(Duration::from_secs))
        .context(describe)?
    {
        child.pidfd.signal(Signal::KILL).context(describe)?;
        child.pidfd.wait().context(describe)?;
        let message = format!(
            "{} ran past the timeout of {:.1?}",
            hook.path.display(),
            started.elapsed()
        );
        return Err(Error::new(Kind::System, message));
    }
    match child.pidfd.wait().context(describe)? {
        ExitStatus::Exited(0) => Ok(()),
        status => {
            let output = file::read_start(&output, 4096).unwrap_or_default();
            let output = String::from_utf8_lossy(&output);
            let how = match status {
                ExitStatus::Exited(code) => format!("exit status {code}"),
                ExitStatus::Killed(signal) => format!("signal {}", signal.name()),
            };
            Err(Error::new(
                Kind::System,
                format!("{how}, stdout: , stderr: {}", output.trim_end()),
            ))
        }
    }
}
