//! What control connections ask for.

use linux::signal::Signal;
use shim::log;
use shim::protocol::{
    ErrorKind, Event, INIT, Kind, Op, OpError, Phase, Reply, Request, State, VERSION, Value,
};
use shim::time::Timestamp;

use super::Supervisor;
use super::container::{Container, Networking, Started};
use super::process::Process;

type Answer = Result<Value, OpError>;

impl Supervisor {
    pub(super) fn handle_request(&mut self, connection: u32, request: Request) {
        let Request { seq, op } = request;
        let starting = matches!(op, Op::Start);
        let result = self.perform(op);
        let failed = starting && result.is_err() && self.phase == Phase::Created;
        let ended = self.phase == Phase::Created && self.done;
        self.send(connection, Kind::Reply, &Reply { seq, result });
        if failed || ended {
            self.done = false;
            self.farewell();
        }
    }

    fn perform(&mut self, op: Op) -> Answer {
        match op {
            Op::Start => self.start(),
            Op::Exec {
                id,
                process,
                tty,
                stdin,
                size,
            } => self.exec(id, &process, Stdio { tty, stdin, size }),
            Op::Signal {
                process,
                signal,
                all,
            } => self.signal(&process, signal, all),
            Op::Resize {
                process,
                columns,
                rows,
            } => self.resize(&process, columns, rows),
            Op::Pause => self.pause(),
            Op::Resume => self.resume(),
            Op::Pids => Ok(Value::Pids {
                pids: self.running()?.pids().map_err(failed)?,
            }),
            Op::State => Ok(Value::State(Box::new(self.state()))),
            Op::CloseStdin { process } => {
                let number = self.known(&process)?;
                self.close_input(number);
                Ok(Value::Done)
            }
            Op::Shutdown if self.phase == Phase::Created => {
                self.done = true;
                Ok(Value::Done)
            }
            Op::Shutdown => Err(error(ErrorKind::Conflict, "the container has been started")),
            Op::Unknown => Err(error(
                ErrorKind::Unsupported,
                "this shim does not know the operation",
            )),
        }
    }

    fn start(&mut self) -> Answer {
        if self.phase != Phase::Created {
            return Err(error(ErrorKind::Conflict, "the container has been started"));
        }
        self.accept_all();
        let spec =
            super::read_json(shim::protocol::SPEC_FILE).map_err(|error| failed(chain(&error)))?;
        let log = log::Writer::open(&self.setup.log).map_err(|error| failed(chain(&error)))?;
        let size = self.setup.console_size;
        let stdio = Stdio {
            tty: self.setup.tty,
            stdin: self.setup.open_stdin,
            size,
        };
        let networking = Networking {
            namespace: self.network.take(),
            gate: self.gate.take(),
        };
        let (container, started) = Container::launch(&self.setup, &spec, stdio, networking)?;
        self.compressing = log.has_work();
        self.log = Some(log);
        self.container = Some(container);
        self.watch_oom(&spec);
        self.phase = Phase::Running;
        let at = Timestamp::now();
        self.started_at = Some(at);
        let once = self.setup.stdin_once;
        Ok(self.begin(INIT.to_owned(), started, once, at))
    }

    fn exec(&mut self, id: String, process: &shim::protocol::Process, stdio: Stdio) -> Answer {
        if id.is_empty() || self.find(&id).is_some() || id == INIT {
            return Err(error(
                ErrorKind::Invalid,
                &format!("there is a process {id:?} already"),
            ));
        }
        self.accept_all();
        if self.phase == Phase::Paused {
            return Err(error(ErrorKind::Conflict, "the container is paused"));
        }
        let started = self.running()?.exec(process, stdio)?;
        Ok(self.begin(id, started, true, Timestamp::now()))
    }

    /// Takes a new process in.
    fn begin(&mut self, name: String, started: Started, input_once: bool, at: Timestamp) -> Value {
        let Started { pid, ours } = started;
        let number = self.number();
        self.connect(number, Process::new(name.clone(), pid, ours, input_once));
        self.tell(&Event::Started {
            process: name,
            pid,
            at,
        });
        Value::Started { pid, at }
    }

    fn signal(&mut self, process: &str, signal: i32, all: bool) -> Answer {
        let signal = Signal::from_number(signal)
            .ok_or_else(|| error(ErrorKind::Invalid, "no such signal"))?;
        let number = self.known(process)?;
        let container = self.running()?;
        let target = self
            .processes
            .get(&number)
            .filter(|process| process.exit.is_none());
        let pid = target.ok_or_else(no_process)?.pid;
        if all {
            container.signal_all(signal).map_err(failed)?;
        } else {
            // Not reaped yet, so the number is still this process's.
            linux::signal::kill(pid.cast_signed(), signal)
                .map_err(|error| failed(error.to_string()))?;
        }
        Ok(Value::Done)
    }

    fn resize(&mut self, process: &str, columns: u16, rows: u16) -> Answer {
        let number = self.known(process)?;
        let resized = self
            .processes
            .get(&number)
            .and_then(|process| process.resize(columns, rows));
        match resized {
            None => Err(error(ErrorKind::Conflict, "the process has no terminal")),
            Some(result) => result
                .map(|()| Value::Done)
                .map_err(|error| failed(error.to_string())),
        }
    }

    fn pause(&mut self) -> Answer {
        if self.phase == Phase::Paused {
            return Err(error(
                ErrorKind::Conflict,
                "the container is paused already",
            ));
        }
        self.running()?.pause().map_err(failed)?;
        self.phase = Phase::Paused;
        self.tell(&Event::Paused);
        Ok(Value::Done)
    }

    fn resume(&mut self) -> Answer {
        if self.phase != Phase::Paused {
            return Err(error(ErrorKind::Conflict, "the container is not paused"));
        }
        self.running()?.resume().map_err(failed)?;
        self.phase = Phase::Running;
        self.tell(&Event::Resumed);
        Ok(Value::Done)
    }

    fn state(&self) -> State {
        let init = self.processes.values().find(|process| process.name == INIT);
        let execs = self
            .processes
            .values()
            .filter(|process| process.name != INIT);
        State {
            version: VERSION,
            id: self.setup.id.clone(),
            phase: self.phase,
            pid: init.map_or(0, |process| process.pid),
            started_at: self.started_at,
            oom_killed: self.oom_killed,
            execs: execs
                .map(|process| (process.name.clone(), process.pid))
                .collect(),
        }
    }

    fn running(&self) -> Result<&Container, OpError> {
        let container = self.container.as_ref().filter(|_| self.is_running());
        container.ok_or_else(|| error(ErrorKind::Conflict, "the container is not running"))
    }

    fn known(&self, process: &str) -> Result<u32, OpError> {
        self.find(if process.is_empty() { INIT } else { process })
            .ok_or_else(no_process)
    }
}

/// How a process's input and output are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stdio {
    pub(super) tty: bool,
    pub(super) stdin: bool,
    /// Columns and rows.
    pub(super) size: Option<(u16, u16)>,
}

impl Stdio {
    /// The size as the terminal layer has it.
    pub(super) fn terminal_size(self) -> Option<linux::tty::Size> {
        self.size
            .map(|(columns, rows)| linux::tty::Size { rows, columns })
    }
}

fn error(kind: ErrorKind, message: &str) -> OpError {
    OpError {
        kind,
        message: message.to_owned(),
    }
}

fn no_process() -> OpError {
    error(ErrorKind::NoSuchProcess, "no such process")
}

/// What the kernel or the disk refused.
pub(super) fn failed(message: String) -> OpError {
    OpError {
        kind: ErrorKind::System,
        message,
    }
}

/// An error and its causes in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
