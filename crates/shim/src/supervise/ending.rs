//! How processes end, and how the shim ends with the first one.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use linux::process::ExitStatus;
use shim::protocol::{Event, ExecExit, ExitRecord, INIT, Phase, VERSION};
use shim::time::Timestamp;

use super::Supervisor;
use super::container::Container;
use super::process::{Exit, Process};

/// How long the output of an ended process is read on while somebody else holds it open. Docker waits as long.
const DRAIN: Duration = Duration::from_secs(2);

/// How long clients may take over the last output, after the container has ended.
const LINGER: Duration = Duration::from_secs(10);

impl Supervisor {
    /// Takes in every child that has ended: our processes, and orphans of theirs.
    pub(super) fn reap(&mut self) {
        while let Ok(Some(_)) = self.signals.read() {}
        while let Ok(Some((pid, status))) = linux::process::reap_any() {
            let ours = self
                .processes
                .iter()
                .find(|(_, process)| process.pid == pid && process.exit.is_none());
            if let Some(number) = ours.map(|(number, _)| *number) {
                self.ended(number, status);
            }
        }
    }

    fn ended(&mut self, number: u32, status: ExitStatus) {
        let Some(process) = self.processes.get_mut(&number) else {
            return;
        };
        process.exit = Some(Exit {
            code: status.code(),
            at: Timestamp::now(),
        });
        process.deadline = Some(Instant::now() + DRAIN);
        let drained = process.is_drained();
        if process.name == INIT {
            self.phase = Phase::Exiting;
            self.give_up_holding_back();
            if let Some(container) = &self.container {
                // What shares our pid namespace with a container outlives its first process, and would hold the output
                // open. Whatever cannot be killed now is met again when the container is deleted.
                let _ = container.kill_all();
            }
        }
        if drained {
            self.drained(number);
        }
    }

    /// All output of a process has been read. One that has closed its output but runs on keeps its clients, as in Docker:
    /// they go with its exit code.
    pub(super) fn drained(&mut self, number: u32) {
        let Some(process) = self.processes.get_mut(&number) else {
            return;
        };
        match process.exit {
            None => {}
            Some(_) if process.name == INIT => self.finish(),
            Some(exit) => self.finish_exec(number, exit),
        }
    }

    /// Acts on deadlines that have passed.
    pub(super) fn check_deadlines(&mut self) {
        let now = Instant::now();
        let due = |process: &Process| process.deadline.is_some_and(|deadline| deadline <= now);
        let numbers = self
            .processes
            .iter()
            .filter(|(_, process)| due(process))
            .map(|(number, _)| *number);
        for number in numbers.collect::<Vec<_>>() {
            self.abandon_outputs(number);
        }
        self.try_stalled_log(now);
        if self.linger.is_some_and(|linger| linger <= now) {
            self.done = true;
        }
    }

    fn finish_exec(&mut self, number: u32, exit: Exit) {
        self.close_input(number);
        let Some(process) = self.processes.remove(&number) else {
            return;
        };
        self.keep_exec_exit(&process, exit);
        self.tell(&Event::Exited {
            process: process.name.clone(),
            code: exit.code,
            at: exit.at,
            oom_killed: false,
        });
        self.end_attached(&process.name, exit.code);
    }

    /// For a daemon that is not there now: without waiting for the disk, as execs are gone with the machine.
    fn keep_exec_exit(&mut self, process: &Process, exit: Exit) {
        let Some(path) = self.setup.exec_exits.clone() else {
            return;
        };
        let record = ExecExit {
            version: VERSION,
            id: process.name.clone(),
            pid: process.pid,
            code: exit.code,
        };
        let mut line = serde_json::to_vec(&record).unwrap_or_default();
        line.push(b'\n');
        if let Err(error) = append_bounded(&path, &line) {
            let message = format!("the exit of an exec could not be written: {error}");
            self.tell(&Event::Warning { message });
        }
    }

