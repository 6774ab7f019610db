//! Drives the real shim binary over its sockets, as the engine does, with a root filesystem of busybox.

use std::io::{Read, Write};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value as Json, json};
use shim::protocol::{
    self, Attach, Decoder, Ended, Event, ExitRecord, ExternalRuntime, Hello, INIT, Kind, Message,
    Op, OpError, Request, Role, RootfsSetup, Setup, VERSION, Value,
};

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

const BUSYBOX: [&str; 2] = ["/usr/bin/busybox", "/bin/busybox"];

/// A bundle and its shim.
pub(crate) struct Rig {
    folder: tempfile::TempDir,
    pub(crate) id: String,
    pub(crate) setup: Setup,
    pub(crate) spec: Json,
    pub(crate) shim: Option<linux::clone::Child>,
}

impl Rig {
    /// A container that will run a shell script.
    pub(crate) fn new(script: &str) -> Self {
        Self::with_args(&["sh", "-c", script])
    }

    pub(crate) fn with_args(args: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let id = format!(
            "shimtest{}",
            folder
                .path()
                .file_name()
                .unwrap()
                .to_str()
                .unwrap()
                .replace('.', "")
        );
        let setup = Setup {
            version: VERSION,
            id: id.clone(),
            rootfs: RootfsSetup::Dir {
                path: folder.path().join("rootfs"),
            },
            tty: false,
            console_size: None,
            open_stdin: false,
            stdin_once: false,
            log: shim::log::Config {
                path: folder.path().join("log"),
                max_file: 1,
                ..shim::log::Config::default()
            },
            exit_record: folder.path().join("exit.json"),
            exec_exits: Some(folder.path().join("exec-exits.jsonl")),
            auto_remove: false,
            filters: None,
            external_runtime: external(folder.path()),
        };
        let rig = Self {
            spec: spec(&id, args),
            folder,
            id,
            setup,
            shim: None,
        };
        rig.make_rootfs();
        rig
    }

