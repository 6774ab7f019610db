//! A connection to the keeper.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use linux::pidfd::PidFd;
use linux::signal::Signal;
use shim::keeping::{self, Decoder, FrameError, Op, Reply, Request, VERSION, Value};

use crate::error::{Context as _, Error, Result};

/// How long the keeper may take for an answer. One that takes longer is stopped, and another does its work.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Link {
    stream: UnixStream,
    decoder: Decoder,
    seq: u64,
    pid: u32,
    version: u32,
    process: Option<PidFd>,
    /// Ends the thread that waits for the keeper's death.
    _watched: Option<std::io::PipeWriter>,
}

/// Why there is no answer, or no good one.
#[derive(Debug)]
pub(super) enum Failure {
    /// The keeper says why not.
    Said(String),
    /// It is gone, or silent, or not to be understood.
    Gone(Error),
}

impl Failure {
    /// What went wrong before the keeper was asked.
    pub(super) fn from_ours(error: &Error) -> Self {
        Self::Said(error.chain())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Gone(error)
    }
}

impl From<FrameError> for Failure {
    fn from(error: FrameError) -> Self {
        Self::Gone(Error::system("talk to the keeper").caused_by(error.to_string()))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Said(text) => Error::system(text),
            Failure::Gone(error) => error,
        }
    }
}

impl Link {
    /// Greets.
    pub(super) fn new(stream: UnixStream) -> Result<Self, Failure> {
        let setting_up = || "talk to the keeper".to_owned();
        let patience = Some(PATIENCE);
        stream.set_read_timeout(patience).context(setting_up)?;
        stream.set_write_timeout(patience).context(setting_up)?;
        let mut link = Self {
            stream,
            decoder: Decoder::default(),
            seq: 0,
            pid: 0,
            version: 0,
            process: None,
            _watched: None,
        };
        match link.call(Op::Hello { version: VERSION }, &[])? {
            (Value::Welcome { pid, version }, _) => {
                link.pid = pid;
                link.version = version;
            }
            _ => return Err(Error::system("the keeper does not greet").into()),
        }
        Ok(link)
    }

    /// What it understands.
    pub(super) fn version(&self) -> u32 {
        self.version
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Asks, and waits for the answer.
    pub(super) fn call(
        &mut self,
        op: Op,
        fds: &[BorrowedFd<'_>],
    ) -> Result<(Value, Vec<OwnedFd>), Failure> {
        self.seq += 1;
        keeping::send(&self.stream, &Request { seq: self.seq, op }, fds)?;
        loop {
            while let Some((reply, fds)) = self.decoder.next_frame::<Reply>()? {
                if reply.seq == self.seq {
                    return reply
                        .result
                        .map(|value| (value, fds))
                        .map_err(Failure::Said);
                }
            }
            if !keeping::receive(&self.stream, &mut self.decoder)? {
                return Err(Error::system("the keeper has ended").into());
            }
        }
    }

    /// Calls `died` with the keeper's pid when its process has ended, unless the link is dropped before.
    pub(super) fn watch(
        &mut self,
        process: PidFd,
        died: impl FnOnce(u32) + Send + 'static,
    ) -> Result<()> {
        let watching = || "watch over the keeper".to_owned();
        let (stop, held) = std::io::pipe().context(watching)?;
        let (pid, watched) = (self.pid, process.try_clone().context(watching)?);
        let work = move || {
            let ready = linux::fd::wait_either(&watched, &stop);
            if matches!(ready, Ok(linux::fd::Ready::First)) {
                died(pid);
            }
        };
        let thread = std::thread::Builder::new().name("keeper".to_owned());
        thread.spawn(work).context(watching)?;
        self.process = Some(process);
        self._watched = Some(held);
        Ok(())
    }

    pub(super) fn kill(&mut self) {
        if let Some(process) = &self.process {
            // ESRCH: as it should be.
            let _killed = process.signal(Signal::KILL);
        }
    }

    /// Waits until the process has ended; false if it takes longer. It is buried here, or by the reaper.
    pub(super) fn end(self, patience: Duration) -> bool {
        let Some(process) = self.process else {
            return false;
        };
        let ended = process.wait_readable(Some(patience)).unwrap_or(false);
        if ended {
            let _reaped = process.try_wait();
        }
        ended
    }
}
