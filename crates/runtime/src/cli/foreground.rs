//! Waiting for a process as if it were a command of the shell: signals go on to it, a terminal is served.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use linux::epoll::{Epoll, EventFlags};
use linux::file;
use linux::pidfd::PidFd;
use linux::signal::Signal;
use linux::signalfd::SignalFd;
use linux::tty;

use crate::Result;
use crate::error::Context as _;

const PROCESS: u64 = 0;
const SIGNALS: u64 = 1;
const INPUT: u64 = 2;
const OUTPUT: u64 = 3;

/// The exit code of the process.
pub(super) fn wait(process: &PidFd, console: Option<OwnedFd>) -> Result<u8> {
    let terminal = console.map(Terminal::new).transpose()?;
    let code = attend(process, terminal.as_ref()).context(|| "failed to wait for the process")?;
    Ok(u8::try_from(code).unwrap_or(255))
}

/// Our own terminal in raw mode, and the master of the process's.
struct Terminal {
    master: OwnedFd,
    own: Option<(BorrowedFd<'static>, tty::Settings)>,
}

impl Terminal {
    fn new(master: OwnedFd) -> Result<Self> {
        let own = match linux::fd::standard(0).filter(|fd| tty::is_terminal(fd)) {
            Some(fd) => Some((
                fd,
                tty::make_raw(fd).context(|| "failed to set the terminal to raw mode")?,
            )),
            None => None,
        };
        let terminal = Self { master, own };
        terminal.resize();
        Ok(terminal)
    }

    /// As large as ours; one without a size stays as it is.
    fn resize(&self) {
        if let Some(size) = self.own.as_ref().and_then(|(fd, _)| tty::size(fd).ok()) {
            let _ = tty::set_size(&self.master, size);
        }
    }

    /// Copies what is there to be read; false at the end.
    fn copy(from: impl AsFd, to: impl AsFd) -> bool {
        match file::read_some(from, 16 * 1024) {
            Ok(bytes) if !bytes.is_empty() => file::write_all(to, &bytes).is_ok(),
            // EIO is how a terminal says that its last user is gone.
            _ => false,
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some((fd, settings)) = &self.own {
            let _ = tty::restore(fd, settings);
        }
    }
}

/// Every signal that can be passed on.
fn forwarded() -> Vec<Signal> {
    let own = [Signal::KILL, Signal::STOP, Signal::PIPE];
    (1..=31)
        .filter_map(Signal::from_number)
        .filter(|signal| !own.contains(signal))
        .collect()
}

fn attend(process: &PidFd, terminal: Option<&Terminal>) -> linux::Result<i32> {
    let signals = SignalFd::new(&forwarded())?;
    let epoll = Epoll::new()?;
    epoll.add(process, PROCESS, EventFlags::IN)?;
    epoll.add(&signals, SIGNALS, EventFlags::IN)?;
    let stdin = terminal.and_then(|_| linux::fd::standard(0));
    if let (Some(terminal), Some(stdin)) = (terminal, stdin) {
        epoll.add(&terminal.master, OUTPUT, EventFlags::IN)?;
        // A plain file or /dev/null cannot be watched, and holds nothing for a terminal.
        let _ = epoll.add(stdin, INPUT, EventFlags::IN);
    }
    let mut events = Vec::new();
    loop {
        epoll.wait(&mut events, None)?;
        for event in &events {
            match (event.token, terminal) {
                (SIGNALS, _) => forward(&signals, process, terminal)?,
                (INPUT, Some(terminal)) => {
                    if let Some(stdin) =
                        stdin.filter(|stdin| !Terminal::copy(stdin, &terminal.master))
                    {
                        epoll.delete(stdin)?;
                    }
                }
                (OUTPUT, Some(terminal)) => {
                    let stdout = linux::fd::standard(1);
                    let goes_on =
                        stdout.is_some_and(|stdout| Terminal::copy(&terminal.master, stdout));
                    goes_on
                        .then_some(())
                        .map_or_else(|| epoll.delete(&terminal.master), Ok)?;
                }
                _ => {}
            }
        }
        if events.iter().any(|event| event.token == PROCESS) {
            let status = process.wait()?;
            drain(terminal)?;
            return Ok(status.code());
        }
    }
}

/// What the process wrote last.
fn drain(terminal: Option<&Terminal>) -> linux::Result<()> {
    let (Some(terminal), Some(stdout)) = (terminal, linux::fd::standard(1)) else {
        return Ok(());
    };
    linux::fd::set_nonblocking(&terminal.master, true)?;
    while Terminal::copy(&terminal.master, stdout) {}
    Ok(())
}

fn forward(signals: &SignalFd, process: &PidFd, terminal: Option<&Terminal>) -> linux::Result<()> {
    while let Some(signal) = signals.read()? {
        match signal {
            Signal::CHLD => {}
            Signal::WINCH if terminal.is_some() => terminal.into_iter().for_each(Terminal::resize),
            signal => match process.signal(signal) {
                Err(error) if error.errno() != linux::Errno::SRCH => return Err(error),
                _ => {}
            },
        }
    }
    Ok(())
}