    fn make_rootfs(&self) {
        let busybox = BUSYBOX
            .iter()
            .find(|path| Path::new(path).exists())
            .expect("busybox-static is installed");
        let root = self.path("rootfs");
        for folder in ["bin", "dev", "proc", "sys", "tmp", "etc"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::fs::copy(busybox, root.join("bin/busybox")).unwrap();
        for applet in [
            "sh", "cat", "echo", "sleep", "head", "seq", "kill", "true", "stty", "yes", "tr", "id",
            "trap",
        ] {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(applet)).unwrap();
        }
        std::fs::write(root.join("etc/plain"), "no program").unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Spawns the shim; its first control connection.
    pub(crate) fn spawn(&mut self) -> Client {
        std::fs::write(
            self.path(protocol::SETUP_FILE),
            serde_json::to_vec(&self.setup).unwrap(),
        )
        .unwrap();
        std::fs::write(
            self.path(protocol::SPEC_FILE),
            serde_json::to_vec(&self.spec).unwrap(),
        )
        .unwrap();
        let listener = UnixListener::bind(self.path(protocol::SOCKET_FILE)).unwrap();
        let (ours, theirs) = UnixStream::pair().unwrap();
        let command = linux::spawn::Command::new(env!("CARGO_BIN_EXE_tare-shim"));
        let command = protocol::arguments()[1..]
            .iter()
            .fold(command, linux::spawn::Command::arg);
        let stderr = std::fs::File::create(self.path("stderr")).unwrap();
        let command = command.fd(OwnedFd::from(theirs), protocol::CONTROL_FD);
        self.shim = Some(command.spawn().unwrap());
        let bundle = std::fs::File::open(self.folder.path()).unwrap();
        linux::socket::send_fds(
            &ours,
            &protocol::assignment(&self.id),
            &[bundle.as_fd(), listener.as_fd(), stderr.as_fd()],
        )
        .unwrap();
        let mut client = Client::over(ours);
        client.hello(Role::Control);
        client
    }

    /// Spawns the shim and starts the container.
    pub(crate) fn start(&mut self) -> Client {
        let mut control = self.spawn();
        control
            .call(Op::Start)
            .unwrap_or_else(|error| panic!("{error}"));
        control
    }

    /// A further connection.
    pub(crate) fn connect(&self) -> Client {
        Client::over(UnixStream::connect(self.path(protocol::SOCKET_FILE)).unwrap())
    }

    pub(crate) fn control(&self) -> Client {
        let mut client = self.connect();
        client.hello(Role::Control);
        client
    }

    pub(crate) fn attach(&self, process: &str) -> Client {
        let mut client = self.connect();
        let attach = Attach {
            process: process.to_owned(),
            stdin: true,
            stdout: true,
            stderr: true,
        };
        client.hello(Role::Attach(attach));
        client
    }

    /// Waits for the shim's end and its exit record.
    pub(crate) fn finish(&mut self) -> ExitRecord {
        self.wait();
        serde_json::from_slice(&std::fs::read(self.path("exit.json")).unwrap()).unwrap()
    }

    pub(crate) fn wait(&mut self) {
        let child = self.shim.take().unwrap();
        assert!(
            child.pidfd.wait_readable(Some(PATIENCE)).unwrap(),
            "the shim ends"
        );
        linux::process::wait(child.pid).unwrap();
        let stderr = std::fs::read_to_string(self.path("stderr")).unwrap();
        assert_eq!(stderr, "", "the shim has nothing to say");
        assert_no_cgroup(&self.id);
    }

    /// What the log holds, both streams in order.
    pub(crate) fn logged(&self) -> String {
        let query = shim::log::Query::default();
        let mut reader =
            shim::log::Reader::open(self.setup.log.driver, &self.setup.log.path, query).unwrap();
        let mut text = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            text.extend_from_slice(entry.line);
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        if let Some(child) = self.shim.take() {
            // A failed test leaves a running container: its first process dies with the shim.
            let _ = child.pidfd.signal(linux::signal::Signal::KILL);
            let _ = linux::process::wait(child.pid);
        }
    }
}

fn assert_no_cgroup(id: &str) {
    let hierarchies = std::fs::read_dir("/sys/fs/cgroup").unwrap().flatten();
    let left: Vec<_> = hierarchies
        .map(|entry| entry.path().join("tare-shim-test").join(id))
        .filter(|path| path.exists())
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// crun in place of our own runtime, when a test run asks for it.
fn external(folder: &Path) -> Option<ExternalRuntime> {
    let path = std::env::var_os("TARE_TEST_RUNTIME")?;
    Some(ExternalRuntime {
        path: path.into(),
        args: Vec::new(),
        root: folder.join("runtime"),
    })
}

fn spec(id: &str, args: &[&str]) -> Json {
    let namespaces = ["pid", "mount", "ipc", "uts", "network"].map(|kind| json!({ "type": kind }));
    json!({
        "ociVersion": "1.0.2",
        "root": { "path": "rootfs" },
        "process": process(args),
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
            { "destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance", "ptmxmode=0666"] },
        ],
        "linux": { "namespaces": namespaces, "cgroupsPath": format!("/tare-shim-test/{id}") },
    })
}

fn process(args: &[&str]) -> Json {
    json!({ "user": { "uid": 0, "gid": 0 }, "args": args, "env": ["PATH=/bin"], "cwd": "/" })
}

/// An exec of a shell script.
pub(crate) fn exec(id: &str, script: &str) -> Op {
    let process = serde_json::from_value(process(&["sh", "-c", script])).unwrap();
    Op::Exec {
        id: id.to_owned(),
        process: Box::new(process),
        tty: false,
        stdin: true,
        size: None,
    }
}

/// One connection to a shim.
pub(crate) struct Client {
    pub(crate) socket: UnixStream,
    decoder: Decoder,
    events: Vec<Event>,
    seq: u64,
}

/// What an attached client saw until its end.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    pub(crate) code: Option<i32>,
    /// Whether the shim said that the output has ended, and not only closed the connection.
    pub(crate) ended: bool,
}

