//! `exec`.

use std::path::Path;

use linux::file;
use oci::runtime::{Process, Status, User};

use super::args::{Args, Flag};
use super::{Context, create, foreground};
use crate::error::Context as _;
use crate::exec::Terms;
use crate::{Error, Kind, ProcessIo, Result};

pub(super) const FLAGS: &[Flag] = &[
    Flag::value("console-socket", None),
    Flag::value("pidfd-socket", None),
    Flag::value("cwd", None),
    Flag::value("env", Some('e')),
    Flag::switch("tty", Some('t')),
    Flag::value("user", Some('u')),
    Flag::value("additional-gids", Some('g')),
    Flag::value("process", Some('p')),
    Flag::switch("detach", Some('d')),
    Flag::value("pid-file", None),
    Flag::value("process-label", None),
    Flag::value("apparmor", None),
    Flag::switch("no-new-privs", None),
    Flag::value("cap", Some('c')),
    Flag::value("preserve-fds", None),
    Flag::value("cgroup", None),
    Flag::switch("ignore-paused", None),
];

pub(super) fn exec(context: &Context, args: &Args) -> Result<u8> {
    create::seal()?;
    for refused in ["process-label", "cgroup", "ignore-paused"] {
        if args.value(refused).is_some() {
            return Err(Error::invalid(format!("--{refused} is not supported")));
        }
    }
    let preserved = create::preserved(args.number("preserve-fds")?.unwrap_or(0))?;
    let saved = context.store.load(args.id()?)?;
    if context.store.status(&saved)? == Status::Stopped {
        return Err(Error::new(
            Kind::WrongState,
            "cannot exec in a stopped container",
        ));
    }
    let process = process(args, saved.spec.process.clone())?;
    let is_detached = args.has("detach");
    let socket = args
        .value("console-socket")
        .map(create::connect)
        .transpose()?;
    create::check_terminal(process.terminal, is_detached, socket.is_some())?;
    let io = if process.terminal {
        ProcessIo::Terminal {
            size: create::size(&process),
        }
    } else {
        create::inherited_io()?
    };
    let container = context.store.container(saved)?;
    let exec = container
        .exec_on(
            &process,
            io,
            Terms {
                preserved,
                new_keyring: false,
            },
        )
        .map_err(|error| {
            error.within(|| "exec failed: unable to start container process".to_owned())
        })?;
    if let (Some(master), Some(socket)) = (&exec.console, &socket) {
        create::send_console(socket, master)?;
    }
    if let Some(socket) = args
        .value("pidfd-socket")
        .map(create::connect)
        .transpose()?
    {
        let fd = std::os::fd::AsFd::as_fd(&exec.pidfd);
        linux::socket::send_fds(socket, b"pidfd", &[fd]).context(|| "failed to send the pidfd")?;
    }
    if let Some(path) = args.value("pid-file") {
        create::write_pid_file(&create::absolute(Path::new(path))?, exec.pid)?;
    }
    if is_detached {
        return Ok(0);
    }
    foreground::wait(&exec.pidfd, exec.console.filter(|_| socket.is_none()))
}

/// The process of a file, or the container's own with another command.
fn process(args: &Args, own: Option<Process>) -> Result<Process> {
    if let Some(path) = args.value("process") {
        let describe = || format!("failed to read {path}");
        let text = file::read_at(file::CURRENT, path, 16 << 20).context(describe)?;
        return serde_json::from_slice(&text)
            .map_err(|error| Error::invalid(format!("{}: {error}", describe())));
    }
    let mut process = own.unwrap_or_default();
    process.args = args.operands()[1..].to_vec();
    if process.args.is_empty() {
        return Err(Error::invalid("process args cannot be empty"));
    }
    process.terminal = args.has("tty");
    process.env.extend(args.values("env").map(str::to_owned));
    if let Some(cwd) = args.value("cwd") {
        process.cwd = cwd.into();
    }
    if let Some(profile) = args.value("apparmor") {
        profile.clone_into(&mut process.apparmor_profile);
    }
    process.no_new_privileges |= args.has("no-new-privs");
    add_capabilities(&mut process, args);
    set_user(&mut process.user, args)?;
    Ok(process)
}

/// As runc adds them: to all sets but the ambient one, and inheritable only where there is such.
fn add_capabilities(process: &mut Process, args: &Args) {
    for name in args.values("cap") {
        let capabilities = process.capabilities.get_or_insert_default();
        for set in [
            &mut capabilities.bounding,
            &mut capabilities.effective,
            &mut capabilities.permitted,
        ] {
            set.push(name.to_owned());
        }
    }
}

/// `uid[:gid]`, in numbers: names are resolved by who calls a runtime.
fn set_user(user: &mut User, args: &Args) -> Result<()> {
    if let Some(text) = args.value("user") {
        let parse = |number: &str| {
            number.parse().map_err(|_| {
                Error::invalid(format!(
                    "parsing {text:?} as uid[:gid] failed: not a number"
                ))
            })
        };
        let (uid, gid) = text
            .split_once(':')
            .map_or((text, None), |(uid, gid)| (uid, Some(gid)));
        user.uid = parse(uid)?;
        if let Some(gid) = gid {
            user.gid = parse(gid)?;
        }
    }
    for gid in args.values("additional-gids") {
        let gid = gid
            .parse()
            .map_err(|_| Error::invalid(format!("invalid gid {gid:?}")))?;
        user.additional_gids.push(gid);
    }
    Ok(())
}