    /// The first process has ended and its output is read: the log is closed, the record written, the cgroup removed,
    /// and only then anyone told, since the next start needs that cgroup. A container with `--rm` has no next start.
    fn finish(&mut self) {
        let Some(exit) = self
            .processes
            .values()
            .find(|process| process.name == INIT)
            .and_then(|init| init.exit)
        else {
            return;
        };
        if let Some(mut log) = self.log.take() {
            let result = log.finish(Timestamp::now());
            if result.is_err() {
                self.tell_missing(log.missing());
            }
            self.check_log(result);
            self.stall = None;
        }
        let told = self.end_oom_watch();
        self.oom_killed = self.container.as_ref().is_some_and(Container::oom_killed);
        self.write_record(exit);
        // Its mounts are taken down when everybody has been told.
        let container = self.container.take();
        if !self.setup.auto_remove {
            self.delete(container.as_ref());
        }
        self.finish_all_execs();
        if self.oom_killed && !told {
            self.tell(&Event::OutOfMemory);
        }
        self.tell(&Event::Exited {
            process: INIT.to_owned(),
            code: exit.code,
            at: exit.at,
            oom_killed: self.oom_killed,
        });
        self.end_attached(INIT, exit.code);
        if self.setup.auto_remove {
            self.delete(container.as_ref());
        }
        self.farewell();
    }

    fn delete(&mut self, container: Option<&Container>) {
        if let Some(Err(message)) = container.map(Container::delete) {
            self.tell(&Event::Warning { message });
        }
    }

    fn write_record(&mut self, exit: Exit) {
        let record = ExitRecord {
            version: VERSION,
            id: self.setup.id.clone(),
            code: exit.code,
            at: exit.at,
            oom_killed: self.oom_killed,
        };
        let bytes = serde_json::to_vec(&record).unwrap_or_default();
        let path = &self.setup.exit_record;
        let written = if self.setup.auto_remove {
            replace_quickly(path, &bytes).map_err(|error| error.to_string())
        } else {
            linux::durable::replace(path, &bytes).map_err(|error| error.to_string())
        };
        if let Err(error) = written {
            let message = format!("the exit record could not be written: {error}");
            self.tell(&Event::Warning { message });
        }
    }

    /// Execs end with the container: those not met yet by [`Supervisor::reap`] have been killed with it.
    fn finish_all_execs(&mut self) {
        const KILLED: i32 = 128 + 9;
        self.reap();
        let execs = self
            .processes
            .iter()
            .filter(|(_, process)| process.name != INIT);
        for number in execs.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.abandon_outputs(number);
            self.finish_exec(
                number,
                Exit {
                    code: KILLED,
                    at: Timestamp::now(),
                },
            );
        }
    }

    /// Takes no new client, and stays until those that are here have the rest of the output.
    pub(super) fn farewell(&mut self) {
        self.listener = None;
        self.processes.clear();
        self.linger = Some(Instant::now() + LINGER);
        for number in self.connections.keys().copied().collect::<Vec<_>>() {
            if let Some(connection) = self.connections.get_mut(&number) {
                connection.closing = true;
            }
            self.settle(number);
        }
        self.done |= self.connections.is_empty();
    }
}

/// Appends a line. A file that has become long is put aside first, in place of the one before: the last few hundred
/// lines are always there.
fn append_bounded(path: &Path, line: &[u8]) -> std::io::Result<()> {
    const LONG: u64 = 64 * 1024;
    let open = || {
        File::options()
            .append(true)
            .read(true)
            .create(true)
            .open(path)
    };
    let mut file = open()?;
    if file.metadata()?.len() > LONG {
        std::fs::rename(path, path.with_extension("jsonl.1"))?;
        file = open()?;
    }
    linux::durable::append_line(&mut file, line)
}

/// Whole or not at all for every process that looks, without waiting for the disk.
fn replace_quickly(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let draft = path.with_extension("draft");
    std::fs::write(&draft, bytes)?;
    std::fs::rename(&draft, path)
}