impl Client {
    pub(crate) fn over(socket: UnixStream) -> Self {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            socket,
            decoder: Decoder::default(),
            events: Vec::new(),
            seq: 0,
        }
    }

    pub(crate) fn hello(&mut self, role: Role) {
        self.send(Kind::Hello, &Hello::new(role));
        assert_eq!(
            self.next(|message| matches!(message, Message::Welcome(_)).then_some(())),
            Some(())
        );
    }

    pub(crate) fn send<T: serde::Serialize>(&mut self, kind: Kind, payload: &T) {
        let mut bytes = Vec::new();
        protocol::encode(kind, payload, &mut bytes);
        self.socket.write_all(&bytes).unwrap();
    }

    pub(crate) fn raw(&mut self, kind: Kind, payload: &[u8]) {
        let mut bytes = Vec::new();
        protocol::encode_raw(kind, payload, &mut bytes);
        self.socket.write_all(&bytes).unwrap();
    }

    /// A frame of a kind that this version may not know.
    pub(crate) fn raw_kind(&mut self, kind: u8, payload: &[u8]) {
        let length = u32::try_from(payload.len() + 1).unwrap().to_le_bytes();
        self.socket
            .write_all(&[&length[..], &[kind], payload].concat())
            .unwrap();
    }

    /// The next message that `wanted` takes; others are passed over, but events are kept. `None` at the end.
    pub(crate) fn next<T>(
        &mut self,
        mut wanted: impl FnMut(&Message<'_>) -> Option<T>,
    ) -> Option<T> {
        loop {
            while let Some(frame) = self.decoder.next_frame().unwrap() {
                let message = frame.message().unwrap();
                if let Message::Event(event) = &message {
                    self.events.push(event.clone());
                }
                if let Some(found) = wanted(&message) {
                    return Some(found);
                }
            }
            let mut buffer = [0; 65536];
            match self.socket.read(&mut buffer) {
                Ok(0) => return None,
                Ok(count) => self.decoder.push(&buffer[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    pub(crate) fn request(&mut self, op: Op) -> u64 {
        self.seq += 1;
        let seq = self.seq;
        self.send(Kind::Request, &Request { seq, op });
        seq
    }

    pub(crate) fn call(&mut self, op: Op) -> Result<Value, OpError> {
        let seq = self.request(op);
        let reply = self.next(|message| match message {
            Message::Reply(reply) if reply.seq == seq => Some(reply.result.clone()),
            _ => None,
        });
        reply.expect("a reply")
    }

    /// Waits for the end of a process: its code.
    pub(crate) fn exited(&mut self, process: &str) -> i32 {
        let code = |event: &Event| match event {
            Event::Exited {
                process: ended,
                code,
                ..
            } if ended == process => Some(*code),
            _ => None,
        };
        if let Some(code) = self.events.iter().find_map(code) {
            return code;
        }
        self.next(|message| {
            if let Message::Event(event) = message {
                code(event)
            } else {
                None
            }
        })
        .expect("an exit")
    }

    pub(crate) fn init_exited(&mut self) -> i32 {
        self.exited(INIT)
    }

    /// Reads everything to the end.
    pub(crate) fn drain(&mut self) -> Seen {
        let mut seen = Seen::default();
        self.next(|message| {
            match message {
                Message::Stdout(bytes) => seen.stdout.extend_from_slice(bytes),
                Message::Stderr(bytes) => seen.stderr.extend_from_slice(bytes),
                Message::Ended(Ended { code }) => (seen.code, seen.ended) = (*code, true),
                _ => {}
            }
            None::<()>
        });
        seen
    }

    /// Reads output until it holds a text.
    pub(crate) fn until(&mut self, text: &str) -> String {
        let mut all = Vec::new();
        self.next(|message| {
            if let Message::Stdout(bytes) | Message::Stderr(bytes) = message {
                all.extend_from_slice(bytes);
            }
            String::from_utf8_lossy(&all).contains(text).then_some(())
        });
        let all = String::from_utf8_lossy(&all).into_owned();
        assert!(all.contains(text), "{all:?} holds {text:?}");
        all
    }

    /// Waits for a warning that holds `text`.
    pub(crate) fn warned(&mut self, text: &str) {
        let warns =
            |event: &Event| matches!(event, Event::Warning { message } if message.contains(text));
        if self.events.iter().any(warns) {
            return;
        }
        let found = self.next(|message| match message {
            Message::Event(event) => warns(event).then_some(()),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("no warning says {text:?}"));
    }
}
