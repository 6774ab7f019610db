//! Bytes between processes, clients and the log.

use std::io::{ErrorKind, Read};

use linux::epoll::EventFlags;
use shim::log::Stream;
use shim::protocol::{Event, INIT, Kind, Phase};
use shim::time::Timestamp;

use super::connection::OUTBOX_LIMIT;
use super::process::{INPUT_LIMIT, Process};
use super::stall::Stall;
use super::{Supervisor, Token};

impl Supervisor {
    /// The number of a process by its name.
    pub(super) fn find(&self, name: &str) -> Option<u32> {
        self.processes
            .iter()
            .find(|(_, process)| process.name == name)
            .map(|(number, _)| *number)
    }

    /// Begins to move a process's input and output, and lets the clients that waited for it go on.
    pub(super) fn connect(&mut self, number: u32, process: Process) {
        for (stream, output) in process.outputs.iter().enumerate() {
            if let Some(output) = output {
                self.watch_fd(&output.file, Token::Output(number, stream), EventFlags::IN);
            }
        }
        let name = process.name.clone();
        self.processes.insert(number, process);
        self.release(&name);
    }

    /// Reads once from an output.
    pub(super) fn output_ready(&mut self, number: u32, stream: usize) {
        let mut buffer = self.take_buffer();
        let read = match self
            .processes
            .get_mut(&number)
            .and_then(|process| process.outputs[stream].as_mut())
        {
            Some(output) if !output.paused => output.file.read(&mut buffer),
            _ => Err(ErrorKind::WouldBlock.into()),
        };
        match read {
            Ok(0) => self.close_output(number, stream),
            Ok(count) => self.deliver(number, stream, &buffer[..count]),
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            // A terminal that nobody has open any more answers EIO.
            Err(_) => self.close_output(number, stream),
        }
        self.put_buffer(buffer);
    }

