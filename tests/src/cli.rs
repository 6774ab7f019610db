//! Running a client, the real docker or ours, against one daemon.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Which client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    Docker,
    Tare,
}

/// A client that speaks to one daemon.
#[derive(Clone, Debug)]
pub struct Cli {
    program: PathBuf,
    host: String,
    home: PathBuf,
}

impl Cli {
    /// A client for the daemon at `host`, with its configuration in `home`.
    pub fn new(client: Client, host: &str, home: PathBuf) -> Cli {
        let program = match client {
            Client::Docker => {
                std::env::var_os("TARE_TEST_DOCKER").map_or_else(|| "docker".into(), PathBuf::from)
            }
            Client::Tare => crate::daemon::binary("tare"),
        };
        Cli {
            program,
            host: host.to_owned(),
            home,
        }
    }

    /// Runs with `args` and waits for its end.
    pub fn run(&self, args: &[&str]) -> Run {
        self.command(args).run()
    }

    /// Runs with `args`, asserts success and returns what it printed, without the last line feed.
    pub fn ok(&self, args: &[&str]) -> String {
        self.run(args).ok()
    }

    /// Starts with `args` and leaves it running.
    pub fn spawn(&self, args: &[&str]) -> Running {
        self.command(args).spawn()
    }

    /// A command with `args`, to be refined.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = std::process::Command::new(&self.program);
        command
            .args(args)
            .env("DOCKER_HOST", &self.host)
            .env("HOME", &self.home);
        command
            .env("DOCKER_CONFIG", self.home.join(".docker"))
            .env("TARE_AUTOSTART", "0")
            .env("NO_COLOR", "1");
        for name in [
            "DOCKER_CONTEXT",
            "DOCKER_API_VERSION",
            "DOCKER_CLI_HINTS",
            "LS_COLORS",
        ] {
            command.env_remove(name);
        }
        Command {
            command,
            input: Vec::new(),
        }
    }
}

/// A client's command before it runs.
pub struct Command {
    command: std::process::Command,
    input: Vec<u8>,
}

impl Command {
    /// What it reads on standard input, then the end of it. Without this, standard input is empty.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Command {
        self.input = input.into();
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Command {
        self.command.env(name, value);
        self
    }

    pub fn run(mut self) -> Run {
        let words = words(&self.command);
        let stdin = if self.input.is_empty() {
            Stdio::null()
        } else {
            Stdio::piped()
        };
        self.command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self
            .command
            .spawn()
            .unwrap_or_else(|error| panic!("{words}: {error}"));
        let writer = child.stdin.take().map(|mut stdin| {
            // A client that ends before it has read all is no fault of the test.
            std::thread::spawn(move || drop(stdin.write_all(&self.input)))
        });
        let output = child.wait_with_output().expect("wait for the client");
        if let Some(writer) = writer {
            writer.join().expect("write the input");
        }
        Run {
            words,
            code: exit_code(output.status),
            stdout: output.stdout,
            stderr: output.stderr,
        }
    }

    /// Starts it with its standard input as a pipe and its lines at hand.
    pub fn spawn(mut self) -> Running {
        let words = words(&self.command);
        self.command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self
            .command
            .spawn()
            .unwrap_or_else(|error| panic!("{words}: {error}"));
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let reader = std::thread::spawn(move || {
            for line in stdout.split(b'\n').map_while(Result::ok) {
                if send
                    .send(String::from_utf8_lossy(&line).into_owned())
                    .is_err()
                {
                    return;
                }
            }
        });
        let mut stderr = child.stderr.take().expect("stderr");
        let errors = std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            text
        });
        Running {
            words,
            stdin: child.stdin.take(),
            child,
            lines,
            reader: Some(reader),
            errors: Some(errors),
        }
    }

    /// The plain command, for what this type does not cover. Standard streams are the caller's to set.
    pub fn into_inner(self) -> std::process::Command {
        self.command
    }
}

/// What a command did.
#[derive(Debug)]
pub struct Run {
    words: String,
    pub code: i32,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
}

impl Run {
    /// Standard output as text, without the last line feed.
    pub fn out(&self) -> String {
        trimmed(&self.stdout)
    }

    /// Standard error as text, without the last line feed.
    pub fn err(&self) -> String {
        trimmed(&self.stderr)
    }

    /// Asserts success; returns standard output.
    #[track_caller]
    pub fn ok(&self) -> String {
        self.exits(0);
        self.out()
    }

    /// Asserts the exit code; returns standard error.
    #[track_caller]
    pub fn exits(&self, code: i32) -> String {
        assert!(
            self.code == code,
            "{}\nexit code {} in place of {code}\nstdout: {}\nstderr: {}",
            self.words,
            self.code,
            self.out(),
            self.err()
        );
        self.err()
    }

    /// Asserts a failure whose standard error holds `words`.
    #[track_caller]
    pub fn fails(&self, code: i32, words: &str) {
        let error = self.exits(code);
        assert!(
            error.contains(words),
            "{}\nstderr does not say {words:?}: {error}",
            self.words
        );
    }
}

/// A client that is running.
pub struct Running {
    words: String,
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    reader: Option<JoinHandle<()>>,
    errors: Option<JoinHandle<Vec<u8>>>,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Writes to its standard input.
    pub fn write(&mut self, text: &str) {
        self.stdin
            .as_mut()
            .expect("stdin is open")
            .write_all(text.as_bytes())
            .expect("write to the client");
    }

    /// Ends its standard input.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// The next line of its standard output; None at its end.
    #[track_caller]
    pub fn line(&mut self) -> Option<String> {
        match self.lines.recv_timeout(Duration::from_secs(60)) {
            Ok(line) => Some(line),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => None,
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                panic!("{}: no line within a minute", self.words)
            }
        }
    }

    /// Reads lines until one holds `words`, and returns it.
    #[track_caller]
    pub fn line_with(&mut self, words: &str) -> String {
        let mut seen = Vec::new();
        while let Some(line) = self.line() {
            if line.contains(words) {
                return line;
            }
            seen.push(line);
        }
        let errors = self
            .errors
            .take()
            .map(|errors| errors.join().expect("read stderr"))
            .unwrap_or_default();
        panic!(
            "{}: ended without a line with {words:?}: {seen:?}\n{}",
            self.words,
            trimmed(&errors)
        );
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("signal the client");
    }

    /// Waits for its end, and returns what it printed since the last line that was read.
    pub fn end(mut self) -> Run {
        self.stdin = None;
        let mut stdout = Vec::new();
        while let Some(line) = self.line() {
            stdout.extend_from_slice(line.as_bytes());
            stdout.push(b'\n');
        }
        let code = exit_code(self.child.wait().expect("wait for the client"));
        self.reader.take().map(JoinHandle::join);
        let stderr = self
            .errors
            .take()
            .map(|errors| errors.join().expect("read stderr"))
            .unwrap_or_default();
        Run {
            words: self.words.clone(),
            code,
            stdout,
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command line, for messages.
fn words(command: &std::process::Command) -> String {
    let words = [command.get_program()]
        .into_iter()
        .chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The exit code as a shell counts it: 128 and the signal where a signal ended it.
fn exit_code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(-1)
}

fn trimmed(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.strip_suffix('\n').unwrap_or(&text).to_owned()
}
