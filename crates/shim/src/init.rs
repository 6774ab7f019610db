//! `docker-init -- PROGRAM [ARG...]`: process 1 of a container run with `--init`.
//!
//! It starts the program, passes on every signal it gets, reaps whatever is orphaned to it, and ends as the program ends.
//! Signals that the kernel sends by itself (Ctrl-C at the terminal) have reached the program already and are not repeated.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use linux::Errno;
use linux::signal::Signal;
use linux::signalfd::{Origin, SignalFd};
use linux::spawn::Command;

/// The greatest signal number.
const LAST_SIGNAL: i32 = 64;

/// Signals that mean a fault of our own, or that cannot be caught.
const OWN: [i32; 9] = [
    4,  // SIGILL
    5,  // SIGTRAP
    6,  // SIGABRT
    7,  // SIGBUS
    8,  // SIGFPE
    9,  // SIGKILL
    11, // SIGSEGV
    19, // SIGSTOP
    31, // SIGSYS
];

pub(crate) fn main(args: Vec<OsString>) -> ExitCode {
    let mut args = args.into_iter().skip_while(|arg| arg == "--");
    let Some(program) = args.next() else {
        eprintln!("usage: docker-init -- PROGRAM [ARG...]");
        return ExitCode::from(2);
    };
    match run(&program, args.collect()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("docker-init: {}: {error}", program.to_string_lossy());
            // As a shell says it: found but not to be executed, or not found.
            ExitCode::from(if error.errno() == Errno::ACCESS {
                126
            } else {
                127
            })
        }
    }
}

fn run(program: &OsStr, args: Vec<OsString>) -> linux::Result<u8> {
    let path = find(program).ok_or_else(|| linux::Error::new("execve()", Errno::NOENT))?;
    // Blocked before the program exists, so that none of its life is missed.
    let signals = SignalFd::new(&passed_on())?;
    let child = command(&path, program, args)?.spawn()?;
    loop {
        linux::fd::wait_readable(&signals, None)?;
        while let Some((signal, origin)) = signals.read_with_origin()? {
            if signal == Signal::CHLD {
                if let Some(code) = reap(child.pid)? {
                    return Ok(code);
                }
            } else if origin == Origin::Process {
                // It may have ended: then its SIGCHLD is next.
                let _ = child.pidfd.signal(signal);
            }
        }
    }
}

fn passed_on() -> Vec<Signal> {
    (1..=LAST_SIGNAL)
        .filter(|number| !OWN.contains(number))
        .filter_map(Signal::from_number)
        .collect()
}

/// Buries everyone who has ended; the code of the program if it was among them.
fn reap(program: u32) -> linux::Result<Option<u8>> {
    let mut code = None;
    while let Some((pid, status)) = linux::process::reap_any()? {
        if pid == program {
            code = Some(status.code() as u8);
        }
    }
    Ok(code)
}

fn command(path: &Path, name: &OsStr, args: Vec<OsString>) -> linux::Result<Command> {
    let mut command = Command::new(path).arg0(name);
    for arg in args {
        command = command.arg(arg);
    }
    for (key, value) in env::vars_os() {
        if let Some(key) = key.to_str() {
            command = command.env(key, value);
        }
    }
    command = command.fd(linux::fd::duplicate(std::io::stdin().as_fd())?, 0);
    command = command.fd(linux::fd::duplicate(std::io::stdout().as_fd())?, 1);
    Ok(command.fd(linux::fd::duplicate(std::io::stderr().as_fd())?, 2))
}

/// Looks a name without a slash up in PATH.
fn find(program: &OsStr) -> Option<PathBuf> {
    if program.to_string_lossy().contains('/') {
        return Some(PathBuf::from(program));
    }
    let paths = env::var_os("PATH")?;
    let mut candidates = env::split_paths(&paths).map(|folder| folder.join(program));
    candidates.find(|path| {
        fs::metadata(path)
            .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_on_what_can_be_caught() {
        let passed = passed_on();
        assert!(passed.contains(&Signal::TERM) && passed.contains(&Signal::CHLD));
        assert!(!passed.contains(&Signal::KILL) && !passed.contains(&Signal::STOP));
    }
}
