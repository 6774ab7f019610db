//! `kill`, `delete`, `pause`, `resume`.

use linux::signal::Signal;
use oci::runtime::Status;

use super::args::{Args, Flag};
use super::state::Saved;
use super::{Context, create};
use crate::{Container, Error, Kind, Result};

pub(super) const KILL_FLAGS: &[Flag] = &[Flag::switch("all", Some('a'))];
pub(super) const DELETE_FLAGS: &[Flag] = &[Flag::switch("force", Some('f'))];

pub(super) fn kill(context: &Context, args: &Args) -> Result<u8> {
    let name = args.operands().get(1).map_or("SIGTERM", String::as_str);
    let signal =
        Signal::parse(name).ok_or_else(|| Error::invalid(format!("unknown signal {name:?}")))?;
    let saved = context.store.load(args.id()?)?;
    if args.has("all") && context.store.status(&saved)? == Status::Stopped {
        // What the first process left behind.
        let cgroup = saved.cgroup()?;
        (if signal == Signal::KILL {
            cgroup.kill()
        } else {
            cgroup.signal_each(signal)
        })?;
        return Ok(0);
    }
    let container = context.store.container(saved)?;
    (if args.has("all") {
        container.signal_all(signal)
    } else {
        container.signal(signal)
    })?;
    Ok(0)
}

pub(super) fn delete(context: &Context, args: &Args) -> Result<u8> {
    let id = args.id()?;
    let is_forced = args.has("force");
    let saved = match context.store.load(id) {
        Err(error) if error.kind() == Kind::NoSuchContainer && is_forced => {
            // A create that was killed in the middle leaves a folder without a state.
            context.store.remove(id)?;
            return Ok(0);
        }
        result => result?,
    };
    match context.store.status(&saved)? {
        Status::Stopped => finish(context, &saved)?,
        Status::Created => destroy(context, saved)?,
        _ if is_forced => destroy(context, saved)?,
        status => {
            let message = format!(
                "cannot delete container {id} that is not stopped: {}",
                status.as_str()
            );
            return Err(Error::new(Kind::WrongState, message));
        }
    }
    Ok(0)
}

/// Kills, and waits until the first process is gone, whoever is to reap it.
fn destroy(context: &Context, saved: Saved) -> Result<()> {
    let id = saved.id.clone();
    match context.store.container(saved).and_then(|c| end(&c)) {
        // It ended by itself meanwhile.
        Err(error) if error.kind() == Kind::NoSuchContainer => {}
        ended => ended?,
    }
    finish(context, &context.store.load(&id)?)
}

fn end(container: &Container) -> Result<()> {
    let patience = std::time::Duration::from_secs(10);
    container.kill_all()?;
    container.signal(Signal::KILL)?;
    if container
        .pidfd()
        .wait_readable(Some(patience))
        .unwrap_or(true)
    {
        return Ok(());
    }
    let message = "the container does not die";
    Err(Error::new(Kind::System, message))
}

fn finish(context: &Context, saved: &Saved) -> Result<()> {
    let cgroup = saved.cgroup()?;
    if !cgroup.pids()?.is_empty() {
        cgroup.kill()?;
    }
    cgroup.remove()?;
    context.store.remove(&saved.id)?;
    if let Err(error) = create::run_poststop(saved) {
        // The container is gone; the specification has this logged only.
        context.log.warn(&error.chain());
    }
    Ok(())
}

pub(super) fn pause(context: &Context, args: &Args) -> Result<u8> {
    let saved = context.store.load(args.id()?)?;
    match context.store.status(&saved)? {
        Status::Running | Status::Created => context.store.container(saved)?.pause()?,
        status => {
            return Err(Error::new(
                Kind::WrongState,
                format!("container is {}, not running", status.as_str()),
            ));
        }
    }
    Ok(0)
}

pub(super) fn resume(context: &Context, args: &Args) -> Result<u8> {
    let saved = context.store.load(args.id()?)?;
    match context.store.status(&saved)? {
        Status::Paused => context.store.container(saved)?.resume()?,
        status => {
            return Err(Error::new(
                Kind::WrongState,
                format!("container is {}, not paused", status.as_str()),
            ));
        }
    }
    Ok(0)
}
