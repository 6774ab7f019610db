//! A process of the container and the ends of its input and output that the shim holds.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use linux::tty;
use shim::protocol::Kind;
use shim::time::Timestamp;

/// Input the process has not read yet; beyond it the client waits.
pub(super) const INPUT_LIMIT: usize = 256 * 1024;

/// The first process or an exec.
#[derive(Debug)]
pub(super) struct Process {
    /// [`INIT`](shim::protocol::INIT) or the exec's id.
    pub(super) name: String,
    pub(super) pid: u32,
    /// Reading ends: stdout (or the terminal) and stderr.
    pub(super) outputs: [Option<Output>; 2],
    pub(super) input: Input,
    /// The terminal, for its size.
    pub(super) terminal: Option<OwnedFd>,
    pub(super) exit: Option<Exit>,
    /// When to stop waiting for the end of the output of a process that has ended.
    pub(super) deadline: Option<Instant>,
    /// The input ends with the client that had it.
    pub(super) input_once: bool,
}

/// How a process ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exit {
    pub(super) code: i32,
    pub(super) at: Timestamp,
}

#[derive(Debug)]
pub(super) struct Output {
    pub(super) file: File,
    /// Not read at present, because a client is behind.
    pub(super) paused: bool,
}

/// The writing end of the process's input, and what it has not taken yet.
#[derive(Debug, Default)]
pub(super) struct Input {
    pub(super) file: Option<File>,
    pending: Vec<u8>,
    taken: usize,
    /// Close it once everything is written.
    closing: bool,
    /// Whether epoll watches it.
    pub(super) watched: bool,
}

/// The ends of the pipes that go to the process, and those that stay.
pub(super) struct Pipes {
    pub(super) stdin: OwnedFd,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    pub(super) ours: Ours,
}

/// What the shim holds of a process's input and output.
pub(super) struct Ours {
    input: Option<File>,
    outputs: [Option<File>; 2],
    terminal: Option<OwnedFd>,
}

impl Pipes {
    /// Pipes for a process; without `stdin` it reads end of file.
    pub(super) fn new(stdin: bool) -> linux::Result<Self> {
        let (output, stdout) = linux::fd::pipe()?;
        let (error, stderr) = linux::fd::pipe()?;
        let (stdin, input) = if stdin {
            let (stdin, input) = linux::fd::pipe()?;
            linux::fd::set_nonblocking(&input, true)?;
            (stdin, Some(File::from(input)))
        } else {
            (
                linux::file::open("/dev/null".as_ref(), linux::file::OFlags::RDONLY)?,
                None,
            )
        };
        let outputs = [Some(File::from(output)), Some(File::from(error))];
        Ok(Self {
            stdin,
            stdout,
            stderr,
            ours: Ours {
                input,
                outputs,
                terminal: None,
            },
        })
    }
}

impl Ours {
    /// The master of a terminal.
    pub(super) fn terminal(master: OwnedFd) -> linux::Result<Self> {
        linux::fd::set_nonblocking(&master, true)?;
        let input = Some(File::from(linux::fd::duplicate(&master)?));
        let output = Some(File::from(linux::fd::duplicate(&master)?));
        Ok(Self {
            input,
            outputs: [output, None],
            terminal: Some(master),
        })
    }
}

impl Process {
    pub(super) fn new(name: String, pid: u32, ours: Ours, input_once: bool) -> Self {
        Self {
            name,
            pid,
            outputs: ours.outputs.map(|file| {
                file.map(|file| Output {
                    file,
                    paused: false,
                })
            }),
            input: Input {
                file: ours.input,
                ..Input::default()
            },
            input_once: input_once && ours.terminal.is_none(),
            terminal: ours.terminal,
            exit: None,
            deadline: None,
        }
    }

    /// Which frames an output becomes.
    pub(super) fn kind(stream: usize) -> Kind {
        if stream == 0 {
            Kind::Stdout
        } else {
            Kind::Stderr
        }
    }

    /// Whether all output has been read.
    pub(super) fn is_drained(&self) -> bool {
        self.outputs.iter().all(Option::is_none)
    }

    pub(super) fn resize(&self, columns: u16, rows: u16) -> Option<linux::Result<()>> {
        let terminal = self.terminal.as_ref()?;
        Some(tty::set_size(terminal.as_fd(), tty::Size { rows, columns }))
    }
}

impl Input {
    /// Queues bytes. Without an open input they are dropped, as a write to a closed pipe would be.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.file.is_some() && !self.closing {
            self.pending.extend_from_slice(bytes);
        }
    }

    /// Closes the input once what was queued has been read.
    pub(super) fn close(&mut self) {
        self.closing = true;
    }

    pub(super) fn unread(&self) -> usize {
        self.pending.len() - self.taken
    }

    /// Writes what the process takes; true when the input has just ended.
    pub(super) fn flush(&mut self) -> bool {
        let Some(file) = &mut self.file else {
            return false;
        };
        while self.taken < self.pending.len() {
            match file.write(&self.pending[self.taken..]) {
                Ok(count) => self.taken += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // The process has closed its end.
                Err(_) => {
                    self.closing = true;
                    break;
                }
            }
        }
        self.pending = Vec::new();
        self.taken = 0;
        if self.closing {
            self.file = None;
        }
        self.closing
    }
}