    /// Output goes to the log first, then to every client.
    fn deliver(&mut self, number: u32, stream: usize, bytes: &[u8]) {
        let Some(process) = self.processes.get(&number) else {
            return;
        };
        let name = process.name.clone();
        if name == INIT {
            self.write_log(stream, bytes);
        }
        let kind = Process::kind(stream);
        let takers = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.takes(&name, kind) && !connection.closing);
        for taker in takers.map(|(number, _)| *number).collect::<Vec<_>>() {
            if let Some(connection) = self.connections.get_mut(&taker) {
                connection.raw(kind, bytes);
            }
            self.settle(taker);
            if self
                .connections
                .get(&taker)
                .is_some_and(|connection| connection.unsent() > OUTBOX_LIMIT)
            {
                self.pause_outputs(number);
            }
        }
    }

    fn write_log(&mut self, stream: usize, bytes: &[u8]) {
        let Some(log) = &mut self.log else { return };
        let stream = if stream == 0 {
            Stream::Stdout
        } else {
            Stream::Stderr
        };
        let gives_up = self.stall.as_ref().is_some_and(Stall::gives_up);
        if gives_up && !log.has_room(bytes.len()) {
            return log.skip(bytes, Timestamp::now());
        }
        let result = log.write(stream, bytes, Timestamp::now());
        self.compressing = log.has_work();
        let stalled = log.is_stalled();
        self.check_log(result);
        if stalled {
            self.begin_stall();
        }
    }

    /// A log that cannot be written must not stop the container; it is told once.
    pub(super) fn check_log(&mut self, result: Result<(), shim::log::Error>) {
        match result {
            Ok(()) => self.log_failed = false,
            Err(error) if !self.log_failed => {
                self.log_failed = true;
                let message = super::requests::chain(&error);
                self.tell(&Event::Warning { message });
            }
            Err(_) => {}
        }
    }

    /// A bit of compression of rotated logs, while nothing else is to do.
    pub(super) fn compress_some(&mut self) {
        let Some(log) = &mut self.log else {
            self.compressing = false;
            return;
        };
        let result = log.compress_some();
        self.compressing = *result.as_ref().unwrap_or(&false);
        self.check_log(result.map(drop));
    }

    /// Stops reading a process's output, because a client is behind.
    pub(super) fn pause_outputs(&mut self, number: u32) {
        let Some(process) = self.processes.get_mut(&number) else {
            return;
        };
        for output in process.outputs.iter_mut().flatten() {
            if !std::mem::replace(&mut output.paused, true) {
                // It is in the set, so it can be taken out.
                let _ = self.epoll.delete(&output.file);
            }
        }
    }

    /// Reads on where no client is behind any more, and the log takes it.
    pub(super) fn resume_outputs(&mut self) {
        let held_back = self.stall.as_ref().is_some_and(|stall| !stall.gives_up());
        for (number, process) in &mut self.processes {
            if held_back && process.name == INIT {
                continue;
            }
            let behind = |kind| {
                let mut takers = self
                    .connections
                    .values()
                    .filter(|connection| connection.takes(&process.name, kind));
                takers.any(|connection| connection.unsent() > OUTBOX_LIMIT)
            };
            if behind(Kind::Stdout) || behind(Kind::Stderr) {
                continue;
            }
            for (stream, output) in process.outputs.iter_mut().enumerate() {
                if let Some(output) = output
                    && std::mem::replace(&mut output.paused, false)
                {
                    let _ = self.epoll.add(
                        &output.file,
                        Token::Output(*number, stream).pack(),
                        EventFlags::IN,
                    );
                }
            }
        }
    }

    /// An output has ended.
    fn close_output(&mut self, number: u32, stream: usize) {
        let Some(process) = self.processes.get_mut(&number) else {
            return;
        };
        if let Some(output) = process.outputs[stream].take()
            && !output.paused
        {
            let _ = self.epoll.delete(&output.file);
        }
        if process.is_drained() {
            self.drained(number);
        }
    }

    /// Closes the outputs of a process that has ended, though something still holds them open.
    pub(super) fn abandon_outputs(&mut self, number: u32) {
        self.close_output(number, 0);
        self.close_output(number, 1);
    }

    /// A client's input for its process.
    pub(super) fn handle_input(&mut self, connection: u32, bytes: &[u8]) {
        let Some(number) = self.process_of(connection) else {
            return;
        };
        let Some(process) = self.processes.get_mut(&number) else {
            return;
        };
        process.input.push(bytes);
        self.input_ready(number);
        if self
            .processes
            .get(&number)
            .is_some_and(|process| process.input.unread() > INPUT_LIMIT)
            && let Some(connection) = self.connections.get_mut(&connection)
        {
            connection.held = true;
        }
    }

    /// A client has no more input.
    pub(super) fn handle_input_end(&mut self, connection: u32) {
        if let Some(attach) = self
            .connections
            .get(&connection)
            .and_then(|connection| connection.attached())
        {
            let process = attach.process.clone();
            self.input_gone(&process);
        }
    }

    /// The client that had the input has ended it, or has gone.
    pub(super) fn input_gone(&mut self, process: &str) {
        let Some(number) = self.find(process) else {
            return;
        };
        if self
            .processes
            .get(&number)
            .is_some_and(|process| process.input_once)
        {
            self.close_input(number);
        }
    }

    /// Closes an input once what was queued has been read.
    pub(super) fn close_input(&mut self, number: u32) {
        if let Some(process) = self.processes.get_mut(&number) {
            process.input.close();
            self.input_ready(number);
        }
    }

    /// Writes input that waits, and watches for room if some is left.
    pub(super) fn input_ready(&mut self, number: u32) {
        let Some(process) = self.processes.get_mut(&number) else {
            return;
        };
        let input = &mut process.input;
        if input.watched
            && let Some(file) = &input.file
        {
            // Taken out before it may be closed: a terminal's other descriptors would keep it in the set.
            let _ = self.epoll.delete(file);
            input.watched = false;
        }
        let ended = input.flush();
        if input.unread() > 0
            && let Some(file) = &input.file
        {
            input.watched = self
                .epoll
                .add(file, Token::Input(number).pack(), EventFlags::OUT)
                .is_ok();
        }
        let (name, room) = (process.name.clone(), input.unread() <= INPUT_LIMIT / 2);
        if ended {
            self.tell_input_closed(&name);
        }
        if room {
            self.release(&name);
        }
    }

    /// Clients that would still write are told that the process takes no more.
    fn tell_input_closed(&mut self, process: &str) {
        let writers = self.connections.iter().filter(|(_, connection)| {
            let attach = connection.attached();
            !connection.closing
                && attach.is_some_and(|attach| attach.stdin && attach.process == process)
        });
        for number in writers.map(|(number, _)| *number).collect::<Vec<_>>() {
            if let Some(connection) = self.connections.get_mut(&number) {
                connection.raw(Kind::StdinClosed, &[]);
            }
            self.settle(number);
        }
    }

    /// Lets the clients of a process go on whose input had to wait.
    fn release(&mut self, process: &str) {
        let held = self.connections.iter().filter(|(_, connection)| {
            connection.held
                && connection
                    .attached()
                    .is_some_and(|attach| attach.process == process)
        });
        for number in held.map(|(number, _)| *number).collect::<Vec<_>>() {
            if let Some(connection) = self.connections.get_mut(&number) {
                connection.held = false;
            }
            self.handle_frames(number);
        }
    }

    fn process_of(&self, connection: u32) -> Option<u32> {
        self.find(&self.connections.get(&connection)?.attached()?.process)
    }

    /// Whether the container has a first process that has not ended.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Paused)
    }
}
